//! The comparison: the brokers in turn, work after work, round after round.
use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use latchlight_mqtt::ProtocolVersion;

use crate::contestants::{Aedes, Contestant, Latchlight, Mosquitto, Other, Rumqttd, Running};
use crate::outcome::{Figure, Outcome};
use crate::report::{self, Run};
use crate::scale::Scale;
use crate::works::{WORKS, Work};

/// What `compare` is told.
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// The latchlight-broker program
    #[arg(long)]
    pub latchlight: PathBuf,
    /// The mosquitto program
    #[arg(long)]
    pub mosquitto: Option<PathBuf>,
    /// The rumqttd program
    #[arg(long)]
    pub rumqttd: Option<PathBuf>,
    /// The file that starts aedes
    #[arg(long)]
    pub aedes: Option<PathBuf>,
    /// A command that starts another broker; --port says where it listens
    #[arg(long, requires = "port")]
    pub against: Option<String>,
    /// The port of the broker of --against, at 127.0.0.1
    #[arg(long)]
    pub port: Option<u16>,
    /// The folder for results
    #[arg(long)]
    pub out: PathBuf,
    /// How often each broker does each work
    #[arg(long, default_value_t = 3)]
    pub rounds: usize,
    /// Do these works alone
    #[arg(long, value_delimiter = ',')]
    pub only: Vec<String>,
    /// Do this part of each work's messages (1 is all)
    #[arg(long, default_value_t = 1.0)]
    pub scale: f64,
    /// The version of MQTT: 4 is 3.1.1
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(4..=5))]
    pub mqtt: u8,
}

impl CompareArgs {
    /// The brokers, ours first.
    fn contestants(&self) -> Vec<Box<dyn Contestant>> {
        let mut all: Vec<Box<dyn Contestant>> =
            vec![Box::new(Latchlight { program: self.latchlight.clone() })];
        if let Some(program) = self.mosquitto.clone() {
            all.push(Box::new(Mosquitto { program }));
        }
        if let Some(program) = self.rumqttd.clone() {
            all.push(Box::new(Rumqttd { program }));
        }
        if let Some(script) = self.aedes.clone() {
            all.push(Box::new(Aedes { script }));
        }
        if let (Some(line), Some(port)) = (self.against.clone(), self.port) {
            all.push(Box::new(Other { line, port }));
        }
        all
    }

    /// The works that are asked for.
    ///
    /// # Errors
    /// One of them does not exist.
    fn works(&self) -> anyhow::Result<Vec<&'static Work>> {
        for name in &self.only {
            if !WORKS.iter().any(|work| work.name == name) {
                let names: Vec<&str> = WORKS.iter().map(|work| work.name).collect();
                bail!("{name} is none of the works: {}", names.join(", "));
            }
        }
        let asked = |work: &&Work| self.only.is_empty() || self.only.iter().any(|n| n == work.name);
        Ok(WORKS.iter().filter(asked).collect())
    }
}

/// The version of MQTT by its number in CONNECT.
pub fn version(level: u8) -> ProtocolVersion {
    if level == 5 { ProtocolVersion::V5 } else { ProtocolVersion::V311 }
}

/// Measures, prints the table, and writes it and the figures to the folder for results.
///
/// # Errors
/// A work does not exist, or the results cannot be written.
pub fn run(args: &CompareArgs) -> anyhow::Result<()> {
    let contestants = args.contestants();
    let works = args.works()?;
    let scale = Scale { messages: args.scale, clients: 1.0 };
    let mut runs = Vec::new();
    for round in 1..=args.rounds {
        for work in &works {
            eprintln!("round {round} of {}: {}", args.rounds, work.name);
            for step in 0..contestants.len() {
                // Who comes first changes: what one leaves behind is not always the same one's
                // burden.
                let contestant = &*contestants[(step + round - 1) % contestants.len()];
                let outcome = measure(contestant, work, &scale, args);
                eprintln!("  {}: {}", contestant.name(), in_short(&outcome));
                let contestant = contestant.name().to_owned();
                runs.push(Run { work: work.name, contestant, round, outcome });
            }
        }
    }
    report::write(&works, &contestants, &runs, args)
}

/// One work by one broker that is started for it. What goes wrong is a failure of the outcome:
/// the others still do theirs.
fn measure(contestant: &dyn Contestant, work: &Work, scale: &Scale, args: &CompareArgs) -> Outcome {
    if let Some(what) = contestant.lacks(work.listener, work.durable) {
        return Outcome { failures: vec![what.to_owned()], ..Outcome::default() };
    }
    let (within, version) = (args.out.join("run"), version(args.mqtt));
    let done = Running::start(contestant, work.listener, work.durable, &within, version)
        .and_then(|running| (work.run)(&running.target, scale));
    done.unwrap_or_else(|error| Outcome {
        failures: vec![format!("{error:#}")],
        ..Outcome::default()
    })
}

/// An outcome in a line.
pub fn in_short(outcome: &Outcome) -> String {
    let figures = outcome.figures.iter().map(|(figure, value)| {
        let value = Figure::show(*figure, *value);
        format!("{} {value}", figure.label())
    });
    let failures = outcome.failures.iter().map(|failure| format!("FAILED: {failure}"));
    figures.chain(failures).collect::<Vec<_>>().join(", ")
}
