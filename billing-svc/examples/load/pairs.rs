//! What callers do: Reserve and Commit, over gRPC or past it, or a call that writes nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use billing_svc::domain::{IdempotencyKey, UserId};
use billing_svc::ledger::{Commit, Ledger, Reserve};
use billing_svc::store::Store;
use proto::billing::v1::billing_service_client::BillingServiceClient;
use proto::billing::v1::operation_result::Outcome;
use proto::billing::v1::{
    BatchCommitRequest, BatchReserveRequest, CommitRequest, ListPricesRequest, Operation,
    OperationResult, ReserveRequest,
};
use proto::client::request;
use tokio::time::Instant;
use tonic::transport::Channel;
use uuid::Uuid;

use crate::callers::Work;

pub(crate) type Client = BillingServiceClient<Channel>;

const OPERATION_TYPE: &str = "generate";
/// As many as one batch call takes.
const ITEMS: usize = 100;

/// Which users operations are for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Whom {
    /// One user after the other, without an order.
    Any {
        users: i64,
    },
    One {
        user: i64,
    },
}

impl Whom {
    fn next(self) -> i64 {
        match self {
            Self::One { user } => user,
            Self::Any { users } => {
                let (random, _) = Uuid::new_v4().as_u64_pair();
                i64::try_from(random >> 1).unwrap_or_default() % users + 1
            }
        }
    }
}

/// As long as those of the bot.
pub(crate) fn key() -> String {
    format!("bot:draft:{}", Uuid::new_v4().simple())
}

/// Over gRPC, a call each.
pub(crate) struct Unary {
    pub(crate) client: Client,
    pub(crate) whom: Whom,
}

impl Work for Unary {
    async fn once(&mut self, calls: &mut Vec<Duration>) -> Result<u32, String> {
        let user_id = self.whom.next();
        let started = Instant::now();
        let asked = self.client.reserve(request(reserve(user_id))).await;
        let reserved = asked.map_err(|status| status.to_string())?.into_inner();
        calls.push(started.elapsed());
        let started = Instant::now();
        let commit = commit(reserved.operation.unwrap_or_default());
        self.client.commit(request(commit)).await.map_err(|status| status.to_string())?;
        calls.push(started.elapsed());
        Ok(1)
    }
}

/// Over gRPC, many in a call.
pub(crate) struct Batch {
    pub(crate) client: Client,
    pub(crate) whom: Whom,
}

impl Work for Batch {
    async fn once(&mut self, calls: &mut Vec<Duration>) -> Result<u32, String> {
        let items = (0..ITEMS).map(|_| reserve(self.whom.next())).collect();
        let started = Instant::now();
        let message = BatchReserveRequest { items, all_or_nothing: false };
        let asked = self.client.batch_reserve(request(message)).await;
        let reserved = asked.map_err(|status| status.to_string())?.into_inner();
        calls.push(started.elapsed());
        let items: Vec<CommitRequest> = reserved
            .results
            .into_iter()
            .map(|item| done(item).map(commit))
            .collect::<Result<_, _>>()?;
        let pairs = u32::try_from(items.len()).unwrap_or_default();
        let started = Instant::now();
        let message = BatchCommitRequest { items, all_or_nothing: false };
        let asked = self.client.batch_commit(request(message)).await;
        let committed = asked.map_err(|status| status.to_string())?.into_inner();
        calls.push(started.elapsed());
        committed.results.into_iter().try_for_each(|item| done(item).map(drop))?;
        Ok(pairs)
    }
}

fn reserve(user_id: i64) -> ReserveRequest {
    ReserveRequest {
        user_id,
        operation_type: OPERATION_TYPE.to_owned(),
        idempotency_key: key(),
        ..ReserveRequest::default()
    }
}

fn commit(operation: Operation) -> CommitRequest {
    CommitRequest {
        user_id: operation.user_id,
        operation_id: operation.operation_id,
        cost_micro_usd: Some(39_000),
    }
}

fn done(item: OperationResult) -> Result<Operation, String> {
    match item.outcome {
        Some(Outcome::Operation(operation)) => Ok(operation),
        other => Err(format!("{other:?}")),
    }
}

/// A call that writes nothing, twice, so that it compares with a pair.
pub(crate) struct Echo {
    pub(crate) client: Client,
}

impl Work for Echo {
    async fn once(&mut self, calls: &mut Vec<Duration>) -> Result<u32, String> {
        for _ in 0..2 {
            let started = Instant::now();
            let asked = self.client.list_prices(request(ListPricesRequest {})).await;
            asked.map_err(|status| status.to_string())?;
            calls.push(started.elapsed());
        }
        Ok(1)
    }
}

/// In this process, past gRPC.
pub(crate) struct Raw<S> {
    pub(crate) ledger: Ledger<S>,
    pub(crate) whom: Whom,
}

impl<S: Store> Work for Raw<S> {
    async fn once(&mut self, calls: &mut Vec<Duration>) -> Result<u32, String> {
        let user = UserId::new(self.whom.next()).ok_or("no user")?;
        let started = Instant::now();
        let reserve = Reserve {
            user,
            operation_type: OPERATION_TYPE.to_owned(),
            model: String::new(),
            key: IdempotencyKey::new(&key()).ok_or("no key")?,
            expected_price: None,
            metadata: BTreeMap::new(),
        };
        let reserved = self.ledger.reserve(reserve).await.map_err(|error| error.to_string())?;
        calls.push(started.elapsed());
        let started = Instant::now();
        let commit = Commit { user, operation: reserved.id, cost_micro_usd: Some(39_000) };
        self.ledger.commit(commit).await.map_err(|error| error.to_string())?;
        calls.push(started.elapsed());
        Ok(1)
    }
}
