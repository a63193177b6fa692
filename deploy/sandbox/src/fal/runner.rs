//! Works on a job: waits for a slot, gets the inputs, makes the picture, stores the result.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image::{DynamicImage, RgbImage};
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use super::emulator::Fal;
use super::endpoints::{Add, Endpoint, Shape, Work, find};
use super::error::{FieldError, Kind, Outcome};
use super::input::{Task, read};
use super::jobs::{Job, JobState, Log};
use super::picture::{Unreadable, decode, encode};
use super::storage::NewFile;
use super::webhook;
use crate::faults::FalFault;
use crate::seen::{now_ms, timestamp};

/// How long a job takes unless the switch says otherwise.
const WORK_MS: u64 = 1200;
/// How often a hanging job looks whether the switch is still on.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// From acceptance to the end, whatever it is.
pub(super) async fn run(fal: Arc<Fal>, id: String, stop: CancellationToken) {
    let Some(job) = fal.job(&id) else { return };
    let work_ms = fal.faults.all().fal_work_ms.unwrap_or(WORK_MS);
    let outcome = match queue(&fal, &job, work_ms / 4, &stop).await {
        Err(outcome) => outcome,
        Ok(slot) => {
            fal.begin(&id, &format!("working on {}", job.endpoint_id));
            let began = now_ms();
            let outcome = tokio::select! {
                biased;
                () = stop.cancelled() => Outcome::canceled(),
                outcome = work(&fal, &job, work_ms - work_ms / 4) => outcome,
            };
            drop(slot);
            Outcome { took_ms: now_ms() - began, ..outcome }
        }
    };
    fal.memory.write(|memory| {
        if let Some(job) = memory.jobs.get_mut(&id) {
            job.finish(outcome, now_ms());
        }
    });
    fal.forget_stop(&id);
    webhook::start(&fal, &job);
}

/// Waits for a slot, but no longer than the caller and the caller's patience.
async fn queue(
    fal: &Fal,
    job: &Job,
    pause_ms: u64,
    stop: &CancellationToken,
) -> Result<OwnedSemaphorePermit, Outcome> {
    let start = async {
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        Arc::clone(&fal.slots).acquire_owned().await
    };
    let too_late = async {
        let Some(start_by) = job.start_by_ms else { return std::future::pending().await };
        let left = u64::try_from(start_by - now_ms()).unwrap_or(0);
        tokio::time::sleep(Duration::from_millis(left)).await;
    };
    tokio::select! {
        biased;
        () = stop.cancelled() => Err(Outcome::canceled()),
        slot = start => slot.map_err(|_| Outcome::platform(503, "runner_scheduling_failure", "")),
        () = too_late => Err(Outcome::too_late()),
    }
}

async fn work(fal: &Arc<Fal>, job: &Job, rest_ms: u64) -> Outcome {
    let pause = tokio::time::sleep(Duration::from_millis(rest_ms));
    let (outcome, ()) = tokio::join!(result(fal, job), pause);
    outcome
}

async fn result(fal: &Arc<Fal>, job: &Job) -> Outcome {
    let Some(endpoint) = find(&job.endpoint_id) else {
        let app = super::endpoints::app(&job.endpoint_id);
        let path = job.endpoint_id.strip_prefix(&app).unwrap_or_default();
        return Outcome::no_path(path.trim_start_matches('/'));
    };
    if let Some(refusal) = struck(fal, job, endpoint).await {
        return refusal;
    }
    let seed = job
        .request_id
        .bytes()
        .fold(7, |seed: u64, byte| seed.wrapping_mul(31).wrapping_add(byte.into()));
    let task = match read(endpoint, &job.input, seed % 4_294_967_296) {
        Ok(task) => task,
        Err(wrong) => return Outcome::refused(&wrong),
    };
    let inputs = match inputs(fal, &task).await {
        Ok(inputs) => inputs,
        Err(wrong) => return Outcome::refused(&[wrong]),
    };
    make(fal, job, endpoint, Arc::new((task, inputs))).await
}

/// What the switch says, for the faults that show here.
async fn struck(fal: &Fal, job: &Job, endpoint: &Endpoint) -> Option<Outcome> {
    let fault = job.fault?;
    match fault.kind {
        FalFault::Refuse => {
            Some(Outcome::refused(&[FieldError::of("prompt", Kind::ContentPolicy)]))
        }
        FalFault::NoFace => {
            let field = match endpoint.work {
                Work::FaceSwap { face, .. } => face,
                _ => "image_url",
            };
            Some(Outcome::refused(&[FieldError::of(field, Kind::FaceDetection)]))
        }
        FalFault::Fail => Some(Outcome::refused(&[FieldError::body_wide(Kind::Internal)])),
        FalFault::Hang => {
            // A counted switch is off by now: its job hangs until it is canceled.
            while fault.counted || fal.faults.all().fal == Some(FalFault::Hang) {
                tokio::time::sleep(LOOK_EVERY).await;
            }
            None
        }
        FalFault::DropSubmit | FalFault::Locked | FalFault::FileGone | FalFault::Nsfw => None,
    }
}

async fn inputs(fal: &Fal, task: &Task) -> Result<Vec<DynamicImage>, FieldError> {
    let mut inputs = Vec::new();
    for source in &task.sources {
        let bytes = fal.download(&source.url).await.map_err(|kind| source.wrong(kind))?;
        let decoded = tokio::task::spawn_blocking(move || decode(&bytes)).await;
        let picture = decoded.map_err(|_| source.wrong(Kind::ImageLoad))?;
        inputs.push(picture.map_err(|why| {
            source.wrong(match why {
                Unreadable::Format => Kind::UnsupportedFormat,
                Unreadable::Size => Kind::ImageTooLarge,
                Unreadable::Content => Kind::ImageLoad,
            })
        })?);
    }
    Ok(inputs)
}

/// One picture as it goes out.
struct Made {
    bytes: Vec<u8>,
    width: u32,
    height: u32,
}

async fn make(
    fal: &Arc<Fal>,
    job: &Job,
    endpoint: &'static Endpoint,
    what: Arc<(Task, Vec<DynamicImage>)>,
) -> Outcome {
    let nsfw = job.fault.is_some_and(|fault| fault.kind == FalFault::Nsfw);
    let mut images = Vec::new();
    for number in 0..what.0.count {
        let (fal_too, what_too) = (Arc::clone(fal), Arc::clone(&what));
        let made = tokio::task::spawn_blocking(move || {
            let (task, inputs) = &*what_too;
            let picture = fal_too.painter.make(endpoint.work, task, inputs, number)?;
            let picture = if nsfw { black(&picture) } else { picture };
            let (width, height) = (picture.width(), picture.height());
            Some(encode(&picture, task.format).map(|bytes| Made { bytes, width, height }))
        })
        .await;
        let made = match made {
            Ok(Some(Ok(made))) => made,
            Ok(None) => {
                let wrong = match what.0.sources.first() {
                    Some(source) => source.wrong(Kind::ImageTooLarge),
                    None => FieldError::of("image_size", Kind::OutOfRange),
                };
                return Outcome::refused(&[wrong]);
            }
            Ok(Some(Err(_))) | Err(_) => {
                return Outcome::refused(&[FieldError::body_wide(Kind::Internal)]);
            }
        };
        match image(fal, job, &what.0, made).await {
            Ok(image) => images.push(image),
            Err(error) => {
                tracing::error!(error.cause = ?error, "a result could not be stored");
                return Outcome::refused(&[FieldError::body_wide(Kind::Internal)]);
            }
        }
    }
    Outcome::output(output(endpoint, &what.0, images, nsfw), what.0.count)
}

fn black(picture: &DynamicImage) -> DynamicImage {
    RgbImage::new(picture.width(), picture.height()).into()
}

/// The picture as the output names it: stored on the CDN, or inside the answer.
async fn image(fal: &Fal, job: &Job, task: &Task, made: Made) -> anyhow::Result<Value> {
    let content_type = task.format.content_type();
    let size = made.bytes.len();
    let file_name =
        format!("{}.{}", &hex::encode(uuid::Uuid::new_v4())[..16], task.format.extension());
    let url = if task.inline {
        format!("data:{content_type};base64,{}", STANDARD.encode(&made.bytes))
    } else {
        let path = fal.new_path(&file_name);
        if job.fault.is_some_and(|fault| fault.kind == FalFault::FileGone) {
            // The link leads nowhere, as one does whose file has expired.
        } else {
            let file = NewFile {
                path: path.clone(),
                content_type: content_type.to_owned(),
                file_name: file_name.clone(),
                lives_s: job.files_live_s,
            };
            fal.store(file, made.bytes).await?;
        }
        fal.file_url(&job.base, &path)
    };
    Ok(json!({
        "url": url,
        "content_type": content_type,
        "file_name": file_name,
        "file_size": size,
        "width": made.width,
        "height": made.height,
    }))
}

fn output(endpoint: &Endpoint, task: &Task, mut images: Vec<Value>, nsfw: bool) -> Value {
    let count = images.len();
    let mut output = match endpoint.shape {
        Shape::Images { .. } => json!({ "images": images }),
        Shape::Image => json!({ "image": images.pop() }),
    };
    if nsfw {
        output["has_nsfw_concepts"] = vec![true; count].into();
    }
    for add in endpoint.adds {
        match add {
            Add::Seed => output["seed"] = task.seed.into(),
            Add::Description => output["description"] = "".into(),
            Add::Nsfw if !nsfw => output["has_nsfw_concepts"] = vec![false; count].into(),
            Add::Nsfw => {}
            Add::Timings => output["timings"] = json!({ "inference": 1 }),
            Add::Prompt => output["prompt"] = task.prompt.clone().into(),
        }
    }
    output
}

impl Fal {
    /// A job leaves the queue, with the first line of its log.
    fn begin(&self, id: &str, message: &str) {
        self.memory.write(|memory| {
            let Some(job) = memory.jobs.get_mut(id) else { return };
            let now = now_ms();
            job.state = JobState::Running;
            job.started_ms = Some(now);
            job.logs.push(Log {
                message: message.to_owned(),
                level: "INFO".to_owned(),
                source: "USER".to_owned(),
                timestamp: timestamp(now),
            });
        });
    }
}
