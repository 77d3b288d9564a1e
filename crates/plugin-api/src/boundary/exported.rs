//! The plugin's side of the boundary, but for the pointers.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

use super::{Outcome, Record, RemoteHost};
use crate::{Action, ActionError, Answer, Call};

/// A plugin's actions, made at its start. Every panic ends here.
pub struct Exported {
    name: &'static str,
    version: &'static str,
    make: fn() -> Vec<Box<dyn Action>>,
    actions: OnceLock<Vec<(String, Box<dyn Action>)>>,
}

impl Exported {
    /// A plugin that makes its actions when it is started.
    pub const fn new(
        name: &'static str,
        version: &'static str,
        make: fn() -> Vec<Box<dyn Action>>,
    ) -> Self {
        Self { name, version, make, actions: OnceLock::new() }
    }

    /// Makes the actions: an [`Outcome`] of a [`Record`].
    pub fn start(&self) -> Vec<u8> {
        caught(|| {
            let made = (self.make)().into_iter().map(|action| (action.info(), action));
            let (infos, actions): (Vec<_>, Vec<_>) =
                made.map(|(info, action)| (info.clone(), (info.name, action))).unzip();
            if self.actions.set(actions).is_err() {
                return Err(ActionError::internal("the plugin was started before"));
            }
            Ok(Record {
                name: self.name.to_owned(),
                version: self.version.to_owned(),
                built_with: env!("CARGO_PKG_VERSION").to_owned(),
                actions: infos,
            })
        })
        .to_bytes()
    }

    /// Performs a call: an [`Outcome`] of an [`Answer`].
    pub fn perform(&self, call: &[u8], ask: &dyn Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
        caught(|| self.find_and_perform(call, &RemoteHost::new(ask))).to_bytes()
    }

    fn find_and_perform(&self, call: &[u8], host: &RemoteHost<'_>) -> Result<Answer, ActionError> {
        let call: Call = serde_json::from_slice(call)
            .map_err(|error| ActionError::internal(format!("the call cannot be read: {error}")))?;
        let mut actions = self.actions.get().into_iter().flatten();
        match actions.find(|(name, _)| *name == call.word) {
            Some((_, action)) => action.perform(&call, host),
            None => Err(ActionError::not_found(format!("there is no action `{}`", call.word))),
        }
    }
}

fn caught<T>(work: impl FnOnce() -> Result<T, ActionError>) -> Outcome<T> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.into(),
        Err(panic) => {
            let said = said(panic.as_ref());
            // Its drop could panic in turn, and there is no one left to catch that.
            std::mem::forget(panic);
            Outcome::Panic(said)
        }
    }
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "without a text".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::call_from_app;
    use crate::{ActionInfo, Callers, Host, Level};

    struct Fragile(&'static str);

    impl Action for Fragile {
        fn info(&self) -> ActionInfo {
            assert!(self.0 != "bad_start", "cannot even say its name");
            ActionInfo {
                name: self.0.to_owned(),
                description: String::new(),
                callers: Callers::APPS,
                secret: false,
            }
        }

        fn perform(&self, call: &Call, host: &dyn Host) -> Result<Answer, ActionError> {
            assert!(call.rest != "break", "broken by {}", call.caller);
            host.log(Level::Info, "performed");
            let devices = host.devices()?.len();
            Ok(Answer::text(format!("{devices} devices")))
        }
    }

    fn perform(plugin: &Exported, call: &[u8]) -> Outcome<Answer> {
        let ask = |request: &[u8]| match serde_json::from_slice(request).expect("a request") {
            crate::boundary::HostRequest::Devices => br#"{"ok": []}"#.to_vec(),
            _ => Outcome::Ok(()).to_bytes(),
        };
        Outcome::from_bytes(&plugin.perform(call, &ask))
    }

    fn json(text: &str) -> Vec<u8> {
        serde_json::to_vec(&call_from_app(text)).expect("a call")
    }

    #[test]
    fn a_call_reaches_its_action_and_the_action_its_host() {
        let plugin = Exported::new("p", "1.0", || vec![Box::new(Fragile("a"))]);
        let Outcome::Ok(record) = Outcome::<Record>::from_bytes(&plugin.start()) else {
            panic!("it starts");
        };
        assert_eq!((&*record.name, &*record.version, record.actions.len()), ("p", "1.0", 1));
        assert_eq!(perform(&plugin, &json("a")), Outcome::Ok(Answer::text("0 devices")));
        let Outcome::Error(error) = perform(&plugin, &json("b")) else { panic!("no such action") };
        assert_eq!(error, ActionError::not_found("there is no action `b`"));
        assert!(matches!(perform(&plugin, b"{"), Outcome::Error(_)));
    }

    #[test]
    fn a_panic_ends_at_the_boundary_and_the_next_call_is_performed() {
        let plugin = Exported::new("p", "1.0", || vec![Box::new(Fragile("a"))]);
        plugin.start();
        let panicked = perform(&plugin, &json("a break"));
        assert_eq!(panicked, Outcome::Panic("broken by app:test".to_owned()));
        assert!(matches!(perform(&plugin, &json("a")), Outcome::Ok(_)));
    }

    #[test]
    fn a_panic_at_the_start_ends_at_the_boundary() {
        let plugin = Exported::new("p", "1.0", || vec![Box::new(Fragile("bad_start"))]);
        let started = Outcome::<Record>::from_bytes(&plugin.start());
        assert_eq!(started, Outcome::Panic("cannot even say its name".to_owned()));
    }
}
