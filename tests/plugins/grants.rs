//! What a plugin asks of the server is checked against what config.json
//! grants it [C29], and what is asked through it by a device, against what
//! config.json grants the device [C23b].

use latchlight::commands::Verb;
use latchlight::identity::Who;
use latchlight_plugin_api::ErrorKind;
use serde_json::{Value, json};

use crate::house::{Furnishing, House};
use crate::libraries::in_rust;

async fn granted(grants: Value) -> House {
    let more = json!({ "grants": grants });
    Furnishing::new().allow(&in_rust("rude"), more).move_in().await
}

fn unlock(devices: Value) -> Value {
    json!({ "commands": [{ "actions": ["unlock"], "devices": devices }] })
}

#[tokio::test]
async fn without_a_grant_no_door_is_unlocked() {
    let house = granted(json!({ "commands": [{ "actions": ["lock"], "devices": ["*"] }] })).await;
    let error = house.say("rude_unlock front-door").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotAllowed);
    assert!(error.message.contains("does not grant the plugin rude `unlock` front-door"));
    assert!(house.asked().is_empty());
    assert_eq!(house.report("librude.so").refused, 1);
}

#[tokio::test]
async fn among_several_devices_those_not_granted_are_refused_by_name() {
    // To unlock a light is to switch it on, which is not granted here.
    let house = granted(unlock(json!(["front-door", "hall"]))).await;
    let answer = house.say("rude_unlock").await.unwrap();
    assert_eq!(answer.text.as_deref(), Some("front-door sent, hall refused"));
    assert_eq!(house.asked(), ["rude: unlock front-door"]);
}

#[tokio::test]
async fn a_wait_for_a_slow_device_is_cut_short_and_is_no_reason_for_quarantine() {
    let more = json!({ "grants": unlock(json!(["*"])) });
    let house = Furnishing::new().time_limit_ms(4000).allow(&in_rust("rude"), more);
    let house = house.move_in().await;
    let answer = house.say("rude_unlock front-door").await.unwrap();
    assert_eq!(answer.text.as_deref(), Some("front-door sent"));
    assert_eq!(house.report("librude.so").quarantined_since, None);
}

#[tokio::test]
async fn a_device_that_may_not_unlock_a_door_may_not_through_a_plugin() {
    let house = granted(unlock(json!(["*"]))).await;
    let light = Who::Device("hall".parse().unwrap());
    let error = house.say_as(light, "rude_unlock front-door", false).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotAllowed);
    assert!(error.message.contains("does not grant hall to `unlock` front-door"), "{error}");
    assert!(house.asked().is_empty());
}

#[tokio::test]
async fn a_device_that_is_granted_it_may_through_a_plugin_that_is_granted_it() {
    let keypad = json!({ "keypad": { "grants": [
        { "actions": ["unlock"], "devices": ["front-door"] }] } });
    let more = json!({ "grants": unlock(json!(["*"])) });
    let house = Furnishing::new().devices(keypad).allow(&in_rust("rude"), more).move_in().await;
    let keypad = Who::Device("keypad".parse().unwrap());
    house.say_as(keypad, "rude_unlock front-door", false).await.unwrap();
    assert_eq!(house.asked(), ["rude: unlock front-door"]);
}

#[tokio::test]
async fn a_repeated_delivery_operates_nothing() {
    let house = granted(unlock(json!(["*"]))).await;
    let app = Who::Operator;
    let error = house.say_as(app, "rude_unlock front-door", true).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::BadInput);
    assert!(house.asked().is_empty());
}

#[tokio::test]
async fn alerts_and_topics_are_open_only_where_they_are_granted() {
    let house = granted(json!({ "alerts": ["bell"], "topics": ["house/#"] })).await;
    for (what, said) in [
        ("bell", "alert true, publish false"),
        ("house/night", "alert false, publish true"),
        ("stranger", "alert false, publish false"),
        ("latchlight/devices/front-door/down", "alert false, publish false"),
    ] {
        let answer = house.say(&format!("rude_publish {what}")).await.unwrap();
        assert_eq!(answer.text.as_deref(), Some(said), "{what}");
    }
    assert_eq!(house.asked(), ["alert bell", "publish house/night rude"]);
}

#[tokio::test]
async fn a_reply_is_no_way_around_the_grants() {
    let house = granted(json!({ "topics": ["house/#"] })).await;
    let answer = house.say("rude_reply elsewhere").await.unwrap();
    assert!(answer.replies.is_empty());
    assert_eq!(house.report("librude.so").refused, 1);
    let answer = house.say("rude_reply house/night").await.unwrap();
    assert_eq!(answer.replies.len(), 1);
}

#[tokio::test]
async fn a_device_that_is_not_there_is_not_found_and_a_camera_is_not_unlocked() {
    let house = granted(unlock(json!(["*"]))).await;
    let kind = |result: Result<_, latchlight_plugin_api::ActionError>| match result {
        Ok(latchlight::actions::Answer { .. }) => panic!("it was done"),
        Err(error) => error.kind,
    };
    assert_eq!(kind(house.say("rude_unlock shed").await), ErrorKind::NotFound);
    assert_eq!(kind(house.say("rude_unlock porch").await), ErrorKind::BadInput);
}

#[tokio::test]
async fn c29_a_guest_operates_and_sees_through_a_plugin_what_the_guest_may_and_no_more() {
    let house = granted(unlock(json!(["*"]))).await;
    let guest = house.guest(Verb::Unlock, "front-door").await;
    let say = |text: &'static str| house.say_as(guest.clone(), text, false);
    let answer = say("rude_echo").await.unwrap();
    assert_eq!(answer.text.as_deref(), Some("app:guest says  to 1"));
    // To unlock everything is to switch the lights on, too, for who may.
    let answer = say("rude_unlock").await.unwrap();
    assert_eq!(answer.text.as_deref(), Some("front-door sent"));
    let error = say("rude_unlock hall").await.unwrap_err();
    assert_eq!((error.kind, &*error.message), (ErrorKind::NotFound, "there is no device hall"));
    // What the guest was let in with is void at once.
    let id = house.directory.named("guest").unwrap().id;
    house.directory.change(id, |guest| guest.disabled = true).await.unwrap();
    let error = say("rude_unlock front-door").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);
    assert_eq!(house.asked(), ["rude: unlock front-door"]);
}

#[tokio::test]
async fn c29_a_plugin_sees_the_devices_that_it_is_granted_and_is_told_of_no_other() {
    let house = granted(json!({ "sees": ["porch"] })).await;
    let answer = house.say("rude_echo").await.unwrap();
    assert_eq!(answer.text.as_deref(), Some("app:operator says  to 1"));
    let said = |device: &str| house.say(format!("rude_unlock {device}").leak());
    let there = said("front-door").await.unwrap_err();
    let not_there = said("shed").await.unwrap_err();
    assert_eq!((there.kind, not_there.kind), (ErrorKind::NotAllowed, ErrorKind::NotAllowed));
    let error = house.say("rude_unlock").await.unwrap_err();
    assert_eq!(error.message, "there is no device to `unlock`");
    assert!(house.asked().is_empty());
}

#[tokio::test]
async fn c27_what_a_plugin_may_not_and_what_it_is_asked_for_is_on_record() {
    let grants = json!({ "commands": [{ "actions": ["unlock"], "devices": ["front-door"] }] });
    let house = granted(grants).await;
    let keypad = Who::Device("keypad".parse().unwrap());
    let refused = house.say_as(keypad, "rude_unlock front-door", false).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::NotAllowed);
    house.say("rude_unlock hall").await.unwrap_err();
    house.say("rude_unlock front-door").await.unwrap();
    house.say("rude_publish bell").await.unwrap();
    house.say("rude_reply elsewhere").await.unwrap();
    let events = house.events().await;
    let events: Vec<_> = events
        .iter()
        .map(|event| {
            let device = event.device.as_deref().unwrap_or("-");
            format!("{} {} {} {device}", event.actor, event.action, event.result)
        })
        .collect();
    let (caller, plugin) = ("operator", "plugin:rude");
    assert_eq!(
        events,
        [
            "server start ok -".to_owned(),
            "device:keypad unlock refused front-door".to_owned(),
            format!("{plugin} unlock refused hall"),
            format!("{caller} unlock ok front-door"),
            format!("{plugin} alert refused -"),
            format!("{plugin} publish refused -"),
            // The reply, gathered until the end.
            format!("{plugin} publish refused -"),
        ]
    );
}
