//! fal.ai's webhooks: it says that a request is over, and we look at once instead of asking again and
//! again.
//!
//! Invariant: a webhook is a hint. What it says about the result is not read; that is asked of fal.ai
//! with our key, as without webhooks. One that is lost costs time and nothing else.

mod keys;
mod receive;
mod signature;

pub use keys::Keys;
pub use receive::routes;
