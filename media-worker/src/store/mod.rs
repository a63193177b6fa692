//! What lasts: the tables (one module per concern, one function per statement) and the pictures.
//!
//! One SQL text serves both engines. Times, ids and random values are bound, never made by the
//! database. A write about a claimed job names its lease, so a late worker changes nothing.

mod database;
mod rows;
mod jobs;
mod steps;
mod queue;
mod refusals;
mod hints;
mod deliveries;
mod inputs;
mod pictures;

pub use database::{ConnectError, Store};
pub use inputs::Input;
pub use jobs::{Claim, Lane, NewJob, Submitted};
pub use pictures::{BucketAccess, PictureStore, PicturesError};
pub use queue::Places;
pub use refusals::RefusalSettled;
pub use steps::Lease;

/// Why a statement changed or read nothing.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another worker has the job now, or it has moved on.
    #[error("the lease is lost")]
    LeaseLost,
    /// The database did not answer, or refused.
    #[error("database call failed")]
    Database(#[from] sqlx::Error),
    /// A row holds what no version of this service writes.
    #[error("the column {0} holds what cannot be read")]
    Unreadable(&'static str),
}
