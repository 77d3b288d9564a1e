//! Who was let in and who was not, for Prometheus; without names.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::SignInError;
use super::oidc::ProviderError;

/// By what people and programs sign in over HTTP.
const WAYS: [&str; 4] = ["password", "api_key", "refresh_token", "oidc"];

/// The attempts to sign in since the start.
#[derive(Debug)]
pub(super) struct Counts {
    sign_ins: Family<[(&'static str, &'static str); 2], Counter>,
}

impl Default for Counts {
    /// All of them at 0, so that the first of its kind is seen as a change.
    fn default() -> Self {
        let counts = Self { sign_ins: Family::default() };
        for way in WAYS {
            for outcome in ["ok", "wrong", "void", "scope", "too_soon", "busy", "failed"] {
                drop(counts.sign_ins.get_or_create(&[("by", way), ("outcome", outcome)]));
            }
        }
        counts
    }
}

impl Counts {
    /// Somebody tried to sign in by this.
    pub(super) fn sign_in<T>(&self, by: &'static str, result: &Result<T, SignInError>) {
        self.note(by, result.as_ref().map_or_else(outcome, |_| "ok"));
    }

    /// Somebody came back from the provider.
    pub(super) fn provider<T>(&self, result: &Result<T, ProviderError>) {
        let outcome = match result {
            Ok(_) => "ok",
            Err(ProviderError::Stale) => "void",
            Err(ProviderError::Denied(_) | ProviderError::Odd(_) | ProviderError::Stranger(_)) => {
                "wrong"
            }
            Err(ProviderError::Away(_)) => "failed",
            Err(ProviderError::Busy) => "busy",
            Err(ProviderError::TooSoon(_)) => "too_soon",
            Err(ProviderError::SignIn(error)) => outcome(error),
        };
        self.note("oidc", outcome);
    }

    fn note(&self, by: &'static str, outcome: &'static str) {
        self.sign_ins.get_or_create(&[("by", by), ("outcome", outcome)]).inc();
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "Attempts to sign in over HTTP, by what was shown and what came of it";
        registry.register("sign_ins", help, self.sign_ins.clone());
    }
}

fn outcome(error: &SignInError) -> &'static str {
    match error {
        SignInError::Wrong => "wrong",
        SignInError::Void => "void",
        SignInError::Scope => "scope",
        SignInError::TooSoon(_) => "too_soon",
        SignInError::Busy => "busy",
        SignInError::Failed(_) => "failed",
    }
}
