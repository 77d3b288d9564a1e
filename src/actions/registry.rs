//! The actions by name, built in or from a plugin.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use latchlight_plugin_api::{ActionError, ActionInfo};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Answer, Context, Request};
use super::{ack, find_stranger, hand_shake, lock, off, on, report, state, unlock};

/// A named function that a message's first word selects.
#[async_trait]
pub trait Action: Send + Sync {
    /// Its name, what it does, and who may call it.
    fn info(&self) -> ActionInfo;

    /// Whether it has its refusals recorded itself.
    fn records_refusals(&self) -> bool {
        false
    }

    /// Does it.
    ///
    /// # Errors
    /// It was not done, and why; the caller is told.
    async fn perform(&self, request: Request, context: &Context) -> Result<Answer, ActionError>;
}

/// Where an action comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// This server.
    BuiltIn,
    /// A plugin.
    Plugin {
        /// The plugin's name.
        name: Arc<str>,
        /// The file that it was loaded from.
        file: Arc<str>,
    },
}

/// An action and where it comes from.
pub struct Registered {
    /// What it says of itself.
    pub info: ActionInfo,
    /// Where it comes from.
    pub origin: Origin,
    /// The action.
    pub action: Arc<dyn Action>,
}

/// An action as `GET /api/v1/actions` lists it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ListedAction {
    /// What it says of itself.
    #[serde(flatten)]
    pub info: ActionInfo,
    /// `built-in`, or the plugin's name.
    #[schema(example = "built-in")]
    pub origin: String,
}

/// All actions by name; replaced as a whole, so that readers never wait.
pub struct Registry {
    actions: ArcSwap<BTreeMap<String, Arc<Registered>>>,
}

/// What the registry will be.
pub struct Change(BTreeMap<String, Arc<Registered>>);

impl Registry {
    /// The built-in actions.
    pub fn built_in() -> Self {
        let actions: [Arc<dyn Action>; 9] = [
            Arc::new(hand_shake::HandShake),
            Arc::new(state::StateAction),
            Arc::new(ack::Ack),
            Arc::new(lock::Lock),
            Arc::new(unlock::Unlock),
            Arc::new(on::On),
            Arc::new(off::Off),
            Arc::new(report::Report),
            Arc::new(find_stranger::FindStranger),
        ];
        let actions = actions.into_iter().map(|action| {
            let info = action.info();
            (info.name.clone(), Arc::new(Registered { info, origin: Origin::BuiltIn, action }))
        });
        Self { actions: ArcSwap::from_pointee(actions.collect()) }
    }

    /// The action of this name.
    pub fn get(&self, name: &str) -> Option<Arc<Registered>> {
        self.actions.load().get(name).cloned()
    }

    /// Adds an action of the server's own, before any plugin's.
    pub fn add_built_in(&self, action: Arc<dyn Action>) -> &Self {
        let info = action.info();
        let mut actions = BTreeMap::clone(&self.actions.load());
        let name = info.name.clone();
        actions.insert(name, Arc::new(Registered { info, origin: Origin::BuiltIn, action }));
        self.actions.store(Arc::new(actions));
        self
    }

    /// Adds the actions of a plugin: all of them, or none.
    ///
    /// # Errors
    /// A name is taken; the error says by whom.
    pub fn add(&self, added: Vec<Registered>) -> Result<(), String> {
        self.apply(self.change(None, added)?);
        Ok(())
    }

    /// What the registry will be with these actions in the place of those
    /// that a plugin has; whoever asks is the only one to change it until it
    /// is [applied](Self::apply).
    ///
    /// # Errors
    /// A name is taken; the error says by whom.
    pub fn change(&self, plugin: Option<&str>, added: Vec<Registered>) -> Result<Change, String> {
        let mut actions = BTreeMap::clone(&self.actions.load());
        let is_old = |origin: &Origin| matches!(origin, Origin::Plugin { name, .. } if Some(&**name) == plugin);
        actions.retain(|_, action| !is_old(&action.origin));
        for action in added {
            let name = action.info.name.clone();
            if super::unknown::NEVER_ANSWERED.contains(&name.as_str()) {
                return Err(format!("`{name}` is a word of the protocol, not an action"));
            }
            if let Some(taken) = actions.get(&name) {
                let owner = taken.origin.name();
                return Err(format!("there is an action `{name}` already ({owner})"));
            }
            actions.insert(name, Arc::new(action));
        }
        Ok(Change(actions))
    }

    /// Has a change take place, for whoever asks for an action from now on.
    pub fn apply(&self, change: Change) {
        self.actions.store(Arc::new(change.0));
    }

    /// All actions, by name.
    pub fn list(&self) -> Vec<ListedAction> {
        let actions = self.actions.load();
        let listed = |a: &Arc<Registered>| ListedAction {
            info: a.info.clone(),
            origin: a.origin.name().to_owned(),
        };
        actions.values().map(listed).collect()
    }

    /// All actions and the files that they come from, for the state.
    pub fn files(&self) -> BTreeMap<String, String> {
        let actions = self.actions.load();
        let file = |origin: &Origin| match origin {
            Origin::BuiltIn => "built-in".to_owned(),
            Origin::Plugin { file, .. } => file.to_string(),
        };
        actions.iter().map(|(name, action)| (name.clone(), file(&action.origin))).collect()
    }
}

impl Origin {
    fn name(&self) -> &str {
        match self {
            Self::BuiltIn => "built-in",
            Self::Plugin { name, .. } => name,
        }
    }
}
