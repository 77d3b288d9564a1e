//! Administration from code: who is there, what waits for whom, what is
//! retained, and how to end it. Nothing here holds a lock over all sessions or
//! all messages: what is long is taken in pages.

mod census;
mod retained;
mod sessions;

pub(crate) use census::Census;
pub use retained::{RetainedMessage, RetainedMessages};
pub use sessions::{SessionDetails, Sessions, SubscriptionDetails};
