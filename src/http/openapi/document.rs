//! The whole document, from the handlers' annotations and the page of routes.

use serde_json::{Value, json};
use utoipa::OpenApi as _;

use super::paths::Paths;
use super::{answers, examples, security};
use crate::config::HttpSettings;
use crate::http::routes;

/// What the document begins with.
const DESCRIPTION: &str = "\
What apps do with locks, lights, cameras and messages.

**Who asks.** `POST /oauth/token` gives an access token for name and password, which is good for \
minutes, and a refresh token that brings the next. A program shows an API key instead. Either \
stands in `Authorization: Bearer …`; each route says which scope it needs, and one of those named \
is enough. A device that one may not see is not there: 404.

**Errors** are problem details (RFC 9457), `application/problem+json`: `type` says which, `detail` \
what is to be done, `request_id` where the server's log has more. A method that a path does not \
have is 405, with `Allow`. A `Host` or an `Origin` that is not the server's is 403. What is no \
HTTP at all, or a head that is too long or too slow, is answered by its status alone.

**Commands** have one ending each. One device: 200, it did it; 202, no word yet: follow `Location`; \
409, any other ending. Several: 200, all did it; 202, no word yet of some; 207, all ended, and not \
all of them did it. `wait` says for how many seconds the answer may wait. `Idempotency-Key` makes \
it safe to ask again for 24 hours: the answer is the one from before.

**Lists** are pages: `limit` items at the most, and `next_cursor` to be shown as `cursor` for the \
next one, until it is null. **Moments** are RFC 3339 in UTC with milliseconds. A query parameter or \
a field that a route does not know is refused, and not overlooked. HEAD goes wherever GET does.";

/// The tags, in the order in which they are shown, and what is under them.
const TAGS: [(&str, &str); 13] = [
    ("operate", "Lock and unlock: all devices, some, or one."),
    ("devices", "The roster, what each device is, and what it was told."),
    ("pictures", "What cameras saw."),
    ("messages", "The message gateway: what is sent for apps, and what was."),
    ("events", "What happened, who did it, and what was refused."),
    ("sign-in", "Tokens for passwords and keys (OAuth 2)."),
    ("me", "Who asks, and what they may."),
    ("users", "The people."),
    ("api-keys", "The keys of programs."),
    ("pins", "Codes for keypads."),
    ("joining", "How devices come in, and what they show."),
    ("plugins", "Plugins, and the actions that they add."),
    ("server", "Whether it is up, and what it counts."),
];

/// The document of a server with these settings.
pub fn document(settings: &HttpSettings) -> Value {
    let mut document = serde_json::to_value(Paths::openapi()).unwrap_or_default();
    document["info"] = json!({
        "title": "Latchlight",
        "version": env!("CARGO_PKG_VERSION"),
        "summary": "A control server for smart locks and lights",
        "description": DESCRIPTION,
        "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
    });
    document["servers"] = servers(settings.public_url.as_deref());
    let tag = |(name, description)| json!({ "name": name, "description": description });
    document["tags"] = TAGS.into_iter().map(tag).collect();
    document["components"]["securitySchemes"] = security::schemes();
    document["components"]["responses"] = answers::shared();
    for route in routes() {
        let method = route.method.as_str().to_ascii_lowercase();
        let operation = document["paths"].get_mut(route.path);
        let operation = operation.and_then(|item| item.get_mut(method));
        let Some(operation) = operation else { continue };
        security::add(operation, route.needs);
        answers::add(operation, &route);
    }
    if !settings.get_commands {
        for path in ["/lock", "/unlock"] {
            document["paths"][path].as_object_mut().and_then(|methods| methods.remove("get"));
        }
    }
    open_parts(&mut document);
    examples::add(&mut document);
    join_lines(&mut document);
    document
}

/// What is a part of a larger object has more fields beside it than its own.
fn open_parts(document: &mut Value) {
    let schemas = document["components"]["schemas"].clone();
    let whole = document["components"]["schemas"].as_object_mut().into_iter().flatten();
    let parts = whole.filter_map(|(_, schema)| schema.get_mut("allOf")?.as_array_mut()).flatten();
    for part in parts {
        let name = part["$ref"].as_str().unwrap_or_default();
        let closed = &schemas[name.trim_start_matches("#/components/schemas/")];
        if closed["additionalProperties"] == false {
            let mut open = closed.clone();
            open.as_object_mut().and_then(|schema| schema.remove("additionalProperties"));
            *part = open;
        }
    }
}

/// Paragraphs of one line each: what stands in a comment is broken where the
/// code is.
fn join_lines(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                match field {
                    Value::String(text) if ["description", "summary"].contains(&name.as_str()) => {
                        let paragraphs: Vec<_> = text.split("\n\n").collect();
                        let joined = paragraphs.into_iter().map(|lines| lines.replace('\n', " "));
                        *text = joined.collect::<Vec<_>>().join("\n\n");
                    }
                    field => join_lines(field),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(join_lines),
        _ => {}
    }
}

/// The server's URL for the world, and wherever the document came from.
fn servers(public_url: Option<&str>) -> Value {
    let here = json!({ "url": "/", "description": "Where this document came from" });
    match public_url {
        Some(url) => json!([{ "url": url.trim_end_matches('/') }, here]),
        None => json!([here]),
    }
}
