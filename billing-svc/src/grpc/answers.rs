//! Domain values into answers.

use prost_types::Timestamp as WireTimestamp;
use proto::billing::v1 as wire;

use crate::domain::{
    Event, EventKind, Operation, OperationState, PaymentSource, Price, PromoCode, PromoEffect,
    Redemption, Timestamp, TopUp, TopUpState, Unit, UserId,
};
use crate::ledger::{Standing, Terms, verify};
use crate::store::{Reversal, StatementEntry};

pub(super) fn account(standing: Standing) -> wire::Account {
    let Standing { account, profile, redemptions } = standing;
    // Only what still has effect is in a standing.
    let redemption = |active| redemption(active, true);
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
        redemptions: redemptions.into_iter().map(redemption).collect(),
    }
}

pub(super) fn redemption(redemption: Redemption, is_active: bool) -> wire::Redemption {
    wire::Redemption {
        code: redemption.code.as_str().to_owned(),
        effect: Some(promo_effect(redemption.effect)),
        redeemed_at: Some(time(redemption.redeemed_at)),
        is_active,
        idempotency_key: redemption.key.as_str().to_owned(),
    }
}

fn promo_effect(effect: PromoEffect) -> wire::PromoEffect {
    use wire::promo_effect::Effect;
    let percent = |percent: u32| i32::try_from(percent).unwrap_or(i32::MAX);
    let effect = match effect {
        PromoEffect::OperationDiscount { percent: off, until } => {
            Effect::OperationDiscount(wire::OperationDiscount {
                percent: percent(off),
                until: end(until),
            })
        }
        PromoEffect::TopUpBonus { percent: more, max, until } => {
            Effect::TopUpBonus(wire::TopUpBonus {
                percent: percent(more),
                bonus_max_kopecks: max.map_or(0, |max| max.get()),
                until: end(until),
            })
        }
        PromoEffect::FreeOperations(grant) => {
            Effect::FreeOperations(wire::FreeOperations { count: grant.get() })
        }
        PromoEffect::FreeAccess { until } => {
            Effect::FreeAccess(wire::FreeAccess { until: end(until) })
        }
    };
    wire::PromoEffect { effect: Some(effect) }
}

/// The end of time is no time on the wire.
fn end(until: Timestamp) -> Option<WireTimestamp> {
    (until != Timestamp::MAX).then(|| time(until))
}

pub(super) fn promo_code(code: PromoCode) -> wire::PromoCode {
    let (stopped_by, stop_reason, stopped_at) = code
        .stopped
        .map(|stopped| (stopped.actor, stopped.reason, Some(time(stopped.at))))
        .unwrap_or_default();
    wire::PromoCode {
        code: code.name.as_str().to_owned(),
        effect: Some(promo_effect(code.effect)),
        redemptions_max: code.redemptions_max.unwrap_or_default(),
        redemptions: code.redemptions,
        valid_from: code.valid_from.map(time),
        valid_until: code.valid_until.map(time),
        created_by: code.created.actor,
        create_reason: code.created.reason,
        created_at: Some(time(code.created.at)),
        stopped_at,
        stopped_by,
        stop_reason,
    }
}

/// One page of the proof.
pub(super) fn verified(page: verify::Page) -> wire::VerifyLedgerResponse {
    let finding = |finding: verify::Finding| wire::LedgerFinding {
        user_id: finding.user,
        invariant: finding.invariant.as_str().to_owned(),
        row: finding.row,
        found: finding.found,
        expected: finding.expected,
    };
    wire::VerifyLedgerResponse {
        users: i64::try_from(page.totals.users).unwrap_or(i64::MAX),
        entries: i64::try_from(page.totals.entries).unwrap_or(i64::MAX),
        findings: page.findings.into_iter().map(finding).collect(),
        next_page_token: page.next.map(|place| place.to_string()).unwrap_or_default(),
    }
}

pub(super) fn price(price: &Price) -> wire::Price {
    wire::Price {
        operation_type: price.operation_type.clone(),
        model: price.model.clone(),
        price_kopecks: price.price.get(),
        free_operations_allowed: price.free_operations_allowed,
        valid_from: price.valid_from.map(time),
    }
}

fn source(source: PaymentSource) -> wire::PaymentSource {
    match source {
        PaymentSource::FreeOperation => wire::PaymentSource::FreeOperation,
        PaymentSource::Balance => wire::PaymentSource::Balance,
        PaymentSource::FreeAccess => wire::PaymentSource::FreeAccess,
    }
}

/// What a dry run of Reserve answers: an operation that there is not.
pub(super) fn tried(user: UserId, operation_type: &str, terms: Terms) -> wire::Operation {
    let charged_kopecks = match terms.source {
        PaymentSource::Balance => terms.price.get(),
        PaymentSource::FreeOperation | PaymentSource::FreeAccess => 0,
    };
    wire::Operation {
        user_id: user.get(),
        operation_type: operation_type.to_owned(),
        state: wire::OperationState::Reserved.into(),
        source: source(terms.source).into(),
        price_kopecks: terms.price.get(),
        list_price_kopecks: terms.list_price.get(),
        charged_kopecks,
        promo_code: terms.promo_code.map(|name| name.to_string()).unwrap_or_default(),
        ..wire::Operation::default()
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
    wire::Operation {
        operation_id: operation.id.to_string(),
        user_id: operation.user.get(),
        operation_type: operation.operation_type,
        model: operation.model,
        state: state.into(),
        source: source(operation.source).into(),
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
        list_price_kopecks: operation.list_price.get(),
        promo_code: operation.promo_code.map(|name| name.to_string()).unwrap_or_default(),
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
        bonus_kopecks: top_up.bonus_kopecks,
        refunded_minor_units: top_up.refunded_minor_units,
        reversed_kopecks: top_up.reversed_kopecks,
        reversed_bonus_kopecks: top_up.reversed_bonus_kopecks,
    }
}

pub(super) fn reversal(reversal: Reversal) -> wire::Reversal {
    wire::Reversal {
        user_id: reversal.user.get(),
        top_up_id: reversal.top_up.to_string(),
        provider: reversal.provider.as_str().to_owned(),
        provider_refund_id: reversal.refund.as_str().to_owned(),
        refunded: Some(wire::ProviderAmount {
            minor_units: reversal.refunded.minor_units,
            currency: reversal.refunded.currency,
        }),
        reversed_kopecks: reversal.share.credit_kopecks,
        reversed_bonus_kopecks: reversal.share.bonus_kopecks,
        created_at: Some(time(reversal.at)),
    }
}

pub(super) fn entry(entry: StatementEntry) -> wire::Entry {
    let unit = match entry.unit {
        Unit::Kopecks => wire::Unit::Kopecks,
        Unit::FreeOperations => wire::Unit::FreeOperations,
    };
    wire::Entry {
        number: entry.number,
        created_at: Some(time(entry.at)),
        unit: unit.into(),
        balance_change_kopecks: entry.balance_change(),
        from_account: entry.from,
        to_account: entry.to,
        amount: entry.amount,
        cause: entry.cause,
        operation_id: entry.operation.map(|id| id.to_string()).unwrap_or_default(),
        top_up_id: entry.top_up.map(|id| id.to_string()).unwrap_or_default(),
        actor: entry.actor.unwrap_or_default(),
        balance_after_kopecks: entry.balance_after.get(),
        free_operations_after: entry.free_operations_after,
    }
}

pub(super) fn event(event: Event) -> wire::Event {
    use wire::event::What;
    let what = match event.kind {
        EventKind::TopUpSettled(settled, balance) => What::TopUpSettled(wire::TopUpSettled {
            top_up: Some(top_up(settled)),
            balance_after_kopecks: balance.get(),
        }),
        EventKind::TopUpCancelled(cancelled) => {
            What::TopUpCancelled(wire::TopUpCancelled { top_up: Some(top_up(cancelled)) })
        }
        EventKind::OperationExpired(expired) => {
            What::OperationExpired(wire::OperationExpired { operation: Some(operation(expired)) })
        }
        EventKind::OperationCommittedLate(committed) => {
            What::OperationCommittedLate(wire::OperationCommittedLate {
                operation: Some(operation(committed)),
            })
        }
        EventKind::OperationRefunded(refunded, kopecks)
        | EventKind::OperationRefundedInPart(refunded, kopecks) => {
            What::OperationRefunded(wire::OperationRefunded {
                operation: Some(operation(refunded)),
                refunded_kopecks: kopecks,
            })
        }
        EventKind::TopUpReversed(reversed, kopecks, balance) => {
            What::TopUpReversed(wire::TopUpReversed {
                top_up: Some(top_up(reversed)),
                reversed_kopecks: kopecks,
                balance_after_kopecks: balance.get(),
            })
        }
        EventKind::BalanceAdjusted(kopecks, balance) => {
            What::BalanceAdjusted(wire::BalanceAdjusted {
                amount_kopecks: kopecks,
                balance_after_kopecks: balance.get(),
            })
        }
        EventKind::FreeOperationsGranted(count) => {
            What::FreeOperationsGranted(wire::FreeOperationsGranted { count })
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
