//! What a reader of a guide types, in a terminal beside the server.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::harness::{PASSWORD, Server};
use crate::process::Process;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A folder in which `latchlight`, the documentation and the server's
/// config.json are at hand; the server's folder itself.
pub(crate) struct Terminal {
    folder: PathBuf,
    replaced: Vec<(String, String)>,
}

impl Terminal {
    /// On this server's ports, which the guides write as the usual ones.
    pub(crate) fn beside(server: &Server) -> Self {
        let folder = server.folder.path().to_owned();
        let links = [
            (PathBuf::from(env!("CARGO_BIN_EXE_latchlight")), "latchlight"),
            (Path::new(ROOT).join("docs"), "docs"),
        ];
        for (from, name) in links {
            let _ = std::os::unix::fs::symlink(from, folder.join(name));
        }
        let mut replaced = Vec::new();
        // First, for the digits may stand in the other ports, too.
        if let Some(mqtt) = &server.mqtt {
            let port = mqtt.rsplit_once(':').unwrap().1;
            replaced.push(("1883".to_owned(), port.to_owned()));
        }
        replaced.push(("http://127.0.0.1:8080".to_owned(), server.http.clone()));
        replaced.push(("127.0.0.1:8080".to_owned(), server.http.replace("http://", "")));
        Self { folder, replaced }
    }

    /// In a folder that is a device's, and has its secrets: not one of what the
    /// server writes.
    pub(crate) fn on_a_device(self) -> Self {
        let folder = self.folder.join("secrets-of-tests/device");
        std::fs::create_dir_all(&folder).unwrap();
        Self { folder, ..self }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// What stands for this in a guide is that here.
    pub(crate) fn replace(mut self, this: &str, that: &str) -> Self {
        self.replaced.push((this.to_owned(), that.to_owned()));
        self
    }

    /// A guide's text, with this server's addresses.
    pub(crate) fn here(&self, text: &str) -> String {
        let one = |text: String, (this, that): &(String, String)| text.replace(&**this, that);
        self.replaced.iter().fold(text.to_owned(), one)
    }

    /// Writes a file of the guide.
    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.join(name), self.here(text)).unwrap();
    }

    pub(crate) fn shell(&self, commands: &str) -> Command {
        let mut bash = Command::new("bash");
        let path = std::env::var("PATH").unwrap();
        let venv = format!("{ROOT}/var/venv/bin");
        bash.env("PATH", format!("{}:{venv}:{path}", self.folder.display()));
        bash.env("APP_PASSWORD", PASSWORD).current_dir(&self.folder);
        bash.args(["-euo", "pipefail", "-c", &self.here(commands)]);
        bash
    }

    /// Runs commands to their end; gives what they print.
    pub(crate) async fn run(&self, commands: &str) -> String {
        let mut shell = Command::new("timeout");
        let bash = self.shell(commands);
        shell.arg("60").arg(bash.get_program()).args(bash.get_args()).current_dir(&self.folder);
        shell.envs(bash.get_envs().filter_map(|(key, value)| Some((key, value?))));
        let shown = commands.to_owned();
        let output = tokio::task::spawn_blocking(move || shell.output().unwrap()).await.unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{shown}\n{said}\n{errors}");
        said
    }

    /// Begins commands that go on until the test ends; what they print goes to
    /// a file of this name.
    pub(crate) fn begin(&self, commands: &str, log: &str) -> Process {
        let log = std::fs::File::create(self.folder.join(log)).unwrap();
        let errors = log.try_clone().unwrap();
        let mut shell = self.shell(commands);
        Process::spawn(shell.stdin(Stdio::null()).stdout(log).stderr(errors))
    }
}
