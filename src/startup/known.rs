//! Who is known, what each may, and the record of what they do.

use std::sync::Arc;

use anyhow::Context as _;

use super::ground::Ground;
use crate::config::Settings;
use crate::device_interface::link::Admission;
use crate::events::Events;
use crate::identity::devices::{DeviceCredentials, Pairing};
use crate::identity::failures::Failures;
use crate::identity::pins::Pins;
use crate::identity::{Directory, Passwords, Permissions};

pub(super) struct Known {
    pub(super) events: Events,
    pub(super) directory: Directory,
    pub(super) credentials: DeviceCredentials,
    pub(super) permissions: Permissions,
    pub(super) pins: Pins,
    pub(super) passwords: Passwords,
    pub(super) pairing: Pairing,
}

impl Known {
    pub(super) async fn open(ground: &Ground, settings: &Settings) -> anyhow::Result<Self> {
        let events = Events::open(&ground.database, &settings.events);
        let directory = Directory::open(&ground.database).await.context("read the accounts")?;
        let credentials = DeviceCredentials::open(&ground.database, &ground.keys).await?;
        let permissions = Permissions::new(directory.clone(), settings.devices.clone());
        let pins = Pins::open(&ground.database, &ground.keys).await?;
        let (passwords, pairing) = (Passwords::default(), Pairing::default());
        Ok(Self { events, directory, credentials, permissions, pins, passwords, pairing })
    }

    /// What the embedded broker has of it.
    pub(super) fn admission(
        &self,
        ground: &Ground,
        settings: &Settings,
    ) -> anyhow::Result<Admission> {
        Ok(Admission {
            credentials: self.credentials.clone(),
            pairing: self.pairing.clone(),
            state: ground.state.clone(),
            directory: self.directory.clone(),
            permissions: self.permissions.clone(),
            passwords: self.passwords.clone(),
            failures: Arc::new(Failures::default()),
            ledger: super::broker::ledger(&settings.mqtt)?,
            events: self.events.clone(),
        })
    }
}
