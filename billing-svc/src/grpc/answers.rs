//! Domain values into answers.

use prost_types::Timestamp as WireTimestamp;
use proto::billing::v1 as wire;

use crate::domain::{
    Account, Event, EventKind, Operation, OperationState, PaymentSource, Price, Profile, Timestamp,
    TopUp, TopUpState,
};

pub(super) fn account(account: &Account, profile: Profile) -> wire::Account {
    wire::Account {
        user_id: account.user.get(),
        balance_kopecks: account.balance.get(),
        held_kopecks: account.held.get(),
        free_operations: account.free_operations,
        held_free_operations: account.held_free_operations,
        profile: Some(wire::Profile {
            language: profile.language,
            receipt_email: profile.receipt_email,
        }),
        created_at: Some(time(account.created_at)),
    }
}

pub(super) fn price(price: &Price) -> wire::Price {
    wire::Price {
        operation_type: price.operation_type.clone(),
        model: price.model.clone(),
        price_kopecks: price.price.get(),
        free_operations_allowed: price.free_operations_allowed,
    }
}

pub(super) fn operation(operation: Operation) -> wire::Operation {
    let charged_kopecks = operation.charged_kopecks();
    let refunded_kopecks = operation.refunded_kopecks();
    let (refund_reason, refund_actor) =
        operation.refund.map(|refund| (refund.reason, refund.actor)).unwrap_or_default();
    let state = match operation.state {
        OperationState::Reserved => wire::OperationState::Reserved,
        OperationState::Committed => wire::OperationState::Committed,
        OperationState::Refunded => wire::OperationState::Refunded,
        OperationState::Expired => wire::OperationState::Expired,
    };
    let source = match operation.source {
        PaymentSource::FreeOperation => wire::PaymentSource::FreeOperation,
        PaymentSource::Balance => wire::PaymentSource::Balance,
    };
    wire::Operation {
        operation_id: operation.id.to_string(),
        user_id: operation.user.get(),
        operation_type: operation.operation_type,
        model: operation.model,
        state: state.into(),
        source: source.into(),
        price_kopecks: operation.price.get(),
        charged_kopecks,
        refunded_kopecks,
        idempotency_key: operation.key.as_str().to_owned(),
        created_at: Some(time(operation.created_at)),
        expires_at: Some(time(operation.expires_at)),
        ended_at: operation.ended_at.map(time),
        refund_reason,
        refund_actor: refund_actor.unwrap_or_default(),
        cost_micro_usd: operation.cost_micro_usd.unwrap_or_default(),
        metadata: operation.metadata.into_iter().collect(),
    }
}

pub(super) fn top_up(top_up: TopUp) -> wire::TopUp {
    let state = match top_up.state {
        TopUpState::Open => wire::TopUpState::Open,
        TopUpState::Settled => wire::TopUpState::Settled,
        TopUpState::Cancelled => wire::TopUpState::Cancelled,
    };
    wire::TopUp {
        top_up_id: top_up.id.to_string(),
        user_id: top_up.user.get(),
        provider: top_up.provider.as_str().to_owned(),
        state: state.into(),
        paid: Some(wire::ProviderAmount {
            minor_units: top_up.paid.minor_units,
            currency: top_up.paid.currency,
        }),
        credited_kopecks: top_up.credited.get(),
        idempotency_key: top_up.key.as_str().to_owned(),
        snapshot: top_up.snapshot,
        provider_payment_id: top_up.payment.map(|id| id.to_string()).unwrap_or_default(),
        confirmation_url: top_up.confirmation_url,
        cancel_reason: top_up.cancel_reason.unwrap_or_default(),
        created_at: Some(time(top_up.created_at)),
        ended_at: top_up.ended_at.map(time),
    }
}

pub(super) fn event(event: Event) -> wire::Event {
    use wire::event::What;
    let what = match event.kind {
        EventKind::TopUpSettled(settled, balance) => What::TopUpSettled(wire::TopUpSettled {
            top_up: Some(top_up(settled)),
            balance_after_kopecks: balance.get(),
        }),
        EventKind::OperationExpired(expired) => {
            What::OperationExpired(wire::OperationExpired { operation: Some(operation(expired)) })
        }
        EventKind::OperationCommittedLate(committed) => {
            What::OperationCommittedLate(wire::OperationCommittedLate {
                operation: Some(operation(committed)),
            })
        }
        EventKind::OperationRefunded(refunded) => {
            What::OperationRefunded(wire::OperationRefunded {
                operation: Some(operation(refunded)),
            })
        }
    };
    wire::Event {
        user_id: event.user.get(),
        number: event.number,
        created_at: Some(time(event.at)),
        what: Some(what),
    }
}

fn time(at: Timestamp) -> WireTimestamp {
    let micros = at.as_micros();
    let nanos = micros.rem_euclid(1_000_000) * 1_000;
    WireTimestamp {
        seconds: micros.div_euclid(1_000_000),
        nanos: i32::try_from(nanos).unwrap_or_default(),
    }
}
