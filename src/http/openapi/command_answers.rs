//! What the routes that operate devices answer: the table of statuses, once.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use utoipa::IntoResponses;
use utoipa::openapi::{RefOr, Response};

/// What the routes that operate devices answer.
pub(in crate::http) struct CommandAnswers;

impl IntoResponses for CommandAnswers {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let done = answer("Every device did it, or there was none to tell.", &["confirmed"]);
        let mut pending = answer("No word yet of one or more when `wait` was over.", &["pending"]);
        pending["headers"]["Location"] = json!({
            "description": "Of one device: where to ask what became of the command.",
            "schema": { "type": "string", "format": "uri-reference" },
        });
        let several = answer(
            "Of several devices, all commands ended, and not all were confirmed.",
            &["confirmed", "offline"],
        );
        let mut otherwise = answer(
            "Of one device, the command ended otherwise: `failed`, `refused`, `offline`, \
            `superseded`, `expired` (it provably never left) or `unconfirmed` (it left, and no \
            word came: the door may be open). As a problem: a request with the same \
            Idempotency-Key is being worked on, or was interrupted.",
            &["unconfirmed"],
        );
        otherwise["content"]["application/problem+json"] =
            json!({ "schema": { "$ref": "#/components/schemas/Problem" } });
        let too_fast = json!({ "$ref": "#/components/responses/TooSoon" });
        let answers = [
            ("200", done),
            ("202", pending),
            ("207", several),
            ("409", otherwise),
            ("429", too_fast),
        ];
        let answers = answers.into_iter().map(|(status, answer)| {
            let answer = serde_json::from_value(answer);
            let answer: RefOr<Response> = answer.expect("it is written as OpenAPI has it");
            (status.to_owned(), answer)
        });
        answers.collect()
    }
}

/// An answer with a command to a device for each of these outcomes.
fn answer(description: &str, outcomes: &[&str]) -> Value {
    let devices = ["front-door", "back-door"].into_iter().zip(outcomes);
    let commands: Value = devices.map(|(device, outcome)| command(device, outcome)).collect();
    json!({
        "description": description,
        "headers": { "Idempotency-Replayed": {
            "description": "`true`: this is the answer from before, by the Idempotency-Key.",
            "schema": { "type": "string", "enum": ["true"] },
        }},
        "content": { "application/json": {
            "schema": { "$ref": "#/components/schemas/CommandOutcomes" },
            "example": { "devices": commands },
        }},
    })
}

fn command(device: &str, outcome: &str) -> Value {
    let (has_left, has_ended) = (outcome != "offline", outcome != "pending");
    let id = "01a1fd77-9f3c-7c1e-8a55-3d0f6b1c2e4a";
    json!({
        "device": device,
        "command": id,
        "verb": "unlock",
        "status": if has_ended { outcome } else { "delivered" },
        "outcome": outcome,
        "detail": (outcome == "offline").then_some("the device is offline"),
        "issuer": "app:ann",
        "issued_at": "2026-11-22T18:03:09.412Z",
        "sent_at": has_left.then_some("2026-11-22T18:03:09.414Z"),
        "delivered_at": has_left.then_some("2026-11-22T18:03:09.431Z"),
        "ended_at": has_ended.then_some("2026-11-22T18:03:10.120Z"),
        "expires_at": "2026-11-22T18:03:19.412Z",
        "link": format!("/api/v1/commands/{id}"),
    })
}
