//! The board, in a real browser.

use serde_json::json;

use crate::harness::{Browser, Device, Manner, Server, png, until};

const DESKTOP: (u32, u32) = (1280, 900);
const PHONE: (u32, u32) = (390, 844);

async fn open(server: &Server, (width, height): (u32, u32), dark: bool) -> Browser {
    let browser = Browser::open(width, height, dark).await;
    browser.goto(&server.url("/")).await;
    browser.text_with("#connection", "Live").await;
    browser
}

#[tokio::test]
async fn a_click_on_lock_locks_the_door_and_the_board_shows_what_the_door_says() {
    let server = Server::start().await;
    let door = server.lock("front-door", Manner::Obeys).await;
    let browser = open(&server, DESKTOP, false).await;
    browser.find("[data-device=front-door][data-state=unlocked]").await;
    browser.click("[data-device=front-door] [data-verb=lock]").await;
    browser.text_with("[data-device=front-door] .outcome", "confirmed").await;
    browser.find("[data-device=front-door][data-state=locked]").await;
    assert_eq!(door.count("lock"), 1);
    browser.text_with("#summary", "1 lock: 1 locked").await;
    browser.close().await;
    server.stop().await;
}

#[tokio::test]
async fn c8_a_door_that_says_nothing_is_shown_as_it_was_and_that_it_may_be_open() {
    let server = Server::start_with(json!({ "commands": { "expires_in": 1 } })).await;
    let _door = server.lock("front-door", Manner::Silent).await;
    let browser = open(&server, DESKTOP, false).await;
    browser.click("[data-device=front-door] [data-verb=lock]").await;
    browser.text_with("[data-device=front-door] .outcome", "waiting for the device").await;
    browser.find("[data-device=front-door][data-state=unlocked]").await;
    browser.text_with("[data-device=front-door] .outcome", "the door may be open").await;
    browser.find("[data-device=front-door][data-state=unlocked]").await;
    browser.close().await;
    server.stop().await;
}

#[tokio::test]
async fn a_light_goes_on_with_the_keyboard_and_keeps_the_focus() {
    let server = Server::start().await;
    let hall = server.light("hall", Manner::Obeys).await;
    let browser = open(&server, DESKTOP, false).await;
    let button = browser.find("[data-device=hall] [data-verb=on]").await;
    button.send_keys("\u{E007}").await.unwrap();
    browser.find("[data-device=hall][data-state=on]").await;
    assert_eq!(hall.count("on"), 1);
    let focused = browser.run("return document.activeElement.dataset.verb").await;
    assert_eq!(focused, "on");
    browser.close().await;
    server.stop().await;
}

#[tokio::test]
async fn lock_all_tells_how_each_ended() {
    let server = Server::start().await;
    let _front = server.lock("front-door", Manner::Obeys).await;
    let _back = server.lock("back-door", Manner::Jams).await;
    let hall = server.light("hall", Manner::Obeys).await;
    let browser = open(&server, DESKTOP, false).await;
    browser.click("#lock-all").await;
    let said = browser.text_with("#all-outcome", "back-door: failed").await;
    assert!(said.contains("1 of 2 confirmed"), "{said}");
    browser.find("[data-device=back-door][data-state=jammed]").await;
    assert_eq!(hall.told(), [""; 0], "it locks locks only");
    browser.close().await;
    server.stop().await;
}

#[tokio::test]
async fn what_a_device_says_is_text_and_never_markup() {
    let server = Server::start().await;
    let door = server.lock("front-door", Manner::Silent).await;
    let browser = open(&server, DESKTOP, false).await;
    browser.click("[data-device=front-door] [data-verb=lock]").await;
    let told = until("the command", async || door.told().first().cloned()).await;
    let id = told.split(' ').nth(1).unwrap();
    let markup = "<img src=x onerror=document.title='taken'>";
    door.say(&format!("ack {id} failed {markup}")).await;
    browser.text_with("[data-device=front-door] .outcome", markup).await;
    assert_eq!(browser.count(".outcome img").await, 0);
    assert_eq!(browser.run("return document.title").await, "Latchlight");
    browser.close().await;
    server.stop().await;
}

#[tokio::test]
async fn devices_that_join_and_leave_come_and_go_and_an_absent_one_is_shown_so() {
    let server = Server::start().await;
    let browser = open(&server, DESKTOP, false).await;
    browser.text_with(".empty", "No device has joined yet").await;
    let door = server.lock("front-door", Manner::Obeys).await;
    browser.find("[data-device=front-door]").await;
    assert_eq!(browser.count(".empty").await, 0);
    door.leave(&server).await;
    browser.text_with("[data-device=front-door] .online", "Offline").await;
    browser.click("[data-device=front-door] [data-verb=unlock]").await;
    browser.text_with("[data-device=front-door] .outcome", "the device is offline").await;
    assert_eq!(server.delete("/api/v1/devices/front-door").await.status, 204);
    browser.find(".empty").await;
    assert_eq!(browser.count("[data-device=front-door]").await, 0);
    browser.close().await;
    server.stop().await;
}

#[tokio::test]
async fn c8_an_unknown_state_is_shown_as_unknown_with_what_was_known_before() {
    let server = Server::start().await;
    server.lock("front-door", Manner::Obeys).await.leave(&server).await;
    let _again = Device::join(&server, "front-door", "lock", "unknown", Manner::Obeys).await;
    let browser = open(&server, DESKTOP, false).await;
    browser.find("[data-device=front-door][data-state=unknown]").await;
    browser.text_with("[data-device=front-door] .word", "Unknown").await;
    browser.text_with("[data-device=front-door] .last-known", "last known: unlocked").await;
    browser.close().await;
    server.stop().await;
}

#[tokio::test]
async fn the_newest_stranger_is_shown_on_every_screen() {
    let server = Server::start().await;
    let front = server.lock("front-door", Manner::Obeys).await;
    let _back = server.lock("back-door", Manner::Jams).await;
    let _garage = Device::join(&server, "garage", "lock", "unknown", Manner::Obeys).await;
    let hall = server.light("hall", Manner::Obeys).await;
    let _porch = server.light("porch", Manner::Obeys).await;
    server.light("attic", Manner::Obeys).await.leave(&server).await;
    let camera = server.camera("camera-1").await;
    front.say("state locked {\"battery\": 82}").await;
    hall.say("state on").await;
    camera.upload(png(640, 400)).await;
    camera.say("find_stranger").await;
    for (name, size, dark) in
        [("desktop", DESKTOP, false), ("dark", DESKTOP, true), ("phone", PHONE, false)]
    {
        let browser = open(&server, size, dark).await;
        browser.text_with("#stranger-text", "camera-1").await;
        until("the picture", async || {
            let width = browser.run("return document.images[1].naturalWidth").await;
            (width == 640).then_some(())
        })
        .await;
        browser.click("[data-device=back-door] [data-verb=lock]").await;
        browser.text_with("[data-device=back-door] .outcome", "failed").await;
        let overflow = "return document.documentElement.scrollWidth <= window.innerWidth";
        assert_eq!(browser.run(overflow).await, true, "{name}: nothing sticks out");
        browser.screenshot(&format!("board-{name}")).await;
        browser.close().await;
    }
    server.stop().await;
}

#[tokio::test]
async fn a_server_that_is_gone_is_said_and_what_is_shown_is_called_old() {
    let server = Server::start().await;
    let _door = server.lock("front-door", Manner::Obeys).await;
    let browser = open(&server, DESKTOP, false).await;
    browser.find("[data-device=front-door]").await;
    server.stop().await;
    browser.text_with("#unreachable", "cannot be reached").await;
    browser.text_with("#connection", "Unreachable").await;
    browser.screenshot("board-unreachable").await;
    browser.close().await;
}
