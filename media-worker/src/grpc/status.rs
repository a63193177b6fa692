//! Everything that a call can be refused for, and the status that says so: the only place.

use proto::reason;
use tonic::{Code, Status};

use crate::add_text::{AddTextError, BadStyle, DESCRIPTION_CHARACTERS_MAX, DescriptionError};
use crate::domain::RequestError;
use crate::fal::NotOffered;
use crate::picture::PictureError;
use crate::store::StoreError;

/// Why a call was not done.
#[derive(Debug, thiserror::Error)]
pub(super) enum MediaError {
    #[error("{0} is missing or cannot be one")]
    InvalidField(&'static str),
    #[error("this mode is not one that jobs have")]
    UnknownMode,
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error(transparent)]
    NotOffered(#[from] NotOffered),
    #[error("there is no such input: upload the picture again")]
    InputNotFound,
    #[error("the operation is not reserved for this work")]
    OperationNotReserved,
    #[error("the operation has a job for other work")]
    KeyReused,
    #[error("there is no such job")]
    JobNotFound,
    #[error("the provider is at work on the job, or done")]
    JobStarted,
    #[error("the provider did not answer")]
    Provider,
    #[error("the job has no result, or it is no longer kept")]
    ResultNotFound,
    #[error(transparent)]
    Picture(#[from] PictureError),
    #[error(transparent)]
    AddText(#[from] AddTextError),
    #[error(transparent)]
    Style(#[from] BadStyle),
    #[error(transparent)]
    Description(#[from] DescriptionError),
    #[error("too many pictures are being drawn, try again after a moment")]
    Busy,
    /// The caller's stream broke off, or stopped.
    #[error("the pieces did not all arrive")]
    Stream(#[source] Status),
    #[error("billing did not answer")]
    Billing(#[source] Status),
    #[error("the store did not answer")]
    Store(#[from] StoreError),
    #[error("the picture store did not answer")]
    Disk(#[from] std::io::Error),
    #[error("a task ended early")]
    Task(#[from] tokio::task::JoinError),
}

impl From<MediaError> for Status {
    fn from(error: MediaError) -> Self {
        match error {
            MediaError::InvalidField(field) => {
                let values = [("field", field.to_owned())];
                invalid(reason::INVALID_FIELD, &error, values)
            }
            MediaError::UnknownMode => invalid(reason::UNKNOWN_MODE, &error, []),
            MediaError::Request(why) => request(why),
            MediaError::NotOffered(why) => not_offered(why),
            MediaError::InputNotFound => refuse(Code::NotFound, reason::INPUT_NOT_FOUND, &error),
            MediaError::OperationNotReserved => {
                refuse(Code::FailedPrecondition, reason::OPERATION_NOT_RESERVED, &error)
            }
            MediaError::KeyReused => {
                refuse(Code::AlreadyExists, reason::IDEMPOTENCY_KEY_REUSED, &error)
            }
            MediaError::JobNotFound => refuse(Code::NotFound, reason::JOB_NOT_FOUND, &error),
            MediaError::JobStarted => refuse(Code::FailedPrecondition, reason::JOB_STARTED, &error),
            MediaError::ResultNotFound => refuse(Code::NotFound, reason::RESULT_NOT_FOUND, &error),
            MediaError::Picture(why) | MediaError::AddText(AddTextError::Picture(why)) => {
                picture(why)
            }
            MediaError::AddText(why) => add_text(&why),
            MediaError::Style(why) => {
                invalid(reason::INVALID_FIELD, &error, [("field", why.field.to_owned())])
            }
            MediaError::Description(DescriptionError::Missing) => {
                invalid(reason::DESCRIPTION_MISSING, &error, [])
            }
            MediaError::Description(DescriptionError::TooLong) => {
                let values = [("max_characters", DESCRIPTION_CHARACTERS_MAX.to_string())];
                invalid(reason::DESCRIPTION_TOO_LONG, &error, values)
            }
            MediaError::Busy => refuse(Code::ResourceExhausted, reason::BUSY, &error),
            MediaError::Stream(_) => Self::cancelled(error.to_string()),
            MediaError::Billing(_)
            | MediaError::Provider
            | MediaError::Store(_)
            | MediaError::Disk(_)
            | MediaError::Task(_) => {
                let message = format!("{error}: send the same request again");
                let cause = format!("{:#}", anyhow::Error::new(error));
                tracing::error!(error.cause = %cause, "a call was not done");
                Self::unavailable(message)
            }
        }
    }
}

fn request(why: RequestError) -> Status {
    match why {
        RequestError::WrongInputs { min, max } => {
            let values = [("min", min.to_string()), ("max", max.to_string())];
            invalid(reason::WRONG_INPUTS, &why, values)
        }
        RequestError::PromptMissing => invalid(reason::PROMPT_MISSING, &why, []),
        RequestError::PromptTooLong { max } => {
            invalid(reason::PROMPT_TOO_LONG, &why, [("max_characters", max.to_string())])
        }
        RequestError::PromptNul => {
            invalid(reason::INVALID_FIELD, &why, [("field", "prompt".to_owned())])
        }
    }
}

fn not_offered(why: NotOffered) -> Status {
    let field = match why {
        NotOffered::Model => "model",
        NotOffered::Format => "format",
        NotOffered::UpscaleFactor => "upscale_factor",
        NotOffered::Request(why) => return request(why),
    };
    let message = format!("{why}: ListModels says what there is");
    invalid(reason::INVALID_FIELD, &message, [("field", field.to_owned())])
}

fn picture(why: PictureError) -> Status {
    match why {
        PictureError::NotAPicture => invalid(reason::NOT_A_PICTURE, &why, []),
        PictureError::TooLarge => invalid(reason::PICTURE_TOO_LARGE, &why, []),
        PictureError::Dimensions => invalid(reason::PICTURE_DIMENSIONS, &why, []),
    }
}

fn add_text(why: &AddTextError) -> Status {
    match why {
        AddTextError::Picture(why) => picture(*why),
        AddTextError::TextMissing => invalid(reason::TEXT_MISSING, why, []),
        AddTextError::TextTooLong { max } => {
            invalid(reason::TEXT_TOO_LONG, why, [("max_characters", max.to_string())])
        }
        AddTextError::TextDoesNotFit => invalid(reason::TEXT_DOES_NOT_FIT, why, []),
        AddTextError::CharactersMissing { characters } => {
            let values = [("characters", characters.clone())];
            invalid(reason::TEXT_CHARACTERS_MISSING, why, values)
        }
        AddTextError::ResultTooLarge => invalid(reason::PICTURE_TOO_LARGE, why, []),
        AddTextError::Encode(_) => {
            tracing::error!(error.cause = %why, "a picture could not be drawn");
            Status::internal("the picture could not be drawn")
        }
    }
}

fn invalid<const N: usize>(
    code: &str,
    why: &impl std::fmt::Display,
    values: [(&str, String); N],
) -> Status {
    reason::refusal(Code::InvalidArgument, (reason::MEDIA_DOMAIN, code), why.to_string(), values)
}

fn refuse(status: Code, code: &str, why: &MediaError) -> Status {
    reason::refusal(status, (reason::MEDIA_DOMAIN, code), why.to_string(), [])
}
