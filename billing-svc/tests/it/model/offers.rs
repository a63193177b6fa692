//! Promo codes, and what persons do to an account.

use proto::billing::v1 as wire;

use super::request::{Answer, Ended, Refusal};
use super::world::{Why, World, micros, time, until};
use wire::promo_effect::Effect;

impl World {
    pub(super) fn redeem(&mut self, r: &wire::RedeemPromoCodeRequest) -> Ended {
        let now = self.now;
        // Case does not matter.
        let name = r.code.to_uppercase();
        let offered = self.promo_codes.get(&name).cloned();
        let user = self.user(r.user_id)?;
        let shown = |redemption: &wire::Redemption| {
            let is_active = super::world::is_active(redemption, now);
            let redemption = Some(wire::Redemption { is_active, ..redemption.clone() });
            Answer { redemption, ..Answer::default() }
        };
        let mut stored = user.redemptions.iter();
        if let Some(stored) = stored.find(|s| s.idempotency_key == r.idempotency_key) {
            let refusal = || Refusal::new("IDEMPOTENCY_KEY_REUSED", []);
            return (stored.code == name).then(|| shown(stored)).ok_or_else(refusal);
        }
        let offered = offered.ok_or_else(|| Refusal::new("PROMO_CODE_NOT_FOUND", []))?;
        if user.redemptions.iter().any(|stored| stored.code == name) {
            return Err(Refusal::new("PROMO_CODE_ALREADY_REDEEMED", []));
        }
        check(&offered, now)?;
        let mut redemption = wire::Redemption {
            code: name.clone(),
            effect: offered.effect,
            redeemed_at: Some(time(now)),
            is_active: true,
            idempotency_key: r.idempotency_key.clone(),
        };
        if let Some(Effect::FreeOperations(free)) = offered.effect.and_then(|e| e.effect) {
            redemption.is_active = false;
            let moved = (wire::Unit::FreeOperations, "granted", "available", free.count);
            user.post(moved, Why { cause: "promo_code", ..Why::default() }, now);
        }
        user.redemptions.push(redemption.clone());
        self.promo_codes.get_mut(&name).unwrap().redemptions += 1;
        Ok(shown(&redemption))
    }

    pub(super) fn adjust(&mut self, r: &wire::AdjustBalanceRequest) -> Ended {
        let now = self.now;
        let user = self.user(r.user_id)?;
        let key = ("adjust", r.idempotency_key.clone());
        let what = (r.amount_kopecks, String::new());
        if let Some((done, entry_number)) = user.interventions.get(&key) {
            return repeated(*done == what, *entry_number);
        }
        let balance = user.account.balance_kopecks;
        let moved = if r.amount_kopecks > 0 {
            (wire::Unit::Kopecks, "adjustment", "balance", r.amount_kopecks)
        } else if balance + r.amount_kopecks < 0 {
            let values = [("amount_kopecks", -r.amount_kopecks), ("balance_kopecks", balance)];
            return Err(Refusal::new("INSUFFICIENT_FUNDS", values));
        } else {
            (wire::Unit::Kopecks, "balance", "adjustment", -r.amount_kopecks)
        };
        user.post(moved, Why { cause: "adjustment", actor: &r.actor, ..Why::default() }, now);
        let entry_number = i64::try_from(user.entries.len()).unwrap();
        user.interventions.insert(key, (what, entry_number));
        Ok(Answer { entry_number, ..Answer::default() })
    }

    pub(super) fn grant(&mut self, r: &wire::GrantFreeOperationsRequest) -> Ended {
        let now = self.now;
        let user = self.user(r.user_id)?;
        let key = ("grant", r.idempotency_key.clone());
        let what = (r.count, String::new());
        if let Some((done, entry_number)) = user.interventions.get(&key) {
            return repeated(*done == what, *entry_number);
        }
        let moved = (wire::Unit::FreeOperations, "granted", "available", r.count);
        user.post(moved, Why { cause: "grant", actor: &r.actor, ..Why::default() }, now);
        let entry_number = i64::try_from(user.entries.len()).unwrap();
        user.interventions.insert(key, (what, entry_number));
        Ok(Answer { entry_number, ..Answer::default() })
    }

    pub(super) fn create_promo_code(&mut self, r: &wire::CreatePromoCodeRequest) -> Ended {
        let now = self.now;
        let offered = wire::PromoCode {
            code: r.code.to_uppercase(),
            effect: r.effect,
            redemptions_max: r.redemptions_max,
            redemptions: 0,
            valid_from: r.valid_from,
            valid_until: r.valid_until,
            created_by: r.actor.clone(),
            create_reason: r.reason.clone(),
            created_at: Some(time(now)),
            ..wire::PromoCode::default()
        };
        let stored = self.promo_codes.entry(offered.code.clone()).or_insert(offered.clone());
        let is_same = stored.effect == offered.effect
            && stored.redemptions_max == offered.redemptions_max
            && (stored.valid_from, stored.valid_until) == (offered.valid_from, offered.valid_until);
        if !is_same {
            return Err(Refusal::new("IDEMPOTENCY_KEY_REUSED", []));
        }
        Ok(Answer { promo_code: Some(stored.clone()), ..Answer::default() })
    }

    pub(super) fn stop_promo_code(&mut self, r: &wire::StopPromoCodeRequest) -> Ended {
        let now = self.now;
        let stored = self.promo_codes.get_mut(&r.code.to_uppercase());
        let stored = stored.ok_or_else(|| Refusal::new("PROMO_CODE_NOT_FOUND", []))?;
        if stored.stopped_at.is_none() {
            stored.stopped_at = Some(time(now));
            stored.stopped_by.clone_from(&r.actor);
            stored.stop_reason.clone_from(&r.reason);
        }
        Ok(Answer { promo_code: Some(stored.clone()), ..Answer::default() })
    }
}

/// Whether a code can be redeemed once more now.
fn check(code: &wire::PromoCode, now: i64) -> Result<(), Refusal> {
    let is_early = code.valid_from.is_some() && now < micros(code.valid_from);
    let is_late = code.valid_until.is_some() && now >= micros(code.valid_until);
    let is_over = until(code.effect.as_ref()).is_some_and(|end| now >= end);
    if code.stopped_at.is_some() || is_early || is_late || is_over {
        return Err(Refusal::new("PROMO_CODE_NOT_VALID", []));
    }
    if code.redemptions_max > 0 && code.redemptions >= code.redemptions_max {
        return Err(Refusal::new("PROMO_CODE_USED_UP", []));
    }
    Ok(())
}

fn repeated(is_same: bool, entry_number: i64) -> Ended {
    let answer = Answer { entry_number, ..Answer::default() };
    is_same.then_some(answer).ok_or_else(|| Refusal::new("IDEMPOTENCY_KEY_REUSED", []))
}
