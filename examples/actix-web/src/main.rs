//! A web server with its own broker: both in one process, on one Ctrl-C.
//! `cargo run -p actix-web-example -- 127.0.0.1:1883 127.0.0.1:8080`, and then:
//!
//! ```text
//! mosquitto_sub -t doors/front/set -v &
//! curl -s -d open http://127.0.0.1:8080/doors/front
//! mosquitto_pub -q 1 -t doors/front/state -m open
//! curl -s http://127.0.0.1:8080/doors/front
//! ```
//!
//! POST is published to the door, and GET gives what the door has said last.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::Arc;

use actix_web::web::{Bytes, Data, Path};
use actix_web::{App, HttpResponse, HttpServer, get, post};
use latchlight_broker::{AllowAll, Broker, InlineClient, InlinePublish, SubscriptionOptions};
use parking_lot::Mutex;

/// What each door has said last, by its topic.
type States = Mutex<BTreeMap<String, Bytes>>;

#[post("/doors/{door}")]
async fn tell(door: Path<String>, words: Bytes, inline: Data<InlineClient>) -> HttpResponse {
    match format!("doors/{door}/set").try_into() {
        // It waits for nobody: publishing is a call, not a future.
        Ok(topic) => HttpResponse::Ok()
            .body(format!("{:?}\n", inline.publish(InlinePublish::new(topic, words)))),
        Err(error) => HttpResponse::BadRequest().body(format!("{error}\n")),
    }
}

#[get("/doors/{door}")]
async fn state(door: Path<String>, states: Data<States>) -> HttpResponse {
    match states.lock().get(&format!("doors/{door}/state")) {
        Some(state) => HttpResponse::Ok().body(state.clone()),
        None => HttpResponse::NotFound().finish(),
    }
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut next = |default: &str| arguments.next().unwrap_or_else(|| default.to_owned());
    let (mqtt, http) = (next("127.0.0.1:1883"), next("127.0.0.1:8080"));
    // The broker has threads of its own: it needs nothing of the web server's.
    let listener = TcpListener::bind(mqtt)?;
    let broker = Broker::builder().access(AllowAll).listener(listener).serve()?;

    let states = Data::new(States::default());
    let heard: Arc<States> = states.clone().into_inner();
    let options = SubscriptionOptions::default();
    let _heard =
        broker.inline().handle(["doors/+/state".try_into()?], options, move |message| {
            heard.lock().insert(message.topic.to_string(), message.payload);
        })?;

    let inline = Data::new(broker.inline());
    let web = TcpListener::bind(http)?;
    println!("MQTT on {}, HTTP on {}; Ctrl-C ends it", broker.addresses()[0], web.local_addr()?);
    let app = move || {
        App::new().app_data(inline.clone()).app_data(states.clone()).service(tell).service(state)
    };
    // It ends at Ctrl-C, when the requests that it has begun are answered.
    HttpServer::new(app).workers(1).listen(web)?.run().await?;
    broker.close().await;
    Ok(())
}
