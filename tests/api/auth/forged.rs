//! Tokens that this server has not made, or not for this (C6, C18).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::harness::Server;

/// The server's own key: its id, and the file.
fn own_key(server: &Server) -> (String, Vec<u8>) {
    let keys = std::fs::read_dir(server.folder().join("data/keys")).unwrap();
    let names = keys.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let id = |name: &str| Some(name.strip_prefix("token-")?.strip_suffix(".pem")?.to_owned());
    let id = names.into_iter().find_map(|name| id(&name)).expect("a key");
    let pem = std::fs::read(server.folder().join(format!("data/keys/token-{id}.pem"))).unwrap();
    (id, pem)
}

fn another_key() -> Vec<u8> {
    let key = openssl::pkey::PKey::generate_ed25519().unwrap();
    key.private_key_to_pem_pkcs8().unwrap()
}

/// What a token says.
fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn sign(id: &str, pem: &[u8], typ: &str, claims: &Value) -> String {
    let mut header = Header::new(Algorithm::EdDSA);
    header.typ = Some(typ.to_owned());
    header.kid = Some(id.to_owned());
    jsonwebtoken::encode(&header, claims, &EncodingKey::from_ed_pem(pem).unwrap()).unwrap()
}

fn unsigned(header: &Value, claims: &Value) -> String {
    let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    format!("{}.{}.", encode(header), encode(claims))
}

#[track_caller]
fn with(claims: &Value, changes: Value) -> Value {
    let mut claims = claims.clone();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

async fn status(server: &Server, token: &str) -> u16 {
    let answer = server.get_as(token, "/api/v1/devices").await;
    if answer.status == 401 {
        answer.problem(401, "unknown-caller");
    }
    answer.status
}

#[tokio::test]
async fn c18_none_is_no_algorithm_and_no_other_key_is_ours() {
    let server = Server::start().await;
    let (id, pem) = own_key(&server);
    let good = claims(&server.token);
    assert_eq!(status(&server, &sign(&id, &pem, "at+jwt", &good)).await, 200, "as it should be");
    assert_eq!(status(&server, &sign(&id, &another_key(), "at+jwt", &good)).await, 401);
    let other = uuid::Uuid::now_v7().simple().to_string();
    assert_eq!(status(&server, &sign(&other, &pem, "at+jwt", &good)).await, 401, "no such key");
    assert_eq!(status(&server, &sign(&id, &pem, "JWT", &good)).await, 401, "another kind");
    for alg in ["none", "None", "NONE", "", "EdDSA"] {
        let header = json!({ "alg": alg, "typ": "at+jwt", "kid": id });
        assert_eq!(status(&server, &unsigned(&header, &good)).await, 401, "{alg}");
    }
    // The public key as the secret of another algorithm.
    let key = openssl::pkey::PKey::private_key_from_pem(&pem).unwrap();
    for secret in [key.raw_public_key().unwrap(), key.public_key_to_pem().unwrap(), pem] {
        let mut header = Header::new(Algorithm::HS256);
        (header.typ, header.kid) = (Some("at+jwt".to_owned()), Some(id.clone()));
        let token =
            jsonwebtoken::encode(&header, &good, &EncodingKey::from_secret(&secret)).unwrap();
        assert_eq!(status(&server, &token).await, 401);
    }
    // Each part of a genuine one, changed.
    let parts: Vec<_> = server.token.split('.').collect();
    let wider =
        URL_SAFE_NO_PAD.encode(with(&good, json!({ "exp": 4_000_000_000_i64 })).to_string());
    let changed = [
        format!("{}.{wider}.{}", parts[0], parts[2]),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{}.{}", parts[0], parts[1]),
        format!("{}.{}.{}", parts[0], parts[1], "A".repeat(86)),
        format!("{}x", server.token),
        "x".repeat(7000),
    ];
    for token in changed {
        assert_eq!(status(&server, &token).await, 401, "{token}");
    }
    server.stop().await;
}

#[tokio::test]
async fn c6_a_token_of_another_time_another_server_or_nobody_is_void() {
    let server = Server::start().await;
    let (id, pem) = own_key(&server);
    let good = claims(&server.token);
    let now = jiff::Timestamp::now().as_second();
    for changes in [
        json!({ "exp": now }),
        json!({ "exp": now - 1, "iat": now - 601 }),
        json!({ "exp": null }),
        json!({ "iss": "http://evil.example" }),
        json!({ "iss": null }),
        json!({ "aud": "another" }),
        json!({ "aud": null }),
        json!({ "sub": uuid::Uuid::now_v7() }),
        json!({ "sub": null }),
        json!({ "epoch": 1 }),
        json!({ "epoch": null }),
        json!({ "scope": "everything" }),
        json!({ "scope": null }),
    ] {
        let token = sign(&id, &pem, "at+jwt", &with(&good, changes.clone()));
        assert_eq!(status(&server, &token).await, 401, "{changes}");
    }
    server.stop().await;
}

#[tokio::test]
async fn what_is_shown_is_one_bearer_and_nothing_else() {
    let server = Server::start().await;
    let get = || server.stranger.get(server.url("/api/v1/devices"));
    let nothing = server.send(get()).await;
    nothing.problem(401, "unknown-caller");
    assert_eq!(nothing.header("www-authenticate"), r#"Bearer realm="latchlight""#);
    let bearer = format!("Bearer {}", server.token);
    let both = get().header("authorization", &bearer).header("authorization", &bearer);
    assert_eq!(server.send(both).await.status, 401, "which of them?");
    for odd in ["Bearer", "Bearer ", "Token x", "Basic", "Basic b3duZXI6", "", &server.token] {
        let answer = server.send(get().header("authorization", odd)).await;
        assert_eq!(answer.status, 401, "{odd}");
    }
    let in_query = server.url(&format!("/api/v1/devices?access_token={}", server.token));
    assert_eq!(server.send(server.stranger.get(in_query)).await.status, 401);
    server.stop().await;
}
