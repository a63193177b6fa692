//! The bot's process.

use anyhow::Context as _;
use bot_gateway::config::Config;
use bot_gateway::server;
use proto::service::{config, listen, shutdown::Shutdown, telemetry};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    config::load_dotenv();
    let config: Config = config::parse();
    telemetry::init(&config.common);
    let shutdown = Shutdown::on_signals().context("listen for signals")?;

    let admin = listen::open("BOT_ADMIN_LISTEN", config.bot_admin_listen).await?;
    tracing::info!(admin.addr = %config.bot_admin_listen, "starting");

    server::serve(config, admin, shutdown).await
}
