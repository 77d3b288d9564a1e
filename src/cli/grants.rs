//! Grants on the command line: as options, and as lines.

use std::fmt::Write as _;

use clap::Args;
use clap::builder::ValueParser;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use latchlight::commands::Verb;
use latchlight::config::GrantedDevice;
use latchlight::console::{Console, ConsoleError};
use latchlight::identity::{AccountGrant, Day, Hours, Window};
use serde::de::DeserializeOwned;

use super::moment;
use super::output::note;

/// One grant, as options.
#[derive(Debug, Args)]
#[command(next_help_heading = "What may be done, and when")]
pub(super) struct GrantArgs {
    /// What may be done: lock, unlock, on, off; `none`: the devices may be
    /// seen, and that is all
    #[arg(long, value_name = "VERBS", value_delimiter = ',', value_parser = ValueParser::new(verb))]
    pub(super) actions: Vec<Option<Verb>>,
    /// To which devices; `*` is every one, also one that joins later
    #[arg(long, value_name = "IDS", value_delimiter = ',', value_parser = ValueParser::new(device))]
    pub(super) devices: Vec<GrantedDevice>,
    /// Not before this moment: 2026-12-31T18:00, or 7d from now
    #[arg(long, value_name = "WHEN", value_parser = moment::parse)]
    from: Option<Timestamp>,
    /// No more at this moment
    #[arg(long, value_name = "WHEN", value_parser = moment::parse)]
    until: Option<Timestamp>,
    /// On these days only: mon,tue,wed,thu,fri,sat,sun
    #[arg(long, value_name = "DAYS", value_delimiter = ',', value_parser = ValueParser::new(day))]
    days: Vec<Day>,
    /// Within these hours of the day only: 08:00-12:30; 22:00-06:00 goes over
    /// midnight
    #[arg(long, value_name = "HOURS", value_parser = hours)]
    hours: Option<Hours>,
    /// Where days and hours are, as Europe/Berlin; without it, where the
    /// server is
    #[arg(long, value_name = "ZONE", value_parser = ValueParser::new(time_zone))]
    time_zone: Option<TimeZone>,
}

impl GrantArgs {
    /// Whether anything is said of a window.
    fn has_window(&self) -> bool {
        self.from.is_some()
            || self.until.is_some()
            || !self.days.is_empty()
            || self.hours.is_some()
            || self.time_zone.is_some()
    }

    /// The grant, if any of its options is there.
    pub(super) fn into_grant(self) -> anyhow::Result<Option<AccountGrant>> {
        match (self.actions.is_empty(), self.devices.is_empty()) {
            (false, false) => {}
            (true, true) if !self.has_window() => return Ok(None),
            (true, _) => anyhow::bail!("what may be done? --actions unlock, or --actions none"),
            (_, true) => anyhow::bail!("to which devices? --devices front-door, or --devices '*'"),
        }
        let window = Window {
            from: self.from,
            until: self.until,
            days: self.days,
            hours: self.hours,
            time_zone: self.time_zone,
        };
        let actions = self.actions.into_iter().flatten().collect();
        Ok(Some(AccountGrant { actions, devices: self.devices, window, since: None }))
    }
}

/// Says of which devices nothing is known: their ids may be mistyped.
pub(super) async fn note_unknown(console: &Console, devices: &[GrantedDevice]) {
    for device in devices {
        let GrantedDevice::One(id) = device else { continue };
        let found = console.get(&format!("/api/v1/devices/{id}")).await;
        if matches!(found, Err(ConsoleError::Problem { status: 404, .. })) {
            note(format!("note: no device {id} has joined yet (`latchlight device list` has all)"));
        }
    }
}

/// A grant, as people read it: `unlock front-door (mon, thu, 08:00-12:30)`.
pub(super) fn line(grant: &AccountGrant) -> String {
    let actions: Vec<_> = grant.actions.iter().map(|verb| verb.as_str()).collect();
    let devices: Vec<String> = grant
        .devices
        .iter()
        .map(|device| match device {
            GrantedDevice::Every => "every device".to_owned(),
            GrantedDevice::One(id) => id.to_string(),
        })
        .collect();
    let actions = if actions.is_empty() { "see".to_owned() } else { actions.join(", ") };
    let mut line = format!("{actions}: {}", devices.join(", "));
    let window = when(&grant.window);
    if !window.is_empty() {
        let _ = write!(line, " ({})", window.join(", "));
    }
    line
}

fn when(window: &Window) -> Vec<String> {
    let mut when = Vec::new();
    if let Some(from) = window.from {
        when.push(format!("from {from}"));
    }
    if let Some(until) = window.until {
        when.push(format!("until {until}"));
    }
    for day in &window.days {
        let day = serde_json::to_value(day).unwrap_or_default();
        when.push(day.as_str().unwrap_or_default().to_owned());
    }
    if let Some((begin, end)) = window.hours {
        when.push(format!("{}-{}", begin.strftime("%H:%M"), end.strftime("%H:%M")));
    }
    if let Some(zone) = window.time_zone.as_ref().and_then(TimeZone::iana_name) {
        when.push(zone.to_owned());
    }
    when
}

fn verb(text: &str) -> Result<Option<Verb>, String> {
    if text == "none" { Ok(None) } else { text.parse().map(Some) }
}

fn device(text: &str) -> Result<GrantedDevice, String> {
    text.to_owned().try_into()
}

fn day(text: &str) -> Result<Day, String> {
    as_json(text).map_err(|_| "a day is mon, tue, wed, thu, fri, sat or sun".to_owned())
}

fn hours(text: &str) -> Result<Hours, String> {
    let parts = text.split_once('-');
    let hours = parts.and_then(|(begin, end)| Some((begin.parse().ok()?, end.parse().ok()?)));
    hours.ok_or_else(|| "hours are written as 08:00-12:30".to_owned())
}

fn time_zone(text: &str) -> Result<TimeZone, String> {
    TimeZone::get(text).map_err(|_| "a time zone is written as Europe/Berlin".to_owned())
}

fn as_json<T: DeserializeOwned>(text: &str) -> serde_json::Result<T> {
    serde_json::from_value(text.into())
}
