//! A PostgreSQL of a test's own, durable as in production, which it may kill.

use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use sqlx::{Connection as _, PgConnection};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::app::PATIENCE;

/// Where the server's binaries are looked for; Debian keeps them off the path.
const FOLDERS: [&str; 2] = ["/usr/lib/postgresql", "/usr/local/pgsql"];
/// Enough for one service and the test.
const SETTINGS: [&str; 4] =
    ["listen_addresses=127.0.0.1", "max_connections=50", "shared_buffers=16MB", "fsync=on"];

pub(crate) struct OwnPostgres {
    pub(crate) url: String,
    binaries: PathBuf,
    folder: TempDir,
    port: u16,
    server: Option<Child>,
}

impl OwnPostgres {
    /// Makes and starts one.
    ///
    /// # Panics
    /// When the machine has no PostgreSQL server: nothing is skipped.
    pub(crate) async fn start() -> Self {
        let binaries = binaries().expect(
            "this test kills a PostgreSQL of its own and needs the server's binaries: install the \
             Debian package postgresql, or put initdb and postgres into /usr/local/pgsql/bin",
        );
        let folder = tempfile::tempdir().unwrap();
        if let Some((user, group)) = owner() {
            chown(folder.path(), Some(user), Some(group)).unwrap();
        }
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let url = format!("postgres://postgres@127.0.0.1:{port}/postgres");
        let mut postgres = Self { url, binaries, folder, port, server: None };
        let mut initdb = postgres.command("initdb");
        initdb.args(["-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-sync"]);
        let made = initdb.output().await.unwrap();
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        postgres.serve().await;
        postgres
    }

    /// Starts it, after a kill too, and waits until it is asked and answers.
    pub(crate) async fn serve(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if self.server.as_mut().is_none_or(|server| server.try_wait().unwrap().is_some()) {
                // For the first time; or a backend of the killed one was not gone yet.
                self.server = Some(self.spawn());
            }
            if let Ok(connection) = PgConnection::connect(&self.url).await {
                connection.close().await.unwrap();
                return;
            }
            assert!(Instant::now() < deadline, "PostgreSQL starts");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// kill -9, of all its processes.
    pub(crate) async fn kill(&mut self) {
        let mut server = self.server.take().unwrap();
        let children = children_of(server.id().unwrap());
        // The first, so that it starts nothing again.
        server.kill().await.unwrap();
        for child in children {
            // It may have ended by itself.
            drop(Command::new("kill").args(["-9", &child]).stderr(Stdio::null()).status().await);
        }
    }

    fn spawn(&self) -> Child {
        let mut command = self.command("postgres");
        command.args(["-p", &self.port.to_string(), "-k"]).arg(self.folder.path());
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// Not as root, which it refuses.
    fn command(&self, binary: &str) -> Command {
        let mut command = Command::new(self.binaries.join(binary));
        command.arg("-D").arg(self.folder.path().join("data"));
        command.current_dir(self.folder.path()).stdin(Stdio::null()).kill_on_drop(true);
        if let Some((user, group)) = owner() {
            command.uid(user).gid(group);
        }
        command
    }
}

fn binaries() -> Option<PathBuf> {
    let is_whole = |bin: &PathBuf| bin.join("initdb").exists() && bin.join("postgres").exists();
    let under = |folder: &&str| {
        let versions = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let versions = versions.map(|version| version.path().join("bin"));
        versions.chain([Path::new(folder).join("bin")]).collect::<Vec<_>>()
    };
    FOLDERS.iter().flat_map(under).find(is_whole)
}

/// Whom the server runs as: the user postgres if the test is run by root.
fn owner() -> Option<(u32, u32)> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let is_root = status.lines().any(|line| line.starts_with("Uid:\t0\t"));
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
    let postgres = users.lines().find(|line| line.starts_with("postgres:")).filter(|_| is_root)?;
    let mut fields = postgres.split(':').skip(2);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

fn children_of(parent: u32) -> Vec<String> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let is_child = |id: &String| {
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        status.lines().any(|line| line == format!("PPid:\t{parent}"))
    };
    let ids = processes.filter_map(|process| process.file_name().into_string().ok());
    ids.filter(|id| id.bytes().all(|byte| byte.is_ascii_digit())).filter(is_child).collect()
}
