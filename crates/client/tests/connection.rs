//! One connection, packet by packet, against a real mosquitto.
#![allow(clippy::unwrap_used)]
mod support;

use std::time::Duration;

use latchlight_client::{Connection, ConnectionError};
use latchlight_mqtt::{
    Connect, Packet, PacketId, ProtocolVersion, Publish, QoS, Subscribe, SubscribeFilter,
    SubscriptionOptions, TopicFilter,
};
use support::{Mosquitto, PATIENCE};

fn connect(client_id: &str) -> Connect {
    Connect { keep_alive: 30, ..Connect::new(ProtocolVersion::V5, client_id) }
}

fn subscribe(filter: &str) -> Packet {
    Packet::Subscribe(Subscribe {
        packet_id: PacketId::new(1).unwrap(),
        filters: vec![SubscribeFilter {
            filter: TopicFilter::try_from(filter).unwrap(),
            options: SubscriptionOptions::qos(QoS::ExactlyOnce),
        }],
        properties: Default::default(),
    })
}

fn publish(qos: QoS) -> Packet {
    let packet_id = (qos > QoS::AtMostOnce).then(|| PacketId::new(9).unwrap());
    Packet::Publish(Publish { qos, packet_id, ..Publish::new("t", "x") })
}

#[tokio::test]
async fn a_packet_may_go_out_in_any_pieces() {
    let broker = Mosquitto::start().await;
    let mut connection = Connection::open(broker.address(), ProtocolVersion::V5).await.unwrap();
    let mut bytes = Vec::new();
    let packet = Packet::Connect(Box::new(connect("pieces")));
    packet.encode(ProtocolVersion::V5, &mut bytes).unwrap();
    for byte in bytes {
        connection.send_raw(&[byte]).await.unwrap();
    }
    let answer = connection.receive_within(PATIENCE).await.unwrap();
    assert!(matches!(answer, Packet::ConnAck(_)), "{answer:?}");
}

#[tokio::test]
async fn nothing_is_acknowledged_unless_asked() {
    let broker = Mosquitto::start().await;
    let (mut connection, _) =
        Connection::connect(broker.address(), connect("silent")).await.unwrap();
    connection.send(&subscribe("t")).await.unwrap();
    connection.receive_within(PATIENCE).await.unwrap();
    connection.send(&publish(QoS::ExactlyOnce)).await.unwrap();
    let pubrec = connection.receive_within(PATIENCE).await.unwrap();
    assert!(matches!(pubrec, Packet::PubRec(_)));
    // No PUBREL went out, so neither PUBCOMP nor the message comes.
    let more = connection.receive_within(Duration::from_millis(100)).await;
    assert!(matches!(more, Err(ConnectionError::TimedOut(_))), "{more:?}");
    connection.acknowledge(&pubrec).await.unwrap();
    connection.set_auto_acknowledge(true);
    let mut types = Vec::new();
    for _ in 0..3 {
        types.push(connection.receive_within(PATIENCE).await.unwrap().packet_type());
    }
    types.sort_by_key(|packet_type| *packet_type as u8);
    use latchlight_mqtt::PacketType::{PubComp, PubRel, Publish};
    assert_eq!(types, [Publish, PubRel, PubComp]);
}

#[tokio::test]
async fn a_receive_that_was_given_up_loses_no_bytes() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut connection = Connection::open(address, ProtocolVersion::V311).await.unwrap();
    let (stream, _) = listener.accept().await.unwrap();
    let mut peer = Connection::from_stream(stream, ProtocolVersion::V311);
    let mut bytes = Vec::new();
    publish(QoS::AtLeastOnce).encode(ProtocolVersion::V311, &mut bytes).unwrap();
    let (start, end) = bytes.split_at(4);
    peer.send_raw(start).await.unwrap();
    let early = connection.receive_within(Duration::from_millis(50)).await;
    assert!(matches!(early, Err(ConnectionError::TimedOut(_))), "{early:?}");
    peer.send_raw(end).await.unwrap();
    assert_eq!(connection.receive_within(PATIENCE).await.unwrap(), publish(QoS::AtLeastOnce));
    peer.send_raw(start).await.unwrap();
    peer.shutdown().await.unwrap();
    let cut = connection.receive_within(PATIENCE).await;
    assert!(matches!(cut, Err(ConnectionError::ClosedInPacket(4))), "{cut:?}");
}

#[tokio::test]
async fn a_server_that_hangs_up_is_seen_with_its_last_packets() {
    let broker = Mosquitto::start().await;
    let (mut connection, _) = Connection::connect(broker.address(), connect("rude")).await.unwrap();
    // A second CONNECT is a protocol error [MQTT-3.1.0-2].
    connection.send(&Packet::Connect(Box::new(connect("rude")))).await.unwrap();
    connection.closed_within(PATIENCE).await.unwrap();
}

#[tokio::test]
async fn a_packet_over_the_limit_is_refused_before_it_is_buffered() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut connection = Connection::open(address, ProtocolVersion::V5).await.unwrap();
    connection.set_max_packet_size(1000);
    let (stream, _) = listener.accept().await.unwrap();
    let mut peer = Connection::from_stream(stream, ProtocolVersion::V5);
    // The header of a PUBLISH of 256 MiB, and nothing of its body.
    peer.send_raw(&[0x30, 0xFF, 0xFF, 0xFF, 0x7F]).await.unwrap();
    let result = connection.receive_within(PATIENCE).await;
    assert!(matches!(result, Err(ConnectionError::Decode(_))), "{result:?}");
}
