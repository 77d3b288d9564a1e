//! `latchlight tls …`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use latchlight::config::Settings;
use latchlight::state::{ConfigFile, DeviceId};
use latchlight::tls::{Authority, Certificates, LeafCertificate, Signed, check_names, host_names};
use serde_json::{Value, json};

use super::output::print;

#[derive(Subcommand)]
pub(super) enum TlsCommand {
    /// Make an authority for this house's own network, and a certificate of
    /// the server's that it has signed. Nothing that is there is overwritten.
    Init {
        #[command(flatten)]
        folder: FolderArgs,
        /// A name or an address by which the server is called, beside this
        /// machine's own; may be repeated.
        #[arg(long, value_name = "HOST")]
        name: Vec<String>,
    },
    /// Sign another certificate for the server, in the place of the one that
    /// there is; a server that runs goes by it within seconds.
    Renew {
        #[command(flatten)]
        folder: FolderArgs,
        /// The names and addresses that it is for; without any, those of the
        /// one that there is. May be repeated.
        #[arg(long, value_name = "HOST")]
        name: Vec<String>,
    },
    /// Sign a certificate by which a device signs in over MQTT, without a
    /// password. The server has to know the device (`latchlight device add`)
    /// all the same.
    Device {
        /// The device's id.
        id: DeviceId,
        #[command(flatten)]
        folder: FolderArgs,
    },
    /// Take a device's certificate back: handshakes with it fail within
    /// seconds, and another one can be made. To end its session at once,
    /// revoke its credentials at the server, too.
    Revoke {
        /// The device's id.
        id: DeviceId,
        #[command(flatten)]
        folder: FolderArgs,
    },
    /// Show what is set, for which names the certificate is, and until when.
    Show {
        /// The configuration.
        #[arg(long, value_name = "FILE", default_value = "config.json")]
        config: PathBuf,
    },
}

#[derive(Args)]
pub(super) struct FolderArgs {
    /// The configuration, beside which the folder `tls` is.
    #[arg(long, value_name = "FILE", default_value = "config.json")]
    config: PathBuf,
    /// Another folder.
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

pub(super) fn run(command: TlsCommand) -> anyhow::Result<()> {
    match command {
        TlsCommand::Init { folder, name } => init(&folder, name),
        TlsCommand::Renew { folder, name } => {
            let signed = folder.authority()?.renew_server(&name)?;
            print(described(&signed.certificate)?)
        }
        TlsCommand::Device { id, folder } => {
            let authority = folder.authority()?;
            let Signed { certificate, key } = authority.sign_device(&id)?;
            print(format!(
                "Give these to {id}, and keep the key to it alone:\n  {}\n  {}\n  {}  (whom it trusts)",
                certificate.display(),
                key.display(),
                authority.certificate().display(),
            ))
        }
        TlsCommand::Revoke { id, folder } => {
            let authority = folder.authority()?;
            authority.revoke_device(&id)?;
            print(format!(
                "{id} is on {}; its certificate and key are no longer in {}",
                authority.revocation_list().display(),
                authority.folder().display(),
            ))
        }
        TlsCommand::Show { config } => show(config),
    }
}

fn init(folder: &FolderArgs, more: Vec<String>) -> anyhow::Result<()> {
    let path = folder.path();
    // Before anything is made.
    check_names(&more)?;
    let mut names = more;
    names.extend(host_names());
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(name.to_ascii_lowercase()));
    // What a list of names and addresses is called by: the first that others know.
    let host = host_names().into_iter().nth(3).unwrap_or_else(|| names[0].clone());
    let today = jiff::Zoned::now().date();
    let authority = match Authority::open(&path)? {
        Some(authority) => authority,
        None => Authority::make(&path, &format!("Latchlight authority of {host}, {today}"))?,
    };
    let signed = authority.sign_server(&names)?;
    authority.begin_list()?;
    print(format!(
        "{}\n\nClients trust {}. The authority's key, {}, can sign for any name: whoever has it can pass \
         for this server.\n\nIn the settings, which the server reads when it starts:\n\n{:#}",
        described(&signed.certificate)?,
        authority.certificate().display(),
        path.join("authority.key").display(),
        settings(folder, &authority, &signed, &names),
    ))
}

/// What is to be added to the settings.
fn settings(
    folder: &FolderArgs,
    authority: &Authority,
    signed: &Signed,
    names: &[String],
) -> Value {
    let bracketed = |name: &String| {
        if name.contains(':') { format!("[{name}]") } else { name.clone() }
    };
    let hosts = names.iter().filter(|name| !name.starts_with('*'));
    let hosts: Vec<String> = hosts.map(bracketed).collect();
    json!({
        "http": { "tls_listen": "0.0.0.0:8443", "hosts": hosts },
        "mqtt": { "tls_listen": "0.0.0.0:8883" },
        "tls": {
            "certificate": folder.as_set(&signed.certificate),
            "key": folder.as_set(&signed.key),
            "client_ca": folder.as_set(&authority.certificate()),
            "client_crl": folder.as_set(&authority.revocation_list()),
        },
    })
}

impl FolderArgs {
    fn path(&self) -> PathBuf {
        self.out.clone().unwrap_or_else(|| self.beside().join("tls"))
    }

    /// The folder of config.json.
    fn beside(&self) -> PathBuf {
        let folder = self.config.parent().filter(|folder| !folder.as_os_str().is_empty());
        folder.unwrap_or(Path::new(".")).to_owned()
    }

    fn authority(&self) -> anyhow::Result<Authority> {
        let folder = self.path();
        match Authority::open(&folder)? {
            Some(authority) => Ok(authority),
            None => bail!(
                "there is no authority in {}: `latchlight tls init` makes one",
                folder.display()
            ),
        }
    }

    /// A file as it is written in the settings: from the folder of config.json
    /// on where it is below that.
    fn as_set(&self, file: &Path) -> PathBuf {
        let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let (file, beside) = (absolute(file), absolute(&self.beside()));
        file.strip_prefix(&beside).map(Path::to_owned).unwrap_or(file)
    }
}

fn show(config: PathBuf) -> anyhow::Result<()> {
    let file = ConfigFile::new(config);
    let mut settings = Settings::load(&file.read()?.settings)?;
    settings.tls.place_files(file.folder());
    let shown = |address: Option<std::net::SocketAddr>| {
        address.map_or_else(|| "off".to_owned(), |address| address.to_string())
    };
    print(format!(
        "http.tls_listen  {}\nmqtt.tls_listen  {}\nmqtt.wss_listen  {}",
        shown(settings.http.tls_listen),
        shown(settings.mqtt.tls_listen),
        shown(settings.mqtt.wss_listen),
    ))?;
    for (key, file) in settings.tls.files() {
        print(format!("{key:16} {}", file.display()))?;
    }
    let Some(certificate) = &settings.tls.certificate else {
        return print(
            "tls.certificate  none: `latchlight tls init` makes one, and says what to set",
        );
    };
    // That they go together is checked as at the start.
    Certificates::load(&settings.tls)?;
    print(described(certificate)?)
}

/// For whom a certificate is, and until when.
fn described(certificate: &Path) -> anyhow::Result<String> {
    let pem =
        std::fs::read(certificate).with_context(|| format!("read {}", certificate.display()))?;
    let leaf = LeafCertificate::of_pem(&pem)
        .with_context(|| format!("{} is no certificate", certificate.display()))?;
    Ok(format!("{}: {leaf}", certificate.display()))
}
