//! A broker that is driven step by step, and clients over its in-memory
//! listener.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use latchlight_broker::testing::StillBroker;
use latchlight_broker::{
    AllowAll, Broker, Listener, MemoryConnector, MemoryStream, Options, Packet, PacketId,
    ProtocolVersion, QoS,
};
use latchlight_mqtt::{
    Connect, Publish, Subscribe, SubscribeFilter, SubscriptionOptions, TopicFilter,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::probe::counted;

/// A broker with its shipped defaults, and how it is reached.
pub struct Bed {
    still: StillBroker,
    connector: MemoryConnector,
}

impl Bed {
    pub fn new() -> Self {
        let (listener, connector) = Listener::memory();
        let options = Options { threads: 1, max_connects_per_client: 0, ..Options::default() };
        let builder = Broker::builder().options(options).access(AllowAll).listener(listener);
        let still = StillBroker::serve(builder, 1_700_000_000_000).expect("a broker starts");
        Self { still, connector }
    }

    /// Lets the broker do what there is to do.
    pub fn settle(&self) {
        self.still.settle();
    }

    /// The same, counted.
    pub fn settle_counted(&self) {
        counted(&mut || self.still.settle());
    }

    /// The same, counted but for the first round, in which buffers and routes
    /// are made.
    pub fn settle_in_round(&self, round: usize) {
        if round == 0 { self.settle() } else { self.settle_counted() }
    }

    /// A connection on which nothing was said yet.
    pub fn dial(&self, version: ProtocolVersion) -> Peer {
        let stream = self.still.connect(&self.connector).expect("the listener is there");
        Peer { stream, version }
    }

    /// A client that was let in.
    pub fn client(&self, version: ProtocolVersion, id: &str) -> Peer {
        let mut client = self.dial(version);
        client.send(&Packet::Connect(Box::new(Connect::new(version, id))));
        self.settle();
        assert_eq!(client.read().first(), Some(&0x20), "the client is let in");
        client
    }

    /// The same with a subscription.
    pub fn reader(&self, version: ProtocolVersion, id: &str, filter: &str, qos: QoS) -> Peer {
        let mut client = self.client(version, id);
        client.send(&subscribe(&[filter], qos));
        self.settle();
        assert_eq!(client.read().first(), Some(&0x90), "the subscription is taken");
        client
    }
}

/// A client's end.
pub struct Peer {
    stream: MemoryStream,
    version: ProtocolVersion,
}

impl Peer {
    pub fn send(&mut self, packet: &Packet) {
        self.write(&encoded(packet, self.version));
    }

    /// Writes what must fit into the pipe.
    pub fn write(&mut self, bytes: &[u8]) {
        let mut context = Context::from_waker(Waker::noop());
        let written = Pin::new(&mut self.stream).poll_write(&mut context, bytes);
        let Poll::Ready(Ok(written)) = written else { panic!("the pipe takes nothing") };
        assert_eq!(written, bytes.len(), "all of it fits");
    }

    /// What there is to read.
    pub fn read(&mut self) -> Vec<u8> {
        let mut context = Context::from_waker(Waker::noop());
        let mut all = vec![0; 64 * 1024];
        let mut buffer = ReadBuf::new(&mut all);
        match Pin::new(&mut self.stream).poll_read(&mut context, &mut buffer) {
            Poll::Ready(Err(error)) => panic!("read: {error}"),
            Poll::Ready(Ok(())) | Poll::Pending => {}
        }
        let read = buffer.filled().len();
        all.truncate(read);
        all
    }

    /// Reads what there is, which is to be so many bytes.
    pub fn expect(&mut self, bytes: usize) {
        assert_eq!(self.read().len(), bytes);
    }
}

pub fn encoded(packet: &Packet, version: ProtocolVersion) -> Vec<u8> {
    let mut bytes = Vec::new();
    packet.encode(version, &mut bytes).expect("the packet is encodable");
    bytes
}

pub fn subscribe(filters: &[impl AsRef<str>], qos: QoS) -> Packet {
    let filters = filters.iter().map(|filter| SubscribeFilter {
        filter: TopicFilter::try_from(filter.as_ref()).expect("a filter"),
        options: SubscriptionOptions::qos(qos),
    });
    Packet::Subscribe(Subscribe {
        packet_id: PacketId::MIN,
        filters: filters.collect(),
        properties: Default::default(),
    })
}

/// A message of so many bytes; its packet id does not matter at QoS 0.
pub fn publish(topic: &str, payload: usize, qos: QoS, id: u16) -> Publish {
    let mut publish = Publish::new(topic, vec![b'x'; payload]);
    publish.qos = qos;
    publish.packet_id = PacketId::new(id).filter(|_| qos != QoS::AtMostOnce);
    publish
}
