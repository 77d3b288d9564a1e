//! That a command was issued is an event, and so is its end: who, through what,
//! to which device, and how it ended.

use serde_json::{Value, json};

use super::Table;
use super::table::Row;
use crate::harness::{Manner, Server, until};

/// The one event of a command's end.
async fn event_of(server: &Server, command: &Value) -> Row {
    let id = command["command"].as_str().unwrap();
    let link = command["link"].as_str().unwrap();
    let ended = until("the command's end", async || {
        let command = server.get(link).await.json();
        (command["outcome"] != "pending").then_some(command)
    })
    .await;
    let mut table = Table::of(server.folder()).await;
    let mut events = table.events("command").await;
    events.retain(|event| event.command.as_deref() == Some(id));
    let event = events.pop().expect("an event");
    let issued = events.pop().expect("that it was issued");
    assert_eq!(events, [], "each command is issued once, and ends once");
    assert_eq!((&*issued.result, &issued.detail), ("issued", &None));
    let asked = |row: &Row| {
        let Row { actor, through, address, device, action, .. } = row.clone();
        (actor, through, address, device, action)
    };
    assert_eq!(asked(&issued), asked(&event));
    assert_eq!(event.result, ended["outcome"].as_str().unwrap());
    assert_eq!(event.detail.as_deref(), ended["detail"].as_str());
    assert_eq!(event.device.as_deref(), ended["device"].as_str());
    assert_eq!((event.times, &*event.action), (1, ended["verb"].as_str().unwrap()));
    event
}

#[tokio::test]
async fn c27_every_end_of_a_command_is_one_event() {
    let server = Server::start_with(json!({ "commands": { "expires_in": 1 } })).await;
    let _front = server.lock("front", Manner::Obeys).await;
    let _back = server.lock("back", Manner::Jams).await;
    let _shed = server.lock("shed", Manner::Silent).await;
    server.lock("attic", Manner::Obeys).await.leave(&server).await;
    for (device, status, ending) in [
        ("front", 200, "confirmed"),
        ("back", 409, "failed"),
        ("shed", 409, "unconfirmed"),
        ("attic", 409, "offline"),
    ] {
        let answer = server.post(&format!("/unlock?device={device}&wait=9")).await;
        let command = match answer.status {
            // Its time was over before its end was on record.
            202 => answer.devices(202).remove(0),
            _ => answer.devices(status).remove(0),
        };
        let event = event_of(&server, &command).await;
        assert_eq!((&*event.result, &*event.through), (ending, "http"), "{event:?}");
        assert_eq!(event.actor, command["issuer"].as_str().unwrap());
    }
    server.stop().await;
}

#[tokio::test]
async fn c27_what_waits_and_is_superseded_or_refused_is_an_event_too() {
    let settings = json!({ "commands": { "expires_in": 2, "waiting_per_device": 1 } });
    let server = Server::start_with(settings).await;
    let _shed = server.lock("shed", Manner::Silent).await;
    let mut commands = Vec::new();
    for verb in ["lock", "unlock", "unlock", "lock"] {
        let answer = server.post(&format!("/{verb}?device=shed&wait=0")).await;
        commands.push(answer.json()["devices"][0].clone());
    }
    let mut endings = Vec::new();
    for command in &commands {
        endings.push(event_of(&server, command).await.result);
    }
    assert_eq!(endings[1..3], ["superseded", "refused"], "{endings:?}");
    server.stop().await;
}

#[tokio::test]
async fn c5_the_same_command_id_again_is_no_further_event() {
    let server = Server::start().await;
    let _front = server.lock("front", Manner::Obeys).await;
    let body = json!({ "verb": "lock", "id": uuid::Uuid::now_v7() });
    for _ in 0..3 {
        let answer = server.post_json("/api/v1/devices/front/commands", &body).await;
        event_of(&server, &answer.devices(200)[0]).await;
    }
    server.stop().await;
}
