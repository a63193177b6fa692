//! Of operators.

use proto::billing::v1 as wire;
use tonic::Code;
use wire::find_user_request::By;
use wire::promo_effect::Effect;

use super::operations::{BAD_AMOUNTS, BAD_KEYS};
use super::{Row, bad, bad_moments, refused};
use crate::app::ANNA;

const BAD_CODES: [&str; 5] = ["", "two words", "весна", "a\0", "a.b"];

pub(super) fn rows() -> Vec<Row> {
    let mut rows = gifts();
    rows.extend(searches());
    rows.extend(stats());
    rows.extend(offers());
    rows.extend(effects());
    rows.extend(stops());
    rows.extend(lists());
    rows
}

/// Persons and reasons that are none; longer ones are made where they are needed.
fn bad_texts(max: usize) -> [String; 3] {
    [String::new(), "nul\0".to_owned(), "ж".repeat(max + 1)]
}

fn gifts() -> Vec<Row> {
    let adjust = "AdminService/AdjustBalance";
    let money = || wire::AdjustBalanceRequest {
        user_id: ANNA,
        amount_kopecks: 1,
        actor: "olga".into(),
        reason: "because".into(),
        idempotency_key: "cli:1".into(),
    };
    let grant = "AdminService/GrantFreeOperations";
    let free = || wire::GrantFreeOperationsRequest {
        user_id: ANNA,
        count: 1,
        actor: "olga".into(),
        reason: "because".into(),
        idempotency_key: "cli:1".into(),
    };
    let mut rows = Vec::new();
    for amount_kopecks in [0, i64::MIN, -1_000_000_001, 1_000_000_001, i64::MAX] {
        let request = wire::AdjustBalanceRequest { amount_kopecks, ..money() };
        rows.push(bad(adjust, "amount_kopecks", &request));
    }
    for count in [0, -1, i64::MIN, 10_001, 1 << 32, i64::MAX] {
        rows.push(bad(grant, "count", &wire::GrantFreeOperationsRequest { count, ..free() }));
    }
    for actor in bad_texts(64) {
        let request = wire::AdjustBalanceRequest { actor: actor.clone(), ..money() };
        rows.push(bad(adjust, "actor", &request));
        rows.push(bad(grant, "actor", &wire::GrantFreeOperationsRequest { actor, ..free() }));
    }
    for reason in bad_texts(256) {
        let request = wire::AdjustBalanceRequest { reason: reason.clone(), ..money() };
        rows.push(bad(adjust, "reason", &request));
        rows.push(bad(grant, "reason", &wire::GrantFreeOperationsRequest { reason, ..free() }));
    }
    for key in BAD_KEYS {
        let key = key.to_owned();
        let request = wire::AdjustBalanceRequest { idempotency_key: key.clone(), ..money() };
        rows.push(bad(adjust, "idempotency_key", &request));
        let request = wire::GrantFreeOperationsRequest { idempotency_key: key, ..free() };
        rows.push(bad(grant, "idempotency_key", &request));
    }
    let too_little = (Code::FailedPrecondition, "INSUFFICIENT_FUNDS");
    let taking = wire::AdjustBalanceRequest { amount_kopecks: -1, ..money() };
    rows.push(refused(adjust, too_little, &taking));
    rows
}

fn searches() -> Vec<Row> {
    let rpc = "AdminService/FindUser";
    let by = |by| wire::FindUserRequest { by: Some(by) };
    let paid = |provider: &str, payment_id: &str| {
        by(By::Payment(wire::ProviderPayment {
            provider: provider.to_owned(),
            payment_id: payment_id.to_owned(),
        }))
    };
    let mut rows = vec![bad(rpc, "by", &wire::FindUserRequest { by: None })];
    for user_id in [0, -1, i64::MIN] {
        rows.push(bad(rpc, "user_id", &by(By::UserId(user_id))));
    }
    for email in bad_texts(254) {
        rows.push(bad(rpc, "receipt_email", &by(By::ReceiptEmail(email))));
    }
    for provider in ["", "YooKassa", "nul\0"] {
        rows.push(bad(rpc, "payment.provider", &paid(provider, "p-1")));
    }
    for payment in ["", "платёж", "nul\0", &"p".repeat(129)] {
        rows.push(bad(rpc, "payment.payment_id", &paid("yookassa", payment)));
    }
    rows
}

fn stats() -> Vec<Row> {
    let rpc = "AdminService/GetStats";
    let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
    let good = || wire::GetStatsRequest {
        from: at(0),
        to: at(86_400),
        utc_offset_minutes: 180,
        usd_kopecks: None,
    };
    let mut rows = vec![
        bad(rpc, "from", &wire::GetStatsRequest { from: None, ..good() }),
        bad(rpc, "to", &wire::GetStatsRequest { to: None, ..good() }),
        bad(rpc, "to", &wire::GetStatsRequest { from: at(86_400), ..good() }),
        bad(rpc, "to", &wire::GetStatsRequest { to: at(400 * 86_400 + 1), ..good() }),
    ];
    for moment in bad_moments() {
        rows.push(bad(rpc, "from", &wire::GetStatsRequest { from: Some(moment), ..good() }));
        rows.push(bad(rpc, "to", &wire::GetStatsRequest { to: Some(moment), ..good() }));
    }
    for utc_offset_minutes in [-841, 841, i32::MIN, i32::MAX] {
        let request = wire::GetStatsRequest { utc_offset_minutes, ..good() };
        rows.push(bad(rpc, "utc_offset_minutes", &request));
    }
    for usd in [0, -1, 1_000_001, i64::MIN, i64::MAX] {
        let request = wire::GetStatsRequest { usd_kopecks: Some(usd), ..good() };
        rows.push(bad(rpc, "usd_kopecks", &request));
    }
    rows
}

const CREATE: &str = "AdminService/CreatePromoCode";

fn offer() -> wire::CreatePromoCodeRequest {
    wire::CreatePromoCodeRequest {
        code: "SPRING".into(),
        effect: of(Effect::FreeOperations(wire::FreeOperations { count: 1 })),
        actor: "olga".into(),
        reason: "spring".into(),
        ..wire::CreatePromoCodeRequest::default()
    }
}

#[expect(clippy::unnecessary_wraps, reason = "it is a field of a message, which may be absent")]
fn of(effect: Effect) -> Option<wire::PromoEffect> {
    Some(wire::PromoEffect { effect: Some(effect) })
}

fn offers() -> Vec<Row> {
    let mut rows = Vec::new();
    let long = "P".repeat(33);
    for code in BAD_CODES.into_iter().chain([long.as_str()]) {
        let request = wire::CreatePromoCodeRequest { code: code.to_owned(), ..offer() };
        rows.push(bad(CREATE, "code", &request));
    }
    for redemptions_max in [-1, i64::MIN, 1_000_000_001, i64::MAX] {
        let request = wire::CreatePromoCodeRequest { redemptions_max, ..offer() };
        rows.push(bad(CREATE, "redemptions_max", &request));
    }
    for moment in bad_moments() {
        let request = wire::CreatePromoCodeRequest { valid_from: Some(moment), ..offer() };
        rows.push(bad(CREATE, "valid_from", &request));
        let request = wire::CreatePromoCodeRequest { valid_until: Some(moment), ..offer() };
        rows.push(bad(CREATE, "valid_until", &request));
    }
    let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
    let request = wire::CreatePromoCodeRequest { valid_from: at(2), valid_until: at(2), ..offer() };
    rows.push(bad(CREATE, "valid_until", &request));
    for actor in bad_texts(64) {
        rows.push(bad(CREATE, "actor", &wire::CreatePromoCodeRequest { actor, ..offer() }));
    }
    for reason in bad_texts(256) {
        rows.push(bad(CREATE, "reason", &wire::CreatePromoCodeRequest { reason, ..offer() }));
    }
    rows
}

fn effects() -> Vec<Row> {
    let row = |field, effect| {
        bad(CREATE, field, &wire::CreatePromoCodeRequest { effect: of(effect), ..offer() })
    };
    let discount =
        |percent, until| Effect::OperationDiscount(wire::OperationDiscount { percent, until });
    let bonus = |percent, bonus_max_kopecks, until| {
        Effect::TopUpBonus(wire::TopUpBonus { percent, bonus_max_kopecks, until })
    };
    let access = |until| Effect::FreeAccess(wire::FreeAccess { until });
    let empty = Some(wire::PromoEffect { effect: None });
    let mut rows = vec![
        bad(CREATE, "effect", &wire::CreatePromoCodeRequest { effect: None, ..offer() }),
        bad(CREATE, "effect", &wire::CreatePromoCodeRequest { effect: empty, ..offer() }),
        row("effect.free_access.until", access(None)),
    ];
    for percent in [0, -1, 100, i32::MIN, i32::MAX] {
        rows.push(row("effect.operation_discount.percent", discount(percent, None)));
    }
    for percent in [0, -1, 1_001, i32::MIN, i32::MAX] {
        rows.push(row("effect.top_up_bonus.percent", bonus(percent, 0, None)));
    }
    for max in BAD_AMOUNTS.into_iter().filter(|amount| *amount != 0) {
        rows.push(row("effect.top_up_bonus.bonus_max_kopecks", bonus(1, max, None)));
    }
    for count in [0, -1, i64::MIN, 10_001, i64::MAX] {
        let free = Effect::FreeOperations(wire::FreeOperations { count });
        rows.push(row("effect.free_operations.count", free));
    }
    for moment in bad_moments().map(Some) {
        rows.push(row("effect.operation_discount.until", discount(1, moment)));
        rows.push(row("effect.top_up_bonus.until", bonus(1, 0, moment)));
        rows.push(row("effect.free_access.until", access(moment)));
    }
    rows
}

fn stops() -> Vec<Row> {
    let rpc = "AdminService/StopPromoCode";
    let good = || wire::StopPromoCodeRequest {
        code: "SPRING".into(),
        actor: "olga".into(),
        reason: "over".into(),
    };
    let mut rows = vec![refused(rpc, (Code::NotFound, "PROMO_CODE_NOT_FOUND"), &good())];
    for code in BAD_CODES {
        let request = wire::StopPromoCodeRequest { code: code.to_owned(), ..good() };
        rows.push(bad(rpc, "code", &request));
    }
    for actor in bad_texts(64) {
        rows.push(bad(rpc, "actor", &wire::StopPromoCodeRequest { actor, ..good() }));
    }
    for reason in bad_texts(256) {
        rows.push(bad(rpc, "reason", &wire::StopPromoCodeRequest { reason, ..good() }));
    }
    rows
}

fn lists() -> Vec<Row> {
    let mut rows = Vec::new();
    let list = |page_size, page_token: &str| wire::ListPromoCodesRequest {
        page_size,
        page_token: page_token.to_owned(),
    };
    let verify = |user_id, page_size, page_token: &str| wire::VerifyLedgerRequest {
        user_id,
        page_size,
        page_token: page_token.to_owned(),
    };
    for size in [-1, i32::MIN, 101, i32::MAX] {
        rows.push(bad("AdminService/ListPromoCodes", "page_size", &list(size, "")));
    }
    for token in ["two words", "весна", "a\0", &"P".repeat(33)] {
        rows.push(bad("AdminService/ListPromoCodes", "page_token", &list(1, token)));
    }
    for user_id in [-1, i64::MIN] {
        rows.push(bad("AdminService/VerifyLedger", "user_id", &verify(user_id, 1, "")));
    }
    for size in [-1, i32::MIN, 1_001, i32::MAX] {
        rows.push(bad("AdminService/VerifyLedger", "page_size", &verify(0, size, "")));
    }
    for token in ["x", "-1", "99999999999999999999", "nul\0"] {
        rows.push(bad("AdminService/VerifyLedger", "page_token", &verify(0, 1, token)));
    }
    rows
}
