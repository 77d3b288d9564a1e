//! A library that comes in pieces, over MQTT: from its announcement to its
//! place in the plugin folder, and to its start.

use std::sync::Arc;
use std::time::Duration;

use super::install_error::InstallError;
use super::manager::Inner;
use super::remote::{INSTALL, Installed, parse_name};
use super::restored::read_checked;
use super::saved_file;
use super::signed::Signed;
use super::transfers::{Announced, Progress, Taken};
use crate::config::{PluginName, Sha256Hex};
use crate::identity::Principal;

/// How long a transfer may take, until its library is loaded; then what came
/// of it is thrown away.
const LONGEST: Duration = Duration::from_secs(600);

impl Inner {
    /// Takes notice of a library that is to come in pieces.
    pub(super) async fn begin_transfer(
        self: &Arc<Self>,
        principal: &Principal,
        announced: Announced,
    ) -> Result<Progress, InstallError> {
        let name = announced.name.clone();
        let result = self.open_transfer(principal, announced).await;
        self.refusal(principal, INSTALL, name.as_str(), result.as_ref().err());
        result
    }

    async fn open_transfer(
        self: &Arc<Self>,
        principal: &Principal,
        announced: Announced,
    ) -> Result<Progress, InstallError> {
        self.permit(principal)?;
        let most = self.parts.settings.max_bytes;
        if announced.size > most {
            return Err(InstallError::TooLarge(most));
        }
        if announced.size == 0 {
            return Err(InstallError::Unfit("a library has some bytes".to_owned()));
        }
        let claim = Signed::read(&announced.signature)?.claim;
        claim.check(&announced.name)?;
        self.check_place(&announced.name, claim.version, &announced.sha256)?;
        let opened = self.transfers.lock().open(&principal.who, announced)?;
        if let Some(left) = opened.left {
            self.remove_if_unnamed(&left).await;
        }
        if let Some(number) = opened.number {
            let host = Arc::downgrade(self);
            self.runtime.spawn(async move {
                tokio::time::sleep(LONGEST).await;
                let Some(host) = host.upgrade() else { return };
                let left = host.transfers.lock().close(number);
                if let Some(left) = left {
                    host.remove_if_unnamed(&left).await;
                }
            });
        }
        Ok(opened.progress)
    }

    /// Takes a piece. The last one has the whole checked, and saved in the
    /// plugin folder.
    pub(super) async fn take_piece(
        self: &Arc<Self>,
        principal: &Principal,
        sha256: &Sha256Hex,
        offset: usize,
        piece: &[u8],
    ) -> Result<Progress, InstallError> {
        self.permit(principal)?;
        let taken = self.transfers.lock().take(&principal.who, sha256, offset, piece);
        match taken? {
            Taken::More(progress) => Ok(progress),
            Taken::Whole { number, announced, bytes } => {
                let (host, whole) = (self.clone(), announced.clone());
                let saved = async move { host.save_whole(number, &whole, bytes).await };
                let result = self.finish(saved).await;
                let (name, error) = (announced.name.as_str(), result.as_ref().err());
                self.refusal(principal, INSTALL, name, error);
                result?;
                let Announced { name, size, .. } = &*announced;
                Ok(Progress { name: name.clone(), next: *size, size: *size })
            }
        }
    }

    async fn save_whole(
        self: &Arc<Self>,
        number: u64,
        announced: &Announced,
        bytes: Vec<u8>,
    ) -> Result<(), InstallError> {
        let Announced { name, sha256, signature, .. } = announced;
        let saved = async {
            let checked = self.check(name.clone(), bytes.into(), signature.clone()).await;
            // A wrong checksum says more than a signature of other bytes.
            let checked = checked.map_err(|error| match error {
                InstallError::Untrusted(why) => InstallError::Untrusted(format!(
                    "{why}; its SHA-256 should be {}",
                    sha256.as_str()
                )),
                error => error,
            })?;
            if checked.sha256 != *sha256 {
                let found = checked.sha256.as_str();
                return Err(InstallError::Unfit(format!(
                    "its SHA-256 is {found}, and another one was announced"
                )));
            }
            self.check_place(name, checked.claim.version, sha256)?;
            saved_file::save(&self.folder, &announced.file(), checked.bytes).await
        };
        let result = saved.await;
        let mut left = None;
        match &result {
            Ok(()) if !self.transfers.lock().saved(number) => left = Some(announced.file()),
            Ok(()) => {}
            Err(_) => left = self.transfers.lock().close(number),
        }
        if let Some(left) = left {
            self.remove_if_unnamed(&left).await;
        }
        result
    }

    /// Loads what this identity has sent.
    pub(super) async fn load_transferred(
        self: &Arc<Self>,
        principal: &Principal,
        name: &str,
    ) -> Result<Installed, InstallError> {
        let result = self.load_saved(principal, name).await;
        self.refusal(principal, INSTALL, name, result.as_ref().err());
        result
    }

    async fn load_saved(
        self: &Arc<Self>,
        principal: &Principal,
        name: &str,
    ) -> Result<Installed, InstallError> {
        self.permit(principal)?;
        let name: PluginName = parse_name(name)?;
        let taken = self.transfers.lock().take_saved(&principal.who, &name);
        let Some(announced) = taken else {
            // It was said before.
            let running = self.running(name.as_str()).filter(|plugin| plugin.installed);
            return running.map(|plugin| Installed::of(&plugin, None)).ok_or_else(|| {
                let why = format!("no {name} has come: send it with `install_plugin` first");
                InstallError::Unknown(why)
            });
        };
        let (host, by) = (self.clone(), principal.clone());
        self.finish(async move {
            let file = announced.file();
            let loaded = async {
                let bytes = read_checked(&host.folder, &file, &announced.sha256)?;
                let Announced { name, signature, .. } = &*announced;
                let checked = host.check(name.clone(), bytes, signature.clone()).await?;
                host.install(&by, checked).await
            };
            let loaded = loaded.await;
            if loaded.is_err() {
                host.remove_if_unnamed(&file).await;
            }
            loaded
        })
        .await
    }

    /// Removes a file that no installed plugin has.
    async fn remove_if_unnamed(&self, file: &str) {
        if !self.is_named(file) {
            saved_file::remove(&self.folder, file).await;
        }
    }
}
