//! Statistics, health and metrics over HTTP.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use latchlight_broker::{AllowAll, Broker, HttpListener, Metrics, Options};
use latchlight_mqtt::{Packet, ProtocolVersion, Publish, QoS, ReasonCode};
use support::{Client, Disk, PATIENCE, TestBroker, resuming};

use ProtocolVersion::{V5, V311};
use QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};

struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
}

fn open(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends these bytes, and gives all that comes until the server closes.
fn exchange(address: SocketAddr, bytes: &[u8]) -> Option<Answer> {
    let mut stream = open(address);
    // The server may have answered and closed before it was all said.
    let _ = stream.write_all(bytes);
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said);
    let said = String::from_utf8(said).unwrap();
    let (head, body) = said.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers = lines.filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
    Some(Answer { status, headers, body: body.to_owned() })
}

fn ask(address: SocketAddr, method: &str, path: &str) -> Answer {
    let request = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\n\r\n");
    exchange(address, request.as_bytes()).unwrap()
}

fn serve(broker: &TestBroker) -> SocketAddr {
    broker.serve_http(TcpListener::bind("127.0.0.1:0").unwrap()).unwrap()
}

/// The samples of a page of metrics by their names with labels; it has to be
/// what Prometheus writes down of its text format.
fn samples(page: &str) -> BTreeMap<String, f64> {
    assert!(page.ends_with('\n'));
    let mut samples = BTreeMap::new();
    let mut known = BTreeSet::new();
    let mut lines = page.lines().peekable();
    while let Some(help) = lines.next() {
        let (family, help) = help.strip_prefix("# HELP ").unwrap().split_once(' ').unwrap();
        assert!(is_name(family) && help.ends_with('.') && known.insert(family), "{family}: {help}");
        let (named, kind) = lines.next().unwrap()[7..].split_once(' ').unwrap();
        assert_eq!(named, family);
        assert_eq!(family.ends_with("_total"), kind == "counter", "{family}");
        let mut own = 0;
        while let Some(line) = lines.next_if(|line| !line.starts_with('#')) {
            let (labelled, value) = line.rsplit_once(' ').unwrap();
            let (name, labels) = labelled.split_once('{').unwrap_or((labelled, "}"));
            let suffix = name.strip_prefix(family).unwrap();
            match kind {
                "histogram" => assert!(["_bucket", "_sum", "_count"].contains(&suffix), "{line}"),
                "gauge" | "counter" => assert_eq!(suffix, "", "{line}"),
                kind => panic!("{kind}"),
            }
            for label in labels.strip_suffix('}').unwrap().split(',').filter(|all| !all.is_empty())
            {
                let (label, value) = label.split_once("=\"").unwrap();
                assert!(is_name(label) && value.find('"') == Some(value.len() - 1), "{line}");
            }
            let value: f64 = value.parse().unwrap();
            assert!(value >= 0.0 && samples.insert(labelled.to_owned(), value).is_none(), "{line}");
            own += 1;
        }
        assert!(own > 0, "{family}");
        if kind == "histogram" {
            check_histogram(page, family, samples[&format!("{family}_count")]);
        }
    }
    samples
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

/// Each bucket holds those before it, and the last all.
fn check_histogram(page: &str, family: &str, count: f64) {
    let begin = format!("{family}_bucket{{le=\"");
    let buckets = page.lines().filter_map(|line| line.strip_prefix(&begin)?.split_once("\"} "));
    let buckets: Vec<(f64, f64)> =
        buckets.map(|(bound, held)| (bound.parse().unwrap(), held.parse().unwrap())).collect();
    assert!(buckets.is_sorted() && buckets.is_sorted_by_key(|(_, held)| *held), "{buckets:?}");
    assert_eq!(buckets.last(), Some(&(f64::INFINITY, count)));
}

#[test]
fn the_statistics_are_json_and_what_was_counted() {
    let broker = TestBroker::start();
    let address = serve(&broker);
    let mut client = Client::connect_with(broker.address(), resuming(V5, "client")).0;
    client.subscribe("a", ExactlyOnce);
    let mut writer = Client::connect(broker.address(), V311, "writer");
    writer.publish_retained("a", "kept", AtLeastOnce);
    client.next_publish();
    let answer = ask(address, "GET", "/stats");
    assert_eq!((answer.status, &*answer.headers["content-type"]), (200, "application/json"));
    assert_eq!(answer.headers["cache-control"], "no-store");
    let stats: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(stats["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(stats["clients_connected"], 2);
    assert_eq!(stats["retained_messages"], 1);
    assert_eq!(stats["received"]["messages"], serde_json::json!([0, 1, 0]));
    assert_eq!(stats["waiting"]["in_flight"], 1);
    let head = ask(address, "HEAD", "/stats");
    assert_eq!((head.status, &*head.body), (200, ""));
    assert!(head.headers["content-length"].parse::<usize>().unwrap() > 100);
}

#[test]
fn the_metrics_are_what_went_by() {
    let options = Options { max_queued_messages: 1, measure_latency: true, ..Options::default() };
    let broker = TestBroker::build(|builder| {
        builder.options(options).access(AllowAll).store(Disk::default())
    });
    let address = serve(&broker);
    let mut reader = Client::connect_with(broker.address(), resuming(V5, "reader")).0;
    reader.subscribe("a", AtLeastOnce);
    reader.disconnect();
    broker.until("it is away", |broker| broker.clients().is_empty());
    let mut writer = Client::connect(broker.address(), V311, "writer");
    writer.subscribe("b", AtMostOnce);
    writer.publish("a", "1", AtLeastOnce);
    writer.publish("a", "22", ExactlyOnce);
    for _ in 0..3 {
        writer.send(Packet::Publish(Publish::new("b", "4444")));
        writer.next_publish();
    }
    writer.expect_nothing();
    let answer = ask(address, "GET", "/metrics");
    assert_eq!((answer.status, &*answer.headers["content-type"]), (200, Metrics::CONTENT_TYPE));
    let samples = samples(&answer.body);
    for (name, value) in [
        ("mqtt_connections", 1.0),
        ("mqtt_clients_connected", 1.0),
        ("mqtt_sessions", 2.0),
        ("mqtt_subscriptions", 2.0),
        ("mqtt_connects_total", 2.0),
        ("mqtt_connections_accepted_total", 2.0),
        ("mqtt_received_messages_total{qos=\"0\"}", 3.0),
        ("mqtt_received_messages_total{qos=\"1\"}", 1.0),
        // The queue was full, and it was not taken.
        ("mqtt_received_messages_total{qos=\"2\"}", 0.0),
        ("mqtt_received_payload_bytes_total{qos=\"0\"}", 12.0),
        ("mqtt_sent_messages_total{qos=\"0\"}", 3.0),
        ("mqtt_sent_payload_bytes_total{qos=\"0\"}", 12.0),
        ("mqtt_dropped_messages_total{reason=\"queue_full\"}", 1.0),
        ("mqtt_dropped_messages_total{reason=\"queue_oldest\"}", 0.0),
        ("mqtt_dropped_messages_total{reason=\"inline_full\"}", 0.0),
        ("mqtt_connections_closed_total{reason=\"queue_full\"}", 0.0),
        ("mqtt_queued_messages", 1.0),
        ("mqtt_longest_queue_messages", 1.0),
        ("mqtt_waiting_bytes", 2.0),
        ("mqtt_connect_latency_seconds_count", 2.0),
        ("mqtt_connect_latency_seconds_bucket{le=\"+Inf\"}", 2.0),
        ("mqtt_publish_latency_seconds_count", 4.0),
    ] {
        assert_eq!(samples.get(name), Some(&value), "{name} in {}", answer.body);
    }
    assert!(samples["mqtt_commit_latency_seconds_count"] >= 1.0);
    assert!(samples["mqtt_received_bytes_total"] > 40.0 && samples["mqtt_sent_bytes_total"] > 20.0);
}

#[test]
fn what_the_store_makes_it_refuse_has_a_reason_of_its_own() {
    let disk = Disk::default();
    let broker = TestBroker::build(|builder| builder.access(AllowAll).store(disk.clone()));
    let mut writer = Client::connect(broker.address(), V5, "writer");
    assert!(!writer.publish_retained("a", "1", AtLeastOnce).is_error());
    disk.fail();
    // It is taken, waits for the store, and shows that it cannot write.
    let mut first = Client::connect(broker.address(), V5, "first");
    let kept = Publish { retain: true, ..Publish::new("a", "2") };
    first.send(Packet::Publish(kept));
    broker.until("it is noticed", |broker| broker.counters().store_errors > 0);
    assert_eq!(writer.publish_retained("a", "3", AtLeastOnce), ReasonCode::QuotaExceeded);
    let samples = samples(&broker.metrics().text());
    for (name, value) in [
        ("mqtt_refused_messages_total{reason=\"store_full\"}", 1.0),
        ("mqtt_refused_messages_total{reason=\"retained_full\"}", 0.0),
        ("mqtt_dropped_messages_total{reason=\"store_full\"}", 0.0),
    ] {
        assert_eq!(samples.get(name), Some(&value), "{name}");
    }
    disk.work();
}

/// Those that wait for others until they are given to many are measured, too.
#[test]
fn messages_for_many_are_measured() {
    let options = Options { measure_latency: true, ..Options::default() };
    let broker = TestBroker::with_options(options);
    let reader = |number| {
        let id = format!("reader-{number}");
        let mut reader = Client::connect(broker.address(), V311, &id);
        reader.subscribe("a", AtLeastOnce);
        reader
    };
    let _readers: Vec<_> = (0..64).map(reader).collect();
    let mut writer = Client::connect(broker.address(), V311, "writer");
    for payload in ["1", "2"] {
        writer.publish("a", payload, AtLeastOnce);
    }
    let count =
        |broker: &Broker| samples(&broker.metrics().text())["mqtt_publish_latency_seconds_count"];
    broker.until("both are measured", |broker| count(broker) == 2.0);
}

#[test]
fn what_is_not_to_be_measured_is_not() {
    let broker = TestBroker::start();
    let _client = Client::connect(broker.address(), V5, "client");
    let text = broker.metrics().text();
    assert!(!text.contains("latency"), "{text}");
    assert_eq!(samples(&text)["mqtt_clients_connected"], 1.0);
}

#[test]
fn health_says_when_the_store_cannot_write() {
    let disk = Disk::default();
    let broker = TestBroker::build(|builder| builder.access(AllowAll).store(disk.clone()));
    let address = serve(&broker);
    assert_eq!(ask(address, "GET", "/healthz").status, 200);
    assert_eq!(ask(address, "GET", "/healthz").body, "ok\n");
    disk.fail();
    let mut client = Client::connect(broker.address(), V5, "client");
    client.send(Packet::Publish(Publish { retain: true, ..Publish::new("a", "kept") }));
    broker.until("it is noticed", |_| ask(address, "GET", "/healthz").status == 503);
    assert!(broker.is_store_failing());
    disk.work();
    broker.until("it is well again", |_| ask(address, "HEAD", "/healthz").status == 200);
    assert!(!broker.is_store_failing());
}

#[test]
fn all_else_is_refused() {
    let broker = TestBroker::start();
    let address = serve(&broker);
    for path in ["/", "/stats/", "/stats2", "/../etc/passwd", "/metrics/x"] {
        assert_eq!(ask(address, "GET", path).status, 404, "{path}");
        assert_eq!(ask(address, "POST", path).status, 404, "{path}");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"] {
        let answer = ask(address, method, "/stats");
        assert_eq!((answer.status, &*answer.headers["allow"]), (405, "GET, HEAD"), "{method}");
    }
    assert_eq!(ask(address, "GET", "/stats?x=1").status, 200);
    // A page whose name leads here (C23a).
    for (host, status) in
        [("evil.example", 421), ("localhost:1", 200), ("[::1]:9", 200), ("127.0.0.1.evil", 421)]
    {
        let request = format!("GET /stats HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(exchange(address, request.as_bytes()).unwrap().status, status, "{host}");
    }
    assert_eq!(exchange(address, b"GET /stats HTTP/1.0\r\n\r\n").unwrap().status, 421);
    let named = HttpListener::new(TcpListener::bind("127.0.0.1:0").unwrap()).host("stats.example");
    let address = broker.serve_http(named).unwrap();
    let request = b"GET /healthz HTTP/1.1\r\nHost: stats.example:80\r\n\r\n";
    assert_eq!(exchange(address, request).unwrap().status, 200);
}

#[test]
fn a_request_has_its_bounds_in_size_and_time() {
    let broker = TestBroker::start();
    let address = serve(&broker);
    let long = format!("GET /stats HTTP/1.1\r\nHost: {address}\r\nX: {}\r\n\r\n", "x".repeat(9000));
    assert!(matches!(exchange(address, long.as_bytes()), Some(Answer { status: 431, .. })));
    let many = "X: x\r\n".repeat(100);
    let many = format!("GET /stats HTTP/1.1\r\nHost: {address}\r\n{many}\r\n");
    assert!(matches!(exchange(address, many.as_bytes()), Some(Answer { status: 431, .. })));
    assert!(
        exchange(address, b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00")
            .is_none_or(|answer| answer.status == 400)
    );
    // Who says nothing is sent away, and holds up nobody meanwhile.
    let silent: Vec<_> = (0..20).map(|_| open(address)).collect();
    assert_eq!(ask(address, "GET", "/healthz").status, 200);
    for mut stream in silent {
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said);
    }
    // One connection, one request.
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\n\r\n");
    let answer = exchange(address, request.repeat(3).as_bytes()).unwrap();
    assert!(answer.body.starts_with("ok\n") && !answer.body.contains("HTTP/1.1"));
}

#[test]
fn it_ends_with_the_broker() {
    let mut broker = TestBroker::start();
    let address = serve(&broker);
    let open = open(address);
    broker.close();
    assert!(TcpStream::connect(address).is_err());
    drop(open);
    let late = TcpListener::bind("127.0.0.1:0").unwrap();
    assert!(broker.serve_http(late).is_err());
}
