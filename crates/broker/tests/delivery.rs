//! The access hook at delivery: who may not receive a topic gets nothing of
//! it, whatever brings it.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use latchlight_broker::{
    Access, ClientInfo, ConnectRequest, InlinePublish, LiveStatus, Options, PublishRequest,
    Refusal, SubscriptionOptions,
};
use latchlight_mqtt::{Connect, ProtocolVersion, QoS, ReasonCode};
use support::{Client, Disk, TestBroker, VERSIONS, resuming};

use ProtocolVersion::V5;
use QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};

/// Everybody may subscribe to everything; who may not read what is said while
/// the broker runs.
#[derive(Clone, Default)]
struct Readers {
    refused: Arc<Mutex<BTreeSet<(String, String)>>>,
    asked: Arc<AtomicUsize>,
}

impl Readers {
    fn refuse(&self, client_id: &str, topic: &str) {
        self.refused.lock().unwrap().insert((client_id.to_owned(), topic.to_owned()));
    }
}

#[async_trait]
impl Access for Readers {
    async fn authenticate(&self, request: &ConnectRequest<'_>) -> Result<Arc<str>, ReasonCode> {
        Ok(request.client_id.into())
    }

    fn authorize_publish(&self, _: &ClientInfo, _: &PublishRequest<'_>) -> Result<(), Refusal> {
        Ok(())
    }

    fn authorize_subscribe(&self, _: &ClientInfo, _: &str) -> Result<(), ReasonCode> {
        Ok(())
    }

    fn checks_delivery(&self) -> bool {
        true
    }

    fn authorize_receive(&self, client: &ClientInfo, topic: &str) -> bool {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let refused = self.refused.lock().unwrap();
        !refused.contains(&(client.client_id.to_string(), topic.to_owned()))
    }
}

fn start() -> (TestBroker, Readers) {
    let readers = Readers::default();
    (TestBroker::with_access(readers.clone()), readers)
}

fn publisher(broker: &TestBroker) -> Client {
    Client::connect(broker.address(), V5, "publisher")
}

fn resume(broker: &TestBroker, client_id: &str) -> Client {
    Client::connect_with(broker.address(), resuming(V5, client_id)).0
}

#[test]
fn a_wildcard_brings_what_the_client_may_read_and_no_more() {
    let (broker, readers) = start();
    readers.refuse("reader", "secret/x");
    for version in VERSIONS {
        for filter in ["#", "+/+", "secret/#", "secret/x"] {
            let mut reader = Client::connect(broker.address(), version, "reader");
            reader.subscribe(filter, AtLeastOnce);
            let mut other = Client::connect(broker.address(), version, "other");
            other.subscribe(filter, AtLeastOnce);
            let mut publisher = publisher(&broker);
            for qos in [AtMostOnce, AtLeastOnce, ExactlyOnce] {
                assert_eq!(publisher.publish("secret/x", "s", qos), ReasonCode::Success);
                publisher.publish("secret/y", "free", qos);
                assert_eq!(other.next_message().0, "secret/x");
                if filter != "secret/x" {
                    assert_eq!(other.next_message().0, "secret/y");
                    assert_eq!(reader.next_message().0, "secret/y", "{version} {filter}");
                }
            }
            reader.expect_nothing();
        }
    }
    assert_eq!(broker.counters().deliveries_refused, 36);
}

#[test]
fn the_process_itself_is_not_asked_about() {
    let (broker, _) = start();
    let inline = broker.inline();
    let options = SubscriptionOptions::default();
    let mut messages = inline.subscribe("#".try_into().unwrap(), options).unwrap();
    publisher(&broker).publish("secret/x", "s", AtLeastOnce);
    let message = broker.wait(messages.next()).unwrap();
    assert_eq!(message.topic, "secret/x");
}

/// By each thread, that is: a connection may move from one to another when a
/// core is busy.
#[test]
fn each_reader_of_a_topic_is_asked_about_once() {
    let readers = Readers::default();
    let broker = TestBroker::build(|builder| {
        let options = Options { threads: 1, ..Options::default() };
        builder.options(options).access(readers.clone())
    });
    readers.refuse("two", "a");
    let mut one = Client::connect(broker.address(), V5, "one");
    let mut two = Client::connect(broker.address(), V5, "two");
    one.subscribe("#", AtMostOnce);
    two.subscribe("#", AtMostOnce);
    let mut publisher = publisher(&broker);
    for _ in 0..100 {
        publisher.publish("a", "x", AtLeastOnce);
        one.next_publish();
    }
    assert_eq!(readers.asked.load(Ordering::Relaxed), 2);
    two.expect_nothing();
    // And again when the rules are looked at again.
    broker.review();
    publisher.publish("a", "x", AtLeastOnce);
    one.next_publish();
    assert_eq!(readers.asked.load(Ordering::Relaxed), 4);
}

/// What a hook says that does not check deliveries is not asked for.
#[test]
fn a_hook_that_does_not_check_is_not_asked() {
    struct Unasked;

    #[async_trait]
    impl Access for Unasked {
        async fn authenticate(&self, _: &ConnectRequest<'_>) -> Result<Arc<str>, ReasonCode> {
            Ok("anyone".into())
        }

        fn authorize_publish(&self, _: &ClientInfo, _: &PublishRequest<'_>) -> Result<(), Refusal> {
            Ok(())
        }

        fn authorize_subscribe(&self, _: &ClientInfo, _: &str) -> Result<(), ReasonCode> {
            Ok(())
        }

        fn authorize_receive(&self, _: &ClientInfo, _: &str) -> bool {
            panic!("it was not to be asked")
        }
    }

    let broker = TestBroker::with_access(Unasked);
    let mut reader = Client::connect(broker.address(), V5, "reader");
    publisher(&broker).publish_retained("a", "kept", AtLeastOnce);
    reader.subscribe("#", AtLeastOnce);
    assert_eq!(reader.next_message().1, "kept");
    publisher(&broker).publish("a", "x", AtLeastOnce);
    assert_eq!(reader.next_message().1, "x");
    broker.review();
}

#[test]
fn kept_messages_are_held_back_as_well() {
    let (broker, readers) = start();
    readers.refuse("reader", "kept/secret");
    let mut publisher = publisher(&broker);
    publisher.publish_retained("kept/secret", "s", AtLeastOnce);
    publisher.publish_retained("kept/free", "free", AtLeastOnce);
    let mut reader = Client::connect(broker.address(), V5, "reader");
    for filter in ["kept/#", "kept/+", "kept/secret", "#"] {
        reader.subscribe(filter, AtMostOnce);
        if filter != "kept/secret" {
            assert_eq!(reader.next_message().0, "kept/free");
        }
        reader.expect_nothing();
    }
}

#[test]
fn what_waits_is_looked_at_again_when_its_reader_comes_back() {
    let (broker, readers) = start();
    let mut reader = resume(&broker, "reader");
    reader.subscribe("#", ExactlyOnce);
    reader.vanish();
    let mut publisher = publisher(&broker);
    for topic in ["a", "b", "c"] {
        publisher.publish(topic, "x", AtLeastOnce);
    }
    readers.refuse("reader", "b");
    let mut reader = resume(&broker, "reader");
    assert_eq!(reader.next_message().0, "a");
    assert_eq!(reader.next_message().0, "c");
    reader.expect_nothing();
    assert_eq!(broker.counters().deliveries_refused, 1);
}

#[test]
fn what_was_in_flight_is_not_sent_again() {
    for reviews in [true, false] {
        let (broker, readers) = start();
        let mut reader = resume(&broker, "reader");
        reader.subscribe("#", ExactlyOnce);
        let mut publisher = publisher(&broker);
        publisher.publish("a", "1", AtLeastOnce);
        publisher.publish("b", "2", ExactlyOnce);
        publisher.publish("c", "3", AtLeastOnce);
        let ids: Vec<_> = (0..3).map(|_| reader.next_publish().packet_id.unwrap()).collect();
        reader.vanish();
        readers.refuse("reader", "a");
        readers.refuse("reader", "b");
        if reviews {
            broker.until("it is gone", |broker| broker.clients().len() == 1);
            broker.review();
        }
        let mut reader = resume(&broker, "reader");
        // The client may have the second one under its id: it is to forget it
        // before another one gets that.
        reader.next_pubrel(ids[1]);
        reader.pubcomp(ids[1]);
        let again = reader.next_publish();
        assert_eq!((&*again.topic, again.dup, again.packet_id), ("c", true, Some(ids[2])));
        reader.acknowledge(&again);
        reader.expect_nothing();
    }
}

#[test]
fn a_member_of_a_shared_subscription_that_may_not_is_passed_over() {
    let (broker, readers) = start();
    readers.refuse("one", "jobs/secret");
    let mut members = ["one", "two"].map(|id| Client::connect(broker.address(), V5, id));
    for member in &mut members {
        member.subscribe("$share/group/jobs/#", AtMostOnce);
    }
    let mut publisher = publisher(&broker);
    for number in 0..6 {
        publisher.publish("jobs/secret", &number.to_string(), AtLeastOnce);
    }
    for number in 0..6 {
        assert_eq!(members[1].next_message().1, number.to_string());
    }
    for _ in 0..6 {
        publisher.publish("jobs/free", "x", AtLeastOnce);
    }
    for member in &mut members {
        for _ in 0..3 {
            assert_eq!(member.next_message().0, "jobs/free");
        }
        member.expect_nothing();
    }
}

/// What nobody of a group may read goes to nobody, also when a member leaves.
#[test]
fn what_a_member_leaves_goes_to_who_may_read_it() {
    let (broker, readers) = start();
    let mut leaver = Client::connect(broker.address(), V5, "leaver");
    leaver.subscribe("$share/group/jobs/#", AtLeastOnce);
    let mut publisher = publisher(&broker);
    publisher.publish("jobs/secret", "s", AtLeastOnce);
    publisher.publish("jobs/free", "x", AtLeastOnce);
    readers.refuse("other", "jobs/secret");
    let mut other = Client::connect(broker.address(), V5, "other");
    other.subscribe("$share/group/jobs/#", AtLeastOnce);
    leaver.vanish();
    assert_eq!(other.next_message().0, "jobs/free");
    other.expect_nothing();
}

#[test]
fn after_a_review_nothing_comes_any_more_that_was_allowed_before() {
    let (broker, readers) = start();
    let connect = || {
        let mut connect = Connect::new(V5, "reader");
        connect.properties.make_mut().receive_maximum = Some(1);
        connect
    };
    let (mut reader, _) = Client::connect_with(broker.address(), connect());
    reader.subscribe("#", AtLeastOnce);
    let mut publisher = publisher(&broker);
    for topic in ["a", "b", "a"] {
        publisher.publish(topic, "x", AtLeastOnce);
    }
    let first = reader.next_publish();
    // The others wait for its acknowledgement.
    readers.refuse("reader", "a");
    assert_eq!(broker.review(), 0);
    publisher.publish("a", "x", AtLeastOnce);
    reader.acknowledge(&first);
    let second = reader.next_publish();
    assert_eq!(second.topic, "b");
    reader.acknowledge(&second);
    reader.expect_nothing();
    broker.until("nothing waits", |broker| broker.counters().waiting_bytes == 0);
}

#[test]
fn a_live_publish_passes_who_may_not_receive_it() {
    let (broker, readers) = start();
    readers.refuse("reader", "door/down");
    let mut reader = Client::connect(broker.address(), V5, "reader");
    let mut door = Client::connect(broker.address(), V5, "door");
    reader.subscribe("door/+", AtMostOnce);
    door.subscribe("door/+", AtLeastOnce);
    let publish = InlinePublish::new("door/down".try_into().unwrap(), "unlock");
    let mut live = broker.inline().publish_live(publish, Duration::from_secs(10));
    let publish = door.next_publish();
    door.acknowledge(&publish);
    let mut seen = BTreeSet::new();
    loop {
        let event = broker.wait(live.next()).unwrap();
        seen.insert(event.client.client_id.to_string());
        if event.what == LiveStatus::Delivered {
            break;
        }
    }
    assert_eq!(seen, BTreeSet::from(["door".to_owned()]));
    reader.expect_nothing();
}

/// Who is asked about is known only when somebody comes.
#[test]
fn what_a_store_brings_back_is_looked_at_when_its_reader_comes() {
    let disk = Disk::default();
    let readers = Readers::default();
    let on = |disk: &Disk| {
        TestBroker::build(|builder| builder.access(readers.clone()).store(disk.clone()))
    };
    let mut broker = on(&disk);
    let mut reader = resume(&broker, "reader");
    reader.subscribe("#", AtLeastOnce);
    reader.vanish();
    let mut publisher = publisher(&broker);
    publisher.publish("a", "before", AtLeastOnce);
    publisher.publish("b", "before", AtLeastOnce);
    broker.close();
    readers.refuse("reader", "a");
    let broker = on(&disk);
    let mut publisher = Client::connect(broker.address(), V5, "publisher");
    publisher.publish("a", "after", AtLeastOnce);
    publisher.publish("b", "after", AtLeastOnce);
    let mut reader = resume(&broker, "reader");
    for expected in ["before", "after"] {
        assert_eq!(reader.next_message(), ("b".to_owned(), expected.to_owned()));
    }
    reader.expect_nothing();
}
