//! Why a handler could not do its work, and what the user is told then.

use tonic::{Code, Status};

use crate::store::StoreError;
use crate::telegram::TelegramError;
use crate::text;

/// Everything that a handler does not deal with itself.
#[derive(Debug, thiserror::Error)]
pub enum HandlerError {
    /// A service is away: it may have done it.
    #[error("{call} is not answered")]
    Away { call: &'static str, source: Status },
    /// A service refused what it should not refuse: a mistake of ours.
    #[error("{call} was refused")]
    Refused { call: &'static str, source: Status },
    /// A service answered less than the contract says.
    #[error("{0} was answered without what it promises")]
    Incomplete(&'static str),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Telegram.
    #[error(transparent)]
    Telegram(#[from] TelegramError),
    /// A file for the user.
    #[error("the file could not be made")]
    File(#[from] rust_xlsxwriter::XlsxError),
    /// A handler that panicked.
    #[error("the handler panicked")]
    Panic,
}

impl HandlerError {
    /// Judges how a call ended.
    pub fn of(call: &'static str) -> impl FnOnce(Status) -> Self {
        move |source| match is_away(&source) {
            true => Self::Away { call, source },
            false => Self::Refused { call, source },
        }
    }

    /// Whether the same may succeed a moment later.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Away { .. } | Self::Store(_) | Self::Telegram(TelegramError::Unknown(_)) => true,
            Self::Telegram(
                TelegramError::Gone
                | TelegramError::Refused(_)
                | TelegramError::Unauthorized
                | TelegramError::Conflict(_),
            )
            | Self::Refused { .. }
            | Self::Incomplete(_)
            | Self::File(_)
            | Self::Panic => false,
        }
    }

    /// What the user is told; nothing where there is nobody to tell.
    pub fn told(&self) -> Option<&'static str> {
        match self {
            Self::Away { .. } => Some(text::problems::SERVICE_AWAY),
            Self::Telegram(TelegramError::Gone) => None,
            Self::Store(_)
            | Self::Telegram(_)
            | Self::Refused { .. }
            | Self::Incomplete(_)
            | Self::File(_)
            | Self::Panic => Some(text::problems::APOLOGY),
        }
    }
}

/// Whether a service is away, or too busy, so that the same request should be sent again.
pub fn is_away(status: &Status) -> bool {
    proto::client::is_unknown(status)
        || matches!(status.code(), Code::ResourceExhausted | Code::Aborted)
}

/// Whether a service has refused for good: nothing was done. What is neither this nor
/// [`is_away`] (our own mistakes, a broken connection) says nothing about what was done.
pub fn is_refusal(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::InvalidArgument
            | Code::NotFound
            | Code::FailedPrecondition
            | Code::AlreadyExists
            | Code::OutOfRange
            | Code::PermissionDenied
            | Code::Unauthenticated
            | Code::Unimplemented
    )
}
