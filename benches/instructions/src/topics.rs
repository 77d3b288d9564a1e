//! Looking up who gets a message: on topics that the thread has in its cache,
//! and that it has not, among few filters and many.

use latchlight_broker::{Packet, ProtocolVersion, QoS};

use crate::bed::{Bed, Peer, encoded, publish, subscribe};
use crate::probe::Probe;

const V311: ProtocolVersion = ProtocolVersion::V311;

/// What one client may have at the most.
const FILTERS_OF_ONE: usize = 10_000;

/// How many filters a SUBSCRIBE has.
const TOGETHER: usize = 1000;

/// How many topics are published to.
const TOPICS: usize = 200;

pub fn run(probe: &mut Probe) {
    for filters in [10, 10_000, 1_000_000] {
        let new = format!("QoS 0, 1 → 1, a new topic among {filters} filters");
        let cached = format!("QoS 0, 1 → 1, a known topic among {filters} filters");
        if probe.wants(&[&new, &cached]) {
            among(probe, filters, [&new, &cached]);
        }
    }
}

/// The topic that filter `n` is for: a thousand devices at a place.
fn topic(n: usize) -> String {
    format!("places/place-{}/devices/device-{n}/state", n / 1000)
}

/// Mostly exact, some with wildcards, some shared.
fn filter(n: usize) -> String {
    let place = n / 1000;
    match n % 20 {
        0..=13 => topic(n),
        14..=16 => format!("places/place-{place}/+/device-{n}/state"),
        17 | 18 => format!("places/place-{place}/devices/device-{n}/#"),
        _ => format!("$share/group/{}", topic(n)),
    }
}

fn among(probe: &mut Probe, filters: usize, [new, cached]: [&str; 2]) {
    let bed = Bed::new();
    let mut readers: Vec<Peer> = Vec::new();
    for first in (0..filters).step_by(FILTERS_OF_ONE) {
        let mut reader = bed.client(V311, &format!("reader-{first}"));
        let end = filters.min(first + FILTERS_OF_ONE);
        for start in (first..end).step_by(TOGETHER) {
            let names: Vec<String> = (start..end.min(start + TOGETHER)).map(filter).collect();
            reader.send(&subscribe(&names, QoS::AtMostOnce));
            bed.settle();
            reader.read();
        }
        readers.push(reader);
    }
    let mut writer = bed.client(V311, "writer");
    let step = (filters / TOPICS).max(1);
    let topics = (0..filters).step_by(step).map(topic);
    let message = |topic: String| Packet::Publish(publish(&topic, 16, QoS::AtMostOnce, 0));
    let messages: Vec<Vec<u8>> = topics.map(|topic| encoded(&message(topic), V311)).collect();
    let count = messages.len();
    let messages = messages.concat();
    for name in [new, cached] {
        writer.write(&messages);
        bed.settle_counted();
        let came: usize = readers.iter_mut().map(|reader| reader.read().len()).sum();
        assert_eq!(came, messages.len());
        probe.end(name, count);
    }
}
