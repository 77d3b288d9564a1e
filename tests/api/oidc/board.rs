//! The same in a real browser.

use serde_json::json;

use super::{add, server_of};
use crate::harness::{Browser, Manner};
use crate::provider::Provider;

#[tokio::test]
async fn a_click_on_the_board_leads_to_the_provider_and_back_to_the_doors() {
    let provider = Provider::start().await;
    let server = server_of(&provider).await;
    let door = server.lock("front-door", Manner::Obeys).await;
    add(&server, "bob", "member", "mailto:bob@example.org").await;
    let browser = Browser::open(1280, 900, false).await;
    browser.goto(&server.url("/")).await;
    browser.text_with("#sign-in-provider", "Sign in with House").await;
    browser.screenshot("board-sign-in-provider").await;
    browser.click("#sign-in-provider").await;
    // Another site than the board's.
    browser.click("#agree").await;
    browser.text_with("#connection", "Live").await;
    assert_eq!(browser.run("return location.href").await, server.url("/"));
    browser.click("[data-device=front-door] [data-verb=lock]").await;
    browser.find("[data-device=front-door][data-state=locked]").await;
    assert_eq!(door.count("lock"), 1);

    // It is a sign-in as any other: there after a reload, and over when ended.
    browser.goto(&server.url("/hello")).await;
    browser.goto(&server.url("/")).await;
    browser.text_with("#connection", "Live").await;
    assert_eq!(browser.run("return document.cookie").await, "");
    browser.click("#sign-out").await;
    browser.text_with("#connection", "Signed out").await;

    provider.person(json!({ "sub": "5678" }));
    browser.click("#sign-in-provider").await;
    browser.click("#agree").await;
    browser.text_with(".notice", "no account here is yours").await;
    browser.screenshot("board-provider-refused").await;
    browser.click("a[href='/']").await;
    browser.text_with("#connection", "Signed out").await;
    browser.close().await;
    server.stop().await;
}
