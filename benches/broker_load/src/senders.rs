//! The publishers of a flow: who may send how much, and when.
use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::flow::Limit;
use crate::packets::{Stamp, Template};
use crate::pool::Pool;

/// How many bytes are gathered for a write.
const BATCH: usize = 60 * 1024;
/// How many packets a publisher writes one by one before others are looked at.
const LONE_PACKETS: usize = 16;

/// One publisher.
#[derive(Debug)]
pub struct Sender {
    /// The number of its connection.
    pub link: usize,
    /// Its message.
    pub template: Template,
    /// How many it is to send.
    pub goal: u32,
    /// How many it has sent.
    pub sent: u32,
    /// How many acknowledgements or deliveries came for them.
    pub settled: u64,
}

/// All of them.
#[derive(Debug)]
pub struct Senders {
    senders: Vec<Sender>,
    limit: Limit,
    one_per_write: bool,
    /// How many settle one message.
    copies: u64,
    /// Those that may be able to send, each once.
    ready: VecDeque<usize>,
    is_ready: Vec<bool>,
    /// How many are sent on a schedule.
    scheduled: u64,
    total: u64,
}

impl Senders {
    /// These, none of which has sent. A message is settled by so many acknowledgements or
    /// deliveries.
    pub fn new(senders: Vec<Sender>, limit: Limit, one_per_write: bool, copies: u64) -> Self {
        let count = senders.len();
        let total = senders.iter().map(|sender| u64::from(sender.goal)).sum();
        Self {
            senders,
            limit,
            one_per_write,
            copies,
            ready: (0..count).collect(),
            is_ready: vec![true; count],
            scheduled: 0,
            total,
        }
    }

    /// Whether all that is to be settled is.
    pub fn all_settled(&self) -> bool {
        self.senders.iter().all(|one| one.settled >= u64::from(one.goal) * self.copies)
    }

    /// One more acknowledgement or delivery came for a publisher's messages.
    pub fn settle(&mut self, number: usize) {
        let Some(sender) = self.senders.get_mut(number) else { return };
        sender.settled += 1;
        if sender.sent < sender.goal {
            self.wake(number);
        }
    }

    /// A publisher's connection takes more.
    pub fn wake(&mut self, number: usize) {
        if self.is_ready.get(number) == Some(&false) {
            self.is_ready[number] = true;
            self.ready.push_back(number);
        }
    }

    /// Sends what may be sent; gives how long there is nothing more to send unless something
    /// comes, none: for as long as that takes.
    ///
    /// # Errors
    /// The kernel does not watch a socket.
    pub fn send(&mut self, pool: &mut Pool, begin: Instant) -> anyhow::Result<Option<Duration>> {
        if let Limit::PerSecond(rate) = self.limit {
            return self.send_due(pool, begin, rate);
        }
        for _ in 0..self.ready.len() {
            let Some(number) = self.ready.pop_front() else { break };
            self.is_ready[number] = false;
            if self.send_from(number, pool)? {
                self.wake(number);
            }
        }
        Ok((!self.ready.is_empty()).then_some(Duration::ZERO))
    }

    /// One publisher sends a batch; gives whether it can go on.
    fn send_from(&mut self, number: usize, pool: &mut Pool) -> anyhow::Result<bool> {
        let sender = &mut self.senders[number];
        if !pool.link(sender.link).is_drained() || pool.link(sender.link).closed.is_some() {
            return Ok(false);
        }
        let outstanding = u64::from(sender.sent).saturating_sub(sender.settled / self.copies);
        let window = match self.limit {
            Limit::Outstanding(window) => u64::from(window).saturating_sub(outstanding),
            _ => u64::MAX,
        };
        let packets = if self.one_per_write {
            LONE_PACKETS
        } else {
            BATCH.div_ceil(sender.template.packet_len())
        };
        let left = u64::from(sender.goal - sender.sent);
        let count = left.min(window).min(packets as u64);
        for _ in 0..count {
            put(sender, number, 0, pool);
            if self.one_per_write {
                pool.flush(sender.link)?;
            }
        }
        pool.flush(sender.link)?;
        Ok(count < left.min(window) && pool.link(sender.link).is_drained())
    }

    /// Sends all that is due, each publisher in its turn. Each message says when it was due,
    /// not when it was sent: who is late pays for it [coordinated omission].
    fn send_due(
        &mut self,
        pool: &mut Pool,
        begin: Instant,
        rate: f64,
    ) -> anyhow::Result<Option<Duration>> {
        let due = |message: u64| Duration::from_secs_f64(message as f64 / rate);
        let count = self.senders.len();
        loop {
            let late = begin.elapsed();
            let mut touched = Vec::new();
            while self.scheduled < self.total && due(self.scheduled) <= late {
                let number = (self.scheduled % count as u64) as usize;
                // No stamp has zero, which would mean that nobody asks.
                let nanos = due(self.scheduled).as_nanos() as u64 + 1;
                let sender = &mut self.senders[number];
                put(sender, number, nanos, pool);
                touched.push(sender.link);
                self.scheduled += 1;
            }
            if touched.is_empty() {
                let is_over = self.scheduled == self.total;
                return Ok((!is_over).then(|| due(self.scheduled).saturating_sub(late)));
            }
            for link in touched {
                pool.flush(link)?;
            }
        }
    }
}

fn put(sender: &mut Sender, number: usize, nanos: u64, pool: &mut Pool) {
    let stamp = Stamp { publisher: number as u32, number: sender.sent, nanos };
    sender.template.put(stamp, &mut pool.link(sender.link).out);
    sender.sent += 1;
}
