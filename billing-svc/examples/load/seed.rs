//! The way of the seed, as a yardstick: `seed.py`, in an environment of its own.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::process::Command;

use crate::callers::Tally;

const SCRIPT: &str = include_str!("seed.py");
const PACKAGES: [&str; 2] = ["SQLAlchemy==2.0.44", "psycopg2-binary==2.9.11"];
const THREADS: usize = 16;

/// Python with what the script needs.
#[derive(Debug)]
pub(crate) struct Seed {
    python: PathBuf,
    script: PathBuf,
    url: String,
}

impl Seed {
    /// Prepares Python, once for all runs, beside what Cargo builds.
    pub(crate) async fn prepare(folder: &Path, url: String) -> anyhow::Result<Self> {
        let built = std::env::current_exe()?;
        let target = built.ancestors().nth(3).context("built by Cargo")?;
        let home = target.join("load-python");
        let python = home.join("bin/python");
        if !python.exists() {
            run(Command::new("python3").args(["-m", "venv"]).arg(&home)).await?;
        }
        let mut install = Command::new(&python);
        install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
        run(install.args(PACKAGES)).await?;
        let script = folder.join("seed.py");
        std::fs::write(&script, SCRIPT)?;
        Ok(Self { python, script, url })
    }

    /// Charges for a while: what came of it, and the CPU time that Python used.
    pub(crate) async fn charge(
        &self,
        users: i64,
        length: Duration,
        warm_up: Duration,
    ) -> anyhow::Result<(Tally, Duration)> {
        let url = self.url.replacen("postgres://", "postgresql+psycopg2://", 1);
        let output = Command::new(&self.python)
            .arg(&self.script)
            .arg(url)
            .args([THREADS.to_string(), users.to_string()])
            .args([length.as_secs_f64().to_string(), warm_up.as_secs_f64().to_string()])
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .output()
            .await?;
        if !output.status.success() {
            bail!("seed.py ended with {}", output.status);
        }
        let said: serde_json::Value = serde_json::from_slice(&output.stdout)?;
        let calls = said["calls_micros"].as_array().context("calls_micros")?;
        let calls: Vec<Duration> = calls
            .iter()
            .map(|micros| Duration::from_micros(micros.as_u64().unwrap_or_default()))
            .collect();
        let cpu = Duration::from_secs_f64(said["cpu_seconds"].as_f64().context("cpu_seconds")?);
        let pairs = u32::try_from(calls.len() / 2)?;
        Ok((Tally { pairs, calls, ..Tally::default() }, cpu))
    }
}

async fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().await.with_context(|| format!("run {command:?}"))?;
    if !status.success() {
        bail!("{command:?} ended with {status}");
    }
    Ok(())
}
