//! A store on a disk of the test's own: what was committed stays when the
//! power goes, all else is lost.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use latchlight_broker::{Change, Store, StoreError};

/// Clones share the disk.
#[derive(Clone, Default)]
pub struct Disk {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    entries: BTreeMap<Vec<u8>, Vec<u8>>,
    mode: Mode,
    commits: usize,
    /// A commit waits just now.
    is_waiting: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Mode {
    #[default]
    Works,
    /// Commits wait.
    Hangs,
    /// Commits fail.
    Fails,
    /// What was there is gone.
    Lost,
}

impl Disk {
    /// Commits wait from now on.
    pub fn hang(&self) {
        self.set(Mode::Hangs);
    }

    /// Commits fail from now on, as on a full disk.
    pub fn fail(&self) {
        self.set(Mode::Fails);
    }

    /// Another disk is in its place, with something else on it.
    pub fn lose(&self) {
        let mut state = self.shared.state.lock().unwrap();
        state.entries = BTreeMap::from([(b"somebody".to_vec(), b"else's".to_vec())]);
        state.mode = Mode::Lost;
    }

    pub fn entries(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        self.shared.state.lock().unwrap().entries.clone()
    }

    pub fn work(&self) {
        self.set(Mode::Works);
    }

    fn set(&self, mode: Mode) {
        self.shared.state.lock().unwrap().mode = mode;
        self.shared.changed.notify_all();
    }

    /// The power goes: gives the disk as the next start finds it. What the
    /// broker does after this moment reaches no disk.
    pub fn cut(&self) -> Self {
        self.fail();
        let next = Self::default();
        next.shared.state.lock().unwrap().entries =
            self.shared.state.lock().unwrap().entries.clone();
        next
    }

    /// The disk as a start finds it that comes this much later: everything on
    /// it was written that much earlier.
    pub fn after(&self, passed: Duration) -> Self {
        let next = self.cut();
        let mut state = next.shared.state.lock().unwrap();
        for (key, value) in &mut state.entries {
            // Where the moment stands, in Unix milliseconds, by the key's kind.
            let at = match key[8] {
                1 => 8,
                3 if value.len() > 3 => 3,
                5 => 9,
                6 => 0,
                _ => continue,
            };
            let moment = u64::from_be_bytes(value[at..at + 8].try_into().unwrap());
            if moment > 0 {
                let earlier = moment - u64::try_from(passed.as_millis()).unwrap();
                value[at..at + 8].copy_from_slice(&earlier.to_be_bytes());
            }
        }
        drop(state);
        next
    }

    /// Whether something of this topic is on it.
    pub fn mentions(&self, topic: &str) -> bool {
        let state = self.shared.state.lock().unwrap();
        let has = |bytes: &[u8]| bytes.windows(topic.len()).any(|part| part == topic.as_bytes());
        state.entries.iter().any(|(key, value)| has(key) || has(value))
    }

    pub fn len(&self) -> usize {
        self.shared.state.lock().unwrap().entries.len()
    }

    /// Whether a commit has begun, and the disk hangs.
    pub fn is_waiting(&self) -> bool {
        self.shared.state.lock().unwrap().is_waiting
    }

    pub fn commits(&self) -> usize {
        self.shared.state.lock().unwrap().commits
    }
}

impl Store for Disk {
    fn restore(&mut self, each: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StoreError> {
        let state = self.shared.state.lock().unwrap();
        state.entries.iter().for_each(|(key, value)| each(key, value));
        Ok(())
    }

    fn commit(&mut self, changes: &mut dyn Iterator<Item = Change<'_>>) -> Result<(), StoreError> {
        let state = self.shared.state.lock().unwrap();
        let hangs = |state: &mut State| {
            state.is_waiting = state.mode == Mode::Hangs;
            state.is_waiting
        };
        let mut state = self.shared.changed.wait_while(state, hangs).unwrap();
        if state.mode == Mode::Fails {
            return Err(StoreError::new("no space left on device"));
        }
        if state.mode == Mode::Lost {
            return Err(StoreError::lost("it is another one"));
        }
        state.commits += 1;
        for change in changes {
            match change {
                Change::DeletePrefix(prefix) => {
                    state.entries.retain(|key, _| !key.starts_with(prefix));
                }
                Change::Put(key, value) => drop(state.entries.insert(key.into(), value.into())),
                Change::Delete(key) => drop(state.entries.remove(key)),
            }
        }
        Ok(())
    }

    fn begin_anew(&mut self) -> Result<(), StoreError> {
        let mut state = self.shared.state.lock().unwrap();
        state.entries.clear();
        if state.mode == Mode::Lost {
            state.mode = Mode::Works;
        }
        Ok(())
    }
}
