//! Interceptors of messages: what is published, who gets it, and wills.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::{Arc, Mutex};

use latchlight_broker::{
    Access, AllowAll, BrokerBuilder, ClientInfo, ConnectRequest, DropReason, InlinePublish,
    Interceptor, Interests, Observer, Publication, PublishRequest, Recipient, Refusal, Steps, Stop,
};
use latchlight_mqtt::ProtocolVersion::{V5, V311};
use latchlight_mqtt::QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};
use latchlight_mqtt::{Connect, Packet, Properties, Publish, ReasonCode, Will};

use support::{Client, TestBroker, VERSIONS, asked};

fn start(change: impl FnOnce(BrokerBuilder) -> BrokerBuilder) -> TestBroker {
    TestBroker::build(|builder| change(builder.access(AllowAll)))
}

fn with(interceptor: impl Interceptor) -> TestBroker {
    start(|builder| builder.interceptor(interceptor))
}

/// Does to messages what their topics say.
struct Editor;

impl Interceptor for Editor {
    fn publish(
        &self,
        publisher: Option<&Arc<ClientInfo>>,
        message: &mut Publication,
    ) -> Result<(), Stop> {
        match message.topic.as_str() {
            "refuse" => Err(Stop::Refuse(ReasonCode::QuotaExceeded)),
            "disconnect" => Err(Stop::Disconnect(ReasonCode::NotAuthorized)),
            "silently" => Err(Stop::Silently),
            "silly" => Err(Stop::Refuse(ReasonCode::Success)),
            "clumsy" => panic!("clumsy"),
            "deep" => {
                message.topic = "x/".repeat(200).try_into().unwrap();
                Ok(())
            }
            "edit" => {
                message.topic = "edited".try_into().unwrap();
                message.payload = format!("by {}", publisher.map_or("us", |p| &p.client_id)).into();
                message.qos = AtLeastOnce;
                message.retain = true;
                message.properties.make_mut().content_type = Some("text/plain".into());
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

#[test]
fn a_message_is_published_as_it_was_changed() {
    let broker = with(Editor);
    let mut reader = Client::connect(broker.address(), V5, "reader");
    reader.subscribe("edited", AtLeastOnce);
    reader.subscribe("plain", AtLeastOnce);
    for version in VERSIONS {
        for qos in [AtMostOnce, AtLeastOnce, ExactlyOnce] {
            let mut client = Client::connect(broker.address(), version, "hand");
            assert_eq!(client.publish("edit", "x", qos), ReasonCode::Success);
            let message = reader.next_publish();
            assert_eq!((&*message.topic, &message.payload[..]), ("edited", &b"by hand"[..]));
            assert_eq!(message.qos, AtLeastOnce);
            assert_eq!(message.properties.content_type.as_deref(), Some("text/plain"));
            client.publish("plain", "as it came", qos);
            assert_eq!(reader.next_message().1, "as it came");
        }
    }
    let edit = |topic: &'static str| InlinePublish::new(topic.try_into().unwrap(), "x");
    assert_eq!(broker.inline().publish(edit("edit")), ReasonCode::Success);
    assert_eq!(reader.next_message(), ("edited".to_owned(), "by us".to_owned()));
    assert_eq!(broker.inline().publish(edit("refuse")), ReasonCode::QuotaExceeded);
    assert_eq!(broker.inline().publish(edit("silently")), ReasonCode::Success);
    assert_eq!(broker.inline().publish(edit("clumsy")), ReasonCode::UnspecifiedError);
    let mut late = Client::connect(broker.address(), V311, "late");
    late.subscribe("edited", AtMostOnce);
    assert_eq!(late.next_message().1, "by us");
}

#[test]
fn a_message_is_stopped_in_the_words_of_each_version() {
    let broker = with(Editor);
    let mut reader = Client::connect(broker.address(), V5, "reader");
    reader.subscribe("#", AtLeastOnce);
    let refused = [
        ("refuse", ReasonCode::QuotaExceeded),
        ("silly", ReasonCode::UnspecifiedError),
        ("deep", ReasonCode::TopicNameInvalid),
        ("disconnect", ReasonCode::NotAuthorized),
        ("silently", ReasonCode::Success),
    ];
    for qos in [AtLeastOnce, ExactlyOnce] {
        for (topic, reason) in refused {
            let mut client = Client::connect(broker.address(), V5, "hand");
            assert_eq!(client.publish(topic, "x", qos), reason, "{topic}");
        }
        for topic in ["refuse", "silly", "deep", "silently"] {
            let mut client = Client::connect(broker.address(), V311, "hand");
            assert_eq!(client.publish(topic, "x", qos), ReasonCode::Success);
        }
    }
    for version in VERSIONS {
        let mut client = Client::connect(broker.address(), version, "hand");
        for topic in ["refuse", "silly", "deep", "silently"] {
            client.publish(topic, "x", AtMostOnce);
        }
        client.expect_nothing();
        client.send(Packet::Publish(Publish::new("disconnect", "x")));
        client.expect_disconnect(ReasonCode::NotAuthorized);
        let mut client = Client::connect(broker.address(), version, "hand");
        client.send(Packet::Publish(Publish::new("clumsy", "x")));
        client.expect_disconnect(ReasonCode::UnspecifiedError);
    }
    reader.expect_nothing();
    assert_eq!(broker.counters().publishes_refused, 2 * (5 + 4) + 3 * (4 + 2));
}

#[test]
fn observers_are_told_what_interceptors_stop() {
    #[derive(Clone, Default)]
    struct Dropped(Arc<Mutex<Vec<(String, DropReason)>>>);
    impl Observer for Dropped {
        fn interests(&self) -> Interests {
            Interests { messages: true, ..Interests::NONE }
        }

        fn publish_dropped(
            &self,
            _: Option<&Arc<ClientInfo>>,
            message: &Publication,
            reason: DropReason,
        ) {
            self.0.lock().unwrap().push((message.topic.to_string(), reason));
        }
    }
    let dropped = Dropped::default();
    let seen = dropped.clone();
    let broker = start(|builder| builder.interceptor(Editor).observer(seen));
    let mut client = Client::connect(broker.address(), V5, "hand");
    client.publish("refuse", "x", AtLeastOnce);
    client.publish("silently", "x", AtLeastOnce);
    let expected = [
        ("refuse".to_owned(), DropReason::Refused(ReasonCode::QuotaExceeded)),
        ("silently".to_owned(), DropReason::Intercepted),
    ];
    assert_eq!(*dropped.0.lock().unwrap(), expected);
}

#[test]
fn who_gets_a_message_is_selected() {
    let broker = with(asked!(select_subscribers, |publisher: Option<&Arc<ClientInfo>>,
                                                  message: &Publication,
                                                  recipients: &mut Vec<Recipient>|
     -> () {
        assert_ne!(message.payload, "clumsy", "clumsy");
        assert_eq!(publisher.map(|p| &*p.client_id), Some("hand"));
        recipients.retain(|recipient| recipient.client_id() != "guest");
        for recipient in recipients.iter_mut() {
            assert!(recipient.is_connected());
            assert_eq!(recipient.identity(), "anonymous");
            if recipient.client_id() == "owner" {
                assert_eq!(recipient.qos(), AtLeastOnce);
                recipient.set_qos(AtMostOnce);
            }
        }
        // Of the shared subscription, always the last.
        recipients.sort_by(|a, b| b.client_id().cmp(a.client_id()));
    }));
    let connect = |name: &str| Client::connect(broker.address(), V5, name);
    let (mut owner, mut guest) = (connect("owner"), connect("guest"));
    let (mut first, mut second) = (connect("worker-1"), connect("worker-2"));
    owner.subscribe("a", AtLeastOnce);
    guest.subscribe("a", AtLeastOnce);
    first.subscribe("$share/team/a", AtLeastOnce);
    second.subscribe("$share/team/a", AtLeastOnce);
    let mut publisher = connect("hand");
    for number in ["1", "2"] {
        publisher.publish("a", number, AtLeastOnce);
        let message = owner.next_publish();
        assert_eq!((message.qos, &message.payload[..]), (AtMostOnce, number.as_bytes()));
        let shared = second.next_publish();
        assert_eq!(shared.payload, number);
        second.acknowledge(&shared);
    }
    guest.expect_nothing();
    first.expect_nothing();
    publisher.send(Packet::Publish(Publish::new("a", "clumsy")));
    publisher.expect_disconnect(ReasonCode::UnspecifiedError);
    owner.expect_nothing();
    assert!(
        broker.inline().publish(InlinePublish::new("a".try_into().unwrap(), "clumsy")).is_error()
    );
}

#[test]
fn a_will_is_changed_or_dropped() {
    let broker = with(asked!(will, |client: &Arc<ClientInfo>,
                                    will: &mut Publication|
     -> Result<(), Stop> {
        match &*client.client_id {
            "dropped" => Err(Stop::Silently),
            "clumsy" => panic!("clumsy"),
            _ => {
                will.topic = "wills/changed".try_into().unwrap();
                will.payload = format!("{} is gone", client.client_id).into();
                Ok(())
            }
        }
    }));
    let mut reader = Client::connect(broker.address(), V5, "reader");
    reader.subscribe("wills/#", AtMostOnce);
    for client_id in ["dropped", "clumsy", "door"] {
        let will = Will {
            topic: "wills/x".try_into().unwrap(),
            payload: "gone".into(),
            qos: AtMostOnce,
            retain: false,
            properties: Properties::new(),
        };
        let connect = Connect { will: Some(will), ..Connect::new(V5, client_id) };
        Client::connect_with(broker.address(), connect).0.vanish();
        broker.until("it is gone", |broker| broker.clients().len() == 1);
    }
    assert_eq!(reader.next_message(), ("wills/changed".to_owned(), "door is gone".to_owned()));
    reader.expect_nothing();
}

/// Allows one topic, and nothing else.
struct OnlyEdited;

#[async_trait::async_trait]
impl Access for OnlyEdited {
    async fn authenticate(&self, _: &ConnectRequest<'_>) -> Result<Arc<str>, ReasonCode> {
        Ok("hand".into())
    }

    fn authorize_publish(
        &self,
        _: &ClientInfo,
        request: &PublishRequest<'_>,
    ) -> Result<(), Refusal> {
        match (request.topic, request.qos, request.retain) {
            ("edited", AtLeastOnce, true) => Ok(()),
            _ => Err(Refusal::Ignore(ReasonCode::NotAuthorized)),
        }
    }
}

#[test]
fn what_interceptors_let_through_is_still_decided_by_the_access_hook() {
    let broker = TestBroker::build(|builder| builder.access(OnlyEdited).interceptor(Editor));
    let mut client = Client::connect(broker.address(), V5, "hand");
    assert_eq!(client.publish("edited", "x", AtLeastOnce), ReasonCode::NotAuthorized);
    assert_eq!(client.publish("edit", "x", AtLeastOnce), ReasonCode::NoMatchingSubscribers);
}
