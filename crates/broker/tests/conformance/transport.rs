//! What lies below (MQTT 5.0, 4.2 and 6; 3.1.1, 4.2, 6 and 7).

use latchlight_mqtt::ProtocolVersion;

use crate::support::{Client, TestBroker, VERSIONS, exchange};

/// Messages of every QoS, large ones and many, by nothing but the packets of
/// the standard.
///
/// 5.0: [MQTT-4.2.0-1];
/// 3.1.1: [MQTT-7.0.0-2], [MQTT-7.1.1-1].
#[test]
fn tcp_carries_everything_whole_and_in_order() {
    let broker = TestBroker::start();
    for version in VERSIONS {
        let mut reader = Client::connect(broker.address(), version, "reader");
        let mut publisher = Client::connect(broker.address(), ProtocolVersion::V311, "publisher");
        exchange(&mut reader, &mut publisher);
    }
}
