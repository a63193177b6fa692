//! Puts the parts together and runs them until the shutdown; tests use it too.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use proto::client::{Billing, Media, Payments, connect};
use proto::service::admin::{self, Readiness};
use proto::service::shutdown::Shutdown;
use proto::service::tls;
use proto::tls::identity::Identity;
use secrecy::ExposeSecret as _;
use teloxide::dispatching::UpdateHandler;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::app::App;
use crate::config::Config;
use crate::events;
use crate::executor::Executor;
use crate::handlers::error::HandlerError;
use crate::intake;
use crate::operators::Operators;
use crate::purchases;
use crate::results;
use crate::schema::{offered, schema};
use crate::store::{Store, now_ms};
use crate::telegram::Telegram;

/// How long a handler waits for billing and media-worker, with all tries of one call.
const CALL_DEADLINE: Duration = Duration::from_secs(4);
/// payment-gateway asks the provider before it answers.
const PAYMENT_DEADLINE: Duration = Duration::from_secs(10);
const PURGE_EVERY: Duration = Duration::from_secs(3600);
const DAY_MS: i64 = 24 * 3600 * 1000;
/// Telegram repeats an update for a day at most.
const INBOX_LIFE_MS: i64 = 2 * DAY_MS;
/// How works were made. Whoever repeats an older one would miss its pictures, which media-worker
/// keeps about a day.
const REQUESTS_LIFE_MS: i64 = 2 * DAY_MS;
/// What was told, sold and linked: longer than anything is handed to us again.
const RECORDS_LIFE_MS: i64 = 30 * DAY_MS;

/// Runs the bot until the shutdown.
///
/// # Errors
/// When a setting cannot be used, the database cannot be opened, or Telegram does not know the bot.
pub async fn serve(
    config: Config,
    admin_listener: TcpListener,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    serve_schema(config, admin_listener, shutdown, schema()).await
}

/// As [`serve`], with another tree of handlers.
///
/// # Errors
/// As [`serve`].
pub async fn serve_schema(
    config: Config,
    admin_listener: TcpListener,
    shutdown: Shutdown,
    schema: UpdateHandler<HandlerError>,
) -> anyhow::Result<()> {
    let identity = config.common.tls.identity()?;
    let app = Arc::new(app(&config, identity.clone()).await?);
    let readiness = Readiness::new();
    let admin = tokio::spawn(admin::serve(admin_listener, readiness.clone(), shutdown.clone()));
    readiness.set(true);

    let mut loops = JoinSet::new();
    loops.spawn(events::run(Arc::clone(&app), shutdown.clone()));
    loops.spawn(results::run(Arc::clone(&app), shutdown.clone()));
    loops.spawn(purchases::run(Arc::clone(&app), shutdown.clone()));
    loops.spawn(purge(Arc::clone(&app), shutdown.clone()));
    loops.spawn(tls::keep_current(identity, shutdown.clone()));
    let mut talking = pin!(converse(&app, schema, &shutdown));
    let talked = tokio::select! {
        talked = &mut talking => talked,
        // None of the loops ends before the shutdown, unless it panics.
        Some(ended) = loops.join_next() => {
            shutdown.request();
            let talked = talking.await;
            ended.context("a background loop panicked").and(talked)
        }
    };
    shutdown.request();
    while let Some(ended) = loops.join_next().await {
        ended.context("a background loop panicked")?;
    }
    app.store.close().await;
    admin.await.context("the admin address panicked")?.context("serve the admin address")?;
    talked
}

async fn app(config: &Config, identity: Option<Identity>) -> anyhow::Result<App> {
    let store = Store::open(config.bot_database_url.expose_secret())
        .await
        .context("BOT_DATABASE_URL: the database cannot be opened")?;
    let telegram =
        Telegram::new(config.telegram_bot_token.clone(), config.telegram_api_url.clone())
            .context("TELEGRAM_API_URL: no client can be made")?;
    let identity = identity.as_ref();
    let billing = connect(config.billing_url.as_str(), identity).context("BILLING_URL")?;
    let payments = connect(config.payments_url.as_str(), identity).context("PAYMENTS_URL")?;
    let media = connect(config.media_url.as_str(), identity).context("MEDIA_URL")?;
    let operators = Operators::new(billing.clone())?;
    let services = (
        Billing::new(billing).with_deadline(CALL_DEADLINE),
        Payments::new(payments).with_deadline(PAYMENT_DEADLINE),
        Media::new(media).with_deadline(CALL_DEADLINE),
    );
    let app = App::new(telegram, store, services, operators);
    let support = config.bot_support.clone().filter(|contact| !contact.trim().is_empty());
    Ok(App {
        admins: config.bot_admin_ids.clone(),
        referral_free_operations: config.bot_referral_free_operations,
        support,
        ..app
    })
}

/// Talks to users until the shutdown: what is left in the inbox first, then what comes.
async fn converse(
    app: &Arc<App>,
    schema: UpdateHandler<HandlerError>,
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    let Some(me) = intake::introduce(app, shutdown).await? else { return Ok(()) };
    tracing::info!(bot.id = me.id.0, bot.username = me.username(), "talking to telegram");
    if let Err(error) = app.telegram.set_commands(&offered()).await {
        tracing::warn!(error.cause = %error, "commands not set");
    }
    let executor = Executor::new(Arc::clone(app), me, schema, shutdown.clone());
    for update in app.store.waiting().await.context("read the inbox")? {
        executor.add(update);
    }
    let polled = intake::run(Arc::clone(app), executor.clone(), shutdown.clone()).await;
    shutdown.request();
    executor.drain().await;
    Ok(polled?)
}

/// Forgets what is no longer needed, every hour.
async fn purge(app: Arc<App>, shutdown: Shutdown) {
    loop {
        let now = now_ms();
        let store = &app.store;
        let purged = async {
            store.purge_inbox(now - INBOX_LIFE_MS).await?;
            store.purge_told(now - RECORDS_LIFE_MS).await?;
            store.purge_requests(now - REQUESTS_LIFE_MS).await?;
            store.purge_jobs(now - RECORDS_LIFE_MS).await?;
            store.purge_top_ups(now - RECORDS_LIFE_MS).await
        };
        if let Err(error) = purged.await {
            tracing::error!(error.cause = ?error, "old rows not forgotten");
        }
        if shutdown.until(sleep(PURGE_EVERY)).await.is_none() {
            return;
        }
    }
}
