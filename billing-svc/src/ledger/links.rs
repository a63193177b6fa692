//! Stored rows into links of the hash chain: what is hashed with which entry.
//!
//! The chainer and the verifier both go through here, so they cannot differ.

use std::collections::HashMap;

use uuid::Uuid;

use crate::domain::{
    Cause, ChainHash, EntryLink, InterventionLink, OperationLink, RedemptionLink, TopUpLink,
};
use crate::store::raw::{RawEntry, RawIntervention, RawOperation, RawRedemption, RawTopUp};

/// What came into being with entries, hashed: by user and number of the entry, or by top-up.
#[derive(Debug, Default)]
pub(super) struct Links {
    operations: HashMap<(i64, i64), ChainHash>,
    top_ups: HashMap<(i64, Uuid), ChainHash>,
    interventions: HashMap<(i64, i64), ChainHash>,
    redemptions: HashMap<(i64, i64), ChainHash>,
}

impl Links {
    pub(super) fn add_operation(&mut self, operation: &RawOperation) {
        let link = OperationLink {
            id: operation.id,
            operation_type: &operation.operation_type,
            model: &operation.model,
            price_kopecks: operation.price,
            list_price_kopecks: operation.list_price,
            source: &operation.source,
            promo_code: operation.promo_code.as_deref(),
            key: &operation.key,
            created_at: operation.created_at,
        };
        self.operations.insert((operation.user, operation.number), link.hash());
    }

    pub(super) fn add_top_up(&mut self, top_up: &RawTopUp) {
        let link = TopUpLink {
            id: top_up.id,
            provider: &top_up.provider,
            paid_minor_units: top_up.paid_minor_units,
            paid_currency: &top_up.paid_currency,
            credited_kopecks: top_up.credited,
            key: &top_up.key,
            payment: top_up.payment.as_deref(),
        };
        self.top_ups.insert((top_up.user, top_up.id), link.hash());
    }

    pub(super) fn add_intervention(&mut self, intervention: &RawIntervention) {
        let link = InterventionLink {
            kind: &intervention.kind,
            key: &intervention.key,
            amount: intervention.amount,
            operation: intervention.operation,
            actor: &intervention.actor,
            reason: &intervention.reason,
            created_at: intervention.created_at,
        };
        self.interventions.insert((intervention.user, intervention.entry_number), link.hash());
    }

    pub(super) fn add_redemption(&mut self, redemption: &RawRedemption) {
        let Some(number) = redemption.entry_number else { return };
        let link = RedemptionLink {
            code: &redemption.code,
            key: &redemption.key,
            kind: &redemption.kind,
            value: redemption.value,
            redeemed_at: redemption.redeemed_at,
        };
        self.redemptions.insert((redemption.user, number), link.hash());
    }

    /// The hash of the chain with this entry in it.
    pub(super) fn extend(&self, previous: ChainHash, entry: &RawEntry) -> ChainHash {
        let link = EntryLink {
            user: entry.user,
            number: entry.number,
            unit: &entry.unit,
            from: &entry.from,
            to: &entry.to,
            amount: entry.amount,
            cause: &entry.cause,
            operation: entry.operation,
            top_up: entry.top_up,
            actor: entry.actor.as_deref(),
            created_at: entry.created_at,
            balance_after_kopecks: entry.balance_after,
            free_operations_after: entry.free_operations_after,
        };
        link.hash(previous, self.born_with(entry))
    }

    fn born_with(&self, entry: &RawEntry) -> Option<ChainHash> {
        let place = (entry.user, entry.number);
        let is = |cause: Cause| entry.cause == cause.as_str();
        let born = if is(Cause::Reserve) {
            self.operations.get(&place)
        } else if is(Cause::TopUp) {
            entry.top_up.and_then(|id| self.top_ups.get(&(entry.user, id)))
        } else if is(Cause::PromoCode) {
            self.redemptions.get(&place)
        } else if is(Cause::Adjustment) || is(Cause::Grant) || is(Cause::Refund) {
            self.interventions.get(&place)
        } else {
            None
        };
        born.copied()
    }
}
