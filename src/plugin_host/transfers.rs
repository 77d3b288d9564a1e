//! The transfers that are open: each is bound to whoever began it and bounded
//! in bytes; there are few at once.

use std::sync::Arc;

use super::install_error::InstallError;
use super::signed::file_name;
use crate::config::{PluginName, Sha256Hex};
use crate::identity::Who;

/// How many transfers may be open at once; who comes later is told that the
/// server is busy. Each identity has one.
const MOST: usize = 4;

/// What is said of a library before its pieces come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Announced {
    pub(super) name: PluginName,
    pub(super) sha256: Sha256Hex,
    pub(super) size: usize,
    pub(super) signature: String,
}

/// How far a transfer came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Progress {
    pub(super) name: PluginName,
    /// Where the next piece begins.
    pub(super) next: usize,
    pub(super) size: usize,
}

/// The transfers that are open.
#[derive(Default)]
pub(super) struct Transfers {
    open: Vec<Transfer>,
    last: u64,
}

struct Transfer {
    number: u64,
    by: Who,
    announced: Arc<Announced>,
    received: Vec<u8>,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Pieces come.
    Receiving,
    /// All have come, and are being checked.
    Checking,
    /// It lies in the plugin folder.
    Saved,
}

/// What a piece came to.
pub(super) enum Taken {
    /// More are to come, or this one had come before.
    More(Progress),
    /// It was the last: these are the library's bytes.
    Whole { number: u64, announced: Arc<Announced>, bytes: Vec<u8> },
}

impl Announced {
    /// The name that its file will have.
    pub(super) fn file(&self) -> String {
        file_name(self.name.as_str(), self.sha256.as_str())
    }
}

impl Transfer {
    fn progress(&self) -> Progress {
        let Announced { name, size, .. } = &*self.announced;
        let next = if self.stage == Stage::Receiving { self.received.len() } else { *size };
        Progress { name: name.clone(), next, size: *size }
    }

    fn take(&mut self, offset: usize, piece: &[u8]) -> Result<Taken, InstallError> {
        let unfit = |why: String| Err(InstallError::Unfit(why));
        let (came, size) = (self.received.len(), self.announced.size);
        let end = offset.saturating_add(piece.len());
        match self.stage {
            Stage::Receiving if piece.is_empty() => return unfit("the piece is empty".to_owned()),
            Stage::Receiving if end <= came && self.received[offset..end] == *piece => {}
            Stage::Receiving if offset < came => {
                return unfit(format!("other bytes came at {offset}: the next begin at {came}"));
            }
            Stage::Receiving if offset > came => {
                return unfit(format!("a piece is missing: the next begins at {came}"));
            }
            Stage::Receiving if end > size => {
                return unfit(format!("these are more than the {size} bytes that were announced"));
            }
            Stage::Receiving => self.received.extend_from_slice(piece),
            // It has come before.
            Stage::Checking | Stage::Saved if end <= size => {}
            Stage::Checking | Stage::Saved => {
                return unfit(format!("these are more than the {size} bytes that were announced"));
            }
        }
        if self.stage == Stage::Receiving && self.received.len() == size {
            self.stage = Stage::Checking;
            let bytes = std::mem::take(&mut self.received);
            return Ok(Taken::Whole {
                number: self.number,
                announced: self.announced.clone(),
                bytes,
            });
        }
        Ok(Taken::More(self.progress()))
    }
}

impl Transfers {
    /// Opens a transfer, or finds the one that was opened with these words.
    pub(super) fn open(&mut self, by: &Who, announced: Announced) -> Result<Opened, InstallError> {
        let mut left = None;
        if let Some(at) = self.open.iter().position(|transfer| is_same(&transfer.by, by)) {
            if *self.open[at].announced == announced {
                let progress = self.open[at].progress();
                return Ok(Opened { progress, number: None, left });
            }
            left = self.close_at(at);
        }
        if self.open.len() >= MOST {
            return Err(InstallError::Busy(format!(
                "{MOST} plugins are being sent at this moment"
            )));
        }
        self.last += 1;
        let transfer = Transfer {
            number: self.last,
            by: by.clone(),
            announced: Arc::new(announced),
            received: Vec::new(),
            stage: Stage::Receiving,
        };
        let progress = transfer.progress();
        self.open.push(transfer);
        Ok(Opened { progress, number: Some(self.last), left })
    }

    /// Takes a piece of what this identity sends.
    pub(super) fn take(
        &mut self,
        by: &Who,
        sha256: &Sha256Hex,
        offset: usize,
        piece: &[u8],
    ) -> Result<Taken, InstallError> {
        let is_it = |t: &&mut Transfer| is_same(&t.by, by) && t.announced.sha256 == *sha256;
        let transfer = self.open.iter_mut().find(is_it);
        let transfer = transfer.ok_or_else(|| {
            let why = "no such library was announced, or too long ago: begin anew";
            InstallError::Unknown(why.to_owned())
        })?;
        transfer.take(offset, piece)
    }

    /// Its library lies in the folder; false where it was closed meanwhile.
    pub(super) fn saved(&mut self, number: u64) -> bool {
        let transfer = self.open.iter_mut().find(|transfer| transfer.number == number);
        transfer.map(|transfer| transfer.stage = Stage::Saved).is_some()
    }

    /// Closes a transfer; gives the file that it leaves behind.
    pub(super) fn close(&mut self, number: u64) -> Option<String> {
        let at = self.open.iter().position(|transfer| transfer.number == number)?;
        self.close_at(at)
    }

    fn close_at(&mut self, at: usize) -> Option<String> {
        let closed = self.open.swap_remove(at);
        let file = closed.announced.file();
        let is_left = closed.stage == Stage::Saved
            && !self.open.iter().any(|transfer| transfer.announced.file() == file);
        is_left.then_some(file)
    }

    /// Takes out what this identity has saved of this plugin.
    pub(super) fn take_saved(&mut self, by: &Who, name: &PluginName) -> Option<Arc<Announced>> {
        let at = self.open.iter().position(|transfer| {
            is_same(&transfer.by, by)
                && transfer.announced.name == *name
                && transfer.stage == Stage::Saved
        })?;
        Some(self.open.swap_remove(at).announced)
    }
}

/// A transfer that was opened, or that was open.
pub(super) struct Opened {
    pub(super) progress: Progress,
    /// The number of a new one.
    pub(super) number: Option<u64>,
    /// The file that another one of the same identity leaves behind.
    pub(super) left: Option<String>,
}

/// Whether this is the same person, program or device, let in once or twice.
fn is_same(one: &Who, other: &Who) -> bool {
    match (one, other) {
        (Who::Account { id: one, .. }, Who::Account { id: other, .. }) => one == other,
        _ => one == other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(name: &str) -> Who {
        Who::Plugin(name.into())
    }

    fn announced(name: &str, size: usize) -> Announced {
        Announced {
            name: name.parse().expect("a name"),
            sha256: Sha256Hex::of(name.as_bytes()),
            size,
            signature: String::new(),
        }
    }

    fn open(transfers: &mut Transfers, by: &str, size: usize) -> Result<Opened, InstallError> {
        transfers.open(&who(by), announced("x", size))
    }

    fn take(transfers: &mut Transfers, by: &str, offset: usize, piece: &[u8]) -> String {
        match transfers.take(&who(by), &announced("x", 0).sha256, offset, piece) {
            Ok(Taken::More(Progress { next, .. })) => next.to_string(),
            Ok(Taken::Whole { bytes, .. }) => String::from_utf8(bytes).expect("text"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn pieces_come_in_their_order_and_one_that_comes_twice_does_no_harm() {
        let mut transfers = Transfers::default();
        open(&mut transfers, "a", 6).expect("opened");
        assert_eq!(take(&mut transfers, "a", 0, b"abc"), "3");
        assert_eq!(take(&mut transfers, "a", 0, b"abc"), "3");
        assert_eq!(take(&mut transfers, "a", 1, b"b"), "3");
        assert!(take(&mut transfers, "a", 0, b"abx").contains("other bytes came at 0"));
        assert!(take(&mut transfers, "a", 2, b"cd").contains("other bytes came at 2"));
        assert!(take(&mut transfers, "a", 4, b"ef").contains("the next begins at 3"));
        assert!(take(&mut transfers, "a", usize::MAX, b"ef").contains("the next begins at 3"));
        assert!(take(&mut transfers, "a", 3, b"").contains("empty"));
        assert!(take(&mut transfers, "a", 3, b"defg").contains("more than the 6 bytes"));
        assert_eq!(take(&mut transfers, "a", 3, b"def"), "abcdef");
        assert_eq!(take(&mut transfers, "a", 3, b"def"), "6");
    }

    #[test]
    fn a_transfer_is_whose_it_is_and_goes_when_its_time_is_over() {
        let mut transfers = Transfers::default();
        let number = open(&mut transfers, "a", 6).expect("opened").number.expect("a new one");
        assert!(take(&mut transfers, "b", 0, b"abc").contains("begin anew"));
        assert_eq!(take(&mut transfers, "a", 0, b"abc"), "3");
        // Said again, it is the same; announced otherwise, it begins anew.
        assert_eq!(open(&mut transfers, "a", 6).expect("opened").progress.next, 3);
        let anew = open(&mut transfers, "a", 7).expect("opened");
        assert_eq!((anew.progress.next, transfers.open.len()), (0, 1));
        assert_eq!(transfers.close(number), None);
        assert_eq!(transfers.open.len(), 1);
        transfers.close(anew.number.expect("a new one"));
        assert!(take(&mut transfers, "a", 0, b"abc").contains("begin anew"));
    }

    #[test]
    fn there_are_few_at_once() {
        let mut transfers = Transfers::default();
        for by in ["a", "b", "c", "d"] {
            open(&mut transfers, by, 1).expect("opened");
        }
        assert!(matches!(open(&mut transfers, "e", 1), Err(InstallError::Busy(_))));
        open(&mut transfers, "d", 2).expect("in the place of its own");
    }
}
