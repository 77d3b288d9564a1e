//! The example as a process: the commands of its head, and Ctrl-C.
#![allow(clippy::unwrap_used)]

#[path = "../../../crates/broker/tests/examples/process.rs"]
mod process;

use std::path::Path;

use process::Example;

#[test]
fn http_and_mqtt_meet_in_one_process() {
    let program = Path::new(env!("CARGO_BIN_EXE_actix-web-example"));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/main.rs");
    let example = Example::run(program, &source, &["127.0.0.1:0", "127.0.0.1:0"]);
    let [hear, post, say, get] = &example.commands()[..] else { panic!() };
    let mut heard = example.subscribed(hear);
    assert_eq!(example.done(post).said, "Success\n");
    heard.until("doors/front/set open");
    assert!(example.done(say).success);
    assert_eq!(example.done(get).said, "open");
    example.stop();
}
