//! What PostgreSQL did not take, because it was away: in its order, in a file
//! of the data folder, so that neither a crash nor a restart loses it. It has a
//! bound; what comes beyond is refused to who wants it written.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// In the data folder: a JSON object per line.
pub const FILE: &str = "backlog.jsonl";

/// What the database refused for good, for a person to look at.
const REFUSED: &str = "backlog.refused.jsonl";

/// How many bytes may wait: commands, their ends and events of some hundred
/// thousand.
const MOST: u64 = 64 * 1024 * 1024;

/// One statement with its rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Batch {
    /// By which the database knows whether it has it already.
    pub(super) id: String,
    pub(super) statement: String,
    pub(super) rows: String,
}

/// The file; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Backlog(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    place: Mutex<Place>,
}

#[derive(Debug)]
struct Place {
    file: File,
    /// Up to where it is whole and on disk.
    end: u64,
    /// Up to where the database has it.
    done: u64,
}

impl Backlog {
    /// Opens the file. What a crash left half written was not acknowledged, and
    /// is cut off.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = options.open(folder.join(FILE))?;
        let mut whole = 0;
        let mut line = Vec::new();
        let mut reader = BufReader::new(&mut file);
        while reader.read_until(b'\n', &mut line)? > 0 && line.ends_with(b"\n") {
            whole += line.len() as u64;
            line.clear();
        }
        file.set_len(whole)?;
        let place = Mutex::new(Place { file, end: whole, done: 0 });
        Ok(Self(Arc::new(Inner { folder: folder.to_owned(), place })))
    }

    /// How many bytes wait.
    pub(super) fn waiting(&self) -> u64 {
        let place = self.0.place.lock();
        place.end - place.done
    }

    /// Adds a batch; on disk when this returns.
    pub(super) async fn push(&self, batch: &Batch) -> io::Result<()> {
        let mut line = serde_json::to_vec(batch)?;
        line.push(b'\n');
        self.blocking(move |inner| {
            let mut place = inner.place.lock();
            let end = place.end;
            if end + line.len() as u64 > MOST {
                let full = "the database is away, and as much waits for it as may";
                return Err(io::Error::new(io::ErrorKind::StorageFull, full));
            }
            place.file.seek(SeekFrom::Start(end))?;
            let written = place.file.write_all(&line).and_then(|()| place.file.sync_data());
            if let Err(error) = written {
                // Half a line would hide the ones behind it.
                place.file.set_len(end)?;
                return Err(error);
            }
            place.end += line.len() as u64;
            Ok(())
        })
        .await
    }

    /// The database has everything up to this batch, if that is in the file.
    pub(super) async fn skip(&self, last: String) -> io::Result<()> {
        self.blocking(move |inner| {
            let mut place = inner.place.lock();
            let mut position = place.done;
            while let Some((line, next)) = place.line(position)? {
                position = next;
                if serde_json::from_slice::<Batch>(&line).is_ok_and(|batch| batch.id == last) {
                    place.done = position;
                    break;
                }
            }
            Ok(())
        })
        .await
    }

    /// The next batch that the database does not have. A line that is none is
    /// put aside.
    pub(super) async fn next(&self) -> io::Result<Option<Batch>> {
        self.blocking(|inner| {
            let mut place = inner.place.lock();
            while let Some((line, next)) = place.next_line()? {
                match serde_json::from_slice(&line) {
                    Ok(batch) => return Ok(Some(batch)),
                    Err(error) => {
                        tracing::error!(%error, "a line of {FILE} is torn: see {REFUSED}");
                        inner.put_aside(&line)?;
                        place.done = next;
                    }
                }
            }
            Ok(None)
        })
        .await
    }

    /// The database has the next one now; with `refused`, it never will.
    pub(super) async fn advance(&self, refused: bool) -> io::Result<()> {
        self.blocking(move |inner| {
            let mut place = inner.place.lock();
            if let Some((line, next)) = place.next_line()? {
                if refused {
                    inner.put_aside(&line)?;
                }
                place.done = next;
            }
            Ok(())
        })
        .await
    }

    /// Empties the file, if the database has all of it.
    pub(super) async fn clear(&self) -> io::Result<bool> {
        self.blocking(|inner| {
            let mut place = inner.place.lock();
            if place.done < place.end {
                return Ok(false);
            }
            place.file.set_len(0)?;
            place.file.sync_data()?;
            (place.end, place.done) = (0, 0);
            Ok(true)
        })
        .await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let inner = self.0.clone();
        tokio::task::spawn_blocking(move || work(&inner)).await.map_err(io::Error::other)?
    }
}

impl Inner {
    fn put_aside(&self, line: &[u8]) -> io::Result<()> {
        let mut options = OpenOptions::new();
        let file = options.append(true).create(true).mode(0o600).open(self.folder.join(REFUSED));
        let mut file = file?;
        file.write_all(line)?;
        file.sync_data()
    }
}

impl Place {
    fn next_line(&mut self) -> io::Result<Option<(Vec<u8>, u64)>> {
        self.line(self.done)
    }

    /// The line that begins here, and where the one behind it does.
    fn line(&mut self, position: u64) -> io::Result<Option<(Vec<u8>, u64)>> {
        self.file.seek(SeekFrom::Start(position))?;
        let mut line = Vec::new();
        let rest = (&self.file).take(self.end - position);
        let read = BufReader::new(rest).read_until(b'\n', &mut line)?;
        Ok((read > 0).then_some((line, position + read as u64)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn batch(id: &str) -> Batch {
        Batch { id: id.into(), statement: "INSERT …\n".into(), rows: "[\"\\n\"]".into() }
    }

    #[tokio::test]
    async fn what_waits_is_there_in_its_order_after_a_crash_but_for_half_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let backlog = Backlog::open(folder.path()).unwrap();
        for id in ["a", "b", "c"] {
            backlog.push(&batch(id)).await.unwrap();
        }
        drop(backlog);
        let file = folder.path().join(FILE);
        let mut bytes = std::fs::read(&file).unwrap();
        bytes.extend(b"{\"id\":\"d\",");
        std::fs::write(&file, bytes).unwrap();
        let backlog = Backlog::open(folder.path()).unwrap();
        backlog.skip("a".to_owned()).await.unwrap();
        backlog.skip("unknown".to_owned()).await.unwrap();
        assert!(!backlog.clear().await.unwrap());
        for id in ["b", "c"] {
            assert_eq!(backlog.next().await.unwrap(), Some(batch(id)));
            backlog.advance(false).await.unwrap();
        }
        assert_eq!((backlog.next().await.unwrap(), backlog.waiting()), (None, 0));
        backlog.push(&batch("e")).await.unwrap();
        assert_eq!(backlog.next().await.unwrap(), Some(batch("e")));
        backlog.advance(true).await.unwrap();
        assert!(backlog.clear().await.unwrap());
        assert_eq!(std::fs::read(&file).unwrap(), b"");
        assert!(std::fs::read_to_string(folder.path().join(REFUSED)).unwrap().contains("\"e\""));
    }

    #[tokio::test]
    async fn one_more_than_may_wait_is_refused_and_leaves_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let backlog = Backlog::open(folder.path()).unwrap();
        let large = Batch { rows: "x".repeat(MOST as usize / 2 - 100), ..batch("a") };
        backlog.push(&large).await.unwrap();
        backlog.push(&large).await.unwrap();
        let full = backlog.push(&large).await.unwrap_err();
        assert!(full.to_string().contains("is away"), "{full}");
        assert_eq!(Backlog::open(folder.path()).unwrap().waiting(), backlog.waiting());
    }
}
