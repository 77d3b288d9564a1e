//! Who is let in, and as whom.

use serde_json::{Value, json};

use super::way::Way;
use super::{add, on_record, server_of, user};
use crate::harness::{PASSWORD, Server, until};
use crate::provider::Provider;

#[tokio::test]
async fn an_account_that_waits_for_an_address_is_its_persons_from_the_first_sign_in_on() {
    let provider = Provider::start().await;
    let server = server_of(&provider).await;
    add(&server, "bob", "member", "mailto:Bob@Example.org").await;
    assert_eq!(user(&server, "bob").await["subject"], "mailto:bob@example.org");
    let mut way = Way::new();
    let back = way.sign_in(&server, &provider).await;
    assert_eq!((back.status, back.header("location")), (303, "/#signed-in"), "{back:?}");
    assert_eq!(back.header("cache-control"), "no-store");
    let cookies: Vec<_> = back.headers.get_all("set-cookie").iter().collect();
    assert_eq!(cookies.len(), 2, "{cookies:?}");
    let refresh = cookies[0].to_str().unwrap();
    assert!(refresh.starts_with("latchlight_refresh=llr_"), "{refresh}");
    assert!(refresh.ends_with("; Path=/oauth; Max-Age=2592000; HttpOnly; SameSite=Strict"));
    let token = way.access_token(&server).await;
    let me = server.get_as(&token, "/api/v1/me").await.json();
    assert_eq!((&me["name"], &me["role"]), (&json!("bob"), &json!("member")));
    let subject = format!("{} 1234", provider.issuer);
    assert_eq!(user(&server, "bob").await["subject"], subject);

    // The address is another person's by now.
    provider.person(json!({ "sub": "5678", "email": "bob@example.org", "email_verified": true }));
    let mut other = Way::new();
    assert_eq!(other.sign_in(&server, &provider).await.status, 403);
    assert_eq!(other.refresh_token(), None);
    // And Bob has another address.
    provider.person(json!({ "sub": "1234", "email": "robert@example.org" }));
    assert_eq!(Way::new().sign_in(&server, &provider).await.status, 303);

    let events = server.get("/api/v1/events?kind=account&limit=100").await.json();
    let link = events["events"].as_array().unwrap().iter().find(|event| event["action"] == "link");
    let detail = link.unwrap()["detail"].as_str().unwrap();
    assert_eq!(detail, format!("user bob is {subject}, who has mailto:bob@example.org"));
    let seen = on_record(&server).await;
    let seen: Vec<_> = seen.iter().map(|event| (&event["actor"], &event["result"])).collect();
    let (bob, nobody) = (json!("app:bob"), json!("nobody"));
    let (ok, refused) = (json!("ok"), json!("refused"));
    assert!(seen.contains(&(&bob, &ok)), "{seen:?}");
    assert!(seen.contains(&(&nobody, &refused)), "{seen:?}");
    server.stop().await;
}

#[tokio::test]
async fn c17_whoever_has_no_account_is_refused_plainly_and_is_on_record() {
    let provider = Provider::start().await;
    let server = server_of(&provider).await;
    add(&server, "bob", "member", "mailto:bob@example.org").await;
    for person in [
        json!({ "sub": "1", "email": "eve@example.org", "email_verified": true }),
        json!({ "sub": "2", "email": "bob@example.org", "email_verified": false }),
        json!({ "sub": "3", "email": "bob@example.org" }),
        json!({ "sub": "4" }),
        json!({ "sub": "mailto:bob@example.org" }),
        json!({ "sub": "5", "email": "bob@example.org.evil.example", "email_verified": true }),
    ] {
        provider.person(person.clone());
        let mut way = Way::new();
        let page = way.sign_in(&server, &provider).await;
        assert_eq!(page.status, 403, "{person}");
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
        let text = String::from_utf8(page.body.to_vec()).unwrap();
        assert!(text.contains("no account here is yours"), "{text}");
        assert_eq!(way.refresh_token(), None);
    }
    // The first at once; what comes after it from there is gathered.
    until("the refusal on record", async || {
        let whose = format!("no account belongs to {} 1", provider.issuer);
        let events = on_record(&server).await;
        events.iter().any(|event| event["detail"] == whose).then_some(())
    })
    .await;
    assert_eq!(user(&server, "bob").await["subject"], "mailto:bob@example.org");
    server.stop().await;
}

#[tokio::test]
async fn an_account_is_a_persons_by_the_providers_own_name_without_any_address() {
    let provider = Provider::start().await;
    let mut settings = provider.settings();
    settings["match_email"] = json!(false);
    let server = Server::start_with(json!({ "oidc": settings })).await;
    add(&server, "bob", "member", "mailto:bob@example.org").await;
    assert_eq!(Way::new().sign_in(&server, &provider).await.status, 403, "no address counts");
    add(&server, "robert", "guest", &format!("{} 1234", provider.issuer)).await;
    let mut way = Way::new();
    assert_eq!(way.sign_in(&server, &provider).await.status, 303);
    let token = way.access_token(&server).await;
    assert_eq!(server.get_as(&token, "/api/v1/me").await.json()["name"], "robert");
    server.stop().await;
}

#[tokio::test]
async fn c23_whoever_is_disabled_or_unlinked_is_out_at_once_and_comes_in_no_more() {
    let provider = Provider::start().await;
    let server = server_of(&provider).await;
    let subject = format!("{} 1234", provider.issuer);
    add(&server, "bob", "member", &subject).await;
    for (change, undo) in [
        (json!({ "disabled": true }), json!({ "disabled": false })),
        (json!({ "subject": null }), json!({ "subject": subject })),
    ] {
        let mut way = Way::new();
        assert_eq!(way.sign_in(&server, &provider).await.status, 303);
        let token = way.access_token(&server).await;
        assert_eq!(server.get_as(&token, "/api/v1/devices").await.status, 200);
        patch(&server, "bob", &change).await;
        server.get_as(&token, "/api/v1/devices").await.problem(401, "unknown-caller");
        assert_eq!(Way::new().sign_in(&server, &provider).await.status, 403, "{change}");
        patch(&server, "bob", &undo).await;
        server.get_as(&token, "/api/v1/devices").await.problem(401, "unknown-caller");
    }
    server.stop().await;
}

#[tokio::test]
async fn whoever_signed_in_through_the_provider_signs_out_here() {
    let provider = Provider::start().await;
    let server = server_of(&provider).await;
    add(&server, "bob", "member", "mailto:bob@example.org").await;
    let mut way = Way::new();
    way.sign_in(&server, &provider).await;
    let refresh = way.refresh_token().unwrap().to_owned();
    assert_eq!(server.post_form("/oauth/revoke", &[("token", &refresh)]).await.status, 200);
    let form = [("grant_type", "refresh_token"), ("refresh_token", &*refresh)];
    assert_eq!(server.post_form("/oauth/token", &form).await.json()["error"], "invalid_grant");
    server.stop().await;
}

#[tokio::test]
async fn c20_two_accounts_are_not_one_person() {
    let provider = Provider::start().await;
    let server = server_of(&provider).await;
    add(&server, "bob", "member", "mailto:bob@example.org").await;
    let twice = json!({ "name": "eve", "role": "guest", "subject": "mailto:BOB@example.org" });
    server.post_json("/api/v1/users", &twice).await.problem(409, "conflict");
    for odd in ["bob@example.org", "mailto:bob", "mailto:bób@example.org"] {
        let body = json!({ "name": "eve", "role": "guest", "subject": odd });
        server.post_json("/api/v1/users", &body).await.problem(422, "invalid");
    }
    server.stop().await;
}

#[tokio::test]
async fn without_a_provider_there_is_none_and_passwords_are_enough() {
    let server = Server::start().await;
    let none: Value = server.get("/oauth/oidc").await.json();
    assert_eq!(none, json!({ "button": null }));
    for path in ["/oauth/oidc/start", "/oauth/oidc/callback?state=x&code=y"] {
        Way::new().get(&server.url(path)).await.problem(404, "not-found");
    }
    server.sign_in_as("owner", PASSWORD).await;
    server.stop().await;
}

async fn patch(server: &Server, name: &str, change: &Value) {
    let request = server.client.patch(server.url(&format!("/api/v1/users/{name}"))).json(change);
    let answer = server.send(request).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}
