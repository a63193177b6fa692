//! A store that was empty a moment ago: whether plans made on empty tables slow it down.

use std::time::Duration;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use proto::billing::v1::RegisterUserRequest;
use proto::client::request;

use crate::callers::{Window, work};
use crate::pairs::{Unary, Whom};
use crate::world::Process;

const USERS: i64 = 2_000;
const CALLERS: usize = 256;
const SECONDS: usize = 20;
/// As many at the end are what it does once it is warm.
const WARM_SECONDS: usize = 5;

/// Pairs in each second since the first.
#[derive(Clone, Debug)]
pub(crate) struct Fresh {
    pub(crate) by_second: Vec<f64>,
}

impl Fresh {
    /// Uses a service whose store is empty.
    pub(crate) async fn measure(process: &Process, connections: usize) -> anyhow::Result<Self> {
        let clients: Vec<_> =
            (0..connections.max(1)).map(|_| process.client()).collect::<Result<_, _>>()?;
        stream::iter((1..=USERS).zip(clients.iter().cycle()))
            .map(|(user_id, client)| {
                let mut client = client.clone();
                async move {
                    let message = RegisterUserRequest { user_id, profile: None };
                    client.register_user(request(message)).await.map(drop)
                }
            })
            .buffer_unordered(CALLERS)
            .try_collect::<()>()
            .await?;
        let mut by_second = Vec::new();
        for _ in 0..SECONDS {
            let whom = Whom::Any { users: USERS };
            let callers = clients.iter().cycle().take(CALLERS).cloned();
            let callers = callers.map(|client| Unary { client, whom }).collect();
            let window = Window::after(Duration::ZERO, Duration::from_secs(1));
            let (tally, _) = work(window, callers, || ()).await;
            by_second.push(f64::from(tally.pairs));
        }
        Ok(Self { by_second })
    }

    /// The second in which it first came near the rate that it has at the end.
    pub(crate) fn warm_after_seconds(&self) -> f64 {
        let last = self.by_second.iter().rev().take(WARM_SECONDS).copied().collect::<Vec<_>>();
        let warm = crate::table::median(last);
        let first = self.by_second.iter().position(|&pairs| pairs >= 0.9 * warm);
        f64::from(u32::try_from(first.unwrap_or(SECONDS)).unwrap_or(u32::MAX))
    }
}
