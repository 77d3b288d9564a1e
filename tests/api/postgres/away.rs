//! A database that goes away while the server runs, or is away at its start.

use std::sync::Arc;

use latchlight::config::Settings;
use latchlight::startup::Application;
use latchlight::state::ConfigFile;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::events::Table;
use crate::harness::{Manner, Server, until};
use crate::postgres_server::Cluster;

pub(super) async fn server_on(cluster: &Cluster) -> Server {
    let url = cluster.database("latchlight").await;
    Server::start_with(json!({ "database": { "url": url } })).await
}

pub(super) async fn until_ready(server: &Server) {
    until("the database to be back", async || {
        (server.get("/readyz").await.status == 200).then_some(())
    })
    .await;
}

/// Opens the door, and gives the command.
pub(super) async fn unlock(server: &Server) -> String {
    let unlocked = server.post("/unlock?device=front&wait=10").await.devices(200);
    assert_eq!(unlocked[0]["outcome"], "confirmed");
    unlocked[0]["command"].as_str().unwrap().to_owned()
}

/// That each of these is on record with one end, and nothing else is.
pub(super) async fn are_on_record(table: &mut Table, commands: &[String]) {
    let ended = table.ends().await;
    let ids: Vec<_> = ended.iter().map(|event| event.command.clone().unwrap()).collect();
    assert_eq!(ids, commands);
    assert!(ended.iter().all(|event| event.result == "confirmed"), "{ended:?}");
    assert_eq!(table.number("SELECT max(seq) - count(*) FROM events").await, 0, "without gaps");
}

#[tokio::test]
async fn c7_while_the_database_is_killed_the_locks_go_on_working_and_nothing_is_lost() {
    let cluster = Cluster::start();
    let server = server_on(&cluster).await;
    let door = server.lock("front", Manner::Obeys).await;
    let mut commands = vec![unlock(&server).await];
    cluster.kill();
    for _ in 0..3 {
        commands.push(unlock(&server).await);
    }
    assert_eq!(door.count("unlock"), 4);
    let ready = server.get("/readyz").await;
    let detail = ready.problem(503, "not-ready");
    assert!(detail.contains("database: it is away"), "{detail}");
    assert_eq!(ready.json()["link"], "ok");
    assert_eq!(server.get("/healthz").await.status, 200);
    // What could not be kept is not promised.
    let request = server.client.post(server.url("/unlock?device=front"));
    let answer = server.send(request.header("idempotency-key", "k1")).await;
    answer.problem(503, "unavailable");
    server.get(&format!("/api/v1/commands/{}", commands[1])).await.problem(503, "unavailable");
    assert_eq!(door.count("unlock"), 4);
    cluster.start_again();
    until_ready(&server).await;
    commands.push(unlock(&server).await);
    let found = server.get(&format!("/api/v1/commands/{}", commands[2])).await.json();
    assert_eq!(found["outcome"], "confirmed", "{found}");
    are_on_record(&mut Table::of(server.folder()).await, &commands).await;
    server.stop().await;
}

#[tokio::test]
async fn what_waits_for_the_database_outlives_a_stop() {
    let cluster = Cluster::start();
    let server = server_on(&cluster).await;
    let door = server.lock("front", Manner::Obeys).await;
    let mut commands = vec![unlock(&server).await];
    cluster.kill();
    commands.push(unlock(&server).await);
    drop(door);
    let folder = server.stop_and_keep().await;
    cluster.start_again();
    let server = Server::start_in(folder).await;
    until_ready(&server).await;
    let mut table = Table::of(server.folder()).await;
    are_on_record(&mut table, &commands).await;
    // The stop as well, and the start behind it.
    let said = table.events_when("server", 3).await;
    let said: Vec<_> = said.iter().map(|event| event.action.as_str()).collect();
    assert_eq!(said, ["start", "stop", "start"]);
    server.stop().await;
}

#[tokio::test]
async fn a_database_that_stands_still_holds_up_no_lock() {
    let cluster = Cluster::start();
    let server = server_on(&cluster).await;
    let door = server.lock("front", Manner::Obeys).await;
    let mut commands = vec![unlock(&server).await];
    cluster.freeze();
    for _ in 0..2 {
        commands.push(unlock(&server).await);
    }
    server.get("/readyz").await.problem(503, "not-ready");
    cluster.thaw();
    until_ready(&server).await;
    assert_eq!(door.count("unlock"), 3);
    // What it was given as it stood still, it has once.
    are_on_record(&mut Table::of(server.folder()).await, &commands).await;
    server.stop().await;
}

#[tokio::test]
async fn a_server_whose_database_is_away_at_the_start_waits_for_it_and_says_so() {
    let cluster = Cluster::start();
    let url = cluster.database("latchlight").await;
    cluster.kill();
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let settings = json!({
        "http": { "listen": format!("127.0.0.1:{port}") },
        "mqtt": { "listen": "127.0.0.1:0" },
        "database": { "url": url },
    });
    let config = folder.path().join("config.json");
    std::fs::write(&config, json!({ "settings": settings, "state": {} }).to_string()).unwrap();
    let file = ConfigFile::new(config);
    let settings = Settings::load(&file.read().unwrap().settings).unwrap();
    let building = Application::build(settings, file, || {}, None);
    let get = async |path: &str| {
        let answer = reqwest::get(format!("http://127.0.0.1:{port}{path}")).await.ok()?;
        Some((answer.status().as_u16(), answer.text().await.unwrap()))
    };
    let looking = async {
        let alive = until("it to be alive", async || get("/healthz").await).await;
        assert_eq!(alive.0, 200);
        let (status, ready) = get("/readyz").await.unwrap();
        assert!(status == 503 && ready.contains("database: it is away"), "{status}: {ready}");
        assert_eq!(get("/api/v1/devices").await.unwrap().0, 503);
        cluster.start_again();
    };
    let application = tokio::join!(building, looking).0.unwrap();
    let stop = CancellationToken::new();
    let running = tokio::spawn(application.run_until_stopped(stop.clone()));
    let (status, ready) = until("an answer", async || get("/readyz").await).await;
    assert_eq!(status, 200, "{ready}");
    stop.cancel();
    running.await.unwrap().unwrap();
}
