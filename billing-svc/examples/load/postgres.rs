//! A PostgreSQL of our own: fresh, durable as it is by default, gone at the end.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use sqlx::{Connection as _, PgConnection};

use crate::world::free_port;

/// A running server.
#[derive(Debug)]
pub(crate) struct Postgres {
    /// Where databases are made; the path names the database.
    base: String,
    /// The server that we have started, if it is ours.
    own: Option<Own>,
}

#[derive(Debug)]
struct Own {
    programs: PathBuf,
    data: PathBuf,
    pid: u32,
}

impl Postgres {
    /// Starts one in `folder`.
    pub(crate) fn start(folder: &Path) -> anyhow::Result<Self> {
        let programs = programs().context("no PostgreSQL: install the package postgresql")?;
        let home = folder.join("postgres");
        fs::create_dir_all(&home)?;
        if is_root() {
            run(Command::new("chown").arg("postgres").arg(&home))?;
            // The folder above is ours alone.
            run(Command::new("chmod").arg("755").arg(folder))?;
        }
        let data = home.join("data");
        let port = free_port()?;
        let settings = format!("-p {port} -k {} -c listen_addresses=127.0.0.1", home.display());
        as_postgres(
            &programs.join("initdb"),
            &["-D", text(&data)?, "-A", "trust", "-U", "postgres", "-E", "UTF8"],
        )?;
        let log = home.join("log");
        let own = Own { programs, data: data.clone(), pid: 0 };
        // From here on it is stopped however this ends.
        let mut server =
            Self { base: format!("postgres://postgres@127.0.0.1:{port}"), own: Some(own) };
        let started = as_postgres(
            &server.program("pg_ctl"),
            &["-D", text(&data)?, "-l", text(&log)?, "-o", &settings, "-w", "start"],
        );
        started.with_context(|| fs::read_to_string(&log).unwrap_or_default())?;
        let pid = fs::read_to_string(data.join("postmaster.pid"))?;
        if let Some(own) = &mut server.own {
            own.pid = pid.lines().next().unwrap_or_default().trim().parse()?;
        }
        Ok(server)
    }

    /// Uses one that runs already.
    pub(crate) fn running(url: &str) -> anyhow::Result<Self> {
        let (base, _) = url.rsplit_once('/').context("a URL of PostgreSQL ends in /<database>")?;
        Ok(Self { base: base.to_owned(), own: None })
    }

    /// The server's first process; none if it is not ours.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.own.as_ref().map(|own| own.pid)
    }

    pub(crate) fn url(&self, database: &str) -> String {
        format!("{}/{database}", self.base)
    }

    /// Makes a database, empty or a copy of `template`, which nobody may use meanwhile.
    pub(crate) async fn create(&self, database: &str, template: &str) -> anyhow::Result<String> {
        self.admin(format!("drop database if exists {database} with (force)")).await?;
        self.admin(format!("create database {database} template {template}")).await?;
        Ok(self.url(database))
    }

    /// Does what autovacuum would do about filling soon after, in somebody's measurement.
    pub(crate) async fn tidy(&self, database: &str) -> anyhow::Result<()> {
        let mut connection = PgConnection::connect(&self.url(database)).await?;
        sqlx::raw_sql("vacuum analyze").execute(&mut connection).await?;
        Ok(connection.close().await?)
    }

    /// Writes out what filling has left, so that no measurement pays for it.
    pub(crate) async fn checkpoint(&self) -> anyhow::Result<()> {
        self.admin("checkpoint".to_owned()).await
    }

    async fn admin(&self, statement: String) -> anyhow::Result<()> {
        let mut connection = PgConnection::connect(&self.url("postgres")).await?;
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await?;
        Ok(connection.close().await?)
    }

    fn program(&self, name: &str) -> PathBuf {
        self.own.as_ref().map_or_else(PathBuf::new, |own| own.programs.join(name))
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let Some(own) = &self.own else { return };
        let Some(data) = own.data.to_str() else { return };
        let stopped =
            as_postgres(&self.program("pg_ctl"), &["-D", data, "-m", "immediate", "-w", "stop"]);
        // It may not have been started; there is nobody to tell.
        drop(stopped);
    }
}

fn programs() -> Option<PathBuf> {
    let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = debian.map(|version| version.path().join("bin")).collect();
    folders.sort();
    folders.reverse();
    folders.push("/usr/local/pgsql/bin".into());
    folders.push("/usr/bin".into());
    folders.into_iter().find(|bin| bin.join("initdb").exists() && bin.join("postgres").exists())
}

/// PostgreSQL refuses to run as root.
fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

fn as_postgres(program: &Path, arguments: &[&str]) -> anyhow::Result<()> {
    let program = text(program)?;
    if is_root() {
        let words = std::iter::once(program).chain(arguments.iter().copied());
        let words: Vec<String> = words.map(quoted).collect();
        let shell = ["postgres", "-s", "/bin/sh", "-c"];
        run(Command::new("su").args(shell).arg(words.join(" ")).current_dir("/"))
    } else {
        run(Command::new(program).args(arguments))
    }
}

fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    // The server inherits what it is given, and nobody would end a pipe that it holds open.
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let status = status.with_context(|| format!("run {command:?}"))?;
    if !status.success() {
        bail!("{command:?} ended with {status}");
    }
    Ok(())
}

fn text(path: &Path) -> anyhow::Result<&str> {
    path.to_str().context("a path that is no text")
}
