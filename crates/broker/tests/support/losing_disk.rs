//! A disk that loses what was not synced, below SQLite itself: what is written
//! stays in memory until it is synced, and a power cut leaves of the rest what
//! chance leaves, sector by sector and in any order. The files below a folder
//! are such a disk; what is on it stands in the real files.
#![allow(unreachable_pub, clippy::unwrap_used)]

use std::collections::HashMap;
use std::io::{Error, ErrorKind};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use sqlite_vfs::{
    DatabaseHandle, LockKind, OpenAccess, OpenKind, OpenOptions, Vfs, WalDisabled, register,
};

/// What a disk writes whole or not at all.
const SECTOR: usize = 512;

/// All disks, by their folders.
static DISKS: Mutex<Vec<(PathBuf, Arc<Mutex<Disk>>)>> = Mutex::new(Vec::new());

/// A folder's files; gone when it is dropped.
pub struct LosingDisk {
    folder: tempfile::TempDir,
}

/// What becomes of what was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsynced {
    /// All of it is lost.
    Lost,
    /// Chance, seeded with this, says which sectors made it.
    Torn(u64),
}

#[derive(Default)]
struct Disk {
    files: HashMap<PathBuf, File>,
    /// Writes and syncs so far.
    steps: usize,
    /// At which the power goes.
    cut_at: Option<(usize, Unsynced)>,
    /// How often it was cut: files that were opened before are dead.
    cuts: usize,
    is_full: bool,
}

#[derive(Default)]
struct File {
    /// As the programs see it.
    content: Vec<u8>,
    /// What was done since the last sync.
    unsynced: Vec<Change>,
}

enum Change {
    Write(u64, Vec<u8>),
    SetLen(u64),
}

impl LosingDisk {
    pub fn new() -> Self {
        static REGISTERED: OnceLock<()> = OnceLock::new();
        REGISTERED.get_or_init(|| register("losing", LosingVfs, true).unwrap());
        let folder = tempfile::tempdir().unwrap();
        DISKS.lock().unwrap().push((folder.path().to_owned(), Arc::default()));
        Self { folder }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The power goes.
    pub fn cut(&self, unsynced: Unsynced) {
        disk_of(self.folder()).lock().unwrap().cut(unsynced);
    }

    /// The power will go at this write or sync from now on.
    pub fn cut_at(&self, step: usize, unsynced: Unsynced) {
        let disk = disk_of(self.folder());
        let mut disk = disk.lock().unwrap();
        disk.cut_at = Some((disk.steps + step, unsynced));
    }

    /// How many writes and syncs there were.
    pub fn steps(&self) -> usize {
        disk_of(self.folder()).lock().unwrap().steps
    }

    /// No file gets longer from now on, or may again.
    pub fn fill(&self, is_full: bool) {
        disk_of(self.folder()).lock().unwrap().is_full = is_full;
    }
}

impl Drop for LosingDisk {
    fn drop(&mut self) {
        DISKS.lock().unwrap().retain(|(folder, _)| folder != self.folder.path());
    }
}

fn disk_of(path: &Path) -> Arc<Mutex<Disk>> {
    let disks = DISKS.lock().unwrap();
    let found = disks.iter().find(|(folder, _)| path.starts_with(folder));
    found.map(|(_, disk)| disk.clone()).unwrap_or_default()
}

impl Disk {
    /// One more step; an error where it is not made any more.
    fn step(&mut self, cuts: usize) -> Result<(), Error> {
        self.is_alive(cuts)?;
        self.steps += 1;
        if let Some((_, unsynced)) = self.cut_at.take_if(|(at, _)| *at <= self.steps) {
            self.cut(unsynced);
        }
        self.is_alive(cuts)
    }

    fn is_alive(&self, cuts: usize) -> Result<(), Error> {
        if self.cuts == cuts { Ok(()) } else { Err(Error::other("the power is gone")) }
    }

    fn cut(&mut self, unsynced: Unsynced) {
        self.cuts += 1;
        self.cut_at = None;
        for (path, file) in self.files.drain() {
            if let Unsynced::Torn(seed) = unsynced {
                file.reach(&path, Some(Chance(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)));
            }
        }
    }
}

impl File {
    /// Brings to the real file what was not synced: all, or what chance says.
    fn reach(&self, path: &Path, mut chance: Option<Chance>) {
        let all = chance.is_none();
        let mut makes_it = || chance.as_mut().is_none_or(Chance::next);
        // It may have been taken away.
        let Ok(file) = std::fs::OpenOptions::new().write(true).open(path) else { return };
        for change in &self.unsynced {
            match change {
                Change::SetLen(len) if makes_it() => file.set_len(*len).unwrap(),
                Change::SetLen(_) => {}
                Change::Write(offset, bytes) if all => file.write_all_at(bytes, *offset).unwrap(),
                Change::Write(offset, bytes) => {
                    for (number, sector) in bytes.chunks(SECTOR).enumerate() {
                        let at = offset + (number * SECTOR) as u64;
                        if makes_it() {
                            file.write_all_at(sector, at).unwrap();
                        }
                    }
                }
            }
        }
    }
}

/// Xorshift: which sectors make it.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> bool {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 & 0x100 == 0
    }
}

struct LosingVfs;

/// A file that was opened.
struct Handle {
    disk: Arc<Mutex<Disk>>,
    path: PathBuf,
    /// How often the disk had been cut.
    cuts: usize,
    lock: LockKind,
}

impl Vfs for LosingVfs {
    type Handle = Handle;

    fn open(&self, db: &str, opts: OpenOptions) -> Result<Handle, Error> {
        let path = PathBuf::from(db);
        let disk = disk_of(&path);
        let mut locked = disk.lock().unwrap();
        if !matches!(opts.kind, OpenKind::MainDb | OpenKind::Wal | OpenKind::MainJournal) {
            return Err(Error::other("it is not to need files beside"));
        }
        let create = matches!(opts.access, OpenAccess::Create | OpenAccess::CreateNew);
        std::fs::OpenOptions::new().write(true).create(create).truncate(false).open(&path)?;
        if !locked.files.contains_key(&path) {
            let content = std::fs::read(&path)?;
            locked.files.insert(path.clone(), File { content, unsynced: Vec::new() });
        }
        let cuts = locked.cuts;
        drop(locked);
        Ok(Handle { disk, path, cuts, lock: LockKind::None })
    }

    fn delete(&self, db: &str) -> Result<(), Error> {
        let disk = disk_of(Path::new(db));
        disk.lock().unwrap().files.remove(Path::new(db));
        std::fs::remove_file(db)
    }

    fn exists(&self, db: &str) -> Result<bool, Error> {
        // An empty log is none.
        Ok(std::fs::metadata(db).is_ok_and(|file| file.len() > 0 || !db.ends_with("-wal")))
    }

    fn temporary_name(&self) -> String {
        String::new()
    }

    fn random(&self, buffer: &mut [i8]) {
        let mut state = std::hash::RandomState::new();
        for byte in buffer {
            *byte = std::hash::BuildHasher::hash_one(&state, 0).to_le_bytes()[0] as i8;
            state = std::hash::RandomState::new();
        }
    }

    fn sleep(&self, duration: Duration) -> Duration {
        std::thread::sleep(duration);
        duration
    }
}

impl Handle {
    fn with<T>(&self, then: impl FnOnce(&mut Disk, &Path) -> Result<T, Error>) -> Result<T, Error> {
        let mut disk = self.disk.lock().unwrap();
        disk.is_alive(self.cuts)?;
        then(&mut disk, &self.path)
    }

    fn change(&self, change: Change) -> Result<(), Error> {
        self.with(|disk, path| {
            disk.step(self.cuts)?;
            let is_full = disk.is_full;
            let file = disk.files.get_mut(path).ok_or(ErrorKind::NotFound)?;
            match &change {
                Change::SetLen(len) => file.content.resize(*len as usize, 0),
                Change::Write(offset, bytes) => {
                    let (begin, end) = (*offset as usize, *offset as usize + bytes.len());
                    if end > file.content.len() {
                        if is_full {
                            // What SQLite is to take for a full disk.
                            return Err(ErrorKind::WriteZero.into());
                        }
                        file.content.resize(end, 0);
                    }
                    file.content[begin..end].copy_from_slice(bytes);
                }
            }
            file.unsynced.push(change);
            Ok(())
        })
    }
}

impl DatabaseHandle for Handle {
    type WalIndex = WalDisabled;

    fn size(&self) -> Result<u64, Error> {
        self.with(|disk, path| Ok(disk.files.get(path).map_or(0, |file| file.content.len() as u64)))
    }

    fn read_exact_at(&mut self, buf: &mut [u8], offset: u64) -> Result<(), Error> {
        self.with(|disk, path| {
            let file = disk.files.get(path).ok_or(ErrorKind::NotFound)?;
            let there = file.content.get(offset as usize..).unwrap_or_default();
            let length = there.len().min(buf.len());
            buf[..length].copy_from_slice(&there[..length]);
            // SQLite counts on zeros beyond the end.
            buf[length..].fill(0);
            if length < buf.len() { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
        })
    }

    fn write_all_at(&mut self, buf: &[u8], offset: u64) -> Result<(), Error> {
        self.change(Change::Write(offset, buf.to_vec()))
    }

    fn sync(&mut self, _data_only: bool) -> Result<(), Error> {
        self.with(|disk, path| {
            disk.step(self.cuts)?;
            let file = disk.files.get_mut(path).ok_or(ErrorKind::NotFound)?;
            file.reach(path, None);
            file.unsynced.clear();
            Ok(())
        })
    }

    fn set_len(&mut self, size: u64) -> Result<(), Error> {
        self.change(Change::SetLen(size))
    }

    fn lock(&mut self, lock: LockKind) -> Result<bool, Error> {
        // One process at a time has a disk here.
        self.lock = lock;
        Ok(true)
    }

    fn reserved(&mut self) -> Result<bool, Error> {
        Ok(false)
    }

    fn current_lock(&self) -> Result<LockKind, Error> {
        Ok(self.lock)
    }

    fn wal_index(&self, _readonly: bool) -> Result<WalDisabled, Error> {
        Ok(WalDisabled)
    }
}
