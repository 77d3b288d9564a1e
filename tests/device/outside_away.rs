//! An outside broker goes and comes back, with what it keeps.

use latchlight_mqtt::{Connect, ProtocolVersion, QoS};
use serde_json::json;
use tokio::time::Instant;

use crate::harness::{Device, PATIENCE, Server};
use crate::mosquitto::Mosquitto;

const STATE: &str = "latchlight/devices/front/state";

/// What the broker keeps on the device's state topic.
async fn kept(mosquitto: &Mosquitto) -> Option<String> {
    let connect = Connect::new(ProtocolVersion::V5, "watcher");
    let mut watcher = Device::connect(&mosquitto.address(), connect).await;
    watcher.subscribe(STATE, QoS::AtLeastOnce).await;
    watcher.subscribe("marker", QoS::AtLeastOnce).await;
    watcher.publish("marker", "", false).await;
    loop {
        let heard = watcher.hear_publish().await;
        match &*heard.topic {
            STATE if heard.retain => return Some(String::from_utf8(heard.payload.into()).unwrap()),
            STATE => {}
            _ => return None,
        }
    }
}

#[tokio::test]
async fn a_device_removed_while_the_broker_is_away_leaves_nothing_behind() {
    let mut mosquitto = Mosquitto::start_with("allow_anonymous true\npersistence true", &[]);
    let broker = format!("mqtt://{}", mosquitto.address());
    let server = Server::start_with(json!({ "mqtt": { "broker": broker } }));
    server.logged("connected to the broker").await;
    let connect = Connect::new(ProtocolVersion::V5, "front");
    let mut front = Device::connect(&mosquitto.address(), connect).await;
    front.listen(QoS::AtLeastOnce).await;
    front.say("hand_shake lock").await;
    assert_eq!(front.hear().await, "ok hand_shake");
    let end = Instant::now() + PATIENCE;
    while kept(&mosquitto).await.is_none() {
        assert!(Instant::now() < end, "no state is published");
    }

    mosquitto.stop();
    server.logged("the connection to the broker is lost").await;
    let (_, answer) = server.post("/lock").await;
    let front = &answer["devices"][0];
    assert_eq!(front["outcome"], "offline", "{answer}");
    assert_eq!(front["detail"], "the broker cannot be reached");
    assert_eq!(server.delete("/api/v1/devices/front").await, 204);
    mosquitto.start_again();
    server.logged("connected to the broker").await;
    let end = Instant::now() + PATIENCE;
    while let Some(state) = kept(&mosquitto).await {
        assert!(Instant::now() < end, "{state} is still there");
    }
}

#[tokio::test]
async fn what_an_outside_broker_counts_only_that_can_say() {
    let server = Server::start_with(json!({ "mqtt": { "broker": "mqtt://127.0.0.1:1" } }));
    let (status, metrics) = server.bytes("/metrics").await;
    let metrics = String::from_utf8(metrics.to_vec()).unwrap();
    assert_eq!((status, metrics.contains("mqtt_")), (200, false), "{metrics}");
    assert!(metrics.lines().any(|line| line == "latchlight_link_up 0"), "{metrics}");
}
