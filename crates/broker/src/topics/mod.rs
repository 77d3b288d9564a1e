//! Who is subscribed to what, and what is retained.

mod ends;
mod group;
mod index;
mod node;
mod retained;
mod route;
#[cfg(test)]
mod tests;

pub(crate) use group::SharedGroup;
pub(crate) use index::{Index, Subscriber, Subscription};
pub(crate) use retained::{Page, Retained};
pub(crate) use route::{Route, Target};
