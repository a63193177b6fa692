//! A store gone through by pages: users in order, then what is shared by all of them.
//!
//! Each page is one moment of the store, short enough to be in nobody's way. Memory is bounded by a
//! page's entries, or by the largest single user.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::case::Case;
use super::finding::{Finding, Findings, Invariant};
use super::piles::Totals;
use super::shared;
use crate::domain::ChainHash;
use crate::ledger::links::Links;
use crate::store::Answer;
use crate::store::raw::{
    ACCOUNTS, CHAIN_HEADS, ENTRIES, EVENTS, HOLDS, INTERVENTIONS, OPERATIONS, REDEMPTIONS,
    REVERSALS, RawAccount, RawEntry, RawEvent, RawHead, RawHold, RawIntervention, RawOperation,
    RawRedemption, RawReversal, RawTopUp, TOP_UPS,
};
use crate::store::verify::{Audit, Read, Snapshot, Statement, Stored};

/// Users of a page, unless they have too many entries.
pub const PAGE_USERS: i64 = 1_000;
/// A page ends after the user with whom it gets more entries than this.
const PAGE_ENTRIES: i64 = 20_000;

/// A head of a chain that somebody has kept outside the store, such as in a log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KeptHead {
    pub user: i64,
    pub number: i64,
    pub hash: ChainHash,
}

/// A text that is no kept head.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected user:number:hash, as the log has them")]
pub struct NotAKeptHead;

impl FromStr for KeptHead {
    type Err = NotAKeptHead;

    fn from_str(text: &str) -> Result<Self, NotAKeptHead> {
        let mut parts = text.splitn(3, ':');
        let mut part = || parts.next().ok_or(NotAKeptHead);
        Ok(Self {
            user: part()?.parse().map_err(|_| NotAKeptHead)?,
            number: part()?.parse().map_err(|_| NotAKeptHead)?,
            hash: part()?.parse().map_err(|_| NotAKeptHead)?,
        })
    }
}

/// Where a page begins.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Place {
    /// After this user.
    Users(i64),
    /// After this payment's claim; with promo codes before the first.
    Claims(String, String),
}

impl Place {
    /// The beginning of the store.
    pub const START: Self = Self::Users(0);
}

/// A text that names no place.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("no place of a page")]
pub struct NotAPlace;

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Users(after) => write!(f, "users:{after}"),
            Self::Claims(provider, payment) => write!(f, "claims:{provider}:{payment}"),
        }
    }
}

impl FromStr for Place {
    type Err = NotAPlace;

    fn from_str(text: &str) -> Result<Self, NotAPlace> {
        let (kind, rest) = text.split_once(':').ok_or(NotAPlace)?;
        match kind {
            "users" => rest
                .parse()
                .ok()
                .filter(|after| (0..i64::MAX).contains(after))
                .map(Self::Users)
                .ok_or(NotAPlace),
            "claims" => {
                let (provider, payment) = rest.split_once(':').ok_or(NotAPlace)?;
                Ok(Self::Claims(provider.to_owned(), payment.to_owned()))
            }
            _ => Err(NotAPlace),
        }
    }
}

/// What one page has come to.
#[derive(Debug)]
pub struct Page {
    /// The first findings.
    pub findings: Vec<Finding>,
    /// How many there are.
    pub findings_count: u64,
    pub totals: Totals,
    /// Where the next page begins.
    pub next: Option<Place>,
}

/// Goes through a store.
#[derive(Clone, Debug)]
pub struct Verifier<A> {
    audit: A,
    kept: Vec<KeptHead>,
}

impl<A: Audit> Verifier<A> {
    /// Compares with `kept` on the way.
    pub fn new(audit: A, kept: Vec<KeptHead>) -> Self {
        Self { audit, kept }
    }

    /// Proves the page that begins at `place`, of at most so many users.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn page(&self, place: &Place, users_max: i64) -> Answer<Page> {
        match place {
            Place::Users(after) => self.users((after.saturating_add(1), i64::MAX), users_max).await,
            Place::Claims(provider, payment) => self.shared((provider, payment)).await,
        }
    }

    /// Proves one user.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn user(&self, user: i64) -> Answer<Page> {
        let page = self.users((user, user), 1).await?;
        Ok(Page { next: None, ..page })
    }

    /// The finding that all accounts together do not add up, if they do not.
    pub fn sum_up(totals: &Totals) -> Option<Finding> {
        (totals.money_in() != totals.money_there()).then(|| Finding {
            user: 0,
            invariant: Invariant::MoneyAddsUp,
            row: "all accounts".to_owned(),
            found: format!("balances + held + revenue + given back = {}", totals.money_there()),
            expected: format!("received + promo + adjustments = {}", totals.money_in()),
        })
    }

    async fn users(&self, (first, last): (i64, i64), users_max: i64) -> Answer<Page> {
        let mut snapshot = self.audit.snapshot().await?;
        let mut reading = Reading { snapshot: &mut snapshot, findings: Findings::default() };
        let mut accounts: Vec<RawAccount> = Vec::new();
        let span = [first, last, users_max];
        reading.each(ACCOUNTS, &span, |account, _| accounts.push(account)).await?;
        let size = size(&accounts);
        let is_cut = size < accounts.len() || i64::try_from(size) == Ok(users_max);
        accounts.truncate(size);
        // The span goes on to the next page's first user, so that rows without an account are met.
        let last = accounts.last().filter(|_| is_cut).map_or(last, |account| account.user);
        let mut cases: BTreeMap<i64, Case> = BTreeMap::new();
        let mut totals = Totals::default();
        for account in accounts {
            totals.add_account(&account);
            case(&mut cases, account.user).add_account(account);
        }
        for kept in self.kept.iter().filter(|kept| (first..=last).contains(&kept.user)) {
            case(&mut cases, kept.user).add_kept(*kept);
        }
        let links = reading.all_but_entries([first, last], &mut cases).await?;
        reading.entries([first, last], (cases, &links), &mut totals).await?;
        let Findings { first: findings, count: findings_count } = reading.findings;
        let next = if last == i64::MAX {
            Place::Claims(String::new(), String::new())
        } else {
            Place::Users(last)
        };
        Ok(Page { findings, findings_count, totals, next: Some(next) })
    }

    async fn shared(&self, (provider, payment): (&str, &str)) -> Answer<Page> {
        let mut snapshot = self.audit.snapshot().await?;
        let mut findings = Findings::default();
        if (provider, payment) == ("", "") {
            shared::check_codes(&mut snapshot, &mut findings).await?;
        }
        let next = shared::check_claims(&mut snapshot, (provider, payment), &mut findings).await?;
        Ok(Page {
            findings: findings.first,
            findings_count: findings.count,
            totals: Totals::default(),
            next: next.map(|(provider, payment)| Place::Claims(provider, payment)),
        })
    }
}

/// How many of `accounts` a page has room for; at least one, if there is one.
fn size(accounts: &[RawAccount]) -> usize {
    let mut entries: i64 = 0;
    let has_room = |account: &&RawAccount| {
        let had_room = entries <= PAGE_ENTRIES;
        entries = entries.saturating_add(account.last_entry.max(0));
        had_room
    };
    accounts.iter().take_while(has_room).count()
}

/// The case of a user; made for a row without an account too.
fn case(cases: &mut BTreeMap<i64, Case>, user: i64) -> &mut Case {
    cases.entry(user).or_insert_with(|| Case::new(user))
}

/// A page that is being read.
struct Reading<'s, S> {
    snapshot: &'s mut S,
    findings: Findings,
}

impl<S: Snapshot> Reading<'_, S> {
    async fn each<T: Stored>(
        &mut self,
        sql: &'static str,
        numbers: &[i64],
        mut take: impl FnMut(T, &mut Findings) + Send,
    ) -> Answer<()> {
        let findings = &mut self.findings;
        let statement = Statement { sql, texts: &[], numbers };
        let take = |row: Read<T>| match row {
            Ok(row) => take(row, findings),
            Err(unreadable) => findings.add_unreadable(&unreadable),
        };
        self.snapshot.rows(&statement, take).await
    }

    async fn all_but_entries(
        &mut self,
        span: [i64; 2],
        cases: &mut BTreeMap<i64, Case>,
    ) -> Answer<Links> {
        let mut links = Links::default();
        self.each(CHAIN_HEADS, &span, |row: RawHead, _| case(cases, row.user).add_head(row))
            .await?;
        self.each(OPERATIONS, &span, |row: RawOperation, findings| {
            let case = case(cases, row.user);
            if case.is_chained() {
                links.add_operation(&row);
            }
            case.add_operation(&row, findings);
        })
        .await?;
        self.each(HOLDS, &span, |row: RawHold, findings| {
            case(cases, row.user).add_hold(&row, findings);
        })
        .await?;
        self.each(TOP_UPS, &span, |row: RawTopUp, findings| {
            links.add_top_up(&row);
            case(cases, row.user).add_top_up(row, findings);
        })
        .await?;
        self.each(REVERSALS, &span, |row: RawReversal, findings| {
            case(cases, row.user).add_reversal(&row, findings);
        })
        .await?;
        self.each(INTERVENTIONS, &span, |row: RawIntervention, findings| {
            links.add_intervention(&row);
            case(cases, row.user).add_intervention(&row, findings);
        })
        .await?;
        self.each(REDEMPTIONS, &span, |row: RawRedemption, findings| {
            links.add_redemption(&row);
            case(cases, row.user).add_redemption(&row, findings);
        })
        .await?;
        self.each(EVENTS, &span, |row: RawEvent, findings| {
            case(cases, row.user).add_event(&row, findings);
        })
        .await?;
        Ok(links)
    }

    /// Walks over the entries; each case is closed, and its memory given back, as soon as its last
    /// entry is behind.
    async fn entries(
        &mut self,
        span: [i64; 2],
        (mut cases, links): (BTreeMap<i64, Case>, &Links),
        totals: &mut Totals,
    ) -> Answer<()> {
        let mut open: Option<(i64, Case)> = None;
        self.each(ENTRIES, &span, |row: RawEntry, findings| {
            if open.as_ref().is_none_or(|(user, _)| *user != row.user) {
                if let Some((_, done)) = open.take() {
                    done.close(findings);
                }
                while let Some(first) = cases.first_entry().filter(|case| *case.key() < row.user) {
                    first.remove().close(findings);
                }
                let case = cases.remove(&row.user).unwrap_or_else(|| Case::new(row.user));
                open = Some((row.user, case));
            }
            if let Some((_, case)) = &mut open {
                case.follow(&row, links, (findings, totals));
            }
        })
        .await?;
        let rest = open.into_iter().map(|(_, case)| case).chain(cases.into_values());
        rest.for_each(|case| case.close(&mut self.findings));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_was_written() {
        for place in [
            Place::START,
            Place::Users(42),
            Place::Claims(String::new(), String::new()),
            Place::Claims("yookassa".into(), "2d:9f".into()),
        ] {
            assert_eq!(place.to_string().parse(), Ok(place));
        }
        for text in ["", "users", "users:-1", "users:x", "claims:one", "rows:1"] {
            assert_eq!(text.parse::<Place>(), Err(NotAPlace), "{text}");
        }
    }

    #[test]
    fn a_kept_head_is_what_the_log_says() {
        let hash = "0f".repeat(32);
        let kept: KeptHead = format!("42:17:{hash}").parse().unwrap();

        assert_eq!((kept.user, kept.number, kept.hash.to_string()), (42, 17, hash));
        for text in ["", "42", "42:17", "42:17:xyz", "a:17:00", "42:b:00"] {
            assert_eq!(text.parse::<KeptHead>(), Err(NotAKeptHead), "{text}");
        }
    }
}
