//! The debug hook: packets in the log, without secrets.
#![allow(clippy::unwrap_used)]

mod support;

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use latchlight_broker::{AllowAll, Debug};
use latchlight_mqtt::ProtocolVersion::V5;
use latchlight_mqtt::QoS::{AtLeastOnce, AtMostOnce};
use latchlight_mqtt::{Connect, Packet, Publish};

use support::{Client, TestBroker};

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

#[test]
fn packets_are_logged_without_passwords_and_payloads_unless_asked_for() {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .init();
    for (hook, client_id) in [(Debug::new(), "quiet"), (Debug::new().with_payloads(), "loud")] {
        let mut broker = TestBroker::build(|builder| builder.access(AllowAll).observer(hook));
        let mut connect = Connect {
            username: Some("alice".into()),
            password: Some("hunter2".into()),
            ..Connect::new(V5, client_id)
        };
        let properties = connect.properties.make_mut();
        properties.user_properties = vec![("token".into(), "hunter2".into())];
        let mut client = Client::connect_with(broker.address(), connect).0;
        client.subscribe("doors/+", AtLeastOnce);
        let message = Publish { retain: true, ..Publish::new("doors/front", "open sesame") };
        client.send(Packet::Publish(message));
        assert_eq!(client.next_message().1, "open sesame");
        client.publish("nobody", "listens", AtMostOnce);
        client.disconnect();
        broker.close();
    }
    let text = log.text();
    let of = |client: &str| -> Vec<&str> {
        let field = format!("client=\"{client}\"");
        let mine = text.lines().filter(|line| line.contains(&field));
        mine.filter_map(|line| line.split("latchlight_broker::debug: ").nth(1)).collect()
    };
    let line = |what: &str| format!("{what} client=\"quiet\"");
    let expected = [
        line("in  Connect V5 keep_alive=60 clean=true username=\"alice\""),
        line("out ConnAck Success session_present=false"),
        line("in  Subscribe id=1 \"doors/+\"@1"),
        line("out SubAck id=1 [GrantedQoS1]"),
        line("in  Publish \"doors/front\" qos=0 retain bytes=11"),
        line("out Publish \"doors/front\" qos=0 bytes=11"),
        line("in  Publish \"nobody\" qos=0 bytes=7"),
        line("in  Disconnect Success"),
    ];
    let quiet = of("quiet");
    for expected in &expected {
        assert!(quiet.contains(&expected.as_str()), "{expected} is not in {quiet:#?}");
    }
    assert!(!quiet.iter().any(|line| line.contains("sesame")));
    assert!(
        of("loud").iter().any(|line| line.ends_with("payload=\"open sesame\" client=\"loud\""))
    );
    assert!(!text.contains("hunter2"), "{text}");
}
