//! What a client is told only when it is on disk, also where a connection
//! comes before that is so. Found by the fuzzer of whole sessions.
#![allow(clippy::unwrap_used)]

mod support;

use latchlight_broker::{AllowAll, Options};
use latchlight_mqtt::{Connect, Packet, ProtocolVersion, Publish, QoS, ReasonCode};
use support::{Client, Disk, PATIENCE, TestBroker, resuming};

use ProtocolVersion::V5;
use QoS::{AtMostOnce, ExactlyOnce};

#[test]
fn a_session_that_is_taken_over_before_it_is_on_disk_is_not_promised() {
    let disk = Disk::default();
    let broker = on(&disk);
    disk.hang();
    let mut first = say_connect(&broker, resuming(V5, "client"));
    broker.until("it is there", |broker| broker.counters().sessions == 1);
    first.expect_nothing_yet();
    let mut second = say_connect(&broker, resuming(V5, "client"));
    second.expect_nothing_yet();
    disk.work();
    assert!(connack(&mut second));
}

#[test]
fn a_session_that_lives_longer_than_before_is_promised_when_that_is_on_disk() {
    let disk = Disk::default();
    let broker = on(&disk);
    let mut short = resuming(V5, "client");
    short.properties.make_mut().session_expiry_interval = Some(600);
    Client::connect_with(broker.address(), short).0.vanish();
    disk.hang();
    let mut client = say_connect(&broker, resuming(V5, "client"));
    client.expect_nothing_yet();
    disk.work();
    assert!(connack(&mut client));
}

#[test]
fn a_session_that_is_forgotten_is_gone_from_the_disk_before_that_is_said() {
    let disk = Disk::default();
    let broker = on(&disk);
    Client::connect_with(broker.address(), resuming(V5, "client")).0.vanish();
    broker.until("it is gone", |broker| broker.clients().is_empty());
    disk.hang();
    for _ in 0..2 {
        let mut client = say_connect(&broker, Connect::new(V5, "client"));
        client.expect_nothing_yet();
    }
    disk.work();
    broker.until("it is forgotten", |_| disk.len() == 1);
}

/// Otherwise, after a power cut, another message could have its packet id,
/// and its receiver would take that for the same one.
#[test]
fn a_message_of_qos_2_that_is_sent_again_waits_for_its_packet_id_as_the_first_time() {
    let disk = Disk::default();
    let broker = on(&disk);
    let mut reader = Client::connect_with(broker.address(), resuming(V5, "reader")).0;
    reader.subscribe("a", ExactlyOnce);
    let mut writer = Client::connect(broker.address(), V5, "writer");
    disk.hang();
    let packet_id = Some(writer.next_id());
    let publish = Publish { qos: ExactlyOnce, packet_id, ..Publish::new("a", "x") };
    writer.send(Packet::Publish(publish));
    broker.until("it is taken", |broker| broker.counters().waiting_bytes > 0);
    reader.vanish();
    broker.until("it is gone", |broker| broker.clients().len() == 1);
    let mut reader = say_connect(&broker, resuming(V5, "reader"));
    assert!(connack(&mut reader));
    reader.expect_nothing_yet();
    disk.work();
    assert_eq!(reader.next_message().1, "x");
}

/// C28: also where a store that cannot write lets a client in that wants its
/// session to end.
#[test]
fn a_message_of_qos_2_that_comes_again_is_acknowledged_when_it_is_on_disk() {
    let disk = Disk::default();
    let broker = on(&disk);
    let mut writer = Client::connect_with(broker.address(), resuming(V5, "writer")).0;
    disk.hang();
    let packet_id = Some(writer.next_id());
    let publish = Publish { qos: ExactlyOnce, retain: true, packet_id, ..Publish::new("a", "x") };
    writer.send(Packet::Publish(publish.clone()));
    broker.until("it is taken", |broker| broker.counters().retained_messages > 0);
    disk.fail();
    broker.until("the store fails", |broker| broker.counters().store_errors > 0);
    writer.vanish();
    let connect = Connect { clean_start: false, ..Connect::new(V5, "writer") };
    let mut writer = say_connect(&broker, connect);
    assert!(connack(&mut writer));
    writer.send(Packet::Publish(Publish { dup: true, ..publish }));
    writer.send(Packet::PingReq);
    writer.expect_nothing_yet();
    disk.work();
    assert!(matches!(writer.next(), Packet::PubRec(_)));
}

/// [MQTT-3.14.4-1]: what waits for the store goes first, and DISCONNECT last.
#[test]
fn no_message_comes_behind_disconnect() {
    let disk = Disk::default();
    let broker = on(&disk);
    let mut reader = Client::connect_with(broker.address(), resuming(V5, "reader")).0;
    reader.subscribe("a", AtMostOnce);
    let mut writer = Client::connect(broker.address(), V5, "writer");
    disk.hang();
    reader.send(Packet::PingReq);
    assert_eq!(reader.next(), Packet::PingResp);
    let filters = vec!["b".try_into().unwrap()];
    let packet_id = reader.next_id();
    let properties = Default::default();
    let unsubscribe = latchlight_mqtt::Unsubscribe { packet_id, filters, properties };
    reader.send(Packet::Unsubscribe(unsubscribe));
    assert!(broker.disconnect("reader", ReasonCode::AdministrativeAction));
    let mut late = 0;
    broker.until("it is cut off", |broker| {
        writer.publish("a", "late", AtMostOnce);
        late += 1;
        broker.clients().len() == 1
    });
    disk.work();
    let mut is_told = false;
    while let Some(packet) = reader.try_next() {
        assert!(!is_told, "of {late}: {packet:?}");
        is_told = matches!(packet, Packet::Disconnect(_));
    }
}

/// MQTT 5, 3.1.2.11.2: it ends with its connection, so that nothing that was
/// on its way to it is passed over in silence.
#[test]
fn a_session_that_ends_with_its_connection_is_not_taken_over() {
    let broker = TestBroker::with_options(Options::default());
    let connect = Connect { clean_start: false, ..Connect::new(V5, "client") };
    let (mut first, _) = Client::connect_with(broker.address(), connect.clone());
    first.subscribe("a", ExactlyOnce);
    let (_second, answer) = Client::connect_with(broker.address(), connect);
    assert!(!answer.session_present);
    first.expect_disconnect(ReasonCode::SessionTakenOver);
    assert_eq!(broker.counters().sessions, 1);
    assert_eq!(broker.counters().subscriptions, 0);
}

fn on(disk: &Disk) -> TestBroker {
    TestBroker::build(|builder| builder.access(AllowAll).store(disk.clone()))
}

fn say_connect(broker: &TestBroker, connect: Connect) -> Client {
    let mut client = Client::open(broker.address(), V5);
    client.send(Packet::Connect(Box::new(connect)));
    client
}

/// The answer to CONNECT: whether the session is present.
fn connack(client: &mut Client) -> bool {
    match client.next() {
        Packet::ConnAck(answer) => answer.session_present,
        other => panic!("expected CONNACK, received {other:?}"),
    }
}

trait Silent {
    fn expect_nothing_yet(&mut self);
}

impl Silent for Client {
    /// Nothing comes for a while: what would come by mistake comes at once.
    fn expect_nothing_yet(&mut self) {
        let wait = std::time::Duration::from_millis(100);
        self.stream().set_read_timeout(Some(wait)).unwrap();
        let mut byte = [0];
        let error = self.stream().peek(&mut byte).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
        self.stream().set_read_timeout(Some(PATIENCE)).unwrap();
    }
}
