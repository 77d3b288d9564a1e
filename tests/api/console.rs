//! The server's own socket, by which the command line reaches it.

use std::os::unix::fs::PermissionsExt as _;

use latchlight::console::{Console, ConsoleError, FILE};
use serde_json::json;

use crate::harness::{Manner, Server};

async fn console(server: &Server) -> Console {
    Console::connect(&server.folder().join("config.json")).await.unwrap()
}

#[tokio::test]
async fn the_socket_answers_as_the_listener_does_and_is_the_owners_alone() {
    let server = Server::start().await;
    let socket = server.folder().join("data").join(FILE);
    let mode = std::fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let console = console(&server).await;
    assert_eq!(
        console.get("/api/v1/devices").await.unwrap(),
        json!({
            "devices": [], "next_cursor": null,
        })
    );
    let _lock = server.lock("front", Manner::Obeys).await;
    let answer = console.post("/lock?device=front&wait=10", &json!({})).await.unwrap();
    assert_eq!(answer["devices"][0]["outcome"], "confirmed", "{answer}");
    assert_eq!(answer["devices"][0]["issuer"], "operator", "{answer}");
    assert_eq!(console.delete("/api/v1/devices/front").await.unwrap(), json!(null));
    let folder = server.stop_and_keep().await;
    assert!(!folder.path().join("data").join(FILE).exists(), "gone at the stop");
}

#[tokio::test]
async fn what_the_server_refuses_there_is_a_sentence() {
    let server = Server::start().await;
    let console = console(&server).await;
    let error = console.get("/api/v1/devices/nobody").await.unwrap_err();
    assert_eq!(error.to_string(), "there is no device nobody");
    assert!(matches!(error, ConsoleError::Problem { status: 404, .. }), "{error:?}");
    let long = "x".repeat(100_000);
    let error = console.post("/test", &json!({ "action": long })).await.unwrap_err();
    assert_eq!(error.to_string(), "at most 65536 bytes are taken");
    server.stop().await;
}

#[tokio::test]
async fn without_a_server_the_command_line_hears_which_socket_was_tried() {
    let server = Server::start().await;
    let console = console(&server).await;
    let folder = server.stop_and_keep().await;
    let config = folder.path().join("config.json");
    let socket = folder.path().join("data").join(FILE);
    for error in
        [Console::connect(&config).await.unwrap_err(), console.get("/hello").await.unwrap_err()]
    {
        let said = error.to_string();
        assert!(said.contains(&format!("no server answers at {}", socket.display())), "{said}");
        assert!(
            said.contains(&format!("latchlight serve --config {}", config.display())),
            "{said}"
        );
    }
    // What a server that was killed leaves is replaced by the next one.
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    assert!(matches!(Console::connect(&config).await, Err(ConsoleError::NoServer { .. })));
    let server = Server::start_in(folder).await;
    Console::connect(&config).await.unwrap();
    server.stop().await;
}
