//! What handlers and loops work with.

use proto::client::{Billing, Media, Payments};
use tokio::sync::Semaphore;

use crate::status::StatusBoard;
use crate::store::Store;
use crate::telegram::Telegram;

/// Pictures that are in memory at once, of 20 MB at most each.
const PICTURES_MAX: usize = 8;

/// Telegram, the store and the three services.
#[derive(Debug)]
pub struct App {
    /// The bot's account.
    pub telegram: Telegram,
    /// The bot's database.
    pub store: Store,
    /// Money.
    pub billing: Billing,
    /// Payment links.
    pub payments: Payments,
    /// Pictures.
    pub media: Media,
    /// The messages that show how jobs go on.
    pub statuses: StatusBoard,
    /// Keeps the pictures in memory few.
    pub pictures: Semaphore,
}

impl App {
    /// Puts the parts together.
    pub fn new(telegram: Telegram, store: Store, services: (Billing, Payments, Media)) -> Self {
        let (billing, payments, media) = services;
        Self {
            telegram,
            store,
            billing,
            payments,
            media,
            statuses: StatusBoard::default(),
            pictures: Semaphore::new(PICTURES_MAX),
        }
    }
}
