//! The message gateway, killed between every two of its steps: what was
//! accepted arrives.

use std::collections::BTreeMap;
use std::time::Duration;

use latchlight_mqtt::{Connect, Packet, ProtocolVersion, Publish, QoS};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::harness::{Device, PATIENCE, Server, configured, open_house};
use crate::outside_broker::Broker;

/// The id that a message has with it.
pub(crate) fn id_of(publish: &Publish) -> String {
    let id = publish.properties.user_properties.iter().find(|(name, _)| &**name == "message-id");
    id.expect("a message-id").1.to_string()
}

fn to_send(payload: &str) -> Value {
    json!({ "topic": "messages/x", "payload": payload, "queue": true })
}

/// A server on a broker that does what the test says.
async fn start_on(listener: &TcpListener, folder: tempfile::TempDir) -> (Server, Broker) {
    let server = tokio::task::spawn_blocking(|| Server::start_in(folder));
    let mut broker = Broker::of(listener).await;
    let online = broker.until("online").await;
    broker.acknowledge(&online).await;
    (server.await.unwrap(), broker)
}

#[tokio::test]
async fn killed_between_any_two_steps_it_sends_what_it_has_not_marked_and_no_more() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mqtt = json!({ "broker": format!("mqtt://{}", listener.local_addr().unwrap()) });
    let folder = configured(json!({ "mqtt": mqtt }));

    // Accepted, and never published: the broker takes nobody in.
    let server = tokio::task::spawn_blocking(|| Server::start_in(folder)).await.unwrap();
    let (status, first) = server.post_json("/messaging/send", to_send("first")).await;
    assert_eq!((status, &first["state"]), (202, &json!("waiting")));
    let (status, second) = server.post_json("/messaging/send", to_send("second")).await;
    assert_eq!(status, 202);
    let folder = server.kill();
    // The one before had got as far as the listener.
    drop(listener.accept().await.unwrap());

    // Published, and not acknowledged.
    let (server, mut broker) = start_on(&listener, folder).await;
    let heard = broker.until("first").await;
    assert_eq!(id_of(&heard), first["id"]);
    let folder = server.kill();

    // Acknowledged, and not marked, or just so: the next one is on its way.
    let (server, mut broker) = start_on(&listener, folder).await;
    let heard = broker.until("first").await;
    assert_eq!(id_of(&heard), first["id"], "it comes again, by the same id");
    broker.acknowledge(&heard).await;
    let heard = broker.until("second").await;
    assert_eq!(id_of(&heard), second["id"], "and behind it the next");
    let folder = server.kill();

    // Marked: the answer says so.
    let (server, mut broker) = start_on(&listener, folder).await;
    let mut heard = broker.until("").await;
    while &*heard.topic != "messages/x" || heard.payload == "first" {
        broker.acknowledge(&heard).await;
        heard = broker.until("").await;
    }
    assert_eq!(id_of(&heard), second["id"]);
    broker.acknowledge(&heard).await;
    let path = format!("/api/v1/messages/{}", second["id"].as_str().unwrap());
    while server.get(&path).await.1["state"] != "sent" {}
    let folder = server.kill();

    // Nothing of it comes again.
    let (server, mut broker) = start_on(&listener, folder).await;
    let sending = async {
        let (status, third) = server.post_json("/messaging/send", to_send("third")).await;
        assert_eq!((status, &third["state"]), (201, &json!("sent")));
    };
    let hearing = async {
        loop {
            let heard = broker.until("").await;
            broker.acknowledge(&heard).await;
            if &*heard.topic == "messages/x" {
                assert_eq!(heard.payload, "third");
                return;
            }
        }
    };
    tokio::join!(sending, hearing);
}

/// What came, in its order: topic, payload, id.
type Heard = Vec<(String, String, String)>;

/// Listens with a session that outlives server and connection.
async fn listen(server: &Server) -> JoinHandle<Heard> {
    let mut connect = Connect::new(ProtocolVersion::V5, "reader");
    connect.clean_start = false;
    connect.properties.make_mut().session_expiry_interval = Some(3600);
    let (mut reader, present) = Device::resume(server.mqtt(), connect).await;
    if !present {
        reader.subscribe("messages/#", QoS::AtLeastOnce).await;
    }
    tokio::spawn(async move {
        let mut heard = Heard::new();
        while let Ok(packet) = reader.connection.receive_within(PATIENCE).await {
            let Packet::Publish(publish) = packet else { continue };
            let payload = String::from_utf8(publish.payload.to_vec()).unwrap();
            let is_last = payload == "last";
            heard.push((publish.topic.to_string(), payload, id_of(&publish)));
            if is_last {
                return heard;
            }
        }
        heard
    })
}

/// Sends one after the other, until the server is gone; gives those that were
/// acknowledged.
async fn keep_sending(server: &Server, sender: usize, round: usize) -> Vec<(String, String)> {
    let mut acknowledged = Vec::new();
    for number in 0.. {
        let topic = format!("messages/{}", sender % 8);
        let payload = format!("{sender} {round} {number}");
        let body = json!({ "topic": topic, "payload": payload, "queue": true });
        let request = server.request(reqwest::Method::POST, "/messaging/send").await;
        let Ok(answer) = request.json(&body).send().await else { break };
        let status = answer.status();
        let Ok(answer) = answer.json::<Value>().await else { break };
        assert!([201, 202].contains(&status.as_u16()), "{status} {answer}");
        acknowledged.push((answer["id"].as_str().unwrap().to_owned(), payload));
    }
    acknowledged
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_moment_it_loses_nothing_that_it_acknowledged() {
    let mut folder = configured(open_house());
    let mut acknowledged = Vec::new();
    let mut heard = Heard::new();
    for round in 0..6 {
        let server = Server::start_in(folder);
        server.token().await;
        let reader = listen(&server).await;
        let senders: Vec<_> = (0..16).collect();
        let sending = futures_util::future::join_all(
            senders.iter().map(|sender| keep_sending(&server, *sender, round)),
        );
        // Another moment each time.
        let killing = async {
            let salt = u64::from(std::process::id()) % 50;
            tokio::time::sleep(Duration::from_millis(60 + 90 * round as u64 + salt)).await;
            server.signal("KILL");
        };
        let (sent, ()) = tokio::join!(sending, killing);
        acknowledged.extend(sent.into_iter().flatten());
        folder = server.kill();
        heard.extend(reader.await.unwrap());
    }
    let server = Server::start_in(folder);
    let reader = listen(&server).await;
    // What was left comes first, and on this topic nothing else.
    let end = tokio::time::Instant::now() + PATIENCE;
    while server.get("/api/v1/messages?state=waiting").await.1["messages"] != json!([]) {
        assert!(tokio::time::Instant::now() < end, "something waits for ever");
    }
    let last = json!({ "topic": "messages/end", "payload": "last" });
    assert_eq!(server.post_json("/messaging/send", last).await.0, 201);
    heard.extend(reader.await.unwrap());

    assert!(acknowledged.len() > 100, "{} were acknowledged", acknowledged.len());
    let mut first_of: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
    let mut newest: BTreeMap<&str, &str> = BTreeMap::new();
    for (place, (topic, payload, id)) in heard.iter().enumerate() {
        let known = first_of.entry(id).or_insert((place, payload));
        assert_eq!(known.1, payload, "one id, one message");
        if known.0 == place {
            // Ids sort by when they were accepted.
            let before = newest.insert(topic, id);
            assert!(before.is_none_or(|before| before < id.as_str()), "{topic}: out of order");
        }
    }
    for (id, payload) in &acknowledged {
        let arrived = first_of.get(id.as_str());
        assert_eq!(arrived.map(|(_, arrived)| *arrived), Some(payload.as_str()), "{id} is lost");
    }
}
