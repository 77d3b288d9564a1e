//! What others send on an outside broker, on topics that the settings name.

use latchlight_mqtt::{Connect, ProtocolVersion};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::harness::{Device, PATIENCE, Server};
use crate::mosquitto::Mosquitto;

/// What was received, the newest first, when there is so much of it.
async fn received(server: &Server, many: usize) -> Vec<Value> {
    let end = Instant::now() + PATIENCE;
    loop {
        let (_, page) = server.get("/api/v1/messages?direction=received").await;
        let messages = page["messages"].as_array().unwrap();
        if messages.len() >= many {
            return messages.clone();
        }
        assert!(Instant::now() < end, "{page}");
    }
}

async fn what_others_send_is_on_record(protocol: &str) {
    let mut mosquitto = Mosquitto::start_with("allow_anonymous true\npersistence true", &[]);
    let mqtt = json!({ "broker": format!("mqtt://{}", mosquitto.address()), "protocol": protocol });
    let messages = json!({ "record": ["sensors/#", "messages/+"] });
    let server = Server::start_with(json!({ "mqtt": mqtt, "messages": messages }));
    server.logged("connected to the broker").await;
    let connect = || Connect::new(ProtocolVersion::V5, "sensor");
    let mut sensor = Device::connect(&mosquitto.address(), connect()).await;
    sensor.publish("sensors/kitchen", "21.5", false).await;
    sensor.publish("elsewhere", "nothing to record", false).await;
    sensor.publish("sensors/kept", "once", true).await;
    assert_eq!(received(&server, 2).await.len(), 2);

    // What the broker has kept is not recorded again, and what comes then is.
    mosquitto.stop();
    server.logged("the connection to the broker is lost").await;
    mosquitto.start_again();
    server.logged("connected to the broker").await;
    let own = json!({ "topic": "messages/own", "payload": "of the gateway" });
    assert_eq!(server.post_json("/messaging/send", own).await.0, 201);
    let mut sensor = Device::connect(&mosquitto.address(), connect()).await;
    sensor.publish("messages/4711", vec![0, 255], false).await;
    let own_too = usize::from(protocol == "3.1.1");
    let found = received(&server, 3 + own_too).await;
    assert_eq!(found.len(), 3 + own_too, "{found:?}");
    assert_eq!(
        (&found[0]["payload_base64"], &found[0]["device"]),
        (&json!("AP8="), &json!("4711"))
    );
    let oldest = &found[2 + own_too];
    assert_eq!((&oldest["topic"], &oldest["payload"]), (&json!("sensors/kitchen"), &json!("21.5")));
    assert_eq!((&oldest["qos"], &oldest["state"]), (&json!(1), &json!("received")));
}

#[tokio::test]
async fn what_others_send_on_an_outside_broker_is_on_record() {
    what_others_send_is_on_record("5").await;
}

#[tokio::test]
async fn over_mqtt_311_it_is_on_record_and_so_is_what_the_gateway_sent() {
    what_others_send_is_on_record("3.1.1").await;
}
