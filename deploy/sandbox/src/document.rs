//! State that outlives a run: one JSON file, kept in memory and written behind.
//!
//! Invariant: a file is replaced whole or not at all, so a kill leaves the state of at most
//! [`WRITE_EVERY`] ago.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// How often a changed document is written.
const WRITE_EVERY: Duration = Duration::from_millis(200);

/// One piece of state that is loaded at start and written whenever it has changed.
pub struct Document<T> {
    path: PathBuf,
    value: Mutex<T>,
    changed: AtomicBool,
}

impl<T> fmt::Debug for Document<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Document").field("path", &self.path).finish_non_exhaustive()
    }
}

impl<T: Default + DeserializeOwned + Serialize + Send + 'static> Document<T> {
    /// Loads a document, or begins an empty one; must be called inside a runtime, which then
    /// writes it.
    ///
    /// # Errors
    /// When the file is there but cannot be read.
    pub fn open(path: PathBuf) -> anyhow::Result<Arc<Self>> {
        let value = match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).with_context(|| {
                format!("{} is not readable; --fresh forgets it", path.display())
            })?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => T::default(),
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        };
        let document =
            Arc::new(Self { path, value: Mutex::new(value), changed: AtomicBool::new(false) });
        let writer = Arc::downgrade(&document);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(WRITE_EVERY).await;
                let Some(document) = writer.upgrade() else { return };
                if let Err(error) = document.save() {
                    tracing::error!(error.cause = ?error, "state could not be written");
                }
            }
        });
        Ok(document)
    }

    /// Looks at the state.
    pub fn read<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&self.lock())
    }

    /// Changes the state.
    pub fn write<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let result = change(&mut self.lock());
        self.changed.store(true, Ordering::Release);
        result
    }

    /// Writes the file now, if the state has changed.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub fn save(&self) -> anyhow::Result<()> {
        if !self.changed.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        let bytes = serde_json::to_vec(&*self.lock()).context("encode the state")?;
        replace(&self.path, &bytes)
    }

    fn lock(&self) -> MutexGuard<'_, T> {
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes a file so that a reader finds the old one or the new one, never a part.
///
/// # Errors
/// When the folder cannot be written to.
pub fn replace(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let folder = path.parent().context("a document lies in a folder")?;
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let part = path.with_extension("part");
    std::fs::write(&part, bytes).with_context(|| part.display().to_string())?;
    std::fs::rename(&part, path).with_context(|| path.display().to_string())
}
