//! The examples that bring their own clients, and what they say.
#![allow(clippy::unwrap_used, unreachable_pub)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

#[path = "../examples/access.rs"]
mod access;
#[path = "../examples/interceptor.rs"]
mod interceptor;
#[path = "../examples/observer.rs"]
mod observer;
#[path = "../examples/packet_controller.rs"]
mod packet_controller;

/// Longer than any of them takes.
const PATIENCE: Duration = Duration::from_secs(20);

type Lines = Arc<Mutex<Vec<String>>>;

/// What an example says.
fn said<F>(example: impl FnOnce(Box<dyn Fn(String) + Send + Sync>) -> F) -> Vec<String>
where
    F: Future<Output = Result<(), Box<dyn std::error::Error>>>,
{
    let lines = Lines::default();
    let written = lines.clone();
    let say = Box::new(move |line| written.lock().unwrap().push(line));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let run = async { tokio::time::timeout(PATIENCE, example(say)).await };
    runtime.block_on(run).expect("it ends").unwrap();
    let lines = lines.lock().unwrap();
    lines.clone()
}

#[test]
fn the_access_hook_lets_everybody_have_their_own_topics() {
    let expected = [
        "with a wrong password: the server refused the connection: BadUserNameOrPassword",
        "with the right one: let in",
        "publish to alice/desk/lamp: NoMatchingSubscribers",
        "publish to bob/desk/lamp: the server refused the message: NotAuthorized",
        "subscribe to alice/#: GrantedQoS1",
        "subscribe to news: GrantedQoS1",
        "subscribe to #: the server refused the message: NotAuthorized",
    ];
    assert_eq!(said(access::run), expected);
}

#[test]
fn the_interceptors_give_rooms_and_keep_words_out() {
    let expected = [
        "hall asks for QoS 2: GrantedQoS1",
        "hall publishes \"\": Success",
        "hall publishes \"the damn lamp is on\": Success",
        "hall publishes bytes: the server refused the message: PayloadFormatInvalid",
        "hall hears rooms/hall/lamp: the **** lamp is on",
    ];
    assert_eq!(said(interceptor::run), expected);
}

#[test]
fn the_observer_says_who_comes_what_is_published_and_what_is_dropped() {
    let expected = [
        "lamp is here, its session begins",
        "lamp hears lamp/set at AtLeastOnce",
        "lamp is gone (Success), its session waits",
        "hand is here, its session begins",
        "lamp does not get lamp/set: Offline",
        "hand published 2 bytes to lamp/set",
        "hand published 2 bytes to lamp/set",
        "hand is gone (Success), its session has ended",
        "lamp does not get lamp/set: SessionEnded",
    ];
    let said = said(observer::run);
    assert_eq!(said, expected[..said.len()]);
    assert!(said.len() >= 8, "{said:#?}");
}

#[test]
fn the_packet_controller_answers_in_the_brokers_place() {
    let expected = [
        "CONNECT of a stranger: the server refused the connection: ClientIdentifierNotValid",
        "PUBLISH colour: Success",
        "SUBSCRIBE colour: Success",
        "colour is blue",
        "UNSUBSCRIBE colour: Success",
        "UNSUBSCRIBE colour: NoSubscriptionExisted",
        "subscriptions that the broker has: 0",
    ];
    assert_eq!(said(packet_controller::run), expected);
}
