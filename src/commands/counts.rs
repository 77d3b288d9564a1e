//! How many commands ended, how, and how long that took, for Prometheus.

use std::time::{Duration, Instant};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::{Command, Status, Verb};

/// From a lock beside the server to the longest life of a command, in seconds.
const BOUNDS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

type Durations = Family<[(&'static str, &'static str); 1], Histogram, fn() -> Histogram>;
type Steps = Family<[(&'static str, &'static str); 2], Histogram, fn() -> Histogram>;

/// The commands that have ended since the start.
#[derive(Debug)]
pub(super) struct Counts {
    ended: Family<[(&'static str, &'static str); 2], Counter>,
    durations: Durations,
    steps: Steps,
    record_errors: Counter,
    too_fast: Counter,
}

/// How far one command came, and when.
pub(super) struct Progress<'a> {
    counts: &'a Counts,
    verb: Verb,
    issued: Option<Instant>,
    sent: Option<Instant>,
}

impl Default for Counts {
    /// All of them at 0, so that the first of its kind is seen as a change.
    fn default() -> Self {
        let durations = Durations::new_with_constructor(|| Histogram::new(BOUNDS));
        let steps = Steps::new_with_constructor(|| Histogram::new(BOUNDS));
        let (ended, record_errors) = (Family::default(), Counter::default());
        let counts = Self { ended, durations, steps, record_errors, too_fast: Counter::default() };
        for verb in Verb::ALL {
            for status in Status::ALL.into_iter().filter(|status| status.is_ended()) {
                drop(counts.ended.get_or_create(&labels(verb, status)));
            }
            drop(counts.durations.get_or_create(&[("action", verb.as_str())]));
            for step in ["sent", "delivered", "answered"] {
                drop(counts.steps.get_or_create(&[("action", verb.as_str()), ("step", step)]));
            }
        }
        counts
    }
}

impl Counts {
    /// A command has ended, so long after it was issued; nothing where it never
    /// was.
    pub(super) fn note(&self, ended: &Command, took: Option<Duration>) {
        self.ended.get_or_create(&labels(ended.verb, ended.status)).inc();
        if let Some(took) = took {
            let durations = self.durations.get_or_create(&[("action", ended.verb.as_str())]);
            durations.observe(took.as_secs_f64());
        }
    }

    /// A command that is about to be sent, so long after its issue.
    pub(super) fn progress(&self, verb: Verb, since_issue: Option<Duration>) -> Progress<'_> {
        let issued = since_issue.and_then(|since| Instant::now().checked_sub(since));
        Progress { counts: self, verb, issued, sent: None }
    }

    /// The record did not take a write.
    pub(super) fn record_failed(&self) {
        self.record_errors.inc();
    }

    /// What was asked for was too much of one principal, and was not issued.
    pub(super) fn too_fast(&self) {
        self.too_fast.inc();
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "Commands that have ended, by how";
        registry.register("commands", help, self.ended.clone());
        let help = "Writes to the record of commands that failed";
        registry.register("command_record_errors", help, self.record_errors.clone());
        let help = "Requests for commands that were refused: too many of one principal";
        registry.register("commands_too_fast", help, self.too_fast.clone());
        let help = "From a command's issue to its end";
        let durations = self.durations.clone();
        registry.register_with_unit("command_duration", help, Unit::Seconds, durations);
        let help = "From a command's issue until the link took it, and from then to the rest";
        registry.register_with_unit("command_step", help, Unit::Seconds, self.steps.clone());
    }
}

impl Progress<'_> {
    /// The link took it.
    pub(super) fn sent(&mut self) {
        if self.sent.is_none() {
            self.note("sent", self.issued);
            self.sent = Some(Instant::now());
        }
    }

    /// The device's PUBACK came.
    pub(super) fn delivered(&mut self) {
        self.sent();
        self.note("delivered", self.sent);
    }

    /// The device said what became of it. It may be heard before it is known
    /// that the link took it: that is no time to count.
    pub(super) fn answered(&self) {
        self.note("answered", self.sent);
    }

    fn note(&self, step: &'static str, since: Option<Instant>) {
        if let Some(since) = since {
            let steps =
                self.counts.steps.get_or_create(&[("action", self.verb.as_str()), ("step", step)]);
            steps.observe(since.elapsed().as_secs_f64());
        }
    }
}

fn labels(verb: Verb, status: Status) -> [(&'static str, &'static str); 2] {
    [("action", verb.as_str()), ("outcome", status.as_str())]
}
