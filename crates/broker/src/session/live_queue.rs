//! Live publishes that a full window keeps waiting, inside one connection.

use std::collections::VecDeque;
use std::sync::Arc;

use latchlight_mqtt::QoS;

use crate::Time;
use crate::live::Ticket;
use crate::message::Message;
use crate::seldom::Seldom;

/// How many may wait; one more is refused.
const MOST: usize = 16;

#[derive(Debug, Default)]
pub(crate) struct LiveQueue {
    waiting: Seldom<VecDeque<Waiting>>,
}

#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) message: Arc<Message>,
    pub(crate) qos: QoS,
    pub(crate) ticket: Arc<Ticket>,
    pub(crate) deadline: Time,
}

impl LiveQueue {
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(crate) fn push(&mut self, waiting: Waiting) -> Result<(), Waiting> {
        if self.waiting.len() >= MOST {
            return Err(waiting);
        }
        self.waiting.push_back(waiting);
        Ok(())
    }

    /// The next one whose time has not run out; the others are given up.
    pub(crate) fn pop(&mut self, now: Time) -> Option<Waiting> {
        if self.waiting.is_empty() {
            return None;
        }
        while let Some(next) = self.waiting.pop_front() {
            if next.deadline > now && next.ticket.is_waiting() {
                return Some(next);
            }
            next.ticket.expired();
        }
        self.waiting.rest();
        None
    }

    /// Gives up all: the connection is gone, and they never left.
    pub(crate) fn abandon(&mut self) {
        for waiting in self.waiting.take() {
            waiting.ticket.gone_unsent();
        }
    }
}
