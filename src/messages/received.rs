//! What others send on the topics that the settings name: put on record, and
//! nothing else.

use tokio::sync::mpsc;

use super::{Message, MessageId, MessageState, Messages};
use crate::device_interface::link::Heard;

/// How many are written with one statement, at the most. While they are, as
/// many as the queue holds wait behind them, and behind those their publishers.
const AT_A_TIME: usize = 256;

/// Records what is heard until nothing is any more.
pub(super) async fn record(messages: Messages, mut heard: mpsc::Receiver<Heard>) {
    let mut batch = Vec::new();
    while heard.recv_many(&mut batch, AT_A_TIME).await > 0 {
        messages.receive(std::mem::take(&mut batch)).await;
    }
}

impl Message {
    /// One that came from the broker.
    pub(super) fn received(id: MessageId, device: Option<String>, heard: Heard) -> Self {
        let Heard { topic, payload, qos, retain, content_type, properties } = heard;
        Self {
            id,
            state: MessageState::Received,
            topic,
            device,
            account: None,
            sender: None,
            payload,
            qos,
            retain,
            content_type,
            properties,
            expires_at: None,
            ended_at: None,
            detail: None,
        }
    }
}
