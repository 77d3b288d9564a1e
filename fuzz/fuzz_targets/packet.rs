//! Any bytes as a packet: nothing panics, and all that decodes agrees.
//!
//! The first byte says the version, the rest is what a peer sends.
#![no_main]

use latchlight_mqtt::ProtocolVersion;
use latchlight_mqtt::testing::check;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((version, bytes)) = input.split_first() else { return };
    let version = match version % 3 {
        0 => ProtocolVersion::V31,
        1 => ProtocolVersion::V311,
        _ => ProtocolVersion::V5,
    };
    check(bytes, version);
});
