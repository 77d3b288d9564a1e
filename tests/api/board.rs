//! The board, in a real browser.

use serde_json::json;

use crate::harness::{Browser, Device, Manner, PASSWORD, Server, png, until};

const DESKTOP: (u32, u32) = (1280, 900);
const PHONE: (u32, u32) = (390, 844);

async fn open(server: &Server, (width, height): (u32, u32), dark: bool) -> Browser {
    let browser = Browser::open(width, height, dark).await;
    browser.goto(&server.url("/")).await;
    sign_in(&browser, PASSWORD).await;
    browser.text_with("#connection", "Live").await;
    browser
}

async fn sign_in(browser: &Browser, password: &str) {
    for (field, text) in [("#username", "owner"), ("#password", password)] {
        let field = browser.find(field).await;
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }
    browser.click("#sign-in button").await;
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
async fn the_board_follows_what_happens_without_asking_again_and_again() {
    let server = Server::start().await;
    let door = server.lock("front-door", Manner::Obeys).await;
    let browser = open(&server, DESKTOP, false).await;
    browser.find("body[data-follows=stream]").await;
    // From now on it asks for nothing by itself.
    let no_long_timers = "const set = window.setTimeout;
        window.setTimeout = (work, ms) => (ms < 500 ? set(work, ms) : 0); return null";
    browser.run(no_long_timers).await;
    for state in ["locked", "jammed", "unlocked"] {
        door.say(&format!("state {state}")).await;
        browser.find(&format!("[data-device=front-door][data-state={state}]")).await;
    }
    browser.close().await;
    server.stop().await;
}

#[tokio::test]
async fn a_board_without_a_stream_asks_by_itself_and_follows_when_it_can() {
    let server = Server::start_with(json!({ "http": { "streams": 1 } })).await;
    let door = server.lock("front-door", Manner::Obeys).await;
    let other = server.stream("").await;
    let browser = open(&server, DESKTOP, false).await;
    door.say("state locked").await;
    browser.find("[data-device=front-door][data-state=locked]").await;
    assert_eq!(browser.count("body[data-follows=poll]").await, 1);
    drop(other);
    browser.find("body[data-follows=stream]").await;
    door.say("state unlocked").await;
    browser.find("[data-device=front-door][data-state=unlocked]").await;
    browser.close().await;
    server.stop().await;
}

#[tokio::test]
async fn c8_a_door_that_says_nothing_is_shown_as_it_was_and_that_it_may_be_open() {
    let server = Server::start_with(json!({ "commands": { "expires_in": 5 } })).await;
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
    let said = browser.text_with("#all-outcome", "back-door: failed, jammed").await;
    assert!(said.contains("1 of 2 confirmed") && said.contains("just now"), "{said}");
    browser.find("[data-device=back-door][data-state=jammed]").await;
    browser.text_with("[data-device=front-door] .outcome", "Lock: confirmed").await;
    browser.text_with("[data-device=back-door] .outcome", "Lock failed: jammed").await;
    browser.screenshot("board-lock-all").await;
    assert_eq!(hall.told(), [""; 0], "it locks locks only");
    browser.close().await;
    server.stop().await;
}

#[tokio::test]
async fn a_newer_command_takes_the_place_of_what_was_said_of_an_older_one() {
    let server = Server::start().await;
    let _front = server.lock("front-door", Manner::Obeys).await;
    let back = server.lock("back-door", Manner::Jams).await;
    let browser = open(&server, DESKTOP, false).await;
    for door in ["front-door", "back-door"] {
        browser.click(&format!("[data-device={door}] [data-verb=unlock]")).await;
    }
    browser.text_with("[data-device=front-door] .outcome", "Unlock: confirmed").await;
    browser.text_with("[data-device=back-door] .outcome", "Unlock failed: jammed").await;
    browser.click("#lock-all").await;
    browser.text_with("[data-device=front-door] .outcome", "Lock: confirmed").await;
    // The state is not behind what is said of the command.
    assert_eq!(browser.count("[data-device=front-door][data-state=locked]").await, 1);
    browser.text_with("[data-device=back-door] .outcome", "Lock failed: jammed").await;
    // What failed goes when the door says that it is locked after all.
    back.say("state locked").await;
    browser.gone("[data-device=back-door] .outcome").await;
    browser.gone("#all-outcome").await;
    browser.close().await;
    server.stop().await;
}

#[tokio::test]
async fn what_failed_stays_with_its_time_while_the_device_says_the_same_again() {
    let server = Server::start().await;
    let back = server.lock("back-door", Manner::Jams).await;
    let browser = open(&server, DESKTOP, false).await;
    browser.click("[data-device=back-door] [data-verb=lock]").await;
    let said = browser.text_with("[data-device=back-door] .outcome", "failed").await;
    assert!(said.contains("just now"), "{said}");
    let age = "const note = document.querySelector('[data-device=back-door] .outcome').note;
               return Date.now() - new Date(note.at)";
    until("what belongs to the end to be over", async || {
        (browser.run(age).await.as_i64().unwrap() > 3500).then_some(())
    })
    .await;
    back.say("state jammed {\"battery\": 50}").await;
    browser.text_with("[data-device=back-door] .battery", "50 %").await;
    browser.text_with("[data-device=back-door] .outcome", "Lock failed: jammed").await;
    back.say("state unknown").await;
    browser.gone("[data-device=back-door] .outcome").await;
    browser.close().await;
    server.stop().await;
}

#[tokio::test]
async fn what_an_absent_device_was_is_its_last_known_state_and_counts_as_offline() {
    let server = Server::start().await;
    let _front = server.lock("front-door", Manner::Obeys).await;
    let shed = Device::join(&server, "shed", "lock", "locked", Manner::Obeys).await;
    server.light("hall", Manner::Obeys).await.leave(&server).await;
    let browser = open(&server, DESKTOP, false).await;
    browser.text_with("[data-device=shed] .word", "Locked").await;
    shed.leave(&server).await;
    browser.text_with("[data-device=shed] .word", "Last known: locked").await;
    let icon = "return document.querySelector('[data-device=shed] use').getAttribute('href')";
    assert_eq!(browser.run(icon).await, "#icon-unknown");
    assert_eq!(browser.count("[data-device=shed][data-tone=quiet]").await, 1);
    let summary = "2 locks: 1 unlocked, 1 offline · 1 light: 1 offline";
    browser.text_with("#summary", summary).await;
    browser.click("[data-device=shed] [data-verb=unlock]").await;
    browser.text_with("[data-device=shed] .outcome", "the device is offline").await;
    browser.screenshot("board-absent").await;
    let _back = Device::join(&server, "shed", "lock", "locked", Manner::Obeys).await;
    browser.gone("[data-device=shed] .outcome").await;
    browser.text_with("[data-device=shed] .word", "Locked").await;
    browser.close().await;
    server.stop().await;
}

#[tokio::test]
async fn a_camera_that_says_no_state_lacks_nothing() {
    let server = Server::start().await;
    let _porch = Device::join(&server, "porch", "camera", "unknown", Manner::Obeys).await;
    let browser = open(&server, DESKTOP, false).await;
    browser.text_with("[data-device=porch] .online", "Online").await;
    browser.gone("[data-device=porch] .state").await;
    browser.close().await;
    server.stop().await;
}

#[tokio::test]
async fn an_empty_board_asks_for_nothing_that_is_not_there_and_says_how_to_begin() {
    let server = Server::start().await;
    let browser = open(&server, DESKTOP, false).await;
    let shown = browser.text_with(".empty", "latchlight simulate").await;
    assert!(shown.contains("latchlight pair"), "{shown}");
    browser.screenshot("board-empty").await;
    browser.text_with("#stranger-text", "Nobody has been seen yet").await;
    // A browser writes each 404 into its console.
    let answers = "return performance.getEntriesByType('resource').map(r => r.responseStatus)";
    let answers = until("the board to ask again", async || {
        let answers = browser.run(answers).await.as_array().unwrap().clone();
        (answers.len() > 10).then_some(answers)
    })
    .await;
    let fine = |status: &serde_json::Value| [200, 304].contains(&status.as_u64().unwrap());
    assert!(answers.iter().all(fine), "{answers:?}");
    browser.close().await;
    server.stop().await;
}

#[tokio::test]
async fn the_words_tell_when_a_picture_was_taken_and_how_many_more_did_not_lock() {
    let server = Server::start().await;
    let browser = open(&server, DESKTOP, false).await;
    let words = async |call: &str| {
        let script = format!(
            "const at = (ago) => new Date(Date.now() - ago * 60000).toISOString();
             return import('/words.js').then((words) => words.{call})"
        );
        browser.run(&script).await
    };
    let old = "strangerText({device: 'porch', received_at: at(19.5), stranger_at: at(0)})";
    let said = "porch saw somebody just now; the picture was taken 19 min. ago";
    assert_eq!(words(old).await, said);
    let new = "strangerText({device: 'porch', received_at: at(2.1), stranger_at: at(2)})";
    assert_eq!(words(new).await, "porch, 2 min. ago");
    let all = "allOutcome([...'abcdefg'].map((device, n) => ({device, detail: 'jammed',
        outcome: n ? (n < 6 ? 'offline' : 'failed') : 'confirmed'})))";
    let all = words(all).await;
    assert_eq!(all["outcome"], "failed", "the worst");
    let text = "Lock all: 1 of 7 confirmed · g: failed, jammed · b: offline · c: offline · \
                d: offline · e: offline · and 1 more";
    assert_eq!(all["text"], text);
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
    server.lock("shed", Manner::Obeys).await.leave(&server).await;
    let _yard = Device::join(&server, "yard", "camera", "unknown", Manner::Obeys).await;
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
    browser.text_with("#unreachable", "has not been reachable since").await;
    browser.text_with("#connection", "Unreachable").await;
    browser.screenshot("board-unreachable").await;
    browser.close().await;
}

#[tokio::test]
async fn nobody_sees_the_house_who_has_not_signed_in_or_has_signed_out() {
    let server = Server::start().await;
    let _door = server.lock("front-door", Manner::Obeys).await;
    let browser = Browser::open(DESKTOP.0, DESKTOP.1, false).await;
    browser.goto(&server.url("/")).await;
    browser.text_with("#connection", "Signed out").await;
    browser.gone("#board").await;
    browser.screenshot("board-sign-in").await;
    sign_in(&browser, "not this one").await;
    browser.text_with("#sign-in-problem", "The name or the password is wrong.").await;
    assert_eq!(browser.count("[data-device]").await, 0);
    sign_in(&browser, PASSWORD).await;
    browser.find("[data-device=front-door]").await;
    browser.gone("#sign-in").await;
    // The page comes back as whoever is signed in, and no script finds a token.
    browser.goto(&server.url("/")).await;
    browser.find("[data-device=front-door]").await;
    let found =
        "return document.cookie + JSON.stringify(localStorage) + JSON.stringify(sessionStorage)";
    let found = browser.run(found).await.as_str().unwrap().to_owned();
    assert!(!found.contains("llr_") && !found.contains("ey"), "{found}");
    browser.click("#sign-out").await;
    browser.text_with("#connection", "Signed out").await;
    assert_eq!(browser.count("[data-device]").await, 0);
    browser.goto(&server.url("/")).await;
    browser.text_with("#connection", "Signed out").await;
    browser.close().await;
    server.stop().await;
}

#[tokio::test]
async fn a_page_whose_token_is_void_renews_it_or_says_that_it_is_signed_out() {
    let server = Server::start().await;
    let _door = server.lock("front-door", Manner::Obeys).await;
    let browser = open(&server, DESKTOP, false).await;
    browser.find("[data-device=front-door]").await;
    // Somebody ends every sign-in of this account.
    let password = json!({ "password": "a new word of the owner" });
    let set = server.post_json("/api/v1/users/owner/password", &password).await;
    assert!(set.status < 300, "{set:?}");
    browser.text_with("#connection", "Signed out").await;
    assert_eq!(browser.count("[data-device]").await, 0);
    sign_in(&browser, "a new word of the owner").await;
    browser.find("[data-device=front-door]").await;
    browser.close().await;
    server.stop().await;
}

/// Has a page renew its token for each of twenty requests, beside all that it
/// does by itself; what became of it stands in `window.renewed`.
const RENEW_AGAIN_AND_AGAIN: &str = "
    let now = 0;
    performance.now = () => (now += 1e6);
    window.renewed = 'not yet';
    import('/session.js').then(async (session) => {
        for (let times = 0; times < 20; times++) await session.request('/api/v1/me');
        window.renewed = 'always';
    }).catch((error) => { window.renewed = `${error}`; });
    return null";

#[tokio::test]
async fn c18_two_pages_of_a_browser_without_locks_stay_signed_in_though_tokens_are_good_once() {
    let hosts = json!({ "http": { "hosts": ["127.0.0.1", "localhost", "house.test"] } });
    let server = Server::start_with(hosts).await;
    let _door = server.lock("front-door", Manner::Obeys).await;
    let browser = Browser::open(DESKTOP.0, DESKTOP.1, false).await;
    let url = format!("http://house.test:{}/", server.http.port());
    browser.goto(&url).await;
    assert_eq!(browser.run("return !navigator.locks && !window.isSecureContext").await, true);
    sign_in(&browser, PASSWORD).await;
    browser.find("[data-device=front-door]").await;
    browser.open_tab().await;
    browser.goto(&url).await;
    browser.find("[data-device=front-door]").await;
    for tab in [0, 1] {
        browser.switch_to(tab).await;
        browser.run(RENEW_AGAIN_AND_AGAIN).await;
    }
    for tab in [0, 1] {
        browser.switch_to(tab).await;
        let renewed = until("the page to have renewed its token", async || {
            let renewed = browser.run("return window.renewed").await;
            (renewed != "not yet").then_some(renewed)
        })
        .await;
        assert_eq!(renewed, "always");
        browser.find("[data-device=front-door]").await;
    }
    let lease = "return localStorage.getItem('latchlight-renews')";
    assert!(!browser.run(lease).await.to_string().contains("llr_"));
    browser.close().await;
    server.stop().await;
}
