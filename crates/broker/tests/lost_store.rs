//! A store that goes away while the broker runs, and comes back: full, empty,
//! or as another one (C28).
#![allow(clippy::unwrap_used)]

mod support;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use latchlight_broker::{
    Access, AllowAll, Change, ClientInfo, ConnectRequest, InlineClient, InlinePublish, MemoryStore,
    Options, PublishRequest, Refusal, SqliteStore, Store,
};
use latchlight_mqtt::{
    Packet, Properties, ProtocolVersion, Publish, QoS, ReasonCode, Subscribe, SubscribeFilter,
    SubscriptionOptions, Unsubscribe, Will,
};
use support::{Client, Disk, TestBroker, resuming};

use ProtocolVersion::{V5, V311};
use QoS::{AtLeastOnce, ExactlyOnce};

#[test]
fn a_store_that_has_lost_what_it_had_is_given_all_of_it_anew() {
    let disk = Disk::default();
    let mut broker = on(&disk);
    leave_some_of_everything(&broker);
    let before = disk.entries();
    assert!(before.len() > 12, "{}", before.len());

    disk.lose();
    let mut writer = Client::connect(broker.address(), V5, "last");
    broker.until("it takes messages again", |_| {
        !writer.publish_retained("last", "", AtLeastOnce).is_error()
    });
    assert_eq!(disk.entries(), before);
    // And goes on from there.
    Client::connect(broker.address(), V5, "last").publish("owed", "more", AtLeastOnce);
    assert_eq!(disk.entries().len(), before.len() + 1);
    broker.close();
}

/// Sessions with subscriptions, wills, and messages in every state of both
/// directions; retained messages.
fn leave_some_of_everything(broker: &TestBroker) {
    let mut connect = resuming(V5, "reader");
    connect.will = Some(Will {
        topic: "will".try_into().unwrap(),
        payload: "gone".into(),
        qos: AtLeastOnce,
        retain: false,
        properties: Properties::new(),
    });
    connect.will.as_mut().unwrap().properties.make_mut().will_delay_interval = Some(3600);
    let (mut reader, _) = Client::connect_with(broker.address(), connect);
    reader.subscribe("owed", ExactlyOnce);
    reader.subscribe("$share/group/other/+", AtLeastOnce);
    let mut writer = Client::connect_with(broker.address(), resuming(V5, "writer")).0;
    for (number, qos) in
        [AtLeastOnce, ExactlyOnce, ExactlyOnce, AtLeastOnce].into_iter().enumerate()
    {
        writer.publish("owed", &number.to_string(), qos);
    }
    // Of those of QoS 2, one is half acknowledged.
    for _ in 0..4 {
        let publish = reader.next_publish();
        if publish.payload == "1" {
            let id = publish.packet_id.unwrap();
            reader.pubrec(id);
        }
    }
    assert!(matches!(reader.next(), Packet::PubRel(_)));
    reader.vanish();
    broker.until("it is gone", |broker| broker.clients().len() == 1);
    for (number, qos) in [AtLeastOnce, ExactlyOnce].into_iter().enumerate() {
        writer.publish("owed", &format!("waits {number}"), qos);
    }
    // Taken, and not released.
    let id = writer.next_id();
    let taken = Publish { qos: ExactlyOnce, packet_id: Some(id), ..Publish::new("nobody", "x") };
    writer.send(Packet::Publish(taken));
    writer.next_pubrec(id);
    for topic in ["a", "a/b", "$private/c"] {
        writer.publish_retained(topic, "kept", AtLeastOnce);
    }
    writer.vanish();
    broker.until("they are gone", |broker| broker.clients().is_empty());
    Client::connect(broker.address(), V5, "last").publish_retained("last", "", AtLeastOnce);
}

#[test]
fn a_file_that_is_taken_away_or_replaced_is_written_anew() {
    let remove = |file: &Path| {
        std::fs::remove_file(file).unwrap();
        std::fs::remove_file(file.with_extension("db-wal")).unwrap();
    };
    let remove_log = |file: &Path| std::fs::remove_file(file.with_extension("db-wal")).unwrap();
    let replace = |file: &Path| {
        let other = file.with_extension("other");
        std::fs::write(&other, "something else").unwrap();
        std::fs::rename(other, file).unwrap();
    };
    let harms: [&dyn Fn(&Path); 3] = [&remove, &remove_log, &replace];
    for (harm, aside) in harms.into_iter().zip([0, 1, 1]) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("broker.db");
        let mut broker = on_file(&file);
        leave_some_of_everything(&broker);
        harm(&file);
        let mut writer = Client::connect(broker.address(), V5, "last");
        broker.until("it takes messages again", |_| {
            !writer.publish_retained("again", "x", AtLeastOnce).is_error()
        });
        let names = std::fs::read_dir(folder.path()).unwrap().flatten();
        let lost = names.map(|entry| entry.file_name().into_string().unwrap());
        let lost: Vec<_> =
            lost.filter(|name| name.contains(".lost-") && !name.ends_with("-wal")).collect();
        assert_eq!(lost.len(), aside, "{lost:?}");
        broker.close();

        let broker = on_file(&file);
        assert_eq!(broker.counters().retained_messages, 4);
        let (mut reader, answer) = Client::connect_with(broker.address(), resuming(V5, "reader"));
        assert!(answer.session_present);
        for payload in ["2", "0", "3", "waits 0", "waits 1"] {
            loop {
                match reader.next() {
                    Packet::Publish(publish) => {
                        assert_eq!(publish.payload, payload);
                        break;
                    }
                    Packet::PubRel(_) => {}
                    other => panic!("{other:?}"),
                }
            }
        }
    }
}

#[test]
fn a_folder_that_is_away_for_a_while_is_no_lie_and_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let (store, away) = (folder.path().join("store"), folder.path().join("away"));
    std::fs::create_dir(&store).unwrap();
    let mut broker = on_file(&store.join("broker.db"));
    let mut reader = Client::connect_with(broker.address(), resuming(V5, "reader")).0;
    reader.subscribe("kept", AtLeastOnce);
    reader.vanish();
    broker.until("it is gone", |broker| broker.clients().is_empty());
    Client::connect(broker.address(), V5, "last").publish_retained("last", "", AtLeastOnce);
    std::fs::rename(&store, &away).unwrap();
    let mut first = Client::connect(broker.address(), V5, "first");
    let id = first.next_id();
    let kept = Publish { qos: AtLeastOnce, packet_id: Some(id), ..Publish::new("kept", "1") };
    first.send(Packet::Publish(kept));
    broker.until("the failure is seen", |broker| broker.counters().store_errors > 0);
    let mut second = Client::connect(broker.address(), V5, "second");
    assert_eq!(second.publish("kept", "2", AtLeastOnce), ReasonCode::QuotaExceeded);
    std::fs::create_dir(&store).unwrap();
    assert_eq!(first.next_puback(id), ReasonCode::Success);
    broker.close();

    let broker = on_file(&store.join("broker.db"));
    let mut reader = Client::connect_with(broker.address(), resuming(V5, "reader")).0;
    assert_eq!(reader.next_message().1, "1");
    reader.expect_nothing();
}

/// Every value cut at every byte, with every byte changed, and with the largest
/// number at every place, and every key as well: the broker starts, and serves.
#[test]
fn entries_that_cannot_be_read_stop_no_start() {
    let disk = Disk::default();
    let mut broker = on(&disk);
    leave_some_of_everything(&broker);
    broker.close();
    let entries = disk.entries();
    // One that begins with another version stops the start, and is to.
    let format = [0; 9];
    let longest = entries.iter().map(|(key, value)| key.len().max(value.len())).max().unwrap();
    let cut = |bytes: &[u8], at: usize| bytes[..at.min(bytes.len())].to_vec();
    let flip = |bytes: &[u8], at: usize| {
        let mut bytes = bytes.to_vec();
        bytes.get_mut(at).into_iter().for_each(|byte| *byte ^= 0xFF);
        bytes
    };
    let fill = |bytes: &[u8], at: usize| {
        let mut bytes = bytes.to_vec();
        bytes.iter_mut().skip(at).take(8).for_each(|byte| *byte = 0xFF);
        bytes
    };
    for at in 0..longest {
        for harm in [&cut as &dyn Fn(&[u8], usize) -> Vec<u8>, &flip, &fill] {
            for of_keys in [false, true] {
                let mut store = MemoryStore::default();
                let harmed: Vec<_> = entries
                    .iter()
                    .filter(|(key, _)| key[..] != format)
                    .map(|(key, value)| match of_keys {
                        true => (harm(key, at), value.clone()),
                        false => (key.clone(), harm(value, at)),
                    })
                    .filter(|(key, _)| key[..] != format)
                    .collect();
                let mut puts = harmed.iter().map(|(key, value)| Change::Put(key, value));
                store.commit(&mut puts).unwrap();
                let mut broker = TestBroker::build(|builder| builder.access(AllowAll).store(store));
                let mut writer = Client::connect(broker.address(), V5, "another");
                assert!(!writer.publish_retained("a", "new", AtLeastOnce).is_error());
                broker.close();
            }
        }
    }
}

/// Devices come and go while the store cannot write; nobody is promised what
/// cannot be kept.
#[test]
fn who_comes_while_the_store_cannot_write_is_let_in_and_told() {
    let disk = Disk::default();
    let broker = on(&disk);
    let mut known = Client::connect_with(broker.address(), resuming(V5, "known")).0;
    known.subscribe("down", AtLeastOnce);
    fail(&disk, &broker);

    // Who has a session has it still, and what it says again is as it was.
    let (mut known, answer) = Client::connect_with(broker.address(), resuming(V5, "known"));
    assert!(answer.session_present && answer.properties.session_expiry_interval.is_none());
    known.subscribe("down", AtLeastOnce);
    assert_eq!(subscribe(&mut known, "more"), ReasonCode::QuotaExceeded);
    let id = known.next_id();
    let publish = Publish { qos: ExactlyOnce, packet_id: Some(id), ..Publish::new("up", "x") };
    known.send(Packet::Publish(publish));
    assert_eq!(known.next_pubrec(id), ReasonCode::QuotaExceeded);
    let packet_id = known.next_id();
    let filters = vec!["down".try_into().unwrap()];
    let properties = Properties::new();
    known.send(Packet::Unsubscribe(Unsubscribe { packet_id, filters, properties }));
    assert!(matches!(known.next(), Packet::UnsubAck(_)));

    // A new one ends with its connection.
    for version in [V5, V311] {
        let (mut new, answer) = Client::connect_with(broker.address(), resuming(version, "new"));
        assert!(!answer.session_present);
        if version == V5 {
            assert_eq!(answer.properties.session_expiry_interval, Some(0));
        }
        new.subscribe("down", AtLeastOnce);
        let mut writer = Client::connect(broker.address(), V5, "writer");
        assert_eq!(writer.publish("down", "unlock", AtLeastOnce), ReasonCode::Success);
        let publish = new.next_publish();
        new.acknowledge(&publish);
        new.vanish();
        broker.until("its session ends", |broker| broker.counters().sessions == 2);
        writer.disconnect();
        broker.until("so does this one", |broker| broker.counters().sessions == 1);
    }

    // A clean start is not held up either.
    let (mut clean, answer) =
        Client::connect_with(broker.address(), latchlight_mqtt::Connect::new(V5, "known"));
    assert!(!answer.session_present);
    clean.subscribe("down", AtLeastOnce);
    disk.work();
    broker.until("it takes sessions again", |_| {
        let (client, answer) = Client::connect_with(broker.address(), resuming(V5, "later"));
        client.disconnect();
        answer.properties.session_expiry_interval.is_none()
    });
}

#[test]
fn a_commit_that_does_not_end_is_one_that_fails() {
    let disk = Disk::default();
    let broker = on(&disk);
    let mut reader = Client::connect_with(broker.address(), resuming(V5, "reader")).0;
    reader.subscribe("kept", AtLeastOnce);
    disk.hang();
    let mut first = Client::connect(broker.address(), V5, "first");
    let id = first.next_id();
    let kept = Publish { qos: AtLeastOnce, packet_id: Some(id), ..Publish::new("kept", "1") };
    first.send(Packet::Publish(kept));
    assert_eq!(reader.next_publish().payload, "1");
    let inline = broker.inline();
    broker.until("others are refused", |_| {
        let topic = "kept".try_into().unwrap();
        inline.publish(InlinePublish::new(topic, "2")) == ReasonCode::QuotaExceeded
    });
    disk.work();
    assert_eq!(first.next_puback(id), ReasonCode::Success);
}

/// What was refused is not acknowledged where the version has no word for that,
/// even if the store can write again before the answer (C14).
#[test]
fn a_store_that_comes_back_just_now_makes_no_lie_of_what_it_refused() {
    let disk = Disk::default();
    let access = Reviving { disk: disk.clone(), inline: Arc::default(), asked: Arc::default() };
    let Reviving { inline, asked, .. } = access.clone();
    let broker = TestBroker::build(|builder| builder.access(access).store(disk.clone()));
    assert!(inline.set(broker.inline()).is_ok());
    fail(&disk, &broker);
    let mut older = Client::connect(broker.address(), V311, "older");
    let id = older.next_id();
    let kept = Publish {
        retain: true,
        qos: AtLeastOnce,
        packet_id: Some(id),
        ..Publish::new("door", "locked")
    };
    older.send(Packet::Publish(kept.clone()));
    older.expect_nothing();
    assert_eq!(asked.load(Ordering::Relaxed), 2);

    older.send(Packet::Publish(Publish { dup: true, ..kept }));
    assert_eq!(older.next_puback(id), ReasonCode::Success);
    let mut reader = Client::connect(broker.address(), V311, "reader");
    reader.subscribe("door", AtLeastOnce);
    assert_eq!(reader.next_publish().payload, "locked");
}

/// Of a full queue an older client is not told, of the store it is, by silence:
/// also where both would be why nobody takes its message.
#[test]
fn what_the_store_refuses_is_not_said_to_be_a_full_queue() {
    let disk = Disk::default();
    let options = Options { max_waiting_bytes: 4, ..Options::default() };
    let broker =
        TestBroker::build(|builder| builder.options(options).access(AllowAll).store(disk.clone()));
    let mut away = Client::connect_with(broker.address(), resuming(V5, "away")).0;
    away.subscribe("down", AtLeastOnce);
    away.vanish();
    broker.until("it is away", |broker| broker.session("away").is_some_and(|s| !s.connected));
    let mut older = Client::connect(broker.address(), V311, "older");
    for payload in ["waits", "has no room"] {
        assert_eq!(older.publish("down", payload, AtLeastOnce), ReasonCode::Success);
    }
    let dropped = |broker: &TestBroker| {
        let counters = broker.counters();
        (counters.dropped_queue_full, counters.dropped_store_full)
    };
    assert_eq!(dropped(&broker), (1, 0));
    let mut connect = resuming(V5, "small");
    connect.properties.make_mut().maximum_packet_size = Some(40);
    let mut small = Client::connect_with(broker.address(), connect).0;
    small.subscribe("large", AtLeastOnce);
    fail(&disk, &broker);
    let packet_id = Some(older.next_id());
    let publish = Publish { qos: AtLeastOnce, packet_id, ..Publish::new("down", "unlock") };
    older.send(Packet::Publish(publish));
    older.expect_nothing();
    assert_eq!(dropped(&broker), (1, 1));
    // What its only reader never takes, whatever the store does, is neither.
    assert_eq!(older.publish("large", &"x".repeat(40), AtLeastOnce), ReasonCode::Success);
    assert_eq!((dropped(&broker), broker.counters().dropped_too_large), ((1, 1), 1));
    disk.work();
}

/// The store cannot write from now on, and the broker knows.
fn fail(disk: &Disk, broker: &TestBroker) {
    disk.fail();
    let before = broker.counters().sessions;
    let mut witness = Client::connect(broker.address(), V5, "witness");
    let id = Some(witness.next_id());
    let publish =
        Publish { retain: true, qos: AtLeastOnce, packet_id: id, ..Publish::new("w", "") };
    witness.send(Packet::Publish(publish));
    broker.until("the failure is seen", |broker| broker.counters().store_errors > 0);
    witness.vanish();
    broker.until("it is gone", |broker| broker.counters().sessions == before);
}

fn subscribe(client: &mut Client, filter: &str) -> ReasonCode {
    let packet_id = client.next_id();
    let options = SubscriptionOptions::qos(AtLeastOnce);
    let filters = vec![SubscribeFilter { filter: filter.try_into().unwrap(), options }];
    let properties = Properties::new();
    client.send(Packet::Subscribe(Subscribe { packet_id, filters, properties }));
    match client.next() {
        Packet::SubAck(ack) => ack.reasons[0],
        other => panic!("expected SUBACK, received {other:?}"),
    }
}

fn on(disk: &Disk) -> TestBroker {
    TestBroker::build(|builder| builder.access(AllowAll).store(disk.clone()))
}

fn on_file(file: &Path) -> TestBroker {
    let store = SqliteStore::open(file).unwrap();
    TestBroker::build(|builder| builder.access(AllowAll).store(store))
}

/// Lets everybody do everything. When it is asked about the door for the second
/// time, after the first message for it was refused, the store can write again
/// before the answer.
#[derive(Clone)]
struct Reviving {
    disk: Disk,
    inline: Arc<OnceLock<InlineClient>>,
    asked: Arc<AtomicUsize>,
}

#[async_trait]
impl Access for Reviving {
    async fn authenticate(&self, _: &ConnectRequest<'_>) -> Result<Arc<str>, ReasonCode> {
        Ok("anybody".into())
    }

    fn authorize_publish(&self, _: &ClientInfo, of: &PublishRequest<'_>) -> Result<(), Refusal> {
        if of.topic == "door" && self.asked.fetch_add(1, Ordering::Relaxed) == 1 {
            let before = self.disk.commits();
            self.disk.work();
            let inline = self.inline.get().unwrap();
            let probe = InlinePublish::new("probe".try_into().unwrap(), "x");
            let probe = InlinePublish { retain: true, ..probe };
            // When the second commit begins, the broker has seen the first.
            for _ in 0..10_000 {
                if self.disk.commits() >= before + 2 {
                    break;
                }
                inline.publish(probe.clone());
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        Ok(())
    }

    fn authorize_subscribe(&self, _: &ClientInfo, _: &str) -> Result<(), ReasonCode> {
        Ok(())
    }
}
