//! paho-mqtt for Rust, over TCP. It is built without its TLS here, as in the
//! server; and of WebSocket it keeps one list of frames for all clients of a
//! process, and does not look at the rest of a frame until another one comes.

use std::time::Duration;

use latchlight_broker::ReasonCode;
use paho_mqtt::{
    Client, ConnectOptionsBuilder, CreateOptionsBuilder, MQTT_VERSION_3_1, MQTT_VERSION_3_1_1,
    MQTT_VERSION_5, Message, MessageBuilder, PropertyCode, SyncReceiver, properties,
};

use crate::Meeting;

const PATIENCE: Duration = Duration::from_secs(20);

/// A client and what it receives.
struct Paho {
    client: Client,
    messages: SyncReceiver<Option<Message>>,
    session_present: bool,
}

/// How to reach the broker.
struct Way<'a> {
    meeting: &'a Meeting,
    version: u32,
}

impl Way<'_> {
    fn connect(&self, name: &str, keep: bool, will: Option<Message>) -> Paho {
        let port = self.meeting.port("mqtt");
        let create = CreateOptionsBuilder::new()
            .server_uri(format!("mqtt://localhost:{port}"))
            .client_id(name)
            .mqtt_version(self.version)
            .persistence(None)
            .finalize();
        let client = Client::new(create).unwrap();
        let messages = client.start_consuming();
        let is_v5 = self.version == MQTT_VERSION_5;
        let mut connect = ConnectOptionsBuilder::with_mqtt_version(self.version);
        if is_v5 {
            let expiry = if keep { 600 } else { 0 };
            connect.clean_start(!keep);
            connect.properties(properties![PropertyCode::SessionExpiryInterval => expiry]);
        } else {
            connect.clean_session(!keep);
        }
        if let Some(will) = will {
            connect.will_message(will);
        }
        let response = client.connect(connect.finalize()).unwrap();
        let session_present = response.connect_response().unwrap().session_present;
        Paho { client, messages, session_present }
    }
}

impl Paho {
    fn subscribe(&self, filter: &str, qos: i32) {
        let response = self.client.subscribe(filter, qos).unwrap();
        // In MQTT 5 it tells it as a reason code.
        let granted = response.subscribe_response().unwrap_or(response.reason_code() as i32);
        assert_eq!(granted, qos, "{filter}");
    }

    fn publish(&self, topic: &str, payload: &str, qos: i32, retained: bool) {
        let message = MessageBuilder::new().topic(topic).payload(payload).qos(qos);
        self.client.publish(message.retained(retained).finalize()).unwrap();
    }

    fn next(&self) -> (String, String, i32, bool) {
        let message = self.messages.recv_timeout(PATIENCE).unwrap().expect("it is connected");
        let payload = message.payload_str().into_owned();
        (message.topic().into(), payload, message.qos() as i32, message.retained())
    }

    fn expect(&self, topic: &str, payload: &str, qos: i32, retained: bool) {
        assert_eq!(self.next(), (topic.into(), payload.into(), qos, retained));
    }
}

#[test]
fn paho_mqtt_for_rust() {
    for version in [MQTT_VERSION_3_1, MQTT_VERSION_3_1_1, MQTT_VERSION_5] {
        let meeting = Meeting::new();
        does_everything(&Way { meeting: &meeting, version });
    }
}

fn does_everything(way: &Way<'_>) {
    let reader = way.connect("reader", false, None);
    let publisher = way.connect("publisher", false, None);
    for qos in 0..3 {
        let topic = format!("qos/{qos}");
        reader.subscribe(&topic, qos);
        publisher.publish(&topic, "hello", qos, false);
        reader.expect(&topic, "hello", qos, false);
    }
    publisher.publish("kept", "for later", 1, true);
    reader.subscribe("kept", 1);
    reader.expect("kept", "for later", 1, true);
    publisher.publish("kept", "", 1, true);
    reader.expect("kept", "", 1, false);

    reader.subscribe("will", 1);
    let _dying = way.connect("dying", false, Some(Message::new("will", "gone", 1)));
    // It has no way to go without a goodbye.
    assert!(way.meeting.broker.disconnect("dying", ReasonCode::AdministrativeAction));
    reader.expect("will", "gone", 1, false);

    let members = ["one", "two"].map(|name| way.connect(name, false, None));
    for member in &members {
        member.subscribe("$share/all/shared", 2);
    }
    for number in ["1", "2", "3", "4"] {
        publisher.publish("shared", number, 2, false);
    }
    let mut shared: Vec<_> =
        members.iter().flat_map(|member| [member.next().1, member.next().1]).collect();
    shared.sort();
    assert_eq!(shared, ["1", "2", "3", "4"]);

    let sleeper = way.connect("sleeper", true, None);
    sleeper.subscribe("sleeps/#", 2);
    sleeper.client.disconnect(None).unwrap();
    publisher.publish("sleeps/1", "once at least", 1, false);
    publisher.publish("sleeps/2", "once", 2, false);
    let sleeper = way.connect("sleeper", true, None);
    // 3.1 has no word for it.
    assert_eq!(sleeper.session_present, way.version != MQTT_VERSION_3_1);
    sleeper.expect("sleeps/1", "once at least", 1, false);
    sleeper.expect("sleeps/2", "once", 2, false);
    for paho in [&reader, &publisher, &sleeper, &members[0], &members[1]] {
        paho.client.disconnect(None).unwrap();
    }
}
