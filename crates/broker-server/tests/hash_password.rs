//! `latchlight-broker hash-password`.
#![allow(clippy::unwrap_used)]

mod support;

use support::{run_with_input, text};

#[test]
fn it_makes_another_argon2id_hash_each_time() {
    let hash = |input: &str| {
        let output = run_with_input(&["hash-password"], input);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let said = text(&output.stdout) + &text(&output.stderr);
        assert!(!said.contains("wonder"), "{said}");
        said
    };
    let (one, other) = (hash("wonder\n"), hash("wonder"));
    assert!(one.starts_with("$argon2id$v=19$") && one.ends_with('\n'), "{one}");
    assert_ne!(one, other);
}

#[test]
fn an_empty_password_is_none() {
    for input in ["", "\n", "\r\n"] {
        let output = run_with_input(&["hash-password"], input);
        assert_eq!(output.status.code(), Some(1));
        assert!(output.stdout.is_empty());
    }
}
