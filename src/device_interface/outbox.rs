//! The ways out for actions and commands: alerts, requests to report, and
//! commands, all through the gate.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use super::joins::Joining;
use super::link::Link;
use super::presence::Presence;
use super::topics::{AnswerWord, Topics};
use crate::actions::Outbox;
use crate::commands::{Dispatch, Flight, Launcher};
use crate::events::{Event, Events, Kind};
use crate::identity::Permissions;
use crate::state::{Device, DeviceId, State};

/// Listens no more where a device spoke, unless another has come to speak there
/// meanwhile.
pub(super) async fn listen_no_more(filter: &str, topics: &Topics, link: &dyn Link) {
    let mut done = link.unsubscribe(filter).await;
    if topics.is_spoken_topic(filter) {
        done = link.subscribe(filter).await;
    }
    if let Err(error) = done {
        tracing::warn!(filter, error = format!("{error:#}"), "listen no more");
    }
}

/// Sends through the gate and the link.
#[derive(Clone)]
pub struct LinkOutbox {
    /// The gate.
    pub topics: Arc<Topics>,
    /// The way to the devices.
    pub link: Arc<dyn Link>,
    /// Who asked for alerts.
    pub state: State,
    /// Who hears alerts about which devices.
    pub permissions: Permissions,
    /// Who can be reached.
    pub presence: Arc<Presence>,
    /// That there was an alert.
    pub events: Events,
}

/// What of an alert's body is on record: a link would be good for whoever reads
/// it, and what a plugin says may be anything.
const RECORDED: [&str; 5] = ["by", "why", "picture", "sender", "wrong"];

fn alert_event(what: &str, body: &Value) -> Event {
    let word = |key: &&str| match &body[*key] {
        Value::String(text) => Some(format!("{key} {text}")),
        Value::Number(number) => Some(format!("{key} {number}")),
        _ => None,
    };
    let said: Vec<_> = RECORDED.iter().filter_map(word).collect();
    let mut event = Event::of_server(Kind::Alert, what);
    if let Some(Ok(device)) = body["device"].as_str().map(str::parse) {
        event = event.device(&device);
    }
    if said.is_empty() { event } else { event.detail(&said.join(", ")) }
}

impl LinkOutbox {
    /// Passes on an alert to those who hear only some: the accounts that see the
    /// device that it is about, and not every one, and the devices that asked.
    async fn pass_on(&self, alert: &str, about: Option<DeviceId>) {
        let told = about.as_ref().map(|about| self.permissions.told_of_alerts_about(about));
        let mut passed_on: Vec<_> = told
            .unwrap_or_default()
            .iter()
            .map(|name| self.topics.answer_app(name, AnswerWord::Alert, alert))
            .collect();
        for device in self.state.devices() {
            let asked = device.features.alerts && device.online;
            if asked && self.permissions.is_told_of_alerts(&device.id, about.as_ref()) {
                passed_on.push(self.topics.answer(&device, AnswerWord::Alert, alert));
            }
        }
        for (to, payload) in passed_on {
            if let Err(error) = self.link.publish(&to, payload.into(), false).await {
                let error = format!("{error:#}");
                tracing::warn!(topic = to.as_str(), error, "pass on an alert");
            }
        }
    }
}

#[async_trait]
impl Launcher for LinkOutbox {
    async fn launch(&self, device: &Device, dispatch: Dispatch) -> Flight {
        let message = self.topics.command(device, &dispatch);
        self.link.launch(device, message, dispatch).await
    }

    fn is_up(&self) -> bool {
        self.link.is_up()
    }
}

#[async_trait]
impl Outbox for LinkOutbox {
    async fn alert(&self, what: &str, body: Value) -> Result<(), String> {
        let to = self.topics.alert(what).map_err(|error| error.to_string())?;
        self.events.observed(alert_event(what, &body));
        let text = body.to_string();
        let sent = self.link.publish(&to, text.clone().into(), false).await;
        let about = body["device"].as_str().and_then(|device| device.parse().ok());
        self.pass_on(&format!("{what} {text}"), about).await;
        sent.map_err(|error| format!("raise the alert `{what}`: {error:#}"))
    }

    async fn ask_to_report(&self, device: &Device) -> Result<(), String> {
        let (to, payload) = self.topics.answer(device, AnswerWord::Report, "");
        let sent = self.link.publish(&to, payload.into(), false).await;
        sent.map_err(|error| format!("ask {} to report: {error:#}", device.id))
    }

    fn joining(&self, device: &DeviceId) -> Box<dyn Send> {
        Box::new(Joining::begin(self.topics.clone(), self.state.clone(), device.clone()))
    }

    async fn adopt(&self, device: &DeviceId, base: Option<&str>) -> Result<(), String> {
        if let Some(why) = base.and_then(|base| self.link.why_not_base(base)) {
            return Err(why);
        }
        let adopted = base.map(|base| self.topics.adopt_base(device, base)).transpose()?;
        let left = match &adopted {
            None => self.topics.drop_base(device),
            Some(adopted) => adopted.as_ref().and_then(|adopted| adopted.left.clone()),
        };
        if let Some(left) = left {
            listen_no_more(&left, &self.topics, self.link.as_ref()).await;
        }
        let Some(adopted) = adopted.flatten() else { return Ok(()) };
        self.link.adopted(device, &adopted);
        let heard = self.link.subscribe(&adopted.up).await;
        if heard.is_err() {
            // What nobody listens on is nobody's: it has what the roster says.
            let before = self.state.device(device).and_then(|known| known.base_topic.clone());
            let again = before.map(|base| self.topics.adopt_base(device, &base));
            match again.transpose().ok().flatten().flatten() {
                Some(before) => drop(self.link.subscribe(&before.up).await),
                None => drop(self.topics.drop_base(device)),
            }
        }
        heard.map_err(|error| format!("listen on `{}`: {error:#}", adopted.up))
    }

    fn presence(&self, device: &DeviceId) -> Option<bool> {
        let device = self.state.device(device)?;
        Some(self.presence.of(&device, self.link.as_ref()))
    }
}
