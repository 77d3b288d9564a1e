//! A code that somebody wants made.

use super::{Digits, PinCode, PinName};
use crate::identity::{AccountGrant, AccountId};

/// A code that somebody wants made.
#[derive(Debug, Clone)]
pub struct NewPin {
    /// Whose it is to be.
    pub account: AccountId,
    /// What it is called.
    pub name: PinName,
    /// What it is for, and when.
    pub limits: AccountGrant,
    /// Good for once.
    pub one_time: bool,
    /// The code, where somebody chose one.
    pub chosen: Option<PinCode>,
    /// How many digits one has that is made here.
    pub digits: Digits,
}
