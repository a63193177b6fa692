//! The services' life: built, started, waited for, and stopped all together.
//!
//! Nothing is restarted silently: a service that ends is a fault to be seen, so it ends the rest.

use std::time::Duration;

use anyhow::{Context as _, bail};
use proto::service::shutdown::Shutdown;
use tokio::time::Instant;

use super::process::Process;
use super::services::{self, Service};
use super::{build, console};
use crate::config::Config;
use crate::settings::Settings;

/// Services drain for 20 seconds at most, so this is time enough.
const STOP_MAX: Duration = Duration::from_secs(25);
const READY_MAX: Duration = Duration::from_secs(60);
const PROBE_EVERY: Duration = Duration::from_millis(150);
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// Runs the four services until `shutdown`, or until one of them ends by itself.
///
/// # Errors
/// When one cannot be built or started, does not become ready, or ends by itself.
pub async fn run(config: &Config, settings: &Settings, shutdown: &Shutdown) -> anyhow::Result<()> {
    let services = services::all(config, settings)?;
    services::check_free(&services).await?;
    let folder = build::binaries(shutdown).await?;
    services::shield(&settings.data)?;

    let mut processes = Vec::new();
    let lived = live(&services, &folder, settings, shutdown, &mut processes).await;
    stop(processes).await;
    lived
}

async fn live(
    services: &[Service],
    folder: &std::path::Path,
    settings: &Settings,
    shutdown: &Shutdown,
    processes: &mut Vec<Process>,
) -> anyhow::Result<()> {
    for service in services {
        let binary = build::binary(folder, service.name)?;
        processes.push(Process::start(service, &binary, &settings.data)?);
    }
    let ready_then_wait = async {
        all_ready(services).await?;
        console::banner(&settings.base_url, &settings.data);
        shutdown.requested().await;
        Ok(())
    };
    tokio::select! {
        () = shutdown.requested() => Ok(()),
        ended = ready_then_wait => ended,
        first = first_ended(processes) => bail!("{first} ended by itself; everything is stopped"),
    }
}

/// Waits until every service says that it is ready.
async fn all_ready(services: &[Service]) -> anyhow::Result<()> {
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(PROBE_TIMEOUT)
        .build()
        .context("set up the client for probes")?;
    let deadline = Instant::now() + READY_MAX;
    for service in services {
        let url = format!("http://{}/readyz", service.admin);
        loop {
            let answer = client.get(&url).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                break;
            }
            if Instant::now() >= deadline {
                bail!(
                    "{} was not ready within {} seconds ({url})",
                    service.name,
                    READY_MAX.as_secs()
                );
            }
            tokio::time::sleep(PROBE_EVERY).await;
        }
    }
    Ok(())
}

/// Waits for the first service that ends; says so and shows what it said last.
async fn first_ended(processes: &mut [Process]) -> &'static str {
    let waiting = processes.iter_mut().map(|process| {
        Box::pin(async move {
            let status = process.ended().await;
            (process, status)
        })
    });
    let ((process, status), _, _) = futures_util::future::select_all(waiting).await;
    let how = status.map_or_else(|error| error.to_string(), |status| status.to_string());
    console::alarm(&format!("{} ended by itself ({how}). Its last lines:", process.name));
    for line in process.last_lines() {
        console::line(process.label, &line);
    }
    console::alarm("everything is stopped");
    process.name
}

/// Asks all to end, and ends those that do not.
async fn stop(mut processes: Vec<Process>) {
    for process in &processes {
        process.ask_to_end().await;
    }
    let all = async {
        for process in &mut processes {
            if let Err(error) = process.ended().await {
                tracing::warn!(service = process.name, error.cause = %error, "could not be waited for");
            }
        }
    };
    if tokio::time::timeout(STOP_MAX, all).await.is_err() {
        for process in &mut processes {
            process.kill();
        }
        console::alarm("some services did not end in time and were killed");
        for process in &mut processes {
            // Killed: it ends at once, whatever the answer.
            let _ = process.ended().await;
        }
    }
}
