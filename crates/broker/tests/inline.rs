//! The client inside the process.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use latchlight_broker::{
    AllowAll, InlinePublish, InlineSubscription, Options, QoS, ReasonCode, RetainHandling,
    SubscriptionOptions, TopicFilter,
};
use latchlight_mqtt::{Packet, ProtocolVersion, Publish};
use support::{Client, TestBroker};

use ProtocolVersion::{V5, V311};
use QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};

#[test]
fn it_publishes_to_clients_and_is_told_what_became_of_it() {
    let broker = TestBroker::start();
    let inline = broker.inline();
    let publish = |qos, retain| {
        let mut publish = InlinePublish::new("a".try_into().unwrap(), "x");
        publish.qos = qos;
        publish.retain = retain;
        publish.properties.make_mut().content_type = Some("text/plain".into());
        inline.publish(publish)
    };
    assert_eq!(publish(AtLeastOnce, false), ReasonCode::NoMatchingSubscribers);
    let mut new = Client::connect(broker.address(), V5, "new");
    let mut old = Client::connect(broker.address(), V311, "old");
    new.subscribe("a", ExactlyOnce);
    old.subscribe("+", AtLeastOnce);
    for qos in [AtMostOnce, AtLeastOnce, ExactlyOnce] {
        assert_eq!(publish(qos, false), ReasonCode::Success);
        let received = new.next_publish();
        assert_eq!(received.qos, qos);
        assert_eq!(received.properties.content_type.as_deref(), Some("text/plain"));
        new.acknowledge(&received);
        let received = old.next_publish();
        assert_eq!(received.qos, qos.min(AtLeastOnce));
        old.acknowledge(&received);
    }
    publish(AtLeastOnce, true);
    let mut late = Client::connect(broker.address(), V5, "late");
    late.subscribe("a", AtMostOnce);
    assert!(late.next_publish().retain);
}

#[test]
fn it_receives_what_clients_publish() {
    let broker = TestBroker::build(|builder| builder.access(AllowAll));
    let mut messages = subscribe(&broker, "device/+/up", SubscriptionOptions::qos(ExactlyOnce));
    let mut client = Client::connect(broker.address(), V5, "client");
    for (qos, retain) in [(AtMostOnce, false), (AtLeastOnce, true), (ExactlyOnce, false)] {
        let mut publish = Publish { qos, retain, ..Publish::new("device/1/up", "hello") };
        publish.properties.make_mut().content_type = Some("text/plain".into());
        client.publish_packet(publish);
        let message = broker.wait(messages.next()).unwrap();
        assert_eq!((&*message.topic, &message.payload[..]), ("device/1/up", &b"hello"[..]));
        assert_eq!((message.qos, message.retain, message.dup), (qos, false, false));
        assert_eq!(message.properties.content_type.as_deref(), Some("text/plain"));
        assert_eq!(&*message.publisher.unwrap().client_id, "client");
    }
    // It may have come before: the client says so.
    let publish = Publish {
        qos: AtLeastOnce,
        dup: true,
        packet_id: latchlight_mqtt::PacketId::new(9),
        ..Publish::new("device/1/up", "again")
    };
    client.send(Packet::Publish(publish));
    assert!(broker.wait(messages.next()).unwrap().dup);
}

#[test]
fn it_sees_the_retain_flag_as_published_and_takes_no_kept_messages_if_it_likes() {
    let broker = TestBroker::start();
    let mut client = Client::connect(broker.address(), V5, "client");
    client.publish_retained("a", "kept", AtLeastOnce);
    let options = SubscriptionOptions {
        retain_as_published: true,
        retain_handling: RetainHandling::DoNotSend,
        ..SubscriptionOptions::qos(AtLeastOnce)
    };
    let mut without = subscribe(&broker, "a", options);
    let mut with = subscribe(&broker, "a", SubscriptionOptions::default());
    let kept = broker.wait(with.next()).unwrap();
    assert!(kept.retain);
    assert_eq!(kept.payload, "kept");
    client.publish_retained("a", "newer", AtLeastOnce);
    let message = broker.wait(without.next()).unwrap();
    assert!(message.retain);
    assert_eq!(message.payload, "newer");
    assert!(!broker.wait(with.next()).unwrap().retain);
}

#[test]
fn dropping_a_subscription_ends_it() {
    let broker = TestBroker::start();
    let messages = subscribe(&broker, "a", SubscriptionOptions::default());
    let mut client = Client::connect(broker.address(), V5, "client");
    assert_eq!(client.publish("a", "x", AtLeastOnce), ReasonCode::Success);
    drop(messages);
    assert_eq!(client.publish("a", "x", AtLeastOnce), ReasonCode::NoMatchingSubscribers);
}

#[test]
fn several_filters_are_one_stream_in_the_order_of_the_publisher() {
    let broker = TestBroker::start();
    let filter = |filter: &str| TopicFilter::try_from(filter).unwrap();
    let options = SubscriptionOptions { retain_as_published: true, ..Default::default() };
    let filters = [filter("a/+"), filter("b"), filter("a/x")];
    let mut messages = broker.inline().subscribe_all(filters, options).unwrap();
    let mut client = Client::connect(broker.address(), V5, "client");
    let topics = ["a/x", "b", "a/y"];
    for number in 0..300_usize {
        client.publish(topics[number % 3], &number.to_string(), AtLeastOnce);
    }
    for number in 0..300_usize {
        // `a/x` matches two filters, and comes once.
        let message = broker.wait(messages.next()).unwrap();
        assert_eq!(
            (&*message.topic, message.payload),
            (topics[number % 3], number.to_string().into())
        );
    }
    messages.filters().add(filter("c"), options).unwrap();
    assert!(messages.filters().remove(&filter("b")));
    assert!(!messages.filters().remove(&filter("b")));
    assert_eq!(client.publish("b", "x", AtLeastOnce), ReasonCode::NoMatchingSubscribers);
    assert_eq!(client.publish("c", "y", AtLeastOnce), ReasonCode::Success);
    assert_eq!(broker.wait(messages.next()).unwrap().payload, "y");
    let filters = messages.filters().clone();
    drop(messages);
    filters.add(filter("d"), options).unwrap();
    for topic in ["a/x", "c", "d"] {
        let reason = client.publish(topic, "z", AtLeastOnce);
        assert_eq!(reason, ReasonCode::NoMatchingSubscribers, "{topic}");
    }
}

/// Nothing is dropped and memory is bounded: whoever publishes is slowed down
/// to what the subscription takes.
#[test]
fn a_full_subscription_slows_its_publishers_down() {
    const MESSAGES: usize = 20_000;
    let broker = TestBroker::with_options(Options { inline_queue: 16, ..Options::default() });
    let mut messages = subscribe(&broker, "a", SubscriptionOptions::default());
    let publishing: Vec<_> = ["one", "two"]
        .map(|id| {
            let mut client = Client::connect(broker.address(), V311, id);
            std::thread::spawn(move || {
                for _ in 0..MESSAGES {
                    client.send(Packet::Publish(Publish::new("a", vec![0; 100])));
                }
                client.expect_nothing();
            })
        })
        .into();
    // Others are not held up.
    let mut bystander = Client::connect(broker.address(), V5, "bystander");
    bystander.subscribe("b", AtMostOnce);
    for _ in 0..100 {
        bystander.send(Packet::Publish(Publish::new("b", "x")));
        bystander.next_publish();
    }
    for _ in 0..2 * MESSAGES {
        assert!(broker.wait(messages.next()).is_some());
    }
    for thread in publishing {
        thread.join().unwrap();
    }
}

#[test]
fn a_shared_filter_or_one_too_deep_is_refused() {
    let broker = TestBroker::with_options(Options { max_topic_levels: 3, ..Options::default() });
    let inline = broker.inline();
    let options = SubscriptionOptions::default();
    assert!(inline.subscribe("$share/group/a".try_into().unwrap(), options).is_err());
    assert!(inline.subscribe("a/b/c/d".try_into().unwrap(), options).is_err());
    let publish = InlinePublish::new("a/b/c/d".try_into().unwrap(), "x");
    assert_eq!(inline.publish(publish), ReasonCode::TopicNameInvalid);
}

#[test]
fn it_goes_on_without_any_listener() {
    let broker = latchlight_broker::Broker::builder().serve().unwrap();
    let inline = broker.inline();
    let mut messages =
        inline.subscribe("a".try_into().unwrap(), SubscriptionOptions::default()).unwrap();
    inline.publish(InlinePublish::new("a".try_into().unwrap(), "x"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        assert_eq!(messages.next().await.unwrap().payload, "x");
        broker.close().await;
    });
}

fn subscribe(
    broker: &TestBroker,
    filter: &str,
    options: SubscriptionOptions,
) -> InlineSubscription {
    broker.inline().subscribe(filter.try_into().unwrap(), options).unwrap()
}

/// What it keeps is not held back by what clients have kept: the message before
/// would be left, and be wrong.
#[test]
fn clients_that_fill_the_retained_store_do_not_keep_it_from_keeping_its_own() {
    let broker = TestBroker::with_options(Options {
        max_retained_messages: 2,
        max_retained_bytes: 20,
        ..Options::default()
    });
    let own = |topic: &str, payload: &'static str| {
        let mut publish = InlinePublish::new(topic.try_into().unwrap(), payload);
        publish.retain = true;
        assert_ne!(broker.inline().publish(publish), ReasonCode::QuotaExceeded);
    };
    own("door", "locked");
    let mut client = Client::connect(broker.address(), V5, "client");
    client.publish_retained("fill", "123456", AtLeastOnce);
    for (topic, payload) in [("fill", "1234567"), ("more", "1")] {
        let refused = client.publish_retained(topic, payload, AtLeastOnce);
        assert_eq!(refused, ReasonCode::QuotaExceeded);
    }
    client.subscribe("door", AtMostOnce);
    assert_eq!(client.next_publish().payload, "locked");
    own("door", "unlocked");
    assert_eq!(client.next_publish().payload, "unlocked");
    own("window", "open");
    client.subscribe("+", AtMostOnce);
    let mut kept: Vec<_> = (0..3).map(|_| client.next_message()).collect();
    kept.sort();
    let expected = [("door", "unlocked"), ("fill", "123456"), ("window", "open")];
    assert_eq!(kept, expected.map(|(topic, payload)| (topic.to_owned(), payload.to_owned())));
    own("door", "");
    own("window", "");
    assert_eq!(broker.counters().retained_messages, 1);
    assert_eq!(broker.counters().retained_bytes, 10);
}

/// Rule 8 of a lock server: who says much holds nobody else up.
#[test]
fn publishers_have_their_turns_whatever_waits_of_the_others() {
    const MANY: u64 = 2_000;
    let broker = TestBroker::start();
    let mut messages = subscribe(&broker, "#", SubscriptionOptions::qos(AtLeastOnce));
    let mut much = Client::connect(broker.address(), V5, "much");
    for number in 0..MANY {
        much.send(Packet::Publish(Publish::new("much", number.to_string())));
    }
    broker.until("it is all there", |broker| broker.counters().received.all_messages() == MANY);
    let mut little = Client::connect(broker.address(), V5, "little");
    for number in 0..2 {
        little.publish("little", &number.to_string(), AtLeastOnce);
    }
    let mut next = || {
        let message = broker.wait(messages.next()).unwrap();
        (message.topic.to_string(), String::from_utf8(message.payload.to_vec()).unwrap())
    };
    for expected in [("much", "0"), ("little", "0"), ("much", "1"), ("little", "1")] {
        assert_eq!(next(), (expected.0.to_owned(), expected.1.to_owned()));
    }
    for number in 2..MANY {
        assert_eq!(next(), ("much".to_owned(), number.to_string()));
    }
}

/// However long it takes, and however many publish: the queue has a bound.
#[test]
fn what_is_not_taken_stops_its_publishers_and_not_the_others() {
    const PUBLISHERS: usize = 4;
    let broker = TestBroker::with_options(Options {
        inline_queue: 100,
        max_pause: Duration::from_millis(10),
        ..Options::default()
    });
    let mut messages = subscribe(&broker, "a", SubscriptionOptions::qos(AtLeastOnce));
    let stop = Arc::new(AtomicBool::new(false));
    let floods: Vec<_> = (0..PUBLISHERS)
        .map(|_| {
            let mut client = Client::connect(broker.address(), V311, "");
            let mut bytes = Vec::new();
            let publish = Packet::Publish(Publish::new("a", vec![0; 1000]));
            publish.encode(V311, &mut bytes).unwrap();
            let stop = stop.clone();
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    client.send_bytes(&bytes);
                }
            })
        })
        .collect();
    broker.until("they wait", |broker| broker.counters().received.all_messages() > 100);
    // Time for some fifty pauses, of which none may let more in.
    std::thread::sleep(Duration::from_millis(500));
    // What one read brings of each comes on top.
    let most = 100 + PUBLISHERS as u64 * 200;
    assert!(broker.counters().received.all_messages() < most, "{:?}", broker.counters());
    let mut other = Client::connect(broker.address(), V5, "other");
    for number in 0..10 {
        other.publish("a", &number.to_string(), AtLeastOnce);
        let mut next = || broker.wait(messages.next()).unwrap().payload;
        assert!((0..=2 * PUBLISHERS).any(|_| next() == number.to_string()));
    }
    stop.store(true, Ordering::Relaxed);
    drop(messages);
    floods.into_iter().for_each(|flood| flood.join().unwrap());
}

#[test]
fn several_handlers_of_one_filter_come_and_go_each_by_itself() {
    let broker = TestBroker::start();
    let inline = broker.inline();
    let filter = || TopicFilter::try_from("a/+").unwrap();
    let mut client = Client::connect(broker.address(), V5, "client");
    let mut kept = InlinePublish::new("a/kept".try_into().unwrap(), "0");
    kept.retain = true;
    inline.publish(kept);
    let (said, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let handler = |name: &'static str| {
        let said = said.clone();
        let handle = move |message: latchlight_broker::InlineMessage| {
            let payload = String::from_utf8(message.payload.to_vec()).unwrap();
            said.send((payload.clone(), name, message.qos, message.retain)).unwrap();
            assert_ne!(payload, "panic", "as the test wants it");
        };
        inline.handle([filter()], SubscriptionOptions::qos(ExactlyOnce), handle).unwrap()
    };
    let mut next = |count: usize| {
        let mut all: Vec<_> = (0..count).map(|_| broker.wait(heard.recv()).unwrap()).collect();
        all.sort_unstable_by_key(|said| said.1);
        all
    };
    let one = broker.wait(async { handler("one") });
    let two = broker.wait(async { handler("two") });
    let kept = |name| ("0".to_owned(), name, AtLeastOnce, true);
    assert_eq!(next(2), [kept("one"), kept("two")]);
    let mut stream = subscribe(&broker, "a/+", SubscriptionOptions::qos(AtMostOnce));
    assert_eq!(broker.wait(stream.next()).unwrap().payload, "0");
    client.publish("a/b", "1", ExactlyOnce);
    let first = |name| ("1".to_owned(), name, ExactlyOnce, false);
    assert_eq!(next(2), [first("one"), first("two")]);
    assert_eq!(broker.wait(stream.next()).unwrap().payload, "1");
    drop(one);
    client.publish("a/b", "panic", AtLeastOnce);
    client.publish("a/b", "2", AtMostOnce);
    assert_eq!(next(2).iter().map(|said| &*said.0).collect::<Vec<_>>(), ["panic", "2"]);
    assert!(two.filters().remove(&filter()) && !two.filters().remove(&filter()));
    assert_eq!(client.publish("a/b", "3", AtLeastOnce), ReasonCode::Success);
    drop(stream);
    assert_eq!(client.publish("a/b", "4", AtLeastOnce), ReasonCode::NoMatchingSubscribers);
    two.filters().add(filter(), SubscriptionOptions::default()).unwrap();
    assert_eq!(next(1)[0].0, "0");
    client.publish("a/b", "5", AtLeastOnce);
    assert_eq!(next(1), [("5".to_owned(), "two", AtLeastOnce, false)]);
    drop(two);
    assert_eq!(client.publish("a/b", "6", AtLeastOnce), ReasonCode::NoMatchingSubscribers);
}
