//! Keypads and the codes that are typed there, attacked (C22).

mod asking;
mod codes;
mod guessing;
mod hear;
mod one_time;
mod waiting;

use latchlight::console::Console;
use serde_json::{Value, json};

use crate::harness::{Answer, Device, Manner, PATIENCE, Server};

/// A door with a keypad beside it, and Bob, who lives there.
struct House {
    server: Server,
    console: Console,
    door: Device,
    client: reqwest::Client,
    secret: String,
}

/// Which doors each keypad may ask for.
fn keypads() -> Value {
    let grant = |device: &str| json!({ "grants": [{ "actions": ["lock", "unlock"], "devices": [device], "pin": true }] });
    let mut all = serde_json::Map::new();
    all.insert("keypad".to_owned(), grant("front"));
    for number in 0..10 {
        all.insert(format!("keypad-{number}"), grant("front"));
    }
    all.insert("elsewhere".to_owned(), grant("back"));
    all.insert("siren".to_owned(), json!({ "alerts": ["*"] }));
    json!({ "devices": all })
}

impl House {
    async fn new() -> Self {
        Self::with(Manner::Obeys).await
    }

    async fn with(manner: Manner) -> Self {
        Self::of(Server::start_with(keypads()).await, manner).await
    }

    async fn of(server: Server, manner: Manner) -> Self {
        let console = console(&server).await;
        let door = server.lock("front", manner).await;
        let bob = json!({ "name": "bob", "role": "member" });
        let _ = console.post("/api/v1/users", &bob).await;
        let secret = credentials(&console, "keypad").await;
        // It shows nothing but what the test has it show.
        let client = reqwest::Client::builder().timeout(PATIENCE).no_proxy().build().unwrap();
        Self { server, console, door, client, secret }
    }

    /// A code of Bob's: its id, and what is typed.
    async fn code(&self, body: Value) -> (String, String) {
        let made = self.console.post("/api/v1/users/bob/pins", &body).await.unwrap();
        let member = |name: &str| made[name].as_str().unwrap().to_owned();
        (member("id"), member("code"))
    }

    /// The keypad asks for the front door to be unlocked.
    async fn ask(&self, code: &str) -> Answer {
        self.ask_at("keypad", &self.secret, &unlock(code)).await
    }

    async fn ask_at(&self, keypad: &str, secret: &str, body: &Value) -> Answer {
        let request = self.client.post(self.server.url("/api/v1/keypad"));
        self.server.send(request.basic_auth(keypad, Some(secret)).json(body)).await
    }

    async fn change_bob(&self, change: Value) {
        self.console.patch("/api/v1/users/bob", &change).await.unwrap();
    }

    fn unlocks(&self) -> usize {
        self.door.count("unlock")
    }

    /// What is on record of signing in, newest first.
    async fn record(&self) -> Vec<Value> {
        let page = self.console.get("/api/v1/events?kind=sign_in").await.unwrap();
        page["events"].as_array().unwrap().clone()
    }
}

async fn console(server: &Server) -> Console {
    Console::connect(&server.folder().join("config.json")).await.unwrap()
}

async fn credentials(console: &Console, device: &str) -> String {
    let path = format!("/api/v1/devices/{device}/credentials");
    let made = console.post(&path, &json!({})).await.unwrap();
    made["password"].as_str().unwrap().to_owned()
}

fn unlock(code: &str) -> Value {
    json!({ "code": code, "device": "front", "verb": "unlock", "wait": 10 })
}

/// Codes that nobody has, as long as those that there are have six digits.
fn wrong(number: usize) -> String {
    format!("93170462{number:04}")
}
