//! Moments as people write them on the command line.

use anyhow::anyhow;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, Unit, Zoned};

/// How a moment may be written, for the help.
pub(super) const HELP: &str =
    "2026-12-31, 2026-12-31T18:00, 2026-12-31T18:00:00Z, 7d or 12h (from now), or '7d ago'";

/// Reads a moment; what says no time zone is in the one of this machine.
pub(super) fn parse(text: &str) -> anyhow::Result<Timestamp> {
    read(text, &Zoned::now())
}

fn read(text: &str, now: &Zoned) -> anyhow::Result<Timestamp> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(moment);
    }
    if let Ok(local) = text.parse::<DateTime>() {
        let zone: TimeZone = now.time_zone().clone();
        return Ok(local.to_zoned(zone)?.timestamp());
    }
    let after = text.parse::<Span>().ok().and_then(|span| now.checked_add(span).ok());
    // Nobody means a part of a second.
    let after = after.and_then(|after| after.timestamp().round(Unit::Second).ok());
    after.ok_or_else(|| anyhow!("a moment is written as {HELP}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_people_write_them() {
        let now: Zoned = "2026-11-21T12:00:00.25+01:00[Europe/Berlin]".parse().unwrap();
        for (text, moment) in [
            ("2026-12-31", "2026-12-30T23:00:00Z"),
            ("2026-12-31T18:00", "2026-12-31T17:00:00Z"),
            ("2026-07-01 18:00", "2026-07-01T16:00:00Z"),
            ("2026-12-31T18:00:00Z", "2026-12-31T18:00:00Z"),
            ("7d", "2026-11-28T11:00:00Z"),
            ("12h", "2026-11-21T23:00:00Z"),
            ("1d ago", "2026-11-20T11:00:00Z"),
        ] {
            assert_eq!(read(text, &now).unwrap().to_string(), moment, "{text}");
        }
        for text in ["", "soon", "31.12.2026", "2026-13-01", "12"] {
            assert!(read(text, &now).is_err(), "{text}");
        }
    }
}
