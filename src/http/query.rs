//! What stands in queries.

use std::future::{Ready, ready};
use std::ops::Deref;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use latchlight_mqtt::TopicFilter;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;

use super::ApiError;
use crate::messages::{InvalidMessageId, MessageId};

/// Longer than any command lives.
const LONGEST_WAIT: f64 = 300.0;

/// The most items of a page.
const LARGEST_PAGE: u32 = 1000;

/// A query, read by the names of its parameters.
#[derive(Debug)]
pub(super) struct Query<T>(T);

impl<T> Query<T> {
    pub(super) fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for Query<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: DeserializeOwned> FromRequest for Query<T> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(parse(request.query_string()).map(Self))
    }
}

/// Parses a query; what is wrong is named by its parameter.
fn parse<T: DeserializeOwned>(query: &str) -> Result<T, ApiError> {
    let pairs = serde_urlencoded::Deserializer::new(form_urlencoded::parse(query.as_bytes()));
    serde_path_to_error::deserialize(pairs).map_err(|error| {
        let name = error.path().to_string();
        let what = error.into_inner().to_string();
        // Of what is missing, unknown or twice there, the error itself has it.
        let has_name = name == "." || what.contains(&format!("field `{name}`"));
        ApiError::Malformed(match has_name {
            true => format!("query: {what}"),
            false => format!("query: {name}: {what}"),
        })
    })
}

/// For routes that take no query.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NoQuery {}

/// `wait`: how many seconds an answer waits for the devices, at the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = f64, minimum = 0, maximum = 300, default = 2, example = 5)]
pub(super) struct Wait(pub(super) Duration);

impl Default for Wait {
    fn default() -> Self {
        Self(Duration::from_secs(2))
    }
}

impl Wait {
    /// So many seconds, unless that is too long.
    pub(super) fn of_seconds(seconds: f64) -> Option<Self> {
        let fits = (0.0..=LONGEST_WAIT).contains(&seconds);
        fits.then(|| Self(Duration::from_secs_f64(seconds)))
    }
}

impl TryFrom<String> for Wait {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let wait = text.parse().ok().and_then(Self::of_seconds);
        wait.ok_or_else(|| format!("`{}` is not 0 to {LONGEST_WAIT} seconds", shown(&text)))
    }
}

/// `limit`: how many items a page has, at the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = u32, minimum = 1, maximum = 1000, default = 100)]
pub(super) struct Limit(pub(super) u32);

impl Default for Limit {
    fn default() -> Self {
        Self(100)
    }
}

impl Limit {
    /// The largest there is, where a list had no pages before.
    pub(super) fn largest() -> Self {
        Self(LARGEST_PAGE)
    }

    /// Leaves a page of these; whether there are more.
    pub(super) fn cut<T>(self, items: &mut Vec<T>) -> bool {
        let limit = self.0 as usize;
        let more = items.len() > limit;
        items.truncate(limit);
        more
    }
}

impl TryFrom<String> for Limit {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let limit = text.parse().ok().filter(|limit| (1..=LARGEST_PAGE).contains(limit));
        limit.map(Self).ok_or_else(|| format!("`{}` is not 1 to {LARGEST_PAGE}", shown(&text)))
    }
}

/// `from` and `to`: a moment such as `2026-05-04T18:03:09Z`, or a day, which
/// begins at midnight UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, format = DateTime, example = "2026-11-22T00:00:00Z")]
pub(super) struct Moment(pub(super) Timestamp);

impl TryFrom<String> for Moment {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let midnight = || {
            let day: Date = text.parse().ok().filter(|_| text.len() == 10)?;
            day.to_zoned(TimeZone::UTC).ok().map(|midnight| midnight.timestamp())
        };
        let moment = text.parse().ok().or_else(midnight);
        moment.map(Self).ok_or_else(|| {
            format!("`{}` is no moment such as 2026-05-04T18:03:09Z, and no day", shown(&text))
        })
    }
}

/// `cursor` among messages: where the page before said that this one begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, pattern = "^[0-7][0-9a-f]{15}$", example = "19ab3f0c6d2a41c7")]
pub(super) struct Cursor(pub(super) MessageId);

impl TryFrom<String> for Cursor {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse().map(Self).map_err(|error: InvalidMessageId| error.to_string())
    }
}

/// `topic`: a topic, or a filter with wildcards.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, min_length = 1, example = "messages/garden/#")]
pub(super) struct TopicQuery(pub(super) TopicFilter);

impl TryFrom<String> for TopicQuery {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let filter = TopicFilter::try_from(text.as_str()).ok();
        let filter = filter.filter(|filter| filter.shared().is_none());
        filter.map(Self).ok_or_else(|| format!("`{}` is no topic filter", shown(&text)))
    }
}

fn shown(text: &str) -> String {
    text.chars().take(40).flat_map(char::escape_default).collect()
}
