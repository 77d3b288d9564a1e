//! Messages that wait while a real broker is away, and what is asked again
//! before they are sent.

use std::collections::BTreeMap;

use latchlight_mqtt::{Connect, ProtocolVersion, QoS};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::harness::{Device, PATIENCE, Server};
use crate::messages::id_of;
use crate::mosquitto::Mosquitto;

const TOPICS: [&str; 3] = ["messages/red", "messages/green", "messages/blue"];

/// One that keeps sessions, so that a reader of one misses nothing.
fn mosquitto() -> Mosquitto {
    Mosquitto::start_with("allow_anonymous true\npersistence true", &[])
}

/// The reader, whose session outlives the broker; subscribed when this returns.
async fn reader(mosquitto: &Mosquitto) -> Device {
    let mut connect = Connect::new(ProtocolVersion::V5, "reader");
    connect.clean_start = false;
    connect.properties.make_mut().session_expiry_interval = Some(3600);
    let (mut reader, present) = Device::resume(&mosquitto.address(), connect).await;
    if !present {
        reader.subscribe("messages/#", QoS::AtLeastOnce).await;
    }
    reader
}

async fn server_on(mosquitto: &Mosquitto) -> Server {
    let broker = format!("mqtt://{}", mosquitto.address());
    let server = Server::start_with(json!({ "mqtt": { "broker": broker } }));
    server.logged("connected to the broker").await;
    server
}

/// Waits until nothing waits any more.
async fn nothing_waits(server: &Server) {
    let end = Instant::now() + 3 * PATIENCE;
    while server.get("/api/v1/messages?state=waiting&limit=1").await.1["messages"] != json!([]) {
        assert!(Instant::now() < end, "something waits for ever");
    }
}

async fn wait_for_the_broker(killed: bool) {
    let mut mosquitto = mosquitto();
    let mut server = server_on(&mosquitto).await;
    drop(reader(&mosquitto).await);
    mosquitto.stop();
    server.logged("the connection to the broker is lost").await;

    let mut accepted: BTreeMap<&str, Vec<(String, String)>> = BTreeMap::new();
    for number in 0..20 {
        let topic = TOPICS[number % TOPICS.len()];
        let payload = format!("number {number}");
        let body = json!({ "topic": topic, "payload": payload, "queue": true });
        let (status, answer) = server.post_json("/messaging/send", body).await;
        assert_eq!((status, &answer["state"]), (202, &json!("waiting")), "{answer}");
        let sentence = format!("`{payload}` waits to be sent to topic `{topic}`");
        assert_eq!(answer["detail"], sentence);
        accepted.entry(topic).or_default().push((answer["id"].as_str().unwrap().into(), payload));
        let now = json!({ "topic": topic, "payload": "now or never" });
        let (status, answer) = server.post_json("/messaging/send", now).await;
        assert_eq!((status, &answer["title"]), (406, &json!("Something went wrong")));
        assert_eq!(answer["detail"], "the broker cannot be reached");
    }
    if killed {
        server = Server::start_in(server.kill());
    }
    mosquitto.start_again();
    nothing_waits(&server).await;
    let last = json!({ "topic": "messages/last", "payload": "last" });
    assert_eq!(server.post_json("/messaging/send", last).await.0, 201);

    let mut reader = reader(&mosquitto).await;
    let mut heard: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    loop {
        let publish = reader.hear_publish().await;
        if publish.payload == "last" {
            break;
        }
        let payload = String::from_utf8(publish.payload.to_vec()).unwrap();
        heard.entry(publish.topic.to_string()).or_default().push((id_of(&publish), payload));
    }
    for topic in TOPICS {
        let mut heard = heard.remove(topic).unwrap_or_default();
        // One that comes again comes right behind itself.
        heard.dedup();
        assert_eq!(heard, accepted[topic], "{topic}");
    }
    assert!(heard.is_empty(), "{heard:?}");
}

#[tokio::test]
async fn messages_wait_while_a_real_broker_is_away_and_come_in_order() {
    wait_for_the_broker(false).await;
}

#[tokio::test]
async fn messages_wait_for_a_real_broker_though_the_server_is_killed_meanwhile() {
    wait_for_the_broker(true).await;
}

#[tokio::test]
async fn no_message_has_a_broker_close_the_connection_to_the_devices() {
    let mosquitto = mosquitto();
    let server = server_on(&mosquitto).await;
    let mut reader = reader(&mosquitto).await;
    // Mosquitto calls all but the last malformed, though MQTT lets them be.
    for odd in ["\n", "\u{7f}", "\u{85}", "\u{fdd0}", "\u{ffff}", "\u{1fffe}", "\u{200b}"] {
        for body in [
            json!({ "topic": format!("messages/{odd}"), "payload": odd }),
            json!({ "topic": "messages/x", "payload": odd, "content_type": odd }),
            json!({ "topic": "messages/x", "payload": odd, "properties": { "a": odd } }),
            json!({ "topic": "messages/x", "payload": odd, "properties": { odd: "a" } }),
        ] {
            let (status, answer) = server.post_json("/messaging/send", body).await;
            let fits = odd == "\u{200b}";
            assert_eq!(status, if fits { 201 } else { 422 }, "{odd:?}: {answer}");
            if fits {
                assert_eq!(reader.hear_publish().await.payload, odd);
            }
        }
    }
    let log = server.stop_and_read_log().await;
    let lost = "the connection to the broker is lost";
    assert!(log.iter().all(|line| line["message"] != lost), "{log:?}");
}

/// Has a message wait that this token or key sends; gives its id.
async fn queue_as(server: &Server, bearer: &str, payload: &str) -> String {
    let url = format!("{}/messaging/send", server.http);
    let body = json!({ "topic": "messages/door", "payload": payload, "queue": true });
    let request = reqwest::Client::new().post(url).bearer_auth(bearer).json(&body);
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 202, "{payload}");
    let answer: Value = answer.json().await.unwrap();
    answer["id"].as_str().unwrap().to_owned()
}

/// Adds a person; gives a token of theirs.
async fn person(server: &Server, name: &str) -> String {
    let password = format!("the door of {name} alone");
    let new = json!({ "name": name, "role": "member", "password": password });
    let (status, answer) = server.post_json("/api/v1/users", new).await;
    assert_eq!(status, 201, "{answer}");
    let form = [("grant_type", "password"), ("username", name), ("password", &password)];
    let request = reqwest::Client::new().post(format!("{}/oauth/token", server.http)).form(&form);
    let granted: Value = request.send().await.unwrap().json().await.unwrap();
    granted["access_token"].as_str().unwrap_or_else(|| panic!("{granted}")).to_owned()
}

/// Changes a person.
async fn change(server: &Server, name: &str, change: Value) {
    let request = server.request(Method::PATCH, &format!("/api/v1/users/{name}")).await;
    let answer = request.json(&change).send().await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
}

#[tokio::test]
async fn c23_what_waits_is_refused_when_who_sent_it_may_no_more() {
    let mut mosquitto = mosquitto();
    let mut server = server_on(&mosquitto).await;
    drop(reader(&mosquitto).await);
    let (ann, bob, carl) =
        (person(&server, "ann").await, person(&server, "bob").await, person(&server, "carl").await);
    let new = json!({ "name": "robot", "scopes": "messages:send" });
    let (_, made) = server.post_json("/api/v1/api-keys", new).await;
    let robot = made["secret"].as_str().unwrap().to_owned();
    mosquitto.stop();
    server.logged("the connection to the broker is lost").await;
    let mut ids = Vec::new();
    for (bearer, payload) in
        [(&bob, "of bob"), (&robot, "of robot"), (&carl, "of carl"), (&ann, "of ann")]
    {
        ids.push(queue_as(&server, bearer, payload).await);
    }
    change(&server, "bob", json!({ "disabled": true })).await;
    assert_eq!(server.delete("/api/v1/api-keys/robot").await, 204);
    change(&server, "carl", json!({ "scopes": "devices:read" })).await;
    // It is on disk, and in memory no more.
    server = Server::start_in(server.kill());
    mosquitto.start_again();
    nothing_waits(&server).await;
    for (id, state, why) in [
        (&ids[0], "refused", "the account bob is closed"),
        (&ids[1], "refused", "the account is gone"),
        (&ids[2], "refused", "carl lacks the scope `messages:send`"),
        (&ids[3], "sent", ""),
    ] {
        let (_, message) = server.get(&format!("/api/v1/messages/{id}")).await;
        assert_eq!(
            (message["state"].as_str(), message["detail"].as_str().unwrap_or("")),
            (Some(state), why)
        );
    }
    let mut reader = reader(&mosquitto).await;
    assert_eq!(reader.hear_publish().await.payload, "of ann");
    let refused = "/api/v1/events?kind=refusal&actor=app:bob";
    let end = Instant::now() + PATIENCE;
    loop {
        let (_, page) = server.get(refused).await;
        if let Some(event) = page["events"].as_array().and_then(|events| events.first()) {
            assert_eq!(event["result"], "refused", "{event}");
            assert_eq!(event["detail"], "the account bob is closed", "{event}");
            return;
        }
        assert!(Instant::now() < end, "{page}");
    }
}

#[tokio::test]
async fn what_says_no_expiry_waits_as_long_as_the_settings_let_it() {
    let settings =
        json!({ "mqtt": { "broker": "mqtt://127.0.0.1:1" }, "messages": { "queue_for": 1 } });
    let server = Server::start_with(settings);
    let body = json!({ "topic": "messages/x", "payload": "x", "queue": true });
    let (status, short) = server.post_json("/messaging/send", body.clone()).await;
    assert_eq!(status, 202);
    let mut long = body;
    long["expires_in"] = 600.into();
    let (_, long) = server.post_json("/messaging/send", long).await;
    let path = format!("/api/v1/messages/{}", short["id"].as_str().unwrap());
    let end = Instant::now() + PATIENCE;
    let ended = loop {
        let (_, message) = server.get(&path).await;
        if message["state"] != "waiting" {
            break message;
        }
        assert!(Instant::now() < end, "{message}");
    };
    assert_eq!(ended["state"], "expired");
    assert_eq!(ended["detail"], "it has waited as long as messages.queue_for says");
    let path = format!("/api/v1/messages/{}", long["id"].as_str().unwrap());
    assert_eq!(server.get(&path).await.1["state"], "waiting");
}
