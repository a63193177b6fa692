//! The proof that runs by itself, beside the service, and gives way to callers.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proto::service::shutdown::Shutdown;
use tokio::time::Instant;
use uuid::Uuid;

use super::finding::Finding;
use super::pages::{PAGE_USERS, Page, Place, Verifier};
use super::piles::Totals;
use crate::store::Answer;
use crate::store::verify::Audit;

/// The first run comes within this part of the time between two, at a random moment: processes that
/// are started together do not read the whole store together.
const FIRST_WITHIN: u32 = 10;
/// Findings that have a line of their own; `billing-svc verify` shows all of them.
const LINES_MAX: u64 = 100;
/// How long a page is waited for that cannot be read now.
const PATIENCE: Duration = Duration::from_secs(60);

/// Verifies the whole store every so often until `shutdown`.
pub async fn verify_periodically<A: Audit>(audit: A, every: Duration, shutdown: Shutdown) {
    let verifier = Verifier::new(audit, Vec::new());
    let mut pause = random_part(every / FIRST_WITHIN);
    while shutdown.until(tokio::time::sleep(pause)).await.is_some() {
        if let Some(Err(error)) = shutdown.until(run(&verifier)).await {
            tracing::warn!(error.cause = ?error, "verifying broken off until the next time");
        }
        pause = every;
    }
}

async fn run<A: Audit>(verifier: &Verifier<A>) -> Answer<()> {
    let started = Instant::now();
    let mut totals = Totals::default();
    let mut count: u64 = 0;
    let mut place = Some(Place::START);
    while let Some(here) = place {
        let page_started = Instant::now();
        let page = read(verifier, &here).await?;
        metrics::counter!("billing_verify_users_total").increment(page.totals.users);
        metrics::counter!("billing_verify_entries_total").increment(page.totals.entries);
        for finding in page.findings.iter().take(left(count)) {
            log(finding);
        }
        count = count.saturating_add(page.findings_count);
        totals.add(&page.totals);
        place = page.next;
        // Rests as long as it has worked.
        tokio::time::sleep(page_started.elapsed()).await;
    }
    if let Some(finding) = Verifier::<A>::sum_up(&totals) {
        log(&finding);
        count = count.saturating_add(1);
    }
    metrics::gauge!("billing_verify_findings").set(as_f64(count));
    metrics::gauge!("billing_verify_last_seconds").set(started.elapsed().as_secs_f64());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    metrics::gauge!("billing_verify_last_success_timestamp_seconds").set(now.as_secs_f64());
    tracing::info!(
        users = totals.users,
        entries = totals.entries,
        findings = count,
        "billing: ledger verified"
    );
    Ok(())
}

/// A page that could not be read is tried once more: a store of millions is not begun again because
/// a connection broke.
async fn read<A: Audit>(verifier: &Verifier<A>, place: &Place) -> Answer<Page> {
    let first = verifier.page(place, PAGE_USERS).await;
    if first.is_ok() {
        return first;
    }
    tokio::time::sleep(PATIENCE).await;
    verifier.page(place, PAGE_USERS).await
}

fn log(finding: &Finding) {
    tracing::error!(
        user.id = finding.user,
        invariant = finding.invariant.as_str(),
        row = finding.row,
        found = finding.found,
        expected = finding.expected,
        "billing: the ledger does not add up"
    );
}

/// How many more findings have lines.
fn left(count: u64) -> usize {
    usize::try_from(LINES_MAX.saturating_sub(count)).unwrap_or_default()
}

fn random_part(whole: Duration) -> Duration {
    let [random, ..] = Uuid::new_v4().into_bytes();
    whole * u32::from(random) / u32::from(u8::MAX)
}

/// Counts beyond what a gauge can say are many, whatever they are.
fn as_f64(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
