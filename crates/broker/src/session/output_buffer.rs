//! Bytes on their way to a socket.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;

use crate::store::Recorder;

/// From this size on, the tail becomes a segment and a new one begins.
const TAIL_SIZE: usize = 128 * 1024;
/// What a new buffer has room for: some small messages, without growing.
const FIRST_SIZE: usize = 512;
/// Buffers up to this size are kept for the next batch of the same thread.
const POOLED_SIZE: usize = 256 * 1024;
/// How many of them a thread keeps.
const POOLED: usize = 16;

thread_local! {
    static POOL: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
    #[allow(clippy::vec_box, reason = "they go in and out as they are")]
    static WAITING: RefCell<Vec<Box<Waiting>>> = const { RefCell::new(Vec::new()) };
}

/// Small frames are copied one behind the other, large payloads are shared;
/// an empty buffer holds no memory.
#[derive(Debug, Default)]
pub(crate) struct OutputBuffer {
    len: usize,
    /// There while something waits.
    waiting: Option<Box<Waiting>>,
}

/// The bytes that wait.
#[derive(Debug, Default)]
struct Waiting {
    /// Finished segments, in order.
    segments: VecDeque<Segment>,
    /// The segment that is being appended to; it comes last.
    tail: Vec<u8>,
    /// How much of the first segment (or of the tail) was written.
    written: usize,
    /// What waits for the store; there while something does.
    barriers: Option<Box<Barriers>>,
}

/// From where on the bytes wait for which commit.
#[derive(Debug)]
struct Barriers {
    recorder: Arc<Recorder>,
    /// How many bytes come before each, counted from the first that waits.
    at: VecDeque<(usize, u64)>,
}

#[derive(Debug)]
enum Segment {
    Copied(Vec<u8>),
    Shared(Bytes),
}

impl Segment {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Copied(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }
}

impl OutputBuffer {
    /// How many bytes wait.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn waiting(&mut self) -> &mut Waiting {
        self.waiting.get_or_insert_with(Waiting::another)
    }

    fn barriers(&self) -> Option<&Barriers> {
        self.waiting.as_ref()?.barriers.as_deref()
    }

    /// What is appended from here on is not written before this commit; true:
    /// somebody has to write it then.
    pub(crate) fn wait_for(&mut self, recorder: &Arc<Recorder>, commit: u64) -> bool {
        if recorder.committed() >= commit {
            return false;
        }
        let len = self.len;
        let make = || Box::new(Barriers { recorder: recorder.clone(), at: VecDeque::new() });
        let barriers = self.waiting().barriers.get_or_insert_with(make);
        if barriers.at.back().is_some_and(|(_, last)| *last >= commit) {
            return false;
        }
        barriers.at.push_back((len, commit));
        true
    }

    /// Whether something may be written.
    pub(crate) fn has_ready(&self) -> bool {
        let Some(barriers) = self.barriers() else { return self.len > 0 };
        let committed = barriers.recorder.committed();
        let next = barriers.at.iter().find(|(_, commit)| *commit > committed);
        next.map_or(self.len, |(at, _)| *at) > 0
    }

    /// Appends what `write` writes, which must only append.
    pub(crate) fn append<T>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        let waiting = self.waiting();
        if waiting.tail.capacity() == 0 {
            let pooled = POOL.with(|pool| pool.borrow_mut().pop());
            waiting.tail = pooled.unwrap_or_else(|| Vec::with_capacity(FIRST_SIZE));
        } else if waiting.tail.len() >= TAIL_SIZE {
            // A reader that is always a little behind never empties the tail:
            // what it has taken is given back segment by segment.
            waiting.finish_tail();
        }
        let before = waiting.tail.len();
        let result = write(&mut waiting.tail);
        let appended = waiting.tail.len() - before;
        self.len += appended;
        result
    }

    /// Appends bytes that others share.
    pub(crate) fn append_shared(&mut self, bytes: Bytes) {
        self.len += bytes.len();
        let waiting = self.waiting();
        waiting.finish_tail();
        waiting.segments.push_back(Segment::Shared(bytes));
    }

    /// Writes as much of what is ready as `write` takes; gives how much that
    /// was.
    ///
    /// # Errors
    /// What `write` says.
    pub(crate) fn write_to(
        &mut self,
        write: impl FnOnce(&[IoSlice<'_>]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let Some(waiting) = &mut self.waiting else { return Ok(0) };
        let left = waiting.ready(self.len);
        let written = waiting.write_to(left, write)?;
        self.len -= written;
        waiting.advance(written);
        if self.len == 0
            && waiting.barriers.is_none()
            && let Some(waiting) = self.waiting.take()
        {
            waiting.let_go();
        }
        Ok(written)
    }

    /// Everything as one piece, for tests that look at it.
    #[cfg(test)]
    pub(crate) fn take(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        while !self.is_empty() {
            let written = self.write_to(|slices| {
                for slice in slices {
                    all.extend_from_slice(slice);
                }
                Ok(slices.iter().map(|slice| slice.len()).sum())
            });
            written.expect("writing to memory");
        }
        all
    }
}

impl Waiting {
    /// Once a batch: apart, so that it stands in nobody's way.
    #[cold]
    #[inline(never)]
    fn another() -> Box<Self> {
        WAITING.with(|pool| pool.borrow_mut().pop()).unwrap_or_default()
    }

    /// How many of so many bytes may be written.
    fn ready(&mut self, all: usize) -> usize {
        let Some(barriers) = &mut self.barriers else { return all };
        let committed = barriers.recorder.committed();
        while barriers.at.front().is_some_and(|(_, commit)| *commit <= committed) {
            barriers.at.pop_front();
        }
        match barriers.at.front() {
            Some((at, _)) => *at,
            None => {
                self.barriers = None;
                all
            }
        }
    }

    fn finish_tail(&mut self) {
        let tail = std::mem::take(&mut self.tail);
        if !tail.is_empty() {
            self.segments.push_back(Segment::Copied(tail));
        }
    }

    fn write_to(
        &self,
        mut left: usize,
        write: impl FnOnce(&[IoSlice<'_>]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        const MOST: usize = 64;
        let mut slices = SmallVec::<[IoSlice<'_>; MOST]>::new();
        let mut skip = self.written;
        let all = self.segments.iter().map(Segment::bytes).chain([self.tail.as_slice()]);
        for bytes in all.take(MOST) {
            let bytes = &bytes[std::mem::take(&mut skip)..];
            let bytes = &bytes[..bytes.len().min(left)];
            left -= bytes.len();
            slices.push(IoSlice::new(bytes));
            if left == 0 {
                break;
            }
        }
        write(&slices)
    }

    fn advance(&mut self, written: usize) {
        self.written += written;
        if let Some(barriers) = &mut self.barriers {
            barriers.at.iter_mut().for_each(|(at, _)| *at -= written);
        }
        while let Some(first) = self.segments.front() {
            let len = first.bytes().len();
            if self.written < len {
                return;
            }
            self.written -= len;
            if let Some(Segment::Copied(buffer)) = self.segments.pop_front() {
                give_back(buffer);
            }
        }
        if self.segments.capacity() > 0 {
            self.segments = VecDeque::new();
        }
    }

    /// Nothing waits any more.
    fn let_go(mut self: Box<Self>) {
        self.written = 0;
        self.tail.clear();
        if self.tail.capacity() > POOLED_SIZE {
            self.tail = Vec::new();
        }
        WAITING.with(|pool| {
            let mut pool = pool.borrow_mut();
            if pool.len() < POOLED {
                pool.push(self);
            }
        });
    }
}

fn give_back(mut buffer: Vec<u8>) {
    if buffer.capacity() == 0 || buffer.capacity() > POOLED_SIZE {
        return;
    }
    buffer.clear();
    POOL.with(|pool| {
        let mut pool = pool.borrow_mut();
        if pool.len() < POOLED {
            pool.push(buffer);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partial_writes_go_on_where_they_stopped() {
        let mut buffer = OutputBuffer::default();
        buffer.append(|out| out.extend_from_slice(b"one"));
        buffer.append_shared(Bytes::from_static(b"TWO"));
        buffer.append(|out| out.extend_from_slice(b"three"));
        assert_eq!(buffer.len(), 11);
        let mut all = Vec::new();
        while !buffer.is_empty() {
            let written = buffer.write_to(|slices| {
                let first = slices.iter().find(|slice| !slice.is_empty()).expect("some bytes");
                all.extend_from_slice(&first[..first.len().min(2)]);
                Ok(first.len().min(2))
            });
            assert!(written.expect("write") > 0);
        }
        assert_eq!(all, b"oneTWOthree");
    }

    #[test]
    fn a_reader_that_is_always_behind_does_not_pile_up_what_it_has_taken() {
        let mut buffer = OutputBuffer::default();
        let held = |buffer: &OutputBuffer| {
            let waiting = buffer.waiting.as_ref().expect("bytes");
            let segments = waiting.segments.iter().map(|segment| segment.bytes().len());
            segments.sum::<usize>() + waiting.tail.capacity()
        };
        buffer.append(|out| out.extend_from_slice(&[7; 100]));
        for _ in 0..100_000 {
            buffer.append(|out| out.extend_from_slice(&[7; 100]));
            let written = buffer.write_to(|_| Ok(100));
            assert_eq!(written.expect("write"), 100);
        }
        assert_eq!(buffer.len(), 100);
        assert!(held(&buffer) < 1024 * 1024, "{}", held(&buffer));
    }

    #[test]
    fn an_empty_buffer_holds_no_memory() {
        let mut buffer = OutputBuffer::default();
        buffer.append(|out| out.extend_from_slice(&[7; 1000]));
        buffer.append_shared(Bytes::from_static(b"x"));
        assert_eq!(buffer.take().len(), 1001);
        assert!(buffer.waiting.is_none());
    }
}
