//! The server, its devices and its clients, as tests use them.

mod answer;
#[path = "../../device/authority.rs"]
mod authority;
mod browser;
mod device;
mod log;
mod picture;
mod raw;
mod server;
mod stream;

pub(crate) use answer::Answer;
pub(crate) use authority::Authority;
pub(crate) use browser::Browser;
pub(crate) use device::{Device, Manner};
pub(crate) use picture::{jpeg_with_metadata, png};
pub(crate) use raw::{raw_request, raw_response};
pub(crate) use server::{PASSWORD, Server};
pub(crate) use stream::EventStream;

use std::time::Duration;

/// Longer than anything takes that works.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Asks again until the answer is there.
pub(crate) async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let answer = tokio::time::timeout(PATIENCE, asking).await;
    answer.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}
