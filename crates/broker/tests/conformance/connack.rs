//! CONNACK: what it tells (MQTT 5.0, 3.2.2.3).

use latchlight_broker::Options;
use latchlight_mqtt::{Connect, ProtocolVersion};

use crate::support::{Client, TestBroker};
use ProtocolVersion::V5;

/// 5.0: [MQTT-3.1.2-28].
#[test]
fn response_information_is_for_who_asks_for_it() {
    let options =
        Options { response_information: Some("answers/%c/".into()), ..Options::default() };
    let broker = TestBroker::with_options(options);
    for (asks, told) in [(None, None), (Some(false), None), (Some(true), Some("answers/client/"))] {
        let mut connect = Connect::new(V5, "client");
        connect.properties.make_mut().request_response_information = asks;
        let (_, connack) = Client::connect_with(broker.address(), connect.clone());
        assert_eq!(connack.properties.response_information.as_deref(), told);
        let (_, connack) = Client::connect_with(TestBroker::start().address(), connect);
        assert_eq!(connack.properties.response_information, None);
    }
}

/// MQTT 5, 3.2.2.3: what is left out is available without a bound.
#[test]
fn nothing_is_said_to_be_missing() {
    let broker = TestBroker::start();
    let (_, connack) = Client::connect_with(broker.address(), Connect::new(V5, "client"));
    let told = &connack.properties;
    assert_eq!(told.maximum_qos, None);
    assert_ne!(told.retain_available, Some(false));
    assert_ne!(told.wildcard_subscription_available, Some(false));
    assert_ne!(told.subscription_identifier_available, Some(false));
    assert_ne!(told.shared_subscription_available, Some(false));
}
