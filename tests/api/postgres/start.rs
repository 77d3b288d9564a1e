//! How a server starts on PostgreSQL, and when it does not.

use latchlight::config::Settings;
use latchlight::startup::Application;
use latchlight::state::ConfigFile;
use serde_json::json;
use sqlx::{Connection as _, Executor as _};

use crate::harness::{Manner, Server};
use crate::postgres_server::{Cluster, shared};

/// What a server that does not start says.
async fn refused(url: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.json");
    let settings = json!({
        "http": { "listen": "127.0.0.1:0" },
        "mqtt": { "listen": "127.0.0.1:0" },
        "database": { "url": url },
    });
    std::fs::write(&config, json!({ "settings": settings, "state": {} }).to_string()).unwrap();
    let file = ConfigFile::new(config);
    let settings = match Settings::load(&file.read().unwrap().settings) {
        Ok(settings) => settings,
        Err(error) => return format!("{error:#}"),
    };
    assert!(!format!("{settings:?}").contains("hunter2"), "{settings:?}");
    match Application::build(settings, file, || {}, None).await {
        Ok(_) => panic!("it starts on {url}"),
        Err(error) => format!("{error:#}"),
    }
}

#[tokio::test]
async fn a_second_server_on_the_same_database_does_not_start_and_says_why() {
    let url = shared().new_database().await;
    let settings = json!({ "database": { "url": url } });
    let server = Server::start_with(settings.clone()).await;
    let said = refused(&url).await;
    assert!(said.contains("another server uses the database"), "{said}");
    server.stop().await;
    // The first one has let go of it.
    Server::start_with(settings).await.stop().await;
}

#[tokio::test]
async fn c30_what_is_wrong_with_the_url_is_said_without_its_password() {
    let good = shared().url("postgres");
    let folder = good.split_once('=').unwrap().1;
    for (url, why) in [
        (format!("postgres://latchlight:hunter2@localhost/none?host={folder}"), "does not exist"),
        (format!("postgres://nobody:hunter2@localhost/postgres?host={folder}"), "does not exist"),
        ("postgres://x:hunter2@localhost:99999/x".to_owned(), "read database.url"),
        ("postgres://x:hunter2@localhost/x?sslmode=perhaps".to_owned(), "read database.url"),
        ("mysql://x:hunter2@localhost/x".to_owned(), "`mysql` is not supported"),
    ] {
        let said = refused(&url).await;
        assert!(said.contains(why), "{url}: {said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[tokio::test]
async fn other_defaults_of_the_role_change_nothing() {
    let cluster = Cluster::start();
    let url = cluster.database("latchlight").await;
    let mut beside = sqlx::PgConnection::connect(&cluster.url("postgres")).await.unwrap();
    for default in [
        "default_transaction_isolation = 'serializable'",
        "default_transaction_deferrable = on",
        "statement_timeout = '1ms'",
        "idle_session_timeout = '10ms'",
        "synchronous_commit = off",
    ] {
        let set = sqlx::AssertSqlSafe(format!("ALTER ROLE latchlight SET {default}"));
        beside.execute(set).await.unwrap();
    }
    let server = Server::start_with(json!({ "database": { "url": url } })).await;
    let _door = server.lock("front", Manner::Obeys).await;
    let asked = (0..4).map(|_| server.post("/unlock?device=front&wait=10"));
    for answer in futures_util::future::join_all(asked).await {
        assert_eq!(answer.devices(200)[0]["outcome"], "confirmed");
    }
    let page = server.get("/api/v1/events?kind=command&result=confirmed&count=true").await.json();
    assert_eq!(page["total"], 4, "{page}");
    server.get("/readyz").await.json();
    server.stop().await;
}
