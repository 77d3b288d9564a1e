//! Every work of `script/bench broker`, done for a moment: the generator and its checks work.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::thread;

use latchlight_broker_load::contestants::{Latchlight, Running};
use latchlight_broker_load::{Figure, Scale, WORKS, Work};
use latchlight_mqtt::ProtocolVersion;

/// A thousandth of the messages, and few enough clients for any limit of open files.
const MOMENT: Scale = Scale { messages: 0.001, clients: 0.004 };

fn does(work: &Work, version: ProtocolVersion) {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_latchlight-broker"));
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (listener, durable) = (work.listener, work.durable);
    let broker =
        Running::start(&Latchlight { program }, listener, durable, folder, version).unwrap();
    let outcome = (work.run)(&broker.target, &MOMENT);
    let outcome = outcome.unwrap_or_else(|error| panic!("{}: {error:#}", work.name));
    assert_eq!(outcome.failures, Vec::<String>::new(), "{}", work.name);
    let lost = outcome.get(Figure::Lost).unwrap_or_default();
    assert_eq!(lost, 0.0, "{}: nothing is lost of so little", work.name);
    for figure in [Figure::BrokerCpu, Figure::GeneratorCpu, Figure::PeakMemory, Figure::Seconds] {
        assert!(outcome.get(figure).is_some(), "{}: {figure:?} is measured", work.name);
    }
    for figure in work.headline {
        assert!(outcome.get(*figure).is_some(), "{}: {figure:?} is measured", work.name);
    }
}

/// Some at once: each mostly waits, and has a broker of its own.
fn all_do(version: ProtocolVersion) {
    for works in WORKS.chunks(8) {
        thread::scope(|scope| {
            for work in works {
                scope.spawn(move || does(work, version));
            }
        });
    }
}

#[test]
fn every_work_is_done_over_mqtt_3_1_1() {
    all_do(ProtocolVersion::V311);
}

#[test]
fn every_work_is_done_over_mqtt_5() {
    all_do(ProtocolVersion::V5);
}
