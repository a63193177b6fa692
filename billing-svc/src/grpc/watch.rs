//! WatchEvents: a stream that waits for events, and ends by itself when the service does.

use std::collections::VecDeque;
use std::pin::Pin;
use std::time::Duration;

use futures_util::stream;
use proto::billing::v1 as wire;
use proto::service::shutdown::Shutdown;
use tokio::sync::watch::Receiver;
use tonic::Status;

use super::answers;
use crate::ledger::{BillingError, Ledger};
use crate::store::{LentEvent, Store};

/// Few at a time: what one stream was lent, no other delivers.
const LENT_MAX: i64 = 32;
/// Events of other replicas wake nobody here, and leases run out silently.
const POLL: Duration = Duration::from_secs(1);

pub(super) type Stream =
    Pin<Box<dyn futures_util::Stream<Item = Result<wire::WatchEventsResponse, Status>> + Send>>;

struct Watch<S> {
    ledger: Ledger<S>,
    consumer: String,
    news: Receiver<u64>,
    lent: VecDeque<LentEvent>,
    shutdown: Shutdown,
    has_failed: bool,
}

/// Lends `consumer` its events until `shutdown`, or until the database fails.
pub(super) fn stream<S: Store>(ledger: Ledger<S>, consumer: String, shutdown: Shutdown) -> Stream {
    let news = ledger.news();
    let lent = VecDeque::new();
    let watch = Watch { ledger, consumer, news, lent, shutdown, has_failed: false };
    Box::pin(stream::unfold(watch, |mut watch| async move {
        if watch.has_failed {
            return None;
        }
        let shutdown = watch.shutdown.clone();
        let answer = match shutdown.until(watch.next()).await? {
            Ok(event) => Ok(wire::WatchEventsResponse { event: Some(answers::event(event.event)) }),
            Err(error) => {
                watch.has_failed = true;
                Err(error.into())
            }
        };
        Some((answer, watch))
    }))
}

impl<S: Store> Watch<S> {
    /// Lends in a task of its own: a stream that nobody reads is not driven on, and would keep a
    /// connection to the database to itself in the middle of it.
    async fn lend(&self) -> Result<Vec<LentEvent>, BillingError> {
        let (ledger, consumer) = (self.ledger.clone(), self.consumer.clone());
        let lending = tokio::spawn(async move { ledger.lend_events(&consumer, LENT_MAX).await });
        lending.await.unwrap_or(Err(BillingError::Unavailable))
    }

    async fn next(&mut self) -> Result<LentEvent, BillingError> {
        loop {
            while let Some(event) = self.lent.pop_front() {
                // A reader that was slow: somebody else may have it by now.
                if self.ledger.is_lent(event.lent_until) {
                    return Ok(event);
                }
            }
            // Marked before lending, so that what is written meanwhile wakes us.
            self.news.mark_unchanged();
            self.lent.extend(self.lend().await?);
            if self.lent.is_empty() {
                // Either is a reason to look again.
                drop(tokio::time::timeout(POLL, self.news.changed()).await);
            }
        }
    }
}
