//! What is not the provider's word, or not for this browser, lets nobody in.

use reqwest::Url;
use serde_json::json;

use super::way::Way;
use super::{add, on_record, server_of};
use crate::harness::{Server, until};
use crate::provider::{Provider, Twist};

#[tokio::test]
async fn c18_a_token_that_is_not_the_providers_word_lets_nobody_in() {
    let provider = Provider::start().await;
    for (twist, why) in [
        (Twist::WrongNonce, "the nonce is another one"),
        (Twist::NoNonce, "the nonce is another one"),
        (Twist::WrongAudience, "Invalid audiences"),
        (Twist::TwoAudiences, "Invalid audiences"),
        (Twist::OtherParty, "it was given to somebody else (azp)"),
        (Twist::OtherAccessToken, "the access token is another one (at_hash)"),
        (Twist::WrongIssuer, "Invalid issuer"),
        (Twist::Expired, "Expired"),
        (Twist::AlgNone, "No signature found"),
        (Twist::Hs256, "its signature: Disallowed"),
        (Twist::Hs256WithPublicKey, "its signature: Disallowed"),
        (Twist::ForeignKey, "its signature"),
        (Twist::KeyInHeader, "its signature"),
        (Twist::Changed, "its signature"),
        (Twist::NoIdToken, "it has no ID token"),
        (Twist::NoSubject, "its name for the person is none"),
        (Twist::NoJson, "its tokens cannot be read"),
        (Twist::RefusesCode, "the code: invalid_grant"),
        (Twist::Redirects, "its tokens cannot be read"),
    ] {
        refuses(&provider, twist, why).await;
    }
    assert_eq!(provider.asked("/elsewhere"), 0);
}

#[tokio::test]
async fn a_provider_need_not_say_beside_which_access_token_an_id_token_was_made() {
    let provider = Provider::start().await;
    let server = server_of(&provider).await;
    add(&server, "bob", "member", "mailto:bob@example.org").await;
    provider.twist(Twist::NoAccessTokenHash);
    assert_eq!(Way::new().sign_in(&server, &provider).await.status, 303);
    server.stop().await;
}

async fn refuses(provider: &Provider, twist: Twist, why: &str) {
    let server = server_of(provider).await;
    add(&server, "bob", "owner", "mailto:bob@example.org").await;
    let mut way = Way::new();
    let there = way.begin(&server).await;
    provider.twist(twist);
    let page = way.get(&provider.agree(&there)).await;
    provider.twist(Twist::None);
    assert_eq!(page.status, 502, "{twist:?}: {page:?}");
    assert_eq!(way.refresh_token(), None, "{twist:?}");
    let refusal = until("the refusal on record", async || on_record(&server).await.pop()).await;
    assert!(refusal["detail"].as_str().unwrap().contains(why), "{twist:?}: {refusal}");
    server.stop().await;
}

#[tokio::test]
async fn c6_what_comes_back_a_second_time_or_in_another_browser_is_refused() {
    let provider = Provider::start().await;
    let server = server_of(&provider).await;
    add(&server, "bob", "member", "mailto:bob@example.org").await;
    let mut way = Way::new();
    let back = provider.agree(&way.begin(&server).await);
    assert_eq!(Way::new().get(&back).await.status, 400, "another browser");
    assert_eq!(way.get(&back).await.status, 400, "and then it is spent");

    let there = way.begin(&server).await;
    let back = provider.agree(&there);
    assert_eq!(way.get(&back).await.status, 303);
    let exchanged = provider.asked("/token");
    assert_eq!(way.get(&back).await.status, 400, "the same again");
    assert_eq!(provider.asked("/token"), exchanged, "nothing is asked of the provider");

    // A code of one sign-in in another.
    let (mut mine, mut evil) = (Way::new(), Way::new());
    let evils: Url = provider.agree(&evil.begin(&server).await).parse().unwrap();
    let code = evils.query_pairs().find(|(key, _)| key == "code").unwrap().1.into_owned();
    let there: Url = mine.begin(&server).await.parse().unwrap();
    let state = there.query_pairs().find(|(key, _)| key == "state").unwrap().1.into_owned();
    let mut mixed: Url = server.url("/oauth/oidc/callback").parse().unwrap();
    let mut pairs = mixed.query_pairs_mut();
    pairs.append_pair("state", &state).append_pair("code", &code);
    pairs.append_pair("iss", &provider.issuer);
    drop(pairs);
    assert_eq!(mine.get(mixed.as_str()).await.status, 502, "PKCE binds it to the other");
    server.stop().await;
}

#[tokio::test]
async fn c6_what_was_not_begun_here_is_refused_and_nobody_is_sent_elsewhere() {
    let provider = Provider::start().await;
    let server = server_of(&provider).await;
    let mut way = Way::new();
    way.begin(&server).await;
    for query in ["", "?code=x", "?state=", "?state=x&code=y", "?state=x&error=access_denied"] {
        let page = way.get(&server.url(&format!("/oauth/oidc/callback{query}"))).await;
        assert_eq!(page.status, 400, "{query}");
        assert!(page.headers.get("location").is_none(), "{query}");
    }
    for query in ["?redirect_uri=https://evil.example/", "?next=//evil.example"] {
        let answer = way.get(&server.url(&format!("/oauth/oidc/start{query}"))).await;
        answer.problem(400, "malformed");
    }
    // Whatever Host says is a name of ours, or refused.
    let request = server.stranger.get(server.url("/oauth/oidc/start"));
    let answer = server.send(request.header("host", "evil.example")).await;
    answer.problem(403, "foreign");
    assert_eq!(provider.asked("/token"), 0);
    server.stop().await;
}

#[tokio::test]
async fn c23a_a_foreign_page_signs_nobody_in() {
    let provider = Provider::start().await;
    let server = server_of(&provider).await;
    for header in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("referer", "https://evil.example/page"),
    ] {
        let request = server.stranger.get(server.url("/oauth/oidc/start"));
        let answer = server.send(request.header(header.0, header.1)).await;
        answer.problem(403, "foreign");
    }
    server.stop().await;
}

#[tokio::test]
async fn another_providers_answer_is_not_taken_for_this_ones() {
    let provider = Provider::start().await;
    let server = server_of(&provider).await;
    add(&server, "bob", "member", "mailto:bob@example.org").await;
    let mut way = Way::new();
    let back = provider.agree(&way.begin(&server).await);
    let iss = back.split_once("&iss=").unwrap().0.to_owned();
    assert_eq!(way.get(&iss).await.status, 502, "the provider always says who it is");
    let back = provider.agree(&way.begin(&server).await);
    let foreign = format!("{}&iss=https%3A%2F%2Fevil.example", back.split_once("&iss=").unwrap().0);
    assert_eq!(way.get(&foreign).await.status, 502);
    assert_eq!(provider.asked("/token"), 0);
    server.stop().await;

    provider.names_itself(false);
    let server = server_of(&provider).await;
    add(&server, "bob", "member", "mailto:bob@example.org").await;
    assert_eq!(way.sign_in(&server, &provider).await.status, 303, "this one never does");
    server.stop().await;
}

#[tokio::test]
async fn whoever_says_no_at_the_provider_is_told_so() {
    let provider = Provider::start().await;
    let server = server_of(&provider).await;
    let mut way = Way::new();
    let there: Url = way.begin(&server).await.parse().unwrap();
    let state = there.query_pairs().find(|(key, _)| key == "state").unwrap().1.into_owned();
    let query = format!("state={state}&error=access_denied&iss={}", provider.issuer);
    let page = way.get(&server.url(&format!("/oauth/oidc/callback?{query}"))).await;
    assert_eq!(page.status, 403);
    assert!(String::from_utf8_lossy(&page.body).contains("did not let you in"));
    server.stop().await;
}

#[tokio::test]
async fn c17_one_address_sets_out_only_so_often() {
    let provider = Provider::start().await;
    let server = Server::start_with(json!({ "oidc": provider.settings() })).await;
    let mut way = Way::new();
    let mut last = way.get(&server.url("/oauth/oidc/start")).await;
    for _ in 0..40 {
        last = way.get(&server.url("/oauth/oidc/start")).await;
    }
    assert_eq!(last.status, 429);
    assert!(last.header("retry-after").parse::<u64>().unwrap() > 0);
    assert_eq!(provider.asked("/.well-known/openid-configuration"), 1, "once for all of them");
    server.sign_in().await;
    server.stop().await;
}
