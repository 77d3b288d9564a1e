//! A real PostgreSQL from its package, which a test starts, and which is gone
//! with the test. It listens on a Unix socket in a folder of its own and
//! nowhere else. It refuses to be root's; where the tests are, it is the user's
//! whom the package has made for it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

/// The user of the package.
const USER: &str = "postgres";

/// A server with its folder.
pub(crate) struct Cluster {
    folder: PathBuf,
    /// Ends the server and removes the folder when the test's process has
    /// closed its end of a pipe: when it drops this, or ends, however it does.
    keeper: Child,
}

impl Cluster {
    /// A new one, running.
    pub(crate) fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("latchlight-pg-").tempdir().unwrap().keep();
        if is_root() {
            assert!(Command::new("chown").arg(USER).arg(&folder).status().unwrap().success());
        }
        // Not killed by what a terminal sends to all, Ctrl-C say.
        let keep = "trap '' INT HUP TERM; cat >/dev/null; \
            kill -QUIT $(head -n 1 \"$0/data/postmaster.pid\") 2>/dev/null; \
            i=0; while [ $i -lt 50 ] && [ -e \"$0/data/postmaster.pid\" ]; do \
            sleep 0.1; i=$((i + 1)); done; rm -rf \"$0\"";
        let mut keeper = Command::new("sh");
        keeper.args(["-c", keep]).arg(&folder).stdin(Stdio::piped());
        let keeper = keeper.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let cluster = Self { folder, keeper };
        let data = cluster.data();
        let mut initdb = as_user(&program("initdb"));
        initdb.args(["--no-sync", "--auth=trust", "--username=latchlight", "--encoding=UTF8"]);
        // As most have it: another order than SQLite's.
        run(initdb.args(["--locale=C.UTF-8", "-D"]).arg(data));
        cluster.start_again();
        cluster
    }

    /// Starts it, after [`Self::kill`] too.
    pub(crate) fn start_again(&self) {
        let options = format!(
            "-k {} -c listen_addresses= -c max_connections=300 -c fsync=off -c full_page_writes=off",
            self.folder.display()
        );
        let mut start = as_user(&program("pg_ctl"));
        start.arg("-D").arg(self.data()).arg("-l").arg(self.folder.join("log"));
        run(start.args(["-w", "-t", "60", "-o", &options, "start"]));
    }

    /// Ends it as a crash does: every process of it at once.
    pub(crate) fn kill(&self) {
        let pid = self.postmaster();
        let mut kill = Command::new("sh");
        // Its children first become nobody's, and end by themselves.
        let script = "kill -KILL $0 $(ps -o pid= --ppid $0); \
            while kill -0 $0 2>/dev/null; do sleep 0.01; done";
        run(kill.args(["-c", script, &pid]));
    }

    /// Has it stand still: connections stay, and nothing is answered.
    pub(crate) fn freeze(&self) {
        self.signal("STOP");
    }

    /// Has it go on.
    pub(crate) fn thaw(&self) {
        self.signal("CONT");
    }

    fn signal(&self, signal: &str) {
        let pid = self.postmaster();
        let script = "kill -$1 $0 $(ps -o pid= --ppid $0)";
        run(Command::new("sh").args(["-c", script, &pid, signal]));
    }

    /// The URL of a database in it, which is made where there is none.
    pub(crate) async fn database(&self, name: &str) -> String {
        let url = self.url("postgres");
        let mut connection = PgConnection::connect(&url).await.unwrap();
        connection.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
        connection.close().await.unwrap();
        self.url(name)
    }

    /// The URL of a database in it.
    pub(crate) fn url(&self, name: &str) -> String {
        format!("postgres://latchlight@localhost/{name}?host={}", self.folder.display())
    }

    /// A database of a name that nobody else has.
    pub(crate) async fn new_database(&self) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        self.database(&format!("latchlight_{next}")).await
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn postmaster(&self) -> String {
        let file = std::fs::read_to_string(self.data().join("postmaster.pid")).unwrap();
        file.lines().next().unwrap().trim().to_owned()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// The one that tests share which do it no harm.
pub(crate) fn shared() -> &'static Cluster {
    static SHARED: OnceLock<Cluster> = OnceLock::new();
    SHARED.get_or_init(Cluster::start)
}

/// Whether this run is to have its databases there (`TEST_DATABASE`).
pub(crate) fn is_wanted() -> bool {
    match std::env::var("TEST_DATABASE").as_deref() {
        Ok("postgres") => true,
        Ok("sqlite") | Err(_) => false,
        Ok(other) => panic!("TEST_DATABASE: sqlite or postgres, not {other}"),
    }
}

/// Debian keeps them apart by version, and not in the PATH.
fn program(name: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<_> = versions.map(|version| version.path().join("bin").join(name)).collect();
    found.retain(|path| path.exists());
    found.sort();
    found.pop().unwrap_or_else(|| Path::new(name).to_owned())
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn as_user(program: &Path) -> Command {
    let mut command = if is_root() {
        let mut command = Command::new("runuser");
        command.args(["-u", USER, "--"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    // It stands where its user may be.
    command.current_dir("/");
    command
}

fn run(command: &mut Command) {
    // Not a pipe, which the server would keep open.
    let output = tempfile::tempfile().unwrap();
    command.stdin(Stdio::null());
    command.stdout(output.try_clone().unwrap()).stderr(output.try_clone().unwrap());
    let status = command.status().unwrap_or_else(|error| {
        panic!("{command:?}: {error} (script/bootstrap installs PostgreSQL)")
    });
    let mut said = String::new();
    use std::io::{Read as _, Seek as _};
    (&output).rewind().unwrap();
    let _ = (&output).read_to_string(&mut said);
    assert!(status.success(), "{command:?}: {status}: {said}");
}
