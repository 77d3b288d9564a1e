//! What must hold for any bytes whatever.

use bytes::Bytes;

use crate::{AckView, Framing, Packet, PacketId, PacketType, ProtocolVersion, PublishView, frame};

/// Puts bytes through everything that decodes, and holds the answers against
/// each other: the frame's bounds, the views and the owned packet, and the
/// packet against its own encoding.
///
/// # Panics
/// They disagree. That is a bug of this crate.
pub fn check(bytes: &[u8], version: ProtocolVersion) {
    let whole = match frame(bytes, usize::MAX) {
        Ok(Framing::Complete(header)) => {
            assert!(header.total_len() <= bytes.len(), "a frame ends where its bytes do");
            assert_eq!(header.total_len(), header.header_len + header.remaining);
            &bytes[..header.total_len()]
        }
        Ok(Framing::Incomplete { needed }) => {
            assert!(needed > 0, "nothing is missing, and still it is not whole");
            bytes
        }
        Err(_) => bytes,
    };
    let decoded = Packet::decode(Bytes::copy_from_slice(whole), version);
    check_views(whole, version, decoded.as_ref().ok());
    if whole.len() < bytes.len() {
        let longer = Packet::decode(Bytes::copy_from_slice(bytes), version);
        assert!(longer.is_err(), "bytes after the packet were taken: {longer:?}");
        check_views(bytes, version, None);
    }
    if let Ok(packet) = decoded {
        check_again(&packet, version);
    }
}

/// Encodes a packet and decodes it again: it must be the same.
fn check_again(packet: &Packet, version: ProtocolVersion) {
    let mut again = b"before".to_vec();
    if let Err(error) = packet.encode(version, &mut again) {
        panic!("what was decoded does not encode: {error}: {packet:?}");
    }
    let again = Bytes::from(again).split_off(b"before".len());
    assert_eq!(packet.encoded_len(version), Ok(again.len()), "{packet:?}");
    assert_eq!(Packet::decode(again, version).as_ref(), Ok(packet));
}

fn check_views(bytes: &[u8], version: ProtocolVersion, packet: Option<&Packet>) {
    let publish = PublishView::decode(bytes, version).ok();
    if let Some(view) = &publish {
        assert_eq!(Some(&Packet::Publish(view.to_owned())), packet, "the view differs");
        let at = view.packet_id_offset.map(|at| u16::from_be_bytes([bytes[at], bytes[at + 1]]));
        assert_eq!(at, view.packet_id.map(PacketId::get), "no packet id stands at its offset");
    }
    let is_publish = matches!(packet, Some(Packet::Publish(_)));
    assert_eq!(publish.is_some(), is_publish, "the view and {packet:?} disagree");

    let expected = packet.and_then(|packet| match packet {
        Packet::PubAck(ack) => Some((PacketType::PubAck, ack.packet_id, ack.reason)),
        Packet::PubRec(ack) => Some((PacketType::PubRec, ack.packet_id, ack.reason)),
        Packet::PubRel(ack) => Some((PacketType::PubRel, ack.packet_id, ack.reason)),
        Packet::PubComp(ack) => Some((PacketType::PubComp, ack.packet_id, ack.reason)),
        _ => None,
    });
    let view = AckView::decode(bytes, version).ok();
    let view = view.map(|view| (view.packet_type, view.packet_id, view.reason));
    assert_eq!(view, expected, "the view and {packet:?} disagree");
}
