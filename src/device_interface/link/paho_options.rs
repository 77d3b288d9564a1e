//! The settings of an outside broker, as paho-mqtt takes them.

use std::path::Path;
use std::time::Duration;

use paho_mqtt::{
    ConnectOptions, ConnectOptionsBuilder, CreateOptions, CreateOptionsBuilder, MQTT_VERSION_3_1_1,
    MQTT_VERSION_5, Message, MessageBuilder, Properties, PropertyCode, QoS, UserData,
};

use super::{Heard, Outgoing};
use crate::config::{MqttProtocol, MqttSettings};

/// How many publishes the library may hold; the window of the link is smaller.
const BUFFERED: i32 = 200;

/// A client that keeps nothing while it is disconnected, speaks to this socket,
/// and lets go of `held` only after its own end.
pub(super) fn create_options(
    settings: &MqttSettings,
    socket: &Path,
    held: UserData,
) -> CreateOptions {
    CreateOptionsBuilder::new()
        .server_uri(format!("unix://{}", socket.display()))
        .client_id(settings.client_id.as_str())
        .mqtt_version(version(settings))
        .persistence(None)
        .max_buffered_messages(BUFFERED)
        .send_while_disconnected(false)
        .restore_messages(false)
        .user_data(held)
        .finalize()
}

fn version(settings: &MqttSettings) -> u32 {
    match settings.protocol {
        MqttProtocol::V5 => MQTT_VERSION_5,
        MqttProtocol::V311 => MQTT_VERSION_3_1_1,
    }
}

/// A clean start, a session that ends with its connection, and a last will.
pub(super) fn connect_options(settings: &MqttSettings, will_topic: &str) -> ConnectOptions {
    let mut options = match settings.protocol {
        MqttProtocol::V5 => ConnectOptionsBuilder::new_v5(),
        MqttProtocol::V311 => ConnectOptionsBuilder::new_v3(),
    };
    match settings.protocol {
        MqttProtocol::V5 => options.clean_start(true),
        MqttProtocol::V311 => options.clean_session(true),
    };
    options
        .keep_alive_interval(Duration::from_secs(20))
        .connect_timeout(Duration::from_secs(10))
        .max_inflight(100)
        .will_message(Message::new_retained(will_topic, "offline", QoS::AtLeastOnce));
    if let Some(username) = &settings.username {
        options.user_name(username.as_str());
    }
    if let Some(password) = &settings.password {
        options.password(password.as_str());
    }
    options.finalize()
}

/// A message of the gateway; over MQTT 3.1.1 without its properties.
pub(super) fn message(
    settings: &MqttSettings,
    topic: &str,
    message: Outgoing,
) -> Result<Message, paho_mqtt::Error> {
    let mut properties = Properties::new();
    if settings.protocol == MqttProtocol::V5 {
        if let Some(seconds) = message.expires_in {
            properties.push_u32(PropertyCode::MessageExpiryInterval, seconds)?;
        }
        if let Some(content_type) = &message.content_type {
            properties.push_string(PropertyCode::ContentType, content_type)?;
        }
        for (name, value) in &message.properties {
            properties.push_string_pair(PropertyCode::UserProperty, name, value)?;
        }
    }
    let qos = match message.qos {
        latchlight_mqtt::QoS::AtMostOnce => QoS::AtMostOnce,
        latchlight_mqtt::QoS::AtLeastOnce => QoS::AtLeastOnce,
        latchlight_mqtt::QoS::ExactlyOnce => QoS::ExactlyOnce,
    };
    Ok(MessageBuilder::new()
        .topic(topic)
        .payload(message.payload)
        .qos(qos)
        .retained(message.retain)
        .properties(properties)
        .finalize())
}

/// A message that is only recorded; nothing where the broker has kept it, and
/// it was recorded when it came.
pub(super) fn heard(settings: &MqttSettings, message: &Message) -> Option<Heard> {
    // Over MQTT 3.1.1 every retained message is one that was kept.
    if settings.protocol == MqttProtocol::V311 && message.retained() {
        return None;
    }
    let properties = message.properties();
    Some(Heard {
        topic: message.topic().into(),
        payload: message.payload().to_vec().into(),
        qos: match message.qos() {
            QoS::AtMostOnce => latchlight_mqtt::QoS::AtMostOnce,
            QoS::AtLeastOnce => latchlight_mqtt::QoS::AtLeastOnce,
            QoS::ExactlyOnce => latchlight_mqtt::QoS::ExactlyOnce,
        },
        retain: message.retained(),
        content_type: properties.get_string(PropertyCode::ContentType),
        properties: properties.user_iter().collect(),
    })
}
