//! How many jobs a second the pipeline takes, and what a job costs media-worker in CPU time:
//! `cargo build --workspace --bins --release`, then
//! `cargo run --release -p sandbox --example pipeline -- --workers 1,3 --jobs 2000`.
//!
//! billing-svc and media-worker are the shipped binaries. fal.ai is a server in this process that
//! answers at once: what is measured is our own work, and what is printed limits nothing but us.
//! Several workers share a store, so they need PostgreSQL: `TEST_POSTGRES_URL`.

#![allow(
    clippy::print_stdout,
    clippy::float_arithmetic,
    clippy::cast_precision_loss,
    reason = "figures for people, on their terminal"
)]

use std::collections::BTreeMap;
use std::net::TcpListener as StdListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use axum::extract::{Path as UrlPath, State};
use axum::http::{Method, Uri};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use clap::Parser;
use futures_util::StreamExt as _;
use proto::billing::v1::{RegisterUserRequest, ReserveRequest};
use proto::client::{Billing, Media, channel};
use proto::media::v1::{
    AckResultsRequest, JobId, JobState, Mode, SubmitJobRequest, watch_results_response,
};
use serde_json::json;

/// A store that takes no connection in this time is not coming.
const PATIENCE: Duration = Duration::from_secs(60);
/// Jobs that are handed over at once.
const CALLERS: usize = 32;
/// Free operations of each user, so that nobody has to pay.
const JOBS_PER_USER: usize = 4;

#[derive(Debug, Parser)]
struct Options {
    /// How many worker processes: a run for each.
    #[arg(long, value_delimiter = ',', default_value = "1,3")]
    workers: Vec<usize>,
    /// Jobs of a run.
    #[arg(long, default_value_t = 2000)]
    jobs: usize,
    /// `FAL_MAX_CONCURRENT` of the workers.
    #[arg(long, default_value_t = 40)]
    concurrent: usize,
    /// A PostgreSQL server that databases are made on; SQLite and one worker without it.
    #[arg(long, env = "TEST_POSTGRES_URL")]
    postgres: Option<String>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    rustls::crypto::ring::default_provider().install_default().ok();
    let options = Options::parse();
    let fal = serve_fal().await?;
    println!("workers  jobs/s  CPU of the workers per job  of billing per job");
    for &workers in &options.workers {
        if workers > 1 && options.postgres.is_none() {
            println!("{workers:7}  left out: several workers need TEST_POSTGRES_URL");
            continue;
        }
        let run = Run::start(&options, workers, &fal).await?;
        let figures = run.measure(options.jobs).await?;
        println!(
            "{workers:7}  {:6.0}  {:23.2} ms  {:15.2} ms",
            figures.rate, figures.worker_ms, figures.billing_ms
        );
    }
    Ok(())
}

/// What a run came to.
struct Figures {
    rate: f64,
    worker_ms: f64,
    billing_ms: f64,
}

/// The processes of a run; they end with it.
struct Run {
    folder: tempfile::TempDir,
    billing: (Child, Billing),
    workers: Vec<(Child, Media)>,
}

impl Run {
    async fn start(options: &Options, workers: usize, fal: &str) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let (billing_db, jobs_db) = match &options.postgres {
            Some(server) => (database(server).await?, database(server).await?),
            None => ("sqlite://billing.db".to_owned(), "sqlite://jobs.db".to_owned()),
        };
        let (billing_at, admin_at) = (free_address()?, free_address()?);
        let mut settings = BTreeMap::from([
            ("DATABASE_URL", billing_db),
            ("MEDIA_DATABASE_URL", jobs_db),
            ("BILLING_LISTEN", billing_at.clone()),
            ("BILLING_ADMIN_LISTEN", admin_at),
            ("BILLING_URL", format!("http://{billing_at}")),
            ("FAL_KEY", "id:secret".to_owned()),
            ("FAL_QUEUE_URL", fal.to_owned()),
            ("FAL_REST_URL", fal.to_owned()),
            ("FAL_API_URL", fal.to_owned()),
            ("FAL_MAX_CONCURRENT", options.concurrent.to_string()),
            ("RUST_LOG", "warn".to_owned()),
        ]);
        if options.postgres.is_some() {
            let migrated =
                command("billing-svc", folder.path(), &settings)?.arg("migrate").status()?;
            ensure!(migrated.success(), "billing-svc migrate failed");
        }
        let process = command("billing-svc", folder.path(), &settings)?.spawn()?;
        let client = Billing::new(channel(&format!("http://{billing_at}"))?);
        let mut run = Self { folder, billing: (process, client), workers: Vec::new() };
        for _ in 0..workers {
            let (listen, admin) = (free_address()?, free_address()?);
            settings.insert("MEDIA_LISTEN", listen.clone());
            settings.insert("MEDIA_ADMIN_LISTEN", admin.clone());
            let process = command("media-worker", run.folder.path(), &settings)?.spawn()?;
            run.workers.push((process, Media::new(channel(&format!("http://{listen}"))?)));
            ready(&admin).await?;
        }
        Ok(run)
    }

    async fn measure(&self, jobs: usize) -> anyhow::Result<Figures> {
        let submits = self.reserve(jobs).await?;
        let (workers, billing) = (self.worker_cpu(), cpu(self.billing.0.id()));
        let began = Instant::now();
        let ended = AtomicU64::new(0);
        let all = u64::try_from(submits.len())?;
        tokio::select! {
            done = async {
                self.submit(submits).await?;
                while ended.load(Ordering::Relaxed) < all {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                anyhow::Ok(())
            } => done?,
            stopped = self.take_results(&ended) => stopped?,
            () = tokio::time::sleep(PATIENCE * 5) => bail!("the jobs did not end"),
        }
        let took = began.elapsed().as_secs_f64();
        let per_job = |used: Duration| used.as_secs_f64() * 1000.0 / all as f64;
        Ok(Figures {
            rate: all as f64 / took,
            worker_ms: per_job(self.worker_cpu().saturating_sub(workers)),
            billing_ms: per_job(cpu(self.billing.0.id()).saturating_sub(billing)),
        })
    }

    /// Operations of many users, so that nobody's results wait for each other.
    async fn reserve(&self, jobs: usize) -> anyhow::Result<Vec<SubmitJobRequest>> {
        let billing = &self.billing.1;
        let users = futures_util::stream::iter(1..=jobs.div_ceil(JOBS_PER_USER));
        let reserved = users.map(|user| async move {
            let user_id = i64::try_from(user)?;
            billing.register_user(RegisterUserRequest { user_id, profile: None }).await?;
            let mut submits = Vec::new();
            for number in 0..JOBS_PER_USER {
                let reserved = billing.reserve(ReserveRequest {
                    user_id,
                    operation_type: "generate".to_owned(),
                    idempotency_key: format!("pipeline:{number}"),
                    ..ReserveRequest::default()
                });
                let operation = reserved.await?.operation.context("an operation")?;
                submits.push(SubmitJobRequest {
                    user_id,
                    operation_id: operation.operation_id,
                    mode: Mode::Generate.into(),
                    prompt: "a red cat on a roof".to_owned(),
                    ..SubmitJobRequest::default()
                });
            }
            anyhow::Ok(submits)
        });
        let mut submits = Vec::new();
        let mut reserved = reserved.buffer_unordered(CALLERS);
        while let Some(more) = reserved.next().await {
            submits.extend(more?);
        }
        submits.truncate(jobs);
        Ok(submits)
    }

    async fn submit(&self, submits: Vec<SubmitJobRequest>) -> anyhow::Result<()> {
        let submits = submits.into_iter().enumerate().map(|(nth, submit)| {
            let worker = self.workers[nth % self.workers.len()].1.clone();
            async move { worker.submit_job(submit).await }
        });
        let mut answers = futures_util::stream::iter(submits).buffer_unordered(CALLERS);
        while let Some(answer) = answers.next().await {
            answer?;
        }
        Ok(())
    }

    async fn take_results(&self, ended: &AtomicU64) -> anyhow::Result<()> {
        let watching = self.workers.iter().map(|(_, worker)| async move {
            let mut results = worker.watch_results().await?;
            while let Some(told) = results.message().await? {
                let Some(watch_results_response::Update::Ended(job)) = told.update else {
                    continue;
                };
                ensure!(job.state() == JobState::Succeeded, "a job failed: {job:?}");
                let id = JobId { user_id: job.user_id, operation_id: job.operation_id };
                worker.ack_results(AckResultsRequest { jobs: vec![id] }).await?;
                ended.fetch_add(1, Ordering::Relaxed);
            }
            bail!("a worker ended its stream")
        });
        futures_util::future::try_join_all(watching).await.map(|_: Vec<()>| ())
    }

    fn worker_cpu(&self) -> Duration {
        self.workers.iter().map(|(process, _)| cpu(process.id())).sum()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let workers = self.workers.iter_mut().map(|(process, _)| process);
        for process in workers.chain([&mut self.billing.0]) {
            process.kill().ok();
            process.wait().ok();
        }
    }
}

/// A binary beside this one, as `cargo build --release` leaves them.
fn command(
    name: &str,
    folder: &Path,
    settings: &BTreeMap<&'static str, String>,
) -> anyhow::Result<Command> {
    let example = std::env::current_exe()?;
    let built = example.ancestors().nth(2).context("a folder of built binaries")?;
    let binary: PathBuf = built.join(name);
    ensure!(binary.is_file(), "{} is missing: build the workspace first", binary.display());
    let mut command = Command::new(binary);
    command.current_dir(folder).env_clear().envs(settings).stdin(Stdio::null());
    Ok(command)
}

fn free_address() -> anyhow::Result<String> {
    Ok(StdListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

async fn ready(admin: &str) -> anyhow::Result<()> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        let answer = client.get(format!("http://{admin}/readyz")).send().await;
        if answer.is_ok_and(|answer| answer.status().is_success()) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    bail!("a service is not ready at {admin}")
}

/// A new database on the server.
async fn database(server: &str) -> anyhow::Result<String> {
    use sqlx::Connection as _;

    let name = format!("pipeline_{}", uuid::Uuid::new_v4().simple());
    let mut connection = sqlx::PgConnection::connect(server).await?;
    // Safe: the name was made above.
    let statement = sqlx::AssertSqlSafe(format!("create database {name}"));
    sqlx::raw_sql(statement).execute(&mut connection).await?;
    connection.close().await?;
    let (before, _) = server.rsplit_once('/').context("a database in TEST_POSTGRES_URL")?;
    Ok(format!("{before}/{name}"))
}

/// CPU time of a process, all its threads, as Linux counts it: in hundredths of a second.
fn cpu(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = stat.rsplit_once(") ").map_or("", |(_, rest)| rest).split(' ');
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(10 * ticks)
}

/// A fal.ai whose jobs are done when they are asked for.
struct Fal {
    base: String,
    picture: Vec<u8>,
    requests: AtomicU64,
}

async fn serve_fal() -> anyhow::Result<String> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let base = format!("http://{}", listener.local_addr()?);
    let mut picture = std::io::Cursor::new(Vec::new());
    image::RgbImage::from_pixel(64, 64, image::Rgb([200, 80, 40]))
        .write_to(&mut picture, image::ImageFormat::Png)?;
    let fal = Fal { base: base.clone(), picture: picture.into_inner(), requests: 0.into() };
    let routes =
        Router::new().route("/files/{name}", get(file)).fallback(queue).with_state(Arc::new(fal));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Ok(base)
}

async fn file(State(fal): State<Arc<Fal>>, UrlPath(_name): UrlPath<String>) -> Response {
    ([("content-type", "image/png")], fal.picture.clone()).into_response()
}

async fn queue(State(fal): State<Arc<Fal>>, method: Method, url: Uri) -> Response {
    if method == Method::POST {
        let number = fal.requests.fetch_add(1, Ordering::Relaxed);
        let request = format!("{}/app/model/requests/{number}", fal.base);
        return Json(json!({
            "status": "IN_QUEUE", "request_id": number.to_string(), "queue_position": 0,
            "response_url": request, "status_url": format!("{request}/status"),
            "cancel_url": format!("{request}/cancel"),
        }))
        .into_response();
    }
    if url.path().ends_with("/status") {
        return Json(json!({ "status": "COMPLETED", "logs": null, "metrics": {} })).into_response();
    }
    let name = url.path().rsplit('/').next().unwrap_or_default();
    let url = format!("{}/files/{name}.png", fal.base);
    let image = json!({ "url": url, "content_type": "image/png", "width": 64, "height": 64 });
    ([("x-fal-billable-units", "1")], Json(json!({ "images": [image] }))).into_response()
}
