//! One service's process: started, listened to, stopped.

use std::collections::VecDeque;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use super::console;
use super::services::Service;

/// How many lines are shown again when a service ends.
const LAST_LINES: usize = 15;
/// Part of util-linux; lets the kernel end a process when the one that started it is gone.
const SETPRIV: &str = "/usr/bin/setpriv";

type LastLines = Arc<Mutex<VecDeque<String>>>;

/// A service that runs.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    child: Child,
    last: LastLines,
    readers: Vec<JoinHandle<()>>,
}

impl Process {
    /// Starts a service in `folder`.
    ///
    /// Must be called by the main thread: the kernel ends the service when the *thread* that
    /// started it ends.
    pub(super) fn start(service: &Service, binary: &Path, folder: &Path) -> anyhow::Result<Self> {
        // A sandbox that is killed cannot stop anybody; the kernel does it, where setpriv is there.
        let mut command = if Path::new(SETPRIV).is_file() {
            let mut command = Command::new(SETPRIV);
            command.args(["--pdeathsig", "TERM", "--"]).arg(binary);
            command
        } else {
            Command::new(binary)
        };
        let mut child = command
            .env_clear()
            .envs(service.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A Ctrl-C is for the sandbox, which stops the services in good order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("start {}", service.name))?;
        let last = LastLines::default();
        let out =
            child.stdout.take().map(|out| tokio::spawn(show(service.label, out, last.clone())));
        let err =
            child.stderr.take().map(|err| tokio::spawn(show(service.label, err, last.clone())));
        let readers = out.into_iter().chain(err).collect();
        Ok(Self { name: service.name, label: service.label, child, last, readers })
    }

    /// Waits until it ends and everything it said has been shown.
    pub(super) async fn ended(&mut self) -> std::io::Result<ExitStatus> {
        let status = self.child.wait().await?;
        for reader in self.readers.drain(..) {
            // A reader that panicked has nothing more to show.
            let _ = reader.await;
        }
        Ok(status)
    }

    /// What it said last.
    pub(super) fn last_lines(&self) -> Vec<String> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Asks it to end.
    pub(super) async fn ask_to_end(&self) {
        let Some(id) = self.child.id() else { return };
        // Without unsafe code, a shell's `kill` is how a signal is sent.
        let asked = Command::new("sh")
            .args(["-c", "kill -TERM \"$0\"", &id.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .await;
        if let Err(error) = asked {
            tracing::warn!(service = self.name, error.cause = %error, "could not be asked to end");
        }
    }

    /// Ends it.
    pub(super) fn kill(&mut self) {
        if let Err(error) = self.child.start_kill() {
            tracing::warn!(service = self.name, error.cause = %error, "could not be killed");
        }
    }
}

async fn show(label: &'static str, from: impl AsyncRead + Unpin, last: LastLines) {
    let mut lines = BufReader::new(from);
    let mut line = Vec::new();
    loop {
        line.clear();
        match lines.read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        console::line(label, &text);
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.len() == LAST_LINES {
            last.pop_front();
        }
        last.push_back(text);
    }
}
