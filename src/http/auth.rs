//! Who asks: from what a request shows to a [`Principal`], once per request,
//! before anything of it is read.

use std::future::{Ready, ready};

use actix_web::body::BoxBody;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::{Error, FromRequest, HttpMessage as _, HttpRequest, web};

use super::authorization::Shown;
use super::peer::Peer;
use super::{ApiError, Needs, Services};
use crate::events::{Event, Kind};
use crate::identity::{Pass, Principal, Through, View, Who};
use crate::state::DeviceId;

/// Whoever asks, for the handlers of routes that need somebody.
#[derive(Debug, Clone)]
pub(super) struct Caller(pub(super) Principal);

/// Lets a request pass that shows what its route needs.
pub(super) async fn admit(
    needs: Needs,
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    if needs != Needs::Nothing {
        match identify(needs, &request) {
            Ok(caller) => drop(request.extensions_mut().insert(caller)),
            Err(error) => {
                tracing::warn!(why = %error, "request refused");
                return Ok(request.error_response(error));
            }
        }
    }
    next.call(request).await
}

fn identify(needs: Needs, request: &ServiceRequest) -> Result<Caller, ApiError> {
    let services = request.app_data::<web::Data<Services>>();
    let services = services.ok_or_else(|| internal("no services are configured"))?;
    let principal = match request.conn_data::<Principal>() {
        // The server's own socket: nothing more need be shown.
        Some(known) => known.clone(),
        None => shown(request, services).inspect_err(|why| {
            // Who shows nothing is told to sign in, and has tried nothing.
            if Shown::of(request.headers()) != Shown::Nothing {
                let address = Peer::of(request.request()).address;
                let event = Event::of_nobody(Kind::Refusal, Through::Http, address, "authorize");
                services.events.refused(event.refused(&format!("{}: {why}", asked(request))));
            }
        })?,
    };
    needs.check(&services.permissions, &principal).inspect_err(|why| {
        let event = Event::of(Kind::Refusal, &principal, &asked(request));
        services.events.refused(event.refused(&why.to_string()));
    })?;
    Ok(Caller(principal))
}

/// The method and the pattern of the path.
fn asked(request: &ServiceRequest) -> String {
    let pattern = request.match_pattern().unwrap_or_default();
    format!("{} {pattern}", request.method())
}

/// Whoever the request shows that it is from.
fn shown(request: &ServiceRequest, services: &Services) -> Result<Principal, ApiError> {
    let address = Peer::of(request.request()).address;
    match Shown::of(request.headers()) {
        Shown::Nothing => Err(ApiError::Unknown(None)),
        Shown::Bearer(token) => services
            .sign_in
            .bearer(token, address)
            .ok_or(ApiError::Unknown(Some("the token or key is not good, or not any more"))),
        Shown::Basic { name, secret } => {
            let device = services.credentials.device(&name, secret.as_bytes());
            let device = device.map(Who::Device);
            device.map(|who| Principal { who, through: Through::Http, address, pin: None }).ok_or(
                ApiError::Unknown(Some("these are no device's credentials, or not any more")),
            )
        }
        Shown::Odd => Err(ApiError::Unknown(Some(
            "Authorization is neither `Bearer` nor a device's `Basic`, or is there twice",
        ))),
    }
}

impl Caller {
    /// Whoever asked this.
    pub(super) fn of(request: &HttpRequest) -> Result<Self, ApiError> {
        let caller = request.extensions().get::<Self>().cloned();
        caller.ok_or_else(|| internal("the route needs nothing, and asks who it is"))
    }

    /// What they show, for somebody who stays for longer than this request.
    pub(super) fn pass(
        &self,
        request: &HttpRequest,
        services: &Services,
    ) -> Result<Pass, ApiError> {
        let Self(principal) = self;
        let shown = match Shown::of(request.headers()) {
            Shown::Bearer(token) if request.conn_data::<Principal>().is_none() => token,
            _ => return Ok(Pass::of_connection(principal.clone())),
        };
        let pass = services.sign_in.pass(shown, principal.address);
        pass.ok_or(ApiError::Unknown(Some("the token or key is not good any more")))
    }

    /// Records that they changed something; it is on disk when this returns.
    pub(super) async fn record(
        &self,
        services: &Services,
        kind: Kind,
        action: &str,
        detail: &str,
    ) -> Result<(), ApiError> {
        let event = Event::of(kind, &self.0, action).detail(detail);
        services.events.record_now(event).await.map_err(|error| {
            tracing::error!(%error, action, detail, "done, and not recorded");
            ApiError::Unavailable("it is done, and cannot be recorded".to_owned())
        })
    }

    /// Whether they may see this device.
    pub(super) fn sees(&self, services: &Services, device: &DeviceId) -> bool {
        services.permissions.may_see(&self.0, device)
    }

    /// What they may know of what became of this device; nothing: they may not
    /// see it.
    pub(super) fn view(&self, services: &Services, device: &DeviceId) -> Option<View> {
        services.permissions.view(&self.0, device)
    }

    /// Whether they may see what is of this device, or of none.
    pub(super) fn sees_of(&self, services: &Services, device: Option<&DeviceId>) -> bool {
        match device {
            Some(device) => self.sees(services, device),
            None => services.permissions.sees_everything(&self.0),
        }
    }
}

impl FromRequest for Caller {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::of(request))
    }
}

fn internal(what: &'static str) -> ApiError {
    ApiError::Internal(anyhow::anyhow!(what))
}
