//! Sessions whose clients all come back at once.
use std::time::{Duration, Instant};

use latchlight_mqtt::{Disconnect, Packet, PacketType, QoS, ReasonCode, encode_ack};

use super::acknowledged::publish_all;
use crate::flow::run_name;
use crate::meter::Meter;
use crate::outcome::{self, Outcome};
use crate::packets::{Incoming, STAMP, Stamp, Template};
use crate::pool::{Client, Pool};
use crate::scale::Scale;
use crate::tally::{Spread, Tally};
use crate::target::Target;

const CLIENTS: usize = 1_000;
const PAYLOAD: usize = 64;
const WINDOW: u64 = 50;
const QOS: QoS = QoS::AtLeastOnce;
const STALL: Duration = Duration::from_secs(20);
const WAIT: Duration = Duration::from_millis(100);

pub(super) fn reconnect(target: &Target, scale: &Scale) -> anyhow::Result<Outcome> {
    let storm =
        Storm { name: run_name(), clients: scale.clients(CLIENTS), each: scale.messages(10) };
    let mut pool = Pool::new(target)?;
    let clients = |number| storm.client(number);
    pool.connect((0..storm.clients).map(clients))?;
    let filters = |number| (number, vec![storm.topic(number)]);
    pool.subscribe((0..storm.clients).map(filters), QOS)?;
    for number in 0..storm.clients {
        pool.send(number, &Packet::Disconnect(Disconnect::new(ReasonCode::Success)))?;
    }
    storm.wait_until_gone(&mut pool)?;
    storm.publish(target)?;
    let mut outcome = Outcome::default();
    storm.come_back(&mut pool, &mut outcome)?;
    Ok(outcome)
}

struct Storm {
    name: String,
    clients: usize,
    each: u64,
}

impl Storm {
    fn client(&self, number: usize) -> Client {
        Client { clean_start: false, ..Client::new(format!("{}-{number}", self.name)) }
    }

    fn topic(&self, number: usize) -> String {
        format!("bench/{}/{number}", self.name)
    }

    /// The broker closes what said DISCONNECT.
    fn wait_until_gone(&self, pool: &mut Pool) -> anyhow::Result<()> {
        let begin = Instant::now();
        while pool.closed().is_none_or(|(count, _)| count < self.clients) {
            pool.turn(WAIT, |_, _, _| {})?;
            if begin.elapsed() > STALL {
                anyhow::bail!("the broker does not close connections that said DISCONNECT");
            }
        }
        Ok(())
    }

    /// Messages for all who are away.
    fn publish(&self, target: &Target) -> anyhow::Result<()> {
        let mut pool = Pool::new(target)?;
        pool.connect([Client::new(format!("{}-p", self.name))])?;
        let templates = (0..self.clients)
            .map(|number| Template::new(target.version, &self.topic(number), QOS, false, PAYLOAD));
        let mut templates: Vec<Template> = templates.collect::<anyhow::Result<_>>()?;
        let clients = self.clients as u64;
        publish_all(&mut pool, 0, WINDOW, self.each * clients, |sent, out| {
            let (round, number) = (sent / clients, sent % clients);
            let stamp = Stamp { publisher: 0, number: round as u32, nanos: 0 };
            templates[number as usize].put(stamp, out);
            Ok(())
        })
    }

    /// All at once; a client's latency is the time from then until it has all it is owed.
    fn come_back(&self, pool: &mut Pool, outcome: &mut Outcome) -> anyhow::Result<()> {
        let version = pool.target().version;
        let mut tally = Tally::new(Spread::Each, self.clients, PAYLOAD.max(STAMP));
        let mut owed = vec![self.each; self.clients];
        let mut latencies = outcome::latencies();
        let mut without_session = 0;
        let expected = self.each * self.clients as u64;
        let meter = Meter::start(pool.target().pid)?;
        let (begin, mut last) = (meter.begin(), meter.begin());
        for number in 0..self.clients {
            pool.begin_again(number, &self.client(number))?;
        }
        while tally.received() < expected && last.elapsed() < STALL {
            pool.turn(WAIT, |number, incoming, out| match incoming {
                Incoming::Connected { session_present } => {
                    without_session += usize::from(!session_present);
                }
                Incoming::Publish(publish) => {
                    last = Instant::now();
                    if let Some(id) = publish.packet_id {
                        encode_ack(PacketType::PubAck, id, ReasonCode::Success, version, out);
                    }
                    if tally.record(number, publish.payload, 0).is_some() {
                        owed[number] -= 1;
                        if owed[number] == 0 {
                            latencies.saturating_record(begin.elapsed().as_nanos() as u64);
                        }
                    }
                }
                _ => {}
            })?;
        }
        meter.stop(tally.received(), last, outcome)?;
        tally.judge(expected, false, outcome);
        outcome.require(without_session == 0, || {
            format!("{without_session} of {} sessions were gone", self.clients)
        });
        outcome.set_latencies(&latencies);
        Ok(())
    }
}
