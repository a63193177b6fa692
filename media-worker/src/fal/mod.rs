//! fal.ai's queue: submit once, read status and result, cancel; storage and history.
//!
//! Invariant: the key goes to the configured hosts only. Addresses that fal answers with are used
//! as they are where they are on the configured queue, and are rebuilt there where they are not.

mod wire;
mod error;
mod models;
mod model_file;
mod client;
mod queue;
mod storage;
mod history;

pub use client::{Fal, FalKeys, FalUrls};
pub use error::{ReadError, SubmitError};
pub use history::Found;
pub use model_file::ModelFileError;
pub use models::{Model, ModelInput, Models, NotOffered};
pub use queue::{Cancelled, Progress, ResultAnswer};
pub use storage::DownloadError;
