//! An outside broker restarts again and again, while devices speak.

use std::time::Duration;

use latchlight_client::Connection;
use latchlight_mqtt::{Connect, Packet, PacketId, ProtocolVersion, Publish, QoS};
use serde_json::json;
use tokio::sync::mpsc;

use crate::harness::{Device, Server};
use crate::mosquitto::Mosquitto;

const RESTARTS: usize = 14;
const LAMPS: usize = 10;
const PACE: Duration = Duration::from_millis(2);

/// A device that has joined.
async fn join(mosquitto: &Mosquitto, id: &str, hand_shake: &str) -> Device {
    let connect = Connect::new(ProtocolVersion::V5, id);
    let mut device = Device::connect(&mosquitto.address(), connect).await;
    device.listen(QoS::AtLeastOnce).await;
    device.say(&format!("hand_shake {hand_shake}")).await;
    assert_eq!(device.hear().await, "ok hand_shake");
    device
}

/// The lamp goes on and off until the connection is gone; says when it is well
/// under way.
async fn flicker(broker: String, lamp: String, under_way: mpsc::Sender<()>) -> anyhow::Result<()> {
    let connect = Connect::new(ProtocolVersion::V5, &*lamp);
    let (mut connection, _) = Connection::connect(&broker, connect).await?;
    let topic = format!("latchlight/devices/{lamp}/up");
    let packet_id = Some(PacketId::MIN);
    // Faster, and the server would miss some of it.
    let mut pace = tokio::time::interval(PACE);
    for number in 0.. {
        if number == 20 {
            under_way.send(()).await?;
        }
        let words = if number % 2 == 0 { "state on" } else { "state off" };
        let publish = Publish::new(&*topic, words);
        let publish = Publish { qos: QoS::AtLeastOnce, packet_id, ..publish };
        connection.send(&Packet::Publish(publish)).await?;
        while !matches!(connection.receive().await?, Packet::PubAck(_)) {}
        pace.tick().await;
    }
    Ok(())
}

async fn the_server_outlives_restarts(protocol: &str) {
    let mut mosquitto = Mosquitto::start();
    let broker = mosquitto.address();
    let mqtt = json!({ "broker": format!("mqtt://{broker}"), "protocol": protocol });
    let server = Server::start_with(json!({ "mqtt": mqtt }));
    server.logged("connected to the broker").await;
    let lamps: Vec<_> = (0..LAMPS).map(|number| format!("lamp-{number}")).collect();
    for lamp in &lamps {
        join(&mosquitto, lamp, "light").await;
    }
    for restart in 0..RESTARTS {
        let (under_way, mut are_under_way) = mpsc::channel(LAMPS);
        let flickering: Vec<_> = lamps
            .iter()
            .map(|lamp| tokio::spawn(flicker(broker.clone(), lamp.clone(), under_way.clone())))
            .collect();
        for _ in 0..LAMPS {
            are_under_way.recv().await.unwrap();
        }
        if restart % 2 == 0 {
            mosquitto.stop()
        } else {
            mosquitto.kill()
        }
        for lamp in flickering {
            lamp.await.unwrap().unwrap_err();
        }
        mosquitto.start_again();
        server.logged("connected to the broker").await;
    }
    let mut front = join(&mosquitto, "front", "lock {\"features\": [\"ack\"]}").await;
    let told = async {
        let (verb, command, _) = front.hear_command().await;
        assert_eq!(verb, "lock");
        front.say(&format!("ack {command} ok")).await;
    };
    let ((status, answer), ()) = tokio::join!(server.post("/lock?device=front&wait=8"), told);
    assert_eq!((status, &answer["devices"][0]["outcome"]), (200, &json!("confirmed")), "{answer}");
    server.stop();
}

#[tokio::test]
async fn the_server_outlives_the_brokers_restarts() {
    the_server_outlives_restarts("5").await;
}

#[tokio::test]
async fn the_server_outlives_the_brokers_restarts_over_3_1_1() {
    the_server_outlives_restarts("3.1.1").await;
}
