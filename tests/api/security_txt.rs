//! Whom to tell of a hole.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::harness::Server;

const PATH: &str = "/.well-known/security.txt";

#[tokio::test]
async fn whoever_finds_a_hole_reads_whom_to_tell_if_the_owner_has_said_so() {
    let server = Server::start().await;
    server.send(server.stranger.get(server.url(PATH))).await.problem(404, "not-found");
    server.stop().await;

    let contact = json!({ "http": { "security_contact": "mailto:holes@home.example" } });
    let server = Server::start_with(contact).await;
    let answer = server.send(server.stranger.get(server.url(PATH))).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    assert!(text.starts_with("Contact: mailto:holes@home.example\nExpires: "), "{text}");
    let expires = text.lines().find_map(|line| line.strip_prefix("Expires: ")).unwrap();
    let left = expires.parse::<Timestamp>().unwrap().duration_since(Timestamp::now());
    let day = SignedDuration::from_hours(24);
    assert!(left > day * 30 && left < day * 365, "{expires}");
    server.stop().await;
}
