//! Who may not manage accounts: everybody but owners and the server's own
//! user, however they put it.

use reqwest::Method;
use serde_json::{Value, json};

use super::console;
use crate::harness::{Manner, Server};

/// Each route that manages accounts, with a body that an owner could send.
fn routes() -> Vec<(Method, &'static str, Value)> {
    let user = json!({ "name": "mallory", "role": "owner", "password": "let me in now" });
    vec![
        (Method::GET, "/api/v1/users", json!({})),
        (Method::POST, "/api/v1/users", user),
        (Method::GET, "/api/v1/users/owner", json!({})),
        (Method::PATCH, "/api/v1/users/guest", json!({ "role": "owner" })),
        (Method::DELETE, "/api/v1/users/owner", json!({})),
        (Method::POST, "/api/v1/users/owner/password", json!({ "password": "let me in now" })),
        (Method::GET, "/api/v1/api-keys", json!({})),
        (Method::POST, "/api/v1/api-keys", json!({ "name": "mallory", "scopes": "admin" })),
        (Method::GET, "/api/v1/api-keys/heating", json!({})),
        (Method::DELETE, "/api/v1/api-keys/heating", json!({})),
    ]
}

#[tokio::test]
async fn c19_a_guest_a_member_and_a_key_manage_no_account() {
    let server = Server::start().await;
    let console = console(&server).await;
    for (name, role) in [("guest", "guest"), ("member", "member")] {
        let body = json!({ "name": name, "role": role, "password": "not so secret" });
        console.post("/api/v1/users", &body).await.unwrap();
    }
    let everything_else = "devices:read locks:operate lights:operate messages:send \
        messages:read pictures:read pictures:write events:read";
    let key = json!({ "name": "heating", "scopes": everything_else });
    let key = console.post("/api/v1/api-keys", &key).await.unwrap();
    let before = console.get("/api/v1/users").await.unwrap();
    let token = async |name: &str| {
        let token = server.sign_in_as(name, "not so secret").await;
        token["access_token"].as_str().unwrap().to_owned()
    };
    let secret = key["secret"].as_str().unwrap().to_owned();
    for token in [token("guest").await, token("member").await, secret] {
        for (method, path, body) in routes() {
            let request = server.client.request(method.clone(), server.url(path));
            let answer = server.send(request.bearer_auth(&token).json(&body)).await;
            assert_eq!(answer.status, 403, "{method} {path}: {answer:?}");
        }
    }
    assert_eq!(console.get("/api/v1/users").await.unwrap(), before);
    console.get("/api/v1/api-keys/heating").await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn c19_nobody_and_a_device_manage_no_account() {
    let server = Server::start().await;
    let console = console(&server).await;
    let key = json!({ "name": "heating", "scopes": "devices:read" });
    console.post("/api/v1/api-keys", &key).await.unwrap();
    let device = console.post("/api/v1/devices/front/credentials", &json!({})).await.unwrap();
    let (user, password) = (device["username"].as_str(), device["password"].as_str());
    let (user, password) = (user.unwrap(), password.unwrap());
    // As it is, and not as the harness signs in.
    let nobody = reqwest::Client::builder().no_proxy().build().unwrap();
    for (method, path, body) in routes() {
        let request = || nobody.request(method.clone(), server.url(path)).json(&body);
        for (request, who) in [
            (request(), "nobody"),
            (request().bearer_auth("llk_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), "a made up key"),
            (request().bearer_auth("operator"), "the operator's name"),
            (request().basic_auth("owner", Some("")), "the owner without a password"),
            (request().basic_auth(user, Some(password)), "a device"),
        ] {
            let status = request.send().await.unwrap().status().as_u16();
            assert!([401, 403].contains(&status), "{who}: {method} {path}: {status}");
        }
    }
    assert_eq!(console.get("/api/v1/users").await.unwrap()["users"].as_array().unwrap().len(), 1);
    console.get("/api/v1/api-keys/heating").await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn who_claims_over_tcp_to_be_the_operator_is_not() {
    let server = Server::start().await;
    let console = console(&server).await;
    let body = json!({ "name": "guest", "role": "guest", "password": "not so secret" });
    console.post("/api/v1/users", &body).await.unwrap();
    let token = server.sign_in_as("guest", "not so secret").await;
    let token = token["access_token"].as_str().unwrap();
    for (name, value) in [
        ("x-latchlight-operator", "true"),
        ("x-forwarded-for", "unix:"),
        ("x-forwarded-user", "operator"),
        ("forwarded", "for=unix:/run/latchlight.sock;by=operator"),
        ("x-through", "console"),
        ("from", "operator"),
    ] {
        let request = server.client.get(server.url("/api/v1/users")).header(name, value);
        let answer = server.send(request.bearer_auth(token)).await;
        assert_eq!(answer.status, 403, "{name}: {value}: {answer:?}");
    }
    // Nor is there an account of that name, or a way to have one.
    let form = [("grant_type", "password"), ("username", "operator"), ("password", "")];
    assert!(server.post_form("/oauth/token", &form).await.status >= 400);
    server.stop().await;
}

#[tokio::test]
async fn c23_who_is_disabled_expired_or_removed_is_out_at_once_and_stays_out() {
    let server = Server::start().await;
    let console = console(&server).await;
    let body = json!({ "name": "guest", "role": "guest", "password": "not so secret" });
    console.post("/api/v1/users", &body).await.unwrap();
    let sign_in = async || {
        let token = server.sign_in_as("guest", "not so secret").await;
        token["access_token"].as_str().unwrap().to_owned()
    };
    let path = "/api/v1/users/guest";
    for (close, open) in [
        (json!({ "disabled": true }), json!({ "disabled": false })),
        (json!({ "expires_at": "2020-01-01T00:00:00Z" }), json!({ "expires_at": null })),
    ] {
        let token = sign_in().await;
        assert_eq!(server.get_as(&token, "/api/v1/me").await.status, 200);
        console.patch(path, &close).await.unwrap();
        server.get_as(&token, "/api/v1/me").await.problem(401, "unknown-caller");
        console.patch(path, &open).await.unwrap();
        server.get_as(&token, "/api/v1/me").await.problem(401, "unknown-caller");
    }
    let token = sign_in().await;
    console
        .post(&format!("{path}/password"), &json!({ "password": "new and better" }))
        .await
        .unwrap();
    server.get_as(&token, "/api/v1/me").await.problem(401, "unknown-caller");
    let token = server.sign_in_as("guest", "new and better").await;
    let token = token["access_token"].as_str().unwrap();
    console.delete(path).await.unwrap();
    server.get_as(token, "/api/v1/me").await.problem(401, "unknown-caller");
    // Somebody else of the same name is somebody else.
    console.post("/api/v1/users", &body).await.unwrap();
    server.get_as(token, "/api/v1/me").await.problem(401, "unknown-caller");
    server.stop().await;
}

#[tokio::test]
async fn c23_what_is_taken_back_counts_at_the_next_unlock_whatever_token_is_shown() {
    let server = Server::start().await;
    let console = console(&server).await;
    let front = server.lock("front", Manner::Obeys).await;
    let back = server.lock("back", Manner::Obeys).await;
    let granted = json!([{ "actions": ["unlock"], "devices": ["front"] }]);
    let guest = json!({
        "name": "guest", "role": "guest", "password": "not so secret", "grants": granted,
    });
    console.post("/api/v1/users", &guest).await.unwrap();
    let token = server.sign_in_as("guest", "not so secret").await;
    let token = token["access_token"].as_str().unwrap();
    let unlock = async |device: &str| {
        let path = format!("/unlock?device={device}&wait=10");
        server.send(server.client.post(server.url(&path)).bearer_auth(token)).await.status
    };
    assert_eq!(unlock("front").await, 200);
    assert_ne!(unlock("back").await, 200);
    let over = json!({ "from": "2020-01-01T00:00:00Z", "until": "2020-01-02T00:00:00Z" });
    for grants in [
        json!([{ "actions": ["lock"], "devices": ["front"] }]),
        json!([{ "actions": ["unlock"], "devices": ["front"], "window": over }]),
        json!([{ "actions": ["unlock"], "devices": ["back"], "window": over }]),
        json!([]),
    ] {
        console.patch("/api/v1/users/guest", &json!({ "grants": grants })).await.unwrap();
        assert_ne!(unlock("front").await, 200, "{grants}");
    }
    console.patch("/api/v1/users/guest", &json!({ "grants": granted })).await.unwrap();
    assert_eq!(unlock("front").await, 200, "and what is given back, too");
    console.patch("/api/v1/users/guest", &json!({ "scopes": "devices:read" })).await.unwrap();
    assert_ne!(unlock("front").await, 200);
    assert_eq!((front.count("unlock"), back.count("unlock")), (2, 0));
    server.stop().await;
}
