//! Who guesses.

use serde_json::json;

use super::hear::Talker;
use super::{House, credentials, unlock, wrong};

#[tokio::test]
async fn c22_the_fifth_wrong_code_begins_a_pause_and_raises_the_alarm() {
    let house = House::new().await;
    let (_, code) = house.code(json!({})).await;
    let secret = credentials(&house.console, "siren").await;
    let mut siren = Talker::join(&house, "siren", &secret).await;
    for number in 0..4 {
        house.ask(&wrong(number)).await.problem(403, "code-refused");
        // A right one in between changes nothing.
        house.ask(&code).await.devices(200);
    }
    house.ask(&wrong(4)).await.problem(403, "code-refused");
    let alert = siren.hear_alert().await;
    assert_eq!((&alert["by"], &alert["wrong"]), (&json!("device:keypad"), &json!(5)));
    // Whatever is typed now, right or wrong, is not looked at.
    for code in [&code, &wrong(5)] {
        let answer = house.ask(code).await;
        answer.problem(429, "too-soon");
        let wait: u64 = answer.header("retry-after").parse().unwrap();
        assert!((1..=61).contains(&wait), "{wait}");
    }
    assert_eq!(house.unlocks(), 4);
    let record = house.record().await;
    let of_limit = record.iter().find(|event| event["action"] == "wrong_codes").unwrap();
    assert_eq!(of_limit["actor"], "device:keypad");
    // Another keypad is not concerned.
    let secret = credentials(&house.console, "keypad-1").await;
    house.ask_at("keypad-1", &secret, &unlock(&code)).await.devices(200);
    house.server.stop().await;
}

#[tokio::test]
async fn c22_who_goes_from_keypad_to_keypad_is_stopped_at_all_of_them() {
    let house = House::new().await;
    let (_, code) = house.code(json!({})).await;
    let secret = credentials(&house.console, "siren").await;
    let mut siren = Talker::join(&house, "siren", &secret).await;
    let mut asked = 0;
    'guess: for keypad in 0..10 {
        let keypad = format!("keypad-{keypad}");
        let secret = credentials(&house.console, &keypad).await;
        // One less than a keypad's own limit.
        for _ in 0..4 {
            asked += 1;
            if house.ask_at(&keypad, &secret, &unlock(&wrong(asked))).await.status == 429 {
                break 'guess;
            }
        }
    }
    assert_eq!(asked, 21);
    let alert = siren.hear_alert().await;
    assert_eq!((&alert["wrong"], &alert["everywhere"]), (&json!(20), &json!(true)));
    // Also at the one where nobody guessed.
    house.ask(&code).await.problem(429, "too-soon");
    assert_eq!(house.unlocks(), 0);
    house.server.stop().await;
}

#[tokio::test]
async fn c22_many_guesses_at_once_are_no_more_than_one_after_the_other() {
    let house = House::new().await;
    let guesses = (0..200).map(|number| {
        let house = &house;
        async move { house.ask(&wrong(number)).await.status }
    });
    let answers = futures_util::future::join_all(guesses).await;
    let looked_at = answers.iter().filter(|status| **status == 403).count();
    assert!((1..=5).contains(&looked_at), "{looked_at}");
    assert!(answers.iter().all(|status| [403, 429].contains(status)), "{answers:?}");
    house.server.stop().await;
}

#[tokio::test]
async fn c22_whoever_chooses_codes_until_one_is_taken_is_stopped_too() {
    let house = House::new().await;
    house.code(json!({ "code": "730198265514" })).await;
    let secret = credentials(&house.console, "siren").await;
    let mut siren = Talker::join(&house, "siren", &secret).await;
    let choose = json!({ "code": "730198265514" });
    for _ in 0..5 {
        let error = house.console.post("/api/v1/users/bob/pins", &choose).await.unwrap_err();
        assert_eq!(error.to_string(), "this code cannot be had: choose another, or none");
    }
    assert_eq!(siren.hear_alert().await["by"], "operator");
    let other = json!({ "code": "730198265515" });
    let error = house.console.post("/api/v1/users/bob/pins", &other).await.unwrap_err();
    assert!(error.to_string().starts_with("try again in "), "{error}");
    // One that is made up tells nobody anything.
    house.code(json!({})).await;
    house.server.stop().await;
}
