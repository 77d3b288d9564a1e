//! Every body of the document, altered: a list is no object, and a field that
//! nobody knows is refused, at any depth.

use latchlight::http::openapi;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Manner, Server};

/// Where in a body an object with fields of its own stands.
struct Place {
    pointer: String,
    is_closed: bool,
}

/// The objects with fields in an example of this schema.
fn places(document: &Value, schema: &Value, example: &Value, pointer: &str) -> Vec<Place> {
    if let Some(reference) = schema["$ref"].as_str() {
        let schema = document.pointer(reference.trim_start_matches('#')).unwrap();
        return places(document, schema, example, pointer);
    }
    let choices = ["oneOf", "allOf", "anyOf"].iter().filter_map(|key| schema[key].as_array());
    let mut all: Vec<Place> =
        choices.flatten().flat_map(|choice| places(document, choice, example, pointer)).collect();
    if let (Some(fields), true) = (schema["properties"].as_object(), example.is_object()) {
        let is_closed = schema["additionalProperties"] == false;
        all.push(Place { pointer: pointer.to_owned(), is_closed });
        for (name, field) in fields {
            if let Some(value) = example.get(name) {
                all.extend(places(document, field, value, &format!("{pointer}/{name}")));
            }
        }
    }
    for (number, item) in example.as_array().into_iter().flatten().enumerate() {
        if schema.get("items").is_some() {
            all.extend(places(document, &schema["items"], item, &format!("{pointer}/{number}")));
        }
    }
    all
}

/// The path of an operation, of things that there are.
fn filled(path: &str, pin: &str) -> String {
    let id = if path.contains("/pins/{id}") { pin } else { "front" };
    path.replace("{id}", id).replace("{name}", if path.contains("users") { "ann" } else { "lock" })
}

fn is_refused(answer: &Answer) -> bool {
    match answer.status {
        400 | 422 => true,
        // Each message of a batch has an answer of its own.
        207 => answer.json()["messages"].as_array().unwrap().iter().all(|m| m["status"] == 422),
        _ => false,
    }
}

#[tokio::test]
async fn a_list_is_no_object_and_no_field_is_unknown_in_any_body() {
    let server = Server::start().await;
    let door = server.lock("front", Manner::Obeys).await;
    let secret = server.device_secret("keypad").await;
    let ann = json!({ "name": "ann", "role": "member" });
    assert_eq!(server.post_json("/api/v1/users", &ann).await.status, 201);
    let pin = server.post_json("/api/v1/users/ann/pins", &json!({})).await.json();
    let pin = pin["id"].as_str().unwrap();
    let document = openapi::document(&latchlight::config::HttpSettings::default());
    let mut seen = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let json = &operation["requestBody"]["content"]["application/json"];
            let (schema, example) = (&json["schema"], &json["example"]);
            for Place { pointer, is_closed } in places(&document, schema, example, "") {
                let place = format!("{method} {path} {pointer}");
                assert!(is_closed, "{place}: #[serde(deny_unknown_fields)]");
                let mut as_list = example.clone();
                let object = as_list.pointer_mut(&pointer).unwrap();
                *object = object.as_object().unwrap().values().cloned().collect();
                let mut unknown = example.clone();
                unknown.pointer_mut(&pointer).unwrap()["no_such_field"] = json!(1);
                for body in [as_list, unknown] {
                    let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
                    let url = server.url(&filled(path, pin));
                    let request = match path.as_str() {
                        "/api/v1/keypad" => {
                            server.stranger.request(method, url).basic_auth("keypad", Some(&secret))
                        }
                        _ => server.client.request(method, url),
                    };
                    let answer = server.send(request.json(&body)).await;
                    assert!(is_refused(&answer), "{place}: {body} was answered {answer:?}");
                }
                seen.push(place);
            }
        }
    }
    for place in [
        "post /api/v1/users /grants/0/window",
        "post /api/v1/users/{name}/pins /window",
        "post /api/v1/keypad ",
        "post /messaging/send/batch /messages/0",
        "post /test ",
    ] {
        assert!(seen.iter().any(|seen| seen == place), "{place} of {seen:#?}");
    }
    assert_eq!((door.count("lock"), door.count("unlock")), (0, 0));
    server.stop().await;
}
