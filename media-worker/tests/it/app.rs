//! A running worker on its own database, with fal.ai and billing beside it; in the product's
//! words.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use media_worker::add_text::TextRenderer;
use media_worker::board::Board;
use media_worker::fal::{Fal as FalClient, FalKeys, FalUrls, Models};
use media_worker::inspector::Inspector;
use media_worker::server::{self, App as Served, Listeners};
use media_worker::settings::Settings;
use media_worker::store::{BucketAccess, PictureStore, Store};
use media_worker::webhook::Keys;
use media_worker::worker::Parts;
use proto::billing::v1::OperationState;
use proto::client::{self, Media};
use proto::media::v1 as wire;
use proto::reason;
use proto::service::listen::GrpcListener;
use proto::service::shutdown::Shutdown;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::time::{Instant, sleep, timeout};
use tonic::{Status, Streaming};
use wire::watch_results_response::Update;
use wire::{JobState, Mode};

use crate::billing::{Billing, Held};
use crate::database::{Database, Engine};
use crate::fal::Fal;

pub(crate) const USER: i64 = 42;
/// Models of which none could take over.
const ONE_OF_EACH: &str = include_str!("one_of_each.toml");
/// How long anything that must happen may take on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// The worker's process, played by a runtime of its own: dropping it is a kill, at whatever await
/// each of its tasks is.
#[derive(Debug)]
pub(crate) struct Worker {
    runtime: Option<Runtime>,
    shutdown: Shutdown,
    pub(crate) url: String,
    webhooks: Option<std::net::SocketAddr>,
    served: tokio::task::JoinHandle<anyhow::Result<()>>,
}

impl Worker {
    /// Where it receives webhooks.
    pub(crate) fn http_url(&self) -> String {
        format!("http://{}", self.webhooks.expect("webhooks"))
    }

    pub(crate) fn kill(mut self) {
        self.runtime.take().unwrap().shutdown_background();
    }

    /// Waits until it ends by itself; answers with why.
    pub(crate) async fn fails(mut self) -> String {
        let ended = timeout(SOON, &mut self.served).await.expect("it goes on").unwrap();
        format!("{:#}", ended.expect_err("it ended well"))
    }

    /// As SIGTERM would; answers with how long it took.
    pub(crate) async fn stop(mut self) -> Duration {
        let since = Instant::now();
        self.shutdown.request();
        timeout(Duration::from_secs(10), &mut self.served).await.unwrap().unwrap().unwrap();
        self.runtime.take().unwrap().shutdown_background();
        since.elapsed()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[derive(Debug)]
pub(crate) struct App {
    pub(crate) worker: Option<Worker>,
    process_url: Option<String>,
    pub(crate) fal: Fal,
    pub(crate) billing: Billing,
    pub(crate) billing_url: String,
    pub(crate) settings: Settings,
    /// `FAL_KEY`.
    pub(crate) keys: &'static str,
    /// The models file.
    pub(crate) models: &'static str,
    pub(crate) database: Database,
    pub(crate) folder: TempDir,
    /// Where pictures lie, unless in the folder.
    pub(crate) bucket: Option<(String, BucketAccess)>,
    /// Where the keys of webhooks are; `None`: no webhooks.
    pub(crate) jwks_url: Option<String>,
}

fn no_bucket() -> BucketAccess {
    BucketAccess { endpoint: None, region: String::new(), key: None }
}

/// Everything that waits for a clock, made short.
pub(crate) fn quick() -> Settings {
    Settings {
        poll: (Duration::from_millis(20), Duration::from_millis(60)),
        pause: (Duration::from_millis(20), Duration::from_millis(80)),
        provider_pause: Duration::from_millis(50),
        lease: Duration::from_millis(1500),
        ..Settings::default()
    }
}

impl App {
    pub(crate) async fn start(engine: Engine) -> Self {
        Self::start_with(engine, quick()).await
    }

    pub(crate) async fn start_with(engine: Engine, settings: Settings) -> Self {
        let mut app = Self::prepare(engine, settings).await;
        app.restart().await;
        app
    }

    /// Everything but the worker.
    pub(crate) async fn prepare(engine: Engine, settings: Settings) -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        let folder = tempfile::tempdir().unwrap();
        let database = Database::create(engine, folder.path()).await;
        let billing = Billing::default();
        let billing_url = billing.serve().await;
        let fal = Fal::serve().await;
        Self {
            worker: None,
            process_url: None,
            fal,
            billing,
            billing_url,
            settings,
            keys: "test:key",
            models: ONE_OF_EACH,
            database,
            folder,
            bucket: None,
            jwks_url: None,
        }
    }

    /// Starts a worker, after the one before was killed or stopped.
    pub(crate) async fn restart(&mut self) {
        self.worker = Some(self.another_worker().await);
    }

    /// Starts one more worker on the same store.
    pub(crate) async fn another_worker(&self) -> Worker {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let (database, folder) = (self.database.url.clone(), self.folder.path().to_owned());
        let (fal, billing_url, settings) =
            (self.fal.url.clone(), self.billing_url.clone(), self.settings);
        let (models, keys) = (self.models, self.keys);
        let bucket = self.bucket.clone();
        let jwks_url = self.jwks_url.clone();
        let shutdown = Shutdown::new();
        let ending = shutdown.clone();
        let (told, bound) = tokio::sync::oneshot::channel();
        let served = runtime.spawn(async move {
            let url = |text: String| text.parse().unwrap();
            let http = match jwks_url {
                Some(_) => Some(TcpListener::bind("127.0.0.1:0").await.unwrap()),
                None => None,
            };
            let nowhere = || "http://127.0.0.1:1".to_owned();
            let webhook_keys = Keys::new(url(jwks_url.unwrap_or_else(nowhere))).unwrap();
            let urls = FalUrls {
                queue: url(fal.clone()),
                rest: url(fal.clone()),
                api: url(format!("{fal}/v1")),
                webhook: http
                    .as_ref()
                    .map(|http| url(format!("http://{}", http.local_addr().unwrap()))),
            };
            let folder_url = format!("file://{}", folder.join("pictures").display());
            let (pictures, access) = bucket.unwrap_or_else(|| (folder_url, no_bucket()));
            let parts = Parts {
                store: store(&database).await,
                pictures: PictureStore::open(&pictures, &access).await.unwrap(),
                fal: FalClient::new(urls, FalKeys::parse(&keys.into()).unwrap()).unwrap(),
                models: Arc::new(Models::parse(models).unwrap()),
                billing: client::Billing::new(client::channel(&billing_url).unwrap())
                    .with_deadline(Duration::from_millis(500)),
                inspector: Inspector::default(),
                board: Arc::new(Board::default()),
                settings,
            };
            let listener = || TcpListener::bind("127.0.0.1:0");
            let listeners = Listeners {
                grpc: GrpcListener::plain_text(listener().await.unwrap()).unwrap(),
                http,
                admin: listener().await.unwrap(),
            };
            let http = listeners.http.as_ref().map(|http| http.local_addr().unwrap());
            told.send((listeners.grpc.local_addr().unwrap(), http)).unwrap();
            let renderer = TextRenderer::new(None).unwrap();
            server::serve(Served::new(parts, renderer, webhook_keys), listeners, ending).await
        });
        let (grpc, webhooks) = bound.await.unwrap();
        let url = format!("http://{grpc}");
        Worker { runtime: Some(runtime), shutdown, url, webhooks, served }
    }

    pub(crate) fn kill(&mut self) {
        self.worker.take().unwrap().kill();
    }

    pub(crate) async fn stop(&mut self) -> Duration {
        self.worker.take().unwrap().stop().await
    }

    pub(crate) fn media(&self) -> Media {
        let url = match &self.worker {
            Some(worker) => &worker.url,
            None => self.process_url.as_ref().expect("a worker runs"),
        };
        Media::new(client::channel(url).unwrap())
    }

    /// The worker is a process of its own, at this address.
    pub(crate) fn worker_at(&mut self, url: &str) {
        self.process_url = Some(url.to_owned());
    }

    /// Uploads a picture in pieces.
    pub(crate) async fn upload(&self, bytes: &[u8]) -> Result<wire::UploadInputResponse, Status> {
        self.upload_as(USER, bytes).await
    }

    pub(crate) async fn upload_as(
        &self,
        user_id: i64,
        bytes: &[u8],
    ) -> Result<wire::UploadInputResponse, Status> {
        use wire::upload_input_request::Part;

        let header = Part::Header(wire::UploadInputHeader { user_id });
        let pieces =
            bytes.chunks(64 * 1024).map(|piece| Part::Piece(Bytes::copy_from_slice(piece)));
        let parts: Vec<_> = std::iter::once(header)
            .chain(pieces)
            .map(|part| wire::UploadInputRequest { part: Some(part) })
            .collect();
        let answer = self.media().streaming().upload_input(tokio_stream::iter(parts)).await?;
        Ok(answer.into_inner())
    }

    pub(crate) fn request(
        &self,
        mode: Mode,
        operation_id: &str,
        input_ids: Vec<String>,
    ) -> wire::SubmitJobRequest {
        wire::SubmitJobRequest {
            user_id: USER,
            operation_id: operation_id.to_owned(),
            mode: mode.into(),
            prompt: "рыжий кот в очках".to_owned(),
            input_ids,
            ..wire::SubmitJobRequest::default()
        }
    }

    pub(crate) async fn submit(
        &self,
        request: wire::SubmitJobRequest,
    ) -> Result<wire::Job, Status> {
        Ok(self.media().submit_job(request).await?.job.unwrap())
    }

    /// Reserves and submits a generation; answers with the operation.
    pub(crate) async fn generate(&self) -> String {
        let operation = self.billing.reserve(USER, "generate");
        self.submit(self.request(Mode::Generate, &operation, vec![])).await.unwrap();
        operation
    }

    /// The same for somebody, with words of theirs.
    pub(crate) async fn generate_for(&self, user_id: i64, prompt: &str) -> String {
        let operation = self.billing.reserve(user_id, "generate");
        let mut request = self.request(Mode::Generate, &operation, vec![]);
        request.user_id = user_id;
        prompt.clone_into(&mut request.prompt);
        self.submit(request).await.unwrap();
        operation
    }

    pub(crate) async fn job(&self, operation_id: &str) -> Result<wire::Job, Status> {
        let user_id = self.billing.owner(operation_id).unwrap_or(USER);
        let request = wire::GetJobRequest { user_id, operation_id: operation_id.to_owned() };
        Ok(self.media().get_job(request).await?.job.unwrap())
    }

    pub(crate) async fn cancel(&self, operation_id: &str) -> Result<wire::Job, Status> {
        let user_id = self.billing.owner(operation_id).unwrap_or(USER);
        let request = wire::CancelJobRequest { user_id, operation_id: operation_id.to_owned() };
        Ok(self.media().cancel_job(request).await?.job.unwrap())
    }

    pub(crate) async fn limits(&self, user_id: i64) -> wire::GetLimitsResponse {
        self.media().get_limits(wire::GetLimitsRequest { user_id }).await.unwrap()
    }

    /// Waits until the job is in one of these states.
    pub(crate) async fn until(&self, operation_id: &str, states: &[JobState]) -> wire::Job {
        let deadline = Instant::now() + SOON;
        loop {
            let job = self.job(operation_id).await.unwrap();
            if states.contains(&job.state()) {
                return job;
            }
            assert!(Instant::now() < deadline, "still {:?}: {job:?}", job.state());
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until the job ended.
    pub(crate) async fn ended(&self, operation_id: &str) -> wire::Job {
        self.until(operation_id, &[JobState::Succeeded, JobState::Failed]).await
    }

    /// Waits until billing has the commit of an operation.
    pub(crate) async fn until_committed(&self, operation_id: &str) {
        self.until_held(operation_id, |held| held.commits > 0).await;
    }

    /// Waits until a hold was extended so often.
    pub(crate) async fn until_extended(&self, operation_id: &str, times: u32) {
        self.until_held(operation_id, |held| held.extends >= times).await;
    }

    /// Waits until billing was asked so often in vain about an operation.
    pub(crate) async fn until_unanswered(&self, operation_id: &str, times: u32) {
        let deadline = Instant::now() + SOON;
        while self.billing.unanswered(operation_id) < times {
            assert!(Instant::now() < deadline, "billing was not asked");
            sleep(Duration::from_millis(5)).await;
        }
    }

    async fn until_held(&self, operation_id: &str, holds: impl Fn(&Held) -> bool) {
        let deadline = Instant::now() + SOON;
        loop {
            let held = self.billing.operation(operation_id);
            if holds(&held) {
                return;
            }
            assert!(Instant::now() < deadline, "still {held:?}");
            sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) async fn fetch(
        &self,
        operation_id: &str,
    ) -> Result<(wire::PictureHeader, Vec<u8>), Status> {
        use wire::fetch_result_response::Part;

        let request =
            wire::FetchResultRequest { user_id: USER, operation_id: operation_id.to_owned() };
        let mut parts = self.media().streaming().fetch_result(request).await?.into_inner();
        let mut header = None;
        let mut whole = Vec::new();
        while let Some(part) = parts.message().await? {
            match part.part.unwrap() {
                Part::Header(first) => header = Some(first),
                Part::Piece(piece) => whole.extend_from_slice(&piece),
            }
        }
        Ok((header.unwrap(), whole))
    }

    pub(crate) async fn watch(&self) -> Watch {
        Watch { stream: self.media().watch_results().await.unwrap() }
    }

    pub(crate) async fn ack(&self, job: &wire::Job) {
        let id = wire::JobId { user_id: job.user_id, operation_id: job.operation_id.clone() };
        let request = wire::AckResultsRequest { jobs: vec![id] };
        self.media().ack_results(request).await.unwrap();
    }

    /// Every job ended as its operation did, nothing was submitted twice, and the key went
    /// nowhere but to the queue.
    pub(crate) async fn check_books(&self) {
        let mut jobs = 0;
        for (id, held) in self.billing.operations() {
            let job = match self.job(&id).await {
                Ok(job) => job,
                Err(status) => {
                    assert_eq!(reason::of(&status).as_deref(), Some(reason::JOB_NOT_FOUND));
                    continue;
                }
            };
            jobs += 1;
            match job.state() {
                JobState::Succeeded => assert_eq!(held.state, OperationState::Committed, "{id}"),
                JobState::Failed if job.charged => {
                    assert_eq!((held.state, held.refunds), (OperationState::Committed, 0), "{id}");
                }
                JobState::Failed => assert_eq!(held.state, OperationState::Refunded, "{id}"),
                open => panic!("the test left a job in {open:?}"),
            }
        }
        if self.models == ONE_OF_EACH {
            let taken = self.fal.taken();
            assert!(taken.len() <= jobs, "more submits than jobs: {taken:?}");
        }
        // A job that was taken over was submitted to several endpoints, to each once.
        let mut submits = std::collections::HashMap::new();
        for taken in self.fal.taken() {
            *submits.entry(taken.endpoint).or_insert(0) += 1;
        }
        let most = submits.values().max().copied().unwrap_or(0);
        assert!(most <= jobs, "more submits than jobs: {:?}", self.fal.taken());
        assert_eq!(self.fal.leaks(), Vec::<String>::new());
    }
}

/// A watcher of results.
#[derive(Debug)]
pub(crate) struct Watch {
    stream: Streaming<wire::WatchResultsResponse>,
}

impl Watch {
    pub(crate) async fn next(&mut self) -> Option<Update> {
        let message = timeout(SOON, self.stream.message()).await.expect("nothing was told");
        message.ok().flatten().map(|message| message.update.unwrap())
    }

    /// The next end, past any progress.
    pub(crate) async fn next_ended(&mut self) -> wire::Job {
        loop {
            match self.next().await.expect("the stream ended") {
                Update::Ended(job) => return job,
                Update::Progress(_) => {}
            }
        }
    }

    /// Asserts that nothing ended is told for a while.
    pub(crate) async fn nothing_ended_for(&mut self, pause: Duration) {
        let told = timeout(pause, self.next_ended()).await;
        assert!(told.is_err(), "told: {told:?}");
    }
}

/// Connects; the process before may not have let go of the file yet.
async fn store(url: &str) -> Store {
    let deadline = Instant::now() + SOON;
    loop {
        match Store::connect(url).await {
            Ok(store) => return store,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        sleep(Duration::from_millis(10)).await;
    }
}

/// The reason of a refusal.
pub(crate) fn refused<T: std::fmt::Debug>(answer: Result<T, Status>) -> String {
    let status = answer.expect_err("not refused");
    reason::of(&status).unwrap_or_else(|| panic!("no reason: {status:?}"))
}
