//! The process: settings, logs, signals, database, addresses, serve.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use billing_svc::clock::SystemClock;
use billing_svc::config::{Command, Config};
use billing_svc::domain::PriceList;
use billing_svc::ledger::Rules;
use billing_svc::server::{self, Database, Listeners, QUEUE_MAX, SWEEP_EVERY, Settings};
use proto::service::shutdown::Shutdown;
use proto::service::{config, listen, telemetry};
use secrecy::ExposeSecret as _;

#[tokio::main]
async fn main() -> ExitCode {
    config::load_dotenv();
    let config: Config = config::parse();
    telemetry::init(&config.common);
    let ended = match config.command {
        Some(Command::Migrate) => migrate(&config).await,
        None => serve(config).await,
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One line, with every cause in it.
            tracing::error!("cannot go on: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn migrate(config: &Config) -> anyhow::Result<()> {
    Database::migrate(config.database_url.expose_secret()).await?;
    tracing::info!("the schema is up to date");
    Ok(())
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let shutdown = Shutdown::on_signals().context("listen for signals")?;
    let database = Database::open(config.database_url.expose_secret()).await?;
    let listeners = Listeners {
        grpc: listen::open_plain_text("BILLING_LISTEN", config.billing_listen).await?,
        admin: listen::open("BILLING_ADMIN_LISTEN", config.billing_admin_listen).await?,
    };
    let settings = Settings {
        rules: Rules {
            prices: PriceList::flat(config.price_per_operation),
            welcome: config.free_operations_count,
            hold_ttl: config.hold_ttl,
        },
        clock: Arc::new(SystemClock),
        sweep_every: SWEEP_EVERY,
        queue_max: QUEUE_MAX,
    };
    let address = listeners.grpc.local_addr().context("read the gRPC address")?;
    tracing::info!(grpc.listen = %address, "serving");
    server::serve(listeners, database, settings, shutdown).await
}
