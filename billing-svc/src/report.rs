//! `billing-svc verify`: what the proof has found, for a person or a program.

use std::io::Write;

use anyhow::Context as _;
use serde_json::json;

use crate::config::{ReportFormat, VerifyOptions};
use crate::ledger::verify::{Finding, PAGE_USERS, Page, Place, Totals, Verifier};
use crate::server::is_postgres;
use crate::store::postgres::PostgresAudit;
use crate::store::sqlite::SqliteAudit;
use crate::store::verify::Audit;

/// How a verification ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    Clean,
    Findings(u64),
}

/// Verifies the store at `url` and writes down what it finds, as it finds it.
///
/// # Errors
/// When it could not look.
pub async fn verify(
    url: &str,
    options: &VerifyOptions,
    out: &mut (impl Write + Send),
) -> anyhow::Result<Verdict> {
    if is_postgres(url) {
        verify_on(PostgresAudit::open(url).await?, options, out).await
    } else {
        verify_on(SqliteAudit::open(url).await?, options, out).await
    }
}

async fn verify_on<A: Audit>(
    audit: A,
    options: &VerifyOptions,
    out: &mut (impl Write + Send),
) -> anyhow::Result<Verdict> {
    let verifier = Verifier::new(audit.clone(), options.head.clone());
    let mut report = Report { format: options.format, out, count: 0, totals: Totals::default() };
    if let Some(user) = options.user {
        let page = verifier.user(user).await.context("the store cannot be read")?;
        anyhow::ensure!(
            page.totals.users == 1 || page.findings_count > 0,
            "user {user} was never registered"
        );
        report.add(&page)?;
    } else {
        let mut place = Some(Place::START);
        while let Some(here) = place {
            let page = verifier.page(&here, PAGE_USERS).await;
            let page = page.with_context(|| format!("the store cannot be read from {here} on"))?;
            report.add(&page)?;
            place = page.next;
        }
    }
    if let Some(finding) = Verifier::<A>::sum_up(&report.totals) {
        report.count += 1;
        report.write_finding(&finding)?;
    }
    report.write_totals()?;
    audit.close().await;
    Ok(match report.count {
        0 => Verdict::Clean,
        count => Verdict::Findings(count),
    })
}

/// What has been found so far.
struct Report<'o, O> {
    format: ReportFormat,
    out: &'o mut O,
    count: u64,
    totals: Totals,
}

impl<O: Write> Report<'_, O> {
    fn add(&mut self, page: &Page) -> std::io::Result<()> {
        for finding in &page.findings {
            self.write_finding(finding)?;
        }
        self.count += page.findings_count;
        self.totals.add(&page.totals);
        Ok(())
    }

    fn write_finding(&mut self, finding: &Finding) -> std::io::Result<()> {
        let Finding { user, invariant, row, found, expected } = finding;
        let invariant = invariant.as_str();
        match self.format {
            ReportFormat::Table => writeln!(
                self.out,
                "user {user:<12} {invariant:<36} {row}\n    found    {found}\n    expected {expected}"
            ),
            ReportFormat::Json => writeln!(
                self.out,
                "{}",
                json!({ "finding": {
                    "user": user,
                    "invariant": invariant,
                    "row": row,
                    "found": found,
                    "expected": expected,
                } })
            ),
        }
    }

    fn write_totals(&mut self) -> std::io::Result<()> {
        match self.format {
            ReportFormat::Table => self.write_table(),
            ReportFormat::Json => self.write_json(),
        }
    }

    fn write_table(&mut self) -> std::io::Result<()> {
        let Totals { users, entries, .. } = self.totals;
        let totals = &self.totals;
        writeln!(self.out, "users {users}, entries {entries}, findings {}", self.count)?;
        for (place, sum) in [
            ("balances", totals.balances),
            ("held", totals.held),
            ("revenue", totals.revenue),
            ("received", totals.received),
            ("given back", totals.given_back),
            ("promo", totals.promo),
            ("adjustments", totals.adjustments),
        ] {
            writeln!(self.out, "{place:<24} {sum:>20} kopecks")?;
        }
        for (provider, sum) in &totals.clearing {
            let place = format!("clearing:{provider}");
            writeln!(self.out, "{place:<24} {sum:>20} kopecks")?;
        }
        for (place, sum) in [
            ("available", totals.free_operations),
            ("held", totals.held_free_operations),
            ("used", totals.used),
            ("granted", totals.granted),
        ] {
            writeln!(self.out, "{place:<24} {sum:>20} free operations")?;
        }
        let (into, there) = (totals.money_in(), totals.money_there());
        let sign = if into == there { "=" } else { "is not" };
        writeln!(
            self.out,
            "received + promo + adjustments {into} {sign} \
             balances + held + revenue + given back {there}"
        )
    }

    fn write_json(&mut self) -> std::io::Result<()> {
        let totals = &self.totals;
        // Sums are texts: they may be larger than a program's numbers.
        let clearing: serde_json::Map<_, _> = totals
            .clearing
            .iter()
            .map(|(provider, sum)| (provider.clone(), sum.to_string().into()))
            .collect();
        let line = json!({ "totals": {
            "users": totals.users,
            "entries": totals.entries,
            "findings": self.count,
            "kopecks": {
                "balances": totals.balances.to_string(),
                "held": totals.held.to_string(),
                "revenue": totals.revenue.to_string(),
                "received": totals.received.to_string(),
                "given_back": totals.given_back.to_string(),
                "promo": totals.promo.to_string(),
                "adjustments": totals.adjustments.to_string(),
                "clearing": clearing,
            },
            "free_operations": {
                "available": totals.free_operations.to_string(),
                "held": totals.held_free_operations.to_string(),
                "used": totals.used.to_string(),
                "granted": totals.granted.to_string(),
            },
        } });
        writeln!(self.out, "{line}")
    }
}
