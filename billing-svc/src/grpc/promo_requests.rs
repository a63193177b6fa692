//! Requests about promo codes, and those of operators, into decisions.

use proto::billing::v1 as wire;

use super::requests::{
    ACTOR_MAX, EMAIL_MAX, REASON_MAX, Read, amount, key, moment, payment, provider, required_text,
    user,
};
use super::status::invalid;
use crate::domain::{Grant, Kopecks, PromoCode, PromoCodeName, PromoEffect, Signature, Timestamp};
use crate::ledger::{Gift, Intervene, Known, Redeem};

/// The most that all users together may be allowed to redeem a code.
const REDEMPTIONS_MAX: i64 = 1_000_000_000;

pub(super) fn redeem(request: &wire::RedeemPromoCodeRequest) -> Read<Redeem> {
    let user = user(request.user_id)?;
    Ok(Redeem { user, code: code(&request.code)?, key: key(&request.idempotency_key)? })
}

pub(super) fn code(text: &str) -> Read<PromoCodeName> {
    PromoCodeName::new(text)
        .ok_or_else(|| invalid("code", "must be 1 to 32 letters, digits, - or _"))
}

/// What is asked for, as it will be once somebody says what time it is.
pub(super) fn offer(
    request: wire::CreatePromoCodeRequest,
) -> Read<impl FnOnce(Timestamp) -> PromoCode> {
    let name = code(&request.code)?;
    let effect = effect(request.effect)?;
    if !(0..=REDEMPTIONS_MAX).contains(&request.redemptions_max) {
        return Err(invalid("redemptions_max", "must be 0 to 10^9; 0 means without limit"));
    }
    let valid_from = optional_moment("valid_from", request.valid_from.as_ref())?;
    let valid_until = optional_moment("valid_until", request.valid_until.as_ref())?;
    if let (Some(from), Some(until)) = (valid_from, valid_until)
        && from >= until
    {
        return Err(invalid("valid_until", "must be later than valid_from"));
    }
    required_text("actor", &request.actor, ACTOR_MAX)?;
    required_text("reason", &request.reason, REASON_MAX)?;
    Ok(move |now| PromoCode {
        name,
        effect,
        redemptions_max: Some(request.redemptions_max).filter(|max| *max != 0),
        redemptions: 0,
        valid_from,
        valid_until,
        created: Signature { actor: request.actor, reason: request.reason, at: now },
        stopped: None,
    })
}

fn effect(given: Option<wire::PromoEffect>) -> Read<PromoEffect> {
    use wire::promo_effect::Effect;
    let absent = || invalid("effect", "must be one of its four kinds");
    match given.and_then(|given| given.effect).ok_or_else(absent)? {
        Effect::OperationDiscount(discount) => Ok(PromoEffect::OperationDiscount {
            percent: percent("effect.operation_discount.percent", discount.percent, 99)?,
            until: until("effect.operation_discount.until", discount.until.as_ref())?,
        }),
        Effect::TopUpBonus(bonus) => Ok(PromoEffect::TopUpBonus {
            percent: percent("effect.top_up_bonus.percent", bonus.percent, 1_000)?,
            max: bonus_max(bonus.bonus_max_kopecks)?,
            until: until("effect.top_up_bonus.until", bonus.until.as_ref())?,
        }),
        Effect::FreeOperations(free) => {
            Ok(PromoEffect::FreeOperations(grant("effect.free_operations.count", free.count)?))
        }
        Effect::FreeAccess(access) => {
            let field = "effect.free_access.until";
            let end = access.until.as_ref().ok_or_else(|| invalid(field, "must be present"))?;
            Ok(PromoEffect::FreeAccess { until: moment(field, end)? })
        }
    }
}

fn percent(field: &'static str, given: i32, max: u32) -> Read<u32> {
    u32::try_from(given)
        .ok()
        .filter(|percent| (1..=max).contains(percent))
        .ok_or_else(|| invalid(field, &format!("must be 1 to {max}")))
}

fn bonus_max(kopecks: i64) -> Read<Option<Kopecks>> {
    match kopecks {
        0 => Ok(None),
        limit => amount("effect.top_up_bonus.bonus_max_kopecks", limit).map(Some),
    }
}

fn grant(field: &'static str, count: i64) -> Read<Grant> {
    u32::try_from(count)
        .ok()
        .filter(|count| *count > 0)
        .and_then(Grant::new)
        .ok_or_else(|| invalid(field, "must be 1 to 10000"))
}

fn until(field: &'static str, time: Option<&prost_types::Timestamp>) -> Read<Timestamp> {
    Ok(optional_moment(field, time)?.unwrap_or(Timestamp::MAX))
}

fn optional_moment(
    field: &'static str,
    time: Option<&prost_types::Timestamp>,
) -> Read<Option<Timestamp>> {
    time.map(|time| moment(field, time)).transpose()
}

/// Who stops a code, and why.
pub(super) fn stop(request: wire::StopPromoCodeRequest) -> Read<(PromoCodeName, (String, String))> {
    let name = code(&request.code)?;
    required_text("actor", &request.actor, ACTOR_MAX)?;
    required_text("reason", &request.reason, REASON_MAX)?;
    Ok((name, (request.actor, request.reason)))
}

/// What a support case knows of a user.
pub(super) fn known(request: wire::FindUserRequest) -> Read<Known> {
    use wire::find_user_request::By;
    match request.by.ok_or_else(|| invalid("by", "must be one of its three kinds"))? {
        By::UserId(id) => Ok(Known::Id(user(id)?)),
        By::ReceiptEmail(email) => {
            required_text("receipt_email", &email, EMAIL_MAX)?;
            Ok(Known::Email(email))
        }
        By::Payment(paid) => Ok(Known::Payment(
            provider("payment.provider", &paid.provider)?,
            payment("payment.payment_id", &paid.payment_id)?,
        )),
    }
}

pub(super) fn adjust(request: wire::AdjustBalanceRequest) -> Read<Intervene> {
    let user = user(request.user_id)?;
    let kopecks = request.amount_kopecks;
    let magnitude = kopecks.checked_abs().and_then(|size| Kopecks::new(size).ok());
    let magnitude = magnitude
        .ok_or_else(|| invalid("amount_kopecks", "must be -10^9 to 10^9 kopecks, and not 0"))?;
    required_text("actor", &request.actor, ACTOR_MAX)?;
    required_text("reason", &request.reason, REASON_MAX)?;
    let gift = if kopecks > 0 { Gift::Money(magnitude) } else { Gift::Taking(magnitude) };
    let key = key(&request.idempotency_key)?;
    Ok(Intervene { user, gift, actor: request.actor, reason: request.reason, key })
}

pub(super) fn grant_free_operations(request: wire::GrantFreeOperationsRequest) -> Read<Intervene> {
    let user = user(request.user_id)?;
    let gift = Gift::FreeOperations(grant("count", request.count)?);
    required_text("actor", &request.actor, ACTOR_MAX)?;
    required_text("reason", &request.reason, REASON_MAX)?;
    let key = key(&request.idempotency_key)?;
    Ok(Intervene { user, gift, actor: request.actor, reason: request.reason, key })
}
