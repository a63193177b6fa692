//! What handlers and loops work with.

use proto::client::{Billing, Media, Payments};
use tokio::sync::Semaphore;

use crate::config::Admins;
use crate::operators::Operators;
use crate::status::StatusBoard;
use crate::store::Store;
use crate::telegram::Telegram;

/// Pictures from users that are in memory at once, of 20 MB at most each.
const INCOMING_MAX: usize = 8;
/// Results that are in memory at once.
const OUTGOING_MAX: usize = 16;

/// Telegram, the store and the three services.
#[derive(Debug)]
pub struct App {
    /// The bot's account.
    pub telegram: Telegram,
    /// The bot's database.
    pub store: Store,
    /// Money.
    pub billing: Billing,
    /// The operators' part of it.
    pub operators: Operators,
    /// Payment links.
    pub payments: Payments,
    /// Pictures.
    pub media: Media,
    /// The messages that show how jobs go on.
    pub statuses: StatusBoard,
    /// Who may do what operators do.
    pub admins: Admins,
    /// Free operations for each side of an invitation; 0: none.
    pub referral_free_operations: i64,
    /// Whom to ask about payments.
    pub support: Option<String>,
    /// Keeps the pictures from users in memory few.
    pub incoming: Semaphore,
    /// Keeps the results in memory few.
    pub outgoing: Semaphore,
}

impl App {
    /// Puts the parts together.
    pub fn new(
        telegram: Telegram,
        store: Store,
        services: (Billing, Payments, Media),
        operators: Operators,
    ) -> Self {
        let (billing, payments, media) = services;
        Self {
            telegram,
            store,
            billing,
            operators,
            payments,
            media,
            statuses: StatusBoard::default(),
            admins: Admins::default(),
            referral_free_operations: 0,
            support: None,
            incoming: Semaphore::new(INCOMING_MAX),
            outgoing: Semaphore::new(OUTGOING_MAX),
        }
    }
}
