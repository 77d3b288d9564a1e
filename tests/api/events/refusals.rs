//! What somebody may not, and what else is done to the house, is on record:
//! who, from where, through what. A flood of it is not.

use latchlight_client::{Client, ClientOptions};
use latchlight_mqtt::QoS;
use serde_json::json;

use super::Table;
use crate::harness::{Manner, Server, png};

#[tokio::test]
async fn c23b_a_light_that_unlocks_a_door_is_refused_and_on_record() {
    let server = Server::start().await;
    let door = server.lock("front", Manner::Obeys).await;
    let lamp = server.light("lamp", Manner::Obeys).await;
    lamp.say("unlock front").await;
    let mut table = Table::of(server.folder()).await;
    let events = table.events_when("command", 1).await;
    assert_eq!((&*events[0].actor, &*events[0].through), ("device:lamp", "mqtt"));
    assert_eq!((&*events[0].action, &*events[0].result), ("unlock", "refused"));
    assert_eq!(events[0].device.as_deref(), Some("front"));
    assert!(events[0].detail.as_ref().unwrap().contains("does not grant lamp"), "{events:?}");
    assert_eq!(door.told(), [""; 0]);
    server.stop().await;
    assert_eq!(table.events("command").await.len(), 1);
}

#[tokio::test]
async fn c27_an_action_that_is_not_for_the_caller_is_on_record_and_a_flood_of_them_is_a_number() {
    let server = Server::start().await;
    for _ in 0..200 {
        let answer = server.post("/api/v1/actions/hand_shake").await;
        answer.problem(403, "not-allowed");
    }
    let mut table = Table::of(server.folder()).await;
    let events = table.events_when("refusal", 1).await;
    assert_eq!(events.len(), 1, "{events:?}");
    let first = &events[0];
    assert_eq!((&*first.action, &*first.result, first.times), ("hand_shake", "refused", 1));
    assert_eq!((&*first.through, first.address.as_deref()), ("http", Some("127.0.0.1")));
    assert_eq!(first.detail.as_deref(), Some("an app may not `hand_shake`"));
    let metrics = server.get("/metrics").await;
    let metrics = String::from_utf8(metrics.body.to_vec()).unwrap();
    assert!(metrics.contains("latchlight_refusals_gathered_total 199"), "{metrics}");
    assert!(metrics.contains("latchlight_events_lost_total 0"), "{metrics}");
    // The stop is the end of what was gathered.
    server.stop().await;
    let events = table.events("refusal").await;
    assert_eq!(events.len(), 2, "{events:?}");
    assert_eq!((events[1].times, &events[1].actor), (199, &events[0].actor));
}

#[tokio::test]
async fn c27_devices_that_join_and_are_removed_and_pictures_that_are_deleted_are_on_record() {
    let server = Server::start().await;
    let mut table = Table::of(server.folder()).await;
    let porch = server.camera("porch").await;
    // It says so at each of its starts, and joins once.
    porch.say("hand_shake camera").await;
    porch.upload(png(8, 8)).await;
    porch.say("find_stranger").await;
    let pictures = crate::harness::until("a picture", async || {
        let pictures = server.get("/api/v1/pictures?strangers=true").await.json();
        pictures["pictures"].as_array().filter(|all| !all.is_empty()).cloned()
    })
    .await;
    let id = pictures[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(server.delete(&format!("/api/v1/pictures/{id}")).await.status, 204);
    assert_eq!(server.delete("/api/v1/devices/porch").await.status, 204);
    let devices = table.events("device").await;
    let actions: Vec<_> = devices.iter().map(|event| &*event.action).collect();
    assert_eq!(actions, ["join", "remove"]);
    assert_eq!((&*devices[0].actor, &*devices[0].through), ("device:porch", "mqtt"));
    assert_eq!(devices[0].detail.as_deref(), Some("camera"));
    assert_eq!((&*devices[1].through, devices[1].device.as_deref()), ("http", Some("porch")));
    let pictures = table.events("picture").await;
    assert_eq!(pictures.len(), 1);
    assert_eq!((&*pictures[0].action, pictures[0].device.as_deref()), ("delete", Some("porch")));
    assert_eq!(pictures[0].detail, Some(id));
    server.stop().await;
}

#[tokio::test]
async fn starts_and_stops_are_on_record() {
    let folder = Server::start_with(json!({})).await.stop_and_keep().await;
    Server::start_in(folder.clone()).await.stop().await;
    let events = Table::of(folder.path()).await.events("server").await;
    let actions: Vec<_> = events.iter().map(|event| &*event.action).collect();
    assert_eq!(actions, ["start", "stop", "start", "stop"]);
    assert!(events.iter().all(|event| event.actor == "server"), "{events:?}");
}

#[tokio::test]
async fn c27_who_is_not_let_in_over_mqtt_is_on_record_with_the_address_and_no_password() {
    let server = Server::start().await;
    let mut options = ClientOptions::new(server.mqtt.to_string(), "eve".to_owned());
    options.username = Some("owner".into());
    options.password = Some("guessed-and-wrong".into());
    assert!(Client::connect(options).await.is_err());
    let mut table = Table::of(server.folder()).await;
    let event = crate::harness::until("the event", async || {
        let mut events = table.events("sign_in").await.into_iter();
        events.find(|event| event.action == "connect")
    })
    .await;
    assert_eq!((&*event.actor, &*event.result), ("nobody", "refused"));
    assert_eq!((&*event.through, event.address.as_deref()), ("mqtt", Some("127.0.0.1")));
    let detail = event.detail.as_deref().unwrap();
    assert!(detail.starts_with("client eve: ") && !detail.contains("guessed"), "{detail}");
    server.stop().await;
}

#[tokio::test]
async fn c9_what_a_device_may_not_say_or_hear_is_on_record() {
    let server = Server::start().await;
    let mut options = ClientOptions::new(server.mqtt.to_string(), "lamp".to_owned());
    options.username = Some("lamp".into());
    options.password = Some(server.device_secret("lamp").await.into());
    let (lamp, _events) = Client::connect(options).await.unwrap();
    let front = "latchlight/devices/front/down";
    let _ = lamp.subscribe(front, QoS::AtLeastOnce).await;
    let _ = lamp.publish(front, "unlock", QoS::AtLeastOnce, false).await;
    let mut table = Table::of(server.folder()).await;
    let events = table.events_when("refusal", 2).await;
    for (event, action) in events.iter().zip(["subscribe", "publish"]) {
        assert_eq!((&*event.actor, &*event.action), ("device:lamp", action));
        assert_eq!((&*event.through, event.address.as_deref()), ("mqtt", Some("127.0.0.1")));
        assert!(event.detail.as_ref().unwrap().contains(front), "{event:?}");
    }
    server.stop().await;
}
