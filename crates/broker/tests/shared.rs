//! Members of shared subscriptions that leave: what they had goes to others
//! (MQTT 5, 4.8.2).
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use latchlight_broker::AllowAll;
use latchlight_mqtt::{
    Connect, Disconnect, Packet, PacketId, Properties, ProtocolVersion, PubAck, Publish, QoS,
    ReasonCode, Subscribe, SubscribeFilter, SubscriptionOptions,
};
use support::{Client, Disk, TestBroker, resuming};

use ProtocolVersion::{V5, V31, V311};
use QoS::{AtLeastOnce, ExactlyOnce};

/// The group of most of these tests.
const SHARE: &str = "$share/workers/jobs/#";

/// A member that takes so many messages at once.
fn member(broker: &TestBroker, connect: Connect, window: u16, qos: QoS) -> Client {
    let (mut client, _) = Client::connect_with(broker.address(), windowed(connect, window));
    client.subscribe(SHARE, qos);
    client
}

fn windowed(mut connect: Connect, window: u16) -> Connect {
    if connect.version.is_v5() {
        connect.properties.make_mut().receive_maximum = Some(window);
    }
    connect
}

fn publisher(broker: &TestBroker) -> Client {
    Client::connect(broker.address(), V5, "publisher")
}

/// Takes this many messages, in their order, to the end of their QoS.
fn take(client: &mut Client, count: usize) -> Vec<String> {
    let mut payloads = Vec::new();
    let mut open = 0;
    while payloads.len() < count || open > 0 {
        match client.next() {
            Packet::Publish(publish) => {
                assert!(!publish.dup);
                receive(client, &publish);
                open += usize::from(publish.qos == ExactlyOnce);
                payloads.push(String::from_utf8(publish.payload.to_vec()).unwrap());
            }
            Packet::PubRel(ack) => {
                client.pubcomp(ack.packet_id);
                open -= 1;
            }
            other => panic!("unexpected {other:?}"),
        }
    }
    payloads
}

#[test]
fn what_a_member_has_not_acknowledged_goes_to_another_in_its_order() {
    let broker = TestBroker::start();
    for version in [V31, V311, V5] {
        let mut leaver = member(&broker, Connect::new(version, "leaver"), 2, AtLeastOnce);
        let mut publisher = publisher(&broker);
        for number in 0..5 {
            publisher.publish("jobs/a", &number.to_string(), AtLeastOnce);
        }
        // The first is done.
        take(&mut leaver, 1);
        leaver.next_publish();
        let mut other = member(&broker, Connect::new(version, "other"), 10, AtLeastOnce);
        leaver.vanish();
        assert_eq!(take(&mut other, 4), ["1", "2", "3", "4"], "{version}");
        other.disconnect();
    }
    assert_eq!(broker.counters().shared_handed_over, 12);
    broker.until("nothing waits", |broker| broker.counters().waiting_bytes == 0);
}

#[test]
fn of_qos_2_what_a_member_may_have_goes_to_nobody_else() {
    let broker = TestBroker::start();
    let mut leaver = member(&broker, Connect::new(V5, "leaver"), 2, ExactlyOnce);
    let mut publisher = publisher(&broker);
    for number in 0..5 {
        publisher.publish("jobs/a", &number.to_string(), ExactlyOnce);
    }
    // The first was received, the second only sent.
    let first = leaver.next_publish().packet_id.unwrap();
    leaver.pubrec(first);
    leaver.next_publish();
    leaver.next_pubrel(first);
    let mut other = member(&broker, Connect::new(V311, "other"), 10, ExactlyOnce);
    leaver.vanish();
    // [MQTT-4.8.2-5]: neither; what waited does.
    assert_eq!(take(&mut other, 3), ["2", "3", "4"]);
    other.expect_nothing();
}

#[test]
fn of_qos_2_what_never_left_the_broker_goes_to_another() {
    let broker = TestBroker::start();
    let mut leaver = member(&broker, Connect::new(V5, "leaver"), 100, ExactlyOnce);
    let mut publisher = publisher(&broker);
    // More than a socket takes whose reader reads nothing: the rest waits in
    // the window, with its packet ids, or behind it.
    let payload = "x".repeat(1024 * 1024);
    for number in 0..40 {
        publisher.publish("jobs/a", &format!("{number} {payload}"), ExactlyOnce);
    }
    let mut other = member(&broker, Connect::new(V5, "other"), 100, ExactlyOnce);
    // It reads what it was sent and goes.
    let first = leaver.next_publish();
    leaver.vanish();
    let taken = take(&mut other, 5);
    let numbers: Vec<usize> =
        taken.iter().map(|payload| payload.split(' ').next().unwrap().parse().unwrap()).collect();
    assert!(first.payload.starts_with(b"0 "));
    assert!(numbers[0] > 0, "the first one has left");
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbers:?}");
}

#[test]
fn a_session_that_ends_leaves_its_queue_to_the_others() {
    let broker = TestBroker::start();
    let mut publisher = publisher(&broker);
    let mut number = 0;
    let mut publish = |qos| {
        number += 1;
        assert_eq!(publisher.publish("jobs/a", &number.to_string(), qos), ReasonCode::Success);
        number.to_string()
    };
    // By a clean start, by its DISCONNECT, and by the administrator.
    let clean_start = |broker: &TestBroker| {
        Client::connect(broker.address(), V5, "leaver").disconnect();
    };
    let expires_at_once = |broker: &TestBroker| {
        let (client, _) =
            Client::connect_with(broker.address(), windowed(resuming(V5, "leaver"), 1));
        let mut goodbye = Disconnect::new(ReasonCode::Success);
        goodbye.properties.make_mut().session_expiry_interval = Some(0);
        client.disconnect_with(goodbye);
    };
    for end in [&clean_start as &dyn Fn(&TestBroker), &expires_at_once] {
        let mut leaver = member(&broker, resuming(V5, "leaver"), 1, ExactlyOnce);
        let sent = publish(AtLeastOnce);
        assert_eq!(leaver.next_message().1, sent);
        leaver.disconnect();
        // It is alone, and offline: they wait for it.
        let waiting = [publish(AtLeastOnce), publish(ExactlyOnce)];
        let mut other = member(&broker, Connect::new(V5, "other"), 10, ExactlyOnce);
        other.expect_nothing();
        end(&broker);
        let mut expected = vec![sent];
        expected.extend(waiting);
        assert_eq!(take(&mut other, 3), expected);
        other.disconnect();
    }
    assert_eq!(broker.counters().dropped_queue_full, 0);
}

#[test]
fn a_message_that_its_receiver_refuses_goes_to_nobody_else() {
    let broker = TestBroker::start();
    let mut refuser = member(&broker, Connect::new(V5, "refuser"), 10, AtLeastOnce);
    publisher(&broker).publish("jobs/a", "x", AtLeastOnce);
    let id = refuser.next_publish().packet_id.unwrap();
    let mut other = member(&broker, Connect::new(V5, "other"), 10, AtLeastOnce);
    // [MQTT-4.8.2-6]
    refuser.send(Packet::PubAck(PubAck::new(id, ReasonCode::ImplementationSpecificError)));
    refuser.expect_nothing();
    refuser.disconnect();
    other.expect_nothing();
    assert_eq!(broker.counters().shared_handed_over, 0);
}

#[test]
fn a_member_gets_what_was_for_it_alone_to_the_end() {
    let broker = TestBroker::start();
    let mut leaver = member(&broker, Connect::new(V5, "leaver"), 10, AtLeastOnce);
    leaver.subscribe("own", AtLeastOnce);
    let mut other = member(&broker, Connect::new(V5, "other"), 10, AtLeastOnce);
    other.subscribe("$share/others/jobs/#", AtLeastOnce);
    let mut publisher = publisher(&broker);
    publisher.publish("own", "mine", AtLeastOnce);
    assert_eq!(leaver.next_message().1, "mine");
    leaver.vanish();
    broker.until("it is gone", |broker| broker.counters().sessions == 2);
    // What a subscription of its own brought ends with the session.
    other.expect_nothing();
    // The last member's messages end with it, too.
    publisher.publish("jobs/a", "x", AtLeastOnce);
    other.vanish();
    broker.until("it is gone", |broker| broker.counters().sessions == 1);
    assert_eq!(broker.counters().shared_handed_over, 0);
}

#[test]
fn an_unsubscribed_member_finishes_what_it_has_and_leaves_the_rest() {
    let broker = TestBroker::start();
    let mut leaver = member(&broker, Connect::new(V5, "leaver"), 1, AtLeastOnce);
    let mut publisher = publisher(&broker);
    for number in 0..3 {
        publisher.publish("jobs/a", &number.to_string(), AtLeastOnce);
    }
    let first = leaver.next_publish();
    leaver.unsubscribe(SHARE);
    let mut other = member(&broker, Connect::new(V5, "other"), 10, AtLeastOnce);
    // [MQTT-3.10.4-3]
    leaver.acknowledge(&first);
    assert_eq!(leaver.next_message().1, "1");
    publisher.publish("jobs/a", "3", AtLeastOnce);
    assert_eq!(take(&mut other, 1), ["3"]);
    leaver.vanish();
    assert_eq!(take(&mut other, 2), ["1", "2"]);
}

/// The session that ends and the one that gets its messages change in one
/// commit: a power cut finds each message with one of them.
#[test]
fn what_goes_to_another_member_is_on_disk_with_it() {
    let disk = Disk::default();
    let broker = on(&disk);
    member(&broker, resuming(V5, "leaver"), 10, ExactlyOnce).disconnect();
    let mut publisher = publisher(&broker);
    for (payload, qos) in [("1", AtLeastOnce), ("2", ExactlyOnce)] {
        assert_eq!(publisher.publish("jobs/a", payload, qos), ReasonCode::Success);
    }
    member(&broker, resuming(V5, "other"), 10, ExactlyOnce).disconnect();

    // After a restart it is known how they came.
    let disk = power_cut(broker, &disk);
    let broker = on(&disk);
    assert_eq!(broker.counters().sessions, 2);
    // The answer to a clean start waits for the commit that ends the session.
    Client::connect(broker.address(), V5, "leaver");
    assert_eq!(broker.counters().shared_handed_over, 2);

    let broker = on(&power_cut(broker, &disk));
    let (mut other, connack) = Client::connect_with(broker.address(), resuming(V5, "other"));
    assert!(connack.session_present);
    for expected in ["1", "2"] {
        let publish = other.next_publish();
        assert_eq!(publish.payload, expected);
        other.acknowledge(&publish);
    }
    other.expect_nothing();
}

fn on(disk: &Disk) -> TestBroker {
    TestBroker::build(|builder| builder.access(AllowAll).store(disk.clone()))
}

/// The broker is gone; gives what it leaves.
fn power_cut(mut broker: TestBroker, disk: &Disk) -> Disk {
    let left = disk.cut();
    broker.close();
    left
}

/// What came, and how often.
#[derive(Default)]
struct Seen(Mutex<BTreeMap<String, usize>>);

impl Seen {
    fn note(&self, publish: &Publish) {
        let payload = String::from_utf8(publish.payload.to_vec()).unwrap();
        *self.0.lock().unwrap().entry(payload).or_default() += 1;
    }
}

/// Members come and go while messages flow: at QoS 1 each message comes at
/// least once, at QoS 2 once.
#[test]
fn nothing_is_lost_while_members_come_and_go() {
    for qos in [AtLeastOnce, ExactlyOnce] {
        let broker = TestBroker::start();
        let seen = Seen::default();
        let left = AtomicBool::new(false);
        let mut steady = member(&broker, resuming(V311, "steady"), 0, qos);
        steady.subscribe("stop", AtLeastOnce);
        let published = std::thread::scope(|scope| {
            let leavers: Vec<_> = ["one", "two", "three"]
                .into_iter()
                .map(|name| {
                    let (broker, seen) = (&broker, &seen);
                    scope.spawn(move || {
                        // On a busy machine there may be none for long whom a
                        // message waited for as it left.
                        let none_yet = || broker.counters().shared_handed_over == 0;
                        for round in (0..500).take_while(|round| *round < 15 || none_yet()) {
                            come_and_go(broker, name, qos, round, seen);
                        }
                    })
                })
                .collect();
            let flow = scope.spawn(|| {
                let mut publisher = publisher(&broker);
                let mut count = 0_u16;
                // More than there are members to take them; bounded by their number.
                while !left.load(Ordering::Relaxed) && count < u16::MAX {
                    let packet_id = PacketId::new(count % 1000 + 1);
                    let publish = Publish::new("jobs/a", count.to_string());
                    publisher.publish_packet(Publish { qos, packet_id, ..publish });
                    count += 1;
                }
                count
            });
            let steady = scope.spawn(|| {
                loop {
                    match steady.next() {
                        Packet::Publish(publish) if publish.topic == "stop" => return,
                        Packet::Publish(publish) => {
                            seen.note(&publish);
                            receive(&mut steady, &publish);
                        }
                        Packet::PubRel(ack) => steady.pubcomp(ack.packet_id),
                        other => panic!("unexpected {other:?}"),
                    }
                }
            });
            leavers.into_iter().for_each(|leaver| leaver.join().unwrap());
            left.store(true, Ordering::Relaxed);
            let published = usize::from(flow.join().unwrap());
            broker.until("the leavers are gone", |broker| broker.counters().sessions == 1);
            broker.until("all was taken", |_| seen.0.lock().unwrap().len() == published);
            publisher(&broker).publish("stop", "", AtLeastOnce);
            steady.join().unwrap();
            published
        });
        let seen = seen.0.lock().unwrap();
        assert_eq!(seen.len(), published);
        assert!(qos == AtLeastOnce || seen.values().all(|times| *times == 1), "{seen:?}");
        assert!(broker.counters().shared_handed_over > 0);
    }
}

/// A member takes five messages and goes, with its window full of others and
/// more behind it. At QoS 2 it has received all that it was sent, and only not
/// completed: [MQTT-4.8.2-5].
fn come_and_go(broker: &TestBroker, name: &str, qos: QoS, round: u32, seen: &Seen) {
    const WINDOW: usize = 3;
    let is_durable = round.is_multiple_of(2);
    let connect = if is_durable { resuming(V5, name) } else { Connect::new(V5, name) };
    let connect = Connect { clean_start: true, ..connect };
    let connect = windowed(connect, WINDOW as u16);
    let (mut client, _) = Client::connect_with(broker.address(), connect);
    let options = SubscriptionOptions::qos(qos);
    let filters = vec![SubscribeFilter { filter: SHARE.try_into().unwrap(), options }];
    let (packet_id, properties) = (client.next_id(), Properties::new());
    client.send(Packet::Subscribe(Subscribe { packet_id, filters, properties }));
    let (mut done, mut open) = (0, 0);
    while open < WINDOW {
        match client.next() {
            Packet::Publish(publish) => {
                seen.note(&publish);
                if qos == ExactlyOnce || done < 5 {
                    receive(&mut client, &publish);
                    done += usize::from(qos == AtLeastOnce);
                } else {
                    open += 1;
                }
            }
            Packet::PubRel(ack) if done < 5 => {
                client.pubcomp(ack.packet_id);
                done += 1;
            }
            Packet::PubRel(_) => open += 1,
            // Messages may come before it.
            Packet::SubAck(_) => {}
            other => panic!("unexpected {other:?}"),
        }
    }
    client.vanish();
    if is_durable {
        // Its session waits for it, until it begins anew.
        Client::connect(broker.address(), V5, name).disconnect();
    }
}

fn receive(client: &mut Client, publish: &Publish) {
    let id = publish.packet_id.unwrap();
    match publish.qos {
        ExactlyOnce => client.pubrec(id),
        _ => client.puback(id),
    }
}
