//! The life of a job: `queued → submitting → submitted → committing → succeeded`, and from each
//! of the first four `→ refunding → failed`. A refusal of content beyond the day's number goes
//! `submitted → charging → failed`.
//!
//! A stage is stored before the step that it announces is taken, so whoever finds a job knows what
//! may have happened: in `submitting` the provider may have the work or not.

use std::fmt;
use std::str::FromStr;

use super::{BadId, Choices, InputId, JobKey, MicroUsd, Mode};

/// The work for one operation.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its name.
    pub key: JobKey,
    /// What is to be done.
    pub work: Work,
    /// Where it stands.
    pub stage: Stage,
    /// Request id under which it was submitted, for the logs of all services.
    pub request_id: String,
    /// How often it was claimed and not given back: how many workers it may have killed.
    pub attempts: i64,
    /// How often in a row a step has to be tried again later.
    pub tries: i64,
    /// When it was submitted, in milliseconds of the epoch.
    pub created_at: i64,
    /// When it is given up, in milliseconds of the epoch.
    pub deadline_at: i64,
    /// When it ended, in milliseconds of the epoch.
    pub ended_at: Option<i64>,
    /// Of the jobs that wait, the lowest turn is next.
    pub turn: i64,
    /// Endpoints that failed it and are not asked again.
    pub endpoints_failed: Vec<String>,
    /// The key whose place it has, or had.
    pub key_index: Option<i64>,
    /// Failed, and the operation was committed all the same.
    pub is_charged: bool,
    /// After a refusal: how many were still to be given back that day.
    pub refusals_left: Option<i64>,
}

/// What the caller asked for.
#[derive(Clone, Debug)]
pub struct Work {
    /// What to do.
    pub mode: Mode,
    /// Model; empty for the mode's default.
    pub model: String,
    /// The user's words; empty once they are forgotten.
    pub prompt: String,
    /// Pictures in order.
    pub inputs: Vec<InputId>,
    /// What else was chosen.
    pub choices: Choices,
}

/// Where a job stands, with what is known there.
#[derive(Clone, Debug)]
pub enum Stage {
    /// The provider knows nothing of it.
    Queued,
    /// About to be sent, or sent: the answer is not known.
    Submitting(Submission),
    /// The provider has it.
    Submitted(Submission, FalRequest),
    /// The picture is stored, billing is to make the hold final.
    Committing {
        /// The picture.
        result: ResultPicture,
        /// What it cost us.
        cost: MicroUsd,
        /// The provider's name for the work.
        fal_request_id: String,
    },
    /// There will be no picture, and billing is to make the hold final all the same.
    Charging(Failure),
    /// There will be no picture, billing is to give back what was taken.
    Refunding(Failure),
    /// Done; the operation is committed.
    Succeeded {
        /// The picture.
        result: ResultPicture,
    },
    /// Ended without a picture.
    Failed(Failure),
}

/// How a job is put to the provider.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Submission {
    /// Endpoint id, such as `fal-ai/nano-banana-2/edit`.
    pub endpoint: String,
    /// Which of the configured keys is used, by number.
    pub key_index: i64,
    /// The body, as it is sent.
    pub body: String,
    /// What the address of its webhook ends in; `None` without webhooks.
    pub webhook_token: Option<String>,
    /// When, in milliseconds of the epoch.
    pub at: i64,
}

/// The provider's names for submitted work.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FalRequest {
    /// Its id.
    pub id: String,
    /// Where its status is read.
    pub status_url: String,
    /// Where its result is read.
    pub response_url: String,
    /// Where it is cancelled.
    pub cancel_url: String,
}

/// A picture that was made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ResultPicture {
    /// Name of its file; `None` once it is no longer kept.
    pub file: Option<String>,
    /// `image/jpeg`, `image/png` or `image/webp`.
    pub content_type: String,
    /// Bytes.
    pub size: i64,
    /// Pixels.
    pub width: i64,
    /// Pixels.
    pub height: i64,
}

/// Why there is no picture.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Failure {
    /// As far as the user can do something about it.
    pub reason: FailureReason,
    /// What the provider said, such as `face_detection_error`.
    pub detail: String,
}

impl Failure {
    /// A failure with what the provider said, cut to what is safe to keep and to log.
    pub fn new(reason: FailureReason, detail: &str) -> Self {
        let detail = detail.chars().filter(|c| c.is_ascii_graphic()).take(DETAIL_MAX).collect();
        Self { reason, detail }
    }
}

/// The longest detail that is kept of a failure, in characters.
const DETAIL_MAX: usize = 100;

/// Why a job failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FailureReason {
    /// The provider refused the content.
    ContentRefused,
    /// The provider cannot use the pictures or the prompt.
    BadInput,
    /// No face was found in one of the pictures.
    NoFace,
    /// The provider failed.
    ProviderFailed,
    /// The provider has too much work, and no other endpoint could take it.
    Overloaded,
    /// The provider does not work for our account: its key or its balance.
    ProviderLocked,
    /// It took too long.
    TimedOut,
    /// It cannot be known whether the provider has the work.
    OutcomeUnknown,
    /// The hold had expired, and the price could not be taken again.
    HoldExpired,
    /// The user cancelled it.
    Cancelled,
}

impl FailureReason {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::ContentRefused,
        Self::BadInput,
        Self::NoFace,
        Self::ProviderFailed,
        Self::Overloaded,
        Self::ProviderLocked,
        Self::TimedOut,
        Self::OutcomeUnknown,
        Self::HoldExpired,
        Self::Cancelled,
    ];

    /// How it is stored, logged and counted.
    pub fn name(self) -> &'static str {
        match self {
            Self::ContentRefused => "content_refused",
            Self::BadInput => "bad_input",
            Self::NoFace => "no_face",
            Self::ProviderFailed => "provider_failed",
            Self::Overloaded => "overloaded",
            Self::ProviderLocked => "provider_locked",
            Self::TimedOut => "timed_out",
            Self::OutcomeUnknown => "outcome_unknown",
            Self::HoldExpired => "hold_expired",
            Self::Cancelled => "cancelled",
        }
    }

    /// The words in the ledger.
    pub fn words(self) -> &'static str {
        match self {
            Self::ContentRefused => "fal.ai refused the content",
            Self::BadInput => "fal.ai could not use the picture or the prompt",
            Self::NoFace => "fal.ai found no face",
            Self::ProviderFailed => "fal.ai failed",
            Self::Overloaded => "fal.ai had too much work",
            Self::ProviderLocked => "fal.ai does not work for this account",
            Self::TimedOut => "it took too long",
            Self::OutcomeUnknown => "it cannot be known whether fal.ai has the work",
            Self::HoldExpired => "the hold was gone",
            Self::Cancelled => "cancelled by the user",
        }
    }
}

impl fmt::Display for FailureReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for FailureReason {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        Self::ALL.into_iter().find(|reason| reason.name() == text).ok_or(BadId)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason.words())?;
        if self.detail.is_empty() { Ok(()) } else { write!(f, " ({})", self.detail) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_what_billing_writes_into_the_ledger() {
        let refused = Failure::new(FailureReason::ContentRefused, "content_policy_violation");
        assert_eq!(refused.to_string(), "fal.ai refused the content (content_policy_violation)");

        let long = Failure::new(FailureReason::ProviderFailed, &"ы\nx".repeat(500));
        assert_eq!(long.detail, "x".repeat(100));
        assert!(long.to_string().len() <= 256);

        let plain = Failure::new(FailureReason::TimedOut, "");
        assert_eq!(plain.to_string(), "it took too long");
    }

    #[test]
    fn reasons_are_read_back() {
        for reason in FailureReason::ALL {
            assert_eq!(reason.name().parse(), Ok(reason));
        }
    }
}
