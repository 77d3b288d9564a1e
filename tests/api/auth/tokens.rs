//! `POST /oauth/token` and `POST /oauth/revoke`.

use serde_json::{Value, json};

use crate::harness::{Answer, PASSWORD, Server};

const TOKEN: &str = "/oauth/token";
const REVOKE: &str = "/oauth/revoke";

/// Checks that this is an error of OAuth, and gives its description.
#[track_caller]
fn refused(answer: &Answer, status: u16, code: &str) -> String {
    let error = answer.json();
    assert_eq!((answer.status, &error["error"]), (status, &json!(code)), "{error}");
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("cache-control"), "no-store");
    error["error_description"].as_str().unwrap().to_owned()
}

async fn refresh(server: &Server, token: &Value) -> Answer {
    let token = token.as_str().unwrap();
    let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
    server.post_form(TOKEN, &form).await
}

/// The status of a request with this as the bearer's token.
async fn status(server: &Server, token: &Value) -> u16 {
    server.get_as(token.as_str().unwrap(), "/api/v1/devices").await.status
}

#[tokio::test]
async fn a_password_gives_a_token_that_lets_in() {
    let server = Server::start().await;
    let form = [("grant_type", "password"), ("username", "Owner"), ("password", PASSWORD)];
    let answer = server.post_form(TOKEN, &form).await;
    let granted = answer.json();
    assert_eq!(answer.status, 200, "{granted}");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!((&granted["token_type"], &granted["expires_in"]), (&json!("Bearer"), &json!(600)));
    let scope = "devices:read locks:operate lights:operate messages:send messages:read \
                 pictures:read pictures:write events:read metrics:read admin";
    assert_eq!(granted["scope"], scope);
    assert_eq!(status(&server, &granted["access_token"]).await, 200);
    server.stop().await;
}

#[tokio::test]
async fn a_narrower_scope_is_had_and_kept_and_a_wider_one_is_not() {
    let server = Server::start().await;
    let mut form = vec![("grant_type", "password"), ("username", "owner")];
    form.extend([("password", PASSWORD), ("scope", "devices:read pictures:read")]);
    let granted = server.post_form(TOKEN, &form).await.json();
    assert_eq!(granted["scope"], "devices:read pictures:read");
    let token = granted["access_token"].as_str().unwrap();
    assert_eq!(server.get_as(token, "/api/v1/devices").await.status, 200);
    let answer = server.get_as(token, "/api/v1/users").await;
    assert!(answer.problem(403, "insufficient-scope").contains("admin"), "{answer:?}");
    let challenge = answer.header("www-authenticate");
    assert!(challenge.contains(r#"error="insufficient_scope", scope="admin""#), "{challenge}");
    // Where one of several is enough, all of them are named, the least first.
    let answer = server.get_as(token, "/metrics").await;
    let missing = answer.problem(403, "insufficient-scope");
    assert!(missing.contains("lacks the scope `metrics:read` or `admin`"), "{missing}");
    let mut form = vec![("grant_type", "refresh_token"), ("scope", "admin devices:read")];
    form.push(("refresh_token", granted["refresh_token"].as_str().unwrap()));
    let granted = server.post_form(TOKEN, &form).await.json();
    assert_eq!(granted["scope"], "devices:read", "not more than was granted first");
    // A token may be narrower than the sign-in, which stays as it was.
    let again = refresh(&server, &granted["refresh_token"]).await.json();
    assert_eq!(again["scope"], "devices:read pictures:read");
    server.stop().await;
}

#[tokio::test]
async fn c18_a_refresh_token_rotates_and_a_used_one_ends_the_sign_in() {
    let server = Server::start().await;
    let first = server.sign_in().await;
    let other = server.sign_in().await;
    let second = refresh(&server, &first["refresh_token"]).await.json();
    assert_ne!(second["refresh_token"], first["refresh_token"]);
    assert_eq!(status(&server, &second["access_token"]).await, 200);
    // Somebody has a copy of the first.
    let answer = refresh(&server, &first["refresh_token"]).await;
    refused(&answer, 400, "invalid_grant");
    let answer = refresh(&server, &second["refresh_token"]).await;
    refused(&answer, 400, "invalid_grant");
    for token in [&first["access_token"], &second["access_token"]] {
        assert_eq!(status(&server, token).await, 401, "C6: of the sign-in that is over");
    }
    assert_eq!(status(&server, &other["access_token"]).await, 200, "another sign-in");
    let folder = server.stop_and_keep().await;
    let server = Server::start_in(folder).await;
    for token in [&first["refresh_token"], &second["refresh_token"]] {
        refused(&refresh(&server, token).await, 400, "invalid_grant");
    }
    assert_eq!(refresh(&server, &other["refresh_token"]).await.status, 200, "after a restart");
    server.stop().await;
}

#[tokio::test]
async fn c6_a_token_is_void_when_its_sign_in_is_revoked() {
    let server = Server::start().await;
    for shown in ["refresh_token", "access_token"] {
        let granted = server.sign_in().await;
        let form = [("token", granted[shown].as_str().unwrap())];
        let answer = server.post_form(REVOKE, &form).await;
        assert_eq!((answer.status, answer.body.len()), (200, 0), "{answer:?}");
        let token = granted["access_token"].as_str().unwrap();
        let answer = server.get_as(token, "/api/v1/devices").await;
        answer.problem(401, "unknown-caller");
        let challenge = answer.header("www-authenticate");
        assert!(challenge.contains(r#"error="invalid_token""#), "{challenge}");
        let answer = refresh(&server, &granted["refresh_token"]).await;
        refused(&answer, 400, "invalid_grant");
        // RFC 7009: what is not good needs no revoking.
        assert_eq!(server.post_form(REVOKE, &form).await.status, 200);
    }
    for token in ["", "x", "llr_", &format!("llr_{}_{}", "0".repeat(32), "a".repeat(32))] {
        assert_eq!(server.post_form(REVOKE, &[("token", token)]).await.status, 200, "{token}");
    }
    let answer = server.post_form(REVOKE, &[("token", "llk_x")]).await;
    refused(&answer, 400, "unsupported_token_type");
    server.stop().await;
}

#[tokio::test]
async fn c17_an_unknown_name_and_a_wrong_password_look_alike() {
    let server = Server::start().await;
    let ask = async |name: &str, password: &str| {
        let form = [("grant_type", "password"), ("username", name), ("password", password)];
        server.post_form(TOKEN, &form).await
    };
    let wrong = ask("owner", "not this one").await;
    refused(&wrong, 400, "invalid_grant");
    for (name, password) in [("nobody", PASSWORD), ("", ""), ("owner", ""), ("ö'; --", "x")] {
        let answer = ask(name, password).await;
        assert_eq!(answer.body, wrong.body, "{name}");
        assert_eq!(answer.status, wrong.status, "{name}");
        let names = |answer: &Answer| answer.headers.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&answer), names(&wrong), "{name}");
    }
    server.stop().await;
}

#[tokio::test]
async fn c17_who_tries_too_often_is_told_to_wait_also_with_the_right_password() {
    let server = Server::start().await;
    for name in ["owner", "nobody"] {
        let ask = async |password: &str| {
            let form = [("grant_type", "password"), ("username", name), ("password", password)];
            server.post_form(TOKEN, &form).await
        };
        let mut tries = 0;
        while ask("not this one").await.status == 400 {
            tries += 1;
            assert!(tries <= 11, "{name}: it goes on and on");
        }
        assert!(tries >= 9, "{name}: {tries}");
        let answer = ask(PASSWORD).await;
        refused(&answer, 429, "temporarily_unavailable");
        let wait: u64 = answer.header("retry-after").parse().unwrap();
        assert!((1..=10).contains(&wait), "{wait}");
    }
    server.stop().await;
}

#[tokio::test]
async fn an_api_key_is_let_in_however_often_others_guessed_at_it() {
    let server = Server::start().await;
    let key = serde_json::json!({ "name": "heating", "scopes": "devices:read" });
    let key = server.post_json("/api/v1/api-keys", &key).await.json();
    let ask = async |secret: &str| {
        let mut form = vec![("grant_type", "client_credentials"), ("client_id", "heating")];
        form.push(("client_secret", secret));
        server.post_form(TOKEN, &form).await
    };
    let mut tries = 0;
    while ask("llk_not_this_one").await.status != 429 {
        tries += 1;
        assert!(tries <= 11, "it goes on and on");
    }
    let answer = ask(key["secret"].as_str().unwrap()).await;
    assert_eq!(status(&server, &answer.json()["access_token"]).await, 200);
    refused(&ask("llk_nor_this").await, 429, "temporarily_unavailable");
    server.stop().await;
}

#[tokio::test]
async fn what_is_no_request_of_oauth_is_refused_in_its_words() {
    let server = Server::start().await;
    let no_grant = server.post_form(TOKEN, &[("username", "owner")]).await;
    refused(&no_grant, 400, "invalid_request");
    let twice = [("grant_type", "password"), ("grant_type", "password")];
    refused(&server.post_form(TOKEN, &twice).await, 400, "invalid_request");
    let other = server.post_form(TOKEN, &[("grant_type", "implicit")]).await;
    refused(&other, 400, "unsupported_grant_type");
    let json = server.post_json(TOKEN, &json!({ "grant_type": "password" })).await;
    refused(&json, 400, "invalid_request");
    let url = format!("{TOKEN}?grant_type=password&username=owner&password={PASSWORD}");
    let in_the_url = server.post_form(&url, &[]).await;
    let said = refused(&in_the_url, 400, "invalid_request");
    assert!(said.contains("no query"), "{said}");
    let mut form = vec![("grant_type", "password"), ("username", "owner")];
    form.extend([("password", PASSWORD), ("scope", "everything")]);
    refused(&server.post_form(TOKEN, &form).await, 400, "invalid_scope");
    server.get(TOKEN).await.problem(405, "wrong-method");
    server.stop().await;
}

/// C20: what a client says that it is.
#[tokio::test]
async fn c20_fields_that_nobody_knows_have_no_effect_on_a_token() {
    let server = Server::start().await;
    let mut form = vec![("grant_type", "password"), ("username", "owner"), ("password", PASSWORD)];
    form.extend([("scope", "devices:read"), ("role", "owner"), ("sub", "x"), ("epoch", "9")]);
    let granted = server.post_form(TOKEN, &form).await.json();
    assert_eq!(granted["scope"], "devices:read");
    let token = granted["access_token"].as_str().unwrap();
    assert_eq!(server.get_as(token, "/api/v1/users").await.status, 403);
    server.stop().await;
}

#[tokio::test]
async fn the_refresh_token_of_a_page_is_in_a_cookie_that_no_script_reads() {
    let server = Server::start().await;
    let mut form = vec![("grant_type", "password"), ("username", "owner"), ("password", PASSWORD)];
    form.push(("refresh_token_in", "cookie"));
    let answer = server.post_form(TOKEN, &form).await;
    assert_eq!(answer.json()["refresh_token"], Value::Null);
    let cookie = answer.header("set-cookie").to_owned();
    let (pair, attributes) = cookie.split_once("; ").unwrap();
    assert_eq!(attributes, "Path=/oauth; Max-Age=2592000; HttpOnly; SameSite=Strict");
    let with_cookie = async |path: &str, pair: &str| {
        let form = [("grant_type", "refresh_token"), ("refresh_token_in", "cookie")];
        let request = server.stranger.post(server.url(path)).header("cookie", pair).form(&form);
        server.send(request).await
    };
    let answer = with_cookie(TOKEN, pair).await;
    assert_eq!(status(&server, &answer.json()["access_token"]).await, 200);
    let next = answer.header("set-cookie").split(';').next().unwrap().to_owned();
    assert_ne!(next, pair, "it rotates");
    let answer = with_cookie(REVOKE, &next).await;
    assert!(answer.header("set-cookie").starts_with("latchlight_refresh=; "), "{answer:?}");
    refused(&with_cookie(TOKEN, &next).await, 400, "invalid_grant");
    // Without a cookie there is nobody to let in, and nothing to sign out.
    refused(&with_cookie(TOKEN, "a=b").await, 400, "invalid_grant");
    assert_eq!(with_cookie(REVOKE, "a=b").await.status, 200);
    server.stop().await;
}
