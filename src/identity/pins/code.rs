//! A code: 4 to 12 digits, made here or chosen, and what somebody types.

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;

use super::obvious;

/// How many digits a code has. With 4 of them one in 10,000 guesses is right:
/// they are for keypads that take no more.
const FEWEST: u8 = 4;
const USUAL: u8 = 6;
const MOST: u8 = 12;

/// A code that somebody has from now on. It is told once and in no log.
#[derive(Clone, PartialEq, Eq)]
pub struct PinCode(String);

/// What somebody typed, or wants to have as a code: anything at all. It is
/// never shown again.
#[derive(Clone, PartialEq, Eq)]
pub struct ShownCode(String);

/// How many digits a new code is to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(try_from = "u8")]
#[schema(value_type = u8, minimum = 4, maximum = 12, example = 6)]
pub struct Digits(u8);

/// Why something is no code. It does not say what it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCode {
    /// Not of digits, or not of so many.
    #[error("a code has {FEWEST} to {MOST} digits")]
    Digits,
    /// Among the first that are tried.
    #[error("this code is among the first that anybody tries: choose another, or none")]
    Obvious,
}

impl PinCode {
    /// A new one that nobody could guess better than by trying.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn generate(digits: Digits) -> Result<Self, getrandom::Error> {
        let digits = usize::from(digits.0);
        loop {
            let mut code = String::with_capacity(digits);
            while code.len() < digits {
                let mut byte = [0];
                getrandom::fill(&mut byte)?;
                // The rest of 256 would make the lower digits likelier.
                if byte[0] < 250 {
                    code.push(char::from(b'0' + byte[0] % 10));
                }
            }
            if !obvious::is_obvious(code.as_bytes()) {
                return Ok(Self(code));
            }
        }
    }

    /// The one that somebody chose.
    ///
    /// # Errors
    /// It is none.
    pub fn chosen(code: &ShownCode) -> Result<Self, InvalidCode> {
        let ShownCode(code) = code;
        let fits = usize::from(FEWEST)..=usize::from(MOST);
        if !fits.contains(&code.len()) || !code.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(InvalidCode::Digits);
        }
        if obvious::is_obvious(code.as_bytes()) {
            return Err(InvalidCode::Obvious);
        }
        Ok(Self(code.clone()))
    }

    /// The code itself, for the one answer that tells it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl ShownCode {
    /// What was typed, for the key alone.
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl From<String> for ShownCode {
    fn from(code: String) -> Self {
        Self(code)
    }
}

impl Default for Digits {
    fn default() -> Self {
        Self(USUAL)
    }
}

impl TryFrom<u8> for Digits {
    type Error = InvalidCode;

    fn try_from(digits: u8) -> Result<Self, InvalidCode> {
        if (FEWEST..=MOST).contains(&digits) { Ok(Self(digits)) } else { Err(InvalidCode::Digits) }
    }
}

/// What is no text is refused without saying what it was: serde would.
impl<'de> Deserialize<'de> for ShownCode {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = ShownCode;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a code as a text")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<ShownCode, E> {
                Ok(ShownCode(text.to_owned()))
            }

            fn visit_u64<E: Error>(self, _: u64) -> Result<ShownCode, E> {
                Err(no_text())
            }

            fn visit_i64<E: Error>(self, _: i64) -> Result<ShownCode, E> {
                Err(no_text())
            }

            fn visit_f64<E: Error>(self, _: f64) -> Result<ShownCode, E> {
                Err(no_text())
            }
        }

        // Not `deserialize_str`, by which serde_json tells of a number by itself.
        from.deserialize_any(Text)
    }
}

fn no_text<E: Error>() -> E {
    E::custom("a code is a text of digits, for it may begin with 0")
}

impl fmt::Debug for PinCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PinCode(…)")
    }
}

impl fmt::Debug for ShownCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ShownCode(…)")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn chosen(code: &str) -> Result<PinCode, InvalidCode> {
        PinCode::chosen(&ShownCode(code.to_owned()))
    }

    #[test]
    fn a_code_that_is_made_could_be_chosen_and_is_not_the_same_again() {
        let digits = Digits::try_from(12).unwrap();
        let code = PinCode::generate(digits).unwrap();
        assert_eq!(chosen(code.reveal()), Ok(code.clone()));
        assert_eq!(code.reveal().len(), 12);
        assert_ne!(PinCode::generate(digits).unwrap(), code);
        assert_eq!(PinCode::generate(Digits::default()).unwrap().reveal().len(), 6);
        // Every digit comes about.
        let many: String =
            (0..100).map(|_| PinCode::generate(digits).unwrap().reveal().to_owned()).collect();
        assert!(('0'..='9').all(|digit| many.contains(digit)));
    }

    #[test]
    fn what_is_no_code_is_refused_without_being_said() {
        for odd in ["", "739", "7391739173917", "73 91", "７３９１", "-7391", "73.91", "7391\n"]
        {
            assert_eq!(chosen(odd), Err(InvalidCode::Digits), "{odd:?}");
        }
        assert_eq!(chosen("0000"), Err(InvalidCode::Obvious));
        for json in ["739155", "-739155", "73.9155", "true", "null", "[739155]", r#"{"a":739155}"#]
        {
            let error = serde_json::from_str::<ShownCode>(json).unwrap_err().to_string();
            assert!(!error.contains("739155") && !error.contains("73.9"), "{error}");
        }
        for digits in [0, 3, 13, 255] {
            assert_eq!(Digits::try_from(digits), Err(InvalidCode::Digits));
        }
    }

    #[test]
    fn c30_debug_has_no_code() {
        let code = chosen("739155").unwrap();
        let shown = ShownCode("739155".to_owned());
        assert_eq!(format!("{code:?} {shown:?}"), "PinCode(…) ShownCode(…)");
    }
}
