//! Why a store could not do what it was asked to.

/// What went wrong, in the store's own words.
#[derive(Debug, thiserror::Error)]
#[error("the broker's store: {source}")]
pub struct StoreError {
    source: Box<dyn std::error::Error + Send + Sync>,
    is_lost: bool,
}

impl StoreError {
    /// It could not be done now.
    pub fn new(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { source: error.into(), is_lost: false }
    }

    /// What was committed before is not there any more, or not all of it. The
    /// broker has the store begin anew ([`Store::begin_anew`](super::Store))
    /// and commits everything.
    pub fn lost(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { source: error.into(), is_lost: true }
    }

    /// Whether it is such a loss.
    pub fn is_lost(&self) -> bool {
        self.is_lost
    }
}
