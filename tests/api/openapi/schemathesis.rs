//! Whether the server does as its document says: schemathesis asks it whatever
//! the document allows and forbids, and looks at each answer.

use std::path::Path;
use std::process::Stdio;

use serde_json::json;
use tokio::process::Command;

use crate::harness::{Manner, Server};

/// What would stop the run, or have it wait: by the names of the operations.
const LEFT_OUT: [&str; 2] = [
    // Wrong old passwords hold up the owner's sign-in, a right one ends it.
    "changePassword",
    // It has no end.
    "followEvents",
];

/// Of all that can be checked, what is not: `positive_data_acceptance`, for
/// much that a schema cannot say makes a request wrong: bytes that are no
/// picture, a password that anybody guesses, a device and a kind at once.
/// `object_level_authorization` wants two users; `auth/matrix.rs` has more.
const CHECKS: [&str; 12] = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "missing_required_header",
    "unsupported_method",
    "allow_header_conformance",
    "use_after_free",
    "ensure_resource_availability",
    "ignored_auth",
];

/// What is wrong with one message of a batch is said in its own result.
const SETTINGS: &str = r#"
[[operations]]
include-operation-id = "sendMessages"
checks.negative_data_rejection.expected-statuses = [
    "207", "400", "401", "403", "404", "405", "406", "409", "413", "415", "422", "428", "429", "5xx",
]
"#;

#[tokio::test(flavor = "multi_thread")]
async fn schemathesis_finds_no_server_error_and_no_answer_that_is_not_in_the_document() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let schemathesis = root.join("var/venv-openapi/bin/schemathesis");
    assert!(schemathesis.exists(), "schemathesis is needed: run script/bootstrap");
    let server = Server::start_with(json!({ "commands": { "expires_in": 5 } })).await;
    let _front = server.lock("front-door", Manner::Obeys).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("schemathesis.toml"), SETTINGS).unwrap();
    let mut command = Command::new(schemathesis);
    command
        .arg("run")
        .arg(server.url("/api-docs/openapi.json"))
        .args(["--header", &format!("Authorization: Bearer {}", server.token)])
        .args(["--checks", &CHECKS.join(",")])
        .args(["--phases", "examples,coverage,fuzzing"])
        // So that each run asks the same, and not for ever.
        .args(["--seed", "1", "--max-examples", "10", "--no-shrink"])
        .args(["--suppress-health-check", "all", "--warnings", "off"])
        .args(["--continue-on-failure", "--no-color"])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    for operation in LEFT_OUT {
        command.args(["--exclude-operation-id", operation]);
    }
    let output = command.output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{errors}");
    assert_eq!(server.get("/hello").await.status, 200);
    server.stop().await;
}
