//! CONNACK (MQTT 5, 3.2): what a client is told that is let in.

use bytestring::ByteString;
use latchlight_mqtt::{ConnAck, Connect, Packet, Properties, ReasonCode};

use super::connect::{keep_alive, max_packet_size};
use super::session_expiry::session_expiry;
use crate::authentication::Proven;
use crate::broker::Core;
use crate::{ClientInfo, Options, Time};

/// That the client takes a packet as large as the one that lets it in
/// [MQTT-3.1.2-24].
pub(super) fn check_answer(
    core: &Core,
    connect: &Connect,
    info: &ClientInfo,
    proven: Option<&Proven>,
) -> Result<(), ReasonCode> {
    if connect.properties.maximum_packet_size.is_none() {
        return Ok(());
    }
    let expiry = session_expiry(core, connect, None);
    let answer = connack(connect, info, proven, false, expiry, &core.options);
    let answer = Packet::ConnAck(Box::new(answer));
    match answer.encoded_len(connect.version) {
        Ok(length) if length > max_packet_size(connect) as usize => Err(ReasonCode::PacketTooLarge),
        _ => Ok(()),
    }
}

/// The answer to a client that is let in.
pub(super) fn connack(
    connect: &Connect,
    info: &ClientInfo,
    proven: Option<&Proven>,
    present: bool,
    expiry: Time,
    options: &Options,
) -> ConnAck {
    let mut answer = ConnAck::new(present, ReasonCode::Success);
    if !connect.version.is_v5() {
        return answer;
    }
    let mut properties = Properties::new();
    let values = properties.make_mut();
    values.receive_maximum = Some(options.receive_maximum.max(1));
    values.topic_alias_maximum = Some(options.topic_alias_maximum);
    values.maximum_packet_size = Some(options.max_packet_size.max(1));
    if connect.client_id.is_empty() {
        // [MQTT-3.2.2-16]
        values.assigned_client_identifier = Some((*info.client_id).into());
    }
    let keep_alive = keep_alive(connect, options);
    if keep_alive != connect.keep_alive {
        // [MQTT-3.2.2-21]
        values.server_keep_alive = Some(keep_alive);
    }
    let asked = connect.properties.session_expiry_interval.unwrap_or(0);
    let given = expiry / 1000;
    if u64::from(asked) != given {
        values.session_expiry_interval = Some(u32::try_from(given).unwrap_or(u32::MAX));
    }
    // [MQTT-3.1.2-28]
    if connect.properties.request_response_information == Some(true) {
        values.response_information = response_information(info, options);
    }
    // [MQTT-4.12.0-5], [MQTT-4.12.0-6]
    if let Some(Proven { method, data, .. }) = proven {
        values.authentication_method = Some(method.clone());
        values.authentication_data = Some(data.clone()).filter(|data| !data.is_empty());
    }
    answer.properties = properties;
    answer
}

/// Where answers to a client may come, as the embedder says; not, where no
/// string can say it.
fn response_information(info: &ClientInfo, options: &Options) -> Option<ByteString> {
    let text = options.response_information.as_ref()?.replace("%c", &info.client_id);
    (!text.contains('\0') && text.len() <= usize::from(u16::MAX)).then(|| text.into())
}
