//! Who is subscribed to what, and what is retained.

mod index;
mod retained;
mod route;

pub(crate) use index::{Index, SharedGroup, Subscriber, Subscription};
pub(crate) use retained::{Page, Retained};
pub(crate) use route::{Route, Target};
