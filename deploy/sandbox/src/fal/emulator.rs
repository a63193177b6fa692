//! The emulated fal.ai as a whole: its memory, its slots, its files.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::jobs::{Job, JobState, Memory};
use super::picture::Painter;
use super::{control, gate, runner, webhook};
use crate::document::Document;
use crate::faults::Faults;
use crate::seen::{Call, Seen, now_ms};
use crate::settings::Settings;

/// How many jobs are worked on at once.
const SLOTS: usize = 10;
/// How often files are looked at for their end.
const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// fal.ai on this machine.
#[derive(Debug)]
pub struct Fal {
    pub(super) settings: Arc<Settings>,
    pub(super) faults: Faults,
    pub(super) memory: Arc<Document<Memory>>,
    /// Folder of the files' bytes.
    pub(super) blobs: PathBuf,
    pub(super) calls: Seen<Call>,
    pub(super) http: reqwest::Client,
    /// Follows no redirects.
    pub(super) webhooks: reqwest::Client,
    pub(super) painter: Painter,
    pub(super) slots: Arc<Semaphore>,
    /// What stops a job, by its id.
    stops: Mutex<HashMap<String, CancellationToken>>,
}

impl Fal {
    /// Loads what was, and goes on with the jobs that had not ended.
    ///
    /// # Errors
    /// When the state on disk cannot be read.
    pub fn open(settings: Arc<Settings>, faults: Faults) -> anyhow::Result<Arc<Self>> {
        rustls::crypto::ring::default_provider().install_default().ok();
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::limited(5))
            .timeout(Duration::from_secs(20))
            .build()
            .context("build the client that downloads inputs")?;
        let webhooks = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .context("build the client that sends webhooks")?;
        let blobs = settings.data.join("fal-files");
        std::fs::create_dir_all(&blobs).with_context(|| blobs.display().to_string())?;
        let fal = Arc::new(Self {
            memory: Document::open(settings.data.join("fal.json"))?,
            settings,
            faults,
            blobs,
            calls: Seen::default(),
            http,
            webhooks,
            painter: Painter::new(),
            slots: Arc::new(Semaphore::new(SLOTS)),
            stops: Mutex::default(),
        });
        for id in fal.memory.read(Memory::unfinished) {
            fal.start(&id);
        }
        for job in fal.memory.read(Memory::untold) {
            webhook::start(&fal, &job);
        }
        tokio::spawn(sweep(Arc::downgrade(&fal)));
        Ok(fal)
    }

    /// Everything under `/fal`, and `/_sandbox/fal`.
    pub fn routes(self: &Arc<Self>) -> Router {
        gate::routes(self, "/fal").merge(control::routes(self))
    }

    /// The same without the prefix, for fal's own host names.
    pub fn root_routes(self: &Arc<Self>) -> Router {
        gate::routes(self, "")
    }

    /// Writes the state now, for a clean end.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub fn save(&self) -> anyhow::Result<()> {
        self.memory.save()
    }

    /// Begins to work on a job.
    pub(super) fn start(self: &Arc<Self>, id: &str) {
        let stop = CancellationToken::new();
        self.stops().insert(id.to_owned(), stop.clone());
        tokio::spawn(runner::run(Arc::clone(self), id.to_owned(), stop));
    }

    /// Tells a job to stop.
    pub(super) fn stop(&self, id: &str) {
        if let Some(stop) = self.stops().get(id) {
            stop.cancel();
        }
    }

    /// A job has ended.
    pub(super) fn forget_stop(&self, id: &str) {
        self.stops().remove(id);
    }

    /// The job with this id.
    pub(super) fn job(&self, id: &str) -> Option<Job> {
        self.memory.read(|memory| memory.jobs.get(id).cloned())
    }

    /// Whether the job has ended; a job that is not there has.
    pub(super) fn is_done(&self, id: &str) -> bool {
        self.memory.read(|memory| {
            memory.jobs.get(id).is_none_or(|job| matches!(job.state, JobState::Done(_)))
        })
    }

    fn stops(&self) -> std::sync::MutexGuard<'_, HashMap<String, CancellationToken>> {
        self.stops.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Deletes files whose time is over.
async fn sweep(fal: Weak<Fal>) {
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        let Some(fal) = fal.upgrade() else { return };
        let now = now_ms();
        let over = |expires: Option<i64>| expires.is_some_and(|expires| expires <= now);
        let any = fal.memory.read(|memory| {
            memory.files.values().any(|file| over(file.expires_ms))
                || memory.tokens.values().any(|expires| *expires <= now)
        });
        if !any {
            continue;
        }
        let blobs = fal.memory.write(|memory| {
            memory.tokens.retain(|_, expires| *expires > now);
            let (gone, kept) = std::mem::take(&mut memory.files)
                .into_iter()
                .partition::<std::collections::BTreeMap<_, _>, _>(|(_, file)| {
                over(file.expires_ms)
            });
            memory.files = kept;
            gone.into_values().map(|file| file.blob).collect::<Vec<_>>()
        });
        for blob in blobs {
            if let Err(error) = tokio::fs::remove_file(fal.blobs.join(blob)).await {
                tracing::warn!(error.cause = ?error, "an expired file could not be deleted");
            }
        }
    }
}
