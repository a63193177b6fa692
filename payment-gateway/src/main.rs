//! The process: settings, logs, signals, listeners, serve.

use payment_gateway::config::Config;
use payment_gateway::server::{self, Listeners};
use proto::service::config;
use proto::service::shutdown::Shutdown;
use proto::service::telemetry;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    rustls::crypto::ring::default_provider().install_default().ok();
    dotenvy::dotenv().ok();
    let config: Config = config::parse();
    telemetry::init(&config.common);
    let shutdown = Shutdown::on_signals()?;

    let listeners = Listeners::open(&config).await?;
    tracing::info!(
        grpc.addr = %config.payments_listen,
        http.addr = %config.payments_http_listen,
        admin.addr = %config.payments_admin_listen,
        "serving"
    );
    server::serve(config, listeners, shutdown).await
}
