//! What a script may do, a step at a time.

use latchlight_mqtt::{ProtocolVersion, QoS, RetainHandling, SubscriptionOptions};

use crate::script::Script;

/// How many clients there are that keep to the rules.
pub(crate) const SLOTS: usize = 4;

pub(crate) const TOPICS: [&str; 5] = ["t/0", "t/1", "t/1/deep", "u/0", "$x/1"];

pub(crate) const FILTERS: [&str; 13] = [
    "t/0",
    "t/1",
    "t/+",
    "t/#",
    "#",
    "+/0",
    "$x/#",
    "$x/1",
    "t/1/deep",
    "$share/g/t/#",
    "$share/g/t/+",
    "$share/h/t/1",
    "u/0",
];

const QOS: [QoS; 4] = [QoS::AtLeastOnce, QoS::ExactlyOnce, QoS::AtMostOnce, QoS::AtLeastOnce];

#[derive(Debug, Clone)]
pub(crate) enum Op {
    Connect(usize, Hello),
    Disconnect {
        slot: usize,
        with_will: bool,
        expiry: Option<u32>,
    },
    /// Without goodbye.
    Drop(usize),
    Subscribe {
        slot: usize,
        filter: usize,
        options: SubscriptionOptions,
        identifier: Option<u32>,
    },
    Unsubscribe {
        slot: usize,
        filter: usize,
    },
    Publish(usize, Plan),
    /// Whether it reads and answers by itself, from now on.
    Eager {
        slot: usize,
        eager: bool,
    },
    Read(usize),
    Acknowledge {
        slot: usize,
        count: usize,
    },
    Ping(usize),
    Pass(u64),
    Commit,
    StoreFails(bool),
    Crash,
    /// Bytes of a client that keeps to nothing.
    Evil {
        fresh: bool,
        bytes: Vec<u8>,
    },
    /// A packet of the table, changed.
    EvilPacket {
        fresh: bool,
        row: usize,
        at: usize,
        change: u8,
        cut: bool,
    },
    LookAtRetained,
    ForgetRetained(usize),
    Kick(usize),
}

/// A CONNECT.
#[derive(Debug, Clone)]
pub(crate) struct Hello {
    pub(crate) version: ProtocolVersion,
    pub(crate) clean: bool,
    /// In seconds, MQTT 5.
    pub(crate) expiry: u32,
    pub(crate) receive_maximum: u16,
    pub(crate) alias_maximum: u16,
    pub(crate) max_packet: Option<u32>,
    pub(crate) keep_alive: u16,
    pub(crate) will: Option<WillPlan>,
    pub(crate) eager: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct WillPlan {
    pub(crate) topic: usize,
    pub(crate) qos: QoS,
    /// In seconds, MQTT 5.
    pub(crate) delay: u32,
}

/// Some messages alike.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) topic: usize,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    /// An empty payload: no message of the model, it takes the retained one away.
    pub(crate) clears: bool,
    /// In seconds, MQTT 5.
    pub(crate) expiry: Option<u32>,
    pub(crate) size: usize,
    pub(crate) alias: Option<u16>,
    pub(crate) times: usize,
}

impl Op {
    pub(crate) fn decode(script: &mut Script<'_>) -> Self {
        let kind = script.below(32);
        match kind {
            0..=3 => Self::Connect(script.below(SLOTS), Hello::decode(script)),
            4 => Self::Disconnect {
                slot: script.below(SLOTS),
                with_will: script.flag(),
                expiry: script.flag().then(|| script.pick(&[0, 5, 60, u32::MAX])),
            },
            5..=6 => Self::Drop(script.below(SLOTS)),
            7..=11 => Self::Subscribe {
                slot: script.below(SLOTS),
                filter: script.below(FILTERS.len()),
                options: options(script),
                identifier: script.flag().then(|| 1 + u32::from(script.byte() % 8)),
            },
            12 => {
                Self::Unsubscribe { slot: script.below(SLOTS), filter: script.below(FILTERS.len()) }
            }
            13..=19 => Self::Publish(script.below(SLOTS), Plan::decode(script)),
            20 => Self::Eager { slot: script.below(SLOTS), eager: script.flag() },
            21 => Self::Read(script.below(SLOTS)),
            22 => Self::Acknowledge { slot: script.below(SLOTS), count: 1 + script.below(4) },
            23 => Self::Ping(script.below(SLOTS)),
            24 => Self::Pass(script.pick(&[3, 10, 60, 300, 1200, 2500, 6000, 70_000])),
            25 => Self::Commit,
            26 => Self::StoreFails(script.flag()),
            27 => Self::Crash,
            28 => Self::Evil { fresh: script.flag(), bytes: script.bytes(64) },
            29 => Self::EvilPacket {
                fresh: script.flag(),
                row: usize::from(script.byte()) << 2 | script.below(4),
                at: script.below(64),
                change: script.byte(),
                cut: script.seldom(8),
            },
            30 => Self::LookAtRetained,
            _ => match script.below(3) {
                0 => Self::ForgetRetained(script.below(TOPICS.len())),
                _ => Self::Kick(script.below(SLOTS)),
            },
        }
    }
}

impl Hello {
    fn decode(script: &mut Script<'_>) -> Self {
        use ProtocolVersion::{V5, V31, V311};
        Self {
            version: script.pick(&[V5, V5, V311, V31]),
            clean: script.seldom(4),
            expiry: script.pick(&[60, 0, 5, 3600, u32::MAX]),
            receive_maximum: script.pick(&[10, 1, 2, 5, 65_535]),
            alias_maximum: script.pick(&[0, 1, 3]),
            max_packet: script.seldom(8).then(|| script.pick(&[30, 100, 400])),
            keep_alive: script.pick(&[0, 0, 0, 5]),
            will: script.seldom(3).then(|| WillPlan {
                topic: script.below(TOPICS.len()),
                qos: script.pick(&QOS),
                delay: script.pick(&[0, 0, 2, 100]),
            }),
            eager: !script.seldom(3),
        }
    }

    /// One that asks for all there is.
    pub(crate) fn at_the_end() -> Self {
        Self {
            version: ProtocolVersion::V5,
            clean: false,
            expiry: 3600,
            receive_maximum: 100,
            alias_maximum: 0,
            max_packet: None,
            keep_alive: 0,
            will: None,
            eager: true,
        }
    }
}

impl Plan {
    fn decode(script: &mut Script<'_>) -> Self {
        let retain = script.seldom(3);
        Self {
            topic: script.below(TOPICS.len()),
            qos: script.pick(&QOS),
            retain,
            clears: retain && script.seldom(4),
            expiry: script.seldom(6).then(|| script.pick(&[0, 1, 5, 1000])),
            size: script.pick(&[5, 5, 20, 90, 350, 1500, 9000, 40_000]),
            alias: script.seldom(4).then(|| 1 + u16::from(script.byte() % 2)),
            times: script.pick(&[1, 1, 1, 2, 5, 12]),
        }
    }
}

fn options(script: &mut Script<'_>) -> SubscriptionOptions {
    use RetainHandling::{DoNotSend, Send, SendIfNew};
    SubscriptionOptions {
        qos: script.pick(&QOS),
        no_local: script.seldom(4),
        retain_as_published: script.seldom(3),
        retain_handling: script.pick(&[Send, SendIfNew, DoNotSend]),
    }
}
