//! The books, proved at the end of a run, as `billing-svc verify` proves them.

use billing_svc::config::{ReportFormat, VerifyOptions};
use billing_svc::report::{self, Verdict};

/// How much is wrong in a store; what it is, is printed.
pub(crate) async fn findings(url: &str) -> anyhow::Result<u64> {
    let options = VerifyOptions { format: ReportFormat::Table, user: None, head: Vec::new() };
    match report::verify(url, &options, &mut std::io::stdout()).await? {
        Verdict::Clean => Ok(0),
        Verdict::Findings(count) => Ok(count),
    }
}
