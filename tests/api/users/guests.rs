//! What a guest may know of a device's past.

use serde_json::{Value, json};

use super::console;
use crate::harness::{Manner, Server};

const PASSWORD: &str = "a word for the guest";

async fn token(server: &Server, name: &str) -> String {
    let granted = server.sign_in_as(name, PASSWORD).await;
    granted["access_token"].as_str().unwrap().to_owned()
}

/// Who gave each command, and to do what, the newest first, page by page.
async fn history(server: &Server, token: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/api/v1/devices/front/commands?limit=2{cursor}");
        let page = server.get_as(token, &path).await.json();
        for command in page["commands"].as_array().unwrap() {
            let word = |key: &str| command[key].as_str().unwrap().to_owned();
            found.push((word("verb"), word("issuer")));
        }
        match &page["next_cursor"] {
            Value::String(next) => cursor = format!("&cursor={next}"),
            _ => return found,
        }
    }
}

fn words(found: &[(String, String)]) -> Vec<(&str, &str)> {
    found.iter().map(|(verb, issuer)| (&**verb, &**issuer)).collect()
}

#[tokio::test]
async fn c19_a_guest_knows_what_became_of_a_device_since_it_was_granted_and_nobodys_name() {
    let server = Server::start().await;
    let console = console(&server).await;
    let _front = server.lock("front", Manner::Obeys).await;
    let mut before = Vec::new();
    for verb in ["lock", "unlock", "lock"] {
        let ended = server.post(&format!("/{verb}?device=front&wait=9")).await.devices(200);
        before.push(ended[0]["link"].as_str().unwrap().to_owned());
    }
    let grants = json!([{ "actions": ["lock", "unlock"], "devices": ["front"] }]);
    for (name, role) in [("gus", "guest"), ("mia", "member")] {
        let user = json!({ "name": name, "role": role, "password": PASSWORD, "grants": grants });
        console.post("/api/v1/users", &user).await.unwrap();
    }
    let (gus, mia) = (token(&server, "gus").await, token(&server, "mia").await);
    assert_eq!(history(&server, &gus).await, []);
    let of_owner = server.post("/unlock?device=front&wait=9").await.devices(200);
    let own = server.client.post(server.url("/lock?device=front&wait=9")).bearer_auth(&gus);
    assert_eq!(server.send(own).await.devices(200)[0]["issuer"], "app:gus");

    let of_guest = [("lock", "app:gus"), ("unlock", "app")];
    assert_eq!(words(&history(&server, &gus).await), of_guest);
    let all = history(&server, &mia).await;
    assert_eq!(words(&all[..2]), [("lock", "app:gus"), ("unlock", "app:owner")]);
    assert_eq!(all.len(), 5);
    for link in &before {
        assert_eq!(server.get_as(&mia, link).await.json()["issuer"], "app:owner");
        server.get_as(&gus, link).await.problem(404, "not-found");
    }
    let link = of_owner[0]["link"].as_str().unwrap();
    assert_eq!(server.get_as(&gus, link).await.json()["issuer"], "app");

    // The stream begins where the history does, however it is asked for.
    let url = server.url("/api/v1/events/stream?kind=command");
    let again = server.stranger.get(url).bearer_auth(&gus).header("Last-Event-ID", 0);
    for mut stream in [
        server.stream_as(&gus, "?kind=command&after=0").await,
        crate::harness::EventStream::open(again).await,
    ] {
        for (verb, actor) in of_guest.iter().rev() {
            let event = stream.end_of_command().await;
            assert_eq!((&event["action"], &event["actor"]), (&json!(verb), &json!(actor)));
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn c23_a_grant_that_was_taken_and_is_given_again_begins_anew() {
    let server = Server::start().await;
    let console = console(&server).await;
    let _front = server.lock("front", Manner::Obeys).await;
    let grant = |actions: &[&str]| json!([{ "actions": actions, "devices": ["front"] }]);
    let user =
        json!({ "name": "gus", "role": "guest", "password": PASSWORD, "grants": grant(&["lock"]) });
    console.post("/api/v1/users", &user).await.unwrap();
    server.post("/lock?device=front&wait=9").await.devices(200);
    let change = async |change: Value| {
        console.patch("/api/v1/users/gus", &change).await.unwrap();
    };
    let count = async || history(&server, &token(&server, "gus").await).await.len();
    assert_eq!(count().await, 1);
    change(json!({ "grants": grant(&["lock", "unlock"]) })).await;
    assert_eq!(count().await, 1, "the same device at the same times");
    change(json!({ "grants": [] })).await;
    change(json!({ "grants": grant(&["lock"]) })).await;
    assert_eq!(count().await, 0);
    server.post("/unlock?device=front&wait=9").await.devices(200);
    assert_eq!(count().await, 1);
    change(json!({ "disabled": true })).await;
    change(json!({ "disabled": false })).await;
    assert_eq!(count().await, 0);
    // Since when it is there outlives the server, and nobody else may say it.
    server.post("/lock?device=front&wait=9").await.devices(200);
    let since = json!({ "grants": [{ "actions": [], "devices": ["front"], "since": 0 }] });
    console.patch("/api/v1/users/gus", &since).await.unwrap_err();
    drop(_front);
    let server = Server::start_in(server.stop_and_keep().await).await;
    assert_eq!(history(&server, &token(&server, "gus").await).await.len(), 1);
    server.stop().await;
}
