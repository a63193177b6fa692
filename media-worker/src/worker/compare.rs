//! Proves that job and operation end together: what is reserved at billing for our modes is compared
//! with the jobs that go on here.
//!
//! An operation is reserved a moment before its job is made, and a job ends a moment after its
//! operation: only what is found twice in a row is counted.

use std::collections::BTreeSet;

use proto::billing::v1::ListReservedOperationsRequest;
use proto::service::shutdown::Shutdown;
use tokio::time::sleep;
use tonic::Status;

use crate::domain::{JobKey, Mode, UserId};
use crate::store::StoreError;

use super::lanes::Parts;

/// Of one page, here and at billing.
const ROWS_MAX: i32 = 100;
/// The most that are named in the log.
const NAMED_MAX: usize = 10;

#[derive(Debug, thiserror::Error)]
enum CompareError {
    #[error("billing did not answer")]
    Billing(#[from] Status),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What has no counterpart.
#[derive(Debug, Default)]
struct Alone {
    operations: BTreeSet<JobKey>,
    jobs: BTreeSet<JobKey>,
}

pub(super) async fn run(parts: &Parts, shutdown: &Shutdown) {
    let mut before = Alone::default();
    while shutdown.until(sleep(parts.settings.compare_every)).await.is_some() {
        match shutdown.until(compare(parts)).await {
            Some(Ok(alone)) => {
                let operations = count(&before.operations, &alone.operations);
                tell("operations without a job", &operations);
                metrics::gauge!("operations_without_job").set(gauge(operations.len()));
                let jobs = count(&before.jobs, &alone.jobs);
                tell("jobs without an operation", &jobs);
                metrics::gauge!("jobs_without_operation").set(gauge(jobs.len()));
                before = alone;
            }
            Some(Err(error)) => {
                let cause = format!("{:#}", anyhow::Error::new(error));
                tracing::warn!(error.cause = %cause, "jobs and operations are not compared yet");
            }
            None => return,
        }
    }
}

async fn compare(parts: &Parts) -> Result<Alone, CompareError> {
    let reserved = reserved(parts).await?;
    let open = open(parts).await?;
    Ok(Alone {
        operations: reserved.difference(&open).copied().collect(),
        jobs: open.difference(&reserved).copied().collect(),
    })
}

/// What is reserved for our modes; others sell other things.
async fn reserved(parts: &Parts) -> Result<BTreeSet<JobKey>, CompareError> {
    let mut found = BTreeSet::new();
    let mut page_token = String::new();
    loop {
        let request = ListReservedOperationsRequest { page_size: ROWS_MAX, page_token };
        let page = parts.billing.list_reserved_operations(request).await?;
        found.extend(page.operations.into_iter().filter_map(|operation| {
            operation.operation_type.parse::<Mode>().ok()?;
            let user = UserId::new(operation.user_id).ok()?;
            Some(JobKey { user, operation: operation.operation_id.parse().ok()? })
        }));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(found);
        }
    }
}

async fn open(parts: &Parts) -> Result<BTreeSet<JobKey>, CompareError> {
    let mut found = BTreeSet::new();
    let mut after = None;
    loop {
        let keys = parts.store.open_keys(after, i64::from(ROWS_MAX)).await?;
        let Some(last) = keys.last() else { return Ok(found) };
        after = Some(*last);
        found.extend(keys);
    }
}

fn count<'k>(before: &BTreeSet<JobKey>, now: &'k BTreeSet<JobKey>) -> Vec<&'k JobKey> {
    now.iter().filter(|key| before.contains(key)).collect()
}

fn tell(what: &str, alone: &[&JobKey]) {
    for key in alone.iter().take(NAMED_MAX) {
        tracing::warn!(user.id = %key.user, operation.id = %key.operation, "{what}");
    }
}

fn gauge(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::MAX, f64::from)
}
