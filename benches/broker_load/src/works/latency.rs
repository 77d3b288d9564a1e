//! How long a message takes: alone, and among others at a steady rate.
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use latchlight_mqtt::{
    Framing, Packet, PacketId, PacketType, ProtocolVersion, QoS, ReasonCode, encode_ack, frame,
};

use crate::flow::{Flow, Limit, Route, run_name};
use crate::meter::Meter;
use crate::outcome::{self, Outcome};
use crate::packets::{self, Incoming, Stamp, Template};
use crate::scale::Scale;
use crate::target::{Target, Transport};

const QOS: QoS = QoS::AtLeastOnce;
const TIMEOUT: Duration = Duration::from_secs(20);

pub(super) fn one_at_a_time(target: &Target, scale: &Scale) -> anyhow::Result<Outcome> {
    alone(target, scale.messages(20_000), true)
}

pub(super) fn durable(target: &Target, scale: &Scale) -> anyhow::Result<Outcome> {
    alone(target, scale.messages(2_000), false)
}

pub(super) fn paced(target: &Target, scale: &Scale) -> anyhow::Result<Outcome> {
    let count = scale.clients(10);
    let flow = Flow::new(Route::Pairs, count, count, QOS);
    let messages = scale.messages(10_000);
    Flow { messages, limit: Limit::PerSecond(2_000.0), ..flow }.run(target)
}

/// One message at a time, over sockets that block: nothing of the generator is between the
/// broker's write and the clock but the system call. The next message waits for both its delivery
/// and its PUBACK; a tenth more goes before, uncounted.
fn alone(target: &Target, messages: u64, clean_start: bool) -> anyhow::Result<Outcome> {
    let name = run_name();
    let topic = format!("bench/{name}/0");
    let mut subscriber = Blocking::connect(target, &format!("{name}-s"), clean_start)?;
    subscriber.send(&packets::subscribe([topic.as_str()], QOS)?)?;
    subscriber.hear()?;
    let mut publisher = Blocking::connect(target, &format!("{name}-p"), true)?;
    let mut template = Template::new(target.version, &topic, QOS, false, 64)?;
    let mut outcome = Outcome::default();
    let mut histogram = outcome::latencies();
    let mut meter = Meter::start(target.pid)?;
    let mut packet = Vec::new();
    let before = messages / 10;
    for number in 0..before + messages {
        if number == before {
            meter = Meter::start(target.pid)?;
        }
        packet.clear();
        template.put(Stamp { publisher: 0, number: number as u32, nanos: 0 }, &mut packet);
        let begin = Instant::now();
        publisher.socket.write_all(&packet).context("publish")?;
        let heard = subscriber.hear()?;
        let took = begin.elapsed();
        if heard.stamp.map(|stamp| stamp.number) != Some(number as u32) {
            bail!("message {number} was published, and heard {:?}", heard.stamp);
        }
        if let Some(id) = heard.packet_id {
            subscriber.acknowledge(id)?;
        }
        publisher.hear()?;
        if number >= before {
            histogram.saturating_record(u64::try_from(took.as_nanos())?);
        }
    }
    meter.stop(messages, Instant::now(), &mut outcome)?;
    outcome.set_latencies(&histogram);
    Ok(outcome)
}

/// A connection whose calls wait.
struct Blocking {
    socket: TcpStream,
    version: ProtocolVersion,
    part: Vec<u8>,
}

/// What it heard: a message's stamp and id, or neither.
struct Heard {
    stamp: Option<Stamp>,
    packet_id: Option<PacketId>,
}

impl Blocking {
    fn connect(target: &Target, id: &str, clean_start: bool) -> anyhow::Result<Self> {
        if !matches!(target.transport, Transport::Plain) {
            bail!("latency is measured over plain TCP only");
        }
        let socket = TcpStream::connect(target.address).context("connect")?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(TIMEOUT))?;
        let mut connection = Self { socket, version: target.version, part: Vec::new() };
        connection.send(&packets::connect(target.version, id, clean_start))?;
        connection.hear()?;
        Ok(connection)
    }

    fn send(&mut self, packet: &Packet) -> anyhow::Result<()> {
        let mut bytes = Vec::new();
        packet.encode(self.version, &mut bytes).context("encode a packet")?;
        self.socket.write_all(&bytes).context("send a packet")
    }

    fn acknowledge(&mut self, id: PacketId) -> anyhow::Result<()> {
        let mut bytes = Vec::new();
        encode_ack(PacketType::PubAck, id, ReasonCode::Success, self.version, &mut bytes);
        self.socket.write_all(&bytes).context("acknowledge")
    }

    /// Waits for the next packet.
    fn hear(&mut self) -> anyhow::Result<Heard> {
        let mut buffer = [0; 4096];
        loop {
            if let Framing::Complete(header) = frame(&self.part, usize::MAX)? {
                let packet = &self.part[..header.total_len()];
                let heard = match Incoming::decode(&header, packet, self.version)? {
                    Some(Incoming::Publish(publish)) => {
                        Heard { stamp: Stamp::read(publish.payload), packet_id: publish.packet_id }
                    }
                    _ => Heard { stamp: None, packet_id: None },
                };
                self.part.drain(..header.total_len());
                return Ok(heard);
            }
            match self.socket.read(&mut buffer).context("wait for a packet")? {
                0 => bail!("the broker closed the connection"),
                count => self.part.extend_from_slice(&buffer[..count]),
            }
        }
    }
}
