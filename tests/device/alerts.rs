//! Who hears of what: an alert tells of a device, and so only those hear it who
//! may see that one.

use std::time::Duration;

use latchlight_mqtt::{Connect, ProtocolVersion, QoS};
use serde_json::{Value, json};

use crate::harness::{Device, PASSWORD, PATIENCE, Server};
use crate::identities::{shows, subscribe};

const A_WHILE: Duration = Duration::from_millis(200);

/// A member who may do this to these, and what it is told.
async fn member(server: &Server, name: &str, devices: Value) -> Device {
    let member = json!({
        "name": name, "role": "member", "password": PASSWORD,
        "grants": [{ "actions": ["lock"], "devices": devices }],
    });
    assert_eq!(server.post_json("/api/v1/users", member).await.0, 201);
    let connect = shows(Connect::new(ProtocolVersion::V5, name), name, PASSWORD);
    let mut member = Device::connect(server.mqtt(), connect).await;
    let own = format!("latchlight/apps/{name}/down");
    member.subscribe(&own, QoS::AtLeastOnce).await;
    member
}

#[tokio::test]
async fn c19_an_account_hears_alerts_about_the_devices_that_it_may_see_alone() {
    let server = Server::start();
    let mut front = Device::join(&server, "front", "lock").await;
    let mut back = Device::join(&server, "back", "lock").await;
    let mut some = member(&server, "some", json!(["front"])).await;
    let mut all = member(&server, "all", json!(["*"])).await;
    assert!(subscribe(&mut some, "latchlight/alerts/#").await.is_error());
    assert!(subscribe(&mut some, "latchlight/alerts/jammed").await.is_error());
    all.subscribe("latchlight/alerts/#", QoS::AtLeastOnce).await;
    back.say("state jammed").await;
    front.say("state jammed").await;
    for door in ["back", "front"] {
        let heard = all.hear_publish().await;
        assert_eq!(&*heard.topic, "latchlight/alerts/jammed");
        assert!(String::from_utf8_lossy(&heard.payload).contains(door));
    }
    let heard = some.hear().await;
    assert!(heard.starts_with("alert jammed {") && heard.contains("\"front\""), "{heard}");
    some.hears_nothing_for(A_WHILE).await;
    all.hears_nothing_for(A_WHILE).await;
    // Whoever sees one alone from now on begins anew, and does not get to it.
    let narrow = json!({ "grants": [{ "actions": [], "devices": ["back"] }] });
    let change = server.request(reqwest::Method::PATCH, "/api/v1/users/all").await;
    assert_eq!(change.json(&narrow).send().await.unwrap().status(), 200);
    all.connection.closed_within(PATIENCE).await.unwrap();
    let connect = shows(Connect::new(ProtocolVersion::V5, "all"), "all", PASSWORD);
    let mut all = Device::connect(server.mqtt(), connect).await;
    assert!(subscribe(&mut all, "latchlight/alerts/#").await.is_error());
}

#[tokio::test]
async fn a_device_that_asks_for_alerts_hears_its_own_and_those_that_config_json_names() {
    let grants = json!([{ "actions": ["lock"], "devices": ["front"] }]);
    let server = Server::start_with(json!({ "devices": {
        "remote": { "grants": grants },
        "siren": { "alerts": ["*"] },
        "lamp": { "alerts": ["back"] },
    } }));
    let mut front = Device::join(&server, "front", r#"lock {"features": ["alerts"]}"#).await;
    let mut back = Device::join(&server, "back", "lock").await;
    let mut remote = Device::join(&server, "remote", r#"other {"features": ["alerts"]}"#).await;
    let mut siren = Device::join(&server, "siren", r#"other {"features": ["alerts"]}"#).await;
    let mut lamp = Device::join(&server, "lamp", r#"light {"features": ["alerts"]}"#).await;
    for door in [&mut back, &mut front] {
        door.say("state jammed").await;
    }
    for (listener, doors) in [
        (&mut front, vec!["front"]),
        (&mut remote, vec!["front"]),
        (&mut siren, vec!["back", "front"]),
        (&mut lamp, vec!["back"]),
    ] {
        let mut heard = Vec::new();
        for _ in &doors {
            let alert = listener.hear().await;
            let body = alert.strip_prefix("alert jammed ").unwrap_or_else(|| panic!("{alert}"));
            let body: Value = serde_json::from_str(body).unwrap();
            heard.push(body["device"].as_str().unwrap().to_owned());
        }
        heard.sort();
        assert_eq!(heard, doors);
        listener.hears_nothing_for(A_WHILE).await;
    }
}
