//! Claiming: two lanes of jobs, each bounded.

use std::sync::Arc;
use std::time::Duration;

use proto::client::Billing;
use proto::request_id;
use proto::service::shutdown::Shutdown;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::Instrument as _;

use crate::board::Board;
use crate::clock::{millis, now_ms};
use crate::fal::{Fal, Models};
use crate::inspector::Inspector;
use crate::settings::Settings;
use crate::store::{Claim, Lane, PictureStore, Places, Store, StoreError};

use super::breaker::Breaker;
use super::health::Health;
use super::{compare, hints, run, sweep, waiting, waiting_holds};

/// How often the store is asked for jobs that nobody spoke of: those of other processes, and
/// those that were put off.
const CLAIM_EVERY: Duration = Duration::from_millis(500);
/// Jobs that are settled at once.
const SETTLING_MAX: usize = 16;
/// How long steps that must not be cut may take at the end of the process.
const DRAIN_MAX: Duration = Duration::from_secs(8);

/// What a worker works with.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Jobs.
    pub store: Store,
    /// Their pictures.
    pub pictures: PictureStore,
    /// The provider.
    pub fal: Fal,
    /// The endpoints that do each mode.
    pub models: Arc<Models>,
    /// Where operations are settled.
    pub billing: Billing,
    /// What checks pictures.
    pub inspector: Inspector,
    /// What is told at once.
    pub board: Arc<Board>,
    /// Bounds.
    pub settings: Settings,
}

impl Parts {
    /// Jobs that may be at fal.ai at once, with all keys.
    pub fn places_max(&self) -> usize {
        self.settings.concurrent_max.saturating_mul(self.fal.keys())
    }
}

/// Works on jobs.
#[derive(Debug)]
pub struct Worker {
    pub(super) parts: Parts,
    pub(super) breaker: Breaker,
    pub(super) health: Health,
}

impl Worker {
    /// A worker of these parts.
    pub fn new(parts: Parts) -> Arc<Self> {
        Arc::new(Self { parts, breaker: Breaker::default(), health: Health::default() })
    }

    /// Works until `shutdown`; then gives back what it holds.
    pub async fn run(self: Arc<Self>, shutdown: Shutdown) {
        tokio::join!(
            self.lane(Lane::Work, &shutdown),
            self.lane(Lane::Settle, &shutdown),
            sweep::run(&self.parts, &shutdown),
            waiting::run(&self.parts, &shutdown),
            Box::pin(waiting_holds::run(&self.parts, &shutdown)),
            Box::pin(compare::run(&self.parts, &shutdown)),
            Box::pin(hints::run(&self.parts, &shutdown)),
        );
    }

    async fn lane(self: &Arc<Self>, lane: Lane, shutdown: &Shutdown) {
        let mut running = JoinSet::new();
        while !shutdown.is_requested() {
            let woken = self.parts.board.work();
            tokio::pin!(woken);
            // Before the store is asked, so that no word in between is missed.
            woken.as_mut().enable();
            let claimed = match self.claim(lane, running.len()).await {
                Some(claim) => {
                    running.spawn(self.work(claim, shutdown.clone()));
                    true
                }
                None => false,
            };
            gauge(lane, running.len());
            if claimed {
                continue;
            }
            tokio::select! {
                () = shutdown.requested() => {}
                () = &mut woken => {}
                () = sleep(CLAIM_EVERY) => {}
                Some(ended) = running.join_next() => report(ended),
            }
            while let Some(ended) = running.try_join_next() {
                report(ended);
            }
        }
        let drained = async {
            while let Some(ended) = running.join_next().await {
                report(ended);
            }
        };
        if timeout(DRAIN_MAX, drained).await.is_err() {
            tracing::warn!("jobs were still in a step when time to shut down was over");
        }
        gauge(lane, 0);
    }

    async fn claim(&self, lane: Lane, running: usize) -> Option<Claim> {
        let Parts { store, settings, .. } = &self.parts;
        let keys = self.breaker.usable(self.parts.fal.keys());
        let full = match lane {
            Lane::Work => running >= self.parts.places_max() || keys.is_empty(),
            Lane::Settle => running >= SETTLING_MAX,
        };
        if full {
            return None;
        }
        let (now, lease) = (now_ms(), millis(settings.lease));
        let claimed = match store.claim(lane, now, lease).await {
            Ok(None) if lane == Lane::Work => self.begin_next(keys, now, lease).await,
            claimed => claimed,
        };
        match claimed {
            Ok(claim) => claim,
            Err(error) => {
                let cause = format!("{:#}", anyhow::Error::new(error));
                tracing::warn!(error.cause = %cause, "jobs could not be claimed");
                None
            }
        }
    }

    async fn begin_next(
        &self,
        keys: Vec<i64>,
        now: i64,
        lease: i64,
    ) -> Result<Option<Claim>, StoreError> {
        let Parts { store, settings, .. } = &self.parts;
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let places = Places {
            keys,
            per_key: number(settings.concurrent_max),
            per_user: number(settings.jobs_per_user),
        };
        store.begin_next(&places, now, lease).await
    }

    fn work(
        self: &Arc<Self>,
        claim: Claim,
        shutdown: Shutdown,
    ) -> impl Future<Output = ()> + Send + 'static {
        let span = tracing::info_span!(
            "job",
            user.id = %claim.job.key.user,
            operation.id = %claim.job.key.operation,
            request.id = %claim.job.request_id,
        );
        let request_id = claim.job.request_id.clone();
        let work = run::run(Arc::clone(self), claim, shutdown).instrument(span);
        request_id::scope(request_id, work)
    }
}

fn gauge(lane: Lane, running: usize) {
    if lane == Lane::Work {
        metrics::gauge!("jobs_running").set(f64::from(u32::try_from(running).unwrap_or(u32::MAX)));
    }
}

/// A job whose step panicked keeps its lease until it runs out; then it is taken over, and given
/// up when that happens again and again.
fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(error.cause = %error, "a step of a job panicked");
    }
}
