//! Codes as the API shows and takes them. A code itself is told once, to whom
//! it was made for.

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, LOCATION};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::auth::Caller;
use super::{ApiError, Services};
use crate::commands::Verb;
use crate::config::GrantedDevice;
use crate::events::Kind;
use crate::identity::pins::{Digits, NewPin, Pin, PinCode, PinError, PinName, ShownCode};
use crate::identity::{Account, AccountGrant, Window};
use crate::keypads::KeypadError;

/// A code as the API shows it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PinOfUser)]
pub(super) struct PinView {
    /// Whose it is.
    #[schema(example = "ann")]
    user: Option<String>,
    #[serde(flatten)]
    pin: Pin,
}

/// Some codes.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PinList {
    /// Each of them.
    pins: Vec<PinView>,
}

/// What a code is made of; what is left out is as wide as its person's grants.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewPin)]
pub(super) struct PinBody {
    /// What it is called in lists.
    pub(super) name: Option<PinName>,
    /// Without it, one is made up, of so many digits.
    #[schema(value_type = Option<String>, pattern = "^[0-9]{4,12}$", example = json!(null))]
    pub(super) code: Option<ShownCode>,
    /// How many digits the made-up one has: 6.
    pub(super) digits: Option<Digits>,
    /// Good for once.
    #[serde(default)]
    pub(super) one_time: bool,
    /// What it is good for; `lock` and `unlock`.
    #[schema(min_items = 1)]
    pub(super) actions: Option<Vec<Verb>>,
    /// For which devices; every one.
    #[schema(min_items = 1, max_items = 100)]
    pub(super) devices: Option<Vec<GrantedDevice>>,
    /// When; always.
    #[serde(default)]
    pub(super) window: Window,
}

/// The only answer that has the code.
#[derive(Serialize, ToSchema)]
#[schema(as = MadePin)]
pub(super) struct Made<'a> {
    /// What is typed; told here and nowhere else.
    #[schema(example = "402863")]
    code: &'a str,
    #[serde(flatten)]
    view: PinView,
}

impl PinView {
    pub(super) fn of(services: &Services, pin: Pin) -> Self {
        let user = services.directory.get(pin.account).map(|account| account.name.to_string());
        Self { user, pin }
    }
}

impl PinList {
    pub(super) fn of(services: &Services, pins: Vec<Pin>) -> Self {
        Self { pins: pins.into_iter().map(|pin| PinView::of(services, pin)).collect() }
    }
}

impl PinBody {
    fn of(self, account: &Account) -> Result<NewPin, ApiError> {
        let invalid = |what: &str| Err(ApiError::Invalid(what.to_owned()));
        if self.code.is_some() && self.digits.is_some() {
            return invalid("code, or digits for one that is made up: not both");
        }
        let limits = AccountGrant {
            actions: self.actions.unwrap_or_else(|| vec![Verb::Lock, Verb::Unlock]),
            devices: self.devices.unwrap_or_else(|| vec![GrantedDevice::Every]),
            window: self.window,
            since: None,
        };
        if limits.actions.is_empty() || limits.devices.is_empty() {
            return invalid("actions and devices: there is none, and the code is good for nothing");
        }
        if limits.devices.len() > 100 {
            return invalid("devices: there are at most 100");
        }
        if !limits.window.ever_holds() {
            return invalid("window: it never opens");
        }
        let chosen = self.code.map(|code| PinCode::chosen(&code)).transpose();
        let name = self.name.map_or_else(|| PinName::try_from("PIN".to_owned()), Ok);
        Ok(NewPin {
            account: account.id,
            name: name.map_err(|error| ApiError::Invalid(format!("name: {error}")))?,
            limits,
            one_time: self.one_time,
            chosen: chosen.map_err(|error| ApiError::Invalid(format!("code: {error}")))?,
            digits: self.digits.unwrap_or_default(),
        })
    }
}

/// Makes somebody a code, and tells it.
pub(super) async fn make(
    services: &Services,
    caller: Caller,
    account: &Account,
    body: PinBody,
) -> Result<HttpResponse, ApiError> {
    let new = body.of(account)?;
    let user = account.name.clone();
    let work = {
        let services = services.clone();
        async move {
            let (pin, code) = services.keypads.make_pin(&caller.0, new).await?;
            let once = if pin.one_time { ", for once" } else { "" };
            let detail = format!("the code {} ({}) of user {user}{once}", pin.name, pin.id);
            caller.record(&services, Kind::Credential, "add_pin", &detail).await?;
            Ok((pin, code))
        }
    };
    let (pin, code) = services.to_the_end(work).await?;
    let link = format!("/api/v1/pins/{}", pin.id);
    let made = Made { code: code.reveal(), view: PinView::of(services, pin) };
    Ok(HttpResponse::Created()
        .insert_header((LOCATION, link))
        .insert_header((CACHE_CONTROL, "no-store"))
        .json(made))
}

/// Removes a code: it is good for nothing from then on.
pub(super) async fn remove(
    services: &Services,
    caller: Caller,
    pin: Pin,
) -> Result<HttpResponse, ApiError> {
    let work = {
        let services = services.clone();
        async move {
            if !services.keypads.pins().remove(pin.id).await? {
                return Err(missing());
            }
            let detail = format!("the code {} ({})", pin.name, pin.id);
            caller.record(&services, Kind::Credential, "remove_pin", &detail).await
        }
    };
    services.to_the_end(work).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// There is no such code, or it is somebody else's.
pub(super) fn missing() -> ApiError {
    ApiError::NotFound("there is no such code".to_owned())
}

impl From<PinError> for ApiError {
    fn from(error: PinError) -> Self {
        match error {
            PinError::Taken | PinError::TooMany => Self::Conflict(error.to_string()),
            PinError::NoAccount => Self::NotFound(error.to_string()),
            PinError::NotMade(_) => Self::Internal(error.into()),
            PinError::Database(_) => {
                tracing::error!(%error, "the database did not answer");
                Self::Unavailable("the codes cannot be read or saved now".to_owned())
            }
        }
    }
}

impl From<KeypadError> for ApiError {
    fn from(error: KeypadError) -> Self {
        match error {
            KeypadError::NotGranted => Self::NotAllowed(error.to_string()),
            KeypadError::No => Self::CodeRefused,
            KeypadError::Paused(paused) => Self::TooSoon(paused.left),
            KeypadError::Pins(error) => error.into(),
            KeypadError::Events(error) => error.into(),
        }
    }
}
