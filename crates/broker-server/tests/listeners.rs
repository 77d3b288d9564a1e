//! TLS, WebSocket and Unix sockets of the program, with clients that others
//! have written: mosquitto's and Python's paho-mqtt.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::Path;
use std::process::{Command, Output};

use support::{Authority, Folder, Running, run, text};

const TLS: &str = "type: tls, address: '127.0.0.1:0', certificate: server.pem, key: server.key";
const WSS: &str = "type: wss, address: '127.0.0.1:0', certificate: server.pem, key: server.key";

/// Writes a configuration with these listeners, in which everybody may do
/// everything.
fn write(folder: &Folder, listeners: &[&str]) -> String {
    let listeners: String =
        listeners.iter().map(|listener| format!("  - {{{listener}}}\n")).collect();
    let rest = "access: {allow_anonymous: true}\n";
    folder.write("broker.yaml", &format!("listeners:\n{listeners}{rest}"))
}

/// An authority, and a server that it has signed.
fn signed(folder: &Folder) -> Authority {
    let authority = Authority::new(folder);
    authority.sign(folder, "server");
    authority
}

#[test]
fn mosquittos_clients_show_their_certificates() {
    let folder = Folder::new();
    let authority = signed(&folder);
    authority.sign(&folder, "door");
    authority.sign_with(&folder, "expired", |params| {
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    });
    let running = Running::with_config(&write(&folder, &[&format!("{TLS}, client_ca: ca.pem")]));
    let ca = folder.argument("ca.pem");
    let with = |name: &str, more: &[&str]| -> Vec<String> {
        let files =
            [format!("{name}.pem"), format!("{name}.key")].map(|file| folder.argument(&file));
        let [certificate, key] = &files;
        let tls = ["--cafile", &ca, "--cert", certificate, "--key", key, "-t", "door/front"];
        tls.iter().chain(more).map(ToString::to_string).collect()
    };
    let door = with("door", &[]);
    let door: Vec<&str> = door.iter().map(String::as_str).collect();
    let mut subscriber = running.subscribe(&door);
    let publish = |arguments: &[String]| {
        running.publish(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    };
    assert!(publish(&with("door", &["-m", "locked"])));
    assert_eq!(subscriber.next(), "door/front locked");
    assert!(publish(&with("door", &["-m", "in 1.2", "--tls-version", "tlsv1.2"])));
    assert_eq!(subscriber.next(), "door/front in 1.2");
    assert!(!publish(&with("expired", &["-m", "x"])));
    assert!(!running.publish(&["--cafile", &ca, "-t", "door/front", "-m", "without one"]));
    assert!(!running.publish(&["-t", "door/front", "-m", "in plain"]));
    // A client that trusts another authority does not come.
    Authority::new(&folder);
    assert!(!publish(&with("door", &["-m", "x"])));
}

/// Runs Python's paho-mqtt: it subscribes, publishes, and prints what comes.
fn paho(arguments: &[&str]) -> Output {
    const PROGRAM: &str = r#"
import sys
import paho.mqtt.client as mqtt

transport, port, ca, size = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, transport=transport,
                     protocol=mqtt.MQTTv5)
if ca:
    client.tls_set(ca_certs=ca)
client.on_connect = lambda c, *_: c.subscribe("large", qos=2)
client.on_subscribe = lambda c, *_: c.publish("large", bytes(size), qos=2)

def on_message(c, data, message):
    print(message.topic, len(message.payload), message.qos)
    c.disconnect()

client.on_message = on_message
client.connect("127.0.0.1", port)
client.loop_forever()
"#;
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../var/venv/bin/python");
    assert!(python.exists(), "python's paho-mqtt is needed: run script/bootstrap");
    Command::new(python).args(["-c", PROGRAM]).args(arguments).output().unwrap()
}

#[test]
fn paho_speaks_tls_and_websocket() {
    let folder = Folder::new();
    signed(&folder);
    let ws = "type: ws, address: '127.0.0.1:0', paths: [/mqtt]";
    let running = Running::with_config(&write(&folder, &[TLS, ws, WSS]));
    let ca = folder.argument("ca.pem");
    let ports: Vec<String> = running.ports.iter().map(ToString::to_string).collect();
    for (transport, port, ca) in [
        ("tcp", &ports[0], &ca),
        ("websockets", &ports[1], &String::new()),
        ("websockets", &ports[2], &ca),
    ] {
        for size in ["5", "300000"] {
            let output = paho(&[transport, port, ca, size]);
            let said = text(&output.stdout);
            assert_eq!(said.trim_end(), format!("large {size} 2"), "{}", text(&output.stderr));
        }
    }
}

#[test]
fn a_unix_socket_has_its_mode() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Folder::new();
    let listeners = ["address: '127.0.0.1:0'", "type: unix, socket: mqtt.sock, mode: '0660'"];
    let running = Running::with_config(&write(&folder, &listeners));
    let path = folder.path("mqtt.sock");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o660);
    let mut subscriber = running.subscribe(&["-t", "a"]);
    let status = Command::new("mosquitto_pub")
        .args(["--unix", path.to_str().unwrap(), "-t", "a", "-m", "by the socket"])
        .status();
    assert!(status.unwrap().success());
    assert_eq!(subscriber.next(), "a by the socket");
}

#[test]
fn check_says_what_is_wrong_with_a_listener() {
    let folder = Folder::new();
    let authority = signed(&folder);
    authority.sign(&folder, "other");
    folder.write("empty.pem", "");
    let tls = |from: &str, to: &str| TLS.replace(from, to);
    for (listener, named, what) in [
        (tls("server.pem", "none.pem"), "none.pem", "cannot be read"),
        (tls("server.pem", "empty.pem"), "empty.pem", "no certificate"),
        (tls("server.key", "none.key"), "none.key", "cannot be read"),
        (tls("server.key", "server.pem"), "server.pem", "no private key"),
        (tls("server.key", "other.key"), "other.key", "does not belong to the certificate"),
        (tls(", key: server.key", ""), "listeners[0].key", "must be given"),
        (tls("type: tls", "type: tcp"), "listeners[0].certificate", "tls and wss"),
        (format!("{TLS}, client_ca: empty.pem"), "empty.pem", "no certificate"),
        (format!("{TLS}, client_ca: ca.pem, client_crl: ca.pem"), "ca.pem", "no list of revoked"),
        (format!("{TLS}, client_crl: ca.pem"), "listeners[0].client_crl", "client_ca"),
        (format!("{TLS}, origins: ['*']"), "listeners[0].origins", "ws and wss"),
        ("type: unix, socket: s, mode: rw".to_owned(), "listeners[0].mode", "0660"),
        ("type: unix, address: '127.0.0.1:0'".to_owned(), "listeners[0].address", "unix"),
        ("type: ws, address: '0.0.0.0:0'".to_owned(), "listeners[0].address", "exposed: true"),
        ("type: tcp".to_owned(), "listeners[0].address", "must be given"),
    ] {
        let output = run(&["check", "--config", &write(&folder, &[&listener])]);
        assert_eq!(output.status.code(), Some(1), "{listener}");
        let said = text(&output.stderr);
        assert!(said.contains(named) && said.contains(what), "{listener}: {said}");
    }
    // TLS may be reached from everywhere.
    let everywhere = tls("127.0.0.1", "0.0.0.0");
    assert!(run(&["check", "--config", &write(&folder, &[&everywhere])]).status.success());
}

#[test]
fn that_a_certificate_has_expired_is_said() {
    let folder = Folder::new();
    let authority = Authority::new(&folder);
    authority.sign_with(&folder, "server", |params| {
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    });
    let config = write(&folder, &[TLS]);
    let output = run(&["check", "--config", &config]);
    assert!(output.status.success());
    assert!(text(&output.stdout).contains("listeners[0]: the certificate has expired"));
    let running = Running::with_config(&config);
    assert!(running.seen.iter().any(|line| line.contains("has expired")));
    assert!(!running.publish(&["--cafile", &folder.argument("ca.pem"), "-t", "a", "-m", "x"]));
}
