//! What outlives the server of its own broker, and what must not: C1, C3, C7,
//! C28.

use std::path::Path;
use std::time::Duration;

use latchlight_broker::{AllowAll, Broker, InlinePublish, QoS as BrokerQoS, SqliteStore};
use latchlight_mqtt::{Connect, ProtocolVersion, QoS, ReasonCode};
use serde_json::json;

use crate::harness::{Device, Server, command_of, configured, open_house, outcome_of, program};
use crate::restart::TEARS;

const ACKS: &str = "lock {\"features\": [\"ack\"]}";

/// Long enough for what may not come to have come.
const A_WHILE: Duration = Duration::from_millis(300);

/// The CONNECT of a client whose session outlives its connection.
fn resuming(id: &str) -> Connect {
    let mut connect = Connect::new(ProtocolVersion::V5, id);
    connect.clean_start = false;
    connect.properties.make_mut().session_expiry_interval = Some(3600);
    connect
}

/// A client of the open house with its session, and whether that was there.
async fn resume(server: &Server, id: &str) -> (Device, bool) {
    Device::resume(server.mqtt(), resuming(id)).await
}

/// The same of a device.
async fn resume_device(server: &Server, id: &str) -> (Device, bool) {
    Device::resume(server.mqtt(), server.as_device(resuming(id)).await).await
}

/// The same of an app.
async fn resume_app(server: &Server, name: &str) -> (Device, bool) {
    Device::resume(server.mqtt(), server.as_app(resuming(name)).await).await
}

#[tokio::test]
async fn what_a_phone_is_owed_is_there_after_kill_9_with_its_session() {
    let server = Server::start_with(open_house());
    let (mut ann, present) = resume_app(&server, "ann").await;
    assert!(!present);
    ann.subscribe("latchlight/alerts/+", QoS::AtLeastOnce).await;
    ann.connection.abort();
    let (mut phone, _) = resume(&server, "phone").await;
    phone.subscribe("house/#", QoS::AtLeastOnce).await;
    phone.connection.abort();
    let mut sensor = Device::connect(server.mqtt(), resuming("sensor")).await;
    assert_eq!(sensor.publish("house/bell", "rings", false).await, ReasonCode::Success);
    assert_eq!(sensor.publish("house/mode", "night", true).await, ReasonCode::Success);

    let server = Server::start_in(server.kill());
    let (mut phone, present) = resume(&server, "phone").await;
    assert!(present, "its session is back");
    let (mut ann, present) = resume_app(&server, "ann").await;
    assert!(present, "an app's, too");
    for (topic, payload) in [("house/bell", "rings"), ("house/mode", "night")] {
        let publish = phone.hear_publish().await;
        assert_eq!((&*publish.topic, &publish.payload[..]), (topic, payload.as_bytes()));
    }
    // So are its subscriptions, and what was retained.
    let mut door = Device::join(&server, "front", ACKS).await;
    door.say("state jammed").await;
    assert_eq!(&*ann.hear_publish().await.topic, "latchlight/alerts/jammed");
    phone.subscribe("house/mode", QoS::AtLeastOnce).await;
    let retained = phone.hear_publish().await;
    assert!(retained.retain && retained.payload == "night", "{retained:?}");
}

#[tokio::test]
async fn without_its_store_it_all_ends_with_the_server() {
    let mut settings = open_house();
    settings["mqtt"]["store"] = json!(false);
    let server = Server::start_with(settings);
    let (mut phone, _) = resume(&server, "phone").await;
    phone.subscribe("house/#", QoS::AtLeastOnce).await;
    assert_eq!(phone.publish("house/mode", "night", true).await, ReasonCode::Success);
    phone.hear_publish().await;
    let server = Server::start_in(server.stop());
    let (mut phone, present) = resume(&server, "phone").await;
    assert!(!present);
    phone.subscribe("house/#", QoS::AtLeastOnce).await;
    phone.hears_nothing_for(A_WHILE).await;
    assert!(!server.folder.path().join("data/broker.db").exists());
}

/// What an older broker, or one with other rules, may have left behind.
#[tokio::test]
async fn c1_c3_c7_commands_in_an_old_store_are_purged_before_anybody_connects() {
    const DOWNS: [&str; 3] =
        ["latchlight/devices/front/down", "yard/back/down", "cellar/door/commands"];
    let mut settled = open_house();
    settled["devices"] = json!({ "cellar": { "topics": {
        "up": "cellar/door/says", "down": DOWNS[2],
    }}});
    let server = Server::start_with(settled);
    Device::join(&server, "front", ACKS).await;
    Device::join(&server, "back", "lock {\"base\": \"yard/back\"}").await;
    server.device("cellar").await;
    let folder = server.stop();
    leave_commands(&folder.path().join("data/broker.db"), &DOWNS).await;

    let server = Server::start_in(folder);
    for (id, down) in ["front", "back", "cellar"].into_iter().zip(DOWNS) {
        let (mut device, present) = resume_device(&server, id).await;
        assert!(present, "{id}");
        device.hears_nothing_for(A_WHILE).await;
        device.subscribe(down, QoS::AtLeastOnce).await;
        device.hears_nothing_for(A_WHILE).await;
    }
    // What else it was owed is there.
    let (mut phone, _) = resume(&server, "phone").await;
    assert_eq!(phone.hear_publish().await.payload, "rings");
    phone.hears_nothing_for(A_WHILE).await;
    // It has left the store as well: also a broker without rules has it no more.
    let folder = server.stop();
    let old = old_broker(&folder.path().join("data/broker.db"));
    let mut anybody = Device::connect(&old.addresses()[0].to_string(), resuming("anybody")).await;
    for down in DOWNS {
        anybody.subscribe(down, QoS::AtLeastOnce).await;
    }
    anybody.hears_nothing_for(A_WHILE).await;
    old.close().await;
}

/// Fills a store by a broker that lets everybody do everything.
async fn leave_commands(store: &Path, downs: &[&str]) {
    let old = old_broker(store);
    let address = old.addresses()[0].to_string();
    let all = ["front", "back", "cellar", "phone"].iter().zip(downs.iter().chain(&["house/bell"]));
    for (id, topic) in all {
        let mut connect = resuming(id);
        // As whom the server would have let it in.
        let sort = if *id == "phone" { "ledger:".to_owned() } else { format!("device:{id}") };
        connect.username = Some(sort.into());
        let mut device = Device::connect(&address, connect).await;
        device.subscribe(topic, QoS::AtLeastOnce).await;
        device.connection.abort();
    }
    let spoken = ["latchlight/apps/ann/up", "yard/back/up", "latchlight/devices/front/state"];
    for topic in downs.iter().chain(&spoken) {
        for retain in [false, true] {
            let mut publish = InlinePublish::new((*topic).try_into().unwrap(), "unlock front");
            (publish.retain, publish.qos) = (retain, BrokerQoS::ExactlyOnce);
            assert!(!old.inline().publish(publish).is_error());
        }
    }
    old.inline().publish(InlinePublish::new("house/bell".try_into().unwrap(), "rings"));
    old.close().await;
}

fn old_broker(store: &Path) -> Broker {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let store = SqliteStore::open(store).unwrap();
    Broker::builder().access(AllowAll).store(store).listener(listener).serve().unwrap()
}

#[tokio::test]
async fn c7_a_command_that_was_out_is_not_sent_to_the_session_that_comes_back() {
    let server = Server::start();
    let (mut door, _) = resume_device(&server, "front").await;
    door.listen(QoS::AtLeastOnce).await;
    door.say(&format!("hand_shake {ACKS}")).await;
    door.hear().await;
    door.connection.set_auto_acknowledge(false);
    let (_, answer) = server.post("/unlock?device=front&wait=0").await;
    door.hear_publish().await;

    let server = Server::start_in(server.kill());
    let (mut door, present) = resume_device(&server, "front").await;
    assert!(present);
    door.hears_nothing_for(A_WHILE).await;
    assert_eq!(server.ended(&command_of(&answer)).await["outcome"], "unconfirmed");
    // It listens still: what is asked for now reaches it.
    let (answer, ()) = tokio::join!(server.post("/lock?device=front"), async {
        let (_, id, _) = door.hear_command().await;
        door.say(&format!("ack {id} ok")).await;
    });
    assert_eq!((answer.0, outcome_of(&answer.1)), (200, "confirmed"));
}

#[tokio::test]
async fn no_state_of_an_earlier_run_is_shown() {
    let server = Server::start();
    let mut door = Device::join(&server, "front", ACKS).await;
    let mut lamp = Device::join(&server, "lamp", "light").await;
    door.say("state unlocked").await;
    lamp.publish("latchlight/devices/lamp/online", "online", true).await;
    server.device_when("front", |device| device["state"] == "unlocked").await;
    // A phone that is away is owed that change.
    let (mut phone, _) = resume_app(&server, "phone").await;
    phone.subscribe("latchlight/devices/front/state", QoS::AtLeastOnce).await;
    phone.hear_publish().await;
    phone.connection.abort();
    door.say("state locked").await;
    server.device_when("front", |device| device["state"] == "locked").await;

    let server = Server::start_in(server.kill());
    let (mut phone, _) = resume_app(&server, "phone").await;
    let first = phone.hear_publish().await;
    let shown: serde_json::Value = serde_json::from_slice(&first.payload).unwrap();
    assert_eq!((&shown["state"], &shown["online"]), (&json!("unknown"), &json!(false)));
    phone.subscribe("latchlight/devices/+/online", QoS::AtLeastOnce).await;
    phone.hears_nothing_for(A_WHILE).await;
}

#[tokio::test]
async fn c28_a_torn_store_is_kept_aside_and_begun_anew() {
    for tear in TEARS {
        let server = Server::start_with(open_house());
        Device::join(&server, "front", ACKS).await;
        let (mut phone, _) = resume(&server, "phone").await;
        phone.publish("house/mode", "x".repeat(20_000), true).await;
        let folder = server.stop();
        let path = folder.path().join("data/broker.db");
        let mut bytes = std::fs::read(&path).unwrap();
        tear(&mut bytes);
        std::fs::write(&path, &bytes).unwrap();

        let server = Server::start_in(folder);
        let said = "the broker's store is torn: it is kept aside, and a new one begun";
        let aside = server.logged(said).await["aside"].as_str().unwrap().to_owned();
        assert!(Path::new(&aside).starts_with(server.folder.path().join("data")), "{aside}");
        assert!(std::fs::read(aside).unwrap() == bytes, "it is kept as it was");
        // The doors are there, can be operated, and sessions are kept again.
        let mut door = Device::join(&server, "front", ACKS).await;
        let (answer, ()) = tokio::join!(server.post("/lock?device=front"), async {
            let (_, id, _) = door.hear_command().await;
            door.say(&format!("ack {id} ok")).await;
        });
        assert_eq!(answer.0, 200, "{}", answer.1);
        assert!(!resume(&server, "phone").await.1);
        let server = Server::start_in(server.kill());
        assert!(resume(&server, "phone").await.1);
    }
}

/// C28: files that may not grow are what a full disk is.
#[tokio::test]
async fn c28_when_the_disk_is_full_that_is_said_and_doors_are_operated() {
    let folder = configured(open_house());
    let config = folder.path().join("config.json");
    let mut full = std::process::Command::new("bash");
    // In KiB; a write beyond is an error, not the end.
    full.args(["-c", "trap '' XFSZ; ulimit -f 600; exec \"$@\"", "bash"])
        .arg(program(&config).get_program())
        .args(program(&config).get_args());
    let server = Server::start_by(full, folder);
    let mut door = Device::join(&server, "front", ACKS).await;
    let (mut phone, _) = resume(&server, "phone").await;
    phone.subscribe("house/#", QoS::AtLeastOnce).await;
    phone.connection.abort();
    let mut writer = Device::connect(server.mqtt(), resuming("writer")).await;
    assert_eq!(writer.publish("house/bell", "rings", false).await, ReasonCode::Success);
    let fills = (0..60).map(|_| ("house/pictures".to_owned(), vec![7; 20_000].into()));
    writer.publish_at_once(fills.collect()).await;
    server.logged("what depends on it is not acknowledged; trying again").await;

    // From now on it is refused at once (C14).
    let mut other =
        Device::connect(server.mqtt(), Connect::new(ProtocolVersion::V5, "other")).await;
    let full = ReasonCode::QuotaExceeded;
    assert_eq!(other.publish("house/bell", "rings", false).await, full);
    assert_eq!(other.publish("house/mode", "night", true).await, full);
    let (answer, ()) = tokio::join!(server.post("/unlock?device=front"), async {
        let (_, id, _) = door.hear_command().await;
        door.say(&format!("ack {id} ok")).await;
    });
    assert_eq!((answer.0, outcome_of(&answer.1)), (200, "confirmed"));

    // Where there is room again, nothing is lost that was acknowledged.
    let server = Server::start_in(server.kill());
    let (mut phone, present) = resume(&server, "phone").await;
    assert!(present);
    assert_eq!(phone.hear_publish().await.payload, "rings");
    for _ in 0..acknowledged(&mut writer).await {
        assert_eq!(phone.hear_publish().await.payload.len(), 20_000);
    }
}

/// How many more of its publishes were taken before the end of its connection.
async fn acknowledged(writer: &mut Device) -> usize {
    let mut taken = 0;
    while let Ok(packet) = writer.connection.receive().await {
        if let latchlight_mqtt::Packet::PubAck(ack) = packet {
            taken += usize::from(ack.reason == ReasonCode::Success);
        }
    }
    taken
}
