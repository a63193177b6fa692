//! `payment-gateway reconcile`: what differs between YooKassa and billing, as a table. Mends nothing.

use std::io::{self, Write};
use std::time::SystemTime;

use time::format_description::well_known::Rfc3339;
use time::{Date, OffsetDateTime};

use crate::compare::comparison::{Comparison, Report};
use crate::compare::difference::Difference;
use crate::compare::sides::{CompareError, Span};
use crate::config::ReconcileOptions;

/// What keeps a table from being printed.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The days are none.
    #[error("there is no day from --from to --to that has begun")]
    NoDays,
    /// The two sides could not be compared.
    #[error(transparent)]
    Compare(#[from] CompareError),
    /// Nobody reads.
    #[error("the table cannot be written: {0}")]
    Output(#[from] io::Error),
}

/// Compares the days and prints what differs; answers with how much does.
///
/// # Errors
/// When it could not look.
pub async fn reconcile(
    comparison: &Comparison,
    days: &ReconcileOptions,
    out: &mut (impl Write + Send),
) -> Result<usize, ReportError> {
    let report = comparison.look(span(days)?).await?;
    print(&report, out)?;
    Ok(report.differences.len())
}

/// Whole days, but nothing of the future.
fn span(days: &ReconcileOptions) -> Result<Span, ReportError> {
    let start = |day: Date| SystemTime::from(day.midnight().assume_utc());
    let from = start(days.from);
    let to = days.to.next_day().map_or_else(SystemTime::now, start).min(SystemTime::now());
    if from >= to { Err(ReportError::NoDays) } else { Ok(Span { from, to }) }
}

fn print(report: &Report, out: &mut impl Write) -> io::Result<()> {
    for difference in &report.differences {
        row(difference, out)?;
    }
    let Report { payments, top_ups, refunds, reversals, .. } = report;
    writeln!(out, "YooKassa: {payments} payments, {refunds} refunds")?;
    writeln!(out, "billing:  {top_ups} top-ups, {reversals} reversals")?;
    if report.foreign > 0 {
        writeln!(out, "not ours: {} payments or refunds of the shop", report.foreign)?;
    }
    if report.on_their_way > 0 {
        writeln!(out, "too new to be judged: {}", report.on_their_way)?;
    }
    writeln!(out, "differences: {}", report.differences.len())
}

fn row(difference: &Difference, out: &mut impl Write) -> io::Result<()> {
    let Difference { kind, owner, payment, refund, there, here, at, .. } = difference;
    let at = OffsetDateTime::from(*at).replace_nanosecond(0).ok();
    let at = at.and_then(|at| at.format(&Rfc3339).ok()).unwrap_or_default();
    writeln!(out, "{kind:<16} user {} top-up {} at {at}", owner.user_id, owner.top_up_id)?;
    if let Some(payment) = payment {
        writeln!(out, "    payment  {payment}")?;
    }
    if let Some(refund) = refund {
        writeln!(out, "    refund   {refund}")?;
    }
    writeln!(out, "    YooKassa {there}")?;
    writeln!(out, "    billing  {here}")
}
