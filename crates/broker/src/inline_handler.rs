//! Functions that are called with the messages of inline subscriptions.

use std::panic::{AssertUnwindSafe, catch_unwind};

use latchlight_mqtt::{InvalidTopic, SubscriptionOptions, TopicFilter};
use tokio::task::AbortHandle;

use crate::inline::InlineFilters;
use crate::{InlineClient, InlineMessage};

/// A function that is called with messages. There may be any number for the same
/// filter; dropping one ends it and leaves the others.
#[must_use = "it ends when it is dropped"]
pub struct InlineHandler {
    filters: InlineFilters,
    task: AbortHandle,
}

impl InlineClient {
    /// Calls a function with each message that these filters match, one after
    /// the other, on the caller's runtime: what waits meanwhile slows its
    /// publishers down, as with any subscription. A call that panics is logged,
    /// and the next message comes.
    ///
    /// # Errors
    /// A filter is shared, or has too many levels.
    ///
    /// # Panics
    /// It is called outside of a tokio runtime.
    pub fn handle(
        &self,
        filters: impl IntoIterator<Item = TopicFilter>,
        options: SubscriptionOptions,
        mut handle: impl FnMut(InlineMessage) + Send + 'static,
    ) -> Result<InlineHandler, InvalidTopic> {
        let mut messages = self.subscribe_all(filters, options)?;
        let filters = messages.filters().clone();
        let task = tokio::spawn(async move {
            while let Some(message) = messages.next().await {
                if catch_unwind(AssertUnwindSafe(|| handle(message))).is_err() {
                    tracing::error!("handling an inline message panicked");
                }
                // Who has much to handle lets others come in between.
                tokio::task::consume_budget().await;
            }
        });
        Ok(InlineHandler { filters, task: task.abort_handle() })
    }
}

impl InlineHandler {
    /// Its filters, to be changed while it is called.
    pub fn filters(&self) -> &InlineFilters {
        &self.filters
    }
}

impl Drop for InlineHandler {
    fn drop(&mut self) {
        // At once: its task may end later.
        self.filters.end();
        self.task.abort();
    }
}
