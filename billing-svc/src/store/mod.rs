//! The SQL. One module per table and engine, one function per statement.
//!
//! Invariants, for both engines:
//! - Nothing but [`Engine::begin`] and [`Engine::commit`] begins or commits. A writing statement
//!   takes the open transaction, so the caller's is the only one.
//! - [`Accounts::lock_accounts`] comes first, in order of user; every other row is read after it,
//!   and belongs to an account that it locked.
//! - What is read outside a transaction never decides about money.

mod rows;
mod promos;
mod interventions;
mod statement;
mod search;
mod stats;
mod migrations;
pub mod raw;
pub mod verify;
pub mod chain;
pub mod sqlite;
pub mod postgres;
mod error;

use std::fmt::Debug;
use std::future::Future;

pub use error::{OpenError, StoreError};
pub use interventions::Interventions;
pub use promos::Promos;
pub use search::Search;
pub use statement::{StatementEntry, StatementPage, Statements};
pub use stats::{Stats, StatsPeriod};

use chain::ChainHeads;
use verify::Audit;

use crate::domain::{
    Account, Entry, Event, EventNumber, IdempotencyKey, Operation, OperationId, OperationState,
    PaymentId, Profile, Provider, ProviderAmount, ProviderRefundId, ReversedShare, Timestamp,
    TopUp, TopUpId, UserId,
};

/// What a statement answers.
pub type Answer<T> = Result<T, StoreError>;

/// A database and its transactions.
pub trait Engine: Clone + Debug + Send + Sync + 'static {
    /// How many transactions of batches it takes at the same time, to its gain.
    const WRITERS: usize;

    /// An open transaction; dropping it rolls back.
    type Tx: Send;

    /// Opens a transaction that will write.
    fn begin(&self) -> impl Future<Output = Answer<Self::Tx>> + Send;

    /// Opens a writer's next transaction: there are never more of these than [`Self::WRITERS`].
    fn begin_batch(&self) -> impl Future<Output = Answer<Self::Tx>> + Send {
        self.begin()
    }

    /// Commits. A lost answer is [`StoreError::CommitUnknown`].
    fn commit(&self, tx: Self::Tx) -> impl Future<Output = Answer<()>> + Send;

    /// What time the database has, if it has a clock of its own.
    fn database_time(&self) -> impl Future<Output = Answer<Option<Timestamp>>> + Send;

    /// How it is read for proof.
    type Audit: Audit;

    /// The same database, to be read for proof.
    fn audit(&self) -> Self::Audit;

    /// Closes every connection.
    fn close(&self) -> impl Future<Output = ()> + Send;
}

/// One row of `accounts` as readers see it.
#[derive(Clone, Debug)]
pub struct AccountView {
    pub account: Account,
    pub profile: Profile,
    /// Whether a hold is past its end and not yet released.
    pub is_overdue: bool,
}

/// The tables `accounts`, `profiles` and `entries`: one user's money and what explains it. Most of
/// what changes there is written by [`Operations::write_operations`].
pub trait Accounts: Engine {
    /// Locks the accounts of `users` (each named once) in order of user, and reads them.
    fn lock_accounts(
        &self,
        tx: &mut Self::Tx,
        users: &[UserId],
    ) -> impl Future<Output = Answer<Vec<Account>>> + Send;

    fn insert_accounts(
        &self,
        tx: &mut Self::Tx,
        accounts: &[&Account],
    ) -> impl Future<Output = Answer<()>> + Send;

    /// Reads the profiles of `users`; those without one are left out.
    fn profiles(
        &self,
        tx: &mut Self::Tx,
        users: &[UserId],
    ) -> impl Future<Output = Answer<Vec<(UserId, Profile)>>> + Send;

    /// Stores profiles, over what was stored before.
    fn put_profiles(
        &self,
        tx: &mut Self::Tx,
        profiles: &[(UserId, &Profile)],
    ) -> impl Future<Output = Answer<()>> + Send;

    /// Reads an account and its profile in one consistent read.
    fn account(
        &self,
        user: UserId,
        now: Timestamp,
    ) -> impl Future<Output = Answer<Option<AccountView>>> + Send;
}

/// Operations that a batch has to see.
#[derive(Clone, Copy, Debug)]
pub struct WantedOperations<'b> {
    pub ids: &'b [(UserId, OperationId)],
    pub keys: &'b [(UserId, IdempotencyKey)],
    /// Users of whom all operations are wanted whose hold is past its end: a touch that left some
    /// out would show money as held that is not.
    pub holders: &'b [UserId],
    pub now: Timestamp,
}

impl WantedOperations<'_> {
    /// Whether there is nothing to read.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty() && self.keys.is_empty() && self.holders.is_empty()
    }
}

/// One row of `holds`: a hold that lives.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Hold {
    pub user: UserId,
    pub expires_at: Timestamp,
    pub operation: OperationId,
}

impl Hold {
    /// What an operation holds, as long as it lives.
    pub fn of(operation: &Operation) -> Option<Self> {
        (operation.state == OperationState::Reserved).then_some(Self {
            user: operation.user,
            expires_at: operation.expires_at,
            operation: operation.id,
        })
    }
}

/// What a batch has changed of accounts and operations, each row once.
#[derive(Debug)]
pub struct ChangedOperations<'b> {
    pub accounts: &'b [&'b Account],
    pub new: &'b [&'b Operation],
    /// Those that were there; what may change in an operation's life is stored.
    pub changed: &'b [&'b Operation],
    pub new_holds: &'b [Hold],
    pub ended_holds: &'b [Hold],
    pub entries: &'b [Entry],
}

impl ChangedOperations<'_> {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty()
            && self.new.is_empty()
            && self.changed.is_empty()
            && self.entries.is_empty()
    }
}

/// The tables `operation_records` and `holds`.
pub trait Operations: Engine {
    /// Reads the wanted operations that are there, some perhaps more than once.
    fn wanted_operations(
        &self,
        tx: &mut Self::Tx,
        wanted: WantedOperations<'_>,
    ) -> impl Future<Output = Answer<Vec<Operation>>> + Send;

    /// Writes what nearly every batch changes, at once: a round trip each would cost more than the
    /// rows do.
    fn write_operations(
        &self,
        tx: &mut Self::Tx,
        changes: ChangedOperations<'_>,
    ) -> impl Future<Output = Answer<()>> + Send;

    fn operation(
        &self,
        user: UserId,
        id: OperationId,
    ) -> impl Future<Output = Answer<Option<Operation>>> + Send;

    /// Reads a user's operations below a number, the newest first.
    fn operations_page(
        &self,
        user: UserId,
        below: i64,
        limit: i64,
    ) -> impl Future<Output = Answer<Vec<Operation>>> + Send;

    /// Reads the operations whose holds live, over all users, in order of user and operation: one
    /// of the statements that name no user.
    fn reserved_page(
        &self,
        page: ReservedPage,
    ) -> impl Future<Output = Answer<Vec<Operation>>> + Send;

    /// Reads users above `after` that have a hold past its end, in order of user. The sweeper's
    /// scan: one of the statements that name no user.
    fn overdue_users(
        &self,
        now: Timestamp,
        after: i64,
        limit: i64,
    ) -> impl Future<Output = Answer<Vec<UserId>>> + Send;
}

/// That a payment was credited to a top-up, for ever.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Claim {
    pub provider: Provider,
    pub payment: PaymentId,
    pub user: UserId,
    pub top_up: TopUpId,
    pub at: Timestamp,
}

/// That a provider has paid a top-up back, and what that took back, for ever.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reversal {
    pub user: UserId,
    pub provider: Provider,
    pub refund: ProviderRefundId,
    pub top_up: TopUpId,
    pub refunded: ProviderAmount,
    pub share: ReversedShare,
    pub at: Timestamp,
}

/// What a page of reserved operations is to hold.
#[derive(Clone, Copy, Debug)]
pub struct ReservedPage {
    /// The last of the page before.
    pub after: Option<(UserId, OperationId)>,
    /// Holds that are over by then are left out.
    pub now: Timestamp,
    pub limit: i64,
}

/// The place after which a page of top-ups begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TopUpPlace {
    /// The moment that the page is ordered by.
    pub at: Timestamp,
    pub id: TopUpId,
}

/// What a page of open top-ups is to hold.
#[derive(Clone, Debug)]
pub struct OpenTopUps {
    pub provider: Provider,
    pub opened_before: Timestamp,
    pub after: Option<TopUpPlace>,
    pub limit: i64,
}

/// What a page of settled top-ups is to hold.
#[derive(Clone, Debug)]
pub struct SettledTopUps {
    pub provider: Provider,
    pub from: Timestamp,
    /// Not included.
    pub to: Timestamp,
    pub after: Option<TopUpPlace>,
    pub limit: i64,
}

/// The place after which a page of reversals begins.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReversalPlace {
    pub at: Timestamp,
    pub user: UserId,
    pub refund: ProviderRefundId,
}

/// What a page of reversals is to hold.
#[derive(Clone, Debug)]
pub struct Reversals {
    pub provider: Provider,
    pub from: Timestamp,
    /// Not included.
    pub to: Timestamp,
    pub after: Option<ReversalPlace>,
    pub limit: i64,
}

/// The tables `top_ups`, `payment_claims` and `reversals`.
pub trait TopUps: Engine {
    fn top_ups_by_id(
        &self,
        tx: &mut Self::Tx,
        ids: &[(UserId, TopUpId)],
    ) -> impl Future<Output = Answer<Vec<TopUp>>> + Send;

    fn top_ups_by_key(
        &self,
        tx: &mut Self::Tx,
        keys: &[(UserId, IdempotencyKey)],
    ) -> impl Future<Output = Answer<Vec<TopUp>>> + Send;

    fn insert_top_ups(
        &self,
        tx: &mut Self::Tx,
        top_ups: &[&TopUp],
    ) -> impl Future<Output = Answer<()>> + Send;

    /// Stores what may change in a top-up's life.
    fn update_top_ups(
        &self,
        tx: &mut Self::Tx,
        top_ups: &[&TopUp],
    ) -> impl Future<Output = Answer<()>> + Send;

    fn claims(
        &self,
        tx: &mut Self::Tx,
        payments: &[(Provider, PaymentId)],
    ) -> impl Future<Output = Answer<Vec<Claim>>> + Send;

    fn insert_claims(
        &self,
        tx: &mut Self::Tx,
        claims: &[&Claim],
    ) -> impl Future<Output = Answer<()>> + Send;

    fn reversals(
        &self,
        tx: &mut Self::Tx,
        refunds: &[(UserId, Provider, ProviderRefundId)],
    ) -> impl Future<Output = Answer<Vec<Reversal>>> + Send;

    fn insert_reversals(
        &self,
        tx: &mut Self::Tx,
        reversals: &[&Reversal],
    ) -> impl Future<Output = Answer<()>> + Send;

    fn top_up(
        &self,
        user: UserId,
        id: TopUpId,
    ) -> impl Future<Output = Answer<Option<TopUp>>> + Send;

    /// Reads a provider's open top-ups over all users, the oldest first. The reconciler's scan:
    /// one of the statements that name no user.
    fn open_top_ups(&self, page: &OpenTopUps) -> impl Future<Output = Answer<Vec<TopUp>>> + Send;

    /// Reads a provider's top-ups that were settled in a span of time, over all users, in that
    /// order. The comparison's scan: one of the statements that name no user.
    fn settled_top_ups(
        &self,
        page: &SettledTopUps,
    ) -> impl Future<Output = Answer<Vec<TopUp>>> + Send;

    /// Reads a provider's reversals of a span of time, over all users, the oldest first. The
    /// comparison's scan: one of the statements that name no user.
    fn reversals_page(
        &self,
        page: &Reversals,
    ) -> impl Future<Output = Answer<Vec<Reversal>>> + Send;
}

/// One row of `events`, without what it is about.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct EventId {
    pub user: UserId,
    pub number: EventNumber,
}

/// An event that is lent out.
#[derive(Clone, Debug)]
pub struct LentEvent {
    pub event: Event,
    /// Until then nobody else is lent it.
    pub lent_until: Timestamp,
}

/// The table `events`.
pub trait Events: Engine {
    /// Writes one row for each event and consumer.
    fn insert_events(
        &self,
        tx: &mut Self::Tx,
        consumers: &[&str],
        events: &[Event],
    ) -> impl Future<Output = Answer<()>> + Send;

    /// Reads which events could be lent: of each user only the lowest that is unacknowledged. One
    /// of the statements that name no user.
    fn lendable_events(
        &self,
        consumer: &str,
        now: Timestamp,
        limit: i64,
    ) -> impl Future<Output = Answer<Vec<EventId>>> + Send;

    /// Lends those of `ids` that nobody else was lent meanwhile.
    fn lend_events(
        &self,
        tx: &mut Self::Tx,
        consumer: &str,
        ids: &[EventId],
        lease: Lease,
    ) -> impl Future<Output = Answer<Vec<LentEvent>>> + Send;

    /// Takes events off a consumer's list; those that are gone already are left alone.
    fn ack_events(
        &self,
        tx: &mut Self::Tx,
        consumer: &str,
        ids: &[EventId],
        now: Timestamp,
    ) -> impl Future<Output = Answer<()>> + Send;
}

/// From when until when something is lent.
#[derive(Clone, Copy, Debug)]
pub struct Lease {
    pub now: Timestamp,
    pub until: Timestamp,
}

/// Everything that the service asks of a database.
pub trait Store:
    Accounts + Operations + TopUps + Promos + Interventions + Events + ChainHeads + Reports
{
}

impl<S> Store for S where
    S: Accounts + Operations + TopUps + Promos + Interventions + Events + ChainHeads + Reports
{
}

/// What is only read.
pub trait Reports: Statements + Search + Stats {}

impl<S: Statements + Search + Stats> Reports for S {}
