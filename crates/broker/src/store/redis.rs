//! A store in Redis: a hash for each session, and one for what is of none.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

use redis::{Client, Connection, Pipeline, RedisError, Value};
use rustls::crypto::{CryptoProvider, ring};

use super::redis_durability::Durability;
use super::{Change, Store, StoreError};

/// How long Redis may take to answer, or to be reached.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many entries are read at once.
const PAGE: usize = 1000;

/// How many first bytes of a key name its hash.
const NUMBER: usize = 8;

/// Where the next page begins, and what is on this one.
type Page = (u64, Vec<(Vec<u8>, Vec<u8>)>);

/// Keeps everything in a Redis server, under names that begin with a prefix.
///
/// With `appendonly yes` and `appendfsync always`, a commit is on disk when
/// it returns; with less, the log names what that store is weaker in. A
/// connection that is lost is made anew by the next commit. Of several brokers
/// with the same prefix, the one that came last writes, and the others cannot.
pub struct RedisStore {
    client: Client,
    connection: Option<Connection>,
    names: Names,
    /// Tells this broker apart.
    token: String,
    /// How many commits were made by it.
    commits: u64,
    /// What is there goes with the next commit.
    begins_anew: bool,
    durability: Durability,
}

/// The names of its keys; the braces keep them together in a cluster.
#[derive(Debug)]
struct Names {
    prefix: String,
    /// Whose it is, and how many commits that one has made.
    owner: String,
    /// The set of all hashes, by their number.
    numbers: String,
}

impl RedisStore {
    /// Connects to `redis://[user:password@]host[:port][/database]`, to
    /// `rediss://…`, which is the same over TLS, or to `redis+unix:///path`, and
    /// takes what is there under the prefix. Over TLS, the server's certificate
    /// must be of its host and signed by an authority of the system, or of the
    /// file that `SSL_CERT_FILE` names; where the process has no cryptography of
    /// rustls of its own yet, it has that of ring from then on.
    ///
    /// # Errors
    /// The URL is none, or the server cannot be reached or used.
    pub fn connect(url: &str, prefix: &str) -> Result<Self, StoreError> {
        // The client takes the process's cryptography, and some there must be.
        if url.starts_with("rediss:") && CryptoProvider::get_default().is_none() {
            let _ = ring::default_provider().install_default();
        }
        let client = Client::open(url).map_err(said)?;
        let names = Names {
            prefix: format!("{{{prefix}}}"),
            owner: format!("{{{prefix}}}:owner"),
            numbers: format!("{{{prefix}}}:numbers"),
        };
        let random = RandomState::new().build_hasher().finish();
        let token = format!("{}-{random:x}", std::process::id());
        let mut store = Self {
            client,
            connection: None,
            names,
            token,
            commits: 0,
            begins_anew: false,
            durability: Durability::default(),
        };
        let taken = store.stamp(0);
        let (owner, connection) = (store.names.owner.clone(), store.reach()?);
        redis::cmd("SET").arg(owner).arg(taken).exec(connection).map_err(said)?;
        Ok(store)
    }

    /// The connection, made anew where there is none.
    fn reach(&mut self) -> Result<&mut Connection, StoreError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                let mut new = self.client.get_connection_with_timeout(PATIENCE).map_err(said)?;
                new.set_read_timeout(Some(PATIENCE)).map_err(said)?;
                new.set_write_timeout(Some(PATIENCE)).map_err(said)?;
                // It may have been started anew with other settings.
                self.durability.ask(&mut new).map_err(said)?;
                new
            }
        };
        Ok(self.connection.insert(connection))
    }

    /// What stands in the owner's key after so many commits.
    fn stamp(&self, commits: u64) -> String {
        format!("{} {commits}", self.token)
    }

    /// How many commits Redis has of this broker, which are watched from now
    /// on. An answer that was lost may have been that of one more.
    fn watch(&mut self) -> Result<u64, StoreError> {
        let owner = self.names.owner.clone();
        let mut ask = redis::pipe();
        ask.cmd("WATCH").arg(&owner).ignore().cmd("GET").arg(&owner);
        let (found,): (Option<String>,) = self.query(&ask)?;
        let Some(found) = found else {
            return Err(StoreError::lost("Redis has lost what it had"));
        };
        let known = found.split_once(' ').filter(|(token, _)| *token == self.token);
        match known.and_then(|(_, commits)| commits.parse::<u64>().ok()) {
            None => Err(StoreError::new("another broker has taken the store over")),
            Some(commits) if commits < self.commits => {
                Err(StoreError::lost("Redis has lost the last commits"))
            }
            Some(commits) => Ok(commits),
        }
    }

    /// Makes these changes together, if nobody has taken the store over since
    /// it was watched.
    fn execute(&mut self, mut changes: Pipeline, commits: u64) -> Result<(), StoreError> {
        changes.cmd("SET").arg(&self.names.owner).arg(self.stamp(commits)).ignore();
        let done: Option<Value> = self.query(&changes)?;
        if done.is_none() {
            return Err(StoreError::new("another broker takes the store over"));
        }
        self.commits = commits;
        self.begins_anew = false;
        Ok(())
    }

    /// Whatever is there goes.
    fn clear(&mut self, changes: &mut Pipeline) -> Result<(), StoreError> {
        for number in self.numbers()? {
            changes.cmd("DEL").arg(self.names.hash(&number)).ignore();
        }
        changes.cmd("DEL").arg(&self.names.numbers).ignore();
        Ok(())
    }

    /// The numbers of all hashes.
    fn numbers(&mut self) -> Result<BTreeSet<Vec<u8>>, StoreError> {
        let mut ask = redis::pipe();
        ask.cmd("SMEMBERS").arg(&self.names.numbers);
        let (numbers,) = self.query(&ask)?;
        Ok(numbers)
    }

    fn query<T: redis::FromRedisValue>(&mut self, commands: &Pipeline) -> Result<T, StoreError> {
        let answer = commands.query(self.reach()?);
        answer.map_err(|error| {
            // Whatever is left of an answer must not be taken for the next.
            self.connection = None;
            said(error)
        })
    }
}

impl Names {
    /// The hash that a key is in, and its field there.
    fn place<'a>(&self, key: &'a [u8]) -> (String, &'a [u8]) {
        let (number, field) = key.split_at(NUMBER.min(key.len()));
        (self.hash(number), field)
    }

    fn hash(&self, number: &[u8]) -> String {
        let mut name = format!("{}:", self.prefix);
        for byte in number {
            name.push_str(&format!("{byte:02x}"));
        }
        name
    }
}

impl Store for RedisStore {
    fn restore(&mut self, each: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StoreError> {
        for number in self.numbers()? {
            let hash = self.names.hash(&number);
            // A page may have again what another had.
            let mut entries: HashMap<Vec<u8>, Vec<u8>> = HashMap::new();
            let mut cursor = 0_u64;
            loop {
                let mut page = redis::pipe();
                page.cmd("HSCAN").arg(&hash).arg(cursor).arg("COUNT").arg(PAGE);
                let ((next, found),): (Page,) = self.query(&page)?;
                entries.extend(found);
                cursor = next;
                if cursor == 0 {
                    break;
                }
            }
            for (field, value) in entries {
                each(&[&number[..], &field].concat(), &value);
            }
        }
        Ok(())
    }

    fn commit(&mut self, changes: &mut dyn Iterator<Item = Change<'_>>) -> Result<(), StoreError> {
        let commits = match self.watch() {
            Err(error) if error.is_lost() && self.begins_anew => 0,
            watched => watched?,
        };
        let mut all = redis::pipe();
        all.atomic();
        if self.begins_anew {
            self.clear(&mut all)?;
        }
        let mut numbers = BTreeSet::new();
        for change in changes {
            match change {
                Change::DeletePrefix(prefix) => {
                    all.cmd("DEL").arg(self.names.hash(prefix)).ignore();
                    all.cmd("SREM").arg(&self.names.numbers).arg(prefix).ignore();
                }
                Change::Put(key, value) => {
                    let (hash, field) = self.names.place(key);
                    all.cmd("HSET").arg(hash).arg(field).arg(value).ignore();
                    numbers.insert(&key[..NUMBER.min(key.len())]);
                }
                Change::Delete(key) => {
                    let (hash, field) = self.names.place(key);
                    all.cmd("HDEL").arg(hash).arg(field).ignore();
                }
            }
        }
        for number in numbers {
            all.cmd("SADD").arg(&self.names.numbers).arg(number).ignore();
        }
        self.execute(all, commits + 1)
    }

    fn begin_anew(&mut self) -> Result<(), StoreError> {
        // Not before it has everything: until then, what is left is better
        // than nothing.
        self.begins_anew = true;
        Ok(())
    }
}

/// The first of what may be as many errors as there are changes.
fn said(error: RedisError) -> StoreError {
    let errors = error.clone().into_server_errors();
    match errors.as_deref().and_then(<[_]>::first) {
        Some((_, first)) => StoreError::new(first.to_string()),
        None => StoreError::new(error),
    }
}
