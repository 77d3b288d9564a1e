//! Who is subscribed to what, and what is retained.

mod ends;
mod group;
mod index;
mod levels;
mod node;
mod retained;
mod route;
mod route_cache;
#[cfg(test)]
mod tests;

pub(crate) use group::SharedGroup;
pub(crate) use index::{Index, Subscriber, Subscription};
pub(crate) use levels::Levels;
pub(crate) use retained::{Page, Retained};
pub(crate) use route::{Route, Target};
pub(crate) use route_cache::RouteCache;
