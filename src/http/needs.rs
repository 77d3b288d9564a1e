//! What a route needs of whoever asks.

use super::ApiError;
use crate::identity::{Permissions, Principal, Scope, Scopes, Who};

/// What a route needs; each one on the page of routes says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: it answers everybody, and knows nobody.
    Nothing,
    /// One of these scopes. Which devices somebody may see and operate is
    /// another question, which is asked device by device.
    AnyOf(Scopes),
    /// A device, which has shown its credentials: a keypad. What it may, is
    /// another question.
    Device,
    /// A device that has shown its credentials, such as a camera; or one of
    /// these scopes.
    DeviceOr(Scopes),
}

impl Needs {
    /// A device, or somebody with this scope.
    pub(super) fn device_or(scope: Scope) -> Self {
        Self::DeviceOr(Scopes::from_iter([scope]))
    }

    /// Whether this is enough of somebody.
    ///
    /// # Errors
    /// Not, and why.
    pub(super) fn check(
        self,
        permissions: &Permissions,
        principal: &Principal,
    ) -> Result<(), ApiError> {
        let scopes = match (self, &principal.who) {
            (Self::Nothing, _) | (Self::Device | Self::DeviceOr(_), Who::Device(_)) => {
                return Ok(());
            }
            (Self::AnyOf(scopes) | Self::DeviceOr(scopes), _) => scopes,
            (Self::Device, _) => {
                let why = "only a keypad asks here, and shows its credentials by HTTP Basic";
                return Err(ApiError::NotAllowed(why.to_owned()));
            }
        };
        permissions.may_any(principal, scopes).map_err(|why| ApiError::Scope(why, scopes))
    }
}

impl From<Scope> for Needs {
    fn from(scope: Scope) -> Self {
        Self::AnyOf(Scopes::from_iter([scope]))
    }
}

impl<const N: usize> From<[Scope; N]> for Needs {
    fn from(scopes: [Scope; N]) -> Self {
        Self::AnyOf(Scopes::from_iter(scopes))
    }
}
