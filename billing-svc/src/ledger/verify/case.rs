//! One user's rows, and what they prove.
//!
//! All rows but the entries are taken in first; then the entries, in order; then it is closed.

use std::collections::{BTreeMap, HashMap};

use uuid::Uuid;

use super::deeds::Deeds;
use super::finding::{Findings, Invariant};
use super::operation::OperationCase;
use super::pages::KeptHead;
use super::piles::{Pile, Piles, Totals};
use super::top_up::TopUpCase;
use crate::domain::{Cause, ChainHash};
use crate::ledger::CONSUMERS;
use crate::ledger::links::Links;
use crate::store::raw::{
    RawAccount, RawEntry, RawEvent, RawHead, RawHold, RawIntervention, RawOperation, RawRedemption,
    RawReversal, RawTopUp,
};

/// What is known of one user so far.
#[derive(Debug)]
pub(super) struct Case {
    user: i64,
    account: Option<RawAccount>,
    /// Rows that were met, by table: what a user without an account has all the same.
    rows: BTreeMap<&'static str, u64>,
    operations: HashMap<Uuid, OperationCase>,
    top_ups: HashMap<Uuid, TopUpCase>,
    deeds: Deeds,
    reversed: i128,
    redemptions_until: i64,
    /// Number of each consumer's last event.
    events: BTreeMap<String, i64>,
    head: Option<RawHead>,
    kept: Vec<KeptHead>,
    walk: Walk,
}

/// Where the walk over the entries is.
#[derive(Debug)]
struct Walk {
    number: i64,
    sums: Piles,
    /// As the last entry says; taken over from it, so that one wrong entry is one finding.
    balance_after: i128,
    free_operations_after: i128,
    hash: ChainHash,
}

impl Case {
    pub(super) fn new(user: i64) -> Self {
        Self {
            user,
            account: None,
            rows: BTreeMap::new(),
            operations: HashMap::new(),
            top_ups: HashMap::new(),
            deeds: Deeds::default(),
            reversed: 0,
            redemptions_until: 0,
            events: BTreeMap::new(),
            head: None,
            kept: Vec::new(),
            walk: Walk {
                number: 0,
                sums: Piles::default(),
                balance_after: 0,
                free_operations_after: 0,
                hash: ChainHash::START,
            },
        }
    }

    fn count(&mut self, table: &'static str) {
        *self.rows.entry(table).or_default() += 1;
    }

    pub(super) fn add_account(&mut self, account: RawAccount) {
        self.account = Some(account);
    }

    pub(super) fn add_head(&mut self, head: RawHead) {
        self.count("chain_heads");
        self.head = Some(head);
    }

    pub(super) fn add_kept(&mut self, kept: KeptHead) {
        self.kept.push(kept);
    }

    /// Whether its entries have to be hashed.
    pub(super) fn is_chained(&self) -> bool {
        self.head.is_some() || !self.kept.is_empty()
    }

    pub(super) fn add_operation(&mut self, row: &RawOperation, findings: &mut Findings) {
        self.count("operation_records");
        self.operations.insert(row.id, OperationCase::open(row, findings));
    }

    pub(super) fn add_hold(&mut self, row: &RawHold, findings: &mut Findings) {
        self.count("holds");
        let operation = self.operations.get_mut(&row.operation);
        if !operation.is_some_and(|operation| operation.add_hold(row.expires_at)) {
            let about = (self.user, Invariant::HoldIsOfAnOpenOperation);
            let name = format_args!("hold of operation {}", row.operation);
            let found = format_args!("ends at {}", row.expires_at);
            findings.add(about, name, (found, "an operation of the user that ends then"));
        }
    }

    pub(super) fn add_top_up(&mut self, row: RawTopUp, findings: &mut Findings) {
        self.count("top_ups");
        self.top_ups.insert(row.id, TopUpCase::open(row, findings));
    }

    pub(super) fn add_reversal(&mut self, row: &RawReversal, findings: &mut Findings) {
        self.count("reversals");
        self.reversed += i128::from(row.reversed) + i128::from(row.reversed_bonus);
        if let Some(top_up) = self.top_ups.get_mut(&row.top_up) {
            top_up.add_reversal(row, findings);
        } else {
            let about = (self.user, Invariant::ReversalNamesItsTopUp);
            let found = format_args!("no top-up {}", row.top_up);
            let name = format_args!("reversal {}", row.refund);
            findings.add(about, name, (found, "a top-up of the user"));
        }
    }

    pub(super) fn add_intervention(&mut self, row: &RawIntervention, findings: &mut Findings) {
        self.count("interventions");
        self.deeds.add_intervention(row, findings);
        let Some(id) = row.operation else { return };
        // If there is none, the entry that the intervention names has said so, or will.
        if let Some(operation) = self.operations.get_mut(&id) {
            operation.add_part(row.amount);
        }
    }

    pub(super) fn add_redemption(&mut self, row: &RawRedemption, findings: &mut Findings) {
        self.count("redemptions");
        self.deeds.add_redemption(row, findings);
        if row.used_at.is_none() {
            self.redemptions_until = self.redemptions_until.max(row.effect_until);
        }
        let Some(id) = row.top_up else { return };
        let top_up = self.top_ups.get_mut(&id);
        if let Some(top_up) = top_up.filter(|_| row.kind == "top_up_bonus" && row.used_at.is_some())
        {
            top_up.add_redemption();
        } else {
            let about = (self.user, Invariant::BonusIsRedeemed);
            let name = format_args!("redemption of {}", row.code);
            let found = format!("{} for top-up {id}", row.kind);
            findings.add(about, name, (found, "a used bonus and a top-up of the user"));
        }
    }

    pub(super) fn add_event(&mut self, row: &RawEvent, findings: &mut Findings) {
        self.count("events");
        let last = self.events.entry(row.consumer.clone()).or_default();
        let expected = last.saturating_add(1);
        *last = row.number;
        let name = format_args!("event {} of {}", row.number, row.consumer);
        let about = (self.user, Invariant::EventNumbersHaveNoGaps);
        findings.compare(about, name, (row.number, expected));
        let is_there = row.operation.is_none_or(|id| self.operations.contains_key(&id))
            && row.top_up.is_none_or(|id| self.top_ups.contains_key(&id));
        if !is_there {
            let about = (self.user, Invariant::EventNamesItsSubject);
            let found = format!("operation {:?}, top-up {:?}", row.operation, row.top_up);
            findings.add(about, name, (found, "an operation or top-up of the user"));
        }
    }

    /// Follows the next entry.
    pub(super) fn follow(
        &mut self,
        entry: &RawEntry,
        links: &Links,
        (findings, totals): (&mut Findings, &mut Totals),
    ) {
        self.count("entries");
        totals.entries += 1;
        self.step(entry, findings);
        let ends = Pile::ends(entry).filter(|_| entry.amount > 0);
        if let Some(ends) = ends {
            totals.add_movement(ends, i128::from(entry.amount));
            self.add_movement(entry, ends);
            self.attribute(entry, ends, findings);
            self.deeds.meet(entry, ends, findings);
        } else {
            let found =
                format!("{} {} from {} to {}", entry.amount, entry.unit, entry.from, entry.to);
            let about = (self.user, Invariant::EntryCanBe);
            let expected = "more than nothing, between two places of its unit";
            findings.add(about, format_args!("entry {}", entry.number), (found, expected));
        }
        self.check_after(entry, findings);
        if self.is_chained() {
            self.walk.hash = links.extend(self.walk.hash, entry);
            self.compare_hashes(entry.number, findings);
        }
    }

    fn step(&mut self, entry: &RawEntry, findings: &mut Findings) {
        let expected = self.walk.number.saturating_add(1);
        let about = (self.user, Invariant::EntryNumbersHaveNoGaps);
        let name = format_args!("entry {}", entry.number);
        findings.compare(about, name, (entry.number, expected));
        self.walk.number = entry.number;
    }

    fn add_movement(&mut self, entry: &RawEntry, (from, to): (Pile<'_>, Pile<'_>)) {
        let amount = i128::from(entry.amount);
        let mut moved = Piles::default();
        moved.change(from, -amount);
        moved.change(to, amount);
        self.walk.sums.change(from, -amount);
        self.walk.sums.change(to, amount);
        self.walk.balance_after += moved.balance;
        self.walk.free_operations_after += moved.free_operations;
    }

    fn check_after(&mut self, entry: &RawEntry, findings: &mut Findings) {
        let name = format_args!("entry {}", entry.number);
        let found = (i128::from(entry.balance_after), i128::from(entry.free_operations_after));
        let walk = &mut self.walk;
        let about = (self.user, Invariant::BalanceAfter);
        findings.compare(about, name, (found.0, walk.balance_after));
        let about = (self.user, Invariant::FreeOperationsAfter);
        findings.compare(about, name, (found.1, walk.free_operations_after));
        (walk.balance_after, walk.free_operations_after) = found;
    }

    /// Adds the entry to what it is about.
    fn attribute(&mut self, entry: &RawEntry, ends: (Pile<'_>, Pile<'_>), findings: &mut Findings) {
        let operation = entry.operation.map(|id| self.operations.get_mut(&id));
        let top_up = entry.top_up.map(|id| self.top_ups.get_mut(&id));
        match (operation, top_up) {
            (Some(Some(operation)), None) => operation.follow(entry, ends, findings),
            (None, Some(Some(top_up))) => top_up.follow(entry, ends, findings),
            (None, None) if can_be_of_account(entry, ends) => {}
            (None, None) => {
                let about = (self.user, Invariant::EntryCanBe);
                let found = format!("{} from {} to {}", entry.cause, entry.from, entry.to);
                let expected = "a movement that is about the account alone";
                findings.add(about, format_args!("entry {}", entry.number), (found, expected));
            }
            _ => {
                let about = (self.user, Invariant::EntryNamesItsSubject);
                let name = format_args!("entry {}", entry.number);
                let found = format!("operation {:?}, top-up {:?}", entry.operation, entry.top_up);
                findings.add(about, name, (found, "one operation or top-up of the user"));
            }
        }
    }

    fn compare_hashes(&self, number: i64, findings: &mut Findings) {
        let here = self.walk.hash;
        if let Some(head) = self.head.as_ref().filter(|head| head.number == number)
            && ChainHash::stored(&head.hash) != Some(here)
        {
            let about = (self.user, Invariant::HashChain);
            let found = ChainHash::stored(&head.hash)
                .map_or_else(|| "no hash".to_owned(), |hash| hash.to_string());
            let expected = format!("{here}, as the rows have it now");
            findings.add(about, format_args!("chain head at entry {number}"), (found, expected));
        }
        for kept in self.kept.iter().filter(|kept| kept.number == number) {
            let about = (self.user, Invariant::KeptHead);
            findings.compare(about, format_args!("entry {number}"), (here, kept.hash));
        }
    }

    /// Compares what all rows came to with the account.
    pub(super) fn close(self, findings: &mut Findings) {
        let Some(account) = &self.account else {
            self.close_without_account(findings);
            return;
        };
        self.compare_sums(account, findings);
        self.check_account(account, findings);
        self.compare_numbers(account, findings);
        for (id, operation) in &self.operations {
            operation.close((self.user, *id), findings);
        }
        for (id, top_up) in &self.top_ups {
            top_up.close((self.user, *id), findings);
        }
        self.deeds.close(self.user, findings);
    }

    fn close_without_account(&self, findings: &mut Findings) {
        if !self.rows.is_empty() {
            let rows: Vec<_> =
                self.rows.iter().map(|(table, count)| format!("{count} in {table}")).collect();
            let about = (self.user, Invariant::UserHasAnAccount);
            findings.add(about, "rows without an account", (rows.join(", "), "none"));
        }
        for kept in &self.kept {
            let name = format_args!("entry {}", kept.number);
            findings.add((self.user, Invariant::KeptHead), name, ("no account", kept.hash));
        }
    }

    fn compare_sums(&self, account: &RawAccount, findings: &mut Findings) {
        let sums = self.walk.sums;
        let (held, held_free) = self
            .operations
            .values()
            .map(OperationCase::holds)
            .fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        for (invariant, found, expected) in [
            (Invariant::EntriesSumToBalance, account.balance, sums.balance),
            (Invariant::EntriesSumToHeld, account.held, sums.held),
            (Invariant::EntriesSumToFreeOperations, account.free_operations, sums.free_operations),
            (
                Invariant::EntriesSumToHeldFreeOperations,
                account.held_free_operations,
                sums.held_free_operations,
            ),
            (Invariant::OpenOperationsSumToHeld, account.held, held),
            (
                Invariant::OpenOperationsSumToHeldFreeOperations,
                account.held_free_operations,
                held_free,
            ),
            (Invariant::ReversalsSumToAccount, account.reversed, self.reversed),
        ] {
            findings.compare((self.user, invariant), "account", (i128::from(found), expected));
        }
    }

    fn check_account(&self, account: &RawAccount, findings: &mut Findings) {
        if i128::from(account.balance) + i128::from(account.reversed) < 0 {
            let found = format!("balance {}, reversed {}", account.balance, account.reversed);
            let about = (self.user, Invariant::BalanceCoversReversals);
            findings.add(about, "account", (found, "a debt no larger than what was reversed"));
        }
        let least = [
            account.held,
            account.free_operations,
            account.held_free_operations,
            account.reversed,
            account.last_entry,
            account.last_event,
        ];
        if let Some(below) = least.into_iter().find(|&number| number < 0) {
            findings.add((self.user, Invariant::NotBelowZero), "account", (below, "0 or more"));
        }
        if account.redemptions_until < self.redemptions_until {
            let found = account.redemptions_until;
            let expected = format!("{} or later", self.redemptions_until);
            findings.add((self.user, Invariant::RedemptionsUntil), "account", (found, expected));
        }
    }

    fn compare_numbers(&self, account: &RawAccount, findings: &mut Findings) {
        let last = self.walk.number;
        let about = (self.user, Invariant::LastEntryNumber);
        findings.compare(about, "account", (account.last_entry, last));
        let mut lasts: BTreeMap<&str, i64> = CONSUMERS.map(|consumer| (consumer, 0)).into();
        lasts.extend(self.events.iter().map(|(consumer, last)| (consumer.as_str(), *last)));
        for (consumer, last) in lasts {
            let about = (self.user, Invariant::EventNumbersHaveNoGaps);
            let name = format_args!("account, events of {consumer}");
            findings.compare(about, name, (account.last_event, last));
        }
        if let Some(head) = self.head.as_ref().filter(|head| head.number > last) {
            let found = format_args!("chained up to entry {}", head.number);
            let expected = format_args!("at most up to entry {last}");
            findings.add((self.user, Invariant::ChainHead), "chain head", (found, expected));
        }
        for kept in self.kept.iter().filter(|kept| kept.number > last) {
            let about = (self.user, Invariant::KeptHead);
            let found = format_args!("entries end at {last}");
            findings.add(about, format_args!("entry {}", kept.number), (found, kept.hash));
        }
    }
}

/// Whether an entry that names neither operation nor top-up can be. Causes are added over time, so
/// one that we do not know can.
fn can_be_of_account(entry: &RawEntry, (from, to): (Pile<'_>, Pile<'_>)) -> bool {
    let is = |cause: Cause| entry.cause == cause.as_str();
    if is(Cause::Welcome) || is(Cause::PromoCode) {
        (from, to) == (Pile::FreeGranted, Pile::FreeAvailable) && entry.actor.is_none()
    } else if is(Cause::Grant) {
        (from, to) == (Pile::FreeGranted, Pile::FreeAvailable)
    } else if is(Cause::Adjustment) {
        matches!((from, to), (Pile::Adjustment, Pile::Balance) | (Pile::Balance, Pile::Adjustment))
    } else {
        let of_something = [
            Cause::Reserve,
            Cause::Commit,
            Cause::LateCommit,
            Cause::Refund,
            Cause::Expiry,
            Cause::TopUp,
            Cause::Bonus,
            Cause::Reversal,
        ];
        !of_something.into_iter().any(is)
    }
}
