//! What no account can be, whoever asks for it.

use serde_json::{Value, json};

use super::console;
use crate::harness::Server;

#[tokio::test]
async fn a_name_that_is_no_identity_or_somebody_elses_is_refused() {
    let server = Server::start().await;
    let console = console(&server).await;
    let taken = json!({ "name": "ada", "role": "guest" });
    console.post("/api/v1/users", &taken).await.unwrap();
    let long = "x".repeat(65);
    for (name, why) in [
        ("", "a name is"),
        (&*long, "a name is"),
        ("ada lovelace", "a name is"),
        ("ada/..", "a name is"),
        ("+", "a name is"),
        ("#", "a name is"),
        ("ад\u{430}", "a name is"),
        ("a\nb", "a name is"),
        ("ADA", "there is an account `ADA` already"),
        ("Operator", "it stands for somebody else in records"),
        ("nobody", "it stands for somebody else in records"),
        ("..", "it stands for somebody else in records"),
        ("local", "it stands for somebody else in records"),
        ("01a1fd77-7c3b-7d3e-8a6a-0123456789ab", "it stands for somebody else in records"),
    ] {
        for path in ["/api/v1/users", "/api/v1/api-keys"] {
            let user = path.ends_with("users");
            let body = if user {
                json!({ "name": name, "role": "guest" })
            } else {
                json!({ "name": name, "scopes": "admin" })
            };
            let said = console.post(path, &body).await.unwrap_err().to_string();
            assert!(said.contains(why), "{name:?}: {said}");
        }
    }
    assert_eq!(console.get("/api/v1/users").await.unwrap()["users"].as_array().unwrap().len(), 2);
    server.stop().await;
}

#[tokio::test]
async fn grants_and_windows_that_mean_nothing_are_refused_by_their_place() {
    let server = Server::start().await;
    let console = console(&server).await;
    let grant = |grant: Value| json!({ "name": "bob", "role": "guest", "grants": [grant] });
    let window = |window: Value| {
        grant(json!({ "actions": ["unlock"], "devices": ["front"], "window": window }))
    };
    let never = json!({ "from": "2026-11-23T00:00:00Z", "until": "2026-11-22T00:00:00Z" });
    for (body, why) in [
        (
            grant(json!({ "actions": ["toggle"], "devices": ["front"] })),
            "grants[0].actions[0]: `toggle` is not something a device does",
        ),
        (
            grant(json!({ "actions": ["unlock"], "devices": ["Front Door"] })),
            "grants[0].devices[0]: ",
        ),
        (
            grant(json!({ "actions": ["unlock"], "devices": [] })),
            "grants[0].devices: there is none",
        ),
        (grant(json!({ "actions": ["unlock"] })), "grants[0]: missing field `devices`"),
        (
            grant(json!({ "actions": [], "devices": ["*"], "role": "owner" })),
            "grants[0].role: unknown field `role`",
        ),
        (window(never), "grants[0].window: it never opens"),
        (window(json!({ "days": ["someday"] })), "grants[0].window.days[0]: "),
        (window(json!({ "hours": ["25:00", "26:00"] })), "grants[0].window.hours[0]: "),
        (window(json!({ "time_zone": "Mars" })), "`Mars` is not a time zone"),
        (window(json!({ "form": "2026-11-23T00:00:00Z" })), "grants[0].window.form: unknown field"),
    ] {
        let said = console.post("/api/v1/users", &body).await.unwrap_err().to_string();
        assert!(said.contains(why), "{body}: {said}");
    }
    let many = vec![json!({ "actions": [], "devices": ["*"] }); 101];
    let many = json!({ "name": "bob", "role": "guest", "grants": many });
    let said = console.post("/api/v1/users", &many).await.unwrap_err().to_string();
    assert_eq!(said, "grants: there are at most 100");
    let users = console.get("/api/v1/users").await.unwrap();
    assert_eq!(users["users"].as_array().unwrap().len(), 1, "the owner alone: {users}");
    server.stop().await;
}

#[tokio::test]
async fn c20_fields_that_nobody_sets_are_refused() {
    let server = Server::start().await;
    let console = console(&server).await;
    for field in ["id", "kind", "epoch", "created_at", "proof", "secret", "disabled"] {
        let mut body = json!({ "name": "bob", "role": "guest" });
        body[field] = json!(true);
        let said = console.post("/api/v1/users", &body).await.unwrap_err().to_string();
        assert!(said.contains(&format!("unknown field `{field}`")), "{said}");
    }
    console.post("/api/v1/users", &json!({ "name": "bob", "role": "guest" })).await.unwrap();
    for field in ["id", "kind", "epoch", "created_at", "password", "secret"] {
        let body = json!({ field: "1" });
        let said = console.patch("/api/v1/users/bob", &body).await.unwrap_err().to_string();
        assert!(said.contains(&format!("unknown field `{field}`")), "{said}");
    }
    for (body, why) in [
        (json!({ "scopes": "admin" }), "scopes: the role guest has no more than devices:read"),
        (json!({ "role": "king" }), "role: unknown variant `king`"),
        (json!({ "subject": "alice" }), "subject: it is the provider's issuer URL"),
    ] {
        let said = console.patch("/api/v1/users/bob", &body).await.unwrap_err().to_string();
        assert!(said.contains(why), "{said}");
    }
    server.stop().await;
}

#[tokio::test]
async fn c30_a_password_that_is_none_is_refused_without_being_shown() {
    let server = Server::start().await;
    let console = console(&server).await;
    console.post("/api/v1/users", &json!({ "name": "rosalind", "role": "guest" })).await.unwrap();
    for (password, why) in [
        (json!("short"), "a password has 8 to 200 characters"),
        (json!("Password1"), "this password is among the first that anybody tries"),
        (json!("Rosalind1920"), "a password is not the name of its account"),
        (json!(918273645), "a password is a text"),
        (json!(["918273645"]), "a password is a text"),
        (json!({ "918273645": 1 }), "a password is a text"),
    ] {
        let body = json!({ "password": password });
        let path = "/api/v1/users/rosalind/password";
        let said = console.post(path, &body).await.unwrap_err().to_string();
        assert!(said.contains(why), "{said}");
        assert!(!said.contains("918273645") && !said.contains("1920"), "{said}");
    }
    server.stop().await;
}
