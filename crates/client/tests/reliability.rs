//! The client against a server that the test plays: what a good broker rarely does.
#![allow(clippy::unwrap_used)]
mod support;

use std::time::Duration;

use latchlight_client::{Client, ClientError, Connection, ConnectionError, Event};
use latchlight_mqtt::{
    ConnAck, Disconnect, Packet, PacketId, PubAck, PubComp, PubRec, PubRel, Publish, QoS,
    ReasonCode, SubAck,
};
use support::{PATIENCE, PlayedServer, connected, message, next, options};

fn publish(qos: QoS, packet_id: u16, payload: &'static str) -> Packet {
    let packet_id = PacketId::new(packet_id);
    Packet::Publish(Publish { qos, packet_id, ..Publish::new("t", payload) })
}

async fn receive(server: &mut Connection) -> Packet {
    server.receive_within(PATIENCE).await.unwrap()
}

async fn received_publish(server: &mut Connection) -> Publish {
    match receive(server).await {
        Packet::Publish(publish) => publish,
        other => panic!("expected PUBLISH, received {other:?}"),
    }
}

fn puback(packet_id: PacketId) -> Packet {
    let reason = ReasonCode::Success;
    Packet::PubAck(PubAck::new(packet_id, reason))
}

fn pubrec(packet_id: PacketId) -> Packet {
    let reason = ReasonCode::Success;
    Packet::PubRec(PubRec::new(packet_id, reason))
}

/// Publishes without waiting; the answer comes from the task.
fn publish_later(
    client: &Client,
    payload: &'static str,
    qos: QoS,
) -> tokio::task::JoinHandle<Result<ReasonCode, ClientError>> {
    let client = client.clone();
    tokio::spawn(async move { client.publish("t", payload, qos, false).await })
}

#[tokio::test]
async fn a_qos_2_message_that_comes_twice_is_told_once() {
    let server = PlayedServer::bind().await;
    let (_client, mut events) = Client::start(options(server.address(), "c"));
    let (mut connection, _) = server.welcome(false).await;
    connection.send(&publish(QoS::ExactlyOnce, 7, "once")).await.unwrap();
    assert!(matches!(receive(&mut connection).await, Packet::PubRec(_)));
    // The second copy comes over another connection of the same session [MQTT-4.3.3-10].
    connection.abort();
    let (mut connection, _) = server.welcome(true).await;
    connection.send(&publish(QoS::ExactlyOnce, 7, "once")).await.unwrap();
    assert!(matches!(receive(&mut connection).await, Packet::PubRec(_)));
    let packet_id = PacketId::new(7).unwrap();
    let reason = ReasonCode::Success;
    connection.send(&Packet::PubRel(PubRel::new(packet_id, reason))).await.unwrap();
    assert!(matches!(receive(&mut connection).await, Packet::PubComp(_)));
    // After the PUBREL the same id is another message.
    connection.send(&publish(QoS::ExactlyOnce, 7, "twice")).await.unwrap();
    assert_eq!(message(&mut events).await.1, "once");
    assert_eq!(message(&mut events).await.1, "twice");
}

#[tokio::test]
async fn a_resumed_session_gets_everything_unanswered_again_in_order() {
    let server = PlayedServer::bind().await;
    let mut resuming = options(server.address(), "c");
    resuming.session_expiry = 60;
    let (client, _events) = Client::start(resuming);
    let (mut connection, first) = server.welcome(false).await;
    assert!(first.clean_start);
    let mut answers = Vec::new();
    let mut ids = Vec::new();
    for (payload, qos) in
        [("1", QoS::AtLeastOnce), ("2", QoS::ExactlyOnce), ("3", QoS::AtLeastOnce)]
    {
        answers.push(publish_later(&client, payload, qos));
        ids.push(received_publish(&mut connection).await.packet_id.unwrap());
    }
    connection.send(&pubrec(ids[1])).await.unwrap();
    assert!(matches!(receive(&mut connection).await, Packet::PubRel(_)));
    connection.abort();

    let (mut connection, second) = server.welcome(true).await;
    assert!(!second.clean_start, "Clean Start would throw away the session that was asked for");
    let again = received_publish(&mut connection).await;
    assert!(again.dup && again.payload == "1" && again.packet_id == Some(ids[0]), "{again:?}");
    match receive(&mut connection).await {
        Packet::PubRel(pubrel) => assert_eq!(pubrel.packet_id, ids[1]),
        other => panic!("expected PUBREL, received {other:?}"),
    }
    let again = received_publish(&mut connection).await;
    assert!(again.dup && again.payload == "3", "{again:?}");
    connection.send(&puback(ids[0])).await.unwrap();
    let reason = ReasonCode::Success;
    let pubcomp = PubComp::new(ids[1], reason);
    connection.send(&Packet::PubComp(pubcomp)).await.unwrap();
    connection.send(&puback(ids[2])).await.unwrap();
    for answer in answers {
        answer.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_forgotten_session_gets_qos_1_again_and_qos_2_never() {
    let server = PlayedServer::bind().await;
    let (client, _events) = Client::start(options(server.address(), "c"));
    let (mut connection, _) = server.welcome(false).await;
    let twice = publish_later(&client, "at least once", QoS::AtLeastOnce);
    received_publish(&mut connection).await;
    let once = publish_later(&client, "exactly once", QoS::ExactlyOnce);
    received_publish(&mut connection).await;
    connection.abort();

    let (mut connection, _) = server.welcome(false).await;
    let again = received_publish(&mut connection).await;
    assert_eq!(again.payload, "at least once");
    assert!(matches!(once.await.unwrap(), Err(ClientError::SessionLost)));
    connection.send(&puback(again.packet_id.unwrap())).await.unwrap();
    twice.await.unwrap().unwrap();
}

#[tokio::test]
async fn the_servers_receive_maximum_is_kept() {
    let server = PlayedServer::bind().await;
    let (client, _events) = Client::start(options(server.address(), "c"));
    let narrow = |connack: &mut ConnAck| connack.properties.make_mut().receive_maximum = Some(2);
    let (mut connection, _) = server.welcome_with(false, narrow).await;
    let answers: Vec<_> = (0..5).map(|_| publish_later(&client, "x", QoS::AtLeastOnce)).collect();
    for round in 0..5 {
        let sent = received_publish(&mut connection).await;
        if round == 0 {
            received_publish(&mut connection).await;
            // [MQTT-3.3.4-9]: a third comes only after an acknowledgement.
            let third = connection.receive_within(Duration::from_millis(100)).await;
            assert!(matches!(third, Err(ConnectionError::TimedOut(_))), "{third:?}");
            connection.send(&puback(PacketId::new(2).unwrap())).await.unwrap();
        }
        connection.send(&puback(sent.packet_id.unwrap())).await.unwrap();
        if round == 3 {
            break;
        }
    }
    for answer in answers {
        answer.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn what_the_server_does_not_take_is_refused_here() {
    let server = PlayedServer::bind().await;
    let (client, _events) = Client::start(options(server.address(), "c"));
    let (mut connection, _) = server
        .welcome_with(false, |connack| {
            connack.properties.make_mut().maximum_packet_size = Some(100);
            connack.properties.make_mut().maximum_qos = Some(QoS::AtLeastOnce);
            connack.properties.make_mut().retain_available = Some(false);
        })
        .await;
    let large = client.publish("t", vec![b'x'; 100], QoS::AtLeastOnce, false).await;
    assert!(matches!(large, Err(ClientError::PacketTooLarge { maximum: 100, .. })), "{large:?}");
    let twice = client.publish("t", "x", QoS::ExactlyOnce, false).await;
    assert!(matches!(twice, Err(ClientError::QosNotSupported(QoS::AtLeastOnce))), "{twice:?}");
    let kept = client.publish("t", "x", QoS::AtLeastOnce, true).await;
    assert!(matches!(kept, Err(ClientError::RetainNotSupported)), "{kept:?}");
    let fine = publish_later(&client, "x", QoS::AtLeastOnce);
    let sent = received_publish(&mut connection).await;
    connection.send(&puback(sent.packet_id.unwrap())).await.unwrap();
    fine.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_server_that_answers_no_ping_is_left() {
    let server = PlayedServer::bind().await;
    let mut quick = options(server.address(), "c");
    quick.keep_alive = Duration::from_secs(1);
    let (_client, mut events) = Client::start(quick);
    let (mut connection, connect) = server.welcome(false).await;
    assert_eq!(connect.keep_alive, 1);
    connected(&mut events).await;
    assert!(matches!(receive(&mut connection).await, Packet::PingReq));
    match next(&mut events).await {
        Event::Disconnected { error: ConnectionError::PingUnanswered(_), .. } => {}
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_servers_keep_alive_replaces_ours() {
    // [MQTT-3.1.2-21]
    let server = PlayedServer::bind().await;
    let (_client, _events) = Client::start(options(server.address(), "c"));
    let hurried = |connack: &mut ConnAck| connack.properties.make_mut().server_keep_alive = Some(1);
    let (mut connection, connect) = server.welcome_with(false, hurried).await;
    assert_eq!(connect.keep_alive, 60);
    assert!(matches!(receive(&mut connection).await, Packet::PingReq));
}

#[tokio::test]
async fn a_malformed_packet_is_answered_with_its_reason_and_the_client_connects_again() {
    let server = PlayedServer::bind().await;
    let (_client, mut events) = Client::start(options(server.address(), "c"));
    let (mut connection, _) = server.welcome(false).await;
    // A PUBLISH of QoS 3.
    connection.send_raw(&[0x36, 0x05, 0x00, 0x01, b't', 0x00, 0x01]).await.unwrap();
    match receive(&mut connection).await {
        Packet::Disconnect(disconnect) => {
            assert_eq!(disconnect.reason, ReasonCode::MalformedPacket);
        }
        other => panic!("expected DISCONNECT, received {other:?}"),
    }
    connected(&mut events).await;
    assert!(matches!(
        next(&mut events).await,
        Event::Disconnected { error: ConnectionError::Decode(_), .. }
    ));
    server.welcome(false).await;
    connected(&mut events).await;
}

#[tokio::test]
async fn a_refused_renewal_of_a_subscription_is_told() {
    let server = PlayedServer::bind().await;
    let (client, mut events) = Client::start(options(server.address(), "c"));
    for granted in [true, false] {
        let (mut connection, _) = server.welcome(false).await;
        if granted {
            let client = client.clone();
            tokio::spawn(async move { client.subscribe("mine", QoS::AtLeastOnce).await });
        }
        let Packet::Subscribe(subscribe) = receive(&mut connection).await else {
            panic!("a SUBSCRIBE comes")
        };
        let reason = if granted { ReasonCode::GrantedQoS1 } else { ReasonCode::NotAuthorized };
        let packet_id = subscribe.packet_id;
        let properties = Default::default();
        let suback = SubAck { packet_id, reasons: vec![reason], properties };
        connection.send(&Packet::SubAck(suback)).await.unwrap();
        if granted {
            // Its acknowledgement proves that the client has read the SUBACK before.
            connection.send(&publish(QoS::AtLeastOnce, 1, "x")).await.unwrap();
            assert!(matches!(receive(&mut connection).await, Packet::PubAck(_)));
        } else {
            loop {
                match next(&mut events).await {
                    Event::SubscriptionLost { filter, reason } => {
                        assert_eq!(filter.as_str(), "mine");
                        assert_eq!(reason, ReasonCode::NotAuthorized);
                        break;
                    }
                    Event::Disconnected { .. } | Event::Connected(_) | Event::Message(_) => {}
                }
            }
        }
        connection.abort();
    }
}

#[tokio::test]
async fn a_client_whose_session_was_taken_over_does_not_take_it_back() {
    let server = PlayedServer::bind().await;
    let (client, mut events) = Client::start(options(server.address(), "twin"));
    let (mut connection, _) = server.welcome(false).await;
    connected(&mut events).await;
    let reason = ReasonCode::SessionTakenOver;
    let packet = Disconnect { reason, properties: Default::default() };
    connection.send(&Packet::Disconnect(packet)).await.unwrap();
    match next(&mut events).await {
        Event::Disconnected { error, retry_in: None } => assert!(
            matches!(error, ConnectionError::Disconnected(ReasonCode::SessionTakenOver)),
            "{error}"
        ),
        other => panic!("{other:?}"),
    }
    assert!(tokio::time::timeout(PATIENCE, events.next()).await.unwrap().is_none());
    assert!(matches!(client.disconnect().await, Err(ClientError::Stopped)));
}

#[tokio::test]
async fn disconnect_waits_for_what_is_on_its_way() {
    let server = PlayedServer::bind().await;
    let (client, _events) = Client::start(options(server.address(), "c"));
    let (mut connection, _) = server.welcome(false).await;
    let answer = publish_later(&client, "last words", QoS::AtLeastOnce);
    let sent = received_publish(&mut connection).await;
    let leaving = tokio::spawn({
        let client = client.clone();
        async move { client.disconnect().await }
    });
    connection.send(&puback(sent.packet_id.unwrap())).await.unwrap();
    assert!(matches!(receive(&mut connection).await, Packet::Disconnect(_)));
    leaving.await.unwrap().unwrap();
    answer.await.unwrap().unwrap();
}

#[tokio::test]
async fn the_last_front_that_is_dropped_disconnects() {
    let server = PlayedServer::bind().await;
    let (client, mut events) = Client::start(options(server.address(), "c"));
    let (mut connection, _) = server.welcome(false).await;
    connected(&mut events).await;
    drop((client, events));
    assert!(matches!(receive(&mut connection).await, Packet::Disconnect(_)));
}

#[tokio::test]
async fn a_stop_while_the_server_is_away_does_not_wait_for_it() {
    let server = PlayedServer::bind().await;
    // Accepts nothing: the connection stands in the backlog and no CONNACK comes.
    let (client, _events) = Client::start(options(server.address(), "c"));
    tokio::time::timeout(PATIENCE, client.disconnect()).await.unwrap().unwrap();
}
