//! Compares the last days again and again beside serving, and mends what is safe to mend: a payment
//! that was paid there and not credited here, and a refund that went through there and was not
//! taken back here. Both go the way that notifications go, which does each of them once.
//!
//! Every replica compares, without knowing of the others.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use proto::service::shutdown::Shutdown;
use tokio::time::sleep;

use super::comparison::{Comparison, Report};
use super::difference::{Difference, Kind};
use super::sides::{CompareError, Span};
use crate::error::PaymentError;
use crate::refund::{Refunds, Reversal};
use crate::resolve::{Resolution, Resolver, Via};

/// So far back is compared each time: notifications are sent for a day, and a bank may take some.
const LOOK_BACK: Duration = Duration::from_secs(3 * 86_400);
/// The first comparison is so long after the start.
const FIRST_AFTER: Duration = Duration::from_secs(120);
/// A comparison that could not look is repeated so soon.
const RETRY_AFTER: Duration = Duration::from_secs(600);

/// Compares every so often.
#[derive(Debug)]
pub struct Daily {
    comparison: Comparison,
    resolver: Arc<Resolver>,
    refunds: Arc<Refunds>,
}

impl Daily {
    /// Puts it together.
    pub fn new(comparison: Comparison, resolver: Arc<Resolver>, refunds: Arc<Refunds>) -> Self {
        Self { comparison, resolver, refunds }
    }

    /// Compares again and again until `shutdown`.
    pub async fn run(&self, every: Duration, shutdown: &Shutdown) {
        let mut pause = every.min(FIRST_AFTER);
        loop {
            let round = async {
                sleep(pause).await;
                self.round().await
            };
            pause = match shutdown.until(round).await {
                None => return,
                Some(Ok(())) => every,
                Some(Err(error)) => {
                    tracing::warn!(error.cause = %error,
                        "yookassa: payments cannot be compared with billing's");
                    every.min(RETRY_AFTER)
                }
            };
        }
    }

    async fn round(&self) -> Result<(), CompareError> {
        let to = SystemTime::now();
        let mut report = self.comparison.look(Span { from: to - LOOK_BACK, to }).await?;
        for difference in &mut report.differences {
            difference.is_mended = self.mend(difference).await;
            log(difference);
        }
        publish(&report, to);
        tracing::info!(
            payments = report.payments,
            top_ups = report.top_ups,
            refunds = report.refunds,
            reversals = report.reversals,
            findings = report.differences.len(),
            "yookassa: payments and refunds compared with billing's"
        );
        Ok(())
    }

    async fn mend(&self, difference: &Difference) -> bool {
        match (difference.kind, &difference.payment, &difference.refund) {
            (Kind::NotCredited, Some(payment), _) => {
                let owner = Some(difference.owner);
                let resolved = self.resolver.resolve(payment, owner, Via::Comparison).await;
                succeeded(difference, resolved.map(|it| it == Resolution::Settled))
            }
            (Kind::NotReversed, _, Some(refund)) => {
                let resolved = self.refunds.resolve(refund, Via::Comparison).await;
                succeeded(difference, resolved.map(|it| it == Reversal::Reversed))
            }
            _ => false,
        }
    }
}

/// A difference that cannot be mended now is met again by the next comparison.
fn succeeded(difference: &Difference, mended: Result<bool, PaymentError>) -> bool {
    mended.unwrap_or_else(|error| {
        tracing::warn!(
            user.id = %difference.owner.user_id,
            top_up.id = %difference.owner.top_up_id,
            error.cause = %error,
            "yookassa: a difference could not be mended now"
        );
        false
    })
}

fn log(difference: &Difference) {
    macro_rules! line {
        ($level:ident, $message:literal) => {
            tracing::$level!(
                user.id = %difference.owner.user_id,
                top_up.id = %difference.owner.top_up_id,
                payment.id = difference.payment.as_ref().map(tracing::field::display),
                refund.id = difference.refund.as_ref().map(tracing::field::display),
                difference = difference.kind.name(),
                found = difference.there,
                expected = difference.here,
                $message
            )
        };
    }
    if difference.is_mended {
        line!(warn, "yookassa: a difference to billing was mended");
    } else {
        line!(error, "yookassa: a difference to billing waits for a person");
    }
}

fn publish(report: &Report, at: SystemTime) {
    let mut left: HashMap<Kind, u32> = HashMap::new();
    for difference in &report.differences {
        if difference.is_mended {
            let kind = difference.kind.name();
            metrics::counter!("payments_mended_total", "kind" => kind).increment(1);
        } else {
            *left.entry(difference.kind).or_default() += 1;
        }
    }
    for kind in Kind::ALL {
        let count = left.get(&kind).copied().unwrap_or_default();
        metrics::gauge!("payments_differences", "kind" => kind.name()).set(f64::from(count));
    }
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    metrics::gauge!("payments_compared_timestamp_seconds").set(since.as_secs_f64());
}
