//! The process: settings, logs, signals, listeners, serve.

use payment_gateway::config::Config;
use payment_gateway::server::{self, Listeners};
use proto::service::config;
use proto::service::shutdown::Shutdown;
use proto::service::telemetry;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    rustls::crypto::ring::default_provider().install_default().ok();
    config::load_dotenv();
    let settings: Config = config::parse();
    if let Err(wrong) = settings.receipts.receipts() {
        config::refuse(wrong.variable, wrong.problem);
    }
    telemetry::init(&settings.common);
    let shutdown = Shutdown::on_signals()?;

    let listeners = Listeners::open(&settings)
        .await
        .unwrap_or_else(|error| config::refuse("payment-gateway", format_args!("{error:#}")));
    server::serve(settings, listeners, shutdown).await
}
