//! A headless Chromium, driven by chromedriver.

use std::process::Stdio;

use fantoccini::elements::Element;
use fantoccini::{ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use super::until;

pub(crate) struct Browser {
    client: fantoccini::Client,
    driver: Child,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// A window of this size, in CSS pixels.
    pub(crate) async fn open(width: u32, height: u32, dark: bool) -> Self {
        let profile = tempfile::tempdir().unwrap();
        let (driver, port) = start_driver().await;
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities(profile.path(), width, height, dark))
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .expect("chromedriver starts chromium");
        Self { client, driver, _profile: profile }
    }

    pub(crate) async fn goto(&self, url: &str) {
        self.client.goto(url).await.unwrap();
    }

    /// Opens another tab, and goes on in it.
    pub(crate) async fn open_tab(&self) {
        let tab = self.client.new_window(true).await.unwrap();
        self.client.switch_to_window(tab.handle).await.unwrap();
    }

    /// Goes on in the tab that was opened as this one, from 0.
    pub(crate) async fn switch_to(&self, number: usize) {
        let tabs = self.client.windows().await.unwrap();
        self.client.switch_to_window(tabs[number].clone()).await.unwrap();
    }

    pub(crate) async fn find(&self, css: &str) -> Element {
        until(css, async || self.client.find(Locator::Css(css)).await.ok()).await
    }

    pub(crate) async fn count(&self, css: &str) -> usize {
        self.client.find_all(Locator::Css(css)).await.unwrap().len()
    }

    pub(crate) async fn click(&self, css: &str) {
        self.find(css).await.click().await.unwrap();
    }

    /// Waits until the text of an element has this in it, and gives it whole.
    pub(crate) async fn text_with(&self, css: &str, part: &str) -> String {
        until(&format!("`{part}` in {css}"), async || {
            let element = self.client.find(Locator::Css(css)).await.ok()?;
            element.text().await.ok().filter(|text| text.contains(part))
        })
        .await
    }

    /// Waits until no such element is shown.
    pub(crate) async fn gone(&self, css: &str) {
        until(&format!("{css} to be gone"), async || {
            for element in self.client.find_all(Locator::Css(css)).await.ok()? {
                if element.is_displayed().await.ok()? {
                    return None;
                }
            }
            Some(())
        })
        .await;
    }

    pub(crate) async fn run(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.unwrap()
    }

    /// Keeps what the window shows in the target folder, for people to see.
    pub(crate) async fn screenshot(&self, name: &str) {
        let png = self.client.screenshot().await.unwrap();
        let path = format!("{}/{name}.png", env!("CARGO_TARGET_TMPDIR"));
        std::fs::write(path, png).unwrap();
    }

    pub(crate) async fn close(mut self) {
        self.client.close().await.unwrap();
        self.driver.kill().await.unwrap();
    }
}

async fn start_driver() -> (Child, u16) {
    for _ in 0..5 {
        if let Some(driver) = try_to_start_driver().await {
            return driver;
        }
        // The port that it has chosen is somebody else's by the other protocol.
    }
    panic!("chromedriver does not start")
}

/// Nothing: it has ended without saying its port.
async fn try_to_start_driver() -> Option<(Child, u16)> {
    let mut driver = Command::new("chromedriver")
        .arg("--port=0")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("chromedriver is there: script/bootstrap installs it");
    let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
    let port = loop {
        let line = lines.next_line().await.unwrap()?;
        let port = line.split_once("started successfully on port ").map(|(_, port)| port);
        if let Some(port) = port {
            break port.trim_end_matches('.').parse().unwrap();
        }
    };
    // Its output must not stop up.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    Some((driver, port))
}

fn capabilities(
    profile: &std::path::Path,
    width: u32,
    height: u32,
    dark: bool,
) -> serde_json::Map<String, Value> {
    let profile = format!("--user-data-dir={}", profile.display());
    let mut arguments = vec![
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--hide-scrollbars",
        // A name that is not this machine's own to the browser.
        "--host-resolver-rules=MAP house.test 127.0.0.1",
        &profile,
    ];
    if dark {
        arguments.push("--blink-settings=preferredColorScheme=0");
    }
    let phone = width < height;
    let metrics = json!({
        "width": width, "height": height, "pixelRatio": 1.0, "mobile": phone, "touch": phone,
    });
    let options = json!({
        "args": arguments,
        "mobileEmulation": { "deviceMetrics": metrics },
    });
    let capabilities = json!({ "goog:chromeOptions": options });
    capabilities.as_object().unwrap().clone()
}
