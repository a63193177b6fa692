//! Logs and metrics of a process.

use std::sync::OnceLock;
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use super::config::{CommonConfig, LogFormat, refuse};

/// Buckets of every `…_seconds` histogram: a lone durable write is about a millisecond, and a
/// picture takes half a minute.
const SECONDS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 300.0];

/// How often samples are folded into histograms; without it they pile up.
const UPKEEP: Duration = Duration::from_secs(5);

/// Sets up logs on standard error, as the settings say.
pub fn init(config: &CommonConfig) {
    let filter = EnvFilter::try_new(&config.rust_log)
        .unwrap_or_else(|error| refuse("RUST_LOG", format_args!("cannot be used: {error}")));
    // When nobody reads standard error any more, a line is lost. Reported there too, the failure
    // would be a panic of whatever was being logged.
    let logs =
        fmt().with_env_filter(filter).with_writer(std::io::stderr).log_internal_errors(false);
    let done = match config.log_format {
        LogFormat::Text => logs.with_ansi(false).try_init(),
        LogFormat::Json => logs.json().flatten_event(true).try_init(),
    };
    if let Err(error) = done {
        tracing::warn!(error.cause = %error, "logs were set up before");
    }
}

/// Where the process's metrics are kept; the first call starts keeping them.
pub(super) fn metrics() -> PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE
        .get_or_init(|| {
            let builder = PrometheusBuilder::new()
                .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
                .expect("the list of buckets is not empty");
            let handle = builder.install_recorder().expect("nothing else installs a recorder");
            let upkeep = handle.clone();
            tokio::spawn(async move {
                loop {
                    tokio::time::sleep(UPKEEP).await;
                    upkeep.run_upkeep();
                }
            });
            handle
        })
        .clone()
}
