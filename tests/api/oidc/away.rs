//! A provider that is away, slow, changes its keys, or is somebody else.

use std::sync::Arc;

use serde_json::json;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::way::Way;
use super::{add, server_of};
use crate::harness::{Authority, Server, until};
use crate::provider::{Provider, Twist};

#[tokio::test]
async fn the_server_starts_without_its_provider_and_finds_it_when_it_is_there() {
    let away = Provider::start().await;
    let (settings, port) = (away.settings(), away.port());
    drop(away);
    let server = Server::start_with(json!({ "oidc": settings })).await;
    assert_eq!(server.get("/oauth/oidc").await.json(), json!({ "button": "House" }));
    let mut way = Way::new();
    let page = until("nobody listens there any more", async || {
        Some(way.get(&server.url("/oauth/oidc/start")).await).filter(|page| page.status == 503)
    });
    let page = page.await;
    assert!(String::from_utf8_lossy(&page.body).contains("gives no answer"), "{page:?}");
    server.sign_in().await;

    let provider = Provider::start_on(port, "localhost", None).await;
    add(&server, "bob", "member", "mailto:bob@example.org").await;
    let there = until("the provider is asked again", async || {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        let answer = way.get(&server.url("/oauth/oidc/start")).await;
        (answer.status == 303).then(|| answer.header("location").to_owned())
    });
    let back = provider.agree(&there.await);
    assert_eq!(way.get(&back).await.status, 303);
    server.stop().await;
}

#[tokio::test]
async fn a_provider_that_goes_silent_or_says_too_much_holds_up_nobody_else() {
    let provider = Provider::start().await;
    for twist in [Twist::Away, Twist::Huge, Twist::OtherName, Twist::Silent] {
        let server = server_of(&provider).await;
        provider.twist(twist);
        let mut way = Way::new();
        let start = server.url("/oauth/oidc/start");
        let (page, _) = tokio::join!(way.get(&start), server.sign_in());
        assert_eq!(page.status, 503, "{twist:?}");
        provider.twist(Twist::None);
        server.stop().await;
    }
}

#[tokio::test]
async fn a_provider_may_change_its_keys_at_any_time() {
    let provider = Provider::start().await;
    let server = server_of(&provider).await;
    add(&server, "bob", "member", "mailto:bob@example.org").await;
    assert_eq!(Way::new().sign_in(&server, &provider).await.status, 303);
    let asked = provider.asked("/keys");
    assert_eq!(asked, 1);
    provider.change_key("second");
    assert_eq!(Way::new().sign_in(&server, &provider).await.status, 303);
    assert_eq!(provider.asked("/keys"), 2);
    // Whoever comes with a key that is nobody's has not it asked again and again.
    provider.twist(Twist::KeyInHeader);
    for _ in 0..5 {
        assert_eq!(Way::new().sign_in(&server, &provider).await.status, 502);
    }
    assert_eq!(provider.asked("/keys"), 2);
    server.stop().await;
}

#[tokio::test]
async fn a_provider_has_to_show_its_certificate() {
    let authority = Authority::new();
    let (certificate, key) = authority.sign("localhost");
    let certificate = CertificateDer::from_pem_file(certificate).unwrap();
    let key = PrivateKeyDer::from_pem_file(key).unwrap();
    let config = ServerConfig::builder().with_no_client_auth();
    let config = config.with_single_cert(vec![certificate], key).unwrap();
    let tls = TlsAcceptor::from(Arc::new(config));

    let provider = Provider::start_at("localhost", Some(tls.clone())).await;
    let mut settings = provider.settings();
    let server = Server::start_with(json!({ "oidc": settings })).await;
    let page = Way::new().get(&server.url("/oauth/oidc/start")).await;
    assert_eq!(page.status, 503, "an authority that nobody trusts");
    server.stop().await;

    settings["ca_file"] = json!(authority.ca());
    let server = Server::start_with(json!({ "oidc": settings })).await;
    add(&server, "bob", "member", "mailto:bob@example.org").await;
    assert_eq!(Way::new().sign_in(&server, &provider).await.status, 303);
    server.stop().await;

    let other = Provider::start_at("127.0.0.1", Some(tls)).await;
    let mut settings = other.settings();
    settings["ca_file"] = json!(authority.ca());
    let server = Server::start_with(json!({ "oidc": settings })).await;
    let page = Way::new().get(&server.url("/oauth/oidc/start")).await;
    assert_eq!(page.status, 503, "another's name");
    server.stop().await;
}
