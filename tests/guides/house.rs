//! docs/guides/house.md: a house from the beginning.

use serde_json::{Value, json};

use crate::harness::{Server, configured};
use crate::page::Page;
use crate::terminal::Terminal;

const PAGE: Page = Page(include_str!("../../docs/guides/house.md"));

#[tokio::test]
async fn a_house_is_set_up_as_the_guide_says() {
    // With what the guide has one write into config.json.
    let config: Value = serde_json::from_str(PAGE.block("json")).unwrap();
    let server = Server::start_in(configured(config["settings"].clone()));
    let terminal = Terminal::beside(&server)
        .replace("curl ", "curl --silent --show-error --fail --write-out '\\n' ")
        .replace(
            "latchlight user add ada ",
            "printf '%s' \"$APP_PASSWORD\" | latchlight user add ada --password-stdin ",
        );
    let _devices = terminal.begin(PAGE.block("sh devices"), "simulator.log");
    for device in ["lock-1", "light-1", "camera-1"] {
        server.device_when(device, |device| device["online"] == true).await;
    }
    server.device_when("lock-1", |lock| lock["state"] == "locked").await;
    image::RgbImage::new(64, 48).save(terminal.folder().join("door.jpg")).unwrap();
    let said = terminal.run(&PAGE.blocks("sh step").concat()).await;
    for part in [
        "lock-1                   lock    locked     online",
        r#""verb":"unlock","status":"confirmed""#,
        "ok lock lock-1 confirmed ",
        "ada      guest  open",
        "may       nothing yet: no grant",
        "state     disabled",
        r#""name":"door.jpg""#,
        "ok hand_shake",
        "ok find_stranger http",
        "app:ada from 127.0.0.1  command unlock lock-1  confirmed",
        "tls/server.pem: for home.example, ",
        " is whole: ",
    ] {
        assert!(said.contains(part), "`{part}` in {said}");
    }
    let answers = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let by_code = answers.filter(|said| said["devices"][0]["issuer"] == json!("app:ada"));
    assert_eq!(by_code.count(), 1, "{said}");
    assert!(terminal.folder().join("week.csv").exists());
}
