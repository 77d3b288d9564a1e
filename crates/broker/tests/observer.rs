//! Observers: what they are told, when, and in which order.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::{Arc, Mutex};

use latchlight_broker::{
    AllowAll, ClientInfo, CountersSnapshot, DenyAll, InlinePublish, Interests, Observer, Options,
    Publication, WhenOfflineFull,
};
use latchlight_mqtt::ProtocolVersion::{V5, V311};
use latchlight_mqtt::QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};
use latchlight_mqtt::{Connect, Packet, Properties, PubAck, Publish, ReasonCode, Will};

use support::{Client, Diary, TestBroker};

fn start(interests: Interests, options: Options) -> (TestBroker, Diary) {
    let diary = Diary::of(interests);
    let seen = diary.clone();
    let broker =
        TestBroker::build(|builder| builder.options(options).access(AllowAll).observer(seen));
    (broker, diary)
}

fn durable(broker: &TestBroker, client_id: &str, clean_start: bool, seconds: u32) -> Client {
    let mut connect = Connect { clean_start, ..Connect::new(V5, client_id) };
    connect.properties.make_mut().session_expiry_interval = Some(seconds);
    Client::connect_with(broker.address(), connect).0
}

#[test]
fn the_life_of_broker_client_and_session_is_told_in_order() {
    let (mut broker, diary) = start(Interests::NONE, Options::default());
    diary.until(&broker, "tick");
    let mut client = durable(&broker, "door", true, 600);
    client.subscribe("a", AtLeastOnce);
    client.unsubscribe("a");
    client.subscribe("b", AtMostOnce);
    client.disconnect();
    diary.until(&broker, "door gone: Success, ended false");
    let mut client = durable(&broker, "door", false, 0);
    client.publish("a", "not asked about", AtMostOnce);
    client.disconnect();
    diary.until(&broker, "door gone: Success, ended true");
    broker.close();
    let expected = [
        "started",
        "tick",
        "door connected",
        "door has its session, present false",
        "door subscribed a AtLeastOnce",
        "door unsubscribed a",
        "door subscribed b AtMostOnce",
        "door gone: Success, ended false",
        "door connected",
        "door subscribed b AtMostOnce",
        "door has its session, present true",
        "door gone: Success, ended true",
        "stopped",
    ];
    assert_eq!(diary.lines(), expected);
}

#[test]
fn who_is_not_let_in_is_told_of() {
    let diary = Diary::of(Interests::ALL);
    let seen = diary.clone();
    let broker = TestBroker::build(|builder| builder.access(DenyAll).observer(seen));
    let (_, connack) = Client::try_connect(broker.address(), Connect::new(V5, "thief"));
    assert_eq!(connack.reason, ReasonCode::NotAuthorized);
    diary.until(&broker, "thief refused: NotAuthorized");
    assert!(!diary.holds("thief connected"));
}

#[test]
fn packets_are_told_of_as_they_are_read_processed_and_sent() {
    for version in [V311, V5] {
        let interests = Interests { packets: true, ..Interests::NONE };
        let (broker, diary) = start(interests, Options::default());
        let connect = Connect {
            username: Some("u".into()),
            password: Some("secret".into()),
            ..Connect::new(version, "door")
        };
        let mut client = Client::connect_with(broker.address(), connect).0;
        client.subscribe("a", AtMostOnce);
        let id = client.next_id();
        let message = Publish { qos: AtLeastOnce, packet_id: Some(id), ..Publish::new("a", "x") };
        client.send(Packet::Publish(message));
        assert_eq!(client.next_message().1, "x");
        client.next_puback(id);
        client.expect_nothing();
        client.send_bytes(&[0x10, 0]);
        client.expect_disconnect(ReasonCode::MalformedPacket);
        let lines = diary.until(&broker, "door gone: MalformedPacket, ended true");
        let lines: Vec<_> = lines.iter().filter(|line| *line != "tick").collect();
        let mut expected = vec![
            "started",
            "door read Connect",
            "door sent ConnAck",
            "door connected",
            "door has its session, present false",
            "door read Subscribe",
            "door subscribed a AtMostOnce",
            "door sent SubAck",
            "door processed Subscribe: Ok(())",
            "door read Publish",
            "door sent Publish",
            "door processed Publish: Ok(())",
            "door sent PubAck",
            "door read PingReq",
            "door processed PingReq: Ok(())",
            "door sent PingResp",
        ];
        if version == V5 {
            expected.push("door sent Disconnect");
        }
        expected.push("door gone: MalformedPacket, ended true");
        assert_eq!(lines, expected);
    }
}

#[test]
fn messages_are_told_of_with_what_becomes_of_them() {
    let interests = Interests { messages: true, ..Interests::NONE };
    let options = Options { max_retained_messages: 1, ..Options::default() };
    let (broker, diary) = start(interests, options);
    let mut door = durable(&broker, "door", true, 600);
    door.subscribe("a", AtLeastOnce);
    let mut publisher = Client::connect(broker.address(), V5, "hand");
    publisher.publish_retained("kept", "1", AtMostOnce);
    publisher.publish_retained("more", "2", AtMostOnce);
    publisher.drain();
    door.subscribe("kept", AtMostOnce);
    assert_eq!(door.next_message().1, "1");
    door.disconnect();
    diary.until(&broker, "door gone: Success, ended false");
    publisher.publish("a", "lost", AtMostOnce);
    publisher.publish_retained("kept", "", AtMostOnce);
    publisher.drain();
    broker.inline().publish(InlinePublish::new("b".try_into().unwrap(), "own"));
    let lines = diary.lines();
    let lines: Vec<_> = lines
        .iter()
        .map(String::as_str)
        .filter(|line| ["nobody", "hand", "door"].iter().any(|who| line.starts_with(who)))
        .filter(|line| !line.contains("connected") && !line.contains("session"))
        .collect();
    let expected = [
        "door subscribed a AtLeastOnce",
        "hand retained kept=1",
        "hand published kept=1",
        "nobody dropped more=2: RetainedFull",
        "door subscribed kept AtMostOnce",
        "door gets retained kept=1",
        "door gone: Success, ended false",
        "door dropped a=lost: Offline",
        "hand published a=lost",
        "hand retained kept=",
        "door dropped kept=: Offline",
        "hand published kept=",
        "nobody published b=own",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn what_an_administrator_forgets_is_told_of() {
    let interests = Interests { messages: true, ..Interests::NONE };
    let (broker, diary) = start(interests, Options::default());
    let mut client = Client::connect(broker.address(), V5, "hand");
    for topic in ["a", "b/1", "b/2"] {
        client.publish_retained(topic, "x", AtLeastOnce);
    }
    assert!(broker.forget_retained("a") && !broker.forget_retained("a"));
    assert_eq!(broker.clear_retained(&"b/+".try_into().unwrap()), 2);
    let lines = diary.lines();
    let told: Vec<_> = lines.iter().filter(|line| line.starts_with("nobody retained")).collect();
    assert_eq!(told, ["nobody retained a=", "nobody retained b/1=", "nobody retained b/2="]);
}

#[test]
fn a_full_queue_tells_what_it_drops() {
    for (when_full_offline, dropped) in
        [(WhenOfflineFull::DropNewest, "2"), (WhenOfflineFull::DropOldest, "1")]
    {
        let interests = Interests { messages: true, ..Interests::NONE };
        let options = Options { max_queued_messages: 1, when_full_offline, ..Options::default() };
        let (broker, diary) = start(interests, options);
        let mut door = durable(&broker, "door", true, 600);
        door.subscribe("a", AtLeastOnce);
        door.disconnect();
        diary.until(&broker, "door gone: Success, ended false");
        let mut publisher = Client::connect(broker.address(), V5, "hand");
        publisher.publish("a", "1", AtLeastOnce);
        publisher.publish("a", "2", AtLeastOnce);
        assert!(diary.holds(&format!("door dropped a={dropped}: QueueFull")));
        // A clean start throws away what is left.
        durable(&broker, "door", true, 0);
        let left = if dropped == "1" { "2" } else { "1" };
        diary.until(&broker, &format!("door dropped a={left}: SessionEnded"));
    }
}

#[test]
fn exchanges_are_told_of_from_the_first_sending_to_their_end() {
    let interests = Interests { exchanges: true, ..Interests::NONE };
    let (broker, diary) = start(interests, Options::default());
    let receiver = |clean_start| {
        let mut connect = Connect { clean_start, ..Connect::new(V5, "door") };
        let properties = connect.properties.make_mut();
        properties.session_expiry_interval = Some(600);
        properties.receive_maximum = Some(1);
        Client::connect_with(broker.address(), connect).0
    };
    let mut door = receiver(true);
    door.subscribe("a", AtLeastOnce);
    let mut publisher = Client::connect(broker.address(), V5, "hand");
    publisher.publish("a", "1", AtLeastOnce);
    let first = door.next_publish();
    publisher.publish("a", "2", AtLeastOnce);
    assert!(diary.holds("door exhausted by a=2"));
    door.vanish();
    diary.until(&broker, "door gone: UnspecifiedError, ended false");
    let mut door = receiver(false);
    assert_eq!(door.next_publish().packet_id, first.packet_id);
    door.send(Packet::PubAck(PubAck::new(first.packet_id.unwrap(), ReasonCode::Success)));
    let second = door.next_publish();
    let refused = PubAck::new(second.packet_id.unwrap(), ReasonCode::ImplementationSpecificError);
    door.send(Packet::PubAck(refused));
    door.drain();
    let (first, second) = (first.packet_id.unwrap(), second.packet_id.unwrap());
    let lines: Vec<_> =
        diary.lines().into_iter().filter(|line| line.starts_with("door qos")).collect();
    let expected = [
        format!("door qos {first} a=1, resent false"),
        format!("door qos {first} a=1, resent true"),
        format!("door qos {first} completed"),
        format!("door qos {second} a=2, resent false"),
        format!("door qos {second} dropped"),
    ];
    assert_eq!(lines, expected);
}

#[test]
fn exchanges_that_end_with_their_session_are_dropped() {
    let interests = Interests { exchanges: true, ..Interests::NONE };
    let (broker, diary) = start(interests, Options::default());
    let mut door = Client::connect(broker.address(), V311, "door");
    door.subscribe("a", ExactlyOnce);
    let mut publisher = Client::connect(broker.address(), V5, "hand");
    publisher.publish("a", "1", AtLeastOnce);
    let id = door.next_publish().packet_id.unwrap();
    assert!(diary.holds(&format!("door qos {id} a=1, resent false")));
    door.disconnect();
    diary.until(&broker, &format!("door qos {id} dropped"));
}

#[test]
fn wills_and_what_expires_are_told_of() {
    let (broker, diary) = start(Interests::ALL, Options::default());
    let mut connect = Connect { will: Some(will("wills/door")), ..Connect::new(V5, "door") };
    connect.properties.make_mut().session_expiry_interval = Some(1);
    let door = Client::connect_with(broker.address(), connect).0;
    let mut publisher = Client::connect(broker.address(), V5, "hand");
    let mut short = Publish { retain: true, ..Publish::new("short", "lived") };
    short.properties.make_mut().message_expiry_interval = Some(1);
    publisher.send(Packet::Publish(short));
    publisher.drain();
    door.vanish();
    diary.until(&broker, "door will wills/door=gone");
    diary.until(&broker, "door expired");
    diary.until(&broker, "short expired");
}

fn will(topic: &str) -> Will {
    Will {
        topic: topic.try_into().unwrap(),
        payload: "gone".into(),
        qos: AtMostOnce,
        retain: false,
        properties: Properties::new(),
    }
}

/// Panics whenever it is told of a message, a tick, or the stop.
struct Clumsy;

impl Observer for Clumsy {
    fn published(&self, _: Option<&Arc<ClientInfo>>, message: &Publication) {
        assert_ne!(message.topic.as_str(), "bad", "clumsy");
    }

    fn system_tick(&self, _: &CountersSnapshot) {
        panic!("clumsy");
    }

    fn will_sent(&self, _: &Arc<ClientInfo>, _: &Publication) {
        panic!("clumsy");
    }

    fn stopped(&self) {
        panic!("clumsy");
    }
}

#[test]
fn an_observer_that_panics_ends_its_client_and_not_the_broker() {
    let diary = Diary::of(Interests::ALL);
    let seen = diary.clone();
    let mut broker =
        TestBroker::build(|builder| builder.access(AllowAll).observer(Clumsy).observer(seen));
    // The housekeeper goes on, and the next observer is told all the same.
    diary.until(&broker, "tick");
    let connect = Connect { will: Some(will("wills/door")), ..Connect::new(V5, "door") };
    let mut door = Client::connect_with(broker.address(), connect).0;
    let mut other = Client::connect(broker.address(), V5, "hand");
    other.subscribe("#", AtMostOnce);
    door.send(Packet::Publish(Publish::new("bad", "x")));
    door.expect_disconnect(ReasonCode::UnspecifiedError);
    assert_eq!(other.next_message().0, "bad");
    assert_eq!(other.next_message().0, "wills/door");
    diary.until(&broker, "door will wills/door=gone");
    let reason = broker.inline().publish(InlinePublish::new("bad".try_into().unwrap(), "own"));
    assert_eq!(reason, ReasonCode::Success);
    assert_eq!(other.next_message().1, "own");
    diary.until(&broker, "nobody published bad=own");
    broker.close();
    assert!(diary.holds("stopped"));
}

/// Publishes again what it sees, once.
struct Echo(Arc<Mutex<Option<latchlight_broker::InlineClient>>>);

impl Observer for Echo {
    fn published(&self, publisher: Option<&Arc<ClientInfo>>, message: &Publication) {
        let inline = self.0.lock().unwrap().clone();
        if let (Some(inline), Some(_)) = (inline, publisher) {
            let topic = format!("echo/{}", message.topic).try_into().unwrap();
            inline.publish(InlinePublish::new(topic, message.payload.clone()));
        }
    }
}

#[test]
fn an_observer_may_use_the_broker() {
    let inline = Arc::default();
    let echo = Echo(Arc::clone(&inline));
    let broker = TestBroker::build(|builder| builder.access(AllowAll).observer(echo));
    *inline.lock().unwrap() = Some(broker.inline());
    let mut client = Client::connect(broker.address(), V5, "door");
    client.subscribe("#", AtLeastOnce);
    client.send(Packet::Publish(Publish::new("a", "x")));
    assert_eq!(client.next_message().0, "a");
    assert_eq!(client.next_message().0, "echo/a");
    client.expect_nothing();
}
