//! The objects exactly as YooKassa sends them: absent fields are left out, nothing is `null`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A sum in kopecks; `{"value":"100.00","currency":"RUB"}` on the wire.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "WireMoney", into = "WireMoney")]
pub(super) struct Money(pub(super) i64);

#[derive(Deserialize, Serialize)]
struct WireMoney {
    value: String,
    currency: String,
}

impl Money {
    /// Reads exactly two decimals, as the API wants them.
    pub(super) fn parse(value: &str) -> Option<Self> {
        let (rubles, kopecks) = value.split_once('.')?;
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(rubles) || !digits(kopecks) || kopecks.len() != 2 || rubles.len() > 12 {
            return None;
        }
        let rubles: i64 = rubles.parse().ok()?;
        let kopecks: i64 = kopecks.parse().ok()?;
        Some(Self(rubles.checked_mul(100)?.checked_add(kopecks)?))
    }
}

impl From<Money> for WireMoney {
    fn from(Money(kopecks): Money) -> Self {
        let value = format!("{}.{:02}", kopecks / 100, kopecks % 100);
        Self { value, currency: "RUB".to_owned() }
    }
}

impl TryFrom<WireMoney> for Money {
    type Error = &'static str;

    fn try_from(wire: WireMoney) -> Result<Self, Self::Error> {
        Self::parse(&wire.value).ok_or("an amount has two decimals")
    }
}

/// Where a payment stands; the last two are final.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    Pending,
    WaitingForCapture,
    Succeeded,
    Canceled,
}

impl Status {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::WaitingForCapture => "waiting_for_capture",
            Self::Succeeded => "succeeded",
            Self::Canceled => "canceled",
        }
    }
}

/// A payment.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Payment {
    pub(super) id: String,
    pub(super) status: Status,
    pub(super) amount: Money,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) income_amount: Option<Money>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<String>,
    pub(super) recipient: Recipient,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) payment_method: Option<PaymentMethod>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) captured_at: Option<String>,
    pub(super) created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expires_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) confirmation: Option<Confirmation>,
    pub(super) test: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) refunded_amount: Option<Money>,
    pub(super) paid: bool,
    pub(super) refundable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) metadata: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) merchant_customer_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cancellation_details: Option<CancellationDetails>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) authorization_details: Option<AuthorizationDetails>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) receipt_registration: Option<String>,
}

/// The shop.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Recipient {
    pub(super) account_id: String,
    pub(super) gateway_id: String,
}

/// With what it was paid.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct PaymentMethod {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) id: String,
    pub(super) saved: bool,
    pub(super) status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) card: Option<Card>,
}

/// What may be told of a card.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Card {
    pub(super) first6: String,
    pub(super) last4: String,
    pub(super) expiry_year: String,
    pub(super) expiry_month: String,
    pub(super) card_type: String,
}

/// How the user confirms.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Confirmation {
    Redirect {
        return_url: String,
        confirmation_url: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        enforce: Option<bool>,
    },
    Embedded {
        confirmation_token: String,
    },
}

/// Why a payment or a refund was canceled, and by whom.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct CancellationDetails {
    pub(super) party: String,
    pub(super) reason: String,
}

/// What the bank said.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct AuthorizationDetails {
    pub(super) rrn: String,
    pub(super) auth_code: String,
    pub(super) three_d_secure: ThreeDSecure,
}

/// Whether the cardholder was asked.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(super) struct ThreeDSecure {
    pub(super) applied: bool,
}

/// Money that went back.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Refund {
    pub(super) id: String,
    pub(super) payment_id: String,
    pub(super) amount: Money,
    pub(super) status: Status,
    pub(super) created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) metadata: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cancellation_details: Option<CancellationDetails>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, kopecks: Option<i64>) {
        assert_eq!(Money::parse(text), kopecks.map(Money), "{text:?}");
    }

    #[test]
    fn an_amount_is_digits_a_dot_and_two_digits() {
        check("100.00", Some(10_000));
        check("0.01", Some(1));
        check("100", None);
        check("100.0", None);
        check("100.000", None);
        check("1e3.00", None);
        check("-1.00", None);
        check("+1.00", None);
        check("1,00", None);
        check(".50", None);
        check("99999999999999999999.00", None);
    }
}
