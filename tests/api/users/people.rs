//! `/api/v1/users`: from the first to the last day of somebody.

use serde_json::{Value, json};

use super::{console, problem};
use crate::events::Table;
use crate::harness::{Manner, Server};

/// Somebody whom the house cannot do without.
fn owner(name: &str) -> Value {
    json!({ "name": name, "role": "owner", "password": "open sesame 77" })
}

#[tokio::test]
async fn somebody_comes_changes_and_goes() {
    let server = Server::start().await;
    let console = console(&server).await;
    let made = console
        .post(
            "/api/v1/users",
            &json!({
                "name": "Cleaner", "role": "guest", "password": "mop and bucket",
                "grants": [{
                    "actions": ["unlock"], "devices": ["front"],
                    "window": { "days": ["mon"], "hours": ["08:00", "10:00"], "time_zone": "UTC" },
                }],
                "expires_at": "2090-01-01T00:00:00Z",
            }),
        )
        .await
        .unwrap();
    assert_eq!(made["scopes"], "devices:read locks:operate lights:operate");
    assert_eq!(made["password"], true);
    assert_eq!(made["grants"][0]["window"]["hours"], json!(["08:00:00", "10:00:00"]));
    assert_eq!(made["expires_at"], "2090-01-01T00:00:00.000Z");
    let shown = console.get("/api/v1/users/cleaner").await.unwrap();
    assert_eq!(shown, made, "a name is found in capital and small letters");

    let change = json!({ "role": "member", "grants": [], "disabled": true, "expires_at": null });
    let changed = console.patch("/api/v1/users/Cleaner", &change).await.unwrap();
    assert_eq!(changed["role"], "member");
    assert_eq!(changed["grants"], json!([]));
    assert_eq!(changed["disabled"], true);
    assert_eq!(changed["expires_at"], json!(null));
    assert_eq!(changed["id"], made["id"]);

    // All of it outlives the server.
    let server = Server::start_in(server.stop_and_keep().await).await;
    let console = super::console(&server).await;
    assert_eq!(console.get("/api/v1/users/Cleaner").await.unwrap(), changed);
    let password = json!({ "password": "another bucket" });
    let set = console.post("/api/v1/users/Cleaner/password", &password).await.unwrap();
    assert_eq!(set, json!({ "pins": "disable", "codes": 0 }));
    assert_eq!(console.delete("/api/v1/users/Cleaner").await.unwrap(), json!(null));
    for gone in [
        console.get("/api/v1/users/Cleaner").await,
        console.delete("/api/v1/users/Cleaner").await,
        console.patch("/api/v1/users/Cleaner", &json!({})).await,
        console.post("/api/v1/users/Cleaner/password", &password).await,
    ] {
        assert_eq!(problem(gone, 404), "there is no such user");
    }
    server.stop().await;
}

#[tokio::test]
async fn what_is_not_said_is_what_the_role_has() {
    let server = Server::start().await;
    let console = console(&server).await;
    let member = json!({ "name": "bob", "role": "member" });
    let member = console.post("/api/v1/users", &member).await.unwrap();
    let everything =
        json!([{ "actions": ["lock", "unlock", "on", "off"], "devices": ["*"], "window": {} }]);
    assert_eq!(member["grants"], everything);
    assert_eq!(member["password"], false, "nobody can sign in as bob yet");
    let guest = json!({ "name": "eve", "role": "guest" });
    let guest = console.post("/api/v1/users", &guest).await.unwrap();
    assert_eq!(guest["grants"], json!([]));
    let ada = console.post("/api/v1/users", &owner("ada")).await.unwrap();
    assert!(ada["scopes"].as_str().unwrap().contains("admin"));
    // Fewer scopes than the role has stay fewer when the role grows.
    let narrow = json!({ "scopes": "devices:read" });
    let narrow = console.patch("/api/v1/users/bob", &narrow).await.unwrap();
    assert_eq!(narrow["scopes"], "devices:read");
    let grown = console.patch("/api/v1/users/bob", &json!({ "role": "owner" })).await.unwrap();
    assert_eq!(grown["scopes"], "devices:read");
    server.stop().await;
}

#[tokio::test]
async fn the_last_owner_stays_one() {
    let server = Server::start().await;
    let console = console(&server).await;
    console.post("/api/v1/users", &owner("ada")).await.unwrap();
    console.delete("/api/v1/users/owner").await.unwrap();
    let last = "the last owner who can sign in stays one";
    for change in [
        json!({ "role": "member" }),
        json!({ "disabled": true }),
        json!({ "expires_at": "2090-01-01T00:00:00Z" }),
    ] {
        let answer = console.patch("/api/v1/users/ada", &change).await;
        assert_eq!(problem(answer, 409), last, "{change}");
    }
    assert_eq!(problem(console.delete("/api/v1/users/ada").await, 409), last);
    // One who could not sign in does not count.
    let bob = json!({ "name": "bob", "role": "owner" });
    console.post("/api/v1/users", &bob).await.unwrap();
    assert_eq!(problem(console.delete("/api/v1/users/ada").await, 409), last);
    let password = json!({ "password": "open sesame 78" });
    console.post("/api/v1/users/bob/password", &password).await.unwrap();
    console.delete("/api/v1/users/ada").await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn c27_each_change_of_an_account_is_on_record_without_its_secret() {
    let server = Server::start().await;
    let console = console(&server).await;
    console.post("/api/v1/users", &owner("ada")).await.unwrap();
    let password = json!({ "password": "quite another secret" });
    console.post("/api/v1/users/ada/password", &password).await.unwrap();
    let mut table = Table::of(server.folder()).await;
    let added = table.events("account").await.pop().unwrap();
    assert_eq!((&*added.actor, &*added.through), ("operator", "console"));
    assert_eq!((&*added.action, &*added.result), ("add", "ok"));
    assert_eq!(added.detail.as_deref(), Some("user ada, role owner"));
    let set = table.events("credential").await.pop().unwrap();
    let said = "user ada; codes for keypads disabled: 0";
    assert_eq!((&*set.action, set.detail.as_deref()), ("set_password", Some(said)));
    for (change, action, said) in [
        (json!({ "role": "guest" }), "change", "user ada: role owner → guest"),
        (
            json!({ "grants": [{ "actions": ["unlock"], "devices": ["front"] }] }),
            "change",
            "user ada: grants [] → [unlock front]",
        ),
        (
            json!({ "subject": "https://id.example 1234" }),
            "change",
            "user ada: subject nobody → https://id.example 1234",
        ),
        (
            json!({ "subject": null, "name": "Ada" }),
            "rename",
            "user ada: name ada → Ada, subject https://id.example 1234 → nobody",
        ),
        (json!({}), "change", "user Ada: as it was"),
    ] {
        console.patch("/api/v1/users/ada", &change).await.unwrap();
        let event = table.events("account").await.pop().unwrap();
        assert_eq!((&*event.action, event.detail.as_deref()), (action, Some(said)));
    }
    server.stop().await;
}

#[tokio::test]
async fn somebody_by_another_name_stays_who_they_are() {
    let server = Server::start().await;
    let console = console(&server).await;
    let _front = server.lock("front", Manner::Obeys).await;
    let bob = json!({ "name": "bob", "role": "member", "password": "a word for bob" });
    let bob = console.post("/api/v1/users", &bob).await.unwrap();
    console.post("/api/v1/users", &owner("ada")).await.unwrap();
    console.post("/api/v1/users/bob/pins", &json!({})).await.unwrap();
    let token = server.sign_in_as("bob", "a word for bob").await;
    let bearer = token["access_token"].as_str().unwrap();
    let path = "/api/v1/users/bob";
    for (name, status) in
        [("ADA", 409), ("device:front", 422), ("", 422), ("operator", 422), ("a b", 422)]
    {
        problem(console.patch(path, &json!({ "name": name })).await, status);
    }
    let change = json!({ "name": "robert" });
    let renamed = console.patch(path, &change).await.unwrap();
    assert_eq!((&renamed["name"], &renamed["id"]), (&json!("robert"), &bob["id"]));
    assert_eq!(problem(console.get(path).await, 404), "there is no such user");

    // The token, the codes and the grants are theirs, and so is the password.
    let me = server.get_as(bearer, "/api/v1/me").await.json();
    assert_eq!(me["identity"], "app:robert");
    let ask = server.client.post(server.url("/unlock?device=front&wait=10"));
    let command = server.send(ask.bearer_auth(bearer)).await.devices(200).remove(0);
    assert_eq!(command["issuer"], "app:robert");
    let codes = console.get("/api/v1/users/robert/pins").await.unwrap();
    assert_eq!(codes["pins"][0]["user"], "robert");
    server.sign_in_as("robert", "a word for bob").await;
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", token["refresh_token"].as_str().unwrap()),
    ];
    assert_eq!(server.post_form("/oauth/token", &form).await.status, 200);
    let form = [("grant_type", "password"), ("username", "bob"), ("password", "a word for bob")];
    assert_eq!(server.post_form("/oauth/token", &form).await.status, 400);

    // Whoever is called so next is somebody else.
    let next = json!({ "name": "bob", "role": "guest", "password": "another bob" });
    let next = console.post("/api/v1/users", &next).await.unwrap();
    assert_ne!(next["id"], bob["id"]);
    let codes = console.get("/api/v1/users/bob/pins").await.unwrap();
    assert_eq!(codes["pins"], json!([]));
    let server = Server::start_in(server.stop_and_keep().await).await;
    let shown = super::console(&server).await.get("/api/v1/users/robert").await.unwrap();
    assert_eq!(shown["id"], bob["id"], "also after a restart");
    server.stop().await;
}
