//! The answer to a first word that selects no action.

/// The words that never get an answer, whatever they are followed by: two
/// servers, or a server and an echoing device, must not talk for ever.
pub const NEVER_ANSWERED: [&str; 5] = ["state", "ack", "ok", "error", "unknown"];

/// Whether such a word is answered with `unknown <word>`.
pub fn is_answered(word: &str) -> bool {
    !NEVER_ANSWERED.contains(&word)
}
