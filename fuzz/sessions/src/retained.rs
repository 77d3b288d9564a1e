//! What may be retained, as far as the clients can know.

use std::collections::BTreeMap;

use crate::op::TOPICS;

/// For each topic, what may be kept of it.
#[derive(Debug)]
pub(crate) struct Kept {
    topics: BTreeMap<usize, Vec<Candidate>>,
    /// What may be on disk.
    disk: BTreeMap<usize, Vec<Candidate>>,
    /// Counts what was sent.
    sequence: u64,
}

/// What a message leaves behind.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Candidate {
    /// Its number; nothing: of none.
    by: Option<u32>,
    /// What is kept then: nothing after an empty payload.
    no: Option<u32>,
    sender: Option<usize>,
    /// When it was sent first, and last.
    sent: u64,
    last: u64,
    /// Since when it is known to have been taken.
    known: Option<u64>,
}

const NONE: Candidate =
    Candidate { by: None, no: None, sender: None, sent: 0, last: 0, known: Some(0) };

impl Kept {
    pub(crate) fn new() -> Self {
        let none: BTreeMap<_, _> = (0..TOPICS.len()).map(|topic| (topic, vec![NONE])).collect();
        Self { topics: none.clone(), disk: none, sequence: 0 }
    }

    /// It was sent, perhaps again.
    pub(crate) fn sent(&mut self, topic: usize, by: u32, clears: bool, sender: usize) {
        self.sequence += 1;
        let no = (!clears).then_some(by);
        let (by, sender, sent) = (Some(by), Some(sender), self.sequence);
        self.at(topic).push(Candidate { by, no, sender, sent, last: sent, known: None });
    }

    /// It was sent again, and is taken now if it was not before.
    pub(crate) fn sent_again(&mut self, topic: usize, by: u32, clears: bool, sender: usize) {
        self.sequence += 1;
        let last = self.sequence;
        let (by, no) = (Some(by), (!clears).then_some(by));
        let all = self.at(topic);
        match all.iter_mut().find(|candidate| candidate.by == by) {
            Some(known) => known.last = last,
            None => {
                all.push(Candidate { by, no, sender: Some(sender), sent: 0, last, known: None })
            }
        }
    }

    /// It was taken: what was known before it was sent is gone.
    pub(crate) fn taken(&mut self, topic: usize, by: u32, on_disk: bool) {
        self.sequence += 1;
        let now = self.sequence;
        let all = self.topics.entry(topic).or_default();
        let this = all.iter_mut().rev().find(|candidate| candidate.by == Some(by));
        let Some(this) = this else { return };
        this.known.get_or_insert(now);
        let this = *this;
        all.retain(|other| {
            let is_older = other.known.is_some_and(|known| known < this.sent)
                || (other.sender == this.sender && other.last < this.sent);
            !is_older
        });
        let all = all.clone();
        let disk = self.disk.entry(topic).or_default();
        if on_disk {
            *disk = all;
        } else {
            join(disk, &all);
        }
    }

    /// The broker was told to forget what is kept.
    pub(crate) fn forgotten(&mut self, topic: usize) {
        self.sequence += 1;
        let known = Some(self.sequence);
        let all = self.at(topic);
        all.retain(|candidate| candidate.known.is_none());
        all.push(Candidate { known, ..NONE });
        let all = all.clone();
        join(self.disk.entry(topic).or_default(), &all);
    }

    /// The power went.
    pub(crate) fn crash(&mut self, has_store: bool) {
        for (topic, all) in &mut self.topics {
            match has_store {
                true => join(all, &self.disk[topic]),
                false => *all = vec![NONE],
            }
        }
        self.disk = self.topics.clone();
    }

    /// What may be kept of a topic; nothing: that none is.
    pub(crate) fn candidates(&self, topic: usize) -> impl Iterator<Item = Option<u32>> {
        self.topics[&topic].iter().map(|candidate| candidate.no)
    }

    fn at(&mut self, topic: usize) -> &mut Vec<Candidate> {
        self.topics.entry(topic).or_default()
    }
}

/// Each once: a script may have many crashes.
fn join(all: &mut Vec<Candidate>, more: &[Candidate]) {
    for candidate in more {
        if !all.contains(candidate) {
            all.push(*candidate);
        }
    }
}
