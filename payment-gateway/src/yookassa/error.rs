//! How a call to YooKassa can end without an answer that we wanted.

use std::fmt;
use std::time::Duration;

/// Why a call gave nothing.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum YookassaError {
    /// It did not happen, and the same request will not happen later either.
    #[error("refused: {0}")]
    Rejected(Refusal),
    /// They know no such payment, or it belongs to another shop.
    #[error("no such payment in this shop")]
    NotFound,
    /// It may have happened. The same request with the same key finds out.
    #[error("outcome unknown: {0}")]
    Unknown(Unknown),
}

impl YookassaError {
    /// Whether they do not accept who we are, rather than what we asked for.
    pub fn is_about_credentials(&self) -> bool {
        let status = match self {
            Self::Rejected(refusal) => refusal.status,
            Self::Unknown(Unknown::Status(status)) => *status,
            Self::NotFound | Self::Unknown(_) => return false,
        };
        matches!(status, 401 | 403)
    }
}

/// What made the outcome unknown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unknown {
    /// No connection, a reset one, or no answer in time.
    Network,
    /// A status that does not tell: 5xx, 429, 408, 202, a redirect, or an error page of a proxy.
    Status(u16),
    /// 200 with a body that is not what was asked for.
    Unreadable,
    /// Too many calls of ours wait already.
    Busy,
    /// They have not been answering, and are not asked for so long. This call was not sent; an
    /// earlier one with the same key may have been.
    Down(Duration),
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network => f.write_str("no answer"),
            Self::Status(status) => write!(f, "status {status}"),
            Self::Unreadable => f.write_str("unreadable answer"),
            Self::Busy => f.write_str("too many calls at once"),
            Self::Down(_) => f.write_str("not asked, it has not been answering"),
        }
    }
}

/// A refusal in YooKassa's words, but for the description, which may quote what we sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// Such as `invalid_request`.
    pub code: String,
    /// Name of the parameter that is wrong.
    pub parameter: Option<String>,
    /// Id of the refusal, for their support.
    pub id: Option<String>,
}

impl Refusal {
    /// Whether the shop, rather than this payment, is not accepted.
    pub fn is_about_shop(&self) -> bool {
        matches!(self.status, 401 | 403)
    }

    /// Whether this key made a payment before, from another body.
    pub fn is_about_key(&self) -> bool {
        self.parameter.as_deref() == Some("Idempotence-Key")
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.parameter {
            Some(parameter) => write!(f, "{}: {parameter}", self.code),
            None => f.write_str(&self.code),
        }
    }
}
