//! Top-ups: money on its way in, and back.

use proto::billing::v1 as wire;

use super::request::Refusal;
use super::world::{User, Why, World, is_active, time};
use wire::TopUpState as State;
use wire::promo_effect::Effect;

/// The most that one amount may come to.
const AMOUNT_MAX: i64 = 1_000_000_000;

impl World {
    pub(super) fn open_top_up(
        &mut self,
        r: &wire::OpenTopUpRequest,
    ) -> Result<wire::TopUp, Refusal> {
        let now = self.now;
        let user = self.user(r.user_id)?;
        let stored = user.top_ups.iter().find(|t| t.idempotency_key == r.idempotency_key);
        if let Some(stored) = stored {
            let is_same = stored.provider == r.provider
                && stored.paid == r.paid
                && stored.credited_kopecks == r.credited_kopecks;
            let refusal = || Refusal::new("IDEMPOTENCY_KEY_REUSED", []);
            return is_same.then(|| stored.clone()).ok_or_else(refusal);
        }
        let top_up = wire::TopUp {
            top_up_id: r.idempotency_key.clone(),
            user_id: r.user_id,
            provider: r.provider.clone(),
            state: State::Open.into(),
            paid: r.paid.clone(),
            credited_kopecks: r.credited_kopecks,
            idempotency_key: r.idempotency_key.clone(),
            snapshot: r.snapshot.clone(),
            created_at: Some(time(now)),
            ..wire::TopUp::default()
        };
        user.top_ups.push(top_up.clone());
        Ok(top_up)
    }

    pub(super) fn top_up(&mut self, user_id: i64, id: &str) -> Result<&mut wire::TopUp, Refusal> {
        let mut top_ups = self.user(user_id)?.top_ups.iter_mut();
        let found = top_ups.find(|top_up| top_up.top_up_id == id);
        found.ok_or_else(|| Refusal::new("TOP_UP_NOT_FOUND", []))
    }

    pub(super) fn record_payment(
        &mut self,
        r: &wire::RecordTopUpPaymentRequest,
    ) -> Result<wire::TopUp, Refusal> {
        let top_up = self.top_up(r.user_id, &r.top_up_id)?;
        check_payment(top_up, &r.provider_payment_id)?;
        if top_up.provider_payment_id.is_empty() {
            top_up.provider_payment_id.clone_from(&r.provider_payment_id);
            top_up.confirmation_url.clone_from(&r.confirmation_url);
        }
        Ok(top_up.clone())
    }

    pub(super) fn settle(&mut self, r: &wire::SettleTopUpRequest) -> Result<wire::TopUp, Refusal> {
        let now = self.now;
        let mut top_up = self.top_up(r.user_id, &r.top_up_id)?.clone();
        if top_up.paid != r.paid {
            return Err(Refusal::new("TOP_UP_AMOUNT_MISMATCH", []));
        }
        check_payment(&top_up, &r.provider_payment_id)?;
        let ours = (r.user_id, r.top_up_id.clone());
        let payment = (top_up.provider.clone(), r.provider_payment_id.clone());
        if self.claims.get(&payment).is_some_and(|claim| *claim != ours) {
            return Err(Refusal::new("PAYMENT_ALREADY_CLAIMED", []));
        }
        if top_up.state() == State::Settled {
            return Ok(top_up);
        }
        self.claims.insert(payment, ours);
        let user = self.user(r.user_id)?;
        let clearing = format!("clearing:{}", top_up.provider);
        let why = Why { cause: "top_up", top_up: &r.top_up_id, ..Why::default() };
        user.post((wire::Unit::Kopecks, &clearing, "balance", top_up.credited_kopecks), why, now);
        top_up.bonus_kopecks = user.take_bonus(top_up.credited_kopecks, now);
        if top_up.bonus_kopecks > 0 {
            let moved = (wire::Unit::Kopecks, "promo", "balance", top_up.bonus_kopecks);
            user.post(moved, Why { cause: "bonus", ..why }, now);
        }
        top_up.set_state(State::Settled);
        top_up.ended_at = Some(time(now));
        top_up.provider_payment_id.clone_from(&r.provider_payment_id);
        self.top_up(r.user_id, &r.top_up_id)?.clone_from(&top_up);
        Ok(top_up)
    }

    pub(super) fn cancel(&mut self, r: &wire::CancelTopUpRequest) -> Result<wire::TopUp, Refusal> {
        let now = self.now;
        let top_up = self.top_up(r.user_id, &r.top_up_id)?;
        match top_up.state() {
            State::Settled => return Err(Refusal::new("TOP_UP_SETTLED", [])),
            State::Cancelled => {}
            State::Open | State::Unspecified => {
                top_up.set_state(State::Cancelled);
                top_up.ended_at = Some(time(now));
                top_up.cancel_reason.clone_from(&r.reason);
            }
        }
        Ok(top_up.clone())
    }

    pub(super) fn reverse(
        &mut self,
        r: &wire::ReverseTopUpRequest,
    ) -> Result<wire::TopUp, Refusal> {
        let now = self.now;
        let mut top_up = self.top_up(r.user_id, &r.top_up_id)?.clone();
        let user = self.user(r.user_id)?;
        let refund = (top_up.provider.clone(), r.provider_refund_id.clone());
        let refunded = r.refunded.clone().unwrap();
        let what = (r.top_up_id.clone(), refunded.clone());
        if let Some(done) = user.reversals.get(&refund) {
            let refusal = || Refusal::new("IDEMPOTENCY_KEY_REUSED", []);
            return (*done == what).then_some(top_up).ok_or_else(refusal);
        }
        if top_up.state() != State::Settled {
            return Err(Refusal::new("TOP_UP_NOT_SETTLED", []));
        }
        let paid = top_up.paid.clone().unwrap();
        let all = top_up.refunded_minor_units + refunded.minor_units;
        if refunded.currency != paid.currency || all > paid.minor_units {
            return Err(Refusal::new("TOP_UP_AMOUNT_MISMATCH", []));
        }
        // Of all refunds together, rounded down: the last one takes all that is left.
        let due = |of: i64| i128::from(of) * i128::from(all) / i128::from(paid.minor_units);
        let due = |of: i64| i64::try_from(due(of)).unwrap();
        let credit = due(top_up.credited_kopecks) - top_up.reversed_kopecks;
        let bonus = due(top_up.bonus_kopecks) - top_up.reversed_bonus_kopecks;
        let clearing = format!("clearing:{}", top_up.provider);
        let why = Why { cause: "reversal", top_up: &r.top_up_id, ..Why::default() };
        for (to, amount) in [(clearing.as_str(), credit), ("promo", bonus)] {
            if amount > 0 {
                user.post((wire::Unit::Kopecks, "balance", to, amount), why, now);
            }
        }
        user.reversals.insert(refund, what);
        top_up.refunded_minor_units = all;
        top_up.reversed_kopecks += credit;
        top_up.reversed_bonus_kopecks += bonus;
        self.top_up(r.user_id, &r.top_up_id)?.clone_from(&top_up);
        Ok(top_up)
    }
}

impl User {
    /// Uses up the code that adds the most to a credit, if any adds a kopeck; of equal ones the
    /// last by code.
    fn take_bonus(&mut self, credited: i64, now: i64) -> i64 {
        let bonus = |redemption: &wire::Redemption| match redemption.effect?.effect? {
            Effect::TopUpBonus(bonus) => {
                let max =
                    if bonus.bonus_max_kopecks == 0 { AMOUNT_MAX } else { bonus.bonus_max_kopecks };
                Some((credited * i64::from(bonus.percent) / 100).min(max).min(AMOUNT_MAX))
            }
            _ => None,
        };
        let active = self.redemptions.iter_mut().filter(|redemption| is_active(redemption, now));
        let best = active
            .filter_map(|redemption| Some((bonus(redemption)?, redemption)))
            .filter(|(bonus, _)| *bonus > 0)
            .max_by(|(a, one), (b, other)| (a, &one.code).cmp(&(b, &other.code)));
        let Some((bonus, redemption)) = best else { return 0 };
        redemption.is_active = false;
        bonus
    }
}

fn check_payment(top_up: &wire::TopUp, payment: &str) -> Result<(), Refusal> {
    let known = &top_up.provider_payment_id;
    let is_other = !known.is_empty() && known != payment;
    if is_other { Err(Refusal::new("TOP_UP_PAYMENT_MISMATCH", [])) } else { Ok(()) }
}
