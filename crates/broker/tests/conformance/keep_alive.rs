//! Keep alive, PINGREQ and PINGRESP (MQTT 5.0 and 3.1.1, 3.1.2.10 and 3.12).

use latchlight_broker::Options;
use latchlight_mqtt::{Connect, Packet, ProtocolVersion, Publish, QoS, ReasonCode, Will};

use crate::support::{Client, TestBroker, VERSIONS};
use ProtocolVersion::V5;

/// Whoever says anything at all stays, as does who has no keep alive.
///
/// 5.0: [MQTT-3.1.2-22], [MQTT-3.2.2-22];
/// 3.1.1: [MQTT-3.1.2-24].
#[test]
fn a_silent_client_is_disconnected_after_its_keep_alive() {
    // Each takes as long as the silence.
    std::thread::scope(|scope| {
        for version in VERSIONS {
            scope.spawn(move || who_is_silent_is_disconnected(version));
        }
    });
}

fn who_is_silent_is_disconnected(version: ProtocolVersion) {
    // Long enough for a busy machine not to keep the others silent.
    const SHORT: u16 = 3;
    let broker = TestBroker::start();
    let connect = |id: &str, keep_alive| {
        let connect = Connect { keep_alive, ..Connect::new(version, id.to_owned()) };
        let (client, connack) = Client::connect_with(broker.address(), connect);
        assert_eq!(connack.properties.server_keep_alive, None);
        client
    };
    let mut silent = connect("silent", SHORT);
    let mut without = connect("without", 0);
    let mut long = connect("long", 60);
    let mut others = [connect("pings", SHORT), connect("publishes", SHORT)];
    let said = [Packet::PingReq, Packet::Publish(Publish::new("a", "x"))];
    let before = broker.counters().keep_alive_timeouts;
    broker.until("the silent one is gone", |broker| {
        for (client, said) in others.iter_mut().zip(&said) {
            client.send(said.clone());
        }
        broker.counters().keep_alive_timeouts > before
    });
    silent.expect_disconnect(ReasonCode::KeepAliveTimeout);
    for client in others.iter_mut().chain([&mut without, &mut long]) {
        client.drain();
    }
    assert_eq!(broker.counters().keep_alive_timeouts, before + 1);
}

/// By the broker's own clock: after one will that waits for less than that, and
/// before another that waits for more.
///
/// 5.0: [MQTT-3.1.2-22], [MQTT-3.2.2-22].
#[test]
fn the_silence_lasts_one_and_a_half_keep_alives() {
    let broker = TestBroker::start();
    let mut watcher = Client::connect(broker.address(), V5, "watcher");
    watcher.subscribe("gone/+", QoS::AtLeastOnce);
    let with_will = |id: &str, keep_alive, delay| {
        let mut will = Will {
            topic: format!("gone/{id}").try_into().unwrap(),
            payload: "".into(),
            qos: QoS::AtMostOnce,
            retain: false,
            properties: Default::default(),
        };
        will.properties.make_mut().will_delay_interval = Some(delay);
        let mut connect = Connect { keep_alive, will: Some(will), ..Connect::new(V5, id) };
        connect.properties.make_mut().session_expiry_interval = Some(60);
        Client::connect_with(broker.address(), connect).0
    };
    let goes = |id, delay| {
        with_will(id, 0, delay).vanish();
        broker.until("it is gone", |broker| broker.clients().iter().all(|c| &*c.client_id != id));
    };
    goes("before", 5);
    let mut silent = with_will("silent", 4, 0);
    goes("after", 8);
    for id in ["before", "silent", "after"] {
        assert_eq!(watcher.next_message().0, format!("gone/{id}"));
    }
    silent.expect_disconnect(ReasonCode::KeepAliveTimeout);
}

/// MQTT 5, 3.2.2.3.14: the server's own keep alive counts, once it was told.
///
/// 5.0: [MQTT-3.1.2-22], [MQTT-3.2.2-22].
#[test]
fn the_servers_keep_alive_counts_where_it_says_one() {
    let broker = TestBroker::with_options(Options { max_keep_alive: 1, ..Options::default() });
    for version in VERSIONS {
        for keep_alive in [0, 10, 60] {
            let connect = Connect { keep_alive, ..Connect::new(version, "client") };
            let (mut client, connack) = Client::connect_with(broker.address(), connect);
            if version == V5 {
                assert_eq!(connack.properties.server_keep_alive, Some(1));
                client.expect_disconnect(ReasonCode::KeepAliveTimeout);
            } else {
                // It could not be told.
                let mut other = Client::connect_with(
                    broker.address(),
                    Connect { keep_alive: 1, ..Connect::new(V5, "other") },
                );
                assert_eq!(other.1.properties.server_keep_alive, None);
                other.0.expect_disconnect(ReasonCode::KeepAliveTimeout);
                client.expect_nothing();
            }
        }
    }
}
