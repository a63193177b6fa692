//! Rows into domain values. One text for both engines: macros, because a generic function would
//! repeat a dozen bounds on every row type.
//!
//! A stored value that cannot be what we mean is an error, never a default.

use std::collections::BTreeMap;

use crate::domain::{Kopecks, PromoCodeName, Provider, UserId};
use crate::store::StoreError;

/// The columns that [`operation`] reads, of a table called `o`.
macro_rules! operation_columns {
    () => {
        "o.user_id, o.id, o.number, o.operation_type, o.model, o.state, o.source, \
         o.price_kopecks, o.idempotency_key, o.created_at, o.expires_at, o.ended_at, \
         o.refund_reason, o.refund_actor, o.commit_refused, o.cost_micro_usd, o.metadata, \
         o.list_price_kopecks, o.promo_code, o.refunded_in_parts_kopecks"
    };
}

/// The columns that [`top_up`] reads, of a table called `t`.
macro_rules! top_up_columns {
    () => {
        "t.user_id, t.id, t.provider, t.state, t.paid_minor_units, t.paid_currency, \
         t.credited_kopecks, t.idempotency_key, t.snapshot, t.provider_payment_id, \
         t.confirmation_url, t.cancel_reason, t.created_at, t.ended_at, t.bonus_kopecks, \
         t.refunded_minor_units, t.reversed_kopecks, t.reversed_bonus_kopecks"
    };
}

/// The columns that [`account`] reads, of a table called `a`.
macro_rules! account_columns {
    () => {
        "a.user_id, a.balance_kopecks, a.held_kopecks, a.free_operations, \
         a.held_free_operations, a.reversed_kopecks, a.redemptions_until, \
         a.last_entry_number, a.last_event_number, a.created_at"
    };
}

macro_rules! operation {
    ($row:expr) => {{
        use $crate::domain::{
            IdempotencyKey, Operation, OperationId, OperationState, PaymentSource, PromoCodeName,
            Refund, Timestamp,
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
        let promo_code: Option<String> = row.try_get("promo_code")?;
        let promo_code = match promo_code {
            Some(name) => Some(PromoCodeName::new(&name).ok_or(Unreadable("promo code"))?),
            None => None,
        };
        Ok(Operation {
            user: rows::user(row.try_get("user_id")?)?,
            id: OperationId::stored(row.try_get("id")?),
            number: row.try_get("number")?,
            operation_type: row.try_get("operation_type")?,
            model: row.try_get("model")?,
            state: OperationState::from_stored(&state).ok_or(Unreadable("operation state"))?,
            source: PaymentSource::from_stored(&source).ok_or(Unreadable("payment source"))?,
            price: rows::kopecks(row.try_get("price_kopecks")?)?,
            list_price: rows::kopecks(row.try_get("list_price_kopecks")?)?,
            promo_code,
            key: IdempotencyKey::new(&key).ok_or(Unreadable("idempotency key"))?,
            created_at: Timestamp::from_micros(row.try_get("created_at")?),
            expires_at: Timestamp::from_micros(row.try_get("expires_at")?),
            ended_at: row.try_get::<Option<i64>, _>("ended_at")?.map(Timestamp::from_micros),
            refund: reason.map(|reason| Refund { reason, actor, commit_refused }),
            cost_micro_usd: row.try_get("cost_micro_usd")?,
            refunded_in_parts_kopecks: row.try_get("refunded_in_parts_kopecks")?,
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
            bonus_kopecks: row.try_get("bonus_kopecks")?,
            refunded_minor_units: row.try_get("refunded_minor_units")?,
            reversed_kopecks: row.try_get("reversed_kopecks")?,
            reversed_bonus_kopecks: row.try_get("reversed_bonus_kopecks")?,
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
            reversed_kopecks: row.try_get("reversed_kopecks")?,
            redemptions_until: Timestamp::from_micros(row.try_get("redemptions_until")?),
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
        let amount: i64 = row.try_get("amount")?;
        let kind = match ($operation, $top_up) {
            (Some(operation), _) => EventKind::of_operation(&stored, operation, amount, at),
            (_, Some(top_up)) => EventKind::of_top_up(&stored, top_up, amount, balance_after),
            (None, None) => EventKind::of_account(&stored, amount, balance_after),
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

/// The columns that [`promo_code`] reads, of a table called `p`.
macro_rules! promo_code_columns {
    () => {
        "p.code, p.kind, p.value, p.bonus_max_kopecks, p.effect_until, p.redemptions_max, \
         p.redemptions, p.valid_from, p.valid_until, p.created_by, p.create_reason, p.created_at, \
         p.stopped_at, p.stopped_by, p.stop_reason"
    };
}

/// The columns that [`redemption`] reads, of a table called `r`.
macro_rules! redemption_columns {
    () => {
        "r.user_id, r.code, r.idempotency_key, r.kind, r.value, r.bonus_max_kopecks, \
         r.effect_until, r.redeemed_at, r.used_at, r.entry_number, r.top_up_id"
    };
}

/// The columns that [`intervention`] reads, of a table called `i`.
macro_rules! intervention_columns {
    () => {
        "i.user_id, i.kind, i.idempotency_key, i.amount, i.operation_id, i.actor, i.reason, \
         i.entry_number, i.created_at"
    };
}

/// What a promo code gives, as the columns of either table say.
macro_rules! promo_effect {
    ($row:expr) => {{
        use $crate::domain::{PromoEffect, Timestamp};
        use $crate::store::StoreError::Unreadable;
        let row = $row;
        let kind: String = row.try_get("kind")?;
        PromoEffect::from_stored(
            &kind,
            row.try_get("value")?,
            row.try_get("bonus_max_kopecks")?,
            Timestamp::from_micros(row.try_get("effect_until")?),
        )
        .ok_or(Unreadable("promo effect"))?
    }};
}

macro_rules! promo_code {
    ($row:expr) => {{
        use $crate::domain::{PromoCode, Signature, Timestamp};
        use $crate::store::rows;
        let row = $row;
        let name: String = row.try_get("code")?;
        let moment = |stored: Option<i64>| stored.map(Timestamp::from_micros);
        let max: i64 = row.try_get("redemptions_max")?;
        let stopped_by: Option<String> = row.try_get("stopped_by")?;
        let stop_reason: Option<String> = row.try_get("stop_reason")?;
        let stopped = (moment(row.try_get("stopped_at")?), stopped_by, stop_reason);
        Ok(PromoCode {
            name: rows::promo_code_name(&name)?,
            effect: rows::promo_effect!(row),
            redemptions_max: (max != 0).then_some(max),
            redemptions: row.try_get("redemptions")?,
            valid_from: moment(row.try_get("valid_from")?),
            valid_until: moment(row.try_get("valid_until")?),
            created: Signature {
                actor: row.try_get("created_by")?,
                reason: row.try_get("create_reason")?,
                at: Timestamp::from_micros(row.try_get("created_at")?),
            },
            stopped: match stopped {
                (Some(at), Some(actor), Some(reason)) => Some(Signature { actor, reason, at }),
                _ => None,
            },
        })
    }};
}

macro_rules! redemption {
    ($row:expr) => {{
        use $crate::domain::{IdempotencyKey, Redemption, Timestamp, TopUpId};
        use $crate::store::StoreError::Unreadable;
        use $crate::store::rows;
        let row = $row;
        let name: String = row.try_get("code")?;
        let key: String = row.try_get("idempotency_key")?;
        let top_up: Option<uuid::Uuid> = row.try_get("top_up_id")?;
        Ok(Redemption {
            user: rows::user(row.try_get("user_id")?)?,
            code: rows::promo_code_name(&name)?,
            key: IdempotencyKey::new(&key).ok_or(Unreadable("idempotency key"))?,
            effect: rows::promo_effect!(row),
            redeemed_at: Timestamp::from_micros(row.try_get("redeemed_at")?),
            used_at: row.try_get::<Option<i64>, _>("used_at")?.map(Timestamp::from_micros),
            entry_number: row.try_get("entry_number")?,
            top_up: top_up.map(TopUpId::stored),
        })
    }};
}

macro_rules! intervention {
    ($row:expr) => {{
        use $crate::domain::{
            IdempotencyKey, Intervention, InterventionKind, OperationId, Timestamp,
        };
        use $crate::store::StoreError::Unreadable;
        use $crate::store::rows;
        let row = $row;
        let kind: String = row.try_get("kind")?;
        let key: String = row.try_get("idempotency_key")?;
        let operation: Option<uuid::Uuid> = row.try_get("operation_id")?;
        Ok(Intervention {
            user: rows::user(row.try_get("user_id")?)?,
            kind: InterventionKind::from_stored(&kind).ok_or(Unreadable("intervention"))?,
            key: IdempotencyKey::new(&key).ok_or(Unreadable("idempotency key"))?,
            amount: row.try_get("amount")?,
            operation: operation.map(OperationId::stored),
            actor: row.try_get("actor")?,
            reason: row.try_get("reason")?,
            entry_number: row.try_get("entry_number")?,
            at: Timestamp::from_micros(row.try_get("created_at")?),
        })
    }};
}

/// The columns that [`reversal`] reads, of a table called `v`.
macro_rules! reversal_columns {
    () => {
        "v.user_id, v.provider, v.refund_id, v.top_up_id, v.refunded_minor_units, \
         v.refunded_currency, v.reversed_kopecks, v.reversed_bonus_kopecks, v.created_at"
    };
}

macro_rules! reversal {
    ($row:expr) => {{
        use $crate::domain::{ProviderAmount, ProviderRefundId, ReversedShare, Timestamp, TopUpId};
        use $crate::store::StoreError::Unreadable;
        use $crate::store::{Reversal, rows};
        let row = $row;
        let provider: String = row.try_get("provider")?;
        let refund: String = row.try_get("refund_id")?;
        Ok(Reversal {
            user: rows::user(row.try_get("user_id")?)?,
            provider: rows::provider(&provider)?,
            refund: ProviderRefundId::new(&refund).ok_or(Unreadable("refund id"))?,
            top_up: TopUpId::stored(row.try_get("top_up_id")?),
            refunded: ProviderAmount {
                minor_units: row.try_get("refunded_minor_units")?,
                currency: row.try_get("refunded_currency")?,
            },
            share: ReversedShare {
                credit_kopecks: row.try_get("reversed_kopecks")?,
                bonus_kopecks: row.try_get("reversed_bonus_kopecks")?,
            },
            at: Timestamp::from_micros(row.try_get("created_at")?),
        })
    }};
}

pub(super) use {
    account, account_columns, intervention, intervention_columns, lent_event, operation,
    operation_columns, promo_code, promo_code_columns, promo_effect, redemption,
    redemption_columns, reversal, reversal_columns, top_up, top_up_columns,
};

pub(super) fn promo_code_name(stored: &str) -> Result<PromoCodeName, StoreError> {
    PromoCodeName::new(stored).ok_or(StoreError::Unreadable("promo code"))
}

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
