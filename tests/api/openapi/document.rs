//! `GET /api-docs/openapi.json`: it has every route, and whatever there is to
//! say of each.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use latchlight::config::HttpSettings;
use latchlight::http::openapi;
use latchlight::http::routes;
use serde_json::{Map, Value, json};

use super::is_page;
use crate::harness::Server;

/// The document of a server with all routes.
fn document(public_url: &str) -> Value {
    let public_url = Some(public_url.to_owned()).filter(|url| !url.is_empty());
    openapi::document(&HttpSettings { public_url, get_commands: true, ..HttpSettings::default() })
}

/// Each operation, by method and path.
fn operations(document: &Value) -> Vec<(String, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    let of_path = |(path, item): (&String, &'_ Value)| {
        let path = path.clone();
        let methods = item.as_object().unwrap().keys().cloned();
        methods.map(move |method| (method, path.clone())).collect::<Vec<_>>()
    };
    let named = paths.flat_map(of_path);
    named
        .map(|(method, path)| {
            (format!("{} {path}", method.to_uppercase()), &document["paths"][&path][&method])
        })
        .collect()
}

/// What a `$ref` refers to.
fn resolve<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap(),
        None => value,
    }
}

fn contents<'a>(document: &'a Value, answer: &'a Value) -> Map<String, Value> {
    resolve(document, answer)["content"].as_object().cloned().unwrap_or_default()
}

#[test]
fn every_route_is_in_the_document_and_nothing_else() {
    let document = document("");
    let documented: BTreeSet<_> = operations(&document).into_iter().map(|(name, _)| name).collect();
    let routes = routes().into_iter().filter(|route| !is_page(route.path));
    let routes: BTreeSet<_> =
        routes.map(|route| format!("{} {}", route.method, route.path)).collect();
    let missing: Vec<_> = routes.difference(&documented).collect();
    assert!(
        missing.is_empty(),
        "write #[utoipa::path(…)] above the handler, and its name in src/http/openapi/paths.rs: \
         {missing:#?}"
    );
    let nowhere: Vec<_> = documented.difference(&routes).collect();
    assert!(nowhere.is_empty(), "the page of routes (src/http/mod.rs) has no {nowhere:#?}");
}

#[test]
fn every_operation_has_a_name_a_tag_a_summary_and_who_may() {
    let document = document("");
    let tags: Vec<_> =
        document["tags"].as_array().unwrap().iter().map(|tag| &tag["name"]).collect();
    let mut names = BTreeSet::new();
    for (operation, what) in operations(&document) {
        let name = what["operationId"].as_str().unwrap_or_default();
        assert!(!name.is_empty() && names.insert(name), "{operation}: operation_id, its own");
        assert!(tags.contains(&&what["tags"][0]), "{operation}: a tag of document.rs");
        let summary = what["summary"].as_str().unwrap_or_default();
        assert!(!summary.is_empty(), "{operation}: a sentence above the handler");
        assert!(what["security"].is_array(), "{operation}: security");
        let description = what["description"].as_str().unwrap_or_default();
        assert!(description.contains("Needs "), "{operation}: {description}");
    }
}

#[test]
fn every_body_and_every_success_has_an_example() {
    let document = document("");
    for (operation, what) in operations(&document) {
        let bodies = contents(&document, &what["requestBody"]);
        let bodies =
            bodies.into_iter().map(|(media, content)| ("the body".to_owned(), media, content));
        let answers = what["responses"].as_object().unwrap().iter();
        let successes = answers.filter(|(status, _)| status.starts_with('2'));
        let successes = successes.flat_map(|(status, answer)| {
            let contents = contents(&document, answer).into_iter();
            contents.map(move |(media, content)| (status.clone(), media, content))
        });
        let mut found = 0;
        for (where_, media, content) in bodies.chain(successes) {
            found += 1;
            let is_bytes = media.starts_with("image/")
                || media == "application/octet-stream"
                || media.starts_with("multipart/");
            assert!(
                is_bytes || content.get("example").is_some(),
                "{operation}: {where_} ({media}) needs an `example`, or a field of {} does",
                content["schema"]
            );
        }
        let sends_away =
            ["204", "303"].iter().any(|status| what["responses"].get(status).is_some());
        let is_empty = sends_away || operation == "POST /oauth/revoke";
        assert!(found > 0 || is_empty, "{operation} answers nothing");
    }
}

#[test]
fn every_error_is_problem_details() {
    let document = document("");
    for (operation, what) in operations(&document) {
        for (status, answer) in what["responses"].as_object().unwrap() {
            let description = resolve(&document, answer)["description"].as_str().unwrap();
            assert!(!description.is_empty(), "{operation}: {status}");
            let of_oauth = operation.contains(" /oauth/");
            if status.starts_with(['4', '5']) && !of_oauth {
                let contents = contents(&document, answer);
                let problem = &contents["application/problem+json"]["schema"]["$ref"];
                assert_eq!(problem, "#/components/schemas/Problem", "{operation}: {status}");
            }
        }
        if what["security"] != json!([]) {
            for status in ["400", "401", "403", "500", "503"] {
                assert!(what["responses"].get(status).is_some(), "{operation}: {status}");
            }
        }
    }
}

#[test]
fn the_document_is_as_it_was() {
    insta::assert_json_snapshot!(document("https://home.example/"));
}

#[test]
fn a_validator_takes_it_for_openapi_3_1() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let validator = root.join("var/venv-openapi/bin/openapi-spec-validator");
    assert!(validator.exists(), "openapi-spec-validator is needed: run script/bootstrap");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("openapi.json");
    std::fs::write(&file, document("").to_string()).unwrap();
    let output = Command::new(validator).args(["--schema", "3.1"]).arg(&file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[tokio::test]
async fn it_is_served_to_everybody_and_kept_by_its_etag() {
    let settings = json!({ "http": { "public_url": "https://home.example/" } });
    let server = Server::start_with(settings).await;
    let answer = server.send(server.stranger.get(server.url("/api-docs/openapi.json"))).await;
    let served = answer.json();
    assert_eq!(served["openapi"], "3.1.0");
    assert_eq!(served["servers"][0]["url"], "https://home.example");
    let methods: Vec<_> = served["paths"]["/lock"].as_object().unwrap().keys().collect();
    assert_eq!(methods, ["post"], "GET /lock is for servers that take it");
    let tag = answer.header("etag").to_owned();
    let again = server.stranger.get(server.url("/api-docs/openapi.json"));
    assert_eq!(server.send(again.header("if-none-match", tag)).await.status, 304);
    server.stop().await;
}
