//! What the front of a client asks of its driver.
use latchlight_mqtt::{Disconnect, Publish, ReasonCode, SubscribeFilter, TopicFilter};
use tokio::sync::oneshot;

use crate::error::ClientError;
use crate::event::Receipt;

/// Where the answer to a request goes.
pub(crate) type Done<T> = oneshot::Sender<Result<T, ClientError>>;

/// Work for the connection, done in order and held back while there is none or its window is full.
#[derive(Debug)]
pub(crate) enum Request {
    Publish { publish: Publish, done: Done<ReasonCode> },
    Subscribe { filters: Vec<SubscribeFilter>, done: Done<Vec<ReasonCode>> },
    Unsubscribe { filters: Vec<TopicFilter>, done: Done<Vec<ReasonCode>> },
}

/// What is done at once, whatever else waits.
#[derive(Debug)]
pub(crate) enum Command {
    Acknowledge { receipt: Receipt, reason: ReasonCode },
    DropConnection,
    Disconnect { packet: Disconnect, done: oneshot::Sender<()> },
    Abort { done: oneshot::Sender<()> },
}
