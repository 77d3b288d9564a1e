//! How a moment is written, in answers and messages: always in UTC and to
//! the millisecond, such as `2026-05-04T18:03:09.120Z`.

use jiff::Timestamp;
use serde::Serializer;

/// A moment, for `serialize_with`.
pub(crate) fn milliseconds<S: Serializer>(
    moment: &Timestamp,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{moment:.3}"))
}

/// The same, or null.
pub(crate) fn milliseconds_or_null<S: Serializer>(
    moment: &Option<Timestamp>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match moment {
        Some(moment) => milliseconds(moment, serializer),
        None => serializer.serialize_none(),
    }
}

/// This moment, as text.
pub(crate) fn now() -> String {
    text(&Timestamp::now())
}

/// A moment, as text.
pub(crate) fn text(moment: &Timestamp) -> String {
    format!("{moment:.3}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_has_milliseconds_whatever_they_are() {
        for (nanoseconds, written) in [
            (0, "1970-01-01T00:00:01.000Z"),
            (120_000_000, "1970-01-01T00:00:01.120Z"),
            (123_999_999, "1970-01-01T00:00:01.123Z"),
        ] {
            let moment = Timestamp::new(1, nanoseconds).expect("a moment");
            let json = milliseconds(&moment, serde_json::value::Serializer).expect("text");
            assert_eq!(json, written);
        }
    }
}
