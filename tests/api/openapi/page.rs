//! `/docs`, in a real browser: the document to read and to try out.

use serde_json::json;

use crate::harness::{Browser, Manner, PASSWORD, Server, until};

/// Types into a field as React wants it.
const TYPE: &str = "
    const set = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set;
    const type = (id, text) => {
        const field = document.getElementById(id);
        set.call(field, text);
        field.dispatchEvent(new Event('input', { bubbles: true }));
        field.dispatchEvent(new Event('change', { bubbles: true }));
    };";

/// What the browser refuses from now on.
const LISTEN: &str = "
    window.refused = [];
    document.addEventListener('securitypolicyviolation', (event) =>
        window.refused.push(event.violatedDirective + ' ' + event.blockedURI));";

#[tokio::test]
async fn the_docs_page_signs_in_and_tries_a_route_out_and_wants_nothing_from_elsewhere() {
    let server = Server::start().await;
    let _door = server.lock("front-door", Manner::Obeys).await;
    let browser = Browser::open(1280, 900, false).await;
    browser.goto(&server.url("/docs")).await;
    browser.find("#operations-tag-devices").await;
    browser.run(LISTEN).await;
    browser.click(".auth-wrapper .authorize").await;
    browser.find("#oauth_username").await;
    let password = json!(PASSWORD);
    let fields = format!("type('oauth_username', 'owner'); type('oauth_password', {password});");
    browser.run(&format!("{TYPE} {fields}")).await;
    let press = "document.getElementById('oauth_username').closest('.auth-container')
        .querySelector('button.authorize').click();";
    browser.run(press).await;
    until("somebody to be signed in", async || {
        let said = browser.run("return document.querySelector('.modal-ux').innerText").await;
        said.as_str()?.contains("Logout").then_some(())
    })
    .await;
    browser.screenshot("docs-signed-in").await;
    browser.click(".modal-ux .btn-done").await;
    browser.click("#operations-tag-devices").await;
    browser.click("#operations-devices-listDevices .opblock-summary-control").await;
    browser.click("#operations-devices-listDevices .try-out__btn").await;
    browser.click("#operations-devices-listDevices .execute").await;
    let answer = "#operations-devices-listDevices .live-responses-table";
    browser.text_with(&format!("{answer} tbody .response-col_status"), "200").await;
    browser.text_with(answer, "front-door").await;
    browser.screenshot("docs-tried-out").await;
    assert_eq!(browser.run("return window.refused").await, json!([]));
    let origins = "return [...new Set(performance.getEntriesByType('resource')
        .map((entry) => new URL(entry.name).origin))].filter((origin) => origin !== 'null')";
    assert_eq!(browser.run(origins).await, json!([server.url("")]), "nothing from elsewhere");
    browser.close().await;
    server.stop().await;
}
