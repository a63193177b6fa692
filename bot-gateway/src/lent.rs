//! Streams of things that are lent to us until we acknowledge them: events and results.

use std::collections::HashSet;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use proto::service::shutdown::Shutdown;
use tokio_util::task::TaskTracker;
use tonic::{Status, Streaming};

const RECONNECT: Duration = Duration::from_millis(500);
const RECONNECT_MAX: Duration = Duration::from_secs(10);
/// How long what is in hand may take at the end; what is cut off then is lent to us again.
const DRAIN_MAX: Duration = Duration::from_secs(10);

/// What is being dealt with. What is lent again meanwhile is not dealt with twice at once.
#[derive(Debug)]
pub struct InHand<K> {
    keys: Arc<Mutex<HashSet<K>>>,
}

impl<K> Default for InHand<K> {
    /// Nothing yet.
    fn default() -> Self {
        Self { keys: Arc::default() }
    }
}

impl<K: Clone + Eq + Hash> InHand<K> {
    /// Takes a thing in hand; `None` if it is already.
    pub fn take(&self, key: K) -> Option<Held<K>> {
        let is_new = self.keys.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone());
        is_new.then(|| Held { key, keys: Arc::clone(&self.keys) })
    }
}

/// A thing in hand, until this is dropped.
#[derive(Debug)]
pub struct Held<K: Eq + Hash> {
    key: K,
    keys: Arc<Mutex<HashSet<K>>>,
}

impl<K: Eq + Hash> Drop for Held<K> {
    fn drop(&mut self) {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

/// Waits at the end until what is in hand is dealt with, for a while.
pub async fn drain(name: &'static str, tasks: TaskTracker) {
    tasks.close();
    if tokio::time::timeout(DRAIN_MAX, tasks.wait()).await.is_err() {
        tracing::warn!(stream = name, "not all was dealt with; the rest will come again");
    }
}

/// Reads a stream until the shutdown, and opens it again whenever it ends.
pub async fn watch<T, O, F>(
    name: &'static str,
    shutdown: &Shutdown,
    open: O,
    mut take: impl FnMut(T),
) where
    O: Fn() -> F,
    F: Future<Output = Result<Streaming<T>, Status>>,
{
    let mut pause = RECONNECT;
    let mut is_lost = false;
    while !shutdown.is_requested() {
        let ended = shutdown.until(async {
            let mut stream = open().await?;
            if is_lost {
                tracing::info!(stream = name, "stream is back");
            }
            is_lost = false;
            while let Some(message) = stream.message().await? {
                pause = RECONNECT;
                take(message);
            }
            Ok::<(), Status>(())
        });
        match ended.await {
            None => return,
            Some(Ok(())) => tracing::debug!(stream = name, "stream ended"),
            Some(Err(status)) => {
                if !is_lost {
                    tracing::warn!(stream = name, error.cause = ?status, "stream lost, reconnecting");
                }
                is_lost = true;
            }
        }
        if shutdown.until(tokio::time::sleep(pause)).await.is_none() {
            return;
        }
        pause = (pause * 2).min(RECONNECT_MAX);
    }
}
