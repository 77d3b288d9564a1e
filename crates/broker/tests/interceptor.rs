//! Interceptors: what they are asked, in which order, and what comes of it.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;

use latchlight_broker::{
    AllowAll, BrokerBuilder, ClientInfo, ConnAck, InlinePublish, Interceptor, Origin, Steps,
    SubscribeFilter, SubscriptionOptions, TopicFilter, Verdict,
};
use latchlight_mqtt::ProtocolVersion::{V5, V311};
use latchlight_mqtt::QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};
use latchlight_mqtt::{
    Connect, Packet, Properties, ProtocolVersion, PubAck, Publish, ReasonCode, SubAck,
};

use support::{Client, TestBroker, VERSIONS, asked};

fn start(change: impl FnOnce(BrokerBuilder) -> BrokerBuilder) -> TestBroker {
    TestBroker::build(|builder| change(builder.access(AllowAll)))
}

fn with(interceptor: impl Interceptor) -> TestBroker {
    start(|builder| builder.interceptor(interceptor))
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
