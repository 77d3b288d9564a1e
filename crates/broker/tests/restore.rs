//! What comes back from a store: not what must not, and not what ran out
//! while the broker was away.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use latchlight_broker::{AllowAll, StoredAs, StoredMessage};
use latchlight_mqtt::{Connect, Properties, ProtocolVersion, Publish, QoS, Will};
use support::{Client, Disk, TestBroker, resuming};

use ProtocolVersion::V5;
use QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn what_is_not_to_be_kept_is_gone_before_anybody_can_connect() {
    let disk = Disk::default();
    let mut broker = on(&disk);
    let mut reader = resume(&broker, "reader").0;
    reader.subscribe("+/down", ExactlyOnce);
    reader.vanish();
    // Else some of it were in flight, and its session would end with that.
    broker.until("it is gone", |broker| broker.clients().is_empty());
    for (mortal, topic) in [("mortal 1", "front/down"), ("mortal 2", "other/down")] {
        let mut mortal = resuming(V5, mortal);
        mortal.will = Some(will(topic, 3600));
        Client::connect_with(broker.address(), mortal).0.vanish();
        let mut writer = Client::connect(broker.address(), V5, "writer");
        writer.publish_retained(topic, "retained", AtLeastOnce);
        writer.publish(topic, "owed 1", AtLeastOnce);
        writer.publish(topic, "owed 2", ExactlyOnce);
    }
    broker.until("they are gone", |broker| broker.clients().is_empty());
    broker.close();
    assert!(disk.mentions("front/down"));

    let (asked, seen) = std::sync::mpsc::channel();
    let mut broker = TestBroker::build(|builder| {
        builder.access(AllowAll).store(disk.clone()).keep_stored(move |message| {
            let StoredMessage { topic, payload, stored_as } = *message;
            let payload = String::from_utf8(payload.to_vec()).unwrap();
            asked.send((topic.to_owned(), payload, stored_as)).unwrap();
            topic != "front/down"
        })
    });
    let mut seen: Vec<_> = seen.iter().filter(|(topic, ..)| topic == "front/down").collect();
    seen.sort_by(|(_, a, _), (_, b, _)| a.cmp(b));
    let expected = [
        ("gone", StoredAs::Will),
        ("owed 1", StoredAs::Owed),
        ("owed 2", StoredAs::Owed),
        ("retained", StoredAs::Owed),
        ("retained", StoredAs::Retained),
    ];
    assert_eq!(seen.len(), expected.len(), "{seen:?}");
    for (_, payload, stored_as) in &seen {
        assert!(expected.contains(&(payload.as_str(), *stored_as)), "{payload} {stored_as:?}");
    }
    let (mut reader, present) = resume(&broker, "reader");
    assert!(present);
    for payload in ["retained", "owed 1", "owed 2"] {
        let publish = reader.next_publish();
        assert_eq!((&*publish.topic, &publish.payload[..]), ("other/down", payload.as_bytes()));
        reader.acknowledge(&publish);
    }
    reader.expect_nothing();
    assert_eq!(broker.counters().retained_messages, 1);
    // It left the store, too; what is kept there of the other topic stays.
    broker.close();
    assert!(!disk.mentions("front/down") && disk.mentions("other/down"));
}

/// The client may hold the packet id, and would take what comes under it next
/// for the message that is gone.
#[test]
fn a_session_whose_client_may_have_taken_it_half_way_ends_with_it() {
    let disk = Disk::default();
    let broker = on(&disk);
    let mut reader = resume(&broker, "reader").0;
    reader.subscribe("front/down", ExactlyOnce);
    let mut writer = Client::connect(broker.address(), V5, "writer");
    writer.publish("front/down", "unlock", ExactlyOnce);
    assert_eq!(reader.next_publish().payload, "unlock");

    let disk = disk.cut();
    let mut broker = TestBroker::build(|builder| {
        builder.access(AllowAll).store(disk.clone()).keep_stored(|m| m.topic != "front/down")
    });
    let (mut reader, present) = resume(&broker, "reader");
    assert!(!present);
    reader.expect_nothing();
    broker.close();
    assert!(!disk.mentions("unlock"));
}

#[test]
fn retained_messages_come_back_and_those_taken_away_do_not() {
    let disk = Disk::default();
    let mut broker = on(&disk);
    let mut writer = Client::connect(broker.address(), V5, "writer");
    writer.publish_retained("a", "old", AtLeastOnce);
    writer.publish_retained("a", "new", AtMostOnce);
    writer.publish_retained("b", "gone", AtLeastOnce);
    writer.publish_retained("b", "", AtLeastOnce);
    let mut short = Publish { retain: true, qos: AtLeastOnce, ..Publish::new("c", "short") };
    short.properties.make_mut().message_expiry_interval = Some(1);
    writer.publish_packet(short);

    let cut = disk.cut();
    broker.close();
    let broker = on(&cut);
    std::thread::sleep(Duration::from_millis(1100));
    let mut reader = Client::connect(broker.address(), V5, "reader");
    reader.subscribe("#", AtLeastOnce);
    let publish = reader.next_publish();
    assert_eq!((&*publish.topic, &publish.payload[..]), ("a", &b"new"[..]));
    assert!(publish.retain);
    reader.expect_nothing();
}

#[test]
fn what_expires_does_so_while_the_broker_is_away_too() {
    let disk = Disk::default();
    let broker = on(&disk);
    let mut reader = resume(&broker, "reader").0;
    reader.subscribe("owed", ExactlyOnce);
    let mut writer = Client::connect(broker.address(), V5, "writer");
    let publish = |topic: &str, seconds, retain| {
        let payload = format!("{seconds} s");
        let mut publish = Publish { retain, qos: AtLeastOnce, ..Publish::new(topic, payload) };
        publish.properties.make_mut().message_expiry_interval = Some(seconds);
        publish
    };
    // In flight, and then in the queue.
    writer.publish_packet(publish("owed", 30, false));
    assert_eq!(reader.next_publish().payload, "30 s");
    reader.vanish();
    broker.until("it is gone", |broker| broker.clients().len() == 1);
    for seconds in [30, 3600] {
        writer.publish_packet(publish("owed", seconds, false));
        writer.publish_packet(publish(&format!("retained/{seconds}"), seconds, true));
    }

    let broker = on(&disk.after(MINUTE));
    let (mut reader, _) = resume(&broker, "reader");
    let owed = reader.next_publish();
    assert_eq!(&owed.payload[..], b"3600 s");
    // What is left of it is told [MQTT-3.3.2-6].
    let left = owed.properties.message_expiry_interval.unwrap();
    assert!((3000..=3540).contains(&left), "{left}");
    reader.acknowledge(&owed);
    reader.subscribe("retained/#", AtMostOnce);
    assert_eq!(&*reader.next_publish().topic, "retained/3600");
    reader.expect_nothing();
}

#[test]
fn a_session_runs_out_while_the_broker_is_away_too() {
    let disk = Disk::default();
    let broker = on(&disk);
    for (client_id, seconds) in [("short", 30), ("long", 3600), ("connected", 30)] {
        let mut connect = resuming(V5, client_id);
        connect.properties.make_mut().session_expiry_interval = Some(seconds);
        let mut client = Client::connect_with(broker.address(), connect).0;
        client.subscribe("a", AtLeastOnce);
        if client_id == "connected" {
            // Its time begins when its connection ends: with the broker.
            let disk = disk.after(MINUTE);
            let broker = on(&disk);
            broker.until("the short one ends", |broker| broker.counters().sessions == 2);
            assert!(!resume(&broker, "short").1);
            assert!(resume(&broker, "long").1);
            assert!(resume(&broker, "connected").1);
            return;
        }
        client.vanish();
        broker.until("it is gone", |broker| broker.clients().is_empty());
        Client::connect(broker.address(), V5, "last").publish_retained("last", "", AtLeastOnce);
    }
}

/// [MQTT-3.1.3-9]: a will whose time has come while nobody could say it is
/// said when somebody can; one whose time has not come waits on.
#[test]
fn a_will_that_waits_is_said_in_its_time_over_a_restart() {
    let disk = Disk::default();
    let broker = on(&disk);
    let mut watcher = resume(&broker, "watcher").0;
    watcher.subscribe("will/#", AtLeastOnce);
    for (client_id, delay) in [("soon", 30), ("late", 1800)] {
        let mut connect = resuming(V5, client_id);
        connect.will = Some(will(&format!("will/{client_id}"), delay));
        Client::connect_with(broker.address(), connect).0.vanish();
    }
    watcher.vanish();
    broker.until("they are gone", |broker| broker.clients().is_empty());
    Client::connect(broker.address(), V5, "last").publish_retained("last", "", AtLeastOnce);

    let broker = on(&disk.after(MINUTE));
    let mut watcher = resume(&broker, "watcher").0;
    let said = watcher.next_publish();
    assert_eq!((&*said.topic, &said.payload[..]), ("will/soon", &b"gone"[..]));
    watcher.acknowledge(&said);
    // Who is back in time has none to be said.
    Client::connect_with(broker.address(), resuming(V5, "late")).0.disconnect();
    watcher.expect_nothing();
}

fn on(disk: &Disk) -> TestBroker {
    TestBroker::build(|builder| builder.access(AllowAll).store(disk.clone()))
}

/// Connects to a session that outlives the connection; true: it was there.
fn resume(broker: &TestBroker, client_id: &str) -> (Client, bool) {
    let connect: Connect = resuming(V5, client_id);
    let (client, answer) = Client::connect_with(broker.address(), connect);
    (client, answer.session_present)
}

fn will(topic: &str, delay: u32) -> Will {
    let mut properties = Properties::new();
    properties.make_mut().will_delay_interval = Some(delay);
    Will {
        topic: topic.try_into().unwrap(),
        payload: "gone".into(),
        qos: AtLeastOnce,
        retain: false,
        properties,
    }
}
