//! What a job is and which rules hold for it: no I/O, no clock, no logging.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::match_wildcard_for_single_variants,
    clippy::wildcard_enum_match_arm
)]

mod choices;
mod ids;
mod mode;
mod job;
mod cost;

pub use choices::{Choices, Format};
pub use cost::{MicroUsd, Units};
pub use ids::{BadId, InputId, JobKey, OperationId, UserId};
pub use job::{Failure, FailureReason, FalRequest, Job, ResultPicture, Stage, Submission, Work};
pub use mode::{Mode, PROMPT_MAX, RequestError};
