//! Puts the pieces together and serves; tests use it too.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::FutureExt as _;
use proto::billing::v1::admin_service_server::{self, AdminServiceServer};
use proto::billing::v1::billing_service_server::{BillingServiceServer, SERVICE_NAME};
use proto::service::admin::{self, Readiness};
use proto::service::grpc;
use proto::service::listen::GrpcListener;
use proto::service::shutdown::Shutdown;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tonic::service::Routes;
use tonic::service::interceptor::InterceptedService;

use crate::clock::Clock;
use crate::grpc::{AdminDoor, Service};
use crate::ledger::{self, Rules};
use crate::store::postgres::{self, PostgresStore};
use crate::store::sqlite::SqliteStore;
use crate::store::{OpenError, Store};

/// How often accounts that nobody asks about are touched.
pub const SWEEP_EVERY: Duration = Duration::from_secs(15);
/// Requests that may wait to be written: a second's worth or so on a small machine.
pub const QUEUE_MAX: usize = 4096;

/// No message is larger; a batch of a hundred with all that an item may carry comes near.
const REQUEST_MAX_BYTES: usize = 1024 * 1024;
/// Calls that outlive the time to drain keep the writer from ending, and a probe that was only
/// half asked the admin address; nobody waits for them.
const WRITE_OUT_MAX: Duration = Duration::from_secs(3);
/// What is not chained by then is found at the next start.
const CHAIN_OUT_MAX: Duration = Duration::from_secs(1);
/// A connection whose other end is gone cannot be closed in good order.
const CLOSE_MAX: Duration = Duration::from_secs(3);
const SKEW_CHECK_EVERY: Duration = Duration::from_secs(10);
/// Replicas whose clocks are further apart than this would disagree about what is overdue.
const SKEW_MAX_MICROS: u64 = 1_000_000;

/// Where the process is reached.
#[derive(Debug)]
pub struct Listeners {
    pub grpc: GrpcListener,
    pub admin: TcpListener,
}

/// What a process is told apart from where it is reached.
#[derive(Clone, Debug)]
pub struct Settings {
    pub rules: Rules,
    pub clock: Arc<dyn Clock>,
    pub sweep_every: Duration,
    pub queue_max: usize,
    /// How often the whole ledger is verified, if ever.
    pub verify_every: Option<Duration>,
    /// How often the hash chains are extended, if ever.
    pub chain_every: Option<Duration>,
}

/// The database of either engine.
#[derive(Clone, Debug)]
pub enum Database {
    Sqlite(SqliteStore),
    Postgres(PostgresStore),
}

impl Database {
    /// Opens the database at `url`. An SQLite file is migrated; a PostgreSQL one must be.
    ///
    /// # Errors
    /// Says which setting is wrong, or what to run.
    pub async fn open(url: &str) -> Result<Self, OpenError> {
        if is_postgres(url) {
            PostgresStore::open(url).await.map(Self::Postgres)
        } else {
            SqliteStore::open(url).await.map(Self::Sqlite)
        }
    }

    /// Brings the schema at `url` to this version.
    ///
    /// # Errors
    /// When the database cannot be reached or changed.
    pub async fn migrate(url: &str) -> Result<(), OpenError> {
        if is_postgres(url) {
            postgres::migrate(url).await
        } else {
            SqliteStore::open(url).await.map(drop)
        }
    }
}

pub(crate) fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres://") || url.starts_with("postgresql://")
}

/// Serves until `shutdown`, then writes what waits and closes the database.
///
/// # Errors
/// When a part of the process ends that should not.
pub async fn serve(
    listeners: Listeners,
    database: Database,
    settings: Settings,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    match database {
        Database::Sqlite(store) => serve_on(listeners, store, settings, shutdown).await,
        Database::Postgres(store) => serve_on(listeners, store, settings, shutdown).await,
    }
}

async fn serve_on<S: Store>(
    listeners: Listeners,
    store: S,
    settings: Settings,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let clock = Arc::clone(&settings.clock);
    let (ledger, writers) = ledger::open(
        store.clone(),
        settings.rules,
        Arc::clone(&settings.clock),
        settings.queue_max,
    );
    let service = Arc::new(Service::new(ledger.clone(), shutdown.clone()));
    let admin_service = AdminServiceServer::from_arc(Arc::clone(&service))
        .max_decoding_message_size(REQUEST_MAX_BYTES);
    let service =
        BillingServiceServer::from_arc(service).max_decoding_message_size(REQUEST_MAX_BYTES);
    let routes =
        Routes::new(service).add_service(InterceptedService::new(admin_service, AdminDoor));

    let readiness = Readiness::new();
    let mut writing = tokio::spawn(writers.run());
    let mut beside = JoinSet::new();
    let sweep = ledger::sweep(ledger.clone(), settings.sweep_every, shutdown.clone());
    beside.spawn(sweep.map(Ok));
    if let Some(every) = settings.verify_every {
        let verify = ledger::verify::verify_periodically(store.audit(), every, shutdown.clone());
        beside.spawn(verify.map(Ok));
    }
    let chainer = ledger.chainer();
    if let Some(every) = settings.chain_every {
        beside.spawn(chainer.clone().run(every, shutdown.clone()).map(Ok));
    }
    let watch = watch_clock(store.clone(), clock, readiness.clone(), shutdown.clone());
    beside.spawn(watch.map(Ok));
    beside.spawn(admin::serve(listeners.admin, readiness, shutdown.clone()));
    let mut serving = tokio::spawn(grpc::serve(
        listeners.grpc,
        routes,
        &[SERVICE_NAME, admin_service_server::SERVICE_NAME],
        shutdown.clone(),
    ));

    let served = tokio::select! {
        ended = &mut serving => ended.context("serve gRPC").flatten(),
        // It cannot end while we have the ledger, unless it has died.
        ended = &mut writing => Err(anyhow::anyhow!("the writer ended: {ended:?}")),
        died = died_early(&mut beside, &shutdown) => Err(died),
    };
    shutdown.request();
    drop(ledger);
    let ends = async {
        let beside_ends = async { while beside.join_next().await.is_some() {} };
        let writing_ends = async {
            if !writing.is_finished() {
                drop((&mut writing).await);
            }
        };
        tokio::join!(beside_ends, writing_ends)
    };
    if tokio::time::timeout(WRITE_OUT_MAX, ends).await.is_err() {
        tracing::warn!("callers still held on when time to shut down was over");
        writing.abort();
    }
    if settings.chain_every.is_some() {
        chainer.flush(CHAIN_OUT_MAX).await;
    }
    if tokio::time::timeout(CLOSE_MAX, store.close()).await.is_err() {
        tracing::warn!("connections to the database were still busy at the end");
    }
    served
}

/// Ends only if a task beside gRPC ends though nobody has told it to.
async fn died_early(
    beside: &mut JoinSet<std::io::Result<()>>,
    shutdown: &Shutdown,
) -> anyhow::Error {
    let ended = beside.join_next().await;
    if shutdown.is_requested() {
        return std::future::pending().await;
    }
    anyhow::anyhow!(
        "something beside gRPC ended, such as the sweeper or the admin address: {ended:?}"
    )
}

/// Keeps the process out of service while its clock is not the database's.
async fn watch_clock<S: Store>(
    store: S,
    clock: Arc<dyn Clock>,
    readiness: Readiness,
    shutdown: Shutdown,
) {
    let mut is_apart = false;
    loop {
        let before = clock.now().as_micros();
        match store.database_time().await {
            Ok(Some(theirs)) => {
                // A clock may be set back at any moment.
                let after = clock.now().as_micros().max(before);
                // As far as it must be wrong, wherever within the call the database looked.
                let skew = theirs.as_micros().clamp(before, after).abs_diff(theirs.as_micros());
                let was_apart = std::mem::replace(&mut is_apart, skew > SKEW_MAX_MICROS);
                if is_apart != was_apart {
                    tracing::warn!(
                        skew_ms = skew / 1_000,
                        is_apart,
                        "clock compared with the database's"
                    );
                }
            }
            Ok(None) => {}
            // A database that is away makes nobody unready: calls say UNAVAILABLE.
            Err(error) => {
                tracing::warn!(error.cause = ?error, "the database's clock cannot be read");
            }
        }
        if shutdown.is_requested() {
            return;
        }
        readiness.set(!is_apart);
        if shutdown.until(tokio::time::sleep(SKEW_CHECK_EVERY)).await.is_none() {
            return;
        }
    }
}
