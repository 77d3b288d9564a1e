//! Wills (MQTT 5.0 and 3.1.1, 3.1.2.5 to 3.1.2.7 and 3.1.3.2).

use latchlight_mqtt::{
    Connect, Disconnect, Packet, PacketType, ProtocolVersion, QoS, ReasonCode, SubscriptionOptions,
    Will,
};

use crate::bytes::{STANDARDS, connect, field, packet, properties, publish, will};
use crate::support::{Client, TestBroker, VERSIONS};
use ProtocolVersion::V5;
use QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};

const WILL: u8 = 0x04;
const RETAIN: u8 = 0x20;

/// 5.0: [MQTT-3.1.2-9], [MQTT-3.1.2-11], [MQTT-3.1.2-12], [MQTT-3.1.2-13];
/// 3.1.1: [MQTT-3.1.2-9], [MQTT-3.1.2-11], [MQTT-3.1.2-13], [MQTT-3.1.2-14],
/// [MQTT-3.1.2-15].
#[test]
fn flags_and_fields_of_a_will_go_together() {
    let broker = TestBroker::start();
    for version in STANDARDS {
        for flag in [0, WILL] {
            for qos in 0..4_u8 {
                for retain in [0, RETAIN] {
                    for parts in 0..4 {
                        let of_will = [properties(version, &[]), field("topic"), field("message")];
                        let payload = [&[field("client")], &of_will[..parts]].concat();
                        // The first part is there in MQTT 5 only.
                        let whole = if flag == 0 { 0 } else { 3 };
                        let fields_fit =
                            payload.concat().len() == 8 + of_will[..whole].concat().len();
                        let flags_fit = if flag == 0 { qos | retain == 0 } else { qos < 3 };
                        let mut client = Client::open(broker.address(), version);
                        let flags = flag | qos << 3 | retain | 0x02;
                        client.send_bytes(&connect(version, flags, &payload));
                        if flags_fit && fields_fit {
                            assert!(matches!(client.next(), Packet::ConnAck(_)));
                            client.disconnect();
                        } else {
                            client.expect_not_let_in(&format!("{flags:08b}, {parts} fields"));
                        }
                    }
                }
            }
        }
    }
}

/// 5.0: [MQTT-3.1.2-7], [MQTT-3.1.2-8], [MQTT-3.1.2-10];
/// 3.1.1: [MQTT-3.1.2-8], [MQTT-3.1.2-10].
#[test]
fn a_will_is_published_once_however_its_connection_ends_without_a_goodbye() {
    let broker = TestBroker::start();
    let mut watcher = watcher(&broker);
    type Way = fn(&mut Client);
    for version in STANDARDS {
        let ends: [(u16, Way); 4] = [
            (0, |client| client.finish_sending()),
            // It breaks the protocol, or ends within a packet.
            (0, |client| client.send_bytes(&[0xF1, 0])),
            (0, |client| {
                client.send_bytes(&[0x30, 100, 0]);
                client.finish_sending();
            }),
            // It is silent.
            (2, |_| {}),
        ];
        for (keep_alive, end) in ends {
            let connect = Connect { keep_alive, ..with_will(version, AtLeastOnce, false) };
            let (mut client, _) = Client::connect_with(broker.address(), connect);
            watcher.expect_nothing();
            end(&mut client);
            assert_eq!(watcher.next_message(), ("topic".into(), "gone".into()));
        }
        Client::connect_with(broker.address(), with_will(version, AtLeastOnce, false)).0.vanish();
        assert_eq!(watcher.next_message().1, "gone");
        // It is not there for the client's next connection.
        Client::connect(broker.address(), version, "client").vanish();
        broker.until("it is gone", |broker| broker.counters().connections == 1);
        watcher.expect_nothing();
    }
}

/// 5.0: [MQTT-3.1.2-10], [MQTT-3.14.4-3], [MQTT-3.1.2-8];
/// 3.1.1: [MQTT-3.1.2-10], [MQTT-3.1.2-12], [MQTT-3.14.4-3].
#[test]
fn a_will_is_not_published_after_a_goodbye_nor_without_the_flag() {
    let broker = TestBroker::start();
    let mut watcher = watcher(&broker);
    for version in VERSIONS {
        let connect = with_will(version, AtLeastOnce, false);
        // The goodbye closes the connection, too.
        Client::connect_with(broker.address(), connect).0.disconnect();
        Client::connect(broker.address(), version, "client").vanish();
        broker.until("they are gone", |broker| broker.counters().sessions == 1);
        watcher.expect_nothing();
    }
    // MQTT 5 has other goodbyes.
    for reason in ReasonCode::ALL {
        if reason != ReasonCode::Success && reason.fits(PacketType::Disconnect) {
            let connect = with_will(V5, AtLeastOnce, false);
            let (client, _) = Client::connect_with(broker.address(), connect);
            client.disconnect_with(Disconnect::new(reason));
            assert_eq!(watcher.next_message().1, "gone", "after {reason:?}");
        }
    }
}

/// 5.0: [MQTT-3.1.2-12], [MQTT-3.1.2-14], [MQTT-3.1.2-15];
/// 3.1.1: [MQTT-3.1.2-14], [MQTT-3.1.2-16], [MQTT-3.1.2-17].
#[test]
fn a_will_has_the_qos_and_retain_of_its_flags() {
    let broker = TestBroker::start();
    let mut watcher = watcher(&broker);
    for version in STANDARDS {
        for qos in [AtMostOnce, AtLeastOnce, ExactlyOnce] {
            for retain in [false, true] {
                Client::connect_with(broker.address(), with_will(version, qos, retain)).0.vanish();
                let received = watcher.next_publish();
                assert_eq!((received.qos, received.retain), (qos, retain));
                watcher.acknowledge(&received);
                let mut late = Client::connect(broker.address(), version, "late");
                late.subscribe("topic", ExactlyOnce);
                if retain {
                    let kept = late.next_publish();
                    assert_eq!((kept.qos, kept.retain), (qos, true));
                    late.acknowledge(&kept);
                    // It takes its own message, so it is not waited for here.
                    late.send_bytes(&publish(version, 0x31, "topic", 0, ""));
                    assert_eq!([watcher.next_message().1, late.next_message().1], ["", ""]);
                }
                late.expect_nothing();
                late.disconnect();
            }
        }
    }
}

/// 5.0: [MQTT-3.1.3-9], [MQTT-3.1.2-8].
#[test]
fn a_will_waits_for_its_delay_or_the_end_of_its_session() {
    let broker = TestBroker::start();
    let mut watcher = watcher(&broker);
    let connect = |clean_start, expiry, delay| {
        let mut connect = Connect { clean_start, ..with_will(V5, AtLeastOnce, false) };
        connect.properties.make_mut().session_expiry_interval = Some(expiry);
        let will = connect.will.as_mut().unwrap();
        will.properties.make_mut().will_delay_interval = Some(delay);
        connect
    };
    let gone = || broker.until("it is gone", |broker| broker.counters().connections == 1);
    // Back in time, whatever the new connection's own will says.
    Client::connect_with(broker.address(), connect(true, 600, 600)).0.vanish();
    gone();
    let (client, connack) = Client::connect_with(broker.address(), connect(false, 600, 600));
    assert!(connack.session_present);
    watcher.expect_nothing();
    client.disconnect();
    // The delay is over.
    Client::connect_with(broker.address(), connect(true, 600, 3)).0.vanish();
    gone();
    watcher.expect_nothing();
    assert_eq!(watcher.next_message().1, "gone");
    // The session is over: at once, after its expiry, by a clean start.
    Client::connect_with(broker.address(), connect(true, 0, 600)).0.vanish();
    assert_eq!(watcher.next_message().1, "gone");
    Client::connect_with(broker.address(), connect(true, 1, 600)).0.vanish();
    assert_eq!(watcher.next_message().1, "gone");
    Client::connect_with(broker.address(), connect(true, 600, 600)).0.vanish();
    gone();
    watcher.expect_nothing();
    Client::connect(broker.address(), V5, "client").disconnect();
    assert_eq!(watcher.next_message().1, "gone");
    watcher.expect_nothing();
}

/// 5.0: [MQTT-3.1.3-10].
#[test]
fn a_will_keeps_its_properties_and_their_order() {
    let broker = TestBroker::start();
    let mut watcher = Client::connect(broker.address(), V5, "watcher");
    watcher.subscribe("topic", AtMostOnce);
    let pair = |name: &str, value: &str| [vec![0x26], field(name), field(value)].concat();
    let user = [pair("b", "1"), pair("a", "2"), pair("b", "1"), pair("", "")].concat();
    let rest =
        [vec![0x01, 1, 0x03], field("text"), vec![0x08], field("answer"), vec![0x09], field("9")];
    let all = [rest.concat(), user].concat();
    let of_will = [properties(V5, &all), field("topic"), field("gone")].concat();
    let mut client = Client::open(broker.address(), V5);
    client.send_bytes(&connect(V5, WILL | 0x02, &[field("client"), of_will]));
    assert!(matches!(client.next(), Packet::ConnAck(_)));
    client.vanish();
    let body = [field("topic"), properties(V5, &all), b"gone".into()].concat();
    assert_eq!(watcher.next_bytes(), packet(0x30, &body));
    // An empty one is one, too.
    let mut client = Client::open(broker.address(), V5);
    client.send_bytes(&connect(V5, WILL | 0x02, &[field("client"), will(V5, "topic", "")]));
    assert!(matches!(client.next(), Packet::ConnAck(_)));
    client.vanish();
    assert_eq!(watcher.next_message(), ("topic".into(), String::new()));
}

fn with_will(version: ProtocolVersion, qos: QoS, retain: bool) -> Connect {
    let will = Will {
        topic: "topic".try_into().unwrap(),
        payload: "gone".into(),
        qos,
        retain,
        properties: Default::default(),
    };
    Connect { will: Some(will), ..Connect::new(version, "client") }
}

/// A client that sees wills as they were published.
fn watcher(broker: &TestBroker) -> Client {
    let mut watcher = Client::connect(broker.address(), V5, "watcher");
    let options =
        SubscriptionOptions { retain_as_published: true, ..SubscriptionOptions::qos(ExactlyOnce) };
    watcher.try_subscribe("topic", options);
    watcher
}
