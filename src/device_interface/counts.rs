//! What was performed and what was not taken, counted for Prometheus.

use latchlight_plugin_api::ErrorKind;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// The actions performed and the messages not taken since the start; cheap to
/// clone.
#[derive(Debug, Clone)]
pub struct Counts {
    performed: Family<Performed, Counter>,
    not_taken: Family<[(&'static str, Reason); 1], Counter>,
}

/// An action, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Performed {
    /// A name in the registry, or `picture`: never a stranger's word.
    pub(super) action: String,
    pub(super) outcome: &'static str,
}

/// Why a message, or a call of an app, came to no action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Reason {
    /// It has no first word, or what follows is no text.
    Malformed,
    /// No action has that name.
    UnknownWord,
    /// Its caller may not.
    NotAllowed,
    /// Too many of the same speaker wait.
    Busy,
    /// It was said some other time.
    Retained,
    /// It came on a topic that is nobody's.
    UnknownTopic,
}

impl Reason {
    const ALL: [Self; 6] = [
        Self::Malformed,
        Self::UnknownWord,
        Self::NotAllowed,
        Self::Busy,
        Self::Retained,
        Self::UnknownTopic,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::UnknownWord => "unknown_word",
            Self::NotAllowed => "not_allowed",
            Self::Busy => "busy",
            Self::Retained => "retained",
            Self::UnknownTopic => "unknown_topic",
        }
    }
}

impl EncodeLabelValue for Reason {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> std::fmt::Result {
        self.as_str().encode(encoder)
    }
}

impl Default for Counts {
    /// The reasons at 0, so that the first of its kind is seen as a change.
    fn default() -> Self {
        let counts = Self { performed: Family::default(), not_taken: Family::default() };
        for reason in Reason::ALL {
            drop(counts.not_taken.get_or_create(&[("reason", reason)]));
        }
        counts
    }
}

impl Counts {
    pub(super) fn performed(&self, performed: &Performed) {
        self.performed.get_or_create(performed).inc();
    }

    pub(super) fn not_taken(&self, reason: Reason) {
        self.not_taken.get_or_create(&[("reason", reason)]).inc();
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "Actions that were performed, by what came of it";
        registry.register("actions", help, self.performed.clone());
        let help = "Messages and calls that came to no action, by why";
        registry.register("messages_not_taken", help, self.not_taken.clone());
    }
}

/// What came of an action.
pub(super) fn outcome<T>(result: &Result<T, latchlight_plugin_api::ActionError>) -> &'static str {
    match result.as_ref().map_err(|error| error.kind) {
        Ok(_) => "ok",
        Err(ErrorKind::BadInput) => "bad_input",
        Err(ErrorKind::NotAllowed) => "not_allowed",
        Err(ErrorKind::NotFound) => "not_found",
        Err(ErrorKind::Unavailable) => "unavailable",
        Err(ErrorKind::TooSoon(_)) => "too_soon",
        Err(ErrorKind::Internal) => "internal",
    }
}
