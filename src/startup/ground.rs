//! What everything else stands on: the folders, the roster and the database,
//! which no other server may have.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::waiting;
use crate::config::Settings;
use crate::database::{self, Database};
use crate::key_folder::KeyFolder;
use crate::open_files::OpenFiles;
use crate::sole_use::SoleUse;
use crate::state::{ConfigFile, State};

pub(super) struct Ground {
    /// The folder of config.json: files that the settings name are looked for
    /// there.
    pub(super) beside: PathBuf,
    pub(super) data: PathBuf,
    pub(super) files: OpenFiles,
    pub(super) state: State,
    pub(super) database: Database,
    pub(super) keys: KeyFolder,
    pub(super) sole_use: [SoleUse; 2],
}

impl Ground {
    /// Takes hold of config.json and of the data folder, and opens what is
    /// there. The settings' paths and limits become what they are here.
    pub(super) async fn open(settings: &mut Settings, file: ConfigFile) -> anyhow::Result<Self> {
        let beside = file.folder().to_owned();
        settings.mqtt.place_files(&beside);
        settings.tls.place_files(&beside);
        settings.oidc.place_files(&beside);
        let files = OpenFiles::ask();
        let of_apps = &mut settings.http.max_connections;
        *of_apps = files.for_apps().clamp(1, *of_apps);
        let of_config = SoleUse::of(file.path())?;
        let data = data_folder(&settings.data, &beside)?;
        let of_data = SoleUse::of(&data.join(database::FILE))?;
        let state = State::open(file).context("restore the state")?;
        let database = waiting::database(settings, &data).await?;
        let keys = KeyFolder::open(&data).context("open the folder of keys")?;
        Ok(Self { beside, data, files, state, database, keys, sole_use: [of_config, of_data] })
    }
}

/// The data folder, made for its owner alone where there is none: all that is in
/// it is the house's.
fn data_folder(data: &Path, beside: &Path) -> anyhow::Result<PathBuf> {
    let folder = beside.join(data);
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder)
        .with_context(|| format!("make the data folder {}", folder.display()))?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_data_folder_is_its_owners_alone_and_one_that_is_there_stays_as_it_is() {
        let beside = tempfile::tempdir().unwrap();
        let mode = |folder: &Path| folder.metadata().unwrap().permissions().mode() & 0o777;
        let made = data_folder(Path::new("a/data"), beside.path()).unwrap();
        assert_eq!(mode(&made), 0o700);
        std::fs::set_permissions(&made, Permissions::from_mode(0o750)).unwrap();
        assert_eq!(mode(&data_folder(Path::new("a/data"), beside.path()).unwrap()), 0o750);
    }
}
