//! `latchlight plugin …`.

use std::path::PathBuf;

use clap::Subcommand;
use latchlight::config::Settings;
use latchlight::plugin_host;
use latchlight::state::ConfigFile;

#[derive(Subcommand)]
pub(super) enum PluginCommand {
    /// Print the entry for `plugins.allow` in config.json that lets the
    /// server load these very bytes.
    Allow {
        /// The plugin: a dynamic library.
        file: PathBuf,
    },
    /// Show which plugins config.json allows, whether their files are the
    /// ones that it allows, and which others lie in the folder. Nothing is
    /// loaded; of a running server, `GET /api/v1/plugins` tells more.
    List {
        /// The configuration.
        #[arg(long, value_name = "FILE", default_value = "config.json")]
        config: PathBuf,
    },
}

pub(super) fn run(command: PluginCommand) -> anyhow::Result<()> {
    match command {
        PluginCommand::Allow { file } => {
            println!("{}", plugin_host::allow_line(&file)?);
        }
        PluginCommand::List { config } => {
            let file = ConfigFile::new(config);
            let settings = Settings::load(&file.read()?.settings)?;
            println!("{}", plugin_host::list(&settings.plugins, file.folder()));
        }
    }
    Ok(())
}
