//! A client that keeps its session and does what the standard asks of one.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use latchlight_mqtt::{
    Connect, Packet, PacketId, ProtocolVersion, PubAck, PubComp, PubRec, PubRel, Publish, QoS,
    ReasonCode,
};

use super::Client;
use ProtocolVersion::V5;
use QoS::ExactlyOnce;

/// One end of a conversation that outlives its connections, and their broker.
pub struct Endpoint {
    name: &'static str,
    client: Option<Client>,
    /// What was published, by packet id, until it is over.
    open: BTreeMap<u16, Publish>,
    /// Of those, which were received and not completed.
    released: Vec<u16>,
    next_id: u16,
    /// QoS 2 messages that were received and not released.
    unreleased: Vec<u16>,
    pub received: BTreeMap<String, (QoS, usize)>,
    /// How many packets were taken.
    taken: usize,
}

impl Endpoint {
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            client: None,
            open: BTreeMap::new(),
            released: Vec::new(),
            next_id: 0,
            unreleased: Vec::new(),
            received: BTreeMap::new(),
            taken: 0,
        }
    }

    pub fn client(&mut self) -> &mut Client {
        self.client.as_mut().unwrap()
    }

    /// Connects, and sends again what is open, in its order.
    pub fn connect(&mut self, address: SocketAddr) {
        let (client, answer) = Client::connect_with(address, resuming(V5, self.name));
        let present = answer.session_present;
        // The first time there is none.
        assert_eq!(present, self.client.is_some(), "the session of {}", self.name);
        self.client = Some(client);
        let mut again: Vec<_> = self.open.values().cloned().collect();
        again.sort_by_key(|publish| {
            std::str::from_utf8(&publish.payload).unwrap().parse::<usize>().unwrap()
        });
        for publish in again {
            let id = publish.packet_id.unwrap();
            if self.released.contains(&id.get()) {
                self.client().try_send(Packet::PubRel(PubRel::new(id, ReasonCode::Success)));
            } else {
                self.client().try_send(Packet::Publish(Publish { dup: true, ..publish }));
            }
        }
    }

    pub fn has_open(&self) -> bool {
        !self.open.is_empty()
    }

    pub fn begin_publish(&mut self, payload: &str, qos: QoS) {
        loop {
            self.next_id = self.next_id % 1000 + 1;
            if !self.open.contains_key(&self.next_id) {
                break;
            }
        }
        let packet_id = PacketId::new(self.next_id);
        let topic = format!("kept/{}", qos as u8);
        let publish = Publish { qos, packet_id, ..Publish::new(topic, payload.to_owned()) };
        self.open.insert(self.next_id, publish.clone());
        self.client().try_send(Packet::Publish(publish));
    }

    /// Takes one packet and answers it; false: it was the answer to a ping, or
    /// the connection is over.
    pub fn take_one(&mut self) -> bool {
        let Some(packet) = self.client().try_next() else { return false };
        match packet {
            Packet::PubAck(ack) => {
                assert_eq!(ack.reason, ReasonCode::Success);
                self.open.remove(&ack.packet_id.get());
            }
            Packet::PubRec(ack) => {
                assert_eq!(ack.reason, ReasonCode::Success);
                if !self.released.contains(&ack.packet_id.get()) {
                    self.released.push(ack.packet_id.get());
                }
                self.client()
                    .try_send(Packet::PubRel(PubRel::new(ack.packet_id, ReasonCode::Success)));
            }
            Packet::PubComp(ack) => {
                self.open.remove(&ack.packet_id.get());
                self.released.retain(|id| *id != ack.packet_id.get());
            }
            Packet::PubRel(ack) => {
                self.unreleased.retain(|id| *id != ack.packet_id.get());
                self.client()
                    .try_send(Packet::PubComp(PubComp::new(ack.packet_id, ReasonCode::Success)));
            }
            Packet::Publish(publish) => self.take(publish),
            Packet::PingResp => return false,
            other => panic!("unexpected {other:?}"),
        }
        self.taken += 1;
        true
    }

    /// Takes all that there is, until nothing comes any more.
    pub fn take_all(&mut self) {
        let mut before = usize::MAX;
        while self.taken != before {
            before = self.taken;
            self.client().try_send(Packet::PingReq);
            while self.take_one() {}
        }
    }

    fn take(&mut self, publish: Publish) {
        let payload = String::from_utf8(publish.payload.to_vec()).unwrap();
        let id = publish.packet_id.unwrap();
        let is_new = publish.qos != ExactlyOnce || !self.unreleased.contains(&id.get());
        if is_new {
            self.received.entry(payload).or_insert((publish.qos, 0)).1 += 1;
        }
        if publish.qos == ExactlyOnce {
            if is_new {
                self.unreleased.push(id.get());
            }
            self.client().try_send(Packet::PubRec(PubRec::new(id, ReasonCode::Success)));
        } else {
            self.client().try_send(Packet::PubAck(PubAck::new(id, ReasonCode::Success)));
        }
    }

    /// Asserts that all messages came that another end has published: 1, 2, …
    /// up to this one; those of QoS 2 once.
    pub fn assert_received(&self, last: usize) {
        for number in 1..=last {
            match self.received.get(&number.to_string()) {
                None => panic!("{number} is lost, of {} that came", self.received.len()),
                Some((QoS::ExactlyOnce, times)) => assert_eq!(*times, 1, "{number}"),
                Some(_) => {}
            }
        }
    }
}

/// The CONNECT of a client whose session outlives its connection.
pub fn resuming(version: ProtocolVersion, client_id: &str) -> Connect {
    let mut connect = Connect::new(version, client_id);
    connect.clean_start = false;
    if version.is_v5() {
        connect.properties.make_mut().session_expiry_interval = Some(3600);
    }
    connect
}
