//! Operations: a hold, and how it ends.

use std::collections::BTreeMap;

use proto::billing::v1 as wire;

use super::request::{Answer, Refusal};
use super::world::{DAY, Operation, User, Why, World, is_active, micros, time};
use wire::{OperationState as State, PaymentSource as Source};

/// What the service says of an operation whose late Commit was refused.
const REFUSED: &str = "the hold expired and could not be taken again";

/// Where what pays lies while it can be used, while it is held, and when it is spent.
fn places(source: Source) -> (wire::Unit, [&'static str; 3]) {
    match source {
        Source::FreeOperation => (wire::Unit::FreeOperations, ["available", "held", "used"]),
        // Granted for this one use, and given back to where it came from.
        Source::FreeAccess => (wire::Unit::FreeOperations, ["granted", "held", "used"]),
        Source::Balance | Source::Unspecified => {
            (wire::Unit::Kopecks, ["balance", "held", "revenue"])
        }
    }
}

impl World {
    pub(super) fn reserve(&mut self, r: &wire::ReserveRequest) -> Result<wire::Operation, Refusal> {
        let stored = self.user(r.user_id)?.operations.iter();
        let mut stored = stored.filter(|o| o.wire.idempotency_key == r.idempotency_key);
        if let Some(Operation { wire: stored, .. }) = stored.next() {
            let is_same = stored.operation_type == r.operation_type && stored.model == r.model;
            let refusal = || Refusal::new("IDEMPOTENCY_KEY_REUSED", []);
            return is_same.then(|| stored.clone()).ok_or_else(refusal);
        }
        let terms = self.offer(r)?;
        let now = self.now;
        if r.dry_run {
            return Ok(terms);
        }
        let operation = wire::Operation {
            operation_id: r.idempotency_key.clone(),
            idempotency_key: r.idempotency_key.clone(),
            created_at: Some(time(now)),
            expires_at: Some(time(now + self.terms.hold_ttl)),
            metadata: r.metadata.clone(),
            ..terms
        };
        let user = self.user(r.user_id)?;
        let (unit, [purse, held, _]) = places(operation.source());
        let why = Why { cause: "reserve", operation: &operation.operation_id, ..Why::default() };
        user.post((unit, purse, held, operation.charged_kopecks.max(1)), why, now);
        user.operations.push(Operation { wire: operation.clone(), commit_refused: false });
        Ok(operation)
    }

    /// What an operation would be reserved for now: free access before a free operation, and that
    /// before money.
    fn offer(&mut self, r: &wire::ReserveRequest) -> Result<wire::Operation, Refusal> {
        use wire::promo_effect::Effect;
        let list_price = self.price(&r.operation_type)?;
        let now = self.now;
        let user = self.user(r.user_id)?;
        let mut given: Vec<_> = user.redemptions.iter().filter(|g| is_active(g, now)).collect();
        given.sort_by(|a, b| a.code.cmp(&b.code));
        let effect = |g: &wire::Redemption| g.effect.as_ref().and_then(|e| e.effect.clone());
        let discount = given.iter().filter_map(|g| match effect(g) {
            Some(Effect::OperationDiscount(discount)) => Some((discount.percent, g.code.clone())),
            _ => None,
        });
        let (percent, discount_code) = discount.max().unwrap_or_default();
        // A fraction of a kopeck is paid.
        let price = (list_price * i64::from(100 - percent) + 99) / 100;
        if let Some(expected) = r.expected_price_kopecks.filter(|expected| price > *expected) {
            let values = [("price_kopecks", price), ("expected_price_kopecks", expected)];
            return Err(Refusal::new("PRICE_CHANGED", values));
        }
        let access = given.iter().find(|g| matches!(effect(g), Some(Effect::FreeAccess(_))));
        let (source, price, promo_code) = match access {
            Some(access) => (Source::FreeAccess, list_price, access.code.clone()),
            None if user.account.free_operations > 0 => {
                (Source::FreeOperation, list_price, String::new())
            }
            None => (Source::Balance, price, discount_code),
        };
        let balance = user.account.balance_kopecks;
        if source == Source::Balance && balance < price {
            return Err(Refusal::new(
                "INSUFFICIENT_FUNDS",
                [("price_kopecks", price), ("balance_kopecks", balance), ("free_operations", 0)],
            ));
        }
        Ok(wire::Operation {
            user_id: r.user_id,
            operation_type: r.operation_type.clone(),
            model: r.model.clone(),
            state: State::Reserved.into(),
            source: source.into(),
            price_kopecks: price,
            list_price_kopecks: list_price,
            charged_kopecks: if source == Source::Balance { price } else { 0 },
            promo_code,
            ..wire::Operation::default()
        })
    }

    pub(super) fn operation(&mut self, user_id: i64, id: &str) -> Result<&Operation, Refusal> {
        let mut operations = self.user(user_id)?.operations.iter();
        let found = operations.find(|o| o.wire.operation_id == id);
        found.ok_or_else(|| Refusal::new("OPERATION_NOT_FOUND", []))
    }

    pub(super) fn list_operations(
        &mut self,
        r: &wire::ListOperationsRequest,
    ) -> Result<Answer, Refusal> {
        let user = self.user(r.user_id)?;
        let newest = user.operations.iter().rev().map(|o| o.wire.clone());
        let size = usize::try_from(r.page_size).unwrap();
        Ok(Answer { operations: newest.take(size).collect(), ..Answer::default() })
    }

    pub(super) fn extend(&mut self, r: &wire::ExtendRequest) -> Result<wire::Operation, Refusal> {
        let (now, hold_ttl) = (self.now, self.terms.hold_ttl);
        let mut operation = self.operation(r.user_id, &r.operation_id)?.wire.clone();
        match operation.state() {
            State::Committed => return Err(Refusal::new("OPERATION_COMMITTED", [])),
            State::Refunded => return Err(Refusal::new("OPERATION_REFUNDED", [])),
            State::Expired => return Err(Refusal::new("HOLD_EXPIRED", [])),
            State::Reserved | State::Unspecified => {}
        }
        let latest = micros(operation.created_at) + DAY;
        let end = (now + hold_ttl).min(latest).max(micros(operation.expires_at));
        operation.expires_at = Some(time(end));
        self.user(r.user_id)?.put_operation(operation.clone(), false);
        Ok(operation)
    }

    pub(super) fn commit(&mut self, r: &wire::CommitRequest) -> Result<wire::Operation, Refusal> {
        let now = self.now;
        let Operation { wire: mut operation, commit_refused } =
            self.operation(r.user_id, &r.operation_id)?.clone();
        let user = self.user(r.user_id)?;
        let (unit, [purse, held, spent]) = places(operation.source());
        let (from, cause) = match operation.state() {
            State::Committed => return Ok(operation),
            State::Refunded if commit_refused => return Err(Refusal::new("HOLD_EXPIRED", [])),
            State::Refunded => return Err(Refusal::new("OPERATION_REFUNDED", [])),
            State::Reserved | State::Unspecified => (held, "commit"),
            State::Expired => (purse, "late_commit"),
        };
        let is_there = match operation.source() {
            Source::FreeOperation => user.account.free_operations > 0,
            Source::FreeAccess => true,
            _ => user.account.balance_kopecks >= operation.price_kopecks,
        };
        let is_late = operation.state() == State::Expired;
        if is_late && (!is_there || now > micros(operation.expires_at) + DAY) {
            user.refuse_commit(operation, now);
            return Err(Refusal::new("HOLD_EXPIRED", []));
        }
        let why = Why { cause, operation: &operation.operation_id, ..Why::default() };
        user.post((unit, from, spent, operation.charged_kopecks.max(1)), why, now);
        operation.set_state(State::Committed);
        operation.ended_at = Some(time(now));
        operation.refunded_kopecks = 0;
        operation.cost_micro_usd = r.cost_micro_usd.unwrap_or_default();
        user.put_operation(operation.clone(), false);
        Ok(operation)
    }

    pub(super) fn refund(&mut self, r: &wire::RefundRequest) -> Result<wire::Operation, Refusal> {
        let now = self.now;
        let mut operation = self.operation(r.user_id, &r.operation_id)?.wire.clone();
        if let Some(amount) = r.amount_kopecks {
            return self.refund_part(r, amount, operation);
        }
        let left = operation.charged_kopecks - operation.refunded_kopecks;
        let user = self.user(r.user_id)?;
        match operation.state() {
            State::Refunded => return Ok(operation),
            State::Committed if r.actor.is_empty() => {
                return Err(Refusal::new("OPERATION_COMMITTED", []));
            }
            State::Expired => {}
            State::Reserved | State::Committed | State::Unspecified => {
                user.release(&operation, left.max(1), ("refund", &r.actor), now);
            }
        }
        operation.end(r, now);
        user.put_operation(operation.clone(), false);
        Ok(operation)
    }

    fn refund_part(
        &mut self,
        r: &wire::RefundRequest,
        amount: i64,
        mut operation: wire::Operation,
    ) -> Result<wire::Operation, Refusal> {
        let now = self.now;
        let user = self.user(r.user_id)?;
        let key = ("refund", r.idempotency_key.clone());
        let what = (amount, r.operation_id.clone());
        if let Some((done, _)) = user.interventions.get(&key) {
            let refusal = || Refusal::new("IDEMPOTENCY_KEY_REUSED", []);
            return (*done == what).then_some(operation).ok_or_else(refusal);
        }
        if matches!(operation.state(), State::Reserved | State::Expired) {
            return Err(Refusal::new("OPERATION_NOT_COMMITTED", []));
        }
        let left = operation.charged_kopecks - operation.refunded_kopecks;
        if amount > left {
            return Err(Refusal::new("REFUND_EXCEEDS_PRICE", [("left_kopecks", left)]));
        }
        user.release(&operation, amount, ("refund", &r.actor), now);
        user.interventions.insert(key, (what, 0));
        operation.refunded_kopecks += amount;
        if amount == left {
            operation.end(r, now);
        }
        user.put_operation(operation.clone(), false);
        Ok(operation)
    }

    /// Each for itself, in order; or, if one is refused, none.
    pub(super) fn batch<I>(
        &mut self,
        (items, users, all_or_nothing): (&[I], &[i64], bool),
        call: impl Fn(&mut Self, &I) -> Result<wire::Operation, Refusal>,
    ) -> Answer {
        let copy = |world: &Self| {
            let of = |id: &i64| world.users.get(id).map(|user| (*id, user.clone()));
            users.iter().filter_map(of).collect::<BTreeMap<i64, User>>()
        };
        let before = all_or_nothing.then(|| copy(self));
        let mut results: Vec<_> = items.iter().map(|item| call(self, item)).collect();
        if let Some(before) = before.filter(|_| results.iter().any(Result::is_err)) {
            let tried = copy(self);
            self.users.extend(before);
            self.keep_refused_commits(&tried);
            for result in results.iter_mut().filter(|result| result.is_ok()) {
                *result = Err(Refusal::new("BATCH_REFUSED", []));
            }
        }
        for operation in results.iter_mut().flatten() {
            operation.metadata.clear();
        }
        Answer { results, ..Answer::default() }
    }

    /// The caller was told that the hold has expired, which holds for ever.
    fn keep_refused_commits(&mut self, tried: &BTreeMap<i64, User>) {
        let now = self.now;
        for (user_id, tried) in tried {
            let user = self.users.get_mut(user_id).unwrap();
            for refused in tried.operations.iter().filter(|operation| operation.commit_refused) {
                let id = &refused.wire.operation_id;
                let mut stored = user.operations.iter().filter(|o| o.wire.operation_id == *id);
                if let Some(expired) = stored.next().filter(|o| o.wire.state() == State::Expired) {
                    let expired = expired.wire.clone();
                    user.refuse_commit(expired, now);
                }
            }
        }
    }
}

impl User {
    /// Gives so much of an operation back to where it came from.
    pub(super) fn release(
        &mut self,
        operation: &wire::Operation,
        amount: i64,
        (cause, actor): (&str, &str),
        now: i64,
    ) {
        let (unit, [purse, held, spent]) = places(operation.source());
        let from = if operation.state() == State::Committed { spent } else { held };
        let why = Why { cause, actor, operation: &operation.operation_id, ..Why::default() };
        self.post((unit, from, purse, amount), why, now);
    }

    fn refuse_commit(&mut self, mut operation: wire::Operation, now: i64) {
        let reason = REFUSED.to_owned();
        operation.end(&wire::RefundRequest { reason, ..wire::RefundRequest::default() }, now);
        self.put_operation(operation, true);
    }
}

trait End {
    fn end(&mut self, refund: &wire::RefundRequest, now: i64);
}

impl End for wire::Operation {
    fn end(&mut self, refund: &wire::RefundRequest, now: i64) {
        self.set_state(State::Refunded);
        self.ended_at = Some(time(now));
        self.refunded_kopecks = self.charged_kopecks;
        self.refund_reason.clone_from(&refund.reason);
        self.refund_actor.clone_from(&refund.actor);
    }
}
