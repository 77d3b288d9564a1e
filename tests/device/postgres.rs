//! PostgreSQL away, and then the server killed: what was told is on record. Two
//! servers on one database. A database that does not answer, and a disk that is
//! full.

use std::time::Duration;

use latchlight_mqtt::QoS;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};

use crate::harness::{
    Device, PATIENCE, Server, command_of, configured, merge, open_house, outcome_of, program,
};
use crate::postgres_server::Cluster;

const ACKS: &str = "lock {\"features\": [\"ack\"]}";

#[tokio::test]
async fn c7_what_was_told_while_the_database_was_away_outlives_kill_9() {
    let cluster = Cluster::start();
    let url = cluster.database("latchlight").await;
    let server = Server::start_with(json!({ "database": { "url": url } }));
    let mut device = Device::join(&server, "front", ACKS).await;
    let obeying = tokio::spawn(async move {
        loop {
            let (_, id, _) = device.hear_command().await;
            device.say(&format!("ack {id} ok")).await;
        }
    });
    let token = server.token().await;
    cluster.kill();
    for _ in 0..3 {
        let request = reqwest::Client::new().post(format!("{}/unlock?wait=10", server.http));
        let answer = request.bearer_auth(&token).send().await.unwrap();
        let answer: serde_json::Value = answer.json().await.unwrap();
        assert_eq!(outcome_of(&answer), "confirmed", "{answer}");
    }
    let folder = server.kill();
    obeying.abort();
    cluster.start_again();
    let server = Server::start_in(folder);
    let events = format!("{}/api/v1/events?kind=command", server.http);
    let events = reqwest::Client::new().get(events).bearer_auth(server.token().await);
    let events: serde_json::Value = events.send().await.unwrap().json().await.unwrap();
    let ends = events["events"].as_array().unwrap().iter();
    let ends: Vec<_> = ends.filter(|event| event["result"] != "issued").collect();
    assert_eq!(ends.len(), 3, "{events}");
    assert!(ends.iter().all(|end| end["result"] == "confirmed"), "{events}");
}

/// Waits until the server says this of its readiness.
async fn until_ready_says(server: &Server, status: u16, words: &str) {
    let end = tokio::time::Instant::now() + PATIENCE;
    loop {
        let (now, said) = server.get("/readyz").await;
        if now == status && said.to_string().contains(words) {
            return;
        }
        assert!(tokio::time::Instant::now() < end, "it stays {now} {said}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What a further server says on the same database, which does not start.
async fn refused(url: &str) -> String {
    let folder = configured(json!({ "database": { "url": url } }));
    let mut program = program(&folder.path().join("config.json"));
    let output = tokio::task::spawn_blocking(move || program.output().unwrap()).await.unwrap();
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

async fn add_user(server: &Server, name: &str) {
    let user = json!({ "name": name, "role": "guest", "password": "a long enough one" });
    assert_eq!(server.post_json("/api/v1/users", user).await.0, 201);
}

async fn users_on_record(server: &Server) -> Vec<String> {
    let (status, events) = server.get("/api/v1/events?kind=account").await;
    assert_eq!(status, 200, "{events}");
    events["events"].as_array().unwrap().iter().map(|event| event["action"].to_string()).collect()
}

#[tokio::test]
async fn one_server_at_a_time_has_a_database_also_after_it_was_away() {
    let cluster = Cluster::start();
    let url = cluster.database("latchlight").await;
    let server = Server::start_with(json!({ "database": { "url": url } }));
    assert!(refused(&url).await.contains("another server uses the database"));
    // Nobody signs in while it is away.
    server.token().await;
    cluster.kill();
    until_ready_says(&server, 503, "it is away").await;
    cluster.start_again();
    until_ready_says(&server, 200, "ready").await;
    assert!(refused(&url).await.contains("another server uses the database"));
    drop(server.kill());
    // Nobody has it any more.
    drop(Server::start_with(json!({ "database": { "url": url } })).stop());
}

#[tokio::test]
async fn a_server_whose_database_another_one_took_says_so_and_leaves_it_alone() {
    let cluster = Cluster::start();
    let url = cluster.database("latchlight").await;
    let settings = json!({ "database": { "url": url } });
    let first = Server::start_with(settings.clone());
    add_user(&first, "ann").await;
    let before = users_on_record(&first).await.len();
    // Its connections break while it does not notice.
    first.signal("STOP");
    let mut beside = PgConnection::connect(&cluster.url("postgres")).await.unwrap();
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
               WHERE application_name = 'latchlight'";
    sqlx::query(end).execute(&mut beside).await.unwrap();
    let second = Server::start_with(settings);
    first.signal("CONT");
    until_ready_says(&first, 503, "another server uses it").await;
    assert_eq!(first.get("/api/v1/events").await.0, 503);
    let user = json!({ "name": "bob", "role": "guest", "password": "a long enough one" });
    assert_eq!(first.post_json("/api/v1/users", user.clone()).await.0, 503);
    assert_eq!(second.post_json("/api/v1/users", user).await.0, 201);
    drop(second.stop());
    until_ready_says(&first, 200, "ready").await;
    assert!(users_on_record(&first).await.len() > before);
    drop(first.stop());
}

/// A server whose disk can be filled, on a PostgreSQL, with everything open.
fn start_that_can_be_full(url: &str) -> Server {
    let mut settings = json!({ "database": { "url": url } });
    merge(&mut settings, open_house());
    let folder = configured(settings);
    let config = folder.path().join("config.json");
    let mut full = std::process::Command::new("bash");
    // A write beyond is an error, not the end.
    full.args(["-c", "trap '' XFSZ; exec \"$@\"", "bash"])
        .arg(program(&config).get_program())
        .args(program(&config).get_args());
    Server::start_by(full, folder)
}

/// Files may grow to so many bytes.
fn limit_files(server: &Server, bytes: Option<u64>) {
    let pid = Pid::from_raw(server.process().cast_signed());
    let limit = Rlimit { current: bytes, maximum: None };
    prlimit(pid, Resource::Fsize, limit).unwrap();
}

/// The database goes on, and has what it was given; or dies, and has not.
fn answer_or_die(cluster: &Cluster, answers: bool) {
    if answers {
        cluster.thaw();
    } else {
        cluster.kill();
        cluster.start_again();
    }
}

#[tokio::test]
async fn c28_a_command_of_which_it_is_not_known_whether_it_is_on_record_does_not_leave() {
    let cluster = Cluster::start();
    for (name, answers) in [("answers", true), ("dies", false)] {
        let url = cluster.database(name).await;
        let server = start_that_can_be_full(&url);
        let mut door = Device::join(&server, "front", ACKS).await;
        let (answer, ()) = tokio::join!(server.post("/unlock?device=front&wait=10"), async {
            let (_, id, _) = door.hear_command().await;
            door.say(&format!("ack {id} ok")).await;
        });
        let first = command_of(&answer.1);
        limit_files(&server, Some(1));
        cluster.freeze();
        let (status, said) = server.post("/unlock?device=front&wait=10").await;
        assert_eq!(status, 503, "{said}");
        assert!(said["detail"].as_str().unwrap().contains("nothing was sent"), "{said}");
        // Nor does anything else.
        assert_eq!(server.post("/unlock?device=front&wait=10").await.0, 503);
        answer_or_die(&cluster, answers);
        until_ready_says(&server, 200, "ready").await;
        limit_files(&server, None);
        let end = tokio::time::Instant::now() + PATIENCE;
        let ends = loop {
            let mut ends = server.get("/api/v1/events?kind=command").await.1["events"].clone();
            if let Some(ends) = ends.as_array_mut() {
                ends.retain(|event| event["result"] != "issued");
            }
            if ends.as_array().is_some_and(|ends| ends.len() == 2) {
                break ends;
            }
            assert!(tokio::time::Instant::now() < end, "{name}: it stays {ends}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        assert_eq!((&ends[1]["command"], &ends[1]["result"]), (&json!(first), &json!("confirmed")));
        assert_eq!(ends[0]["result"], "expired", "{ends}");
        door.hears_nothing_for(Duration::from_millis(300)).await;
        // Nor does the next one send it.
        let server = Server::start_in(server.kill());
        let mut door = Device::connect(server.mqtt(), server.device("front").await).await;
        door.listen(QoS::AtLeastOnce).await;
        door.hears_nothing_for(Duration::from_millis(300)).await;
        drop(server.stop());
    }
}

#[tokio::test]
async fn c28_a_message_of_which_it_is_not_known_whether_it_is_on_record_is_not_sent() {
    let cluster = Cluster::start();
    for (name, answers) in [("answers", true), ("dies", false)] {
        let url = cluster.database(name).await;
        let server = start_that_can_be_full(&url);
        let mut reader = reader(&server).await;
        let send = async |payload: &str| {
            let message = json!({ "topic": "messages/x", "payload": payload, "queue": true });
            server.post_json("/messaging/send", message).await
        };
        assert_eq!(send("first").await.0, 201);
        assert_eq!(reader.hear_publish().await.payload, "first");
        limit_files(&server, Some(1));
        cluster.freeze();
        let (status, said) = send("second").await;
        assert_eq!(status, 503, "{said}");
        let detail = said["detail"].as_str().unwrap();
        let link = detail.split(' ').find(|word| word.starts_with("/api/v1/messages/")).unwrap();
        answer_or_die(&cluster, answers);
        limit_files(&server, None);
        until_ready_says(&server, 200, "ready").await;
        let end = tokio::time::Instant::now() + PATIENCE;
        loop {
            let (_, message) = server.get(link).await;
            if message["state"] == "failed" {
                break;
            }
            assert!(tokio::time::Instant::now() < end, "{name}: it stays {message}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let server = Server::start_in(server.kill());
        let mut reader = self::reader(&server).await;
        let third = json!({ "topic": "messages/x", "payload": "third" });
        assert_eq!(server.post_json("/messaging/send", third).await.0, 201);
        assert_eq!(reader.hear_publish().await.payload, "third");
        let messages: Value = server.get("/api/v1/messages").await.1;
        assert_eq!(messages["messages"].as_array().unwrap().len(), 3, "{messages}");
        drop(server.stop());
    }
}

async fn reader(server: &Server) -> Device {
    let connect = latchlight_mqtt::Connect::new(latchlight_mqtt::ProtocolVersion::V5, "reader");
    let mut reader = Device::connect(server.mqtt(), connect).await;
    reader.subscribe("messages/#", QoS::AtLeastOnce).await;
    reader
}
