//! Client ids (MQTT 5.0 and 3.1.1, 3.1.3.1).

use latchlight_mqtt::{Connect, ProtocolVersion};

use crate::bytes::{connect, field};
use crate::support::{Client, TestBroker, VERSIONS};
use ProtocolVersion::{V5, V31, V311};

/// 5.0: [MQTT-3.1.3-5];
/// 3.1.1: [MQTT-3.1.3-5].
#[test]
fn client_ids_of_1_to_23_letters_and_digits_are_let_in() {
    let broker = TestBroker::start();
    let characters = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    for version in VERSIONS {
        let ids = (1..=23).map(|length| &characters[..length]);
        let ids = ids.chain((0..characters.len()).map(|at| &characters[at..=at]));
        for id in ids.chain([&characters[16..39], &characters[39..]]) {
            Client::connect(broker.address(), version, id).disconnect();
        }
    }
}

/// 5.0: [MQTT-3.1.3-6], [MQTT-3.1.3-7], [MQTT-3.2.2-16].
#[test]
fn who_has_no_client_id_gets_one_that_works() {
    let broker = TestBroker::start();
    let (first, second) = (nameless(&broker), nameless(&broker));
    assert_ne!(first, second);
    // Also where the next one in turn is somebody else's already.
    let (head, number) = second.rsplit_once('-').unwrap();
    let next = u64::from_str_radix(number, 16).unwrap() + 1;
    let taken = format!("{head}-{next:x}");
    let mut other = Client::connect(broker.address(), V5, &taken);
    assert_ne!(nameless(&broker), taken);
    other.expect_nothing();
    // The id stands for the session, as one of the client's own does.
    let mut connect = Connect::new(V5, first);
    connect.clean_start = false;
    assert!(Client::connect_with(broker.address(), connect).1.session_present);
}

/// Gives the id that a client without one is told.
fn nameless(broker: &TestBroker) -> String {
    let mut connect = Connect::new(V5, "");
    connect.properties.make_mut().session_expiry_interval = Some(600);
    let (client, connack) = Client::connect_with(broker.address(), connect);
    client.disconnect();
    connack.properties.assigned_client_identifier.as_ref().unwrap().to_string()
}

/// 3.1.1: [MQTT-3.1.3-6], [MQTT-3.1.3-7], [MQTT-3.1.3-8].
#[test]
fn who_has_no_client_id_in_3_1_1_has_a_clean_session() {
    let broker = TestBroker::start();
    let mut clients = [(); 2].map(|()| Client::connect(broker.address(), V311, ""));
    assert_eq!(broker.clients().len(), 2, "each has one of its own");
    for client in &mut clients {
        client.expect_nothing();
    }
    let mut client = Client::open(broker.address(), V311);
    client.send_bytes(&connect(V311, 0, &[field("")]));
    assert_eq!(client.next_bytes(), [0x20, 2, 0, 2]);
    client.expect_closed();
    // 3.1 does without them.
    let mut client = Client::open(broker.address(), V31);
    client.send_bytes(&connect(V31, 0x02, &[field("")]));
    assert_eq!(client.next_bytes(), [0x20, 2, 0, 2]);
    client.expect_closed();
}
