//! What devices bring about by themselves: states, coming and going, alerts.

use serde_json::{Value, json};

use super::Table;
use crate::harness::{Device, Manner, Server, png, until};

/// Action and detail of what is listed, the oldest first.
async fn listed(server: &Server, query: &str) -> Vec<String> {
    let events = server.get(&format!("/api/v1/events?{query}")).await.json();
    let said = |event: &Value| {
        let (action, detail) = (event["action"].as_str().unwrap(), event["detail"].as_str());
        format!("{action}: {}", detail.unwrap_or("-"))
    };
    events["events"].as_array().unwrap().iter().rev().map(said).collect()
}

#[tokio::test]
async fn each_change_of_a_state_is_an_event_and_the_same_said_again_is_none() {
    let server = Server::start().await;
    let door = server.lock("front", Manner::Obeys).await;
    let mut stream = server.stream("?kind=state&device=front&after=0").await;
    let joined = stream.event().await.json();
    assert_eq!((&joined["action"], &joined["detail"]), (&json!("unlocked"), &json!("was unknown")));
    assert_eq!((&joined["actor"], &joined["through"]), (&json!("device:front"), &json!("mqtt")));
    for words in ["locked {\"battery\": 80}", "locked", "locked {\"battery\": 79}", "unlocked"] {
        door.say(&format!("state {words}")).await;
    }
    let locked = stream.event().await.json();
    assert_eq!(locked["detail"], "was unlocked, battery 80 %");
    let unlocked = stream.event().await;
    assert_eq!(unlocked.json()["detail"], "was locked");
    assert_eq!(
        server.get(&format!("/api/v1/events/{}", unlocked.seq())).await.json(),
        unlocked.json()
    );
    let all = listed(&server, "kind=state&device=front").await;
    assert_eq!(
        all,
        ["unlocked: was unknown", "locked: was unlocked, battery 80 %", "unlocked: was locked"]
    );
    // What a device that begins anew was, nobody knows any more.
    door.leave(&server).await;
    let _again = Device::join(&server, "front", "lock", "locked", Manner::Obeys).await;
    let anew = stream.event().await.json();
    assert_eq!(
        (&anew["action"], &anew["detail"]),
        (&json!("unknown"), &json!("was unlocked, and began anew"))
    );
    assert_eq!(stream.event().await.json()["detail"], "was unknown");
    server.stop().await;
}

#[tokio::test]
async fn devices_that_come_and_go_are_events() {
    let server = Server::start().await;
    let mut stream = server.stream("?kind=presence,device&device=hall").await;
    let hall = server.light("hall", Manner::Obeys).await;
    hall.leave(&server).await;
    let mut seen = Vec::new();
    for _ in 0..3 {
        let event = stream.event().await;
        let json = event.json();
        assert_eq!(json["actor"], "device:hall");
        seen.push(format!("{} {}", event.event, json["action"].as_str().unwrap()));
    }
    seen[..2].sort_unstable();
    assert_eq!(seen, ["device join", "presence online", "presence offline"]);
    server.stop().await;
}

#[tokio::test]
async fn c30_an_alert_is_an_event_without_the_link_that_shows_the_picture() {
    let server = Server::start().await;
    let door = server.lock("front", Manner::Jams).await;
    let camera = server.camera("porch").await;
    let mut stream = server.stream("?kind=alert").await;
    camera.upload(png(8, 8)).await;
    camera.say("find_stranger").await;
    let event = stream.event().await.json();
    assert_eq!((&event["action"], &event["device"]), (&json!("stranger"), &json!("porch")));
    let detail = event["detail"].as_str().unwrap();
    assert!(detail.starts_with("picture "), "{detail}");
    assert!(
        !event.to_string().contains("get_pic") && !event.to_string().contains("http:"),
        "{event}"
    );
    door.say("state jammed").await;
    let event = stream.event().await.json();
    assert_eq!((&event["action"], &event["device"]), (&json!("jammed"), &json!("front")));
    door.say("state jammed {\"tamper\": true}").await;
    assert_eq!(stream.event().await.json()["action"], "tamper");
    server.stop().await;
}

#[tokio::test]
async fn a_device_that_flaps_does_not_fill_the_record_and_ends_as_it_is() {
    let server = Server::start().await;
    let door = server.lock("front", Manner::Obeys).await;
    let hall = server.light("hall", Manner::Obeys).await;
    for _ in 0..200 {
        door.say("state locked").await;
        door.say("state unlocked").await;
    }
    door.say("state locked").await;
    hall.say("state on").await;
    until("the last word of the door", async || {
        (server.get("/api/v1/devices/front").await.json()["state"] == "locked").then_some(())
    })
    .await;
    until("the light's own event", async || {
        listed(&server, "kind=state&device=hall")
            .await
            .contains(&"on: was off".to_owned())
            .then_some(())
    })
    .await;
    let lines = listed(&server, "kind=state&device=front&limit=1000").await.len();
    assert!((40..=55).contains(&lines), "{lines}");
    // What waits for a line is on record with the stop at the latest.
    let folder = server.stop_and_keep().await;
    let states = Table::of(folder.path()).await.events("state").await;
    let states: Vec<_> = states.iter().filter(|e| e.device.as_deref() == Some("front")).collect();
    let last = states.iter().rfind(|event| event.action != "unknown").unwrap();
    assert_eq!((&*last.action, &*last.detail.clone().unwrap()), ("locked", "was unlocked"));
    assert_eq!(states.iter().map(|event| event.times).sum::<i64>(), 402);
}
