//! What one batch has changed, as it is to be stored and told.

use std::collections::BTreeMap;

use super::books::{Books, Released};
use crate::domain::{
    Account, Entry, Event, Intervention, Operation, Profile, PromoCode, Redemption, TopUp, UserId,
};
use crate::store::{Claim, Hold, Reversal};

/// What has to be done with a row when the batch is stored.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Change {
    None,
    Insert,
    Update,
}

/// A row as it was loaded, or as a decision has left it.
#[derive(Clone, Debug)]
pub(super) struct Row<T> {
    pub(super) value: T,
    pub(super) change: Change,
}

impl<T> Row<T> {
    pub(super) fn loaded(value: T) -> Self {
        Self { value, change: Change::None }
    }

    pub(super) fn new(value: T) -> Self {
        Self { value, change: Change::Insert }
    }

    pub(super) fn set(&mut self, value: T) {
        self.value = value;
        if self.change == Change::None {
            self.change = Change::Update;
        }
    }
}

/// What is to be told once a batch is stored.
#[derive(Debug)]
pub(crate) struct Effects {
    pub(crate) released: Vec<Released>,
    pub(crate) has_events: bool,
}

/// What a batch has changed, by table.
#[derive(Debug)]
pub(crate) struct Changes<'b> {
    pub(crate) new_accounts: Vec<&'b Account>,
    pub(crate) accounts: Vec<&'b Account>,
    pub(crate) profiles: Vec<(UserId, &'b Profile)>,
    pub(crate) new_operations: Vec<&'b Operation>,
    pub(crate) operations: Vec<&'b Operation>,
    pub(crate) new_holds: Vec<Hold>,
    pub(crate) ended_holds: Vec<Hold>,
    pub(crate) new_top_ups: Vec<&'b TopUp>,
    pub(crate) top_ups: Vec<&'b TopUp>,
    pub(crate) claims: Vec<&'b Claim>,
    pub(crate) reversals: Vec<&'b Reversal>,
    pub(crate) promo_codes: Vec<&'b PromoCode>,
    pub(crate) new_redemptions: Vec<&'b Redemption>,
    pub(crate) redemptions: Vec<&'b Redemption>,
    pub(crate) interventions: Vec<&'b Intervention>,
    pub(crate) entries: &'b [Entry],
    pub(crate) events: &'b [Event],
}

impl Books<'_> {
    /// What has changed, as it is to be stored.
    pub(crate) fn changes(&self) -> Changes<'_> {
        fn with<K: Ord, T>(rows: &BTreeMap<K, Row<T>>, change: Change) -> Vec<&T> {
            rows.values().filter(|row| row.change == change).map(|row| &row.value).collect()
        }
        let (new_holds, ended_holds) = self.changed_holds();
        Changes {
            new_accounts: with(&self.accounts, Change::Insert),
            accounts: with(&self.accounts, Change::Update),
            profiles: self
                .profiles
                .iter()
                .filter(|(_, row)| row.change != Change::None)
                .map(|(user, row)| (*user, &row.value))
                .collect(),
            new_operations: with(&self.operations, Change::Insert),
            operations: with(&self.operations, Change::Update),
            new_holds,
            ended_holds,
            new_top_ups: with(&self.top_ups, Change::Insert),
            top_ups: with(&self.top_ups, Change::Update),
            claims: with(&self.claims, Change::Insert),
            reversals: with(&self.reversals, Change::Insert),
            promo_codes: with(&self.promo_codes, Change::Update),
            new_redemptions: with(&self.redemptions, Change::Insert),
            redemptions: with(&self.redemptions, Change::Update),
            interventions: with(&self.interventions, Change::Insert),
            entries: &self.entries,
            events: &self.events,
        }
    }

    /// Holds that live now and did not before, and the other way round; an extended one is both.
    fn changed_holds(&self) -> (Vec<Hold>, Vec<Hold>) {
        let (mut new, mut ended) = (Vec::new(), Vec::new());
        for row in self.operations.values().filter(|row| row.change != Change::None) {
            let stored = self.holds.get(&row.value.id).copied();
            let living = Hold::of(&row.value);
            if stored != living {
                new.extend(living);
                ended.extend(stored);
            }
        }
        (new, ended)
    }
}
