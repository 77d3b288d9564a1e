//! How a server starts on PostgreSQL, and when it does not.

use latchlight::config::Settings;
use latchlight::startup::Application;
use latchlight::state::ConfigFile;
use serde_json::json;

use crate::harness::Server;
use crate::postgres_server::shared;

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
