//! `latchlight plugin …`.

use std::io::BufRead as _;
use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand};
use latchlight::config::Settings;
use latchlight::console::{Console, ConsoleError};
use latchlight::plugin_host::{self, SignAs};
use latchlight::state::{self, ConfigFile};
use serde_json::Value;

use super::output::print;
use super::server::ServerArgs;

#[derive(Subcommand)]
pub(super) enum PluginCommand {
    /// Print the entry for `plugins.allow` in config.json that lets the
    /// server load these very bytes.
    Allow {
        /// The plugin: a dynamic library.
        file: PathBuf,
    },
    /// Show the plugins of the server that runs, and what became of each.
    /// Where none runs: which plugins config.json allows and which were
    /// installed, whether their files are still the ones, and which others lie
    /// in the folder; nothing is loaded then.
    List(ServerArgs),
    /// Make a key pair to sign plugins with: the secret key, and the public
    /// one beside it, ending in `.pub`. Print the line for `plugins.keys`.
    Keygen {
        /// Where the secret key goes.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        #[command(flatten)]
        password: PasswordArgs,
    },
    /// Sign a plugin, so that an owner can install it from afar. What of name
    /// and version is not said, the library is loaded and asked for.
    Sign {
        /// The plugin: a dynamic library. The signature goes beside it, ending
        /// in `.minisig`.
        file: PathBuf,
        /// The file with the secret key.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// The name that it has in its own code.
        #[arg(long)]
        name: Option<String>,
        /// The version that it has in its own code: three numbers.
        #[arg(long)]
        version: Option<String>,
        #[command(flatten)]
        password: PasswordArgs,
    },
    /// Check a signature, and print what was signed.
    Verify {
        /// The plugin: a dynamic library.
        file: PathBuf,
        /// The signature; without it, the file beside the plugin that ends in
        /// `.minisig`.
        #[arg(long, value_name = "FILE")]
        signature: Option<PathBuf>,
        /// The public key, or the file that has it.
        #[arg(long, value_name = "KEY")]
        public_key: String,
    },
    /// Install a signed plugin in the server that runs.
    Install {
        /// The plugin: a dynamic library.
        file: PathBuf,
        /// The signature; without it, the file beside the plugin that ends in
        /// `.minisig`.
        #[arg(long, value_name = "FILE")]
        signature: Option<PathBuf>,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Remove a plugin that was installed in the server that runs.
    Remove {
        /// Its name.
        name: String,
        #[command(flatten)]
        server: ServerArgs,
    },
}

/// Where the password of a secret key comes from; without any of these, it is
/// asked for at the terminal.
#[derive(Args)]
pub(super) struct PasswordArgs {
    /// The password is the first line of the standard input.
    #[arg(long, conflicts_with = "no_password")]
    password_stdin: bool,
    /// The secret key has no password: whoever reads the file can sign.
    #[arg(long)]
    no_password: bool,
}

pub(super) async fn run(command: PluginCommand) -> anyhow::Result<()> {
    match command {
        PluginCommand::Allow { file } => print(plugin_host::allow_line(&file)?)?,
        PluginCommand::List(server) => list(server).await?,
        PluginCommand::Keygen { key, password } => {
            let public = plugin_host::keygen(&key, password.read(true)?)?;
            print(format!("\"{public}\""))?;
        }
        PluginCommand::Sign { file, key, name, version, password } => {
            let password = password.read(false)?;
            let sign_as = SignAs { name, version };
            let (signature, what) = plugin_host::sign(&file, &key, password, sign_as)?;
            print(format!("{}: {what}", signature.display()))?;
        }
        PluginCommand::Verify { file, signature, public_key } => {
            let signature = signature.unwrap_or_else(|| beside(&file));
            print(plugin_host::verify(&file, &signature, &public_key)?)?;
        }
        PluginCommand::Install { file, signature, server } => {
            install(file, signature, server).await?;
        }
        PluginCommand::Remove { name, server } => {
            let console = server.connect().await?;
            let answer = console.delete(&format!("/api/v1/plugins/{}", segment(&name)?)).await?;
            server.show(&answer, || Ok(format!("{name} is removed")))?;
        }
    }
    Ok(())
}

async fn install(
    file: PathBuf,
    signature: Option<PathBuf>,
    server: ServerArgs,
) -> anyhow::Result<()> {
    let signature = signature.unwrap_or_else(|| beside(&file));
    let text = std::fs::read_to_string(&signature).with_context(|| {
        format!("read {}: `latchlight plugin sign` makes it", signature.display())
    })?;
    let library = std::fs::read(&file).with_context(|| format!("read {}", file.display()))?;
    let claimed = text.lines().find_map(|line| line.strip_prefix("trusted comment: "));
    let name =
        claimed.and_then(|claim| claim.split(' ').find_map(|word| word.strip_prefix("name=")));
    let name = name
        .with_context(|| format!("{} is not of `latchlight plugin sign`", signature.display()))?;
    let path = format!("/api/v1/plugins/{}", segment(name)?);
    let header = ("plugin-signature", STANDARD.encode(&text));
    let answer = server.connect().await?.upload(&path, header, library.into()).await?;
    server.show(&answer, || Ok(one_line(&answer, &["name", "version", "file"])))
}

async fn list(server: ServerArgs) -> anyhow::Result<()> {
    match Console::connect(&server.config).await {
        Ok(console) => {
            let answer = console.get("/api/v1/plugins").await?;
            server.show(&answer, || {
                let plugins = answer["plugins"].as_array().map(Vec::as_slice).unwrap_or_default();
                let line =
                    |plugin| one_line(plugin, &["file", "state", "name", "version", "error"]);
                let lines: Vec<_> = plugins.iter().map(line).collect();
                Ok(if lines.is_empty() { "no plugins".to_owned() } else { lines.join("\n") })
            })
        }
        Err(ConsoleError::NoServer { .. }) if !server.json => {
            let file = ConfigFile::new(&server.config);
            let sections = file.read()?;
            let settings = Settings::load(&sections.settings)?;
            let installed = state::installed_plugins(&sections.state).context("read the state")?;
            print(plugin_host::list(&settings.plugins, &installed, file.folder()))
        }
        Err(error) => Err(error.into()),
    }
}

/// What there is of these members, with two spaces between.
fn one_line(of: &Value, members: &[&str]) -> String {
    let said = members.iter().filter_map(|member| of[member].as_str());
    said.collect::<Vec<_>>().join("  ")
}

/// A name as a part of a path.
fn segment(name: &str) -> anyhow::Result<&str> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"_-".contains(&b);
    ensure!(
        !name.is_empty() && name.bytes().all(fits),
        "`{}` is not the name of a plugin",
        name.escape_debug()
    );
    Ok(name)
}

fn beside(file: &std::path::Path) -> PathBuf {
    let mut beside = file.as_os_str().to_owned();
    beside.push(".minisig");
    beside.into()
}

impl PasswordArgs {
    /// The password; asked for twice where it is a new one.
    fn read(&self, is_new: bool) -> anyhow::Result<Option<String>> {
        if self.no_password {
            return Ok(None);
        }
        let password = if self.password_stdin {
            let mut line = String::new();
            std::io::stdin().lock().read_line(&mut line).context("read the password")?;
            line.trim_end_matches(['\r', '\n']).to_owned()
        } else {
            let ask = |what| rpassword::prompt_password(what).context("ask for the password");
            let password = ask("Password of the key: ")?;
            ensure!(!is_new || password == ask("Once more: ")?, "these were two passwords");
            password
        };
        ensure!(
            !password.is_empty(),
            "the password is empty: --no-password makes a key without one"
        );
        Ok(Some(password))
    }
}
