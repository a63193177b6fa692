//! YooKassa's test cards: the number decides how the payment ends. And the reasons that no card has.

use std::collections::BTreeSet;

/// How a payment with a card ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Outcome {
    /// The money is there.
    Paid { three_d_secure: bool },
    /// It is not.
    Declined { party: &'static str, reason: &'static str },
}

/// The card with which a payment is paid when no card was named.
pub(super) const DEFAULT: &str = "5555555555554477";

const NETWORK: &str = "payment_network";
const YOO_MONEY: &str = "yoo_money";

/// Reason, party, and the MasterCard, Visa and Mir numbers for it.
const DECLINED: [(&str, &str, [&str; 3]); 13] = [
    ("3d_secure_failed", NETWORK, ["5555555555554592", "4839665499603842", "2200000000000012"]),
    ("call_issuer", NETWORK, ["5555555555554535", "4926946416239025", "2200000000000020"]),
    ("card_expired", NETWORK, ["5555555555554543", "4141435412630840", "2200000000000038"]),
    ("fraud_suspected", NETWORK, ["5555555555554568", "4483274282299972", "2200000000000046"]),
    ("general_decline", NETWORK, ["5555555555554527", "4889971706588753", "2202202212312379"]),
    ("insufficient_funds", NETWORK, ["5555555555554600", "4562265587712390", "2200000000000053"]),
    ("invalid_card_number", NETWORK, ["5555555555554618", "4951017853630544", "2201382000000013"]),
    ("invalid_csc", NETWORK, ["5555555555554626", "4194180666146368", "2200770212727079"]),
    ("issuer_unavailable", NETWORK, ["5555555555554501", "4654130848359150", "2201382000000021"]),
    (
        "payment_method_limit_exceeded",
        NETWORK,
        ["5555555555554576", "4565231022577548", "2201382000000039"],
    ),
    (
        "payment_method_restricted",
        NETWORK,
        ["5555555555554550", "4233961169071671", "2201382000000047"],
    ),
    ("country_forbidden", YOO_MONEY, ["5555555555554584", "4969751510013864", "2201382000000054"]),
    ("fraud_suspected", YOO_MONEY, ["5555555555554634", "4119098878796485", "2201696981989955"]),
];

/// The reasons that no card has: time, the shop, the wallet, the operator, the lender.
const OTHER: [(&str, &str); 12] = [
    ("canceled_by_merchant", "merchant"),
    ("deal_expired", YOO_MONEY),
    ("expired_on_capture", YOO_MONEY),
    ("expired_on_confirmation", YOO_MONEY),
    ("identification_required", YOO_MONEY),
    ("internal_timeout", YOO_MONEY),
    ("loan_application_expired", YOO_MONEY),
    ("loan_declined", NETWORK),
    ("loan_declined_by_payer", NETWORK),
    ("permission_revoked", YOO_MONEY),
    ("rejected_by_timeout", NETWORK),
    ("unsupported_mobile_operator", YOO_MONEY),
];

const WITH_3DS: [&str; 3] = [DEFAULT, "4793128161644804", "2200000000000004"];
const WITHOUT_3DS: [&str; 3] = ["5555555555554444", "4111111111111111", "2202474301322987"];

/// What happens with a number; `None` for one that is not a test card.
pub(super) fn outcome(number: &str) -> Option<Outcome> {
    if WITH_3DS.contains(&number) {
        return Some(Outcome::Paid { three_d_secure: true });
    }
    if WITHOUT_3DS.contains(&number) {
        return Some(Outcome::Paid { three_d_secure: false });
    }
    let (reason, party, _) = DECLINED.iter().find(|(_, _, cards)| cards.contains(&number))?;
    Some(Outcome::Declined { party, reason })
}

/// Who declines for this reason; `None` for a reason that there is not.
pub(super) fn party(reason: &str) -> Option<&'static str> {
    known().find(|(known, _)| *known == reason).map(|(_, party)| party)
}

/// Every reason there is, once.
pub(super) fn reasons() -> BTreeSet<&'static str> {
    known().map(|(reason, _)| reason).collect()
}

/// Whether YooKassa knows this party.
pub(super) fn is_party(party: &str) -> bool {
    ["merchant", YOO_MONEY, NETWORK].contains(&party)
}

fn known() -> impl Iterator<Item = (&'static str, &'static str)> {
    DECLINED.iter().map(|(reason, party, _)| (*reason, *party)).chain(OTHER)
}

/// The scheme of a card, by its first digit.
pub(super) fn scheme(number: &str) -> &'static str {
    match number.as_bytes().first() {
        Some(b'5') => "MasterCard",
        Some(b'4') => "Visa",
        _ => "Mir",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_decides() {
        assert_eq!(outcome("5555555555554477"), Some(Outcome::Paid { three_d_secure: true }));
        assert_eq!(outcome("4111111111111111"), Some(Outcome::Paid { three_d_secure: false }));
        assert_eq!(
            outcome("2200000000000053"),
            Some(Outcome::Declined { party: NETWORK, reason: "insufficient_funds" })
        );
        assert_eq!(outcome("4000000000000002"), None);
    }

    #[test]
    fn every_reason_has_a_party() {
        assert_eq!(reasons().len(), 24);
        for reason in reasons() {
            assert!(party(reason).is_some_and(is_party), "{reason}");
        }
        assert_eq!(party("insufficient_funds"), Some(NETWORK));
        assert_eq!(party("permission_revoked"), Some(YOO_MONEY));
        assert_eq!(party("teleport_jammed"), None);
    }

    #[test]
    fn no_number_stands_twice() {
        let all: Vec<_> = DECLINED
            .iter()
            .flat_map(|(_, _, cards)| cards)
            .chain(&WITH_3DS)
            .chain(&WITHOUT_3DS)
            .collect();

        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    }
}
