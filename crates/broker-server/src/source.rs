//! Where the configuration comes from: a file, or the command line.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use latchlight_broker::TlsConfig;
use latchlight_broker::document::{self, DocumentError};
use latchlight_broker::ledger::{AuthRule, DefaultAccess, LedgerRules};

use crate::cli::ServeArgs;
use crate::config::{AccessConfig, Config, HttpConfig, ListenerConfig};
use crate::listeners;

/// What can be read again.
pub(crate) enum Source {
    /// The file of `--config`.
    File(PathBuf),
    /// The command line, which does not change; the ledger that it names may.
    Arguments(Box<Config>),
}

/// Everything that a start or a reload needs, read and found good.
pub(crate) struct Prepared {
    pub(crate) config: Config,
    pub(crate) rules: LedgerRules,
    /// The certificates of those listeners that have some, in their order.
    pub(crate) certificates: Vec<Option<TlsConfig>>,
}

impl Source {
    /// As the command line says.
    pub(crate) fn of(args: ServeArgs) -> anyhow::Result<Self> {
        if let Some(file) = args.config {
            return Ok(Self::File(file));
        }
        let config = Config {
            listeners: vec![ListenerConfig {
                address: Some(SocketAddr::new(args.bind, args.port)),
                // `--bind` is the loud word for it.
                exposed: true,
                ..ListenerConfig::default()
            }],
            access: AccessConfig { allow_anonymous: args.allow_anonymous, ledger: args.ledger },
            store: args.store,
            http: HttpConfig { listen: args.http, ..HttpConfig::default() },
            ..Config::default()
        };
        Ok(Self::Arguments(Box::new(config)))
    }

    /// Reads the configuration, and the ledger that it names.
    pub(crate) fn read(&self) -> anyhow::Result<Prepared> {
        let config = match self {
            Self::File(file) => {
                let folder = file.parent().unwrap_or(Path::new(""));
                document::read_and_check(file, |mut config: Config| {
                    config.place(folder);
                    config.check().map_err(DocumentError::mistake)?;
                    Ok(config)
                })?
            }
            Self::Arguments(config) => {
                config.check().map_err(|error| anyhow!(error))?;
                (**config).clone()
            }
        };
        let rules = match &config.access.ledger {
            Some(file) => LedgerRules::load(file).context("read the ledger")?,
            None => allow_all(),
        };
        let certificates = config.listeners.iter().enumerate().map(|(number, listener)| {
            listeners::read_tls(listener).with_context(|| format!("listeners[{number}]"))
        });
        let certificates = certificates.collect::<anyhow::Result<_>>()?;
        Ok(Prepared { config, rules, certificates })
    }
}

/// A ledger that lets everybody do everything, so that another one can take
/// its place while clients are connected.
fn allow_all() -> LedgerRules {
    let everybody = AuthRule { allow: true, ..AuthRule::default() };
    LedgerRules {
        default_access: DefaultAccess::Allow,
        auth: vec![everybody],
        ..LedgerRules::default()
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => file.display().fmt(f),
            Self::Arguments(_) => f.write_str("the command line"),
        }
    }
}

impl fmt::Display for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LedgerRules { users, auth, acl, .. } = &self.rules;
        write!(f, "listeners: {}; ", self.config.listeners.len())?;
        match &self.config.access.ledger {
            Some(file) => write!(
                f,
                "{}: users: {}, auth rules: {}, acl rules: {}",
                file.display(),
                users.len(),
                auth.len(),
                acl.len()
            ),
            None => f.write_str("everybody may do everything"),
        }
    }
}
