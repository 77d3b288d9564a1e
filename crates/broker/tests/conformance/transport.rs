//! What lies below (MQTT 5.0, 4.2 and 6; 3.1.1, 4.2, 6 and 7).

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};

use latchlight_broker::{Listener, WebSocket};
use latchlight_mqtt::{Packet, ProtocolVersion, QoS};

use crate::bytes::{STANDARDS, connect, field, packet, publish, subscribe};
use crate::support::{
    Authority, Client, Packing, TestBroker, VERSIONS, WsClient, exchange, frame, patient, request,
    tls,
};

/// Messages of every QoS, large ones and many, by nothing but the packets of
/// the standard.
///
/// 5.0: [MQTT-4.2.0-1];
/// 3.1.1: [MQTT-7.0.0-2], [MQTT-7.1.1-1].
#[test]
fn tcp_tls_and_websocket_carry_everything_whole_and_in_order() {
    let broker = TestBroker::start();
    for version in VERSIONS {
        let mut reader = Client::connect(broker.address(), version, "reader");
        let mut publisher = Client::connect(broker.address(), ProtocolVersion::V311, "publisher");
        exchange(&mut reader, &mut publisher);
    }
    let authority = Authority::new();
    let listener = Listener::tcp(local()).tls(&tls(authority.server()));
    let address = broker.add_listener(listener).unwrap().address.socket().unwrap();
    for version in VERSIONS {
        let stream = authority.wallet().connect(address).unwrap();
        let mut reader = Client::connect_over(stream, version, "reader");
        let stream = WsClient::connect(websocket(&broker));
        exchange(&mut reader, &mut Client::connect_over(stream, version, "publisher"));
    }
}

fn local() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

fn websocket(broker: &TestBroker) -> SocketAddr {
    let listener = Listener::tcp(local()).websocket(WebSocket::new());
    broker.add_listener(listener).unwrap().address.socket().unwrap()
}

/// 5.0: [MQTT-6.0.0-1];
/// 3.1.1: [MQTT-6.0.0-1].
#[test]
fn a_websocket_frame_that_is_not_binary_closes_the_connection() {
    let broker = TestBroker::start();
    let address = websocket(&broker);
    for version in STANDARDS {
        let connect = connect(version, 0x02, &[field("client")]);
        // The same as text, first and later.
        let mut stream = WsClient::connect(address);
        stream.stream.write_all(&frame(0x81, &connect)).unwrap();
        assert_eq!(stream.read_to_end(&mut Vec::new()).unwrap(), 0);
        let mut stream = WsClient::connect(address);
        stream.write_all(&connect).unwrap();
        stream.read_exact(&mut [0; 4]).unwrap();
        stream.stream.write_all(&frame(0x81, &packet(0xC0, &[]))).unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        assert!(!rest.windows(2).any(|two| two == [0xD0, 0]), "it was not answered");
        // What the server sends is binary: nothing else is taken here.
        let mut client = Client::connect_over(WsClient::connect(address), version, "client");
        client.expect_nothing();
    }
}

/// 5.0: [MQTT-6.0.0-2];
/// 3.1.1: [MQTT-6.0.0-2].
#[test]
fn websocket_frames_and_packets_need_not_begin_together() {
    let broker = TestBroker::start();
    let address = websocket(&broker);
    for version in STANDARDS {
        for packing in
            [Packing::Whole, Packing::Frames(1), Packing::Frames(7), Packing::Fragments(3)]
        {
            let stream = WsClient::connect(address).packed(packing);
            let mut client = Client::new(stream, version);
            let all = [
                connect(version, 0x02, &[field("client")]),
                subscribe(version, 1, "a", 1),
                publish(version, 0x32, "a", 2, "many in one, or one in many"),
                packet(0xC0, &[]),
            ];
            client.send_bytes(&all.concat());
            assert!(matches!(client.next(), Packet::ConnAck(_)));
            assert!(matches!(client.next(), Packet::SubAck(_)));
            let mut rest = [client.next(), client.next(), client.next()];
            rest.sort_by_key(|packet| packet.packet_type() as u8);
            assert!(matches!(rest, [Packet::Publish(_), Packet::PubAck(_), Packet::PingResp]));
            client.publish("b", "x", QoS::ExactlyOnce);
        }
    }
}

/// 5.0: [MQTT-6.0.0-4];
/// 3.1.1: [MQTT-6.0.0-4].
#[test]
fn the_server_chooses_the_subprotocol_mqtt() {
    let broker = TestBroker::start();
    let address = websocket(&broker);
    let good = request("localhost", "");
    let offer = "Sec-WebSocket-Protocol: mqtt\r\n";
    assert!(good.contains(offer));
    // The client looks at what was chosen.
    for offers in ["mqtt", "mqttv3.1, mqtt", "mqtt, chat", "chat,mqtt"] {
        let request = good.replace(offer, &format!("Sec-WebSocket-Protocol: {offers}\r\n"));
        assert!(WsClient::with_request(patient(address), &request).is_ok(), "{offers}");
    }
    for other in ["", "Sec-WebSocket-Protocol: chat\r\n", "Sec-WebSocket-Protocol: mqtts\r\n"] {
        let request = good.replace(offer, other);
        assert!(WsClient::with_request(patient(address), &request).is_err(), "{other}");
    }
}
