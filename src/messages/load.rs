//! How much waits for the broker, and how much may.

use std::sync::Arc;

use parking_lot::Mutex;

/// What waits, within its bounds; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Load(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    most: usize,
    most_bytes: usize,
    now: Mutex<Now>,
}

#[derive(Debug, Default)]
struct Now {
    messages: usize,
    bytes: usize,
}

/// A message's place, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    load: Load,
    bytes: usize,
}

impl Load {
    pub(super) fn new(most: usize, most_bytes: usize) -> Self {
        Self(Arc::new(Inner { most, most_bytes, now: Mutex::default() }))
    }

    /// A place for so many bytes; nothing where there is none left.
    pub(super) fn place(&self, bytes: usize) -> Option<Place> {
        let mut now = self.0.now.lock();
        if now.messages >= self.0.most || now.bytes + bytes > self.0.most_bytes {
            return None;
        }
        Some(self.take(&mut now, bytes))
    }

    /// The same for what was accepted before, whatever the bounds are now.
    pub(super) fn place_beyond(&self, bytes: usize) -> Place {
        self.take(&mut self.0.now.lock(), bytes)
    }

    fn take(&self, now: &mut Now, bytes: usize) -> Place {
        now.messages += 1;
        now.bytes += bytes;
        Place { load: self.clone(), bytes }
    }

    pub(super) fn messages(&self) -> usize {
        self.0.now.lock().messages
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut now = self.load.0.now.lock();
        now.messages -= 1;
        now.bytes -= self.bytes;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::Load;

    #[test]
    fn there_are_as_many_places_as_were_said() {
        let load = Load::new(2, 100);
        let first = load.place(60).unwrap();
        assert!(load.place(41).is_none(), "too many bytes");
        let second = load.place(40).unwrap();
        assert!(load.place(0).is_none(), "too many messages");
        drop((first, second));
        assert_eq!(load.messages(), 0);
        assert!(load.place(100).is_some());
    }
}
