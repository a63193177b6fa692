//! What no single user's rows prove: promo codes, and payments over all users.

use std::collections::BTreeMap;

use super::finding::{Findings, Invariant};
use crate::store::Answer;
use crate::store::raw::{CLAIMS, CODES, CODES_REDEEMED, RawClaim, RawCodeCount};
use crate::store::verify::{Snapshot, Statement};

/// Claims that are read at once.
const CLAIMS_PAGE: i64 = 5_000;

/// Compares how often each promo code says that it was redeemed with how often it was.
pub(super) async fn check_codes(
    snapshot: &mut impl Snapshot,
    findings: &mut Findings,
) -> Answer<()> {
    let mut counts: BTreeMap<String, (Option<i64>, i64)> = BTreeMap::new();
    let codes = Statement { sql: CODES, texts: &[], numbers: &[] };
    snapshot
        .rows::<RawCodeCount>(&codes, |row| match row {
            Ok(row) => counts.entry(row.code).or_default().0 = Some(row.count),
            Err(unreadable) => findings.add_unreadable(&unreadable),
        })
        .await?;
    let redeemed = Statement { sql: CODES_REDEEMED, texts: &[], numbers: &[] };
    snapshot
        .rows::<RawCodeCount>(&redeemed, |row| match row {
            Ok(row) => counts.entry(row.code).or_default().1 = row.count,
            Err(unreadable) => findings.add_unreadable(&unreadable),
        })
        .await?;
    for (code, (says, redeemed)) in counts {
        if says != Some(redeemed) {
            let about = (0, Invariant::CodeCountsItsRedemptions);
            let found = says.map_or_else(|| "no such code".to_owned(), |says| says.to_string());
            findings.add(about, format_args!("promo code {code}"), (found, redeemed));
        }
    }
    Ok(())
}

/// Checks the claims after (provider, payment), and says after which the next page begins.
pub(super) async fn check_claims(
    snapshot: &mut impl Snapshot,
    (provider, payment): (&str, &str),
    findings: &mut Findings,
) -> Answer<Option<(String, String)>> {
    let mut count = 0;
    let mut last = None;
    let statement = Statement { sql: CLAIMS, texts: &[provider, payment], numbers: &[CLAIMS_PAGE] };
    snapshot
        .rows::<RawClaim>(&statement, |row| {
            count += 1;
            match row {
                Ok(claim) => {
                    check_claim(&claim, findings);
                    last = Some((claim.provider, claim.payment));
                }
                Err(unreadable) => findings.add_unreadable(&unreadable),
            }
        })
        .await?;
    Ok(last.filter(|_| count == CLAIMS_PAGE))
}

fn check_claim(claim: &RawClaim, findings: &mut Findings) {
    let is_named = claim.top_up_state.as_deref() == Some("settled")
        && claim.top_up_payment.as_ref() == Some(&claim.payment)
        && claim.top_up_provider.as_ref() == Some(&claim.provider);
    if !is_named {
        let about = (claim.user, Invariant::ClaimNamesItsTopUp);
        let row = format_args!("claim of {} {}", claim.provider, claim.payment);
        let state = claim.top_up_state.as_deref().unwrap_or("there is none");
        let payment = claim.top_up_payment.as_deref().unwrap_or("none");
        let found = format!("top-up {}: {state}, payment {payment}", claim.top_up);
        findings.add(about, row, (found, "a settled top-up that names this payment"));
    }
}
