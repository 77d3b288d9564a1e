//! Connections that come too fast, and handshakes that do not end (C15).

use std::io::Read as _;
use std::time::Duration;

use serde_json::json;

use crate::authority::Authority;
use crate::harness::Server;
use crate::patient_stream::PatientStream;
use crate::tls_client::{TlsClient, ask, with_tls_of};

/// A connection on which nothing is said.
fn silent(address: &str) -> PatientStream {
    PatientStream::connect(address).unwrap()
}

/// Waits until the server has closed it.
fn is_closed(mut stream: PatientStream) {
    match stream.read(&mut [0; 1]) {
        Ok(0) => {}
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn c15_handshakes_that_stand_still_are_few_and_come_to_their_end() {
    let authority = Authority::new();
    let mut settings = with_tls_of(&authority);
    settings["http"]["max_connections"] = json!(16);
    settings["http"]["request_timeout_ms"] = json!(1500);
    let server = Server::start_with(settings);
    let client = TlsClient::of(&authority);
    let mut open = client.connect(server.at("https")).unwrap();
    // Two may stand still from one address; the others are closed at once, or
    // else they would hold all places.
    let held: Vec<_> = (0..30).map(|_| silent(server.at("https"))).collect();
    let (status, _) = server.get("/hello").await;
    assert_eq!(status, 200);
    assert!(ask(&mut open, "/hello").starts_with("HTTP/1.1 200"));
    held.into_iter().for_each(is_closed);
    let mut next = client.connect(server.at("https")).unwrap();
    assert!(ask(&mut next, "/hello").starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn c15_what_is_no_tls_is_closed_and_counted() {
    use std::io::Write as _;
    let authority = Authority::new();
    let server = Server::start_with(with_tls_of(&authority));
    for listener in ["https", "mqtts"] {
        let mut stream = silent(server.at(listener));
        stream.write_all(b"GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        // An alert, and nothing of what is behind TLS.
        assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    }
    let (_, metrics) = server.bytes("/metrics").await;
    let metrics = String::from_utf8(metrics.to_vec()).unwrap();
    let line = r#"latchlight_http_connections_refused_total{reason="tls"} 1"#;
    assert!(metrics.contains(line), "{metrics}");
}

#[tokio::test]
async fn c15_who_connects_too_fast_is_closed_before_tls() {
    let authority = Authority::new();
    let mut settings = with_tls_of(&authority);
    settings["limits"] = json!({ "accept_rate_per_address": 1, "loopback": true });
    let server = Server::start_with(settings);
    let client = TlsClient::of(&authority);
    for listener in ["https", "mqtts"] {
        let came = (0..60).filter(|_| client.connect(server.at(listener)).is_ok()).count();
        // Ten at once, and one more for each second that this took.
        assert!((1..60).contains(&came), "{listener}: {came}");
    }
}

#[tokio::test]
async fn who_takes_nothing_over_tls_or_stops_half_way_loses_its_place() {
    use std::io::Write as _;
    const HALF_A_HEAD: &str = "GET /hello HTTP/1.1\r\nHost: local";
    let asks = "GET /board.js HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(2000);
    for dawdles in [HALF_A_HEAD, &asks] {
        let authority = Authority::new();
        let mut settings = with_tls_of(&authority);
        let limits =
            json!({ "max_connections": 1, "keep_alive_ms": 500, "request_timeout_ms": 1500 });
        for (key, value) in limits.as_object().unwrap() {
            settings["http"][key] = value.clone();
        }
        let server = Server::start_with(settings);
        let client = TlsClient::of(&authority);
        let mut slow = client.connect(server.at("https")).unwrap();
        assert!(ask(&mut slow, "/hello").starts_with("HTTP/1.1 200"));
        slow.get_ref().set_write_timeout(Duration::from_millis(200));
        // As much as the server reads.
        let _ = slow.write_all(dawdles.as_bytes());
        let mut next = client.connect(server.at("https")).unwrap();
        assert!(ask(&mut next, "/hello").starts_with("HTTP/1.1 200"));
        drop(slow);
    }
}

#[tokio::test]
async fn a_handshake_that_stands_still_does_not_hold_up_the_stop() {
    let authority = Authority::new();
    let mut settings = with_tls_of(&authority);
    // Longer than a test may take.
    settings["http"]["request_timeout_ms"] = json!(600_000);
    settings["http"]["shutdown_timeout_ms"] = json!(600_000);
    let server = Server::start_with(settings);
    let mut idle = TlsClient::of(&authority).connect(server.at("https")).unwrap();
    assert!(ask(&mut idle, "/hello").starts_with("HTTP/1.1 200"));
    let held: Vec<_> = (0..4).map(|_| silent(server.at("https"))).collect();
    server.begin_to_stop();
    held.into_iter().for_each(is_closed);
    server.stop_and_read_log().await;
}
