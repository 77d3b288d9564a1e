//! The command line of `latchlight simulate`.
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::RangedU64ValueParser;
use clap::{Args, ValueEnum};
use latchlight_client::{BrokerUrl, CommandKey};
use latchlight_mqtt::{ProtocolVersion, TopicName};

use crate::simulate::kind::Kind;
use crate::simulate::server::Password;

/// What `latchlight simulate` is asked to do.
#[derive(Debug, Clone, Args)]
pub struct SimulateArgs {
    /// How many locks: lock-1, lock-2, …
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = count())]
    pub locks: usize,
    /// How many lights: light-1, light-2, …
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = count())]
    pub lights: usize,
    /// How many cameras: camera-1, camera-2, …
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = count())]
    pub cameras: usize,
    /// The configuration of the server that runs: it says where its broker is, and makes the
    /// devices' credentials, in the place of those that they have; with --broker, their keys alone
    #[arg(long, value_name = "FILE", default_value = "config.json")]
    pub config: PathBuf,
    /// Another broker than the server's own, as `mqtt://HOST:PORT` or
    /// `mqtt://USER:PASSWORD@HOST:PORT`
    #[arg(long, value_name = "URL")]
    pub broker: Option<BrokerUrl>,
    /// The first level of all topics there, as the server has it in mqtt.prefix
    #[arg(long, default_value = "latchlight", value_parser = parse_prefix, requires = "broker")]
    pub prefix: String,
    /// Put NAME- before each device id, as in NAME-lock-1
    #[arg(long, value_parser = parse_name)]
    pub name: Option<String>,
    /// The MQTT version that the devices speak
    #[arg(long, value_name = "VERSION", value_enum, default_value_t = Mqtt::V5)]
    pub mqtt: Mqtt,
    /// So many of the locks are slow: their motors take seconds
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub slow: usize,
    /// How long a lock's motor runs, in milliseconds; each run differs by up to a quarter
    #[arg(long, value_name = "MS", default_value_t = 400)]
    pub motor: u64,
    /// A lock that jams from the start; may be repeated
    #[arg(long, value_name = "ID")]
    pub jam: Vec<String>,
    /// The devices are of the simplest kind: they acknowledge nothing and only report their state
    #[arg(long)]
    pub plain: bool,
    /// The devices have keys, and obey no command that is not signed by them
    #[arg(long)]
    pub signed: bool,
    /// Each camera sees a stranger every so many seconds; 0: only when told to
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub stranger_every: u64,
    /// Show only what goes wrong, and the summary
    #[arg(long, short)]
    pub quiet: bool,
}

/// An MQTT version as it is written on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mqtt {
    /// MQTT 3.1
    #[value(name = "3.1")]
    V31,
    /// MQTT 3.1.1
    #[value(name = "3.1.1")]
    V311,
    /// MQTT 5
    #[value(name = "5")]
    V5,
}

impl From<Mqtt> for ProtocolVersion {
    fn from(version: Mqtt) -> Self {
        match version {
            Mqtt::V31 => Self::V31,
            Mqtt::V311 => Self::V311,
            Mqtt::V5 => Self::V5,
        }
    }
}

impl SimulateArgs {
    /// The devices to be, in the order in which they are started.
    pub(super) fn devices(&self) -> Vec<DevicePlan> {
        let motor = Duration::from_millis(self.motor);
        let mut plans = Vec::new();
        for (kind, count) in
            [(Kind::Lock, self.locks), (Kind::Light, self.lights), (Kind::Camera, self.cameras)]
        {
            for number in 1..=count {
                let id = match &self.name {
                    Some(name) => format!("{name}-{kind}-{number}"),
                    None => format!("{kind}-{number}"),
                };
                let slow = kind == Kind::Lock && number <= self.slow;
                plans.push(DevicePlan {
                    motor: if slow { (motor * 8).max(Duration::from_secs(3)) } else { motor },
                    jammed: self.jam.contains(&id),
                    id,
                    kind,
                    password: None,
                    command_key: None,
                });
            }
        }
        plans
    }
}

/// What one device is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DevicePlan {
    pub(super) id: String,
    pub(super) kind: Kind,
    pub(super) motor: Duration,
    pub(super) jammed: bool,
    /// What it shows to be let in, if it is asked for that.
    pub(super) password: Option<Password>,
    /// By what it checks its commands, if it does.
    pub(super) command_key: Option<CommandKey>,
}

/// As many of a kind as a server has places for by far.
fn count() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(..=100_000)
}

fn parse_prefix(text: &str) -> Result<String, String> {
    match TopicName::try_from(text) {
        Ok(_) if text.starts_with(['$', '/']) || text.ends_with('/') => {
            Err("a prefix neither starts with $ or / nor ends with /".into())
        }
        Ok(_) => Ok(text.into()),
        Err(error) => Err(error.to_string()),
    }
}

/// Device ids have at most 64 bytes: what we append to the name needs up to 20 of them.
fn parse_name(text: &str) -> Result<String, String> {
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
    let starts = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    if starts && text.len() <= 44 && text.bytes().all(allowed) {
        Ok(text.into())
    } else {
        Err("a name has up to 44 of a-z, 0-9, _ and -, and starts with a letter or digit".into())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct CommandLine {
        #[command(flatten)]
        simulate: SimulateArgs,
    }

    fn parse(words: &str) -> Result<SimulateArgs, clap::Error> {
        CommandLine::try_parse_from(std::iter::once("simulate").chain(words.split_whitespace()))
            .map(|line| line.simulate)
    }

    #[test]
    fn ids_are_made_of_name_kind_and_number() {
        let args = parse("--locks 2 --lights 1 --cameras 0 --name home --jam home-lock-2").unwrap();
        let plans = args.devices();
        let ids: Vec<_> = plans.iter().map(|plan| plan.id.as_str()).collect();
        assert_eq!(ids, ["home-lock-1", "home-lock-2", "home-light-1"]);
        assert_eq!(plans.iter().filter(|plan| plan.jammed).count(), 1);
    }

    #[test]
    fn only_the_first_locks_are_slow() {
        let plans = parse("--locks 3 --slow 1").unwrap().devices();
        let slow: Vec<_> =
            plans.iter().filter(|plan| plan.motor >= Duration::from_secs(3)).collect();
        assert_eq!(slow.len(), 1);
        assert_eq!(slow[0].id, "lock-1");
    }

    #[test]
    fn names_that_would_break_a_topic_or_an_id_are_refused() {
        for words in
            ["--name Home", "--name -x", "--name a/b", "--broker x --prefix a/#", "--prefix a"]
        {
            assert!(parse(words).is_err(), "{words}");
        }
        assert!(parse("--broker mqtts://x").is_err());
        assert!(parse("--broker x --prefix house/one --name a_b-1 --mqtt 3.1.1").is_ok());
    }
}
