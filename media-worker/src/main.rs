//! The process: settings, logs, signals, listeners, serve.

use media_worker::config::Config;
use media_worker::server::{self, App, Listeners};
use proto::service::config;
use proto::service::shutdown::Shutdown;
use proto::service::telemetry;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    rustls::crypto::ring::default_provider().install_default().ok();
    config::load_dotenv();
    let config: Config = config::parse();
    telemetry::init(&config.common);
    let shutdown = Shutdown::on_signals()?;

    let listeners = Listeners::open(&config).await?;
    let app = App::build(&config, listeners.grpc.identity()).await;
    tracing::info!(
        grpc.addr = %config.media_listen,
        admin.addr = %config.media_admin_listen,
        "serving"
    );
    server::serve(app, listeners, shutdown).await
}
