//! What persons and promo codes gave: each deed names its entry, and each such entry has one deed.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::finding::{Findings, Invariant};
use super::piles::Pile;
use crate::domain::{Cause, InterventionKind};
use crate::store::raw::{RawEntry, RawIntervention, RawRedemption};

/// What an intervention or a redemption says of the entry that it names.
#[derive(Debug)]
struct Deed {
    invariant: Invariant,
    row: String,
    cause: &'static str,
    amount: i64,
    operation: Option<Uuid>,
    actor: Option<String>,
    is_met: bool,
}

/// The deeds of one user, by the number of the entry that each names.
#[derive(Debug, Default)]
pub(super) struct Deeds(BTreeMap<i64, Deed>);

impl Deeds {
    pub(super) fn add_intervention(&mut self, row: &RawIntervention, findings: &mut Findings) {
        let name = format!("{} {}", row.kind, row.key);
        let cause = match InterventionKind::from_stored(&row.kind) {
            Some(InterventionKind::Adjustment) => Cause::Adjustment,
            Some(InterventionKind::Grant) => Cause::Grant,
            Some(InterventionKind::PartialRefund) => Cause::Refund,
            None => {
                let about = (row.user, Invariant::InterventionNamesItsEntry);
                findings.add(about, name, (&row.kind, "a known kind"));
                return;
            }
        };
        let deed = Deed {
            invariant: Invariant::InterventionNamesItsEntry,
            row: name,
            cause: cause.as_str(),
            amount: row.amount,
            operation: row.operation,
            actor: Some(row.actor.clone()),
            is_met: false,
        };
        self.add((row.user, row.entry_number), deed, findings);
    }

    pub(super) fn add_redemption(&mut self, row: &RawRedemption, findings: &mut Findings) {
        let name = format!("redemption of {}", row.code);
        let gives_at_once = row.kind == "free_operations";
        let Some(number) = row.entry_number.filter(|_| gives_at_once) else {
            if gives_at_once || row.entry_number.is_some() {
                let about = (row.user, Invariant::RedemptionNamesItsEntry);
                let found = format!("{}, entry {:?}", row.kind, row.entry_number);
                findings.add(about, name, (found, "an entry exactly if it gave free operations"));
            }
            return;
        };
        let deed = Deed {
            invariant: Invariant::RedemptionNamesItsEntry,
            row: name,
            cause: Cause::PromoCode.as_str(),
            amount: row.value,
            operation: None,
            actor: None,
            is_met: false,
        };
        self.add((row.user, number), deed, findings);
    }

    fn add(&mut self, (user, number): (i64, i64), deed: Deed, findings: &mut Findings) {
        if let Some(first) = self.0.get(&number) {
            let found = format!("{} and {}", first.row, deed.row);
            let about = (user, Invariant::EntryIsNamed);
            findings.add(about, format_args!("entry {number}"), (found, "one of them"));
        } else {
            self.0.insert(number, deed);
        }
    }

    /// Compares an entry with the deed that names it.
    pub(super) fn meet(
        &mut self,
        entry: &RawEntry,
        (from, to): (Pile<'_>, Pile<'_>),
        findings: &mut Findings,
    ) {
        let is = |cause: Cause| entry.cause == cause.as_str();
        let Some(deed) = self.0.get_mut(&entry.number) else {
            if is(Cause::Adjustment) || is(Cause::Grant) || is(Cause::PromoCode) {
                let about = (entry.user, Invariant::EntryIsNamed);
                let row = format_args!("entry {}", entry.number);
                let expected = "one intervention or redemption that names it";
                findings.add(about, row, ("none", expected));
            }
            return;
        };
        deed.is_met = true;
        // Below zero if money was taken.
        let amount = match (from, to) {
            (Pile::Balance, Pile::Adjustment) => -i128::from(entry.amount),
            _ => i128::from(entry.amount),
        };
        let is_right = entry.cause == deed.cause
            && amount == i128::from(deed.amount)
            && entry.actor == deed.actor
            && entry.operation == deed.operation;
        if !is_right {
            let actor = |actor: &Option<String>| actor.clone().unwrap_or_else(|| "nobody".into());
            let found = format!("{} of {} by {}", deed.cause, deed.amount, actor(&deed.actor));
            let expected = format!(
                "{} of {amount} by {}, as entry {} says",
                entry.cause,
                actor(&entry.actor),
                entry.number
            );
            findings.add((entry.user, deed.invariant), &deed.row, (found, expected));
        }
    }

    /// Reports deeds whose entry is not there.
    pub(super) fn close(&self, user: i64, findings: &mut Findings) {
        for (number, deed) in self.0.iter().filter(|(_, deed)| !deed.is_met) {
            let found = format_args!("no entry {number}");
            findings.add((user, deed.invariant), &deed.row, (found, "an entry of the user"));
        }
    }
}
