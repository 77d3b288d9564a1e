//! Devices that show a certificate instead of a password (C9, C10, C11).

use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::Command;

use latchlight_mqtt::{Connect, Packet, ProtocolVersion, ReasonCode};
use openssl::ssl::SslStream;
use serde_json::json;

use crate::authority::Authority;
use crate::harness::Server;
use crate::patient_stream::PatientStream;
use crate::secrets;
use crate::tls_client::{TlsClient, with_tls_of};

/// A house whose authority signs for its devices, too.
fn house(authority: &Authority) -> Server {
    let mut settings = with_tls_of(authority);
    settings["tls"]["client_ca"] = json!(authority.ca());
    Server::start_with(settings)
}

/// Signs in with a certificate; gives what CONNACK says, and the connection.
fn sign_in(
    server: &Server,
    authority: &Authority,
    certificate: &(PathBuf, PathBuf),
    connect: Connect,
) -> (ReasonCode, SslStream<PatientStream>) {
    let client = TlsClient::of(authority).shows(certificate.clone());
    let mut stream = client.connect(server.at("mqtts")).unwrap();
    let mut bytes = Vec::new();
    let connect = Packet::Connect(Box::new(connect));
    connect.encode(ProtocolVersion::V5, &mut bytes).unwrap();
    stream.write_all(&bytes).unwrap();
    let mut head = [0; 4];
    stream.read_exact(&mut head).unwrap();
    // CONNACK, its length, flags, and the reason.
    assert_eq!(head[0], 0x20);
    (ReasonCode::try_from(head[3]).unwrap(), stream)
}

fn of(client_id: &str) -> Connect {
    Connect::new(ProtocolVersion::V5, client_id)
}

#[tokio::test]
async fn c10_a_certificate_is_its_devices_and_nobody_elses() {
    let authority = Authority::new();
    let server = house(&authority);
    let (front, stranger) = (authority.sign("front"), authority.sign("stranger"));
    let _ = secrets::of_device(&server.config_path(), "front").await;
    let _ = secrets::of_device(&server.config_path(), "garden").await;
    let garden = server.device("garden").await;
    let named = |name: &str| Connect { username: Some(name.into()), ..of("front") };
    let wrong = Connect { password: Some("guessed".into()), ..named("front") };
    let (no, ok) = (ReasonCode::BadUserNameOrPassword, ReasonCode::Success);
    for (certificate, connect, reason) in [
        (&front, of("front"), ok),
        (&front, of("front.2"), ok),
        (&front, named("front"), ok),
        (&front, of("garden"), ReasonCode::ClientIdentifierNotValid),
        (&front, of("frontier"), ReasonCode::ClientIdentifierNotValid),
        (&front, named("garden"), no),
        // Who shows a password is who the password says.
        (&front, garden, ok),
        (&front, wrong, no),
        // Signed, and not known here.
        (&stranger, of("stranger"), no),
        (&stranger, of("front"), no),
    ] {
        let who = format!("{:?} {:?}", certificate.0, connect.client_id);
        assert_eq!(sign_in(&server, &authority, certificate, connect).0, reason, "{who}");
    }
}

#[tokio::test]
async fn c11_a_device_with_a_certificate_is_revoked_like_any_other() {
    let authority = Authority::new();
    let server = house(&authority);
    let front = authority.sign("front");
    let _ = secrets::of_device(&server.config_path(), "front").await;
    let (reason, mut stream) = sign_in(&server, &authority, &front, of("front"));
    assert_eq!(reason, ReasonCode::Success);
    let mut revoke = Command::new(env!("CARGO_BIN_EXE_latchlight"));
    revoke.args(["device", "revoke", "front", "--config"]).arg(server.config_path());
    assert!(revoke.status().unwrap().success());
    // It is disconnected: nothing more comes than the rest of what was said.
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    let (reason, _) = sign_in(&server, &authority, &front, of("front"));
    assert_eq!(reason, ReasonCode::BadUserNameOrPassword);
}

#[tokio::test]
async fn c9_a_mosquitto_with_a_certificate_speaks_for_its_device_alone() {
    let authority = Authority::new();
    let server = house(&authority);
    let (certificate, key) = authority.sign("front");
    let _ = secrets::of_device(&server.config_path(), "front").await;
    let port = server.at("mqtts").rsplit_once(':').unwrap().1;
    let say = |topic: &str, words: &str| {
        let mut mosquitto = Command::new("mosquitto_pub");
        mosquitto.args(["-h", "localhost", "-p", port, "-i", "front", "-q", "1", "-V", "mqttv5"]);
        mosquitto.arg("--cafile").arg(authority.ca()).arg("--cert").arg(&certificate);
        mosquitto.arg("--key").arg(&key).args(["-t", topic, "-m", words]);
        mosquitto.status().unwrap()
    };
    assert!(say("latchlight/devices/front/up", "hand_shake lock").success());
    server.device_when("front", |device| device["kind"] == "lock").await;
    let _ = say("latchlight/devices/garden/up", "hand_shake lock");
    let (status, _) = server.get("/api/v1/devices/garden").await;
    assert_eq!(status, 404);
}
