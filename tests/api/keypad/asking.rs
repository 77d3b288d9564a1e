//! Yes and no.

use serde_json::json;

use super::{House, credentials, unlock, wrong};
use crate::harness::Manner;

#[tokio::test]
async fn c22_a_code_unlocks_on_behalf_of_its_person_and_the_server_does_it() {
    let house = House::new().await;
    let (id, code) = house.code(json!({ "name": "front steps" })).await;
    assert_eq!(code.len(), 6);
    let answer = house.ask(&code).await;
    let devices = answer.devices(200);
    assert_eq!(devices[0]["outcome"], "confirmed");
    assert_eq!(devices[0]["issuer"], "app:bob");
    assert_eq!(house.unlocks(), 1);

    let record = house.record().await;
    let event = record.iter().find(|event| event["action"] == "pin").unwrap();
    assert_eq!((&event["actor"], &event["result"]), (&json!("app:bob"), &json!("ok")));
    assert_eq!((&event["through"], &event["device"]), (&json!("keypad"), &json!("front")));
    let detail = event["detail"].as_str().unwrap();
    for part in ["front steps", id.as_str(), "keypad keypad", "unlock"] {
        assert!(detail.contains(part), "{detail}");
    }
    let commands = house.console.get("/api/v1/events?kind=command").await.unwrap();
    let command = &commands["events"][0];
    assert_eq!((&command["actor"], &command["through"]), (&json!("app:bob"), &json!("keypad")));
    // It locks, too.
    let lock = json!({ "code": code, "device": "front", "verb": "lock", "wait": 10 });
    let answer = house.ask_at("keypad", &house.secret, &lock).await;
    assert_eq!(answer.devices(200)[0]["outcome"], "confirmed");
    house.server.stop().await;
}

#[tokio::test]
async fn c22_every_no_is_the_same_whatever_is_wrong() {
    let house = House::new().await;
    let (disabled, of_disabled) = house.code(json!({})).await;
    let path = format!("/api/v1/pins/{disabled}");
    house.console.patch(&path, &json!({ "disabled": true })).await.unwrap();
    let over = json!({ "window": { "until": "2020-01-01T00:00:00Z" } });
    let (_, over) = house.code(over).await;
    let (removed, of_removed) = house.code(json!({})).await;
    house.console.delete(&format!("/api/v1/pins/{removed}")).await.unwrap();
    let (_, locks_only) = house.code(json!({ "actions": ["lock"] })).await;
    let (_, elsewhere) = house.code(json!({ "devices": ["back"] })).await;
    let mut answers = Vec::new();
    let nos = [&of_disabled, &over, &of_removed, &locks_only, &elsewhere, &wrong(0), "", "12ab"];
    for (number, code) in nos.into_iter().enumerate() {
        // At ever other keypads, lest there be a pause.
        let keypad = format!("keypad-{number}");
        let secret = credentials(&house.console, &keypad).await;
        let answer = house.ask_at(&keypad, &secret, &unlock(code)).await;
        let mut problem = answer.json();
        problem["request_id"].take();
        answers.push((answer.status, problem));
    }
    let first = answers[0].clone();
    assert_eq!(first.0, 403);
    assert_eq!(first.1["type"], "urn:latchlight:problem:code-refused");
    for answer in answers {
        assert_eq!(answer, first);
    }
    assert_eq!(house.unlocks(), 0);
    house.server.stop().await;
}

#[tokio::test]
async fn c23_who_is_disabled_or_has_no_grant_any_more_is_out_at_once() {
    let house = House::new().await;
    let (_, code) = house.code(json!({})).await;
    house.ask(&code).await.devices(200);
    house.change_bob(json!({ "grants": [] })).await;
    house.ask(&code).await.problem(403, "code-refused");
    let narrow = json!([{ "actions": ["lock"], "devices": ["*"] }]);
    house.change_bob(json!({ "grants": narrow })).await;
    house.ask(&code).await.problem(403, "code-refused");
    let everything = json!([{ "actions": ["lock", "unlock"], "devices": ["*"] }]);
    house.change_bob(json!({ "grants": everything })).await;
    house.ask(&code).await.devices(200);
    house.change_bob(json!({ "disabled": true })).await;
    house.ask(&code).await.problem(403, "code-refused");
    house.console.delete("/api/v1/users/bob").await.unwrap();
    let answer = house.ask(&code).await;
    answer.problem(403, "code-refused");
    assert_eq!(house.unlocks(), 2);
    house.server.stop().await;
}

#[tokio::test]
async fn c23_a_code_is_good_for_no_more_than_its_person_however_it_was_made() {
    let house = House::new().await;
    let closed = json!({ "until": "2020-01-01T00:00:00Z" });
    let grants = json!([{ "actions": ["unlock"], "devices": ["front"], "window": closed }]);
    house.change_bob(json!({ "role": "guest", "grants": grants })).await;
    let (_, code) = house.code(json!({ "actions": ["lock", "unlock"], "devices": ["*"] })).await;
    house.ask(&code).await.problem(403, "code-refused");
    assert_eq!(house.unlocks(), 0);
    house.server.stop().await;
}

#[tokio::test]
async fn c23b_a_keypad_without_a_grant_is_refused_before_any_code_is_looked_at() {
    let house = House::new().await;
    let (_, code) = house.code(json!({})).await;
    for keypad in ["elsewhere", "unheard-of"] {
        let secret = credentials(&house.console, keypad).await;
        for code in [&code, &wrong(0)] {
            for _ in 0..6 {
                let answer = house.ask_at(keypad, &secret, &unlock(code)).await;
                answer.problem(403, "not-allowed");
            }
        }
    }
    // Another device than the one that it is granted, and one that is none.
    for device in ["back", "nowhere"] {
        let body = json!({ "code": code, "device": device, "verb": "unlock" });
        house.ask_at("keypad", &house.secret, &body).await.problem(403, "not-allowed");
    }
    assert_eq!(house.unlocks(), 0);
    // None of it counted as a wrong code.
    house.ask(&code).await.devices(200);
    house.server.stop().await;
}

#[tokio::test]
async fn c23b_a_grant_that_asks_for_a_code_is_none_without_one() {
    let house = House::new().await;
    let answers = super::hear::answers(&house, "keypad", &["unlock front", "lock front"]).await;
    assert!(answers.iter().all(|answer| answer.contains("refused")), "{answers:?}");
    assert_eq!(house.door.told().len(), 0, "{:?}", house.door.told());
    house.server.stop().await;
}

#[tokio::test]
async fn c22_over_mqtt_there_is_no_way_to_show_a_code() {
    let house = House::new().await;
    let (_, code) = house.code(json!({ "digits": 12 })).await;
    let said = [
        format!("unlock front {code}"),
        format!("unlock {code}"),
        format!("unlock {}", json!({ "device": "front", "code": code })),
        format!("keypad {}", unlock(&code)),
        format!("pin {code}"),
        code.clone(),
    ];
    let said: Vec<&str> = said.iter().map(String::as_str).collect();
    let answers = super::hear::answers(&house, "keypad", &said).await;
    for answer in &answers {
        let no = ["error", "unknown"].iter().any(|word| answer.starts_with(word));
        // A device may be called by a number.
        let is_shown = answer.contains(&code) && !answer.ends_with(&format!("device {code}"));
        assert!(no && !is_shown, "{answers:?}");
    }
    assert_eq!(house.unlocks(), 0);
    house.server.stop().await;
}

#[tokio::test]
async fn c22_a_code_is_taken_in_one_place_only() {
    let house = House::new().await;
    let (_, code) = house.code(json!({})).await;
    let url = house.server.url("/api/v1/keypad");
    let show = |request: reqwest::RequestBuilder| {
        request.basic_auth("keypad", Some(&house.secret)).json(&unlock(&code))
    };
    let in_query = show(house.client.post(format!("{url}?code={code}")));
    let as_key = show(house.client.post(format!("{url}?{code}")));
    let once = show(house.client.post(&url)).header("idempotency-key", "a");
    for request in [in_query, as_key, once] {
        let answer = house.server.send(request).await;
        let said = answer.problem(400, "malformed");
        assert!(!said.contains(&code), "{said}");
    }
    let number: u64 = code.parse().unwrap();
    for body in [
        json!({ "code": number, "device": "front", "verb": "unlock" }),
        json!({ "code": code, "device": "front", "verb": code }),
        json!({ "code": code, "device": "front", "verb": "unlock", "wait": number }),
        json!({ "code": code, "device": "front", "verb": "unlock", (code.as_str()): 1 }),
        json!({ "code": code }),
        json!([code, "front", "unlock"]),
    ] {
        let answer = house.ask_at("keypad", &house.secret, &body).await;
        assert_eq!(answer.status, 400, "{body}");
        assert!(!answer.json().to_string().contains(&code), "{answer:?}");
    }
    // The code where the device belongs.
    let body = json!({ "code": "front", "device": code, "verb": "unlock" });
    let answer = house.ask_at("keypad", &house.secret, &body).await;
    answer.problem(403, "not-allowed");
    assert!(!answer.json().to_string().contains(&code), "{answer:?}");
    assert_eq!(house.unlocks(), 0);
    house.server.stop().await;
}

#[tokio::test]
async fn c22_only_a_device_asks_and_only_with_its_own_secret() {
    let house = House::with(Manner::Obeys).await;
    let (_, code) = house.code(json!({})).await;
    let token = house.server.sign_in().await["access_token"].as_str().unwrap().to_owned();
    let key = json!({ "name": "heating", "scopes": "locks:operate admin" });
    let key = house.console.post("/api/v1/api-keys", &key).await.unwrap();
    let key = key["secret"].as_str().unwrap().to_owned();
    let ask = || house.client.post(house.server.url("/api/v1/keypad")).json(&unlock(&code));
    let strangers = [
        ask(),
        ask().bearer_auth(&token),
        ask().bearer_auth(&key),
        ask().basic_auth("keypad", Some("wrong")),
        ask().basic_auth("keypad", None::<&str>),
        ask().basic_auth("keypad-1", Some(&house.secret)),
        ask().basic_auth("bob", Some(&house.secret)),
        ask().bearer_auth(&house.secret),
    ];
    for request in strangers {
        let answer = house.server.send(request).await;
        assert!(matches!(answer.status, 401 | 403), "{answer:?}");
        assert_ne!(answer.json()["type"], "urn:latchlight:problem:code-refused", "{answer:?}");
    }
    let error = house.console.post("/api/v1/keypad", &unlock(&code)).await.unwrap_err();
    assert!(error.to_string().contains("only a keypad"), "{error}");
    // And a keypad is let in nowhere else.
    for path in ["/api/v1/devices", "/api/v1/pins", "/api/v1/users/bob/pins", "/api/v1/me/pins"] {
        let request = house.client.get(house.server.url(path));
        let answer = house.server.send(request.basic_auth("keypad", Some(&house.secret))).await;
        assert!(matches!(answer.status, 401 | 403), "{path}: {answer:?}");
    }
    let request = house.client.post(house.server.url("/unlock?device=front"));
    let answer = house.server.send(request.basic_auth("keypad", Some(&house.secret))).await;
    assert!(matches!(answer.status, 401 | 403), "{answer:?}");
    assert_eq!(house.unlocks(), 0);
    house.ask(&code).await.devices(200);
    // Its credentials are revoked: it is out at once.
    house.console.delete("/api/v1/devices/keypad/credentials").await.unwrap();
    assert_eq!(house.ask(&code).await.status, 401);
    house.server.stop().await;
}
