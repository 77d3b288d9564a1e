//! Who may do what in the embedded broker: nobody comes in whom the server
//! does not know, and each has its own topics and no other. What is not
//! allowed here is refused.

use std::sync::Arc;

use async_trait::async_trait;
use latchlight_broker::{
    Access, ClientInfo, ConnectRequest, PublishRequest, ReasonCode, Refusal, Review,
};

use super::client::Client;
use super::sign_in::{Admission, NotLetIn};
use crate::device_interface::Mistakes;
use crate::device_interface::topic_access::{Channel, Place};
use crate::device_interface::topics::Topics;
use crate::events::{Event, Kind};
use crate::identity::{Principal, Scope, Through, Who};

/// The access rules of this server's topics.
pub(super) struct LinkAccess {
    topics: Arc<Topics>,
    admission: Admission,
    /// Apart from the device interface's: a crowd of clients that publish what
    /// they may not hides nobody's mistakes there.
    mistakes: Mistakes,
}

impl LinkAccess {
    pub(super) fn new(topics: Arc<Topics>, admission: Admission) -> Self {
        Self { topics, admission, mistakes: Mistakes::default() }
    }

    fn note(&self, client: &ClientInfo, action: &str, why: &str) {
        self.mistakes.log(&format!("client {}", client.client_id), why);
        let address = client.address.map(|address| address.ip());
        let event = match self.who(client) {
            Some(who) => {
                let principal = Principal { who, through: Through::Mqtt, address, pin: None };
                Event::of(Kind::Refusal, &principal, action)
            }
            None => Event::of_nobody(Kind::Refusal, Through::Mqtt, address, action),
        };
        let why = format!("client {}: {why}", client.client_id);
        self.admission.events.refused(event.refused(&why));
    }

    /// A client as records know it, if it is somebody of this server's.
    fn who(&self, client: &ClientInfo) -> Option<Who> {
        match Client::of(&client.identity)? {
            Client::Device(id) => id.parse().ok().map(Who::Device),
            Client::App(name) => self.admission.permissions.app(name),
            Client::Joining(_) | Client::Ledger(_) => None,
        }
    }

    /// Whether a client may say this, and why not.
    fn may_say(&self, client: &ClientInfo, request: &PublishRequest<'_>) -> Result<(), String> {
        let PublishRequest { topic, retain, will, .. } = *request;
        let is_kept = retain || will;
        // C1: what is kept would be acted on at some other time; and a will is
        // said when nobody asks for it.
        let kept = || format!("`{topic}` is acted on: nothing retained goes there, and no will");
        let not_its_own = || {
            let refused = self.topics.refuse_reserved(topic);
            refused.err().map_or_else(|| format!("`{topic}` is not its own"), |e| e.to_string())
        };
        match Client::of(&client.identity) {
            Some(Client::Device(id)) => match self.topics.channel(id, topic) {
                Some(Channel::Online) => Ok(()),
                Some(Channel::Words | Channel::Picture) if is_kept => Err(kept()),
                Some(Channel::Words | Channel::Picture) => Ok(()),
                None => Err(not_its_own()),
            },
            Some(Client::App(own)) => match self.topics.place(topic) {
                Place::App { name, leaf: "up" } if name == own && is_kept => Err(kept()),
                Place::App { name, leaf: "up" } if name == own => Ok(()),
                _ => Err(not_its_own()),
            },
            Some(Client::Ledger(user)) => {
                if !self.topics.is_elsewhere(topic) {
                    return Err(not_its_own());
                }
                if is_kept && self.topics.is_spoken_topic(topic) {
                    return Err(kept());
                }
                let ledger = self.admission.ledger.as_ref();
                let allowed = ledger.is_some_and(|ledger| {
                    ledger.authorize_publish(&as_user(client, user), request).is_ok()
                });
                if allowed { Ok(()) } else { Err(format!("the ledger lets it not say `{topic}`")) }
            }
            Some(Client::Joining(own)) => match self.topics.place(topic) {
                Place::Join { id, leaf: "up" } if id == own && is_kept => Err(kept()),
                Place::Join { id, leaf: "up" }
                    if id == own && self.admission.pairing.is_joining(own) =>
                {
                    Ok(())
                }
                _ => Err(not_its_own()),
            },
            None => Err(not_its_own()),
        }
    }

    /// Whether a client may subscribe to this.
    fn may_subscribe(&self, client: &ClientInfo, filter: &str) -> bool {
        match Client::of(&client.identity) {
            Some(Client::Device(id)) => self.topics.may_listen(id, filter),
            Some(Client::App(own)) => match self.topics.place(filter) {
                Place::App { name, leaf } => name == own && leaf == "down",
                // Of which devices something comes is decided at delivery.
                Place::Device { leaf: "state", .. } => self.has(own, Scope::DevicesRead),
                Place::Device { .. } => self.has(own, Scope::Admin),
                Place::Alert => self.may_hear_alerts(own),
                Place::Server => true,
                Place::Join { .. } | Place::Nothing | Place::Outside => false,
            },
            Some(Client::Ledger(user)) => {
                let ledger = self.admission.ledger.as_ref();
                self.topics.place(filter) == Place::Outside
                    && ledger.is_some_and(|ledger| {
                        ledger.authorize_subscribe(&as_user(client, user), filter).is_ok()
                    })
            }
            Some(Client::Joining(own)) => {
                self.topics.place(filter) == Place::Join { id: own, leaf: "down" }
            }
            None => false,
        }
    }

    /// Whether a client may have what is said on this topic.
    fn may_hear(&self, client: &ClientInfo, topic: &str) -> bool {
        match Client::of(&client.identity) {
            Some(Client::Device(id)) => self.topics.hears(id, topic),
            Some(Client::App(own)) => match self.topics.place(topic) {
                Place::App { name, leaf } => name == own && leaf == "down",
                Place::Device { id, leaf: "state" } => {
                    self.has(own, Scope::DevicesRead) && self.sees(own, id)
                }
                Place::Device { .. } => self.has(own, Scope::Admin),
                Place::Alert => self.may_hear_alerts(own),
                Place::Server => true,
                Place::Join { .. } | Place::Nothing | Place::Outside => false,
            },
            Some(Client::Ledger(user)) => {
                let ledger = self.admission.ledger.as_ref();
                self.topics.is_elsewhere(topic)
                    && ledger.is_some_and(|ledger| {
                        ledger.authorize_receive(&as_user(client, user), topic)
                    })
            }
            Some(Client::Joining(own)) => {
                self.topics.place(topic) == Place::Join { id: own, leaf: "down" }
            }
            None => false,
        }
    }

    fn principal(&self, account: &str) -> Option<Principal> {
        self.admission.permissions.app(account).map(Principal::over_mqtt)
    }

    fn has(&self, account: &str, scope: Scope) -> bool {
        let principal = self.principal(account);
        principal.is_some_and(|one| self.admission.permissions.may(&one, scope).is_ok())
    }

    fn sees(&self, account: &str, device: &str) -> bool {
        let (Some(principal), Ok(device)) = (self.principal(account), device.parse()) else {
            return false;
        };
        self.admission.permissions.may_see(&principal, &device)
    }

    /// An alert tells of any device, and links to what cameras see. Who sees some
    /// devices alone is told of theirs by itself (`outbox.rs`).
    fn may_hear_alerts(&self, account: &str) -> bool {
        let sees = |one| self.admission.permissions.sees_every_device(&one);
        self.has(account, Scope::DevicesRead)
            && self.has(account, Scope::PicturesRead)
            && self.principal(account).is_some_and(sees)
    }
}

/// A client as the ledger knows it.
fn as_user(client: &ClientInfo, user: &str) -> ClientInfo {
    ClientInfo { identity: user.into(), ..client.clone() }
}

#[async_trait]
impl Access for LinkAccess {
    async fn authenticate(&self, request: &ConnectRequest<'_>) -> Result<Arc<str>, ReasonCode> {
        self.admission.identify(request).await.map_err(|NotLetIn { reason, why }| {
            // Not the user name: who mistakes the field has put a password there.
            let client = format!("client {}", request.client_id);
            self.mistakes.log(&client, &format!("not let in: {why}"));
            let address = request.address.map(|address| address.ip());
            let event = Event::of_nobody(Kind::SignIn, Through::Mqtt, address, "connect");
            self.admission.events.refused(event.refused(&format!("{client}: {why}")));
            reason
        })
    }

    fn authorize_publish(
        &self,
        client: &ClientInfo,
        request: &PublishRequest<'_>,
    ) -> Result<(), Refusal> {
        self.may_say(client, request).map_err(|why| {
            self.note(client, "publish", &why);
            Refusal::Disconnect(ReasonCode::NotAuthorized)
        })
    }

    fn authorize_subscribe(&self, client: &ClientInfo, filter: &str) -> Result<(), ReasonCode> {
        if self.may_subscribe(client, filter) {
            return Ok(());
        }
        self.note(client, "subscribe", &format!("`{filter}` is not for it"));
        Err(ReasonCode::NotAuthorized)
    }

    fn checks_delivery(&self) -> bool {
        if let Some(ledger) = &self.admission.ledger {
            ledger.checks_delivery();
        }
        true
    }

    fn authorize_receive(&self, client: &ClientInfo, topic: &str) -> bool {
        self.may_hear(client, topic)
    }

    fn review(&self, client: &ClientInfo) -> Review {
        let Admission { credentials, directory, permissions, ledger, .. } = &self.admission;
        let since = client.connected_at;
        let stays = match Client::of(&client.identity) {
            Some(Client::Device(id)) => {
                credentials.get(id).is_some_and(|kept| !kept.may_be_newer_than(since))
            }
            Some(Client::App(name)) => {
                permissions.app(name).is_some()
                    && !directory.may_be_newer_than(name, since)
                    && self
                        .admission
                        .is_free_for(&client.client_id, directory.named(name).as_deref())
            }
            Some(Client::Ledger(user)) => {
                let review = ledger.as_ref().map(|ledger| ledger.review(&as_user(client, user)));
                review == Some(Review::Keep) && self.admission.is_free_for(&client.client_id, None)
            }
            Some(Client::Joining(id)) => self.admission.pairing.may_stay(id),
            None => false,
        };
        if stays { Review::Keep } else { Review::End(ReasonCode::NotAuthorized) }
    }
}
