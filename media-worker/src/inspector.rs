//! Checks pictures, a few at a time: one that is decoded takes up to a quarter of a gigabyte.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Semaphore;
use tokio::task::{JoinError, spawn_blocking};

use crate::picture::{self, Picture, PictureError};

/// Pictures being decoded at once.
const CHECKING_MAX: usize = 3;

/// Checks pictures. Clones share the bound.
#[derive(Clone, Debug)]
pub struct Inspector {
    places: Arc<Semaphore>,
}

impl Default for Inspector {
    fn default() -> Self {
        Self { places: Arc::new(Semaphore::new(CHECKING_MAX)) }
    }
}

impl Inspector {
    /// Looks at a picture, away from the threads that serve.
    ///
    /// # Errors
    /// When the process is ending.
    pub async fn inspect(&self, bytes: Bytes) -> Result<Result<Picture, PictureError>, JoinError> {
        // Nobody closes the semaphore, so a place always comes.
        let place = Arc::clone(&self.places).acquire_owned().await.ok();
        spawn_blocking(move || {
            // Held until the decoding ends, also where the caller has gone.
            let _place = place;
            picture::inspect(&bytes)
        })
        .await
    }
}
