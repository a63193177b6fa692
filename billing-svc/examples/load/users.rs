//! Users to work with: half with free operations, half with money, made by the ledger itself.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use billing_svc::clock::SystemClock;
use billing_svc::config::Config;
use billing_svc::domain::{IdempotencyKey, Kopecks, PaymentId, Provider, ProviderAmount, UserId};
use billing_svc::ledger::{self, Ledger, OpenTopUp, Register, Rules, Settle};
use billing_svc::process;
use billing_svc::server::Database;
use billing_svc::store::Store;
use clap::Parser as _;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

/// The largest grant and the largest top-up: enough for any run.
pub(crate) const FREE_OPERATIONS: &str = "10000";
const KOPECKS: i64 = 1_000_000_000;
/// Writes under way while users are made: as many as one batch holds, twice.
const AT_ONCE: usize = 512;
const CHAINED_MAX: Duration = Duration::from_secs(600);
const QUEUE_MAX: usize = 4 * AT_ONCE;

/// Makes users 1 … `users`; odd ones have free operations, even ones money.
pub(crate) async fn make(database: &Database, users: i64) -> anyhow::Result<()> {
    match database {
        Database::Sqlite(store) => make_in(store, users).await,
        Database::Postgres(store) => make_in(store, users).await,
    }
}

async fn make_in<S: Store>(store: &S, users: i64) -> anyhow::Result<()> {
    let with_free = open(store, FREE_OPERATIONS)?;
    at_once((1..=users).step_by(2), |user| register(&with_free, user)).await?;
    let with_money = open(store, "0")?;
    at_once((2..=users).step_by(2), |user| register_with_money(&with_money, user)).await?;
    // In a store that has been running, only what is new is left to be chained.
    with_free.chainer().flush(CHAINED_MAX).await;
    with_money.chainer().flush(CHAINED_MAX).await;
    Ok(())
}

/// A ledger without a door, which writes as long as somebody has it.
pub(crate) fn open<S: Store>(store: &S, free_operations: &str) -> anyhow::Result<Ledger<S>> {
    let (ledger, writers) =
        ledger::open(store.clone(), rules(free_operations)?, Arc::new(SystemClock), QUEUE_MAX);
    tokio::spawn(writers.run());
    Ok(ledger)
}

fn rules(free_operations: &str) -> anyhow::Result<Rules> {
    let grant = format!("--free-operations-count={free_operations}");
    Ok(process::rules(&Config::try_parse_from(["load", &grant])?)?)
}

async fn at_once<W: Future<Output = anyhow::Result<()>>>(
    users: impl Iterator<Item = i64>,
    make: impl Fn(i64) -> W,
) -> anyhow::Result<()> {
    stream::iter(users.map(make)).buffer_unordered(AT_ONCE).try_collect().await
}

async fn register<S: Store>(ledger: &Ledger<S>, user: i64) -> anyhow::Result<()> {
    let user = UserId::new(user).context("users are counted from one")?;
    ledger.register(Register { user, profile: Default::default() }).await?;
    Ok(())
}

async fn register_with_money<S: Store>(ledger: &Ledger<S>, user: i64) -> anyhow::Result<()> {
    register(ledger, user).await?;
    let name = format!("load:{user}");
    let user = UserId::new(user).context("users are counted from one")?;
    let paid = ProviderAmount { minor_units: KOPECKS, currency: "RUB".to_owned() };
    let top_up = ledger
        .open_top_up(OpenTopUp {
            user,
            provider: Provider::new("load").context("a good name")?,
            paid: paid.clone(),
            credited: Kopecks::new(KOPECKS)?,
            key: IdempotencyKey::new(&name).context("a good key")?,
            snapshot: Vec::new(),
        })
        .await?;
    let payment = PaymentId::new(&name).context("a good id")?;
    ledger.settle(Settle { user, top_up: top_up.id, payment, paid }).await?;
    Ok(())
}
