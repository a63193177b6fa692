//! Rows into domain values. One text for both engines: macros, because a generic function would
//! repeat a dozen bounds on every row type.
//!
//! A stored value that cannot be what we mean is an error, never a default.

use std::collections::BTreeMap;

use crate::domain::{Kopecks, Provider, UserId};
use crate::store::StoreError;

/// The columns that [`operation`] reads, of a table called `o`.
macro_rules! operation_columns {
    () => {
        "o.user_id, o.id, o.number, o.operation_type, o.model, o.state, o.source, \
         o.price_kopecks, o.idempotency_key, o.created_at, o.expires_at, o.ended_at, \
         o.refund_reason, o.refund_actor, o.commit_refused, o.cost_micro_usd, o.metadata"
    };
}

/// The columns that [`top_up`] reads, of a table called `t`.
macro_rules! top_up_columns {
    () => {
        "t.user_id, t.id, t.provider, t.state, t.paid_minor_units, t.paid_currency, \
         t.credited_kopecks, t.idempotency_key, t.snapshot, t.provider_payment_id, \
         t.confirmation_url, t.cancel_reason, t.created_at, t.ended_at"
    };
}

/// The columns that [`account`] reads, of a table called `a`.
macro_rules! account_columns {
    () => {
        "a.user_id, a.balance_kopecks, a.held_kopecks, a.free_operations, \
         a.held_free_operations, a.last_entry_number, a.last_event_number, a.created_at"
    };
}

macro_rules! operation {
    ($row:expr) => {{
        use $crate::domain::{
            IdempotencyKey, Operation, OperationId, OperationState, PaymentSource, Refund,
            Timestamp,
        };
        use $crate::store::StoreError::Unreadable;
        use $crate::store::rows;
        let row = $row;
        let state: String = row.try_get("state")?;
        let source: String = row.try_get("source")?;
        let key: String = row.try_get("idempotency_key")?;
        let reason: Option<String> = row.try_get("refund_reason")?;
        let actor: Option<String> = row.try_get("refund_actor")?;
        let commit_refused: bool = row.try_get("commit_refused")?;
        let metadata: String = row.try_get("metadata")?;
        Ok(Operation {
            user: rows::user(row.try_get("user_id")?)?,
            id: OperationId::stored(row.try_get("id")?),
            number: row.try_get("number")?,
            operation_type: row.try_get("operation_type")?,
            model: row.try_get("model")?,
            state: OperationState::from_stored(&state).ok_or(Unreadable("operation state"))?,
            source: PaymentSource::from_stored(&source).ok_or(Unreadable("payment source"))?,
            price: rows::kopecks(row.try_get("price_kopecks")?)?,
            key: IdempotencyKey::new(&key).ok_or(Unreadable("idempotency key"))?,
            created_at: Timestamp::from_micros(row.try_get("created_at")?),
            expires_at: Timestamp::from_micros(row.try_get("expires_at")?),
            ended_at: row.try_get::<Option<i64>, _>("ended_at")?.map(Timestamp::from_micros),
            refund: reason.map(|reason| Refund { reason, actor, commit_refused }),
            cost_micro_usd: row.try_get("cost_micro_usd")?,
            metadata: rows::metadata(&metadata)?,
        })
    }};
}

macro_rules! top_up {
    ($row:expr) => {{
        use $crate::domain::{
            IdempotencyKey, PaymentId, ProviderAmount, Timestamp, TopUp, TopUpId, TopUpState,
        };
        use $crate::store::StoreError::Unreadable;
        use $crate::store::rows;
        let row = $row;
        let state: String = row.try_get("state")?;
        let key: String = row.try_get("idempotency_key")?;
        let provider: String = row.try_get("provider")?;
        let payment: Option<String> = row.try_get("provider_payment_id")?;
        let payment = match payment {
            Some(id) => Some(PaymentId::new(&id).ok_or(Unreadable("payment id"))?),
            None => None,
        };
        Ok(TopUp {
            user: rows::user(row.try_get("user_id")?)?,
            id: TopUpId::stored(row.try_get("id")?),
            provider: rows::provider(&provider)?,
            state: TopUpState::from_stored(&state).ok_or(Unreadable("top-up state"))?,
            paid: ProviderAmount {
                minor_units: row.try_get("paid_minor_units")?,
                currency: row.try_get("paid_currency")?,
            },
            credited: rows::kopecks(row.try_get("credited_kopecks")?)?,
            key: IdempotencyKey::new(&key).ok_or(Unreadable("idempotency key"))?,
            snapshot: row.try_get("snapshot")?,
            payment,
            confirmation_url: row.try_get("confirmation_url")?,
            cancel_reason: row.try_get("cancel_reason")?,
            created_at: Timestamp::from_micros(row.try_get("created_at")?),
            ended_at: row.try_get::<Option<i64>, _>("ended_at")?.map(Timestamp::from_micros),
        })
    }};
}

macro_rules! account {
    ($row:expr) => {{
        use $crate::domain::{Account, Balance, Timestamp};
        use $crate::store::rows;
        let row = $row;
        Ok(Account {
            user: rows::user(row.try_get("user_id")?)?,
            balance: Balance::new(row.try_get("balance_kopecks")?),
            held: Balance::new(row.try_get("held_kopecks")?),
            free_operations: row.try_get("free_operations")?,
            held_free_operations: row.try_get("held_free_operations")?,
            last_entry: row.try_get("last_entry_number")?,
            last_event: row.try_get("last_event_number")?,
            created_at: Timestamp::from_micros(row.try_get("created_at")?),
        })
    }};
}

/// What an event is about: the thing as the event's kind names it.
macro_rules! lent_event {
    ($row:expr, $operation:expr, $top_up:expr) => {{
        use $crate::domain::{Balance, Event, EventKind, Timestamp};
        use $crate::store::StoreError::Unreadable;
        use $crate::store::{LentEvent, rows};
        let row = $row;
        let stored: String = row.try_get("kind")?;
        let at = Timestamp::from_micros(row.try_get("created_at")?);
        let balance_after = Balance::new(row.try_get("balance_after_kopecks")?);
        let kind = match ($operation, $top_up) {
            (Some(operation), _) => EventKind::of_operation(&stored, operation, at),
            (_, Some(top_up)) => EventKind::of_top_up(&stored, top_up, balance_after),
            (None, None) => None,
        };
        Ok(LentEvent {
            event: Event {
                user: rows::user(row.try_get("user_id")?)?,
                number: row.try_get("number")?,
                at,
                kind: kind.ok_or(Unreadable("event"))?,
            },
            lent_until: Timestamp::from_micros(row.try_get("lent_until")?),
        })
    }};
}

pub(super) use {
    account, account_columns, lent_event, operation, operation_columns, top_up, top_up_columns,
};

pub(super) fn user(stored: i64) -> Result<UserId, StoreError> {
    UserId::new(stored).ok_or(StoreError::Unreadable("user id"))
}

pub(super) fn kopecks(stored: i64) -> Result<Kopecks, StoreError> {
    Kopecks::new(stored).map_err(|_| StoreError::Unreadable("amount"))
}

pub(super) fn provider(stored: &str) -> Result<Provider, StoreError> {
    Provider::new(stored).ok_or(StoreError::Unreadable("provider"))
}

pub(super) fn metadata(stored: &str) -> Result<BTreeMap<String, String>, StoreError> {
    serde_json::from_str(stored).map_err(|_| StoreError::Unreadable("metadata"))
}

/// Metadata as it is stored.
pub(super) fn metadata_text(metadata: &BTreeMap<String, String>) -> String {
    serde_json::to_string(metadata).expect("a map of texts is always JSON")
}
