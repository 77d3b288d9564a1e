//! What a new password means for codes at keypads, which it does not void by
//! itself: whoever has stolen one may have the other, too.

use actix_web::HttpResponse;
use serde::Serialize;
use utoipa::ToSchema;

use super::auth::Caller;
use super::{ApiError, Services};
use crate::events::Kind;
use crate::identity::Account;
use crate::identity::pins::PinsThen;

/// What was done besides.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PasswordIsSet)]
pub(super) struct PasswordIsSet {
    /// What became of the person's codes for keypads.
    #[schema(example = "disable")]
    pins: PinsThen,
    /// Of how many.
    #[schema(example = 1)]
    codes: u64,
}

/// The account has a new password: does this to its codes, and has both on
/// record. By now no token is good that could have more of them made.
pub(super) async fn follow(
    services: &Services,
    caller: &Caller,
    account: &Account,
    action: &str,
    pins: PinsThen,
) -> Result<PasswordIsSet, ApiError> {
    let done = services.keypads.pins().then(account.id, pins).await;
    let said = match &done {
        Ok(codes) => format!("user {}; codes for keypads {}: {codes}", account.name, pins.as_str()),
        Err(error) => {
            format!("user {}; the codes for keypads are as before: {error}", account.name)
        }
    };
    caller.record(services, Kind::Credential, action, &said).await?;
    let codes = done.map_err(|error| {
        tracing::error!(%error, "a new password holds, and the codes are as before");
        ApiError::Unavailable(
            "the new password holds, and the codes for keypads are as they were: set it again"
                .to_owned(),
        )
    })?;
    Ok(PasswordIsSet { pins, codes })
}

impl PasswordIsSet {
    pub(super) fn into_response(self) -> HttpResponse {
        HttpResponse::Ok().json(self)
    }
}
