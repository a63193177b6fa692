//! What one user has, and what a movement does to it.

use super::{AmountError, Balance, Movement, PaymentSource, Place, Timestamp, UserId};

/// The most free operations that one grant may give.
const GRANT_MAX: u32 = 10_000;

/// Free operations that a new user is given.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Grant(u32);

impl Grant {
    /// Accepts 0 … 10⁴ free operations.
    pub fn new(count: u32) -> Option<Self> {
        (count <= GRANT_MAX).then_some(Self(count))
    }

    /// How many.
    pub fn get(self) -> i64 {
        i64::from(self.0)
    }
}

/// What is known of a person. Never enters the ledger; may be erased.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Profile {
    /// IETF language tag.
    pub language: Option<String>,
    /// Where receipts are sent.
    pub receipt_email: Option<String>,
}

impl Profile {
    /// This profile with the fields that `newer` has; absent ones stay.
    #[must_use]
    pub fn updated_with(&self, newer: &Self) -> Self {
        Self {
            language: newer.language.clone().or_else(|| self.language.clone()),
            receipt_email: newer.receipt_email.clone().or_else(|| self.receipt_email.clone()),
        }
    }
}

/// One user's money and free operations.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Account {
    pub user: UserId,
    /// What can be spent.
    pub balance: Balance,
    /// What open operations hold, apart from the balance.
    pub held: Balance,
    /// Free operations that can be used.
    pub free_operations: i64,
    /// Free operations that open operations hold.
    pub held_free_operations: i64,
    /// What reversed top-ups have taken back in all: this far the balance may be below zero.
    pub reversed_kopecks: i64,
    /// Until when any redeemed promo code may have effect.
    pub redemptions_until: Timestamp,
    /// Number of the last entry; 0 if there is none.
    pub last_entry: i64,
    /// Number of the last event; 0 if there is none.
    pub last_event: i64,
    pub created_at: Timestamp,
}

impl Account {
    /// A new user's account, still empty.
    pub fn open(user: UserId, at: Timestamp) -> Self {
        Self {
            user,
            balance: Balance::default(),
            held: Balance::default(),
            free_operations: 0,
            held_free_operations: 0,
            reversed_kopecks: 0,
            redemptions_until: Timestamp::from_micros(0),
            last_entry: 0,
            last_event: 0,
            created_at: at,
        }
    }

    /// Whether any operation may hold something of it.
    pub fn holds_anything(&self) -> bool {
        self.held.get() != 0 || self.held_free_operations != 0
    }

    /// Where the thing that pays for an operation lies while it can be used.
    pub fn purse(source: PaymentSource) -> Place {
        match source {
            PaymentSource::FreeOperation => Place::FreeAvailable,
            PaymentSource::Balance => Place::Balance,
            // Each use is granted when it is reserved, and goes back to where it was granted from.
            PaymentSource::FreeAccess => Place::FreeGranted,
        }
    }

    /// Where it lies while an operation holds it.
    pub fn hold(source: PaymentSource) -> Place {
        match source {
            PaymentSource::FreeOperation | PaymentSource::FreeAccess => Place::FreeHeld,
            PaymentSource::Balance => Place::Held,
        }
    }

    /// Where it lies once an operation has used it.
    pub fn spent(source: PaymentSource) -> Place {
        match source {
            PaymentSource::FreeOperation | PaymentSource::FreeAccess => Place::FreeUsed,
            PaymentSource::Balance => Place::Revenue,
        }
    }

    /// Applies a movement, or leaves the account as it was.
    pub fn apply(&mut self, movement: &Movement) -> Result<(), AmountError> {
        let mut next = self.clone();
        let out = movement.amount.checked_neg().ok_or(AmountError::Overflow)?;
        next.change(&movement.from, out)?;
        next.change(&movement.to, movement.amount)?;
        *self = next;
        Ok(())
    }

    fn change(&mut self, place: &Place, by: i64) -> Result<(), AmountError> {
        match place {
            Place::Balance => self.balance = self.balance.checked_add(by)?,
            Place::Held => {
                self.held = Balance::new(not_below_zero(self.held.get(), by)?);
            }
            Place::FreeAvailable => {
                self.free_operations = not_below_zero(self.free_operations, by)?;
            }
            Place::FreeHeld => {
                self.held_free_operations = not_below_zero(self.held_free_operations, by)?;
            }
            Place::Revenue
            | Place::Promo
            | Place::Adjustment
            | Place::Clearing(_)
            | Place::FreeUsed
            | Place::FreeGranted => {}
        }
        Ok(())
    }
}

fn not_below_zero(now: i64, by: i64) -> Result<i64, AmountError> {
    now.checked_add(by).filter(|&sum| sum >= 0).ok_or(AmountError::Overflow)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_movement_that_cannot_be_made_changes_nothing() {
        let mut account = Account::open(UserId::new(1).unwrap(), Timestamp::from_micros(0));
        let before = account.clone();

        let release = Movement { from: Place::Held, to: Place::Balance, amount: 1 };
        assert_eq!(account.apply(&release), Err(AmountError::Overflow));
        assert_eq!(account, before);

        let use_one = Movement { from: Place::FreeAvailable, to: Place::FreeHeld, amount: 1 };
        assert_eq!(account.apply(&use_one), Err(AmountError::Overflow));
        assert_eq!(account, before);
    }

    #[test]
    fn absent_profile_fields_stay() {
        let stored = Profile { language: Some("ru".into()), receipt_email: Some("a@b".into()) };
        let newer = Profile { language: Some("en".into()), receipt_email: None };

        let updated = stored.updated_with(&newer);

        assert_eq!(updated.language.as_deref(), Some("en"));
        assert_eq!(updated.receipt_email.as_deref(), Some("a@b"));
    }
}
