//! Making codes, and what is shown of them.

use serde_json::{Value, json};

use super::House;
use crate::harness::until;

#[tokio::test]
async fn c30_a_code_is_told_once() {
    let house = House::new().await;
    let body = json!({ "name": "cleaner", "digits": 12, "one_time": true, "devices": ["front"] });
    let made = house.console.post("/api/v1/users/bob/pins", &body).await.unwrap();
    let code = made["code"].as_str().unwrap();
    assert_eq!(code.len(), 12);
    assert_eq!((&made["user"], &made["name"]), (&json!("bob"), &json!("cleaner")));
    assert_eq!(made["actions"], json!(["lock", "unlock"]));
    let id = made["id"].as_str().unwrap();
    for path in ["/api/v1/pins", "/api/v1/users/bob/pins", &format!("/api/v1/pins/{id}")] {
        let shown = house.console.get(path).await.unwrap();
        let mut kept = made.clone();
        kept.as_object_mut().unwrap().remove("code");
        assert!(shown == kept || shown["pins"] == json!([kept]), "{path}: {shown}");
        assert!(!shown.to_string().contains("hmac"), "{shown}");
    }
    house.console.delete(&format!("/api/v1/pins/{id}")).await.unwrap();
    assert_eq!(house.console.get("/api/v1/pins").await.unwrap(), json!({ "pins": [] }));
    house.server.stop().await;
}

#[tokio::test]
async fn a_code_that_anybody_would_try_or_that_is_none_is_refused_without_being_said() {
    let house = House::new().await;
    let refused = async |body: Value| {
        let error = house.console.post("/api/v1/users/bob/pins", &body).await.unwrap_err();
        error.to_string()
    };
    for code in ["0000", "1234", "123456", "2580", "1987"] {
        let said = refused(json!({ "code": code })).await;
        assert!(said.contains("among the first") && !said.contains(code), "{said}");
    }
    for code in [json!("739"), json!("7391739173917"), json!("73 91"), json!("x"), json!(739155)] {
        let said = refused(json!({ "code": code })).await;
        assert!(said.contains("a code ") && !said.contains("739"), "{said}");
    }
    for body in [
        json!({ "code": "739155", "digits": 6 }),
        json!({ "digits": 3 }),
        json!({ "name": "739155" }),
        json!({ "actions": [] }),
        json!({ "devices": [] }),
        json!({ "account": "eve" }),
        json!({ "used_at": null }),
        json!({ "window": { "from": "2026-11-22T00:00:00Z", "until": "2026-11-21T00:00:00Z" } }),
    ] {
        refused(body).await;
    }
    assert_eq!(house.console.get("/api/v1/pins").await.unwrap(), json!({ "pins": [] }));
    house.server.stop().await;
}

#[tokio::test]
async fn c19_who_makes_codes_for_whom() {
    let house = House::new().await;
    let post = async |token: &str, path: &str, body: Value| {
        let request = house.client.post(house.server.url(path)).bearer_auth(token);
        house.server.send(request.json(&body)).await
    };
    let token = async |name: &str, scope: &str| {
        let form = [
            ("grant_type", "password"),
            ("username", name),
            ("password", "correct horse"),
            ("scope", scope),
        ];
        let answer = house.server.post_form("/oauth/token", &form).await;
        answer.json()["access_token"].as_str().unwrap_or_else(|| panic!("{answer:?}")).to_owned()
    };
    for (name, role) in [("ann", "member"), ("gus", "guest"), ("olive", "owner")] {
        let user = json!({ "name": name, "role": role, "password": "correct horse" });
        house.console.post("/api/v1/users", &user).await.unwrap();
    }
    let all = "devices:read locks:operate lights:operate";
    let (ann, gus) = (token("ann", all).await, token("gus", all).await);
    let olive = token("olive", "admin locks:operate lights:operate").await;

    // For somebody else: an owner only.
    assert_eq!(post(&ann, "/api/v1/users/bob/pins", json!({})).await.status, 403);
    assert_eq!(post(&gus, "/api/v1/users/bob/pins", json!({})).await.status, 403);
    assert_eq!(post(&olive, "/api/v1/users/bob/pins", json!({})).await.status, 201);
    assert_eq!(post(&olive, "/api/v1/users/nobody/pins", json!({})).await.status, 404);
    // For oneself: whoever lives there, and the code is made up.
    let own = json!({ "password": "correct horse" });
    let made = post(&ann, "/api/v1/me/pins", own.clone()).await;
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(made.json()["user"], "ann");
    let chosen = json!({ "code": "730198265514", "password": "correct horse" });
    let said = post(&ann, "/api/v1/me/pins", chosen).await.problem(422, "invalid");
    assert!(!said.contains("7301"), "{said}");
    post(&gus, "/api/v1/me/pins", own.clone()).await.problem(403, "not-allowed");
    // A token that may do less than its person makes no code that may do more.
    let weak = token("ann", "locks:operate").await;
    post(&weak, "/api/v1/me/pins", own).await.problem(403, "not-allowed");
    // Nobody sees or removes what is another's.
    let of_bob = house.console.get("/api/v1/users/bob/pins").await.unwrap();
    let of_bob = of_bob["pins"][0]["id"].as_str().unwrap().to_owned();
    for (path, status) in [("/api/v1/me/pins", 404), ("/api/v1/pins", 403)] {
        let request = house.client.delete(house.server.url(&format!("{path}/{of_bob}")));
        let answer = house.server.send(request.bearer_auth(&ann)).await;
        assert_eq!(answer.status, status, "{answer:?}");
    }
    let request = house.client.get(house.server.url("/api/v1/me/pins")).bearer_auth(&ann);
    let list = house.server.send(request).await.json();
    assert_eq!(list["pins"].as_array().unwrap().len(), 1, "{list}");
    let own = made.json()["id"].as_str().unwrap().to_owned();
    let request = house.client.delete(house.server.url(&format!("/api/v1/me/pins/{own}")));
    assert_eq!(house.server.send(request.bearer_auth(&ann)).await.status, 204);
    let record = house.console.get("/api/v1/events?kind=credential&actor=app:ann").await.unwrap();
    let actions: Vec<_> =
        record["events"].as_array().unwrap().iter().map(|e| &e["action"]).collect();
    assert_eq!(actions, ["remove_pin", "add_pin"]);
    house.server.stop().await;
}

#[tokio::test]
async fn c22_whoever_has_found_a_token_has_no_code_made_with_it() {
    let house = House::new().await;
    let ann = json!({ "name": "ann", "role": "member", "password": "correct horse" });
    house.console.post("/api/v1/users", &ann).await.unwrap();
    let token = house.server.sign_in_as("ann", "correct horse").await;
    let token = token["access_token"].as_str().unwrap();
    let ask = async |body: &Value| {
        let request = house.client.post(house.server.url("/api/v1/me/pins")).bearer_auth(token);
        house.server.send(request.json(body)).await
    };
    ask(&json!({})).await.problem(422, "invalid");
    let mut held_up = 0;
    for n in 0..12 {
        let answer = ask(&json!({ "password": format!("guess {n}") })).await;
        match answer.status {
            429 => {
                answer.problem(429, "too-soon");
                held_up += 1;
            }
            _ => assert!(!answer.problem(403, "not-allowed").contains("guess"), "C30"),
        }
    }
    assert!(held_up > 0, "C17");
    ask(&json!({ "password": "correct horse" })).await.problem(429, "too-soon");
    let codes = house.console.get("/api/v1/users/ann/pins").await.unwrap();
    assert_eq!(codes["pins"], json!([]));
    let refused = until("the refusal on record", async || {
        let path = "/api/v1/events?kind=credential&actor=app:ann";
        house.console.get(path).await.unwrap()["events"].as_array().unwrap().first().cloned()
    })
    .await;
    assert_eq!((&refused["action"], &refused["result"]), (&json!("add_pin"), &json!("refused")));
    house.server.stop().await;
}

#[tokio::test]
async fn a_new_password_says_what_becomes_of_the_codes() {
    let house = House::new().await;
    let ann = json!({ "name": "ann", "role": "member", "password": "correct horse" });
    house.console.post("/api/v1/users", &ann).await.unwrap();
    let made = house.console.post("/api/v1/users/ann/pins", &json!({})).await.unwrap();
    let code = made["code"].as_str().unwrap().to_owned();
    let path = "/api/v1/users/ann/password";
    let set = async |body: Value| house.console.post(path, &body).await.unwrap();
    let enable = async || {
        let pin = format!("/api/v1/pins/{}", made["id"].as_str().unwrap());
        house.console.patch(&pin, &json!({ "disabled": false })).await.unwrap();
    };
    assert_eq!(house.ask(&code).await.status, 200);
    let kept = set(json!({ "password": "horse battery", "pins": "keep" })).await;
    assert_eq!(kept, json!({ "pins": "keep", "codes": 1 }));
    assert_eq!(house.ask(&code).await.status, 200);
    // Not said: whoever resets a password may not know what else was found.
    let disabled = set(json!({ "password": "battery staple" })).await;
    assert_eq!(disabled, json!({ "pins": "disable", "codes": 1 }));
    house.ask(&code).await.problem(403, "code-refused");
    enable().await;
    assert_eq!(house.ask(&code).await.status, 200);
    let token = house.server.sign_in_as("ann", "battery staple").await;
    let change = async |token: &Value, body: Value| {
        let request = house.client.post(house.server.url("/api/v1/me/password"));
        let request = request.bearer_auth(token["access_token"].as_str().unwrap());
        house.server.send(request.json(&body)).await
    };
    let wrong = json!({ "old": "no", "new": "staple correct", "pins": "remove" });
    assert_eq!(change(&token, wrong).await.status, 403);
    let own = json!({ "old": "battery staple", "new": "staple correct" });
    assert_eq!(change(&token, own).await.json(), json!({ "pins": "keep", "codes": 1 }));
    assert_eq!(house.ask(&code).await.status, 200);
    let token = house.server.sign_in_as("ann", "staple correct").await;
    let own = json!({ "old": "staple correct", "new": "horse battery", "pins": "remove" });
    assert_eq!(change(&token, own).await.json(), json!({ "pins": "remove", "codes": 1 }));
    house.ask(&code).await.problem(403, "code-refused");
    let codes = house.console.get("/api/v1/users/ann/pins").await.unwrap();
    assert_eq!(codes["pins"], json!([]));
    let record = house.console.get("/api/v1/events?kind=credential&limit=5").await.unwrap();
    let newest = &record["events"][0];
    assert_eq!(newest["action"], "change_password");
    assert_eq!(newest["detail"], "user ann; codes for keypads removed: 1");
    let odd = json!({ "password": "another word", "pins": "void" });
    let said = house.console.post(path, &odd).await.unwrap_err().to_string();
    assert!(said.contains("unknown variant `void`"), "{said}");
    house.server.stop().await;
}
