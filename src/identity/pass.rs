//! What somebody has shown who stays for longer than one request.

use std::sync::Arc;

use super::Principal;
use super::tokens::Claims;

/// Somebody who was let in, and by what.
#[derive(Debug, Clone)]
pub struct Pass {
    /// Who.
    pub principal: Principal,
    /// By this access token; nothing: by what does not end by itself.
    pub(super) token: Option<Arc<Claims>>,
}

/// Why a pass is good no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PassOver {
    /// It was good for so long.
    #[error("the token has ended: show a new one")]
    Ended,
    /// The sign-in that it came from is over.
    #[error("the sign-in is over")]
    Revoked,
}

impl Pass {
    /// Somebody who shows by the connection itself who they are.
    pub fn of_connection(principal: Principal) -> Self {
        Self { principal, token: None }
    }
}
