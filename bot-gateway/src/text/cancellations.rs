//! Why a payment came to nothing, and what the user can do about it.
//!
//! The reasons are YooKassa's words (`cancellation_details.reason`) and, below them, our own. Their
//! list grows, so an unknown one has its sentence too.

use crate::money::Kopecks;

/// From the beginning.
const AGAIN: &str = "Начните оплату заново.";
/// With another card or in another way.
const OTHERWISE: &str = "Оплатите другой картой или другим способом.";

/// Their reason, why in words, and what to do.
const EXPLAINED: [(&str, &str, &str); 25] = [
    (
        "insufficient_funds",
        "на карте или счёте недостаточно средств",
        "Пополните счёт и начните оплату заново или оплатите другой картой.",
    ),
    (
        "3d_secure_failed",
        "не пройдена проверка 3-D Secure",
        "Начните оплату заново и подтвердите её кодом из банка. Если код не приходит, оплатите \
         другой картой.",
    ),
    (
        "call_issuer",
        "банк отклонил платёж",
        "Позвоните в банк, чтобы узнать причину, или оплатите другой картой.",
    ),
    (
        "canceled_by_merchant",
        "платёж отменён с нашей стороны",
        "Если банк успел отложить сумму, она вернётся сама. Начните оплату заново.",
    ),
    ("card_expired", "истёк срок действия карты", "Оплатите другой картой."),
    (
        "country_forbidden",
        "карты этой страны не принимаются",
        "Оплатите картой, выпущенной в другой стране, или другим способом.",
    ),
    ("expired_on_confirmation", "истекло время на оплату", AGAIN),
    (
        "expired_on_capture",
        "платёжная система не успела провести платёж",
        "Если банк успел отложить сумму, она вернётся сама. Начните оплату заново.",
    ),
    ("fraud_suspected", "платёж отклонён системой безопасности", OTHERWISE),
    (
        "general_decline",
        "банк отклонил платёж и не назвал причину",
        "Узнайте её в банке или оплатите другой картой.",
    ),
    (
        "identification_required",
        "кошелёк не идентифицирован",
        "Пройдите идентификацию в кошельке ЮMoney или оплатите картой.",
    ),
    (
        "invalid_csc",
        "неверный код CVC/CVV",
        "Проверьте три цифры на обороте карты и начните оплату заново.",
    ),
    (
        "payment_method_restricted",
        "банк запретил платежи с этой карты или кошелька",
        "Снимите запрет в банке или оплатите другой картой.",
    ),
    (
        "permission_revoked",
        "разрешение на списание отозвано",
        "Начните оплату заново и введите данные карты ещё раз.",
    ),
    (
        "internal_timeout",
        "в платёжной системе произошёл сбой",
        "Начните оплату заново через несколько минут.",
    ),
    ("invalid_card_number", "неверный номер карты", "Проверьте номер и начните оплату заново."),
    (
        "issuer_unavailable",
        "банк, выпустивший карту, не отвечает",
        "Попробуйте позже или оплатите другой картой.",
    ),
    (
        "payment_method_limit_exceeded",
        "превышен лимит карты или кошелька",
        "Оплатите меньшую сумму или другой картой.",
    ),
    ("unsupported_mobile_operator", "платежи с номеров этого оператора не принимаются", OTHERWISE),
    ("deal_expired", "истёк срок сделки", AGAIN),
    ("loan_declined", "в кредите или рассрочке отказано", OTHERWISE),
    ("loan_declined_by_payer", "вы отказались от кредита или рассрочки", OTHERWISE),
    ("loan_application_expired", "истёк срок заявки на кредит или рассрочку", AGAIN),
    ("rejected_by_timeout", "платёж не подтвердили вовремя", AGAIN),
    ("payment_not_created", "ссылка на оплату не была создана", AGAIN),
];

/// A reason that is not ours, nor known.
const UNKNOWN: (&str, &str) =
    ("платёж отклонён", "Начните оплату заново, а если не получится, оплатите другим способом.");

/// The shop is not set up as it should be.
const OURS: (&str, &str) = ("оплата временно недоступна", "Мы уже разбираемся. Попробуйте позже.");

/// The payment ended without money: why, and what now.
pub fn declined(amount: Kopecks, reason: &str) -> String {
    let (why, what_now) = explained(reason);
    format!("❌ Оплата {amount} не прошла: {why}. Деньги не списаны. {what_now}")
}

/// Whether the user simply did not pay.
pub fn is_unpaid(reason: &str) -> bool {
    matches!(reason, "expired_on_confirmation" | "payment_not_created")
}

/// What stands where the payment link was.
pub fn link_over(amount: Kopecks) -> String {
    format!("⌛ Ссылка на оплату {amount} больше не действует. Деньги не списаны.")
}

fn explained(reason: &str) -> (&'static str, &'static str) {
    let known = EXPLAINED.iter().find(|(known, ..)| *known == reason);
    match known {
        Some((_, why, what_now)) => (why, what_now),
        None if is_ours(reason) => OURS,
        None => UNKNOWN,
    }
}

/// Refusals of the shop, not of the user: payment-gateway cancels with them when a payment could
/// not be made at all.
fn is_ours(reason: &str) -> bool {
    const CODES: [&str; 4] =
        ["invalid_request", "invalid_credentials", "forbidden", "unreadable_snapshot"];
    let code = reason.split(':').next().unwrap_or_default();
    CODES.contains(&code)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Every reason that YooKassa's specification and its client know.
    const REASONS: [&str; 24] = [
        "3d_secure_failed",
        "call_issuer",
        "canceled_by_merchant",
        "card_expired",
        "country_forbidden",
        "deal_expired",
        "expired_on_capture",
        "expired_on_confirmation",
        "fraud_suspected",
        "general_decline",
        "identification_required",
        "insufficient_funds",
        "internal_timeout",
        "invalid_card_number",
        "invalid_csc",
        "issuer_unavailable",
        "loan_declined",
        "payment_method_limit_exceeded",
        "payment_method_restricted",
        "permission_revoked",
        "unsupported_mobile_operator",
        "loan_declined_by_payer",
        "loan_application_expired",
        "rejected_by_timeout",
    ];

    #[test]
    fn every_reason_has_a_sentence_of_its_own_and_says_what_to_do() {
        let unknown = explained("teleport_jammed");
        let whys: BTreeSet<_> = REASONS.map(|reason| explained(reason).0).into();

        assert_eq!(whys.len(), REASONS.len(), "each is told apart: {whys:?}");
        for reason in REASONS {
            assert_ne!(explained(reason).0, unknown.0, "{reason}");
            let said = declined(Kopecks::new(10_000), reason);
            assert!(said.contains("100 ₽") && said.contains("Деньги не списаны. "), "{said}");
            assert!(said.ends_with('.') && !explained(reason).1.is_empty(), "{said}");
            assert!(!said.contains(reason), "their word is no sentence: {said}");
        }
    }

    #[test]
    fn an_unknown_reason_and_none_have_a_sentence_too() {
        for reason in ["teleport_jammed", "", "canceled", "<b>"] {
            let said = declined(Kopecks::new(10_000), reason);
            assert_eq!(
                said,
                "❌ Оплата 100 ₽ не прошла: платёж отклонён. Деньги не списаны. Начните оплату \
                 заново, а если не получится, оплатите другим способом."
            );
        }
    }

    #[test]
    fn a_shop_that_is_not_set_up_is_not_blamed_on_the_user() {
        for reason in [
            "invalid_request: receipt",
            "invalid_request",
            "invalid_credentials",
            "forbidden",
            "unreadable_snapshot",
        ] {
            let said = declined(Kopecks::new(10_000), reason);
            assert!(said.contains("временно недоступна"), "{said}");
        }
    }
}
