//! One connection, as its client holds it: bytes and packets.

use std::collections::{HashMap, HashSet};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use latchlight_broker::MemoryStream;
use latchlight_mqtt::{Framing, Packet, ProtocolVersion, Publish, frame};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::op::Hello;

pub(crate) struct Peer {
    stream: MemoryStream,
    pub(crate) hello: Hello,
    /// When it began, in ms.
    pub(crate) since: u64,
    /// What waits to be sent.
    output: Vec<u8>,
    /// What came and is no whole packet yet.
    input: Vec<u8>,
    /// CONNACK came, and was a success.
    pub(crate) is_in: bool,
    /// Nothing comes any more.
    pub(crate) is_over: bool,
    /// The server has said DISCONNECT.
    pub(crate) is_told: bool,
    /// The client has said DISCONNECT.
    pub(crate) has_said: bool,
    /// What was asked and not answered, by packet id.
    pub(crate) asked: HashMap<u16, Asked>,
    /// Messages of QoS 1 and 2 that came and are not finished here.
    pub(crate) in_flight: HashSet<u16>,
    pub(crate) aliases: HashMap<u16, String>,
    pub(crate) own_aliases: HashMap<u16, usize>,
    /// What the server allows.
    pub(crate) receive_maximum: usize,
    pub(crate) topic_alias_maximum: u16,
    /// For each PINGREQ, how many messages were published before.
    pub(crate) pings: std::collections::VecDeque<Vec<u32>>,
    pub(crate) unconfirmed: Vec<u32>,
    /// The will that it has left, as a number of a message.
    pub(crate) will: Option<u32>,
}

/// What SUBACK or UNSUBACK will answer.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Asked {
    /// The number of the subscription.
    Subscribe(usize),
    Unsubscribe(usize),
}

impl Peer {
    pub(crate) fn new(stream: MemoryStream, hello: Hello, since: u64) -> Self {
        Self {
            stream,
            hello,
            since,
            output: Vec::new(),
            input: Vec::new(),
            is_in: false,
            is_over: false,
            is_told: false,
            has_said: false,
            asked: HashMap::new(),
            in_flight: HashSet::new(),
            aliases: HashMap::new(),
            own_aliases: HashMap::new(),
            receive_maximum: usize::from(u16::MAX),
            topic_alias_maximum: 0,
            pings: Default::default(),
            unconfirmed: Vec::new(),
            will: None,
        }
    }

    pub(crate) fn version(&self) -> ProtocolVersion {
        self.hello.version
    }

    /// Whether the client may say more.
    pub(crate) fn is_open(&self) -> bool {
        self.is_in && !self.is_over && !self.is_told && !self.has_said
    }

    pub(crate) fn send(&mut self, packet: &Packet) {
        packet.encode(self.version(), &mut self.output).expect("a client's packet is encodable");
        self.write();
    }

    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        self.output.extend_from_slice(bytes);
        self.write();
    }

    /// Writes what fits; true if something did.
    pub(crate) fn write(&mut self) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        let mut progress = false;
        while !self.output.is_empty() {
            let stream = Pin::new(&mut self.stream);
            match stream.poll_write(&mut context, &self.output) {
                Poll::Ready(Ok(written)) => {
                    self.output.drain(..written);
                    progress = true;
                }
                // What comes from there may still be read.
                Poll::Ready(Err(_)) => self.output.clear(),
                Poll::Pending => break,
            }
        }
        progress
    }

    /// The topic of what comes, also by its alias.
    pub(crate) fn topic_of(&mut self, publish: &Publish) -> String {
        let topic = publish.topic.to_string();
        let Some(alias) = publish.properties.topic_alias else { return topic };
        // [MQTT-3.1.2-26]
        assert!((1..=self.hello.alias_maximum).contains(&alias), "alias {alias}");
        if topic.is_empty() {
            return self.aliases[&alias].clone();
        }
        self.aliases.insert(alias, topic.clone());
        topic
    }

    /// Reads what there is; gives its packets, as they came.
    pub(crate) fn read(&mut self) -> Vec<(usize, Packet)> {
        self.read_bytes();
        let mut packets = Vec::new();
        loop {
            let framing = frame(&self.input, usize::MAX).expect("the broker's packets are framed");
            let Framing::Complete(header) = framing else { return packets };
            let bytes: Vec<u8> = self.input.drain(..header.total_len()).collect();
            let size = bytes.len();
            let packet = Packet::decode(bytes.into(), self.version());
            packets.push((size, packet.expect("the broker's packets are valid")));
        }
    }

    /// Reads what there is and does not look at it; true if something came.
    pub(crate) fn read_over(&mut self) -> bool {
        self.read_bytes();
        let any = !self.input.is_empty();
        self.input.clear();
        any
    }

    fn read_bytes(&mut self) {
        let mut context = Context::from_waker(Waker::noop());
        let mut chunk = [0; 4096];
        while !self.is_over {
            let mut buffer = ReadBuf::new(&mut chunk);
            match Pin::new(&mut self.stream).poll_read(&mut context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    self.input.extend_from_slice(buffer.filled());
                }
                Poll::Ready(_) => self.is_over = true,
                Poll::Pending => break,
            }
        }
    }
}
