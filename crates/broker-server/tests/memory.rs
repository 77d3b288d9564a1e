//! The program takes what it needs, and what many clients took is given back to
//! the system when they have left.
#![allow(clippy::unwrap_used)]
#![cfg(target_os = "linux")]

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use latchlight_mqtt::{
    Connect, Packet, PacketId, ProtocolVersion::V5, Publish, QoS, Subscribe, SubscribeFilter,
    SubscriptionOptions,
};
use rustix::process::{Resource, getrlimit, setrlimit};
use support::{Folder, PATIENCE, Running};

/// As many as the system lets one program connect, up to this.
const CLIENTS: usize = 10_000;

/// What is published to each, and to be queued for it.
const PAYLOAD: usize = 4000;
const MESSAGES: usize = 4;

/// Loopback addresses: each has its own ports for the clients' ends.
const HOSTS: [&str; 4] = ["127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"];

/// Half of them have sessions that outlive their connections for a second.
#[test]
fn after_a_mass_disconnect_nine_tenths_come_back() {
    let clients = CLIENTS.min(open_files().saturating_sub(200));
    let folder = Folder::new();
    let listeners = HOSTS.map(|host| format!("{{address: '{host}:0'}}")).join(", ");
    let config = format!(
        "{{listeners: [{listeners}], access: {{allow_anonymous: true}}, \
         options: {{sys_interval: 0.1, threads: 4}}}}"
    );
    let running = Running::with_config(&folder.write("broker.yaml", &config));
    let addresses = HOSTS.map(|host| address(&running, host));
    // What the program has for its own, after the first few.
    come_and_go(&running, &addresses, 200);
    let before = running.resident();
    let most = come_and_go(&running, &addresses, clients);
    let taken = most - before;
    let left_over = || running.resident().saturating_sub(before);
    // The system tells nobody when it has got memory back.
    let end = Instant::now() + PATIENCE;
    while left_over() > taken / 10 && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(50));
    }
    let left_over = left_over();
    println!("{clients} clients: {before} KiB before, {taken} more with them, {left_over} after");
    assert!(left_over <= taken / 10, "{taken} KiB were taken, {left_over} are left");
}

/// One of them is 2 MiB for whatever little is in it; those that the allocator
/// takes before `main` would stay.
#[test]
fn no_memory_is_in_huge_pages() {
    let running = Running::start(&["--port", "0", "--allow-anonymous"]);
    assert_eq!(running.in_huge_pages(), 0);
}

/// So many connect, subscribe, have messages waiting, and are gone; gives what
/// the broker had with all of them.
fn come_and_go(running: &Running, addresses: &[SocketAddr], count: usize) -> u64 {
    let mut sys = subscribed(addresses[0], "$SYS/broker/clients/total", 0);
    let mut streams: Vec<TcpStream> = (0..count)
        .map(|number| {
            let mut stream = TcpStream::connect(addresses[number % addresses.len()]).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let mut connect = Connect::new(V5, format!("client-{number}"));
            let properties = connect.properties.make_mut();
            properties.receive_maximum = Some(1);
            properties.session_expiry_interval = Some((number % 2) as u32);
            send(&mut stream, &Packet::Connect(Box::new(connect)));
            send(&mut stream, &subscribe(&format!("clients/{number}"), QoS::AtLeastOnce));
            stream
        })
        .collect();
    // CONNACK, SUBACK.
    for stream in &mut streams {
        assert_eq!([next(stream), next(stream)].map(|packet| packet >> 4), [2, 9]);
    }
    let mut publisher = subscribed(addresses[0], "done", 0);
    for number in 0..count {
        for _ in 0..MESSAGES {
            let mut publish = Publish::new(format!("clients/{number}"), vec![b'x'; PAYLOAD]);
            (publish.qos, publish.packet_id) = (QoS::AtLeastOnce, Some(PacketId::MIN));
            send(&mut publisher, &Packet::Publish(publish));
            assert_eq!(next(&mut publisher) >> 4, 4);
        }
    }
    let most = running.resident();
    drop(streams);
    drop(publisher);
    // Only who asks is left.
    while next_payload(&mut sys) != "1" {}
    most
}

/// A client with a subscription.
fn subscribed(address: SocketAddr, filter: &str, qos: u8) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    send(&mut stream, &Packet::Connect(Box::new(Connect::new(V5, ""))));
    let qos = if qos == 0 { QoS::AtMostOnce } else { QoS::AtLeastOnce };
    send(&mut stream, &subscribe(filter, qos));
    assert_eq!([next(&mut stream), next(&mut stream)].map(|packet| packet >> 4), [2, 9]);
    stream
}

fn subscribe(filter: &str, qos: QoS) -> Packet {
    let filter = SubscribeFilter {
        filter: filter.try_into().unwrap(),
        options: SubscriptionOptions::qos(qos),
    };
    Packet::Subscribe(Subscribe {
        packet_id: PacketId::MIN,
        filters: vec![filter],
        properties: Default::default(),
    })
}

fn send(stream: &mut TcpStream, packet: &Packet) {
    let mut bytes = Vec::new();
    packet.encode(V5, &mut bytes).unwrap();
    stream.write_all(&bytes).unwrap();
}

/// Reads a packet; gives its first byte.
fn next(stream: &mut TcpStream) -> u8 {
    read(stream).0
}

/// The payload of the next message.
fn next_payload(stream: &mut TcpStream) -> String {
    let (_, body) = read(stream);
    // Topic, no properties, payload.
    let topic = usize::from(u16::from_be_bytes([body[0], body[1]]));
    String::from_utf8(body[2 + topic + 1..].to_vec()).unwrap()
}

fn read(stream: &mut TcpStream) -> (u8, Vec<u8>) {
    let mut byte = [0];
    let mut read_byte = || {
        stream.read_exact(&mut byte).unwrap();
        byte[0]
    };
    let first = read_byte();
    let (mut length, mut shift) = (0, 0);
    loop {
        let byte = read_byte();
        length |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    (first, body)
}

/// Where it listens on this host.
fn address(running: &Running, host: &str) -> SocketAddr {
    let listening = running.seen.iter().filter(|line| line.contains("listening"));
    let mut rest = listening.filter_map(|line| line.split_once(&format!("{host}:")));
    let (_, rest) = rest.next().unwrap();
    let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
    format!("{host}:{port}").parse().unwrap()
}

/// How many files this program, and the broker that it starts, may have open:
/// as many as the system lets them.
fn open_files() -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    limit.current.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX)
}
