//! Calls to Telegram: each has three ends, done, refused and unknown. Their types are teloxide's.
//!
//! Invariant: nothing that leaves this folder contains the bot's token. File links contain it, so
//! files are downloaded here, and errors are stripped of it.

mod error;
mod wire;
mod complete;
mod calls;
mod files;
mod updates;
mod stars;

pub use calls::{Sent, Telegram};
pub use complete::{complete, is_about_money};
pub use error::TelegramError;
pub use files::{Attachment, DownloadError, FILE_BYTES_MAX, Outgoing};
pub use stars::{CURRENCY as STARS_CURRENCY, Invoice};
pub use updates::PollError;
