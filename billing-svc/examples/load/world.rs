//! The processes that are measured: this program again, as the service or as the yardstick.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use proto::billing::v1::ListPricesRequest;
use proto::client;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::pairs::Client;
use crate::users::FREE_OPERATIONS;

const START_MAX: Duration = Duration::from_secs(30);
const END_MAX: Duration = Duration::from_secs(30);

/// A running process. Killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    pub(crate) pid: u32,
    url: String,
}

impl Process {
    /// Starts it as `role` on a database, and waits until it answers.
    pub(crate) async fn start(
        role: &str,
        database_url: &str,
        log: Option<&Path>,
    ) -> anyhow::Result<Self> {
        let grpc = free_port()?;
        let log = match log {
            Some(path) => File::options().create(true).append(true).open(path)?.into(),
            None => Stdio::null(),
        };
        let child = Command::new(std::env::current_exe()?)
            .arg(role)
            .env_clear()
            .env("DATABASE_URL", database_url)
            .env("BILLING_LISTEN", format!("127.0.0.1:{grpc}"))
            .env("BILLING_ADMIN_LISTEN", "127.0.0.1:0")
            .env("FREE_OPERATIONS_COUNT", FREE_OPERATIONS)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()?;
        let pid = child.id().context("it has just been started")?;
        let mut process = Self { child, pid, url: format!("http://127.0.0.1:{grpc}") };
        process.wait_until_it_answers().await?;
        Ok(process)
    }

    async fn wait_until_it_answers(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + START_MAX;
        let mut client = self.client()?;
        loop {
            match client.list_prices(ListPricesRequest {}).await {
                Ok(_) => return Ok(()),
                Err(status) if status.code() == tonic::Code::Unimplemented => return Ok(()),
                Err(_) if Instant::now() < deadline => sleep(Duration::from_millis(50)).await,
                Err(status) => bail!("the process does not answer: {status}"),
            }
            if let Some(ended) = self.child.try_wait()? {
                bail!("the process has ended: {ended}; see --log");
            }
        }
    }

    /// A client with a connection of its own.
    pub(crate) fn client(&self) -> anyhow::Result<Client> {
        Ok(Client::new(client::channel(&self.url)?))
    }

    /// Ends it in good order, with everything written.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        let told = Command::new("kill").arg(self.pid.to_string()).status().await?;
        let ended = timeout(END_MAX, self.child.wait()).await.context("it does not end")??;
        if !told.success() || !ended.success() {
            bail!("a process ended with {ended}");
        }
        Ok(())
    }
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
