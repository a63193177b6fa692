//! What the process does with its settings; the benchmark starts it too.

use std::sync::Arc;

use anyhow::Context as _;
use proto::service::listen::{self, GrpcListener};
use proto::service::shutdown::Shutdown;
use secrecy::ExposeSecret as _;

use crate::clock::{Clock as _, SystemClock};
use crate::config::{Config, VerifyOptions};
use crate::ledger::Rules;
use crate::price_file::{self, PriceFileError};
use crate::report::{self, Verdict};
use crate::server::{self, Database, Listeners, QUEUE_MAX, SWEEP_EVERY, Settings};

/// Brings the database's schema to this version.
///
/// # Errors
/// When the database cannot be reached or changed.
pub async fn migrate(config: &Config) -> anyhow::Result<()> {
    Database::migrate(config.database_url.expose_secret()).await?;
    tracing::info!("the schema is up to date");
    Ok(())
}

/// Proves the ledger, and writes what it finds to standard output.
///
/// # Errors
/// When it could not look.
pub async fn verify(config: &Config, options: &VerifyOptions) -> anyhow::Result<Verdict> {
    let mut out = std::io::stdout();
    report::verify(config.database_url.expose_secret(), options, &mut out).await
}

/// Serves until a signal says that it is over.
///
/// # Errors
/// Says which setting cannot be used, or which part ended that should not.
pub async fn serve(config: Config) -> anyhow::Result<()> {
    let shutdown = Shutdown::on_signals().context("listen for signals")?;
    // Before the database: what is wrong with a setting is said at once.
    let rules = rules(&config)?;
    let identity = config.common.tls.identity()?;
    let database = Database::open(config.database_url.expose_secret()).await?;
    let listeners = Listeners {
        grpc: GrpcListener::open("BILLING_LISTEN", config.billing_listen, identity).await?,
        admin: listen::open("BILLING_ADMIN_LISTEN", config.billing_admin_listen).await?,
    };
    let settings = Settings {
        rules,
        clock: Arc::new(SystemClock),
        sweep_every: SWEEP_EVERY,
        queue_max: QUEUE_MAX,
        verify_every: config.verify_every.0,
        chain_every: config.chain_every.0,
    };
    let address = listeners.grpc.local_addr().context("read the gRPC address")?;
    tracing::info!(grpc.listen = %address, "serving");
    server::serve(listeners, database, settings, shutdown).await
}

/// What is sold on which terms.
///
/// # Errors
/// Names the line of the price list that cannot be used.
pub fn rules(config: &Config) -> Result<Rules, PriceFileError> {
    let file = config.prices_file.as_deref();
    Ok(Rules {
        prices: price_file::prices(file, config.price_per_operation, SystemClock.now())?,
        welcome: config.free_operations_count,
        hold_ttl: config.hold_ttl,
    })
}
