//! People and API keys, and what each may do for themselves.

mod guests;
mod keys;
mod lists;
mod me;
mod people;
mod refusals;
mod strangers;

use latchlight::console::{Console, ConsoleError};
use serde_json::Value;

use crate::harness::Server;

/// The server's own socket: who comes through it may do everything.
pub(crate) async fn console(server: &Server) -> Console {
    Console::connect(&server.folder().join("config.json")).await.unwrap()
}

/// Checks that an answer is a problem with this status, and gives what it says.
#[track_caller]
fn problem(answer: Result<Value, ConsoleError>, expected: u16) -> String {
    match answer {
        Err(ConsoleError::Problem { status, detail, .. }) => {
            assert_eq!(status, expected, "{detail}");
            detail
        }
        other => panic!("{other:?}"),
    }
}
