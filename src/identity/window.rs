//! When a grant holds.

use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, Zoned};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Schema, SchemaType, Type};

/// When a grant holds; what is left out does not bind. Days and hours are
/// those of the time zone.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Window {
    /// Not before this moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// Not at this moment or after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// On these days of the week: `["mon", "tue"]`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub days: Vec<Day>,
    /// Between these times of each day. Where the second is not after the
    /// first, it is one of the next day, and `days` are those of the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = hours)]
    pub hours: Option<Hours>,
    /// Where days and hours are: `"Europe/Berlin"`; without it, where the
    /// server is.
    #[serde(skip_serializing_if = "Option::is_none", with = "zone")]
    #[schema(schema_with = time_zone)]
    pub time_zone: Option<TimeZone>,
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Day {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

/// A part of the day: `["08:00", "17:30"]`, the second left out of it.
pub type Hours = (Time, Time);

impl Day {
    fn of(weekday: Weekday) -> Self {
        match weekday {
            Weekday::Monday => Self::Mon,
            Weekday::Tuesday => Self::Tue,
            Weekday::Wednesday => Self::Wed,
            Weekday::Thursday => Self::Thu,
            Weekday::Friday => Self::Fri,
            Weekday::Saturday => Self::Sat,
            Weekday::Sunday => Self::Sun,
        }
    }
}

/// `["08:00", "17:30"]`, as a schema.
fn hours() -> Schema {
    let time = ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some(r"^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,9})?)?$"));
    ArrayBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Array, Type::Null]))
        .items(time)
        .min_items(Some(2))
        .max_items(Some(2))
        .examples([["08:00", "17:30"]])
        .into()
}

/// `"Europe/Berlin"`, as a schema.
fn time_zone() -> Schema {
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
        .examples(["Europe/Berlin"])
        .into()
}

impl Window {
    /// Whether it is open at this moment.
    pub fn holds(&self, now: Timestamp) -> bool {
        if self.from.is_some_and(|from| now < from) || self.until.is_some_and(|until| now >= until)
        {
            return false;
        }
        if self.days.is_empty() && self.hours.is_none() {
            return true;
        }
        let zone = self.time_zone.clone().unwrap_or_else(TimeZone::system);
        let now = now.to_zoned(zone);
        let Some((begin, end)) = self.hours else { return self.is_day(&now) };
        let time = now.time();
        if begin < end {
            return begin <= time && time < end && self.is_day(&now);
        }
        // Over midnight: what is left of the evening before counts as its day.
        let evening = begin <= time && self.is_day(&now);
        evening || time < end && now.yesterday().is_ok_and(|before| self.is_day(&before))
    }

    /// Whether it is open at any moment at all, past ones too.
    pub fn ever_holds(&self) -> bool {
        let (Some(from), Some(until)) = (self.from, self.until) else { return true };
        if from >= until || self.holds(from) {
            return from < until;
        }
        // Else it opens where a day begins, or the hours do: within a week, and
        // a day for each end of it that is cut.
        let zone = self.time_zone.clone().unwrap_or_else(TimeZone::system);
        let begin = self.hours.map_or(Time::midnight(), |(begin, _)| begin);
        let days = from.to_zoned(zone.clone()).date().series(Span::new().days(1));
        days.take(9).any(|day| {
            let opens = day.to_datetime(begin).to_zoned(zone.clone());
            opens.is_ok_and(|opens| from <= opens.timestamp() && self.holds(opens.timestamp()))
        })
    }

    fn is_day(&self, at: &Zoned) -> bool {
        self.days.is_empty() || self.days.contains(&Day::of(at.weekday()))
    }
}

mod zone {
    use jiff::tz::TimeZone;
    use serde::{Deserialize, Deserializer, Serialize as _, Serializer};

    pub(super) fn serialize<S: Serializer>(
        zone: &Option<TimeZone>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        zone.as_ref().and_then(TimeZone::iana_name).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<TimeZone>, D::Error> {
        let Some(name) = Option::<String>::deserialize(from)? else { return Ok(None) };
        TimeZone::get(&name).map(Some).map_err(|_| {
            let shown: String = name.chars().take(40).flat_map(char::escape_default).collect();
            serde::de::Error::custom(format!("`{shown}` is not a time zone such as Europe/Berlin"))
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn window(json: &str) -> Window {
        serde_json::from_str(json).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn nothing_said_is_always() {
        assert!(window("{}").holds(at("2026-11-21T03:00:00Z")));
    }

    #[test]
    fn the_ends_are_where_they_are_said_to_be() {
        let window = window(r#"{"from": "2026-11-20T12:00:00Z", "until": "2026-11-21T12:00:00Z"}"#);
        assert!(!window.holds(at("2026-11-20T11:59:59.999Z")));
        assert!(window.holds(at("2026-11-20T12:00:00Z")));
        assert!(window.holds(at("2026-11-21T11:59:59.999Z")));
        assert!(!window.holds(at("2026-11-21T12:00:00Z")));
    }

    #[test]
    fn days_and_hours_are_those_of_the_time_zone() {
        // The 23rd is a Monday, and Berlin an hour ahead of UTC.
        let window = window(
            r#"{"days": ["mon"], "hours": ["08:00", "17:00"], "time_zone": "Europe/Berlin"}"#,
        );
        assert!(!window.holds(at("2026-11-23T06:59:00Z")));
        assert!(window.holds(at("2026-11-23T07:00:00Z")));
        assert!(window.holds(at("2026-11-23T15:59:59Z")));
        assert!(!window.holds(at("2026-11-23T16:00:00Z")));
        assert!(!window.holds(at("2026-11-24T09:00:00Z")));
    }

    #[test]
    fn a_night_belongs_to_the_day_on_which_it_begins() {
        let window =
            window(r#"{"days": ["sat"], "hours": ["22:00", "06:00"], "time_zone": "UTC"}"#);
        assert!(!window.holds(at("2026-11-21T05:00:00Z")));
        assert!(window.holds(at("2026-11-21T22:00:00Z")));
        assert!(window.holds(at("2026-11-22T05:59:00Z")));
        assert!(!window.holds(at("2026-11-22T06:00:00Z")));
        assert!(!window.holds(at("2026-11-22T23:00:00Z")));
    }

    #[test]
    fn a_window_that_never_opens_is_known() {
        // The 21st is a Saturday.
        for json in [
            r#"{"from": "2026-11-22T00:00:00Z", "until": "2026-11-21T00:00:00Z"}"#,
            r#"{"from": "2026-11-21T00:00:00Z", "until": "2026-11-21T00:00:00Z"}"#,
            r#"{"from": "2026-11-21T09:00:00Z", "until": "2026-11-21T12:00:00Z", "days": ["mon"]}"#,
            r#"{"from": "2026-11-21T09:00:00Z", "until": "2026-11-21T12:00:00Z",
                "hours": ["12:00", "09:00"], "time_zone": "UTC"}"#,
        ] {
            assert!(!window(json).ever_holds(), "{json}");
        }
        for json in [
            "{}",
            r#"{"until": "2020-01-01T00:00:00Z", "days": ["mon"]}"#,
            r#"{"from": "2026-11-21T09:00:00Z", "until": "2026-11-28T00:00:00Z", "days": ["fri"]}"#,
            r#"{"from": "2026-11-21T09:00:00Z", "until": "2026-11-22T03:00:00Z", "days": ["sat"],
                "hours": ["22:00", "06:00"], "time_zone": "UTC"}"#,
            r#"{"from": "2026-11-22T01:00:00Z", "until": "2026-11-22T03:00:00Z", "days": ["sat"],
                "hours": ["22:00", "06:00"], "time_zone": "UTC"}"#,
        ] {
            assert!(window(json).ever_holds(), "{json}");
        }
    }

    #[test]
    fn it_is_written_as_it_was_read() {
        let json =
            r#"{"days":["mon"],"hours":["08:00:00","17:00:00"],"time_zone":"Europe/Berlin"}"#;
        assert_eq!(serde_json::to_string(&window(json)).unwrap(), json);
        let error = serde_json::from_str::<Window>(r#"{"time_zone": "Mars"}"#).unwrap_err();
        assert!(error.to_string().contains("`Mars` is not a time zone"), "{error}");
        assert!(serde_json::from_str::<Window>(r#"{"hour": 1}"#).is_err());
    }
}
