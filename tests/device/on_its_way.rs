//! Commands that are in the server's send buffers, because the network hangs:
//! they do not arrive after their expiry, whatever happens to the server (C3,
//! C7).

use std::io::ErrorKind;
use std::time::Duration;

use latchlight_client::{Connection, ConnectionError};
use latchlight_mqtt::{Packet, ProtocolVersion, QoS, ReasonCode};
use serde_json::json;
use tokio::net::{TcpListener, TcpSocket};

use crate::harness::{Device, PATIENCE, Server, command_of};
use crate::outside_broker::Broker;

/// More than a device's system takes here, and less than the server's.
const NOISE: usize = 64 * 1024;

/// What a device says there is not answered.
fn noise(id: &str) -> String {
    format!("latchlight/devices/{id}/online")
}

/// A device whose system takes next to nothing for it.
async fn deaf(server: &Server, id: &str, qos: QoS) -> Device {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let stream = socket.connect(server.mqtt().parse().unwrap()).await.unwrap();
    let connection = Connection::from_stream(stream, ProtocolVersion::V5);
    let (mut device, _) = Device::over(connection, server.device(id).await).await;
    device.listen(qos).await;
    device.subscribe(&noise(id), QoS::AtMostOnce).await;
    device.say("hand_shake lock {\"features\": [\"ack\"]}").await;
    assert_eq!(device.hear().await, "ok hand_shake");
    device
}

/// The system would go on to send what a process leaves that is killed.
#[tokio::test]
async fn c3_c7_what_a_killed_server_has_sent_does_not_arrive_later() {
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce] {
        let server = Server::start();
        let mut door = deaf(&server, "front", qos).await;
        let mut noisy = Device::connect(server.mqtt(), server.device("front.noisy").await).await;
        let made = noisy.publish(&noise("front"), vec![0; NOISE], false).await;
        assert_eq!(made, ReasonCode::Success);
        let (_, answer) = server.post("/unlock?device=front&wait=0").await;
        server.command_when(&command_of(&answer), |command| command["status"] == "sent").await;
        let folder = server.kill();
        // It reads at last.
        while let Ok(packet) = door.connection.receive_within(PATIENCE).await {
            let Packet::Publish(publish) = packet else { panic!("unexpected {packet:?}") };
            assert_eq!(&*publish.topic, noise("front"));
        }
        drop(folder);
    }
}

/// Nothing is out any more: the last words are heard, and no reset takes them.
#[tokio::test]
async fn a_connection_that_has_carried_commands_ends_in_order() {
    let server = Server::start();
    let mut door = Device::join(&server, "front", "lock {\"features\": [\"ack\"]}").await;
    let (answer, ()) = tokio::join!(server.post("/lock?device=front"), async {
        let (_, id, _) = door.hear_command().await;
        door.say(&format!("ack {id} ok")).await;
    });
    assert_eq!(answer.0, 200);
    server.begin_to_stop();
    let last = door.connection.receive_within(PATIENCE).await.unwrap();
    assert!(matches!(last, Packet::Disconnect(_)), "{last:?}");
    assert!(door.connection.closed_within(PATIENCE).await.is_ok_and(|rest| rest.is_empty()));
}

/// An outside broker counts the expiry from when a command comes to it, so
/// that one may not come there late.
#[tokio::test]
async fn c3_a_broker_that_does_not_take_a_command_is_cut_off_before_that_is_settled() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let begin = json!({
        "mqtt": { "broker": format!("mqtt://{address}") },
        "commands": { "expires_in": 4 },
    });
    let server = tokio::task::spawn_blocking(|| Server::start_with(begin));
    let mut broker = Broker::of(&listener).await;
    let server = server.await.unwrap();
    let online = broker.until("online").await;
    broker.acknowledge(&online).await;
    broker.hand_shake().await;
    let (_, answer) = server.post("/unlock?device=front&wait=0").await;
    let command = broker.until("unlock ").await;
    // Less than it has: the rest is for the way.
    let expiry = command.properties.message_expiry_interval;
    assert!(matches!(expiry, Some(1..=3)), "{expiry:?}");
    let ended = server.ended(&command_of(&answer)).await;
    assert_eq!(ended["outcome"], "unconfirmed");
    // It is gone already, by a reset: what is on its way is thrown away.
    let end = broker.0.receive_within(Duration::ZERO).await.unwrap_err();
    assert!(
        matches!(&end, ConnectionError::Io(error) if error.kind() == ErrorKind::ConnectionReset),
        "{end:?}"
    );
    // The server comes back, with the same question to the device and without
    // the command.
    let mut broker = Broker::of(&listener).await;
    loop {
        let next = broker.until("").await;
        assert!(!next.payload.starts_with(b"unlock"), "{next:?}");
        broker.acknowledge(&next).await;
        if next.payload == "report" {
            break;
        }
    }
}
