//! What devices and apps say: a first word, and the rest.

/// The longest first word, in bytes.
const LONGEST_WORD: usize = 64;

/// A payload, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Payload<'a> {
    /// Selects the action; ASCII, 1 to 64 bytes, case-sensitive.
    pub(super) word: &'a str,
    /// Words or one JSON object, without the white space around them.
    pub(super) rest: &'a str,
}

/// Why a payload has no first word, and how it may be shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum InvalidPayload {
    /// There is nothing in it.
    #[error("an empty message has no first word")]
    Empty,
    /// The first word is too long, or not ASCII.
    #[error("`{0}` is not a first word: 1 to 64 bytes of printable ASCII")]
    Word(String),
    /// The first word is a number: who knows whether it is a code that somebody
    /// typed at a keypad (SAFETY C22). It is not shown.
    #[error("a number is no first word")]
    Number,
    /// What follows the first word is not text.
    #[error("what follows `{0}` is not UTF-8")]
    Rest(String),
}

impl<'a> Payload<'a> {
    /// Takes a payload apart at the first white space.
    ///
    /// # Errors
    /// It has no first word, or no text after it.
    pub(super) fn split(bytes: &'a [u8]) -> Result<Self, InvalidPayload> {
        let bytes = bytes.trim_ascii();
        let end = bytes.iter().position(u8::is_ascii_whitespace).unwrap_or(bytes.len());
        let (word, rest) = bytes.split_at(end);
        if word.is_empty() {
            return Err(InvalidPayload::Empty);
        }
        let fits = word.len() <= LONGEST_WORD && word.iter().all(u8::is_ascii_graphic);
        let word = std::str::from_utf8(word).ok().filter(|_| fits);
        let word = word.ok_or_else(|| InvalidPayload::Word(shown(&bytes[..end])))?;
        if word.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(InvalidPayload::Number);
        }
        let rest = std::str::from_utf8(rest.trim_ascii_start())
            .map_err(|_| InvalidPayload::Rest(word.to_owned()))?;
        Ok(Self { word, rest })
    }
}

/// A word of a stranger as it may be shown: ASCII, and not at any length.
fn shown(word: &[u8]) -> String {
    word.escape_ascii().to_string().chars().take(LONGEST_WORD).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_ends_at_white_space() {
        let split = |text: &'static str| {
            let payload = Payload::split(text.as_bytes()).expect(text);
            (payload.word, payload.rest)
        };
        assert_eq!(split("lock"), ("lock", ""));
        assert_eq!(split("lock front-door"), ("lock", "front-door"));
        assert_eq!(
            split("state  locked {\"battery\": 7}\r\n"),
            ("state", "locked {\"battery\": 7}")
        );
        assert_eq!(split("\tunlock\nfront-door"), ("unlock", "front-door"));
        assert_eq!(split("Lock"), ("Lock", ""));
    }

    #[test]
    fn a_first_word_of_65_bytes_is_none() {
        assert!(Payload::split("x".repeat(64).as_bytes()).is_ok());
        assert!(matches!(
            Payload::split("x".repeat(65).as_bytes()),
            Err(InvalidPayload::Word(shown)) if shown.len() == 64
        ));
    }

    #[test]
    fn c22_a_number_is_no_first_word_and_is_not_shown() {
        assert_eq!(Payload::split(b"730198265514"), Err(InvalidPayload::Number));
        assert_eq!(Payload::split(b"1234 front"), Err(InvalidPayload::Number));
        assert!(!InvalidPayload::Number.to_string().contains(char::is_numeric));
        assert!(Payload::split(b"3rd").is_ok());
    }

    #[test]
    fn bytes_that_are_no_text_are_refused_and_shown_escaped() {
        assert_eq!(Payload::split(b""), Err(InvalidPayload::Empty));
        assert_eq!(Payload::split(b" \n"), Err(InvalidPayload::Empty));
        assert_eq!(
            Payload::split(b"\xff\xfe lock"),
            Err(InvalidPayload::Word("\\xff\\xfe".to_owned()))
        );
        assert_eq!(
            Payload::split("türöffnen".as_bytes()),
            Err(InvalidPayload::Word("t\\xc3\\xbcr\\xc3\\xb6ffnen".to_owned()))
        );
        assert_eq!(Payload::split(b"lock \xff"), Err(InvalidPayload::Rest("lock".to_owned())));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic_and_a_word_is_always_printable(bytes: Vec<u8>) {
            match Payload::split(&bytes) {
                Ok(payload) => assert!(payload.word.bytes().all(|b| b.is_ascii_graphic())),
                Err(error) => assert!(error.to_string().is_ascii()),
            }
        }
    }
}
