//! What is not installed, whoever sends it: nothing is written, nothing is
//! loaded, and the answer says why.

use serde_json::{Value, json};

use super::{Package, Signer, claim, files, put, remembered, speak};
use crate::harness::{Server, merge};
use crate::libraries::{far, in_c, versioned};

fn read(library: &std::path::Path) -> Vec<u8> {
    std::fs::read(library).unwrap()
}

async fn refused(server: &Server, package: &Package, status: u16, why: &str) {
    let (found, problem) = put(server, "far", package).await;
    let detail = problem["detail"].as_str().unwrap_or_default();
    assert!(found == status && detail.contains(why), "{why}: {found} {problem}");
    assert!(files(&server.folder).is_empty(), "{why}: {:?}", files(&server.folder));
    assert_eq!(remembered(&server.folder), Value::Null, "{why}");
    assert_eq!(speak(server).await.0, 404, "{why}");
}

#[tokio::test]
async fn c29_what_no_key_of_config_json_has_signed_is_refused() {
    let (signer, other) = (Signer::new(), Signer::new());
    let server = signer.server();
    let good = signer.far("1.0.0");
    refused(&server, &other.far("1.0.0"), 403, "no key of `plugins.keys`").await;
    let mut changed = good.clone();
    *changed.bytes.last_mut().unwrap() ^= 1;
    refused(&server, &changed, 403, "is not of these bytes").await;
    let mut cut = good.clone();
    cut.bytes.truncate(good.bytes.len() - 1);
    refused(&server, &cut, 403, "is not of these bytes").await;
    let mut renamed = good.clone();
    renamed.signature = good.signature.replace("version=1.0.0", "version=9.0.0");
    refused(&server, &renamed, 403, "or was changed").await;
    // By the other key, with this one's number.
    let (ours, theirs) = (good.signature.clone(), other.far("1.0.0").signature);
    let lines: Vec<_> = ours.lines().zip(theirs.lines()).collect();
    let mixed = [lines[0].0, lines[1].0, lines[2].1, lines[3].1].join("\n");
    refused(&server, &Package { signature: mixed, ..good.clone() }, 403, "or was changed").await;
    for text in ["", "a\nb\nc\nd", &"x".repeat(10_000)] {
        let garbled = Package { signature: text.to_owned(), ..good.clone() };
        refused(&server, &garbled, 422, "the signature cannot be read").await;
    }
}

#[tokio::test]
async fn c29_what_was_signed_as_something_else_is_refused() {
    let signer = Signer::new();
    let server = signer.server();
    let bytes = read(&far("1.0.0"));
    let good = claim("far", "1.0.0");
    let here = format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS);
    for (comment, why) in [
        ("timestamp:1556193335\tfile:far.so", "sign it with `latchlight plugin sign`"),
        (&*claim("near", "1.0.0"), "signed as near, not as far"),
        (&good.replace(&here, "armv5-plan9"), "it is for armv5-plan9"),
        (&good.replace("api=1", "api=2"), "it speaks API 2"),
        (&good.replace("1.0.0", "1.0"), "not a version"),
        (&good.replace("1.0.0", "2.0.0"), "it calls itself far 1.0.0"),
        (&good.replace("name=far", "name=../far"), "not the name of a plugin"),
    ] {
        refused(&server, &signer.sign(&bytes, comment), 422, why).await;
    }
    // What the library itself says, under a signature that says otherwise.
    let mut machine = bytes.clone();
    machine[18] = if machine[18] == 0xB7 { 0x3E } else { 0xB7 };
    refused(&server, &signer.sign(&machine, &good), 422, "it was signed for").await;
    let api = signer.package(&in_c("wrong_api"), "far", "1.0.0");
    refused(&server, &api, 422, "speaks another").await;
    let words = [("NAME", "near"), ("VERSION", "1.0.0"), ("ACTION", "near_speak"), ("HOLD", "/")];
    let near = versioned("near.so", &words);
    let near = signer.package(&near, "far", "1.0.0");
    refused(&server, &near, 422, "it calls itself near").await;
}

#[tokio::test]
async fn c29_what_is_no_plugin_or_takes_what_is_anothers_is_refused() {
    let signer = Signer::new();
    let server = signer.server();
    let sign = |bytes: &[u8]| signer.sign(bytes, &claim("far", "1.0.0"));
    let bytes = read(&far("1.0.0"));
    refused(&server, &sign(&bytes[..bytes.len() / 2]), 422, "cut short").await;
    refused(&server, &sign(b"#!/bin/sh"), 422, "not a dynamic library").await;
    refused(&server, &sign(b""), 422, "not a dynamic library").await;
    refused(&server, &sign(&read(&in_c("no_symbol"))), 422, "no symbol").await;
    let words = [("NAME", "far"), ("VERSION", "1.0.0"), ("ACTION", "lock"), ("HOLD", "/")];
    let taken = versioned("far-lock.so", &words);
    refused(&server, &sign(&read(&taken)), 422, "there is an action `lock` already").await;
    let (_, actions) = server.get("/api/v1/actions").await;
    let lock = actions["actions"].as_array().unwrap().iter().find(|a| a["name"] == "lock");
    assert_eq!(lock.unwrap()["origin"], "built-in");
}

#[tokio::test]
async fn c29_too_many_bytes_and_too_many_plugins_are_refused() {
    let signer = Signer::new();
    let far = signer.far("1.0.0");
    let mut settings = signer.settings();
    merge(
        &mut settings,
        json!({ "plugins": { "max_bytes": far.bytes.len(), "max_installed": 0 } }),
    );
    let server = Server::start_with(settings);
    let mut larger = far.bytes.clone();
    larger.push(0);
    let larger = signer.sign(&larger, &claim("far", "1.0.0"));
    let (status, problem) = put(&server, "far", &larger).await;
    assert_eq!((status, &problem["type"]), (413, &json!("urn:latchlight:problem:too-large")));
    refused(&server, &far, 422, "as many as may be").await;
}

#[tokio::test]
async fn c29_names_with_paths_are_no_names() {
    let signer = Signer::new();
    let server = signer.server();
    let far = signer.far("1.0.0");
    for name in ["..%2Ffar", "%2e%2e%2ffar", "far.so", "FAR", "%00", "a%5Cb", "%2Ftmp%2Ffar"] {
        let (status, problem) = put(&server, name, &far).await;
        assert_eq!(status, 422, "{name}: {problem}");
        let status = server.delete(&format!("/api/v1/plugins/{name}")).await;
        assert_eq!(status, 422, "{name}");
    }
    assert!(files(&server.folder).is_empty());
}

#[tokio::test]
async fn c29_an_older_version_that_is_replayed_is_refused_also_after_a_restart() {
    let signer = Signer::new();
    let server = signer.server();
    let (old, new) = (signer.far("1.9.0"), signer.far("1.10.0"));
    assert_eq!(put(&server, "far", &new).await.0, 201);
    // The very same does no harm.
    assert_eq!(put(&server, "far", &new).await.0, 200);
    let mut other = new.bytes.clone();
    other.push(0);
    let other = signer.sign(&other, &claim("far", "1.10.0"));
    let mut server = server;
    for _ in 0..2 {
        for replayed in [&old, &other] {
            let (status, problem) = put(&server, "far", replayed).await;
            let detail = problem["detail"].as_str().unwrap();
            assert!(status == 422 && detail.contains("far 1.10.0 is installed"), "{problem}");
        }
        assert_eq!(speak(&server).await, (200, json!("far 1.10.0")));
        assert_eq!(files(&server.folder), [new.file("far")]);
        server = Server::start_in(server.stop());
    }
}

#[tokio::test]
async fn c29_an_older_version_of_a_removed_plugin_does_not_come_back_also_after_a_restart() {
    let signer = Signer::new();
    let mut server = signer.server();
    let (old, new) = (signer.far("1.9.0"), signer.far("1.10.0"));
    for _ in 0..2 {
        assert_eq!(put(&server, "far", &new).await.0, 201);
        assert_eq!(server.delete("/api/v1/plugins/far").await, 204);
        server = Server::start_in(server.stop());
        let (status, problem) = put(&server, "far", &old).await;
        let detail = problem["detail"].as_str().unwrap();
        assert!(status == 422 && detail.contains("far 1.10.0 was removed"), "{problem}");
    }
}

#[tokio::test]
async fn c29_a_plugin_of_config_json_is_not_replaced_from_afar() {
    let signer = Signer::new();
    let library = far("1.0.0");
    let mut settings = signer.settings();
    let sha256 = latchlight::config::Sha256Hex::of(&read(&library));
    let (folder, file) = (library.parent().unwrap(), library.file_name().unwrap().to_str());
    merge(
        &mut settings,
        json!({ "plugins": { "folder": folder,
        "allow": [{ "file": file, "sha256": sha256.as_str() }] } }),
    );
    let server = Server::start_with(settings);
    let newer = signer.far("2.0.0");
    let (status, problem) = put(&server, "far", &newer).await;
    assert!(status == 422 && problem["detail"].as_str().unwrap().contains("plugins.allow"));
    assert_eq!(speak(&server).await, (200, json!("far 1.0.0")));
    assert_eq!(server.delete("/api/v1/plugins/far").await, 404);
    assert!(!folder.join(newer.file("far")).exists());
}
