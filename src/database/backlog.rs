//! What PostgreSQL did not take, because it was away: in its order, in a file
//! of the data folder, so that neither a crash nor a restart loses it. It has a
//! bound; what comes beyond is refused to who wants it written.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// In the data folder: a JSON object per line.
pub const FILE: &str = "backlog.jsonl";

/// What the database refused for good, for a person to look at.
pub const REFUSED: &str = "backlog.refused.jsonl";

/// Which server's it is: the database has a mark for each.
pub const WRITER: &str = "backlog.writer";

/// How many bytes may wait: commands, their ends and events of some hundred
/// thousand.
const MOST: u64 = 64 * 1024 * 1024;

/// What else stands in a line, at the most.
const FRAME: usize = 200;

/// One statement with its rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Batch {
    /// By which the database knows whether it has it already: higher than that
    /// of every batch of this server before.
    pub(super) id: Uuid,
    pub(super) statement: String,
    pub(super) rows: String,
}

/// The file; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Backlog(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    writer: String,
    /// Held while something is brought to the disk.
    place: Mutex<Place>,
    /// How many bytes wait, for those who cannot wait for the disk.
    waiting: AtomicU64,
}

/// What is put aside, and why.
#[derive(Serialize)]
struct Aside<'a> {
    error: &'a str,
    #[serde(flatten)]
    batch: &'a Batch,
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
        let writer = writer(folder)?;
        let mut whole = 0;
        let mut line = Vec::new();
        let mut reader = BufReader::new(&mut file);
        while reader.read_until(b'\n', &mut line)? > 0 && line.ends_with(b"\n") {
            whole += line.len() as u64;
            line.clear();
        }
        file.set_len(whole)?;
        let place = Mutex::new(Place { file, end: whole, done: 0 });
        let (folder, waiting) = (folder.to_owned(), AtomicU64::new(whole));
        Ok(Self(Arc::new(Inner { folder, writer, place, waiting })))
    }

    /// Which server's it is.
    pub(super) fn writer(&self) -> &str {
        &self.0.writer
    }

    /// How many bytes wait.
    pub(super) fn waiting(&self) -> u64 {
        self.0.waiting.load(Ordering::SeqCst)
    }

    /// Adds a batch; on disk when this returns. Who gives this up has it in the
    /// file all the same, or not.
    pub(super) async fn push(&self, batch: &Batch) -> io::Result<()> {
        let mut line = serde_json::to_vec(batch)?;
        line.push(b'\n');
        self.blocking(move |inner| {
            let mut place = inner.place.lock();
            let end = place.end;
            if end + line.len() as u64 > MOST {
                return Err(full());
            }
            place.file.seek(SeekFrom::Start(end))?;
            let written = place.file.write_all(&line).and_then(|()| place.file.sync_data());
            if let Err(error) = written {
                // Half a line would hide the ones behind it.
                place.file.set_len(end)?;
                return Err(error);
            }
            place.end += line.len() as u64;
            inner.count(&place);
            Ok(())
        })
        .await
    }

    /// The next batch that the database does not have, which has all up to
    /// `mark`. A line that is none is put aside; and so is what is older than
    /// the mark, where that is of a batch that is not here: this is the file of
    /// a backup, and the database is newer.
    pub(super) async fn next(&self, mark: Uuid) -> io::Result<Option<Batch>> {
        self.blocking(move |inner| {
            let mut place = inner.place.lock();
            let mut older = Vec::new();
            let mut position = place.done;
            let found = loop {
                let Some((line, next)) = place.line(position)? else { break None };
                match serde_json::from_slice::<Batch>(&line) {
                    Ok(batch) if batch.id > mark => break Some(batch),
                    Ok(batch) if batch.id == mark => older.clear(),
                    Ok(_) => older.push(line),
                    Err(error) => {
                        tracing::error!(%error, "a line of {FILE} is torn: see {REFUSED}");
                        inner.put_aside(&line)?;
                    }
                }
                position = next;
            };
            if !older.is_empty() {
                tracing::error!(
                    batches = older.len(),
                    "the database is newer than {FILE}, which was restored: see {REFUSED}"
                );
                older.iter().try_for_each(|line| inner.put_aside(line))?;
            }
            place.done = position;
            inner.count(&place);
            Ok(found)
        })
        .await
    }

    /// The database has the next one now.
    pub(super) async fn advance(&self) -> io::Result<()> {
        self.blocking(|inner| {
            let mut place = inner.place.lock();
            let done = place.done;
            if let Some((_, next)) = place.line(done)? {
                place.done = next;
            }
            inner.count(&place);
            Ok(())
        })
        .await
    }

    /// Keeps what the database refused for good; on disk when this returns.
    pub(super) async fn put_aside(&self, batch: &Batch, error: &str) -> io::Result<()> {
        let mut line = serde_json::to_vec(&Aside { error, batch })?;
        line.push(b'\n');
        self.blocking(move |inner| inner.put_aside(&line)).await
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
            inner.count(&place);
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

impl Batch {
    /// That the file, where nothing waits, has room for it.
    pub(super) fn check(&self) -> io::Result<()> {
        // Each byte becomes two at the most: what it is made of is JSON already.
        let most = FRAME + 2 * (self.statement.len() + self.rows.len());
        if most as u64 > MOST { Err(full()) } else { Ok(()) }
    }
}

impl Inner {
    fn count(&self, place: &Place) {
        self.waiting.store(place.end - place.done, Ordering::SeqCst);
    }

    fn put_aside(&self, line: &[u8]) -> io::Result<()> {
        let mut options = OpenOptions::new();
        let file = options.append(true).create(true).mode(0o600).open(self.folder.join(REFUSED));
        let mut file = file?;
        file.write_all(line)?;
        file.sync_data()
    }
}

impl Place {
    /// The line that begins here, and where the one behind it does.
    fn line(&mut self, position: u64) -> io::Result<Option<(Vec<u8>, u64)>> {
        self.file.seek(SeekFrom::Start(position))?;
        let mut line = Vec::new();
        let rest = (&self.file).take(self.end - position);
        let read = BufReader::new(rest).read_until(b'\n', &mut line)?;
        Ok((read > 0).then_some((line, position + read as u64)))
    }
}

fn full() -> io::Error {
    let full = "the database is away, and as much waits for it as may";
    io::Error::new(io::ErrorKind::StorageFull, full)
}

/// The server's name for the database, made up where there is none.
fn writer(folder: &Path) -> io::Result<String> {
    let path = folder.join(WRITER);
    match std::fs::read_to_string(&path) {
        Ok(known) if !known.trim().is_empty() => return Ok(known.trim().to_owned()),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let made = Uuid::now_v7().to_string();
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(made.as_bytes())?;
    file.sync_all()?;
    File::open(folder)?.sync_all()?;
    Ok(made)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const NONE: Uuid = Uuid::nil();

    fn id(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    fn batch(number: u128) -> Batch {
        Batch { id: id(number), statement: "INSERT …\n".into(), rows: "[\"\\n\"]".into() }
    }

    #[tokio::test]
    async fn what_waits_is_there_in_its_order_after_a_crash_but_for_half_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let backlog = Backlog::open(folder.path()).unwrap();
        for number in [1, 2, 3] {
            backlog.push(&batch(number)).await.unwrap();
        }
        let writer = backlog.writer().to_owned();
        drop(backlog);
        let file = folder.path().join(FILE);
        let mut bytes = std::fs::read(&file).unwrap();
        bytes.extend(b"{\"id\":\"d\",");
        std::fs::write(&file, bytes).unwrap();
        let backlog = Backlog::open(folder.path()).unwrap();
        assert_eq!(backlog.writer(), writer);
        // The database has the first one, and its answer was lost.
        assert_eq!(backlog.next(id(1)).await.unwrap(), Some(batch(2)));
        assert!(!backlog.clear().await.unwrap());
        for number in [2, 3] {
            assert_eq!(backlog.next(NONE).await.unwrap(), Some(batch(number)));
            backlog.advance().await.unwrap();
        }
        assert_eq!((backlog.next(NONE).await.unwrap(), backlog.waiting()), (None, 0));
        backlog.push(&batch(5)).await.unwrap();
        assert_eq!(backlog.next(id(3)).await.unwrap(), Some(batch(5)));
        backlog.put_aside(&batch(5), "it is odd").await.unwrap();
        backlog.advance().await.unwrap();
        assert!(backlog.clear().await.unwrap());
        assert_eq!(std::fs::read(&file).unwrap(), b"");
        let aside = std::fs::read_to_string(folder.path().join(REFUSED)).unwrap();
        assert!(aside.contains("\"it is odd\"") && aside.contains(&id(5).to_string()), "{aside}");
    }

    #[tokio::test]
    async fn what_is_older_than_the_database_is_put_aside_and_never_comes_again() {
        let folder = tempfile::tempdir().unwrap();
        let backlog = Backlog::open(folder.path()).unwrap();
        for number in [1, 2, 8] {
            backlog.push(&batch(number)).await.unwrap();
        }
        assert_eq!(backlog.next(id(5)).await.unwrap(), Some(batch(8)));
        assert_eq!(backlog.next(id(8)).await.unwrap(), None);
        assert!(backlog.clear().await.unwrap());
        let aside = std::fs::read_to_string(folder.path().join(REFUSED)).unwrap();
        assert_eq!(aside.lines().count(), 2, "{aside}");
    }

    #[tokio::test]
    async fn one_more_than_may_wait_is_refused_and_leaves_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let backlog = Backlog::open(folder.path()).unwrap();
        let large = Batch { rows: "x".repeat(MOST as usize / 2 - 200), ..batch(1) };
        large.check().unwrap();
        backlog.push(&large).await.unwrap();
        backlog.push(&large).await.unwrap();
        let full = backlog.push(&large).await.unwrap_err();
        assert!(full.to_string().contains("is away"), "{full}");
        assert_eq!(Backlog::open(folder.path()).unwrap().waiting(), backlog.waiting());
        assert!(Batch { rows: "x".repeat(MOST as usize / 2), ..batch(1) }.check().is_err());
    }
}
