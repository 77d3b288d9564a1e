//! Signing in through an OpenID Connect provider.

mod away;
mod board;
mod forged;
mod people;
mod way;

use serde_json::{Value, json};

use crate::harness::Server;
use crate::provider::Provider;

async fn server_of(provider: &Provider) -> Server {
    Server::start_with(json!({ "oidc": provider.settings() })).await
}

/// Makes an account for whoever is this at the provider.
async fn add(server: &Server, name: &str, role: &str, subject: &str) {
    let body = json!({ "name": name, "role": role, "subject": subject });
    let answer = server.post_json("/api/v1/users", &body).await;
    assert_eq!(answer.status, 201, "{answer:?}");
}

async fn user(server: &Server, name: &str) -> Value {
    server.get(&format!("/api/v1/users/{name}")).await.json()
}

/// What is on record of sign-ins through the provider, the newest first.
async fn on_record(server: &Server) -> Vec<Value> {
    let events = server.get("/api/v1/events?kind=sign_in&limit=100").await.json();
    let events = events["events"].as_array().unwrap().clone();
    events.into_iter().filter(|event| event["action"] == "oidc").collect()
}
