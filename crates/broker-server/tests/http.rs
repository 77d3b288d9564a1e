//! Statistics, health and metrics over HTTP.
#![allow(clippy::unwrap_used)]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;

use support::{Folder, Running, run, text};

/// The address that the log says.
fn address(running: &mut Running) -> String {
    let line = running.said("statistics by HTTP");
    let address = line.split_once("address=").unwrap().1;
    address.split_whitespace().next().unwrap().to_owned()
}

fn get(address: &str, path: &str, host: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn it_is_served_where_the_command_line_says() {
    let mut running =
        Running::start(&["--port", "0", "--allow-anonymous", "--http", "127.0.0.1:0"]);
    let address = address(&mut running);
    assert!(running.publish(&["-t", "a", "-m", "x", "-r", "-q", "1"]));
    assert!(get(&address, "/healthz", &address).ends_with("\r\n\r\nok\n"));
    assert!(get(&address, "/stats", &address).contains("\"retained_messages\": 1,"));
    assert!(
        get(&address, "/metrics", &address).contains("mqtt_received_messages_total{qos=\"1\"} 1")
    );
    running.signal("TERM");
    assert_eq!(running.wait(), Some(0));
}

#[test]
fn a_configuration_says_where_and_under_which_names() {
    let folder = Folder::new();
    let with = |http: &str| {
        let rest = "listeners: [{address: '127.0.0.1:0'}]\naccess: {allow_anonymous: true}\n";
        folder.write("broker.yaml", &format!("{rest}http: {http}\n"))
    };
    let config = with("{listen: '127.0.0.1:0', hosts: [stats.example]}");
    let mut running = Running::with_config(&config);
    let address = address(&mut running);
    assert!(get(&address, "/healthz", "stats.example").starts_with("HTTP/1.1 200 "));
    assert!(get(&address, "/healthz", "evil.example").starts_with("HTTP/1.1 421 "));
    // C24
    let config = with("{listen: '0.0.0.0:0'}");
    let refused = run(&["check", "--config", &config]);
    assert!(!refused.status.success());
    assert!(text(&refused.stderr).contains("http.listen"), "{}", text(&refused.stderr));
    let config = with("{listen: '0.0.0.0:0', exposed: true}");
    assert!(run(&["check", "--config", &config]).status.success());
    with("{listen: '127.0.0.1:1'}");
    running.signal("HUP");
    running.until("key=\"http\"");
}
