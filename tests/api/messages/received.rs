//! What others send on topics that the settings name.

use latchlight_client::Connection;
use latchlight_mqtt::{Connect, Packet, PacketId, ProtocolVersion, Publish, QoS};
use serde_json::{Value, json};

use super::reader::open_house;
use crate::harness::{PATIENCE, Server, until};

/// Publishes as somebody whom the server does not know, at QoS 1.
async fn publish(server: &Server, messages: &[Publish]) {
    let connect = Connect::new(ProtocolVersion::V5, "sensor");
    let (mut sensor, _) = Connection::connect(&server.mqtt.to_string(), connect).await.unwrap();
    for message in messages {
        let mut message = message.clone();
        (message.qos, message.packet_id) = (QoS::AtLeastOnce, Some(PacketId::MIN));
        sensor.send(&Packet::Publish(message)).await.unwrap();
        let Packet::PubAck(ack) = sensor.receive_within(PATIENCE).await.unwrap() else { panic!() };
        assert!(!ack.reason.is_error(), "{:?}", ack.reason);
    }
}

/// What was received, the newest first, as soon as there is so much of it.
async fn received(server: &Server, many: usize) -> Vec<Value> {
    until("what was received to be on record", async || {
        let page = server.get("/api/v1/messages?direction=received").await.json();
        let messages = page["messages"].as_array().unwrap().clone();
        (messages.len() >= many).then_some(messages)
    })
    .await
}

#[tokio::test]
async fn what_others_send_is_on_record_with_all_that_was_said_of_it() {
    let mut settings = open_house();
    settings["messages"] = json!({ "record": ["sensors/#", "messages/+"] });
    let server = Server::start_with(settings).await;
    let sent = json!({ "topic": "messages/own", "payload": "of the gateway" });
    assert_eq!(server.post_json("/messaging/send", &sent).await.status, 201);
    let mut first = Publish::new("sensors/kitchen/heat", "21.5");
    first.retain = true;
    let properties = first.properties.make_mut();
    properties.content_type = Some("text/plain".into());
    properties.user_properties.push(("unit".into(), "C".into()));
    let messages = [
        first,
        Publish::new("elsewhere/x", "not to be recorded"),
        Publish::new("messages/own/deeper", "nor this"),
        Publish::new("messages/4711", vec![0, 255]),
    ];
    publish(&server, &messages).await;
    let found = received(&server, 2).await;
    assert_eq!(found.len(), 2, "{found:?}");
    let (bytes, heat) = (&found[0], &found[1]);
    for (key, value) in [
        ("direction", json!("received")),
        ("state", json!("received")),
        ("topic", json!("sensors/kitchen/heat")),
        ("payload", json!("21.5")),
        ("qos", json!(1)),
        ("retain", json!(true)),
        ("content_type", json!("text/plain")),
        ("properties", json!({ "unit": "C" })),
        ("sender", Value::Null),
        ("device", Value::Null),
    ] {
        assert_eq!(heat[key], value, "{key}: {heat}");
    }
    assert_eq!((&bytes["payload_base64"], &bytes["device"]), (&json!("AP8="), &json!("4711")));
    let all = server.get("/api/v1/messages?topic=messages/%2B").await.json();
    assert_eq!(all["messages"].as_array().unwrap().len(), 2, "what was sent is there once: {all}");
    // Of what was received the older services tell nothing.
    let reports = server.get("/reporting/all").await.json();
    assert_eq!(reports, json!([{ "imei": "own", "micro_op": "of the gateway" }]));
    server.stop().await;
}

#[tokio::test]
async fn what_is_too_large_for_the_record_is_counted_and_the_rest_is_there() {
    let mut settings = open_house();
    settings["messages"] = json!({ "record": ["sensors/#"], "max_bytes": 10 });
    let server = Server::start_with(settings).await;
    let messages = ["12345678901", "1234567890"].map(|text| Publish::new("sensors/x", text));
    publish(&server, &messages).await;
    let found = received(&server, 1).await;
    assert_eq!((found.len(), &found[0]["payload"]), (1, &json!("1234567890")));
    let metrics = server.get("/metrics").await;
    let metrics = String::from_utf8(metrics.body.to_vec()).unwrap();
    for line in [
        "latchlight_gateway_messages_lost_total 1",
        "latchlight_gateway_messages_total{state=\"received\"} 1",
    ] {
        assert!(metrics.lines().any(|l| l == line), "{line}: {metrics}");
    }
    server.stop().await;
}

#[tokio::test]
async fn no_device_has_a_base_topic_that_is_recorded() {
    let mut settings = open_house();
    settings["messages"] = json!({ "record": ["yard/#"] });
    let server = Server::start_with(settings).await;
    let door = server.lock("front", crate::harness::Manner::Obeys).await;
    door.say(r#"hand_shake lock {"base": "yard/front"}"#).await;
    until("the base to be refused", async || (door.count("error") > 0).then_some(())).await;
    publish(&server, &[Publish::new("yard/front/down", "seen")]).await;
    assert_eq!(received(&server, 1).await[0]["payload"], "seen", "it is nobody's");
    server.stop().await;
}
