//! What a device has to say, one thing after another.
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use latchlight_client::{Client, ClientError};
use latchlight_mqtt::{QoS, ReasonCode};

/// How much a device keeps to say; beyond it the oldest is dropped, and it says so.
const BOUND: usize = 64;

/// One thing to do with the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item {
    Subscribe { filter: String },
    Publish { topic: String, payload: Bytes, retain: bool, keep: bool },
}

type Sending = Pin<Box<dyn Future<Output = Result<ReasonCode, ClientError>> + Send>>;

/// The queue of one device: each thing is sent when the broker has taken the one before.
pub(super) struct Outgoing {
    client: Client,
    queue: VecDeque<Item>,
    current: Option<(Item, Sending)>,
}

impl Outgoing {
    pub(super) fn new(client: Client) -> Self {
        Self { client, queue: VecDeque::new(), current: None }
    }

    /// Puts something at the end. False: the oldest had to go for it.
    pub(super) fn push(&mut self, item: Item) -> bool {
        self.queue.push_back(item);
        let fits = self.queue.len() <= BOUND;
        if !fits {
            self.queue.pop_front();
        }
        fits
    }

    /// Forgets what makes no sense on a later connection: all but the acknowledgements.
    pub(super) fn forget_passing(&mut self) {
        self.queue.retain(|item| matches!(item, Item::Publish { keep: true, .. }));
    }

    /// Whether everything has been said.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.current.is_none()
    }

    /// Works, and returns when the next thing is done. Cancel safe.
    pub(super) async fn next_done(&mut self) -> (Item, Result<ReasonCode, ClientError>) {
        let (_, sending) = match &mut self.current {
            Some(current) => current,
            none => match self.queue.pop_front() {
                Some(item) => none.insert((item.clone(), send(self.client.clone(), item))),
                None => return std::future::pending().await,
            },
        };
        let result = sending.await;
        let (item, _) = self.current.take().expect("it was awaited just now");
        (item, result)
    }
}

fn send(client: Client, item: Item) -> Sending {
    Box::pin(async move {
        match item {
            Item::Subscribe { filter } => client.subscribe(filter, QoS::AtLeastOnce).await,
            Item::Publish { topic, payload, retain, .. } => {
                client.publish(topic, payload, QoS::AtLeastOnce, retain).await
            }
        }
    })
}
