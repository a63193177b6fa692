//! What one batch needs of the store, and what it changes there, in memory.
//!
//! Every decision of a batch sees what those before it have done. Nothing here waits: what a
//! decision may ask for was loaded before, under the lock of its account.

use std::collections::{BTreeMap, HashMap};

use super::{BillingError, Rules};
use crate::domain::{
    Account, Cause, Entry, Event, EventKind, IdempotencyKey, Movement, Operation, OperationId,
    OperationState, PaymentId, Profile, Provider, Subject, Timestamp, TopUp, TopUpId, UserId,
};
use crate::store::{Claim, Hold};

/// What a batch has to load.
#[derive(Debug, Default)]
pub(crate) struct Needs {
    pub(crate) users: Vec<UserId>,
    pub(crate) profiles: Vec<UserId>,
    pub(crate) operations: Vec<(UserId, OperationId)>,
    pub(crate) operation_keys: Vec<(UserId, IdempotencyKey)>,
    pub(crate) top_ups: Vec<(UserId, TopUpId)>,
    pub(crate) top_up_keys: Vec<(UserId, IdempotencyKey)>,
    /// Payments as the top-ups name their provider.
    pub(crate) payments: Vec<(UserId, TopUpId, PaymentId)>,
}

impl Needs {
    /// Names everything once, users in the order in which accounts are locked.
    pub(crate) fn tidy(&mut self) {
        fn once<T: Ord>(list: &mut Vec<T>) {
            list.sort_unstable();
            list.dedup();
        }
        once(&mut self.users);
        once(&mut self.profiles);
        once(&mut self.operations);
        once(&mut self.operation_keys);
        once(&mut self.top_ups);
        once(&mut self.top_up_keys);
        once(&mut self.payments);
    }
}

/// What has to be done with a row when the batch is stored.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Change {
    None,
    Insert,
    Update,
}

#[derive(Debug)]
struct Row<T> {
    value: T,
    change: Change,
}

impl<T> Row<T> {
    fn loaded(value: T) -> Self {
        Self { value, change: Change::None }
    }

    fn new(value: T) -> Self {
        Self { value, change: Change::Insert }
    }

    fn set(&mut self, value: T) {
        self.value = value;
        if self.change == Change::None {
            self.change = Change::Update;
        }
    }
}

/// What moves, and why.
#[derive(Debug)]
pub(crate) struct Posting {
    pub(crate) movement: Movement,
    pub(crate) cause: Cause,
    pub(crate) subject: Subject,
    pub(crate) actor: Option<String>,
}

/// A hold that a touch released.
#[derive(Debug)]
pub(crate) struct Released {
    pub(crate) operation: Operation,
    pub(crate) after: Account,
}

/// The rows of one batch.
#[derive(Debug)]
pub(crate) struct Books<'r> {
    pub(crate) rules: &'r Rules,
    pub(crate) now: Timestamp,
    accounts: BTreeMap<UserId, Row<Account>>,
    profiles: BTreeMap<UserId, Row<Profile>>,
    operations: BTreeMap<(UserId, OperationId), Row<Operation>>,
    operation_keys: HashMap<(UserId, IdempotencyKey), OperationId>,
    /// Holds as they are stored, of the operations that were loaded.
    holds: HashMap<OperationId, Hold>,
    overdue: HashMap<UserId, Vec<OperationId>>,
    top_ups: BTreeMap<(UserId, TopUpId), Row<TopUp>>,
    top_up_keys: HashMap<(UserId, IdempotencyKey), TopUpId>,
    claims: BTreeMap<(Provider, PaymentId), Row<Claim>>,
    entries: Vec<Entry>,
    events: Vec<Event>,
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
        if let Some(hold) = living_hold(&operation) {
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
            entries: &self.entries,
            events: &self.events,
        }
    }

    /// Holds that live now and did not before, and the other way round; an extended one is both.
    fn changed_holds(&self) -> (Vec<Hold>, Vec<Hold>) {
        let (mut new, mut ended) = (Vec::new(), Vec::new());
        for row in self.operations.values().filter(|row| row.change != Change::None) {
            let stored = self.holds.get(&row.value.id).copied();
            let living = living_hold(&row.value);
            if stored != living {
                new.extend(living);
                ended.extend(stored);
            }
        }
        (new, ended)
    }

    /// What a batch leaves behind once it is stored.
    pub(crate) fn into_effects(self) -> Effects {
        Effects { released: self.released, has_events: !self.events.is_empty() }
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
    pub(crate) entries: &'b [Entry],
    pub(crate) events: &'b [Event],
}

/// What an operation holds, as long as it lives.
fn living_hold(operation: &Operation) -> Option<Hold> {
    (operation.state == OperationState::Reserved).then_some(Hold {
        user: operation.user,
        expires_at: operation.expires_at,
        operation: operation.id,
    })
}
