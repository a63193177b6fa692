//! A way to pay: what YooKassa, Telegram Stars and a third one have in common.
//!
//! The order is the same for all. A wish to pay becomes a [`Quote`]; billing opens a top-up with
//! it under the provider's name ([`Billing::of`]) before anything is asked for; one payment is
//! compared with what was asked for and claimed for the top-up ([`Billing::settle`]); what stays
//! open is looked at until it ends ([`crate::reconcile`]); what goes back is taken back by its own
//! id ([`Billing::reverse`]). How the provider learns of payments is its own business: YooKassa is
//! asked, Stars are brought by the bot.
//!
//! [`Billing::of`]: crate::billing::Billing::of
//! [`Billing::settle`]: crate::billing::Billing::settle
//! [`Billing::reverse`]: crate::billing::Billing::reverse

use std::fmt;
use std::future::Future;
use std::time::Duration;

use crate::billing::{Paid, TopUp};
use crate::money::Kopecks;

/// The names that billing keeps top-ups under; they stay for ever.
pub const YOOKASSA: &str = "yookassa";
/// See [`YOOKASSA`].
pub const STARS: &str = "stars";

/// A way to pay.
pub trait Provider: fmt::Debug + Send + Sync {
    /// What billing keeps its top-ups under.
    fn name(&self) -> &'static str;

    /// What has to be paid for so much credit, as it stands now.
    ///
    /// # Errors
    /// When so much cannot be paid at once, or nothing can be paid in this way now.
    fn quote(&self, wanted: Kopecks) -> Result<Quote, QuoteError>;

    /// How old an open top-up is before it is worth a look.
    fn first_look(&self) -> Duration;

    /// Finds out what has become of an open top-up, and lets billing know.
    fn look(&self, top_up: TopUp) -> impl Future<Output = Look> + Send;
}

/// What is paid, and what is credited for it. Kept with the top-up and never reckoned again.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Quote {
    /// At the provider.
    pub paid: Paid,
    /// At billing.
    pub credited: Kopecks,
}

/// Why there is no quote.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum QuoteError {
    /// It cannot be paid at once.
    #[error("amount_kopecks must be {min} to {max}")]
    OutOfBounds {
        /// The least.
        min: Kopecks,
        /// The most.
        max: Kopecks,
    },
    /// This way to pay is switched off.
    #[error("telegram stars are not offered: STARS_RATE is not set")]
    StarsNotOffered,
}

/// How a look ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Look {
    /// The top-up has ended.
    Ended,
    /// Not paid yet.
    Waits,
    /// Somebody did not answer.
    Unknown,
    /// The provider is not asked for so long.
    NotAsked(Duration),
    /// A person must look.
    Refused,
}
