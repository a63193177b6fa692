//! Where amounts lie, read from what an entry says, and sums over many entries.

use std::collections::BTreeMap;

use crate::store::raw::{RawAccount, RawEntry};

/// A place that an entry moves an amount from or to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Pile<'e> {
    Balance,
    Held,
    Revenue,
    Promo,
    Adjustment,
    Clearing(&'e str),
    FreeAvailable,
    FreeHeld,
    FreeUsed,
    FreeGranted,
}

impl<'e> Pile<'e> {
    /// The pile of that name among those of the unit.
    fn read(unit: &str, place: &'e str) -> Option<Self> {
        match (unit, place) {
            ("kopecks", "balance") => Some(Self::Balance),
            ("kopecks", "held") => Some(Self::Held),
            ("kopecks", "revenue") => Some(Self::Revenue),
            ("kopecks", "promo") => Some(Self::Promo),
            ("kopecks", "adjustment") => Some(Self::Adjustment),
            ("kopecks", other) => other.strip_prefix("clearing:").map(Self::Clearing),
            ("free_operations", "available") => Some(Self::FreeAvailable),
            ("free_operations", "held") => Some(Self::FreeHeld),
            ("free_operations", "used") => Some(Self::FreeUsed),
            ("free_operations", "granted") => Some(Self::FreeGranted),
            _ => None,
        }
    }

    /// The two ends of an entry's movement, if they can be.
    pub(super) fn ends(entry: &'e RawEntry) -> Option<(Self, Self)> {
        let from = Self::read(&entry.unit, &entry.from)?;
        let to = Self::read(&entry.unit, &entry.to)?;
        (from != to).then_some((from, to))
    }
}

/// What entries have moved to a place, less what they have moved from it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Piles {
    pub(super) balance: i128,
    pub(super) held: i128,
    pub(super) free_operations: i128,
    pub(super) held_free_operations: i128,
}

impl Piles {
    pub(super) fn change(&mut self, pile: Pile<'_>, by: i128) {
        match pile {
            Pile::Balance => self.balance += by,
            Pile::Held => self.held += by,
            Pile::FreeAvailable => self.free_operations += by,
            Pile::FreeHeld => self.held_free_operations += by,
            Pile::Revenue
            | Pile::Promo
            | Pile::Adjustment
            | Pile::Clearing(_)
            | Pile::FreeUsed
            | Pile::FreeGranted => {}
        }
    }
}

/// Sums over the accounts that were proven. Each account adds one consistent moment of its own.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Totals {
    pub users: u64,
    pub entries: u64,
    /// What accounts say, in kopecks.
    pub balances: i128,
    pub held: i128,
    pub free_operations: i128,
    pub held_free_operations: i128,
    /// What entries say, in kopecks.
    pub received: i128,
    pub given_back: i128,
    pub promo: i128,
    pub adjustments: i128,
    pub revenue: i128,
    /// Free operations that were used, and that were given.
    pub used: i128,
    pub granted: i128,
    /// What lies with each provider, below zero: received less given back.
    pub clearing: BTreeMap<String, i128>,
}

impl Totals {
    pub(super) fn add_account(&mut self, account: &RawAccount) {
        self.users += 1;
        self.balances += i128::from(account.balance);
        self.held += i128::from(account.held);
        self.free_operations += i128::from(account.free_operations);
        self.held_free_operations += i128::from(account.held_free_operations);
    }

    pub(super) fn add_movement(&mut self, (from, to): (Pile<'_>, Pile<'_>), amount: i128) {
        self.add_from(from, amount);
        self.add_to(to, amount);
    }

    fn add_from(&mut self, pile: Pile<'_>, amount: i128) {
        match pile {
            Pile::Revenue => self.revenue -= amount,
            Pile::Promo => self.promo += amount,
            Pile::Adjustment => self.adjustments += amount,
            Pile::Clearing(provider) => {
                self.received += amount;
                self.clear(provider, -amount);
            }
            Pile::FreeUsed => self.used -= amount,
            Pile::FreeGranted => self.granted += amount,
            Pile::Balance | Pile::Held | Pile::FreeAvailable | Pile::FreeHeld => {}
        }
    }

    fn add_to(&mut self, pile: Pile<'_>, amount: i128) {
        match pile {
            Pile::Revenue => self.revenue += amount,
            Pile::Promo => self.given_back += amount,
            Pile::Adjustment => self.adjustments -= amount,
            Pile::Clearing(provider) => {
                self.given_back += amount;
                self.clear(provider, amount);
            }
            Pile::FreeUsed => self.used += amount,
            Pile::FreeGranted => self.granted -= amount,
            Pile::Balance | Pile::Held | Pile::FreeAvailable | Pile::FreeHeld => {}
        }
    }

    fn clear(&mut self, provider: &str, by: i128) {
        if let Some(sum) = self.clearing.get_mut(provider) {
            *sum += by;
        } else {
            self.clearing.insert(provider.to_owned(), by);
        }
    }

    /// Adds what another page has come to.
    pub fn add(&mut self, other: &Self) {
        self.users += other.users;
        self.entries += other.entries;
        self.balances += other.balances;
        self.held += other.held;
        self.free_operations += other.free_operations;
        self.held_free_operations += other.held_free_operations;
        self.received += other.received;
        self.given_back += other.given_back;
        self.promo += other.promo;
        self.adjustments += other.adjustments;
        self.revenue += other.revenue;
        self.used += other.used;
        self.granted += other.granted;
        for (provider, sum) in &other.clearing {
            self.clear(provider, *sum);
        }
    }

    /// What has come in: received + promo + adjustments.
    pub fn money_in(&self) -> i128 {
        self.received + self.promo + self.adjustments
    }

    /// Where it is: balances + held + revenue + given back.
    pub fn money_there(&self) -> i128 {
        self.balances + self.held + self.revenue + self.given_back
    }
}
