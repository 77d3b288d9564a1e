//! Who signed in, who could not, and who came for what a token is not good for.

use serde_json::{Value, json};

use super::Table;
use crate::harness::{PASSWORD, Server};

/// What somebody shows who should not be let in, and that nobody may read.
const SECRET: &str = "hunter2-and-more-of-it";

async fn sign_in(server: &Server, name: &str, password: &str) -> u16 {
    let form = [("grant_type", "password"), ("username", name), ("password", password)];
    server.post_form("/oauth/token", &form).await.status
}

#[tokio::test]
async fn c17_who_signs_in_is_on_record_and_so_is_who_cannot() {
    let server = Server::start().await;
    let mut table = Table::of(server.folder()).await;
    assert_eq!(sign_in(&server, "OWNER", PASSWORD).await, 200);
    let events = table.events("sign_in").await;
    // The harness has signed in, too.
    assert_eq!(events.len(), 2, "on record before it is answered: {events:?}");
    assert_eq!((&*events[1].actor, &*events[1].result), ("app:owner", "ok"));
    assert_eq!((&*events[1].action, &*events[1].through), ("password", "http"));
    assert_eq!(events[1].address.as_deref(), Some("127.0.0.1"));
    assert_eq!(sign_in(&server, "owner", SECRET).await, 400);
    assert_eq!(sign_in(&server, "mallory", SECRET).await, 400);
    // Whose password it is, is nobody's business.
    assert_eq!(sign_in(&server, SECRET, "x").await, 400);
    server.stop().await;
    let events = table.events("sign_in").await;
    let failed: Vec<_> = events.iter().filter(|event| event.result == "refused").collect();
    assert_eq!(failed.len(), 2, "{events:?}");
    assert!(failed.iter().all(|event| event.actor == "nobody"), "{events:?}");
    assert!(failed[0].detail.as_ref().unwrap().starts_with("as owner: "), "{events:?}");
    assert_eq!((failed[0].times, failed[1].times), (1, 2));
    assert!(failed[1].detail.as_ref().unwrap().contains("as nobody who is known"), "{events:?}");
}

#[tokio::test]
async fn c18_a_token_that_is_no_good_for_it_or_at_all_is_on_record() {
    let server = Server::start().await;
    let mut form = vec![("grant_type", "password"), ("username", "owner")];
    form.extend([("password", PASSWORD), ("scope", "devices:read")]);
    let granted = server.post_form("/oauth/token", &form).await.json();
    let narrow = granted["access_token"].as_str().unwrap();
    assert_eq!(server.get_as(narrow, "/api/v1/events").await.status, 403);
    assert_eq!(server.get_as(narrow, "/api/v1/events/export").await.status, 403);
    assert_eq!(server.get_as(SECRET, "/api/v1/devices").await.status, 401);
    let mut table = Table::of(server.folder()).await;
    let events = table.events_when("refusal", 3).await;
    let what: Vec<_> = events.iter().map(|event| (&*event.actor, &*event.action)).collect();
    assert_eq!(
        what,
        [
            ("app:owner", "GET /api/v1/events"),
            ("app:owner", "GET /api/v1/events/export"),
            ("nobody", "authorize")
        ]
    );
    assert!(events.iter().all(|event| event.result == "refused"), "{events:?}");
    assert!(events[0].detail.as_ref().unwrap().contains("events:read"), "{events:?}");
    server.stop().await;
}

/// Everything that is a secret in an answer.
fn secrets(json: &Value, found: &mut Vec<String>) {
    let Some(members) = json.as_object() else { return };
    for (name, value) in members {
        if matches!(&**name, "access_token" | "refresh_token" | "secret" | "key" | "password")
            && let Some(secret) = value.as_str()
        {
            found.push(secret.to_owned());
        }
        secrets(value, found);
    }
}

#[tokio::test]
async fn c30_no_secret_is_on_record() {
    let server = Server::start().await;
    let mut found = vec![PASSWORD.to_owned(), SECRET.to_owned(), "another-long-password".into()];
    let signed_in = server.sign_in().await;
    secrets(&signed_in, &mut found);
    let token = signed_in["refresh_token"].as_str().unwrap();
    let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
    secrets(&server.post_form("/oauth/token", &form).await.json(), &mut found);
    // A used one again, which ends the sign-in.
    server.post_form("/oauth/token", &form).await;
    sign_in(&server, SECRET, SECRET).await;
    server.get_as(SECRET, "/api/v1/devices").await;
    for (path, body) in [
        ("/api/v1/devices/front/credentials", json!({ "kind": "lock" })),
        ("/api/v1/api-keys", json!({ "name": "heating", "scopes": "devices:read" })),
        (
            "/api/v1/users",
            json!({ "name": "bob", "role": "guest", "password": "another-long-password" }),
        ),
    ] {
        let answer = server.post_json(path, &body).await;
        assert_eq!(answer.status, 201, "{path}: {}", answer.json());
        secrets(&answer.json(), &mut found);
    }
    assert!(found.len() >= 8, "{found:?}");
    let record = server.get("/api/v1/events/export?format=ndjson").await;
    let record = String::from_utf8(record.body.to_vec()).unwrap();
    assert!(record.lines().count() >= 6, "{record}");
    for secret in &found {
        assert!(!record.contains(secret.as_str()), "{secret} in {record}");
    }
    // Nor is it in any column that is not exported.
    let folder = server.stop_and_keep().await;
    let mut table = Table::of(folder.path()).await;
    for secret in &found {
        let like = "SELECT count(*) FROM events WHERE \
            replace(coalesce(detail,'') || actor || action || coalesce(address,''), $1, '') \
            <> coalesce(detail,'') || actor || action || coalesce(address,'')";
        let rows: i64 =
            sqlx::query_scalar(like).bind(secret).fetch_one(&mut table.0).await.unwrap();
        assert_eq!(rows, 0, "{secret}");
    }
}
