//! Listeners that come and go, Unix sockets, and connections within the
//! process.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::time::Duration;

use latchlight_broker::{
    Access, AllowAll, Broker, ConnectRequest, InlinePublish, Listener, ListenerAddress, LiveStatus,
    MemoryConnector, MemoryStream, Options, ReasonCode,
};
use latchlight_mqtt::{Connect, Packet, ProtocolVersion, QoS};
use support::{Client, PATIENCE, TestBroker, exchange};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use ProtocolVersion::V5;

fn local() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

fn connect_unix(path: &std::path::Path) -> UnixStream {
    let stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

#[test]
fn listeners_come_and_go_while_their_connections_stay() {
    let broker = TestBroker::start();
    let first = broker.address();
    let added = broker.add_listener(local()).unwrap();
    let second = added.address.socket().unwrap();
    assert_eq!(*added.name, *format!("tcp {second}"));
    assert_eq!(broker.addresses(), [first, second]);

    let mut reader = Client::connect(second, V5, "reader");
    reader.subscribe("door", QoS::AtMostOnce);
    assert!(broker.wait(broker.remove_listener(&added.name)));
    assert_eq!(TcpStream::connect(second).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    assert_eq!(broker.addresses(), [first]);
    assert!(!broker.wait(broker.remove_listener(&added.name)));

    let mut publisher = Client::connect(first, V5, "publisher");
    publisher.publish("door", "locked", QoS::AtLeastOnce);
    assert_eq!(reader.next_message(), ("door".into(), "locked".into()));
}

#[test]
fn the_address_of_a_removed_listener_is_free_at_once() {
    let broker = TestBroker::start();
    for _ in 0..20 {
        let added = broker.add_listener(local()).unwrap();
        assert!(broker.wait(broker.remove_listener(&added.name)));
        let again = TcpListener::bind(added.address.socket().unwrap()).unwrap();
        let again = broker.add_listener(again).unwrap();
        assert_eq!(added, again);
        assert!(broker.wait(broker.remove_listener(&added.name)));
    }
}

#[test]
fn no_two_listeners_share_a_name() {
    let builder = Broker::builder().listener(Listener::tcp(local()).named("devices"));
    let error = builder.listener(Listener::tcp(local()).named("devices")).serve();
    assert_eq!(error.err().unwrap().kind(), ErrorKind::AlreadyExists);

    let broker = TestBroker::start();
    broker.add_listener(Listener::tcp(local()).named("devices")).unwrap();
    let error = broker.add_listener(Listener::tcp(local()).named("devices")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert_eq!(broker.listeners().len(), 2);
    assert!(broker.wait(broker.remove_listener("devices")));
    broker.add_listener(Listener::tcp(local()).named("devices")).unwrap();
}

#[test]
fn a_closed_broker_takes_no_listener() {
    let mut broker = TestBroker::start();
    broker.close();
    broker.add_listener(local()).unwrap_err();
}

/// Lets in by the listener called `inside` only.
struct InsideOnly;

#[async_trait::async_trait]
impl Access for InsideOnly {
    async fn authenticate(&self, request: &ConnectRequest<'_>) -> Result<Arc<str>, ReasonCode> {
        match (request.listener, request.address) {
            ("inside", None) => Ok("insider".into()),
            ("inside", Some(_)) => panic!("this has no address"),
            _ => Err(ReasonCode::NotAuthorized),
        }
    }
}

#[test]
fn access_hooks_see_the_listener() {
    let broker = TestBroker::with_access(InsideOnly);
    let (listener, connector) = Listener::memory();
    broker.add_listener(listener.named("inside")).unwrap();
    let (_, connack) = Client::try_connect(broker.address(), Connect::new(V5, "outsider"));
    assert_eq!(connack.reason, ReasonCode::NotAuthorized);
    Client::connect_over(Blocking::connect(&connector), V5, "insider");
}

#[test]
fn unix_sockets_carry_everything() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mqtt.sock");
    let mut broker = TestBroker::start();
    let info = broker.add_listener(Listener::unix(&path, 0o600).unwrap()).unwrap();
    assert_eq!(info.address, ListenerAddress::Unix(Some(path.clone())));
    assert_eq!(*info.name, *format!("unix {}", path.display()));
    let mut reader = Client::connect_over(connect_unix(&path), V5, "reader");
    let mut publisher = Client::connect_over(connect_unix(&path), V5, "publisher");
    exchange(&mut reader, &mut publisher);
    broker.close();
    reader.expect_disconnect(ReasonCode::ServerShuttingDown);
    assert!(!path.exists());
}

#[test]
fn the_file_of_a_unix_socket_has_its_mode_and_goes_with_the_listener() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mqtt.sock");
    let broker = TestBroker::start();
    for mode in [0o600, 0o660, 0o666] {
        let info = broker.add_listener(Listener::unix(&path, mode).unwrap()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, mode);
        let mut client = Client::connect_over(connect_unix(&path), V5, "client");
        assert!(broker.wait(broker.remove_listener(&info.name)));
        assert!(!path.exists());
        client.expect_nothing();
    }
}

#[test]
fn an_old_socket_is_replaced_but_nothing_else_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mqtt.sock");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let ours = Listener::unix(&path, 0o600).unwrap();

    let error = Listener::unix(&path, 0o600).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    drop(ours);
    assert!(!path.exists());

    fs::write(&path, "somebody's").unwrap();
    let error = Listener::unix(&path, 0o600).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    assert_eq!(fs::read_to_string(&path).unwrap(), "somebody's");
}

#[test]
fn a_file_that_took_the_place_of_ours_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mqtt.sock");
    let ours = Listener::unix(&path, 0o600).unwrap();
    fs::remove_file(&path).unwrap();
    let _theirs = UnixListener::bind(&path).unwrap();
    drop(ours);
    assert!(path.exists());
}

#[test]
fn a_bound_unix_socket_keeps_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mqtt.sock");
    let broker = TestBroker::start();
    let info = broker.add_listener(UnixListener::bind(&path).unwrap()).unwrap();
    Client::connect_over(connect_unix(&path), V5, "client").disconnect();
    assert!(broker.wait(broker.remove_listener(&info.name)));
    assert!(path.exists());
}

/// What a client does to a socket must not keep its packets from being read.
#[test]
fn packets_in_pieces_over_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mqtt.sock");
    let broker = TestBroker::start();
    broker.add_listener(Listener::unix(&path, 0o600).unwrap()).unwrap();
    let mut client = Client::connect_over(connect_unix(&path), V5, "client");
    for _ in 0..100 {
        for byte in [0xC0, 0x00] {
            client.send_bytes(&[byte]);
        }
        assert_eq!(client.next(), Packet::PingResp);
    }
}

#[test]
fn memory_carries_everything() {
    let broker = TestBroker::start();
    let (listener, connector) = Listener::memory();
    let info = broker.add_listener(listener).unwrap();
    assert_eq!((&*info.name, &info.address), ("memory", &ListenerAddress::Memory));
    let mut reader = Client::connect_over(Blocking::connect(&connector), V5, "reader");
    let mut publisher = Client::connect_over(Blocking::connect(&connector), V5, "publisher");
    exchange(&mut reader, &mut publisher);
    let mut by_socket = Client::connect(broker.address(), V5, "by socket");
    exchange(&mut reader, &mut by_socket);
    assert!(broker.disconnect("reader", ReasonCode::AdministrativeAction));
    reader.expect_disconnect(ReasonCode::AdministrativeAction);
    drop(publisher);
    broker.until("both are gone", |broker| broker.counters().connections == 1);
    assert!(broker.wait(broker.remove_listener(&info.name)));
    let error = broker.wait(connector.connect()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
}

/// A live publish that was not taken by its deadline never arrives (C3).
#[test]
fn a_reset_takes_back_what_was_not_read_within_the_process() {
    let broker = TestBroker::start();
    let (listener, connector) = Listener::memory();
    broker.add_listener(listener).unwrap();
    for (qos, is_confirmed) in [(QoS::AtLeastOnce, false), (QoS::AtMostOnce, true)] {
        let mut lock = Client::connect_over(Blocking::connect(&connector), V5, "lock");
        lock.subscribe("lock/down", qos);
        let unlock = InlinePublish::new("lock/down".try_into().unwrap(), "unlock");
        let mut live = broker.inline().publish_live(unlock, Duration::from_secs(3));
        let mut told = vec![broker.wait(live.next()).unwrap().what];
        if is_confirmed {
            live.receipt().confirm();
        }
        while let Some(event) = broker.wait(live.next()) {
            told.push(event.what);
        }
        let lost = (!is_confirmed).then_some(LiveStatus::Lost);
        assert_eq!(told, [Some(LiveStatus::Sent), lost].into_iter().flatten().collect::<Vec<_>>());
        broker.until("the end", |broker| broker.counters().connections == 0);
        assert_eq!(lock.try_next_of_broken(), None);
    }
}

#[test]
fn what_has_no_address_counts_for_all_but_for_no_address() {
    let options =
        Options { max_connections: 3, max_connections_per_address: 1, ..Options::default() };
    let broker = TestBroker::build(|builder| builder.options(options).access(AllowAll));
    let (listener, connector) = Listener::memory();
    broker.add_listener(listener).unwrap();
    let _kept = ["one", "two", "three"]
        .map(|id| Client::connect_over(Blocking::connect(&connector), V5, id));
    let mut one_more = Client::new(Blocking::connect(&connector), V5);
    one_more.expect_closed();
    assert_eq!(broker.counters().connections_refused, 1);
}

/// Connections within the process, for clients that block.
struct Blocking {
    stream: MemoryStream,
    runtime: tokio::runtime::Runtime,
}

impl Blocking {
    fn connect(connector: &MemoryConnector) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let stream = runtime.block_on(connector.connect()).unwrap();
        Self { stream, runtime }
    }
}

impl Read for Blocking {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.stream.read(buffer);
        self.runtime.block_on(async { tokio::time::timeout(PATIENCE, read).await })?
    }
}

impl Write for Blocking {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let write = self.stream.write(bytes);
        self.runtime.block_on(async { tokio::time::timeout(PATIENCE, write).await })?
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
