//! The server's own listeners with TLS: who gets through, and where they are
//! (C24).

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use openssl::ssl::SslVersion;
use rcgen::SerialNumber;
use serde_json::json;

use crate::authority::Authority;
use crate::harness::{Server, configured, program};
use crate::patient_stream::PatientStream;
use crate::real_clients::{operate, paho_door_of_over_tls};
use crate::tls_client::{TlsClient, ask, is_let_on, with_tls_of};

fn port(address: &str) -> &str {
    address.rsplit_once(':').unwrap().1
}

#[tokio::test]
async fn a_paho_door_over_tls_is_locked() {
    let authority = Authority::new();
    let server = Server::start_with(with_tls_of(&authority));
    let address = format!("localhost:{}", port(server.at("mqtts")));
    let _door = paho_door_of_over_tls(&server, &address, &authority.ca()).await;
    operate(&server).await;
}

#[tokio::test]
async fn curl_and_mosquitto_go_by_the_servers_certificate() {
    let (authority, other) = (Authority::new(), Authority::new());
    let server = Server::start_with(with_tls_of(&authority));
    let curl = |host: &str, authority: &Authority| {
        let url = format!("https://{host}:{}/hello", port(server.at("https")));
        let mut curl = Command::new("curl");
        curl.args([
            "-sS",
            "--noproxy",
            "*",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code} %{http_version}",
        ]);
        let output = curl.arg("--cacert").arg(authority.ca()).arg(url).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    assert_eq!(curl("localhost", &authority), (Some(0), "200 1.1".to_owned()));
    // The certificate is of nobody's whom it knows, or for another name.
    assert!([Some(35), Some(60)].contains(&curl("localhost", &other).0));
    assert_eq!(curl("127.0.0.1", &authority).0, Some(60));

    let mosquitto = |host: &str, authority: &Authority| {
        let mut mosquitto = Command::new("mosquitto_pub");
        mosquitto.args(["-h", host, "-p", port(server.at("mqtts")), "-t", "house/x", "-m", "x"]);
        mosquitto.arg("--cafile").arg(authority.ca()).stderr(Stdio::piped());
        let output = mosquitto.output().unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(!mosquitto("localhost", &authority).contains("TLS"));
    assert!(mosquitto("localhost", &other).contains("TLS"));
    assert!(mosquitto("127.0.0.1", &authority).contains("TLS"));
}

#[tokio::test]
async fn c24_tls_1_2_and_1_3_are_spoken_and_nothing_older() {
    let authority = Authority::new();
    let server = Server::start_with(with_tls_of(&authority));
    for listener in ["https", "mqtts"] {
        for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
            let stream = TlsClient::of(&authority).speaks(version).connect(server.at(listener));
            assert!(stream.is_ok(), "{listener}: {version:?}");
        }
        for version in [SslVersion::TLS1, SslVersion::TLS1_1] {
            let stream = TlsClient::of(&authority).speaks(version).connect(server.at(listener));
            let why = stream.map(|_| ()).unwrap_err();
            assert!(why.contains("alert"), "{listener}: {version:?}: {why}");
        }
        let mut openssl = Command::new("openssl");
        openssl.args(["s_client", "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0", "-connect"]);
        let said = openssl.arg(server.at(listener)).stdin(Stdio::null()).output().unwrap();
        assert!(!said.status.success());
        assert!(String::from_utf8_lossy(&said.stderr).contains("alert"));
    }
}

#[tokio::test]
async fn a_browser_is_told_to_come_by_tls_only_where_the_public_url_says_so() {
    const HSTS: &str = "strict-transport-security: max-age=31536000";
    let authority = Authority::new();
    for (public_url, is_told) in [(json!(null), false), (json!("https://home.example"), true)] {
        let mut settings = with_tls_of(&authority);
        settings["http"]["public_url"] = public_url;
        let server = Server::start_with(settings);
        let mut tls = TlsClient::of(&authority).connect(server.at("https")).unwrap();
        assert_eq!(ask(&mut tls, "/hello").contains(HSTS), is_told);
        // Again on the same connection, and what is not found.
        assert_eq!(ask(&mut tls, "/nowhere").contains(HSTS), is_told);
        let plain = server.http.strip_prefix("http://").unwrap();
        let mut plain = PatientStream::connect(plain).unwrap();
        assert!(!ask(&mut plain, "/hello").contains("strict-transport-security"));
    }
}

#[tokio::test]
async fn a_page_of_the_boards_own_speaks_mqtt_over_websocket_and_no_other() {
    let authority = Authority::new();
    let mut settings = with_tls_of(&authority);
    settings["mqtt"]["wss_listen"] = json!("127.0.0.1:0");
    let server = Server::start_with(settings);
    let upgrade = |host: &str, origin: &str| {
        let mut stream = TlsClient::of(&authority).connect(server.at("wss")).unwrap();
        let head = format!(
            "GET /mqtt HTTP/1.1\r\nHost: {host}\r\nOrigin: {origin}\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).unwrap();
        String::from_utf8(answer.to_vec()).unwrap()
    };
    let board = format!("https://localhost:{}", port(server.at("https")));
    assert_eq!(upgrade("localhost", &board), "HTTP/1.1 101");
    assert_eq!(upgrade("localhost", "https://evil.example"), "HTTP/1.1 403");
    assert_eq!(upgrade("evil.example", "https://evil.example"), "HTTP/1.1 403");
}

#[tokio::test]
async fn devices_may_show_a_certificate_that_is_good_and_not_revoked() {
    let (authority, other) = (Authority::new(), Authority::new());
    let numbered = |number: u64| {
        move |params: &mut rcgen::CertificateParams| {
            params.serial_number = Some(SerialNumber::from(number));
        }
    };
    let door = authority.sign_with("door", numbered(7));
    let lost = authority.sign_with("lost", numbered(8));
    let foreign = other.sign("door");
    let mut settings = with_tls_of(&authority);
    settings["tls"]["client_ca"] = json!(authority.ca());
    settings["tls"]["client_crl"] = json!(authority.revoke(&[8]));
    let server = Server::start_with(settings);
    let is_let_on = |client: TlsClient| is_let_on(&client, server.at("mqtts"));
    assert!(is_let_on(TlsClient::of(&authority)));
    assert!(is_let_on(TlsClient::of(&authority).shows(door)));
    assert!(!is_let_on(TlsClient::of(&authority).shows(lost)));
    assert!(!is_let_on(TlsClient::of(&authority).shows(foreign)));
}

#[tokio::test]
async fn c24_it_listens_where_the_settings_say_and_nowhere_else() {
    let authority = Authority::new();
    let mut all = with_tls_of(&authority);
    all["mqtt"]["ws_listen"] = json!("127.0.0.1:0");
    all["mqtt"]["wss_listen"] = json!("[::1]:0");
    let server = Server::start_with(all);
    let names = ["https", "mqtt", "mqtts", "ws", "wss"];
    let mut said: BTreeSet<SocketAddr> =
        names.iter().map(|name| server.at(name).parse().unwrap()).collect();
    said.insert(server.http.strip_prefix("http://").unwrap().parse().unwrap());
    assert_eq!(said.len(), 6);
    assert_eq!(listening(server.process()), said);

    // Without the plain ones.
    let mut tls_only = with_tls_of(&authority);
    tls_only["http"]["listen"] = json!("off");
    tls_only["mqtt"]["listen"] = json!("off");
    let server = Server::start_with(tls_only);
    let said = ["https", "mqtts"].map(|name| server.at(name).parse().unwrap());
    assert_eq!(listening(server.process()), BTreeSet::from(said));
    assert_eq!(server.http, format!("https://{}", server.at("https")));
}

/// Where a process takes connections over TCP.
fn listening(process: u32) -> BTreeSet<SocketAddr> {
    let open = std::fs::read_dir(format!("/proc/{process}/fd")).unwrap();
    let sockets: BTreeSet<String> = open
        .filter_map(|file| std::fs::read_link(file.unwrap().path()).ok())
        .filter_map(|link| {
            let link = link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
            Some(link.to_owned())
        })
        .collect();
    let mut addresses = BTreeSet::new();
    for table in ["tcp", "tcp6"] {
        let table = std::fs::read_to_string(format!("/proc/{process}/net/{table}")).unwrap();
        for line in table.lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            // 0A: it listens.
            if fields[3] == "0A" && sockets.contains(fields[9]) {
                addresses.insert(address(fields[1]));
            }
        }
    }
    addresses
}

/// An address as the system's tables have it: words in the machine's order.
fn address(hex: &str) -> SocketAddr {
    let (ip, port) = hex.split_once(':').unwrap();
    let words = ip.as_bytes().chunks(8).map(|word| std::str::from_utf8(word).unwrap());
    let words = words.map(|word| u32::from_str_radix(word, 16).unwrap().to_ne_bytes());
    let bytes: Vec<u8> = words.flatten().collect();
    let port = u16::from_str_radix(port, 16).unwrap();
    match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(v4) => (v4, port).into(),
        Err(_) => (<[u8; 16]>::try_from(bytes).unwrap(), port).into(),
    }
}

#[tokio::test]
async fn c24_the_server_itself_looks_at_the_name_of_the_broker_that_it_signs_in_to() {
    let authority = Authority::new();
    let house = Server::start_with(with_tls_of(&authority));
    // It is there by this address, and its certificate is for another name.
    let broker = format!("mqtts://127.0.0.1:{}", port(house.at("mqtts")));
    let outside = json!({ "mqtt": { "broker": broker, "ca_file": authority.ca() } });
    let line = Server::start_with(outside).logged("connect to the broker").await;
    let why = line["error"].as_str().unwrap();
    assert!(why.contains("mismatch"), "{why}");
}

#[tokio::test]
async fn c24_what_is_plain_off_loopback_is_said_at_each_start() {
    let authority = Authority::new();
    let mut settings = with_tls_of(&authority);
    for section in ["http", "mqtt"] {
        settings[section]["listen"] = json!("0.0.0.0:0");
        settings[section]["tls_listen"] = json!("0.0.0.0:0");
    }
    let folder = configured(settings.clone());
    let ended = program(&folder.path().join("config.json")).output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(!ended.status.success() && said.contains("http.allow_plain"), "{said}");
    for section in ["http", "mqtt"] {
        settings[section]["allow_plain"] = json!(true);
    }
    let mut folder = configured(settings);
    for _ in 0..2 {
        let server = Server::start_in(folder);
        for key in ["http.listen", "mqtt.listen"] {
            let warning = format!(
                "{key} speaks without TLS off loopback: what goes there, passwords too, can be \
                 read and changed on its way (allow_plain)"
            );
            assert_eq!(server.logged(&warning).await["level"], "WARN");
        }
        let addresses = listening(server.process());
        assert_eq!(addresses.len(), 4);
        assert!(addresses.iter().all(|address| address.ip().is_unspecified()), "{addresses:?}");
        folder = server.stop();
    }
}

#[tokio::test]
async fn a_listener_with_tls_and_no_certificate_stops_the_start_with_what_to_do() {
    for settings in [
        json!({ "http": { "tls_listen": "127.0.0.1:0" } }),
        json!({ "mqtt": { "wss_listen": "127.0.0.1:0" } }),
    ] {
        let folder = configured(settings);
        let ended = program(&folder.path().join("config.json")).output().unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert!(!ended.status.success() && said.contains("latchlight tls init"), "{said}");
    }
}

#[tokio::test]
async fn who_joins_is_sent_to_the_listener_that_is_reached_from_elsewhere() {
    let authority = Authority::new();
    let mut settings = with_tls_of(&authority);
    settings["mqtt"]["tls_listen"] = json!("0.0.0.0:0");
    settings["http"]["hosts"] = json!(["localhost", "127.0.0.1", "home.example:8443"]);
    let server = Server::start_with(settings);
    let (status, begun) = server.post_json("/api/v1/pairing", json!({})).await;
    let port = port(server.at("mqtts"));
    assert_eq!((status, &begun["broker"]), (201, &json!(format!("mqtts://home.example:{port}"))));
    let uri = begun["uri"].as_str().unwrap();
    let told = format!("latchlight://join?broker=mqtts%3A%2F%2Fhome.example%3A{port}&prefix=");
    assert!(uri.starts_with(&told), "{uri}");
    // What runs beside the server needs no certificate.
    let (_, broker) = server.get("/api/v1/broker").await;
    assert_eq!(broker["url"], format!("mqtt://{}", server.mqtt()));
}

#[tokio::test]
async fn pair_says_what_is_missing_for_a_code_by_which_a_device_finds_the_broker() {
    let authority = Authority::new();
    let plain = json!({});
    let mut nameless = with_tls_of(&authority);
    nameless["mqtt"]["tls_listen"] = json!("[::]:0");
    let mut named = nameless.clone();
    named["http"]["hosts"] = json!(["localhost", "127.0.0.1", "[::1]", "192.0.2.7"]);
    for (settings, note) in [(plain, "this machine alone"), (nameless, "http.hosts"), (named, "")] {
        let server = Server::start_with(settings);
        let mut pair = Command::new(env!("CARGO_BIN_EXE_latchlight"));
        pair.args(["pair", "--seconds", "1", "--config"]).arg(server.config_path());
        let ended = pair.output().unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert!(said.contains("nobody has joined in time"), "{said}");
        assert_eq!(said.contains("note: "), !note.is_empty(), "{said}");
        assert!(said.contains(note), "{said}");
    }
}
