//! Numbers that somebody said over MQTT, and that may be a PIN code, typed at a
//! keypad that mistook the way (SAFETY C22): wherever what they said is spoken
//! of, they are left out.

use latchlight_plugin_api::ActionError;

/// How many digits a code has: what is shorter or longer is none.
const DIGITS: std::ops::RangeInclusive<usize> = 4..=12;

/// The numbers of one message that may be codes.
#[derive(Default)]
pub(super) struct Codes(Vec<String>);

impl Codes {
    /// Those that stand by themselves in what follows a first word: not in an
    /// id, a moment or a word.
    pub(super) fn said_in(rest: &str) -> Self {
        let is_of_word = |char: char| char.is_alphanumeric() || matches!(char, '-' | '_' | ':');
        let words = rest.split(|char| !is_of_word(char));
        let is_code = |word: &&str| {
            DIGITS.contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_digit())
        };
        Self(words.filter(is_code).map(str::to_owned).collect())
    }

    /// The error without them.
    pub(super) fn hide_in(&self, mut error: ActionError) -> ActionError {
        for code in &self.0 {
            error.message = error.message.replace(code, "…");
        }
        error
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c22_a_number_by_itself_is_left_out_and_an_id_is_not() {
        let hidden = |rest, message: &str| {
            Codes::said_in(rest).hide_in(ActionError::bad_input(message)).message
        };
        assert_eq!(hidden("739155", "there is no device 739155"), "there is no device …");
        assert_eq!(hidden("{\"pin\": \"7391\"}", "`7391` and 7391"), "`…` and …");
        assert_eq!(hidden("front 739155", "front and 739155"), "front and …");
        for whole in ["front-7391", "01a1fd77-7391-7745-a635-92e1e9c0a60b", "12", "1234567890123"] {
            assert_eq!(hidden(whole, whole), whole);
        }
    }
}
