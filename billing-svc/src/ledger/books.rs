//! What one batch needs of the store, and what it changes there, in memory.
//!
//! Every decision of a batch sees what those before it have done. Nothing here waits: what a
//! decision may ask for was loaded before, under the lock of its account.

use std::collections::{BTreeMap, HashMap};

use super::changes::{Change, Effects, Row};
use super::{BillingError, Rules};
use crate::domain::{
    Account, Cause, Entry, Event, EventKind, IdempotencyKey, Intervention, InterventionKind,
    Movement, Operation, OperationId, OperationState, PaymentId, Profile, PromoCode, PromoCodeName,
    Provider, ProviderRefundId, Redemption, Subject, Timestamp, TopUp, TopUpId, UserId,
};
use crate::store::{Claim, Hold, Reversal};

/// What moves, and why.
#[derive(Debug)]
pub(crate) struct Posting {
    pub(crate) movement: Movement,
    pub(crate) cause: Cause,
    pub(crate) subject: Subject,
    pub(crate) actor: Option<String>,
}

/// A hold that a touch released.
#[derive(Clone, Debug)]
pub(crate) struct Released {
    pub(crate) operation: Operation,
    pub(crate) after: Account,
}

/// One user's account with what belongs to it, as callers are answered.
#[derive(Clone, Debug)]
pub struct Standing {
    pub account: Account,
    pub profile: Profile,
    /// What redeemed promo codes still give.
    pub redemptions: Vec<Redemption>,
}

/// The rows of one batch. A clone is a trial: it can be thrown away with all that it decided.
#[derive(Clone, Debug)]
pub(crate) struct Books<'r> {
    pub(crate) rules: &'r Rules,
    pub(crate) now: Timestamp,
    pub(super) accounts: BTreeMap<UserId, Row<Account>>,
    pub(super) profiles: BTreeMap<UserId, Row<Profile>>,
    pub(super) operations: BTreeMap<(UserId, OperationId), Row<Operation>>,
    operation_keys: HashMap<(UserId, IdempotencyKey), OperationId>,
    /// Holds as they are stored, of the operations that were loaded.
    pub(super) holds: HashMap<OperationId, Hold>,
    overdue: HashMap<UserId, Vec<OperationId>>,
    pub(super) top_ups: BTreeMap<(UserId, TopUpId), Row<TopUp>>,
    top_up_keys: HashMap<(UserId, IdempotencyKey), TopUpId>,
    pub(super) claims: BTreeMap<(Provider, PaymentId), Row<Claim>>,
    pub(super) reversals: BTreeMap<(UserId, Provider, ProviderRefundId), Row<Reversal>>,
    pub(super) promo_codes: BTreeMap<PromoCodeName, Row<PromoCode>>,
    pub(super) redemptions: BTreeMap<(UserId, PromoCodeName), Row<Redemption>>,
    pub(super) interventions:
        BTreeMap<(UserId, InterventionKind, IdempotencyKey), Row<Intervention>>,
    pub(super) entries: Vec<Entry>,
    pub(super) events: Vec<Event>,
    released: Vec<Released>,
}

impl<'r> Books<'r> {
    /// Books that know nothing yet.
    pub(crate) fn new(rules: &'r Rules, now: Timestamp) -> Self {
        Self {
            rules,
            now,
            accounts: BTreeMap::new(),
            profiles: BTreeMap::new(),
            operations: BTreeMap::new(),
            operation_keys: HashMap::new(),
            holds: HashMap::new(),
            overdue: HashMap::new(),
            top_ups: BTreeMap::new(),
            top_up_keys: HashMap::new(),
            claims: BTreeMap::new(),
            reversals: BTreeMap::new(),
            promo_codes: BTreeMap::new(),
            redemptions: BTreeMap::new(),
            interventions: BTreeMap::new(),
            entries: Vec::new(),
            events: Vec::new(),
            released: Vec::new(),
        }
    }

    pub(crate) fn load_account(&mut self, account: Account) {
        self.accounts.insert(account.user, Row::loaded(account));
    }

    pub(crate) fn load_profile(&mut self, user: UserId, profile: Profile) {
        self.profiles.insert(user, Row::loaded(profile));
    }

    /// Takes an operation in; an overdue one waits to be touched.
    pub(crate) fn load_operation(&mut self, operation: Operation) {
        let place = (operation.user, operation.id);
        if self.operations.contains_key(&place) {
            return;
        }
        if operation.is_overdue(self.now) {
            self.overdue.entry(operation.user).or_default().push(operation.id);
        }
        if let Some(hold) = Hold::of(&operation) {
            self.holds.insert(operation.id, hold);
        }
        self.operation_keys.insert((operation.user, operation.key.clone()), operation.id);
        self.operations.insert(place, Row::loaded(operation));
    }

    pub(crate) fn load_top_up(&mut self, top_up: TopUp) {
        self.top_up_keys.insert((top_up.user, top_up.key.clone()), top_up.id);
        self.top_ups.entry((top_up.user, top_up.id)).or_insert(Row::loaded(top_up));
    }

    pub(crate) fn load_claim(&mut self, claim: Claim) {
        self.claims.insert((claim.provider.clone(), claim.payment.clone()), Row::loaded(claim));
    }

    pub(crate) fn account(&self, user: UserId) -> Result<&Account, BillingError> {
        self.find_account(user).ok_or(BillingError::UserNotFound(user))
    }

    pub(crate) fn find_account(&self, user: UserId) -> Option<&Account> {
        self.accounts.get(&user).map(|row| &row.value)
    }

    pub(crate) fn add_account(&mut self, account: Account) {
        self.accounts.insert(account.user, Row::new(account));
    }

    /// The profile, empty if nothing was stored.
    pub(crate) fn profile(&self, user: UserId) -> Profile {
        self.profiles.get(&user).map(|row| row.value.clone()).unwrap_or_default()
    }

    pub(crate) fn put_profile(&mut self, user: UserId, profile: Profile) {
        self.profiles.insert(user, Row { value: profile, change: Change::Update });
    }

    pub(crate) fn operation(
        &self,
        user: UserId,
        id: OperationId,
    ) -> Result<Operation, BillingError> {
        self.account(user)?;
        let row = self.operations.get(&(user, id)).ok_or(BillingError::OperationNotFound(id))?;
        Ok(row.value.clone())
    }

    pub(crate) fn operation_of(&self, user: UserId, key: &IdempotencyKey) -> Option<&Operation> {
        let id = self.operation_keys.get(&(user, key.clone()))?;
        self.operations.get(&(user, *id)).map(|row| &row.value)
    }

    pub(crate) fn add_operation(&mut self, operation: Operation) {
        self.operation_keys.insert((operation.user, operation.key.clone()), operation.id);
        self.operations.insert((operation.user, operation.id), Row::new(operation));
    }

    pub(crate) fn put_operation(&mut self, operation: Operation) {
        if let Some(row) = self.operations.get_mut(&(operation.user, operation.id)) {
            row.set(operation);
        }
    }

    pub(crate) fn top_up(&self, user: UserId, id: TopUpId) -> Result<TopUp, BillingError> {
        self.account(user)?;
        let row = self.top_ups.get(&(user, id)).ok_or(BillingError::TopUpNotFound(id))?;
        Ok(row.value.clone())
    }

    pub(crate) fn top_up_of(&self, user: UserId, key: &IdempotencyKey) -> Option<&TopUp> {
        let id = self.top_up_keys.get(&(user, key.clone()))?;
        self.top_ups.get(&(user, *id)).map(|row| &row.value)
    }

    pub(crate) fn add_top_up(&mut self, top_up: TopUp) {
        self.top_up_keys.insert((top_up.user, top_up.key.clone()), top_up.id);
        self.top_ups.insert((top_up.user, top_up.id), Row::new(top_up));
    }

    pub(crate) fn put_top_up(&mut self, top_up: TopUp) {
        if let Some(row) = self.top_ups.get_mut(&(top_up.user, top_up.id)) {
            row.set(top_up);
        }
    }

    pub(crate) fn claim(&self, provider: &Provider, payment: &PaymentId) -> Option<&Claim> {
        self.claims.get(&(provider.clone(), payment.clone())).map(|row| &row.value)
    }

    pub(crate) fn add_claim(&mut self, claim: Claim) {
        self.claims.insert((claim.provider.clone(), claim.payment.clone()), Row::new(claim));
    }

    /// Moves an amount and writes its entry, or does neither.
    pub(crate) fn post(&mut self, user: UserId, posting: Posting) -> Result<(), BillingError> {
        let row = self.accounts.get_mut(&user).ok_or(BillingError::UserNotFound(user))?;
        let mut account = row.value.clone();
        account.apply(&posting.movement)?;
        account.last_entry += 1;
        self.entries.push(Entry {
            user,
            number: account.last_entry,
            movement: posting.movement,
            cause: posting.cause,
            subject: posting.subject,
            actor: posting.actor,
            at: self.now,
            balance_after: account.balance,
            free_operations_after: account.free_operations,
        });
        row.set(account);
        Ok(())
    }

    /// Writes an event with the user's next number.
    pub(crate) fn emit(&mut self, user: UserId, kind: EventKind) -> Result<(), BillingError> {
        let row = self.accounts.get_mut(&user).ok_or(BillingError::UserNotFound(user))?;
        let mut account = row.value.clone();
        account.last_event += 1;
        self.events.push(Event { user, number: account.last_event, at: self.now, kind });
        row.set(account);
        Ok(())
    }

    /// Releases the overdue holds of an account. Comes before every decision about it.
    pub(crate) fn touch(&mut self, user: UserId) -> Result<(), BillingError> {
        let overdue = self.overdue.remove(&user).unwrap_or_default();
        let overdue = overdue.into_iter().map(|id| self.operation(user, id));
        let mut overdue = overdue.collect::<Result<Vec<_>, _>>()?;
        overdue.sort_by_key(|operation| (operation.expires_at, operation.number));
        for mut operation in overdue {
            let id = operation.id;
            let posting = Posting {
                movement: Movement {
                    from: Account::hold(operation.source),
                    to: Account::purse(operation.source),
                    amount: operation.amount(),
                },
                cause: Cause::Expiry,
                subject: Subject::Operation(id),
                actor: None,
            };
            self.post(user, posting)?;
            operation.state = OperationState::Expired;
            operation.ended_at = Some(self.now);
            self.put_operation(operation.clone());
            self.emit(user, EventKind::OperationExpired(operation.clone()))?;
            self.released.push(Released { operation, after: self.account(user)?.clone() });
        }
        Ok(())
    }

    /// What a batch leaves behind once it is stored.
    pub(crate) fn into_effects(self) -> Effects {
        Effects { released: self.released, has_events: !self.events.is_empty() }
    }
}
