//! The client against a real mosquitto.
#![allow(clippy::unwrap_used)]
mod support;

use std::process::Command;
use std::time::Duration;

use latchlight_client::{Acknowledge, Client, ClientError, ConnectionError, Event};
use latchlight_mqtt::{Disconnect, ProtocolVersion, QoS, ReasonCode, TopicName, Will};
use support::{Mosquitto, PATIENCE, connected, message, next, options};
use tokio::time::timeout;

const VERSIONS: [ProtocolVersion; 3] =
    [ProtocolVersion::V31, ProtocolVersion::V311, ProtocolVersion::V5];

#[tokio::test]
async fn every_version_carries_every_qos() {
    let broker = Mosquitto::start().await;
    for version in VERSIONS {
        let mut options = options(broker.address(), "all-of-them");
        options.version = version;
        let (client, mut events) = Client::connect(options).await.unwrap();
        client.subscribe("t/#", QoS::ExactlyOnce).await.unwrap();
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            client.publish("t/x", format!("{qos:?}"), qos, false).await.unwrap();
            let expected = ("t/x".to_owned(), format!("{qos:?}"));
            assert_eq!(message(&mut events).await, expected, "{version:?}");
        }
        assert!(!client.unsubscribe("t/#").await.unwrap().is_error());
        client.disconnect().await.unwrap();
        assert!(matches!(
            client.publish("t/x", "late", QoS::AtLeastOnce, false).await,
            Err(ClientError::Stopped)
        ));
    }
}

#[tokio::test]
async fn nobody_subscribed_is_told_by_mqtt_5() {
    let broker = Mosquitto::start().await;
    let (client, _events) = Client::connect(options(broker.address(), "alone")).await.unwrap();
    let reason = client.publish("t", "x", QoS::AtLeastOnce, false).await.unwrap();
    assert_eq!(reason, ReasonCode::NoMatchingSubscribers);
}

#[tokio::test]
async fn the_will_is_published_after_an_abort_and_not_after_a_disconnect() {
    let broker = Mosquitto::start().await;
    let (watcher, mut seen) = Client::connect(options(broker.address(), "watcher")).await.unwrap();
    watcher.subscribe("online/+", QoS::AtLeastOnce).await.unwrap();
    for (id, graceful) in [("polite", true), ("cut-off", false), ("asks-for-it", true)] {
        let mut options = options(broker.address(), id);
        options.will = Some(Will {
            topic: TopicName::try_from(format!("online/{id}").as_str()).unwrap(),
            payload: "offline".into(),
            qos: QoS::AtLeastOnce,
            retain: false,
            properties: Default::default(),
        });
        let (client, _events) = Client::connect(options).await.unwrap();
        match (id, graceful) {
            ("asks-for-it", _) => {
                let reason = ReasonCode::DisconnectWithWill;
                let packet = Disconnect { reason, properties: Default::default() };
                client.disconnect_with(packet).await.unwrap();
            }
            (_, true) => client.disconnect().await.unwrap(),
            (_, false) => client.abort().await.unwrap(),
        }
    }
    // The polite one came first: had it left a will, that would be the first message.
    assert_eq!(message(&mut seen).await.0, "online/cut-off");
    assert_eq!(message(&mut seen).await.0, "online/asks-for-it");
}

#[tokio::test]
async fn a_retained_message_waits_for_its_subscriber() {
    let broker = Mosquitto::start().await;
    let (client, mut events) = Client::connect(options(broker.address(), "keeper")).await.unwrap();
    client.publish("kept", "here", QoS::AtLeastOnce, true).await.unwrap();
    client.subscribe("kept", QoS::AtLeastOnce).await.unwrap();
    assert!(matches!(next(&mut events).await, Event::Connected(_)));
    let Event::Message(kept) = next(&mut events).await else { panic!("a message comes") };
    assert!(kept.retain && kept.payload == "here");
}

#[tokio::test]
async fn wrong_credentials_are_a_refusal_with_its_reason() {
    let broker = Mosquitto::start_with("allow_anonymous false\n").await;
    for (version, expected) in [
        (ProtocolVersion::V311, ReasonCode::NotAuthorized),
        (ProtocolVersion::V5, ReasonCode::NotAuthorized),
    ] {
        let mut options = options(broker.address(), "stranger");
        options.version = version;
        options.username = Some("door".into());
        options.password = Some("guess".into());
        match Client::connect(options).await {
            Err(ClientError::Connection(ConnectionError::Refused(reason))) => {
                assert_eq!(reason, expected, "{version:?}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn right_credentials_are_let_in() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("passwords");
    let made = Command::new("mosquitto_passwd")
        .args(["-b", "-c", file.to_str().unwrap(), "door", "secret"])
        .status()
        .unwrap();
    assert!(made.success());
    let lines = format!("allow_anonymous false\npassword_file {}\n", file.display());
    let broker = Mosquitto::start_with(&lines).await;
    let url: latchlight_client::BrokerUrl =
        format!("mqtt://door:secret@{}", broker.address()).parse().unwrap();
    let options = latchlight_client::ClientOptions::for_broker(&url, "door");
    let (client, _events) = Client::connect(options).await.unwrap();
    client.disconnect().await.unwrap();
}

#[tokio::test]
async fn after_a_lost_connection_subscriptions_are_renewed() {
    let broker = Mosquitto::start().await;
    for version in VERSIONS {
        let mut options = options(broker.address(), "faller");
        options.version = version;
        let (client, mut events) = Client::connect(options).await.unwrap();
        connected(&mut events).await;
        client.subscribe("down", QoS::AtLeastOnce).await.unwrap();
        client.subscribe("gone", QoS::AtLeastOnce).await.unwrap();
        client.unsubscribe("gone").await.unwrap();
        client.drop_connection().await.unwrap();
        match next(&mut events).await {
            Event::Disconnected { error: ConnectionError::Dropped, retry_in: Some(_) } => {}
            other => panic!("{other:?}"),
        }
        assert!(!connected(&mut events).await.session_present);
        client.publish("gone", "1", QoS::AtLeastOnce, false).await.unwrap();
        client.publish("down", "2", QoS::AtLeastOnce, false).await.unwrap();
        assert_eq!(message(&mut events).await.1, "2");
        client.disconnect().await.unwrap();
    }
}

#[tokio::test]
async fn what_is_published_while_the_broker_is_away_arrives_after_its_return() {
    let mut broker = Mosquitto::start().await;
    let (client, mut events) = Client::connect(options(broker.address(), "patient")).await.unwrap();
    client.subscribe("t", QoS::AtLeastOnce).await.unwrap();
    connected(&mut events).await;
    broker.kill();
    assert!(matches!(next(&mut events).await, Event::Disconnected { .. }));
    let publisher = client.clone();
    let waiting =
        tokio::spawn(async move { publisher.publish("t", "late", QoS::AtLeastOnce, false).await });
    broker.start_again().await;
    assert_eq!(message(&mut events).await.1, "late");
    timeout(PATIENCE, waiting).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_client_that_starts_before_its_broker_connects_when_that_comes() {
    let mut broker = Mosquitto::start().await;
    broker.kill();
    let (_client, mut events) = Client::start(options(broker.address(), "early"));
    assert!(matches!(
        next(&mut events).await,
        Event::Disconnected { error: ConnectionError::Unreachable { .. }, .. }
    ));
    broker.start_again().await;
    connected(&mut events).await;
}

#[tokio::test]
async fn what_was_not_acknowledged_comes_again_and_what_was_does_not() {
    let broker = Mosquitto::start().await;
    let mut options = options(broker.address(), "careful");
    options.acknowledge = Acknowledge::Manually;
    options.session_expiry = 3600;
    let (client, mut events) = Client::connect(options).await.unwrap();
    client.subscribe("t", QoS::ExactlyOnce).await.unwrap();
    for (payload, qos) in
        [("a", QoS::AtLeastOnce), ("b", QoS::AtLeastOnce), ("c", QoS::ExactlyOnce)]
    {
        client.publish("t", payload, qos, false).await.unwrap();
    }
    for payload in ["a", "b", "c"] {
        let message = timeout(PATIENCE, events.next_message()).await.unwrap().unwrap();
        assert_eq!(message.payload, payload);
        if payload == "a" {
            client.acknowledge(&message).await.unwrap();
        }
    }
    // Its answer shows that the acknowledgement, which left before it, has arrived.
    client.publish("elsewhere", "x", QoS::AtLeastOnce, false).await.unwrap();
    client.drop_connection().await.unwrap();
    assert!(connected(&mut events).await.session_present);
    for payload in ["b", "c"] {
        let message = timeout(PATIENCE, events.next_message()).await.unwrap().unwrap();
        assert!(message.dup && message.payload == payload, "{message:?}");
        client.acknowledge(&message).await.unwrap();
    }
}

#[tokio::test]
async fn a_full_event_queue_holds_the_server_back_and_loses_nothing() {
    let broker = Mosquitto::start_with("allow_anonymous true\nmax_queued_messages 0\n").await;
    let mut slow = options(broker.address(), "slow");
    slow.event_queue = 1;
    let (reader, mut events) = Client::connect(slow).await.unwrap();
    connected(&mut events).await;
    reader.subscribe("t", QoS::AtLeastOnce).await.unwrap();
    let (writer, _) = Client::connect(options(broker.address(), "writer")).await.unwrap();
    for number in 0..500 {
        writer.publish("t", number.to_string(), QoS::AtLeastOnce, false).await.unwrap();
    }
    for number in 0..500 {
        assert_eq!(message(&mut events).await.1, number.to_string());
    }
}

#[tokio::test]
async fn many_publish_at_once_through_a_small_window() {
    let broker = Mosquitto::start().await;
    let mut narrow = options(broker.address(), "narrow");
    narrow.max_in_flight = 3;
    let (client, mut events) = Client::connect(narrow).await.unwrap();
    client.subscribe("t", QoS::AtMostOnce).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..200 {
        let client = client.clone();
        let qos = if number % 2 == 0 { QoS::AtLeastOnce } else { QoS::ExactlyOnce };
        tasks.spawn(async move { client.publish("t", "x", qos, false).await });
    }
    for _ in 0..200 {
        message(&mut events).await;
    }
    for result in tasks.join_all().await {
        result.unwrap();
    }
}

#[tokio::test]
async fn pings_keep_an_idle_connection() {
    let broker = Mosquitto::start().await;
    let mut quiet = options(broker.address(), "quiet");
    quiet.keep_alive = Duration::from_secs(1);
    let (client, mut events) = Client::connect(quiet).await.unwrap();
    connected(&mut events).await;
    // Mosquitto ends a connection that was silent for one and a half times its keep alive.
    let ended = timeout(Duration::from_secs(4), events.next()).await;
    assert!(ended.is_err(), "{ended:?}");
    client.disconnect().await.unwrap();
}

#[tokio::test]
async fn invalid_topics_and_filters_are_refused_here() {
    let broker = Mosquitto::start().await;
    let (client, _events) = Client::connect(options(broker.address(), "sloppy")).await.unwrap();
    for topic in ["", "a/#", "a/+", "a\0b"] {
        let result = client.publish(topic, "x", QoS::AtLeastOnce, false).await;
        assert!(matches!(result, Err(ClientError::Topic(_))), "{topic:?}: {result:?}");
    }
    let result = client.subscribe("a/#/b", QoS::AtMostOnce).await;
    assert!(matches!(result, Err(ClientError::Topic(_))), "{result:?}");
    assert!(client.publish("a", "x", QoS::AtLeastOnce, false).await.is_ok());
}
