//! Everything that the service knows, and what a call does to it.

use std::collections::BTreeMap;

use proto::billing::v1 as wire;

use super::request::{Answer, Ended, Refusal, Request};

pub(super) const SECOND: i64 = 1_000_000;
pub(super) const DAY: i64 = 86_400 * SECOND;
/// Types that are sold, each at the one price, with free operations welcome.
const SOLD: [&str; 6] = ["edit", "face_swap", "generate", "merge", "retouch", "upscale"];

/// The terms that everything is sold on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub(super) price: i64,
    pub(super) welcome: i64,
    pub(super) hold_ttl: i64,
}

#[derive(Clone, Debug)]
pub(crate) struct World {
    /// Microseconds.
    pub(crate) now: i64,
    pub(super) terms: Terms,
    pub(super) users: BTreeMap<i64, User>,
    pub(super) promo_codes: BTreeMap<String, wire::PromoCode>,
    /// Which user's top-up a provider's payment was credited to.
    pub(super) claims: BTreeMap<(String, String), (i64, String)>,
}

/// One operation, and whether a late Commit was refused for ever.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Operation {
    pub(super) wire: wire::Operation,
    pub(super) commit_refused: bool,
}

/// One user, with the ledger.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct User {
    pub(super) account: wire::Account,
    pub(super) operations: Vec<Operation>,
    pub(super) top_ups: Vec<wire::TopUp>,
    /// `is_active` says whether it is not used up; its time is looked at when it is asked for.
    pub(super) redemptions: Vec<wire::Redemption>,
    /// By provider and refund: which top-up, and what was paid back.
    pub(super) reversals: BTreeMap<(String, String), (String, wire::ProviderAmount)>,
    /// By call and key: what a person did (amount, operation), and the entry of it.
    pub(super) interventions: BTreeMap<(&'static str, String), ((i64, String), i64)>,
    pub(super) entries: Vec<wire::Entry>,
}

/// What moves: a unit, from where, to where, how much.
pub(super) type Moved<'m> = (wire::Unit, &'m str, &'m str, i64);

/// Why it moves: cause, operation, top-up, actor.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Why<'w> {
    pub(super) cause: &'w str,
    pub(super) operation: &'w str,
    pub(super) top_up: &'w str,
    pub(super) actor: &'w str,
}

impl World {
    pub(crate) fn new(now: i64, price: i64, welcome: i64, hold_ttl: i64) -> Self {
        Self {
            now,
            terms: Terms { price, welcome, hold_ttl },
            users: BTreeMap::new(),
            promo_codes: BTreeMap::new(),
            claims: BTreeMap::new(),
        }
    }

    pub(crate) fn price_kopecks(&self) -> i64 {
        self.terms.price
    }

    pub(crate) fn user_ids(&self) -> Vec<i64> {
        self.users.keys().copied().collect()
    }

    pub(crate) fn entries(&self, user_id: i64) -> &[wire::Entry] {
        self.users.get(&user_id).map_or(&[], |user| &user.entries)
    }

    /// Takes over what has become of one user elsewhere.
    pub(crate) fn adopt(&mut self, user_id: i64, from: Self) {
        self.users.extend(from.users.into_iter().filter(|(id, _)| *id == user_id));
        self.claims.extend(from.claims);
    }

    /// The same world with this one user only, for a look at what might have been.
    pub(super) fn of_user(&self, user_id: i64) -> Self {
        let users = self.users.get_key_value(&user_id).map(|(id, user)| (*id, user.clone()));
        Self {
            users: users.into_iter().collect(),
            promo_codes: self.promo_codes.clone(),
            claims: self.claims.clone(),
            ..*self
        }
    }

    /// Does what is asked, as the rules say.
    pub(crate) fn call(&mut self, request: &Request) -> Ended {
        let users = request.users();
        for user_id in &users {
            self.touch(*user_id);
        }
        let operation = |o: wire::Operation| Answer::operation(Some(o));
        let top_up = |t: wire::TopUp| Answer::top_up(Some(t));
        match request {
            Request::Register(r) => Ok(self.register(r)),
            Request::GetAccount(r) => {
                self.user(r.user_id)?;
                Ok(Answer { account: self.account(r.user_id), ..Answer::default() })
            }
            Request::Reserve(r) => self.reserve(r).map(operation),
            Request::Extend(r) => self.extend(r).map(operation),
            Request::Commit(r) => self.commit(r).map(operation),
            Request::Refund(r) => self.refund(r).map(operation),
            Request::BatchReserve(r) => {
                Ok(self.batch((&r.items, &users, r.all_or_nothing), Self::reserve))
            }
            Request::BatchCommit(r) => {
                Ok(self.batch((&r.items, &users, r.all_or_nothing), Self::commit))
            }
            Request::BatchRefund(r) => {
                Ok(self.batch((&r.items, &users, r.all_or_nothing), Self::refund))
            }
            Request::GetOperation(r) => {
                self.operation(r.user_id, &r.operation_id).map(|o| operation(o.wire.clone()))
            }
            Request::ListOperations(r) => self.list_operations(r),
            Request::OpenTopUp(r) => self.open_top_up(r).map(top_up),
            Request::RecordPayment(r) => self.record_payment(r).map(top_up),
            Request::Settle(r) => self.settle(r).map(|t| self.with_account(top_up(t), r.user_id)),
            Request::Cancel(r) => self.cancel(r).map(top_up),
            Request::Reverse(r) => self.reverse(r).map(|t| self.with_account(top_up(t), r.user_id)),
            Request::GetTopUp(r) => self.top_up(r.user_id, &r.top_up_id).map(|t| top_up(t.clone())),
            Request::Redeem(r) => self.redeem(r).map(|a| self.with_account(a, r.user_id)),
            Request::Adjust(r) => self.adjust(r).map(|a| self.with_account(a, r.user_id)),
            Request::Grant(r) => self.grant(r).map(|a| self.with_account(a, r.user_id)),
            Request::CreatePromoCode(r) => self.create_promo_code(r),
            Request::StopPromoCode(r) => self.stop_promo_code(r),
        }
    }

    /// Releases what is overdue. Comes before everything that is about an account.
    fn touch(&mut self, user_id: i64) {
        let now = self.now;
        let Some(user) = self.users.get_mut(&user_id) else { return };
        let is_overdue = |o: &Operation| {
            o.wire.state() == wire::OperationState::Reserved && now >= micros(o.wire.expires_at)
        };
        let mut overdue: Vec<wire::Operation> =
            user.operations.iter().filter(|o| is_overdue(o)).map(|o| o.wire.clone()).collect();
        // Those that ended first are released first; of equal ones, those reserved first.
        overdue.sort_by_key(|operation| micros(operation.expires_at));
        for mut operation in overdue {
            user.release(&operation, operation.charged_kopecks.max(1), ("expiry", ""), now);
            operation.set_state(wire::OperationState::Expired);
            operation.ended_at = Some(time(now));
            operation.refunded_kopecks = operation.charged_kopecks;
            user.put_operation(operation, false);
        }
    }

    fn register(&mut self, r: &wire::RegisterUserRequest) -> Answer {
        let (now, welcome) = (self.now, self.terms.welcome);
        let created = !self.users.contains_key(&r.user_id);
        let user = self.users.entry(r.user_id).or_default();
        if created {
            user.account.user_id = r.user_id;
            user.account.created_at = Some(time(now));
            if welcome > 0 {
                let moved = (wire::Unit::FreeOperations, "granted", "available", welcome);
                user.post(moved, Why { cause: "welcome", ..Why::default() }, now);
            }
        }
        let given = r.profile.clone().unwrap_or_default();
        let profile = user.account.profile.get_or_insert_default();
        profile.language = given.language.or(profile.language.take());
        profile.receipt_email = given.receipt_email.or(profile.receipt_email.take());
        Answer { account: self.account(r.user_id), created, ..Answer::default() }
    }

    pub(super) fn user(&mut self, user_id: i64) -> Result<&mut User, Refusal> {
        self.users.get_mut(&user_id).ok_or_else(|| Refusal::new("USER_NOT_FOUND", []))
    }

    /// The account with what redeemed codes still give, the oldest first.
    fn account(&self, user_id: i64) -> Option<wire::Account> {
        let user = self.users.get(&user_id)?;
        let mut redemptions: Vec<_> =
            user.redemptions.iter().filter(|r| is_active(r, self.now)).cloned().collect();
        redemptions.sort_by_key(|r| (micros(r.redeemed_at), r.code.clone()));
        Some(wire::Account { redemptions, ..user.account.clone() })
    }

    fn with_account(&self, answer: Answer, user_id: i64) -> Answer {
        Answer { account: self.account(user_id), ..answer }
    }

    /// The price of a type that is sold.
    pub(super) fn price(&self, operation_type: &str) -> Result<i64, Refusal> {
        let refusal = || Refusal::new("OPERATION_TYPE_NOT_SOLD", []);
        SOLD.contains(&operation_type).then_some(self.terms.price).ok_or_else(refusal)
    }
}

impl User {
    /// Moves an amount, and writes its entry.
    pub(super) fn post(&mut self, (unit, from, to, amount): Moved<'_>, why: Why<'_>, now: i64) {
        let account = &mut self.account;
        let (purse, held, purse_name) = match unit {
            wire::Unit::FreeOperations => {
                (&mut account.free_operations, &mut account.held_free_operations, "available")
            }
            _ => (&mut account.balance_kopecks, &mut account.held_kopecks, "balance"),
        };
        let sign = |name: &str| i64::from(to == name) - i64::from(from == name);
        *purse += sign(purse_name) * amount;
        *held += sign("held") * amount;
        let number = i64::try_from(self.entries.len()).unwrap() + 1;
        self.entries.push(wire::Entry {
            number,
            created_at: Some(time(now)),
            unit: unit.into(),
            from_account: from.to_owned(),
            to_account: to.to_owned(),
            amount,
            cause: why.cause.to_owned(),
            operation_id: why.operation.to_owned(),
            top_up_id: why.top_up.to_owned(),
            actor: why.actor.to_owned(),
            balance_change_kopecks: sign("balance") * amount,
            balance_after_kopecks: self.account.balance_kopecks,
            free_operations_after: self.account.free_operations,
        });
    }

    pub(super) fn put_operation(&mut self, operation: wire::Operation, commit_refused: bool) {
        let is_it = |o: &&mut Operation| o.wire.operation_id == operation.operation_id;
        let place = self.operations.iter_mut().find(is_it).unwrap();
        *place = Operation { wire: operation, commit_refused };
    }
}

/// Whether what was redeemed still gives something.
pub(super) fn is_active(redemption: &wire::Redemption, now: i64) -> bool {
    redemption.is_active && until(redemption.effect.as_ref()).is_none_or(|end| now < end)
}

/// When an effect ends; `None` if never, or if it is given at once.
pub(super) fn until(effect: Option<&wire::PromoEffect>) -> Option<i64> {
    use wire::promo_effect::Effect;
    let end = match effect?.effect.as_ref()? {
        Effect::OperationDiscount(discount) => discount.until,
        Effect::TopUpBonus(bonus) => bonus.until,
        Effect::FreeAccess(access) => access.until,
        Effect::FreeOperations(_) => None,
    };
    end.map(|end| micros(Some(end)))
}

pub(crate) fn time(micros: i64) -> prost_types::Timestamp {
    let nanos = i32::try_from(micros.rem_euclid(SECOND) * 1_000).unwrap();
    prost_types::Timestamp { seconds: micros.div_euclid(SECOND), nanos }
}

pub(super) fn micros(time: Option<prost_types::Timestamp>) -> i64 {
    time.map_or(0, |time| time.seconds * SECOND + i64::from(time.nanos) / 1_000)
}
