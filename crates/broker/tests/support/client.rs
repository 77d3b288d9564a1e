//! A client that is nothing but packets: it sends what a test tells it to and
//! acknowledges nothing by itself.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use latchlight_mqtt::{
    ConnAck, Connect, Disconnect, Framing, Packet, PacketId, Properties, ProtocolVersion, PubAck,
    PubComp, PubRec, PubRel, Publish, QoS, ReasonCode, SubAck, Subscribe, SubscribeFilter,
    SubscriptionOptions, TopicFilter, UnsubAck, Unsubscribe, frame,
};

/// Longer than anything takes that works.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// One connection to a broker, by TCP or by another way.
pub struct Client<S = TcpStream> {
    stream: S,
    received: Vec<u8>,
    version: ProtocolVersion,
    next_id: u16,
}

impl Client {
    /// A connection on which nothing was said yet.
    pub fn open(address: SocketAddr, version: ProtocolVersion) -> Self {
        Self::over(TcpStream::connect(address).unwrap(), version)
    }

    /// The same over a stream of the test's own making.
    pub fn over(stream: TcpStream, version: ProtocolVersion) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self::new(stream, version)
    }

    /// Says CONNECT and gives what was answered, success or not.
    pub fn try_connect(address: SocketAddr, connect: Connect) -> (Self, ConnAck) {
        Self::open(address, connect.version).say_connect(connect)
    }

    /// Says CONNECT, and is let in.
    pub fn connect_with(address: SocketAddr, connect: Connect) -> (Self, ConnAck) {
        let (client, connack) = Self::try_connect(address, connect);
        assert_eq!(connack.reason, ReasonCode::Success);
        (client, connack)
    }

    /// A clean start under this client id.
    pub fn connect(address: SocketAddr, version: ProtocolVersion, client_id: &str) -> Self {
        Self::connect_with(address, Connect::new(version, client_id)).0
    }

    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Another handle of the same connection, to send by from another thread.
    pub fn second_handle(&self) -> Self {
        Self::over(self.stream.try_clone().unwrap(), self.version)
    }

    /// Goes without goodbye: the network is gone.
    pub fn vanish(self) {
        let socket = socket2::SockRef::from(&self.stream);
        socket.set_linger(Some(Duration::ZERO)).unwrap();
    }

    /// Ends its own direction of the connection, and reads on.
    pub fn finish_sending(&mut self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// The same where the server may have closed already.
    pub fn finish_sending_if_open(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }
}

impl<S: Read + Write> Client<S> {
    /// A connection on which nothing was said yet, by a stream that gives up
    /// by itself.
    pub fn new(stream: S, version: ProtocolVersion) -> Self {
        Self { stream, received: Vec::new(), version, next_id: 0 }
    }

    /// The same, then a clean start under this client id.
    pub fn connect_over(stream: S, version: ProtocolVersion, client_id: &str) -> Self {
        let connect = Connect::new(version, client_id);
        let (client, connack) = Self::new(stream, version).say_connect(connect);
        assert_eq!(connack.reason, ReasonCode::Success);
        client
    }

    /// Says CONNECT and gives what was answered, success or not.
    pub fn say_connect(mut self, connect: Connect) -> (Self, ConnAck) {
        self.send(Packet::Connect(Box::new(connect)));
        match self.next() {
            Packet::ConnAck(connack) => (self, *connack),
            other => panic!("expected CONNACK, received {other:?}"),
        }
    }

    /// Sends a packet.
    pub fn send(&mut self, packet: Packet) {
        self.send_together([packet]);
    }

    /// Sends packets at once.
    pub fn send_together(&mut self, packets: impl IntoIterator<Item = Packet>) {
        let mut bytes = Vec::new();
        for packet in packets {
            packet.encode(self.version, &mut bytes).unwrap();
        }
        self.send_bytes(&bytes);
    }

    pub fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Sends a packet, unless the other end has closed.
    pub fn try_send(&mut self, packet: Packet) {
        let mut bytes = Vec::new();
        packet.encode(self.version, &mut bytes).unwrap();
        self.try_send_bytes(&bytes);
    }

    /// Sends what it can: the other end may close meanwhile.
    pub fn try_send_bytes(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Sends this, and says whether the connection took it.
    pub fn is_open_for(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// The next packet; nothing at the end of the connection.
    pub fn try_next(&mut self) -> Option<Packet> {
        let bytes = self.try_next_bytes()?;
        Some(Packet::decode(bytes.into(), self.version).unwrap())
    }

    /// The bytes of the next packet.
    pub fn next_bytes(&mut self) -> Vec<u8> {
        self.try_next_bytes().expect("the connection is open")
    }

    /// The same; nothing at the end of the connection.
    pub fn try_next_bytes(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Framing::Complete(header) = frame(&self.received, usize::MAX).unwrap() {
                return Some(self.received.drain(..header.total_len()).collect());
            }
            let mut chunk = [0; 16 * 1024];
            match self.stream.read(&mut chunk) {
                Ok(0) => return None,
                Ok(count) => self.received.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("nothing came: {error}"),
            }
        }
    }

    /// The next packet of a connection that may end within one.
    pub fn try_next_of_broken(&mut self) -> Option<Packet> {
        loop {
            if let Framing::Complete(_) = frame(&self.received, usize::MAX).unwrap() {
                return self.try_next();
            }
            let mut chunk = [0; 16 * 1024];
            match self.stream.read(&mut chunk) {
                Ok(count) if count > 0 => self.received.extend_from_slice(&chunk[..count]),
                _ => return None,
            }
        }
    }

    /// The next packet.
    pub fn next(&mut self) -> Packet {
        self.try_next().expect("the connection is open")
    }

    /// The next packet, which is a PUBLISH.
    pub fn next_publish(&mut self) -> Publish {
        match self.next() {
            Packet::Publish(publish) => publish,
            other => panic!("expected PUBLISH, received {other:?}"),
        }
    }

    /// The next PUBLISH, as topic and payload.
    pub fn next_message(&mut self) -> (String, String) {
        let publish = self.next_publish();
        let payload = String::from_utf8(publish.payload.to_vec()).unwrap();
        (publish.topic.to_string(), payload)
    }

    /// Nothing has been sent to this client: the answer to a ping is the next
    /// packet.
    pub fn expect_nothing(&mut self) {
        self.send(Packet::PingReq);
        assert_eq!(self.next(), Packet::PingResp);
    }

    /// Passes over what was sent to this client until now.
    pub fn drain(&mut self) {
        self.send(Packet::PingReq);
        while self.next() != Packet::PingResp {}
    }

    /// The server closes; before that, in MQTT 5, it says why.
    pub fn expect_disconnect(&mut self, reason: ReasonCode) {
        if self.version.is_v5() {
            match self.try_next() {
                Some(Packet::Disconnect(disconnect)) => assert_eq!(disconnect.reason, reason),
                other => panic!("expected DISCONNECT {reason:?}, received {other:?}"),
            }
        }
        self.expect_closed();
    }

    /// The server closes without another word.
    pub fn expect_closed(&mut self) {
        let packet = self.try_next();
        assert!(packet.is_none(), "expected the end, received {packet:?}");
    }

    pub fn next_id(&mut self) -> PacketId {
        self.next_id += 1;
        PacketId::new(self.next_id).unwrap()
    }

    /// Subscribes and gives what was answered.
    pub fn try_subscribe(&mut self, filter: &str, options: SubscriptionOptions) -> ReasonCode {
        self.subscribe_with(filter, options, Properties::new()).reasons[0]
    }

    /// Subscribes and gives the SUBACK, which is the next packet.
    pub fn subscribe_with(
        &mut self,
        filter: &str,
        options: SubscriptionOptions,
        properties: Properties,
    ) -> SubAck {
        let packet_id = self.next_id();
        let filter = TopicFilter::try_from(filter).unwrap();
        let filters = vec![SubscribeFilter { filter, options }];
        self.send(Packet::Subscribe(Subscribe { packet_id, filters, properties }));
        match self.next() {
            Packet::SubAck(suback) => {
                // [MQTT-3.8.4-2]
                assert_eq!(suback.packet_id, packet_id);
                suback
            }
            other => panic!("expected SUBACK, received {other:?}"),
        }
    }

    /// Subscribes, and is granted the QoS that it asks for.
    pub fn subscribe(&mut self, filter: &str, qos: QoS) {
        let reason = self.try_subscribe(filter, SubscriptionOptions::qos(qos));
        assert_eq!(reason.code(), qos as u8, "{filter} at {qos:?}");
    }

    pub fn unsubscribe(&mut self, filter: &str) -> UnsubAck {
        let packet_id = self.next_id();
        let filters = vec![TopicFilter::try_from(filter).unwrap()];
        let properties = Properties::new();
        self.send(Packet::Unsubscribe(Unsubscribe { packet_id, filters, properties }));
        match self.next() {
            Packet::UnsubAck(unsuback) => unsuback,
            other => panic!("expected UNSUBACK, received {other:?}"),
        }
    }

    /// Publishes and waits until the broker has taken it; gives its reason.
    pub fn publish(&mut self, topic: &str, payload: &str, qos: QoS) -> ReasonCode {
        let publish = Publish { qos, ..Publish::new(topic, payload.to_owned()) };
        self.publish_packet(publish)
    }

    /// Publishes with RETAIN set.
    pub fn publish_retained(&mut self, topic: &str, payload: &str, qos: QoS) -> ReasonCode {
        let publish = Publish { qos, retain: true, ..Publish::new(topic, payload.to_owned()) };
        self.publish_packet(publish)
    }

    /// Publishes this packet, under an id of its own, and waits until the
    /// broker has taken it: after QoS 0 that is when a ping is answered.
    pub fn publish_packet(&mut self, mut publish: Publish) -> ReasonCode {
        let qos = publish.qos;
        if qos != QoS::AtMostOnce && publish.packet_id.is_none() {
            publish.packet_id = Some(self.next_id());
        }
        self.send(Packet::Publish(publish.clone()));
        match qos {
            QoS::AtMostOnce => {
                self.expect_nothing();
                ReasonCode::Success
            }
            QoS::AtLeastOnce => self.next_puback(publish.packet_id.unwrap()),
            QoS::ExactlyOnce => self.finish_exactly_once(publish.packet_id.unwrap()),
        }
    }

    pub fn next_puback(&mut self, id: PacketId) -> ReasonCode {
        match self.next() {
            Packet::PubAck(ack) if ack.packet_id == id => ack.reason,
            other => panic!("expected PUBACK {id:?}, received {other:?}"),
        }
    }

    pub fn next_pubrec(&mut self, id: PacketId) -> ReasonCode {
        match self.next() {
            Packet::PubRec(ack) if ack.packet_id == id => ack.reason,
            other => panic!("expected PUBREC {id:?}, received {other:?}"),
        }
    }

    pub fn next_pubrel(&mut self, id: PacketId) -> ReasonCode {
        match self.next() {
            Packet::PubRel(ack) if ack.packet_id == id => ack.reason,
            other => panic!("expected PUBREL {id:?}, received {other:?}"),
        }
    }

    pub fn next_pubcomp(&mut self, id: PacketId) -> ReasonCode {
        match self.next() {
            Packet::PubComp(ack) if ack.packet_id == id => ack.reason,
            other => panic!("expected PUBCOMP {id:?}, received {other:?}"),
        }
    }

    fn finish_exactly_once(&mut self, id: PacketId) -> ReasonCode {
        let reason = self.next_pubrec(id);
        if !reason.is_error() {
            self.pubrel(id);
            assert_eq!(self.next_pubcomp(id), ReasonCode::Success);
        }
        reason
    }

    pub fn puback(&mut self, id: PacketId) {
        self.send(Packet::PubAck(PubAck::new(id, ReasonCode::Success)));
    }

    pub fn pubrec(&mut self, id: PacketId) {
        self.send(Packet::PubRec(PubRec::new(id, ReasonCode::Success)));
    }

    pub fn pubrel(&mut self, id: PacketId) {
        self.send(Packet::PubRel(PubRel::new(id, ReasonCode::Success)));
    }

    pub fn pubcomp(&mut self, id: PacketId) {
        self.send(Packet::PubComp(PubComp::new(id, ReasonCode::Success)));
    }

    /// Acknowledges a received message to the end of its QoS.
    pub fn acknowledge(&mut self, publish: &Publish) {
        match (publish.qos, publish.packet_id) {
            (QoS::AtLeastOnce, Some(id)) => self.puback(id),
            (QoS::ExactlyOnce, Some(id)) => {
                self.pubrec(id);
                self.next_pubrel(id);
                self.pubcomp(id);
            }
            _ => {}
        }
    }

    /// Says goodbye, and waits until the server has closed.
    pub fn disconnect(self) {
        self.disconnect_with(Disconnect::new(ReasonCode::Success));
    }

    pub fn disconnect_with(mut self, disconnect: Disconnect) {
        self.send(Packet::Disconnect(disconnect));
        while self.try_next().is_some() {}
    }

    /// Reads what there is, whatever it is, until the server closes.
    pub fn read_to_end(&mut self) {
        let mut chunk = [0; 4096];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return,
                Err(error) => panic!("the server does not close: {error}"),
            }
        }
    }
}
