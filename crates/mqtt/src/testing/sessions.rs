//! DISCONNECT and AUTH (MQTT 5, 3.14 and 3.15).

use super::{ALL, NamedPacket, OLD, V5, bad, frame, lenient, valid};
use crate::{Auth, Disconnect, Packet, ReasonCode};

pub(super) fn rows(rows: &mut Vec<NamedPacket>) {
    disconnects(rows);
    auths(rows);
}

fn disconnects(rows: &mut Vec<NamedPacket>) {
    let packet = |reason| Packet::Disconnect(Disconnect::new(reason));
    let normal = packet(ReasonCode::Success);
    valid(rows, "disconnect", ALL, vec![0xE0, 0], normal.clone());
    lenient(rows, "disconnect 5: normal, said", &[V5], vec![0xE0, 1, 0], normal.clone());
    lenient(rows, "disconnect 5: no properties, said", &[V5], vec![0xE0, 2, 0, 0], normal);
    for (name, code, reason) in [
        ("disconnect 5: with will", 0x04, ReasonCode::DisconnectWithWill),
        ("disconnect 5: quota exceeded", 0x97, ReasonCode::QuotaExceeded),
        ("disconnect 5: bad method", 0x8C, ReasonCode::BadAuthenticationMethod),
    ] {
        valid(rows, name, &[V5], vec![0xE0, 1, code], packet(reason));
    }
    let properties = &b"\x11\0\0\0\x05\x1C\0\x01s\x1F\0\x01r\x26\0\x01k\0\x01v"[..];
    let bytes = frame(0xE0, &[&[0x9D, properties.len() as u8], properties]);
    let mut moved = Disconnect::new(ReasonCode::ServerMoved);
    let values = moved.properties.make_mut();
    values.session_expiry_interval = Some(5);
    values.server_reference = Some("s".into());
    values.reason_string = Some("r".into());
    values.user_properties = vec![("k".into(), "v".into())];
    valid(rows, "disconnect 5: everything", &[V5], bytes, Packet::Disconnect(moved));

    let (malformed, protocol) = (ReasonCode::MalformedPacket, ReasonCode::ProtocolError);
    bad(rows, "disconnect: a reason before MQTT 5", OLD, vec![0xE0, 1, 0], malformed);
    // [MQTT-3.14.2-1]
    bad(rows, "disconnect 5: a reason of CONNACK", &[V5], vec![0xE0, 1, 0x86], malformed);
    bad(rows, "disconnect 5: no such reason", &[V5], vec![0xE0, 1, 0xFF], malformed);
    let bytes = vec![0xE0, 5, 0, 3, 0x21, 0, 1];
    bad(rows, "disconnect 5: a receive maximum", &[V5], bytes, protocol);
    bad(rows, "disconnect 5: properties past the end", &[V5], vec![0xE0, 2, 0, 1], malformed);
}

fn auths(rows: &mut Vec<NamedPacket>) {
    let done = Auth { reason: ReasonCode::Success, properties: Default::default() };
    let done = Packet::Auth(done);
    valid(rows, "auth 5: success", &[V5], vec![0xF0, 0], done.clone());
    lenient(rows, "auth 5: success, said", &[V5], vec![0xF0, 2, 0, 0], done);
    let properties = &b"\x15\0\x01m\x16\0\x02\0\xFF\x1F\0\x01r\x26\0\x01k\0\x01v"[..];
    let bytes = frame(0xF0, &[&[0x18, properties.len() as u8], properties]);
    let mut auth =
        Auth { reason: ReasonCode::ContinueAuthentication, properties: Default::default() };
    let values = auth.properties.make_mut();
    values.authentication_method = Some("m".into());
    values.authentication_data = Some(vec![0, 0xFF].into());
    values.reason_string = Some("r".into());
    values.user_properties = vec![("k".into(), "v".into())];
    valid(rows, "auth 5: everything", &[V5], bytes, Packet::Auth(auth));
    let (malformed, protocol) = (ReasonCode::MalformedPacket, ReasonCode::ProtocolError);
    // [MQTT-3.15.1-1], [MQTT-3.15.2-1]
    bad(rows, "auth 5: flags", &[V5], vec![0xF1, 0], malformed);
    bad(rows, "auth 5: a reason of CONNACK", &[V5], vec![0xF0, 2, 0x87, 0], malformed);
    let bytes = vec![0xF0, 4, 0x18, 2, 0x17, 1];
    bad(rows, "auth 5: request problem information", &[V5], bytes, protocol);
    let bytes = frame(0xF0, &[&[0x18, 8], b"\x15\0\x01m\x15\0\x01m"]);
    bad(rows, "auth 5: the method twice", &[V5], bytes, protocol);
}
