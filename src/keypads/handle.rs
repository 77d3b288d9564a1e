//! The front: whether a code opens a door.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;

use super::alarm;
use super::throttle::{Attempt, Paused, Throttle};
use crate::actions::Outbox;
use crate::commands::{CommandHandle, Status, Verb};
use crate::events::{Event, EventError, Events, Kind};
use crate::identity::pins::{NewPin, Pin, PinCode, PinError, PinId, Pins, ShownCode};
use crate::identity::{Directory, Permissions, Principal, Scope, Scopes, Through, Who};
use crate::state::{Device, DeviceId, State};

/// Says yes or no to keypads; cheap to clone.
#[derive(Clone)]
pub struct Keypads(Arc<Inner>);

struct Inner {
    parts: Parts,
    throttle: Throttle,
}

/// What a yes or no goes by.
pub struct Parts {
    /// The codes.
    pub pins: Pins,
    /// Whose they are.
    pub directory: Directory,
    /// Who may do what.
    pub permissions: Permissions,
    /// The roster.
    pub state: State,
    /// The record of what happened.
    pub events: Events,
    /// The way out for the alarm.
    pub outbox: Box<dyn Outbox>,
}

/// What a keypad asks.
#[derive(Debug, Clone)]
pub struct Wish {
    /// The keypad, which has shown its credentials.
    pub keypad: DeviceId,
    /// From where it asks.
    pub address: Option<IpAddr>,
    /// What was typed.
    pub code: ShownCode,
    /// Which device is to be operated.
    pub device: DeviceId,
    /// And how.
    pub verb: Verb,
}

/// A yes, for one command.
#[derive(Debug)]
pub struct Admitted {
    /// On whose behalf the command is given.
    pub principal: Principal,
    one_time: Option<PinId>,
}

/// A no, or neither.
#[derive(Debug, thiserror::Error)]
pub enum KeypadError {
    /// Nothing was looked at: the keypad itself may not, or not to that device,
    /// or there is none.
    #[error("config.json grants this keypad no such thing, or there is no such device")]
    NotGranted,
    /// The code is wrong, or good for nothing here and now: why is nobody's to
    /// know who stands there.
    #[error("no")]
    No,
    /// Too many codes were wrong, and none was looked at.
    #[error("too many codes were wrong: wait")]
    Paused(Paused),
    /// The codes cannot be asked for.
    #[error(transparent)]
    Pins(#[from] PinError),
    /// It cannot be recorded, so it is not done.
    #[error(transparent)]
    Events(#[from] EventError),
}

/// Why a code is good for nothing here and now, and whose it is.
struct No {
    principal: Principal,
    why: String,
}
impl Keypads {
    /// Goes by these.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(Inner { parts, throttle: Throttle::default() }))
    }

    /// The codes.
    pub fn pins(&self) -> &Pins {
        &self.0.parts.pins
    }

    /// Says yes or no; both are on record. After a yes to a one-time code there
    /// is no other one, unless [`Keypads::followed`] gives it back.
    ///
    /// # Errors
    /// No, or neither.
    pub async fn admit(&self, wish: &Wish) -> Result<Admitted, KeypadError> {
        let keypad = wish.keypad();
        let (device, verb) = self.granted(wish, &keypad)?;
        let throttle = &self.0.throttle;
        let attempt = throttle.begin(wish.keypad.as_str()).map_err(KeypadError::Paused)?;
        match self.decide(wish, &keypad, &device, verb).await? {
            Ok(admitted) => Ok(admitted),
            Err(No { principal, why }) => {
                let Parts { events, .. } = &self.0.parts;
                let why = format!("at keypad {}, to {verb}: {why}", wish.keypad);
                tracing::warn!(keypad = %wish.keypad, device = %device.id, "code refused");
                let refused = Event::of(Kind::SignIn, &principal, "pin").device(&device.id);
                events.refused(refused.refused(&why));
                self.wrong(attempt, &keypad).await;
                Err(KeypadError::No)
            }
        }
    }

    /// Watches what becomes of the commands that were given on the strength of a
    /// yes; none, if none was. A one-time code of which nothing came is given
    /// back: no device was there, or nothing left for it. Wherever the server
    /// ends before that, the code stays used.
    pub async fn followed(&self, admitted: Admitted, commands: Vec<CommandHandle>) {
        let Some(id) = admitted.one_time else { return };
        for command in commands {
            match command.ended().await.status {
                Status::Refused | Status::Offline | Status::Expired => {}
                _ => return,
            }
        }
        match self.0.parts.pins.give_back(id).await {
            Ok(()) => tracing::info!(code = %id, "a one-time code was not used after all"),
            Err(error) => tracing::error!(code = %id, %error, "a one-time code stays used"),
        }
    }

    /// Makes a code. Whoever chooses one that is somebody's has found it: that
    /// counts as a wrong one that was typed.
    ///
    /// # Errors
    /// Too many such were chosen, or [`Pins::make`] makes none.
    pub async fn make_pin(
        &self,
        principal: &Principal,
        new: NewPin,
    ) -> Result<(Pin, PinCode), KeypadError> {
        let attempt = match &new.chosen {
            Some(_) => {
                let throttle = &self.0.throttle;
                Some(throttle.begin(&principal.to_string()).map_err(KeypadError::Paused)?)
            }
            None => None,
        };
        let made = self.0.parts.pins.make(new).await;
        if let (Err(PinError::Taken), Some(attempt)) = (&made, attempt) {
            let refused = Event::of(Kind::Credential, principal, "add_pin");
            self.0.parts.events.refused(refused.refused("the code that was chosen is somebody's"));
            self.wrong(attempt, principal).await;
        }
        Ok(made?)
    }

    /// The device and what is to be done to it, as config.json grants it to the
    /// keypad. It is not said which of all that was missing: a keypad may have
    /// mistaken the code for the device's name.
    fn granted(&self, wish: &Wish, keypad: &Principal) -> Result<(Arc<Device>, Verb), KeypadError> {
        let Parts { state, permissions, events, .. } = &self.0.parts;
        let refused = Event::of(Kind::Refusal, keypad, wish.verb.as_str());
        let Some(device) = state.device(&wish.device) else {
            events.refused(refused.refused("no such device"));
            return Err(KeypadError::NotGranted);
        };
        let verb = wish.verb.meaning_for(device.kind);
        let may = |verb: &Verb| permissions.may_ask_for(&wish.keypad, *verb, &device.id);
        match verb.filter(may) {
            Some(verb) => Ok((device, verb)),
            None => {
                let refused = refused.device(&device.id);
                events.refused(refused.refused("config.json does not grant it to the keypad"));
                Err(KeypadError::NotGranted)
            }
        }
    }

    /// What a code is good for, here and now.
    async fn decide(
        &self,
        wish: &Wish,
        keypad: &Principal,
        device: &Device,
        verb: Verb,
    ) -> Result<Result<Admitted, No>, KeypadError> {
        let Parts { pins, directory, permissions, events, .. } = &self.0.parts;
        let unknown = |why: &str| No { principal: keypad.clone(), why: why.to_owned() };
        let Some(pin) = pins.find(&wish.code).await? else {
            return Ok(Err(unknown("a code that is nobody's")));
        };
        let Some(account) = directory.get(pin.account) else {
            return Ok(Err(unknown("the account is gone")));
        };
        // A code is for operating what there is, and for nothing else.
        let scopes = Scopes::from_iter([Scope::LocksOperate, Scope::LightsOperate]);
        let who = Who::account(&account, scopes);
        let (through, address) = (Through::Keypad, wish.address);
        let principal = Principal { who, through, address, pin: Some(pin.id) };
        let no = |why: &str| {
            let why = format!("the code {} ({}): {why}", pin.name, pin.id);
            Ok(Err(No { principal: principal.clone(), why }))
        };
        if pin.used_at.is_some() {
            return no("it was used already");
        }
        if let Err(why) = pin.may_operate(verb, &device.id, Timestamp::now()) {
            return no(why);
        }
        if let Err(why) = permissions.may_operate(&principal, verb, device) {
            return no(&why);
        }
        if pin.one_time && !pins.use_up(pin.id).await? {
            return no("it was used already");
        }
        let said =
            format!("the code {} ({}) at keypad {}, to {verb}", pin.name, pin.id, wish.keypad);
        let one_time = pin.one_time.then_some(pin.id);
        let event = Event::of(Kind::SignIn, &principal, "pin").device(&device.id).detail(&said);
        let admitted = Admitted { principal: principal.clone(), one_time };
        if let Err(error) = events.record_now(event).await {
            self.followed(admitted, Vec::new()).await;
            return Err(error.into());
        }
        Ok(Ok(admitted))
    }

    /// One more wrong code of whoever this is.
    async fn wrong(&self, attempt: Attempt<'_>, by: &Principal) {
        let Some(reached) = attempt.fail() else { return };
        let Parts { events, outbox, .. } = &self.0.parts;
        let all = if reached.everywhere { ", at all keypads together" } else { "" };
        let (wrong, pause) = (reached.wrong, reached.pause.as_secs());
        let why = format!("{wrong} wrong codes{all}: none is looked at for {pause} s");
        let event = Event::of(Kind::SignIn, by, "wrong_codes").refused(&why);
        if let Err(error) = events.record_now(event).await {
            tracing::error!(%error, "too many wrong codes, and not recorded");
        }
        alarm::raise(outbox.as_ref(), &by.to_string(), reached).await;
    }
}

impl Wish {
    fn keypad(&self) -> Principal {
        let who = Who::Device(self.keypad.clone());
        Principal { who, through: Through::Keypad, address: self.address, pin: None }
    }
}

impl fmt::Debug for Keypads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keypads").finish_non_exhaustive()
    }
}
