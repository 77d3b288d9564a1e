//! Retained messages, all of them for each new subscriber.
use std::time::{Duration, Instant};

use latchlight_mqtt::{Packet, PacketId, Publish, QoS};

use super::acknowledged::publish_all;
use crate::flow::run_name;
use crate::meter::Meter;
use crate::outcome::{Figure, Outcome};
use crate::packets::{self, Incoming, STAMP, Stamp, Template};
use crate::pool::{Client, Pool};
use crate::scale::Scale;
use crate::tally::{Spread, Tally};
use crate::target::Target;

const SUBSCRIBERS: usize = 20;
const PAYLOAD: usize = 64;
/// How many publishes are unacknowledged while the messages are laid down.
const WINDOW: u64 = 20;
const STALL: Duration = Duration::from_secs(10);
const WAIT: Duration = Duration::from_millis(100);

pub(super) fn storm(target: &Target, scale: &Scale) -> anyhow::Result<Outcome> {
    let name = run_name();
    let mut outcome = Outcome::default();
    let mut pool = Pool::new(target)?;
    let subscribers = (0..SUBSCRIBERS).map(|number| format!("{name}-s{number}"));
    pool.connect(subscribers.chain([format!("{name}-p")]).map(Client::new))?;
    let messages = scale.messages(10_000);
    let topic = |number| format!("bench/{name}/{number}");
    publish_all(&mut pool, SUBSCRIBERS, WINDOW, messages, |number, out| {
        let qos = QoS::AtLeastOnce;
        let mut template = Template::new(target.version, &topic(number), qos, true, PAYLOAD)?;
        template.put(Stamp { publisher: 0, number: number as u32, nanos: 0 }, out);
        Ok(())
    })?;
    collect(&mut pool, &name, messages, &mut outcome)?;
    // An empty payload takes a retained message away (MQTT 5, 3.3.1.3).
    publish_all(&mut pool, SUBSCRIBERS, WINDOW, messages, |number, out| {
        let publish = Publish {
            qos: QoS::AtLeastOnce,
            retain: true,
            packet_id: Some(PacketId::MIN),
            ..Publish::new(topic(number).as_str(), "")
        };
        Ok(Packet::Publish(publish).encode(target.version, out)?)
    })?;
    Ok(outcome)
}

/// All subscribe at once and get everything.
fn collect(
    pool: &mut Pool,
    name: &str,
    messages: u64,
    outcome: &mut Outcome,
) -> anyhow::Result<()> {
    let subscribe = packets::subscribe([format!("bench/{name}/+").as_str()], QoS::AtMostOnce)?;
    // In which order they come is the broker's choice: each once is what counts.
    let mut tallies: Vec<Tally> =
        (0..SUBSCRIBERS).map(|_| Tally::new(Spread::One, 1, PAYLOAD.max(STAMP))).collect();
    let received = |tallies: &[Tally]| tallies.iter().map(Tally::received).sum::<u64>();
    let expected = messages * SUBSCRIBERS as u64;
    let meter = Meter::start(pool.target().pid)?;
    let mut last = meter.begin();
    for number in 0..SUBSCRIBERS {
        pool.send(number, &subscribe)?;
    }
    while received(&tallies) < expected && last.elapsed() < STALL {
        pool.turn(WAIT, |number, incoming, _| {
            if let (Incoming::Publish(publish), Some(tally)) = (incoming, tallies.get_mut(number)) {
                tally.record(0, publish.payload, 0);
                last = Instant::now();
            }
        })?;
    }
    meter.stop(received(&tallies), last, outcome)?;
    let mut lost = 0.0;
    for tally in &tallies {
        tally.judge(messages, true, outcome);
        lost += outcome.get(Figure::Lost).unwrap_or_default();
    }
    outcome.set(Figure::Lost, lost);
    Ok(())
}
