//! What fal.ai remembers: jobs, files, uploads.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::Outcome;
use crate::faults::FalFault;

/// Longest text of an input that is kept once the job has ended: pictures inside the input go.
const KEPT_TEXT: usize = 60_000;

/// Everything that outlives a run.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Memory {
    pub(super) next_number: u64,
    pub(super) jobs: BTreeMap<String, Job>,
    /// By the path under `/files/`.
    pub(super) files: BTreeMap<String, StoredFile>,
    /// By the secret in the upload URL.
    pub(super) uploads: BTreeMap<String, Upload>,
    /// CDN tokens, with the time of their end.
    pub(super) tokens: BTreeMap<String, i64>,
}

/// One accepted submit.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Job {
    pub(super) request_id: String,
    /// Order of arrival.
    pub(super) number: u64,
    pub(super) endpoint_id: String,
    pub(super) input: Value,
    /// How the caller reached us; links to the result's files begin with it.
    pub(super) base: String,
    pub(super) submitted_ms: i64,
    /// When it left the queue.
    #[serde(default)]
    pub(super) started_ms: Option<i64>,
    #[serde(default)]
    pub(super) ended_ms: Option<i64>,
    pub(super) fault: Option<JobFault>,
    /// The caller's `X-Fal-Request-Timeout`: it must have started by then.
    pub(super) start_by_ms: Option<i64>,
    /// How long the output files live; `None` for ever.
    pub(super) files_live_s: Option<i64>,
    /// Where it is told that the job is over, until that is done.
    #[serde(default)]
    pub(super) webhook: Option<String>,
    pub(super) state: JobState,
    pub(super) logs: Vec<Log>,
}

/// A fault that struck at the submit and shows later.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct JobFault {
    pub(super) kind: FalFault,
    /// Struck by a counted switch, which has switched itself off since.
    pub(super) counted: bool,
}

/// Where a job stands.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum JobState {
    Queued,
    Running,
    Done(Outcome),
}

/// One line of a job's log.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Log {
    pub(super) message: String,
    pub(super) level: String,
    pub(super) source: String,
    pub(super) timestamp: String,
}

/// A file on the CDN; the bytes lie beside the document.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct StoredFile {
    pub(super) content_type: String,
    pub(super) file_name: String,
    /// Name on disk.
    pub(super) blob: String,
    pub(super) size: usize,
    pub(super) expires_ms: Option<i64>,
}

/// An upload that was begun.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Upload {
    /// The path that the file will have.
    pub(super) path: String,
    pub(super) content_type: String,
    pub(super) file_name: String,
    pub(super) lives_s: Option<i64>,
    /// The parts on disk, by number, for an upload in parts.
    pub(super) parts: Option<BTreeMap<u32, String>>,
}

impl Memory {
    /// How many wait before this job.
    pub(super) fn position(&self, job: &Job) -> usize {
        self.jobs
            .values()
            .filter(|other| matches!(other.state, JobState::Queued) && other.number < job.number)
            .count()
    }

    /// Jobs that have ended, and of which somebody is still to be told.
    pub(super) fn untold(&self) -> Vec<Job> {
        let is_untold =
            |job: &&Job| job.webhook.is_some() && matches!(job.state, JobState::Done(_));
        self.jobs.values().filter(is_untold).cloned().collect()
    }

    /// Jobs that have not ended, in order of arrival.
    pub(super) fn unfinished(&self) -> Vec<String> {
        let mut open: Vec<_> = self
            .jobs
            .values()
            .filter(|job| !matches!(job.state, JobState::Done(_)))
            .map(|job| (job.number, job.request_id.clone()))
            .collect();
        open.sort();
        open.into_iter().map(|(_, id)| id).collect()
    }
}

impl Job {
    /// Ends the job; the pictures inside its input are no longer needed.
    pub(super) fn finish(&mut self, outcome: Outcome, now: i64) {
        self.ended_ms = Some(now);
        self.state = JobState::Done(outcome);
        self.input = shortened(&self.input, KEPT_TEXT);
    }
}

/// The same value with long texts cut.
pub(super) fn shortened(value: &Value, longest: usize) -> Value {
    match value {
        Value::String(text) if text.len() > longest => {
            let head: String = text.chars().take(64).collect();
            format!("{head}… ({} characters)", text.chars().count()).into()
        }
        Value::Array(items) => items.iter().map(|item| shortened(item, longest)).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, field)| (name.clone(), shortened(field, longest)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        other => other.clone(),
    }
}
