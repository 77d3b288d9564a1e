//! Interceptors: what they are asked, in which order, and what comes of it.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::{Arc, Mutex};

use latchlight_broker::{
    Access, AllowAll, BrokerBuilder, ClientInfo, ConnAck, ConnectRequest, DropReason,
    InlinePublish, Interceptor, Interests, Observer, Origin, Publication, PublishRequest,
    Recipient, Refusal, Steps, Stop, SubscribeFilter, SubscriptionOptions, TopicFilter, Verdict,
};
use latchlight_mqtt::ProtocolVersion::{V5, V311};
use latchlight_mqtt::QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};
use latchlight_mqtt::{
    Connect, Packet, Properties, ProtocolVersion, PubAck, Publish, ReasonCode, SubAck, Will,
};

use support::{Client, TestBroker, VERSIONS};

fn start(change: impl FnOnce(BrokerBuilder) -> BrokerBuilder) -> TestBroker {
    TestBroker::build(|builder| change(builder.access(AllowAll)))
}

fn with(interceptor: impl Interceptor) -> TestBroker {
    start(|builder| builder.interceptor(interceptor))
}

/// Asked at one step, it does what a test says.
macro_rules! asked {
    ($step:ident, |$($argument:ident: $type:ty),*| -> $result:ty $body:block) => {{
        struct Asked;
        impl Interceptor for Asked {
            fn steps(&self) -> Steps {
                Steps { $step: true, ..Steps::NONE }
            }

            fn $step(&self, $($argument: $type),*) -> $result $body
        }
        Asked
    }};
}

#[test]
fn a_connect_is_changed_by_one_and_seen_so_by_the_next() {
    let first =
        asked!(connect, |connect: &mut Connect, origin: Origin<'_>| -> Result<(), Box<ConnAck>> {
            assert!(origin.address.is_some());
            connect.client_id = format!("tenant/{}", connect.client_id).into();
            Ok(())
        });
    let second =
        asked!(connect, |connect: &mut Connect, _origin: Origin<'_>| -> Result<(), Box<ConnAck>> {
            connect.client_id = format!("{}/{}", connect.client_id, connect.keep_alive).into();
            connect.version = ProtocolVersion::V31;
            Ok(())
        });
    let broker = start(|builder| builder.interceptor(first).interceptor(second));
    for version in VERSIONS {
        let connect = Connect { keep_alive: 7, ..Connect::new(version, "door") };
        let _client = Client::connect_with(broker.address(), connect).0;
        let clients = broker.clients();
        let known: Vec<_> = clients.iter().map(|info| (&*info.client_id, info.version)).collect();
        assert_eq!(known, [("tenant/door/7", version)]);
    }
}

#[test]
fn a_connect_is_refused_with_the_hooks_own_words() {
    let broker = with(asked!(connect, |connect: &mut Connect,
                                       _origin: Origin<'_>|
     -> Result<(), Box<ConnAck>> {
        match &*connect.client_id {
            "fine" => return Ok(()),
            "clumsy" => panic!("clumsy"),
            "silly" => return Err(Box::new(ConnAck::new(true, ReasonCode::Success))),
            _ => {}
        }
        let mut refusal = ConnAck::new(false, ReasonCode::UseAnotherServer);
        refusal.properties.make_mut().server_reference = Some("elsewhere:1883".into());
        Err(Box::new(refusal))
    }));
    let (_, connack) = Client::try_connect(broker.address(), Connect::new(V5, "door"));
    assert_eq!(connack.reason, ReasonCode::UseAnotherServer);
    assert_eq!(connack.properties.server_reference.as_deref(), Some("elsewhere:1883"));
    for client_id in ["clumsy", "silly"] {
        let (_, connack) = Client::try_connect(broker.address(), Connect::new(V5, client_id));
        assert_eq!(connack.reason, ReasonCode::UnspecifiedError);
        // Older versions have no word for this.
        let mut old = Client::open(broker.address(), V311);
        old.send(Packet::Connect(Box::new(Connect::new(V311, client_id))));
        old.expect_closed();
    }
    Client::connect(broker.address(), V5, "fine").expect_nothing();
    assert_eq!(broker.counters().connects_refused, 5);
}

/// Renames topics on their way in, and notes that it was asked.
struct Rename {
    from: &'static str,
    to: &'static str,
}

impl Interceptor for Rename {
    fn read_packet(&self, _: &Arc<ClientInfo>, packet: &mut Packet) -> Verdict {
        if let Packet::Publish(publish) = packet
            && publish.topic == self.from
        {
            publish.topic = self.to.into();
        }
        Verdict::Handle
    }
}

#[test]
fn a_packet_is_changed_by_one_after_the_other_before_it_is_handled() {
    let broker = start(|builder| {
        builder
            .interceptor(Rename { from: "a", to: "b" })
            .interceptor(Rename { from: "b", to: "c" })
            .interceptor(Rename { from: "a", to: "never" })
    });
    for version in VERSIONS {
        let mut client = Client::connect(broker.address(), version, "door");
        client.subscribe("#", AtMostOnce);
        client.send(Packet::Publish(Publish::new("a", "1")));
        assert_eq!(client.next_message(), ("c".to_owned(), "1".to_owned()));
        client.send(Packet::Publish(Publish::new("x", "2")));
        assert_eq!(client.next_message(), ("x".to_owned(), "2".to_owned()));
    }
}

#[test]
fn a_hook_answers_packets_or_closes_in_the_brokers_place() {
    let broker =
        with(asked!(read_packet, |_client: &Arc<ClientInfo>, packet: &mut Packet| -> Verdict {
            match packet {
                Packet::Subscribe(subscribe) => Verdict::Answer(vec![
                    Packet::SubAck(SubAck {
                        packet_id: subscribe.packet_id,
                        reasons: vec![ReasonCode::Success],
                        properties: Properties::new(),
                    }),
                    Packet::Publish(Publish::new("greeting", "hello")),
                ]),
                Packet::Publish(publish) => match (&*publish.topic, publish.packet_id) {
                    ("clumsy", _) => panic!("clumsy"),
                    ("away", _) => Verdict::Close(ReasonCode::QuotaExceeded),
                    ("wrong", _) => Verdict::Answer(vec![Packet::PingReq]),
                    (_, Some(id)) => {
                        let answer = PubAck::new(id, ReasonCode::NoMatchingSubscribers);
                        Verdict::Answer(vec![Packet::PubAck(answer)])
                    }
                    _ => Verdict::Answer(Vec::new()),
                },
                _ => Verdict::Handle,
            }
        }));
    let mut door = Client::connect(broker.address(), V5, "door");
    door.subscribe("a", AtMostOnce);
    assert_eq!(door.next_message(), ("greeting".to_owned(), "hello".to_owned()));
    assert_eq!(door.publish("a", "1", AtLeastOnce), ReasonCode::NoMatchingSubscribers);
    door.send(Packet::Publish(Publish::new("a", "1")));
    door.expect_nothing();
    assert_eq!(broker.counters().subscriptions, 0);
    let ends = [
        ("clumsy", ReasonCode::UnspecifiedError),
        ("away", ReasonCode::QuotaExceeded),
        ("wrong", ReasonCode::ImplementationSpecificError),
    ];
    for (topic, reason) in ends {
        for version in VERSIONS {
            let mut client = Client::connect(broker.address(), version, "hand");
            client.send(Packet::Publish(Publish::new(topic, "x")));
            client.expect_disconnect(reason);
        }
    }
    door.expect_nothing();
}

#[test]
fn a_packet_is_changed_on_its_way_out_for_one_receiver_alone() {
    let broker =
        with(asked!(encode_packet, |client: &Arc<ClientInfo>, packet: &mut Packet| -> () {
            match packet {
                Packet::ConnAck(connack) if client.version == V5 => {
                    connack.properties.make_mut().response_information = Some("answers/".into());
                }
                Packet::Publish(publish) if &*client.client_id == "guest" => {
                    assert_ne!(publish.payload, "clumsy", "clumsy");
                    publish.payload = "hidden".into();
                }
                _ => {}
            }
        }));
    for version in VERSIONS {
        let mut guest = Client::connect(broker.address(), version, "guest");
        let (mut owner, connack) =
            Client::connect_with(broker.address(), Connect::new(V5, "owner"));
        assert_eq!(connack.properties.response_information.as_deref(), Some("answers/"));
        guest.subscribe("a", AtLeastOnce);
        owner.subscribe("a", AtLeastOnce);
        let id = owner.next_id();
        let message =
            Publish { qos: AtLeastOnce, packet_id: Some(id), ..Publish::new("a", "secret") };
        owner.send(Packet::Publish(message));
        assert_eq!(owner.next_message().1, "secret");
        owner.next_puback(id);
        assert_eq!(guest.next_message().1, "hidden");
        // One that panics ends the receiver, and not who published.
        owner.send(Packet::Publish(Publish::new("a", "clumsy")));
        assert_eq!(owner.next_message().1, "clumsy");
        guest.expect_disconnect(ReasonCode::UnspecifiedError);
        owner.expect_nothing();
    }
}

#[test]
fn a_packet_that_has_become_too_large_is_not_sent() {
    let broker =
        with(asked!(encode_packet, |_client: &Arc<ClientInfo>, packet: &mut Packet| -> () {
            if let Packet::Publish(publish) = packet {
                publish.payload = vec![b'x'; 100].into();
            }
        }));
    let mut connect = Connect::new(V5, "door");
    connect.properties.make_mut().maximum_packet_size = Some(50);
    let mut door = Client::connect_with(broker.address(), connect).0;
    door.subscribe("a", AtLeastOnce);
    door.publish("a", "small", AtMostOnce);
    door.expect_nothing();
    assert_eq!(broker.counters().dropped_too_large, 1);
}

#[test]
fn a_subscription_is_changed_or_refused() {
    struct Tenant;
    impl Interceptor for Tenant {
        fn subscribe(
            &self,
            client: &Arc<ClientInfo>,
            wanted: &mut SubscribeFilter,
        ) -> Result<(), ReasonCode> {
            match wanted.filter.as_str() {
                "refused" => return Err(ReasonCode::NotAuthorized),
                "silly" => return Err(ReasonCode::Success),
                "clumsy" => panic!("clumsy"),
                _ => {}
            }
            wanted.filter = format!("{}/{}", client.client_id, wanted.filter).try_into().unwrap();
            wanted.options.qos = wanted.options.qos.min(AtLeastOnce);
            Ok(())
        }

        fn unsubscribe(
            &self,
            client: &Arc<ClientInfo>,
            filter: &mut TopicFilter,
        ) -> Result<(), ReasonCode> {
            if filter.as_str() == "kept" {
                return Err(ReasonCode::NotAuthorized);
            }
            *filter = format!("{}/{filter}", client.client_id).try_into().unwrap();
            Ok(())
        }
    }
    let broker = with(Tenant);
    let mut door = Client::connect(broker.address(), V5, "door");
    let wanted = |qos| SubscriptionOptions::qos(qos);
    assert_eq!(door.try_subscribe("a", wanted(ExactlyOnce)), ReasonCode::GrantedQoS1);
    assert_eq!(door.try_subscribe("refused", wanted(AtMostOnce)), ReasonCode::NotAuthorized);
    assert_eq!(door.try_subscribe("silly", wanted(AtMostOnce)), ReasonCode::UnspecifiedError);
    let inline = broker.inline();
    inline.publish(InlinePublish::new("door/a".try_into().unwrap(), "1"));
    assert_eq!(door.next_message(), ("door/a".to_owned(), "1".to_owned()));
    door.subscribe("kept", AtLeastOnce);
    assert_eq!(door.unsubscribe("kept").reasons, [ReasonCode::NotAuthorized]);
    assert_eq!(door.unsubscribe("a").reasons, [ReasonCode::Success]);
    assert_eq!(broker.counters().subscriptions, 1);
    let mut old = Client::connect(broker.address(), V311, "old");
    assert!(old.try_subscribe("refused", wanted(AtMostOnce)).is_error());
    let mut clumsy = Client::connect(broker.address(), V311, "other");
    clumsy.try_subscribe("clumsy", wanted(AtMostOnce));
    clumsy.expect_closed();
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
    first.subscribe("$share/work/a", AtLeastOnce);
    second.subscribe("$share/work/a", AtLeastOnce);
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
