//! What the harness does with each test: a secret that is written is found.

use serde_json::json;

use crate::harness::Server;
use crate::leaks;

#[tokio::test]
#[should_panic(expected = "a secret stands in the log")]
async fn c30_a_secret_in_the_log_is_found() {
    let server = Server::start().await;
    leaks::note(server.folder(), "latchlight is ready");
    server.stop().await;
}

#[tokio::test]
#[should_panic(expected = "a secret stands in the record")]
async fn c30_a_secret_on_record_is_found() {
    let server = Server::start().await;
    let user = json!({ "name": "rosalind-who-lodges", "role": "guest" });
    server.post_json("/api/v1/users", &user).await;
    leaks::note(server.folder(), "rosalind-who-lodges");
    server.stop().await;
}

#[tokio::test]
#[should_panic(expected = "/data/")]
async fn c30_a_secret_in_the_data_folder_is_found() {
    let server = Server::start().await;
    let left = server.folder().join("data/left.txt");
    std::fs::write(left, "it is open sesame, they say").unwrap();
    leaks::note(server.folder(), "open sesame");
    server.stop().await;
}

#[tokio::test]
#[should_panic(expected = "a secret stands in an answer with 404")]
async fn c30_a_secret_in_an_error_is_found() {
    let server = Server::start().await;
    leaks::note(server.folder(), "/no/such/route");
    server.get("/no/such/route").await;
    server.stop().await;
}
