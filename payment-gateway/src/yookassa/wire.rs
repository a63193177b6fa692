//! Bodies exactly as YooKassa sends and reads them, letter for letter.
//!
//! What a field may lack, it lacks without harm here: whether that matters is decided where a
//! payment is applied. Unknown fields and unknown words are passed over, because their lists grow.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Where a payment stands, in their words.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Waits for the user.
    Pending,
    /// Money is held at the bank and waits for us.
    WaitingForCapture,
    /// Paid, for good.
    Succeeded,
    /// Ended without money, for good.
    Canceled,
    /// A word that this version does not know.
    #[serde(other)]
    Unknown,
}

/// A sum: decimal text and an ISO 4217 code.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Amount {
    /// Roubles with two decimals.
    pub value: String,
    /// `RUB`.
    pub currency: String,
}

/// A payment as they show it.
#[derive(Clone, Debug, Deserialize)]
pub struct Payment {
    /// Theirs, 36 characters.
    pub id: String,
    /// Where it stands.
    pub status: Status,
    /// Whether the money was authorised.
    pub paid: Option<bool>,
    /// What it is over.
    pub amount: Option<Amount>,
    /// Which shop gets the money.
    pub recipient: Option<Recipient>,
    /// How the user goes on, while the payment waits for the user.
    pub confirmation: Option<Confirmation>,
    /// What we wrote on it.
    #[serde(default)]
    pub metadata: Option<BTreeMap<String, Value>>,
    /// Whether it is play money.
    pub test: Option<bool>,
    /// Why it ended without money.
    pub cancellation_details: Option<CancellationDetails>,
    /// When the money was taken, in RFC 3339.
    pub captured_at: Option<String>,
    /// Whether it can be given back through their API.
    pub refundable: Option<bool>,
}

impl Payment {
    /// One of our words on the payment.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        word(self.metadata.as_ref(), key)
    }
}

fn word<'a>(metadata: Option<&'a BTreeMap<String, Value>>, key: &str) -> Option<&'a str> {
    metadata?.get(key)?.as_str()
}

/// Which shop gets the money.
#[derive(Clone, Debug, Deserialize)]
pub struct Recipient {
    /// The shop id.
    pub account_id: Option<String>,
}

/// How the user goes on.
#[derive(Clone, Debug, Deserialize)]
pub struct Confirmation {
    /// Where the user pays.
    pub confirmation_url: Option<String>,
}

/// Why a payment ended without money, or a refund without giving any back.
#[derive(Clone, Debug, Deserialize)]
pub struct CancellationDetails {
    /// Such as `insufficient_funds`; the list grows.
    pub reason: Option<String>,
}

/// A page of payments, newest first.
#[derive(Clone, Debug, Deserialize)]
pub struct PaymentList {
    /// The payments.
    #[serde(default)]
    pub items: Vec<Payment>,
    /// Where the next page begins; absent on the last one.
    pub next_cursor: Option<String>,
}

/// Where a refund stands, in their words.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum RefundStatus {
    /// Not decided yet. No event tells how it ends.
    Pending,
    /// The money is on its way back, for good.
    Succeeded,
    /// Refused, for good: nothing went back.
    Canceled,
    /// A word that this version does not know.
    #[serde(other)]
    Unknown,
}

/// A refund as they show it.
#[derive(Clone, Debug, Deserialize)]
pub struct Refund {
    /// Theirs, 36 characters.
    pub id: String,
    /// The payment that it gives back.
    pub payment_id: String,
    /// Where it stands.
    pub status: RefundStatus,
    /// How much it gives back.
    pub amount: Option<Amount>,
    /// When it was asked for, in RFC 3339.
    pub created_at: Option<String>,
    /// What we wrote on it, if it was us.
    #[serde(default)]
    pub metadata: Option<BTreeMap<String, Value>>,
    /// Why nothing went back.
    pub cancellation_details: Option<CancellationDetails>,
}

impl Refund {
    /// One of our words on the refund.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        word(self.metadata.as_ref(), key)
    }
}

/// A page of refunds, newest first.
#[derive(Clone, Debug, Deserialize)]
pub struct RefundList {
    /// The refunds.
    #[serde(default)]
    pub items: Vec<Refund>,
    /// Where the next page begins; absent on the last one.
    pub next_cursor: Option<String>,
}

/// A refusal.
#[derive(Clone, Debug, Deserialize)]
pub struct ErrorBody {
    /// `error`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Quoted to their support.
    pub id: Option<String>,
    /// Such as `invalid_request`.
    pub code: Option<String>,
    /// Name of the header or body parameter that is wrong.
    pub parameter: Option<String>,
}

/// The body of `POST /payments`.
#[derive(Clone, Debug, Serialize)]
pub struct NewPayment<'a> {
    /// What to pay.
    pub amount: Amount,
    /// True: in one stage. Their default is false, and holds the money until we ask for it.
    pub capture: bool,
    /// How the user pays.
    pub confirmation: NewConfirmation<'a>,
    /// What the user reads on their page; at most 128 characters.
    pub description: &'a str,
    /// Our words on the payment.
    pub metadata: NewMetadata,
    /// What goes to the tax office, where receipts are on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipt: Option<&'a Receipt>,
}

/// How the user pays: on their page.
#[derive(Clone, Debug, Serialize)]
pub struct NewConfirmation<'a> {
    /// `redirect`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Where the user's browser goes afterwards.
    pub return_url: &'a str,
}

/// Our words on the payment: enough to find the top-up again from the payment alone.
#[derive(Clone, Debug, Serialize)]
pub struct NewMetadata {
    /// The Telegram id.
    pub user_id: String,
    /// The top-up in billing.
    pub top_up_id: String,
}

/// A receipt (54-FZ), as it goes with a payment or a refund.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Receipt {
    /// Who gets it.
    pub customer: ReceiptCustomer,
    /// What it is for; the lines come to the sum that is paid or given back.
    pub items: Vec<ReceiptItem>,
    /// 1 … 6; for cash registers that know several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax_system_code: Option<u8>,
}

/// Who gets a receipt.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ReceiptCustomer {
    /// At most 254 characters.
    pub email: String,
}

/// A line of a receipt.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ReceiptItem {
    /// 1 … 128 characters.
    pub description: String,
    /// How many.
    pub quantity: u32,
    /// What one of them costs.
    pub amount: Amount,
    /// 1 … 12.
    pub vat_code: u8,
    /// `piece` and so on.
    pub measure: String,
    /// `service` and so on.
    pub payment_subject: String,
    /// `full_prepayment` and so on.
    pub payment_mode: String,
}

/// The body of `POST /refunds`.
#[derive(Clone, Debug, Serialize)]
pub struct NewRefund<'a> {
    /// Which payment gives back.
    pub payment_id: String,
    /// How much.
    pub amount: Amount,
    /// Why; at most 250 characters.
    pub description: &'a str,
    /// Our words on the refund.
    pub metadata: NewRefundMetadata<'a>,
    /// The receipt (54-FZ) that goes with it, where one has to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Receipt>,
}

/// Our words on the refund: enough to find it again, and who wanted it.
#[derive(Clone, Debug, Serialize)]
pub struct NewRefundMetadata<'a> {
    /// The Telegram id.
    pub user_id: String,
    /// The top-up in billing.
    pub top_up_id: String,
    /// What tells it from other refunds of the same top-up.
    pub refund_key: &'a str,
    /// Who asked for it.
    pub actor: &'a str,
}

/// The body of `POST /payments/{id}/capture`.
#[derive(Clone, Debug, Serialize)]
pub struct Capture<'a> {
    /// All of what is held.
    pub amount: &'a Amount,
}

/// What is posted to our webhook.
#[derive(Clone, Debug, Deserialize)]
pub struct Notification {
    /// `notification`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `<object>.<status>`.
    pub event: Option<String>,
    /// What it is about, as it was when it was sent. Only ids are used: anyone can send this.
    #[serde(default)]
    pub object: Value,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refund_with_unknown_words_and_without_optional_ones_is_read() {
        let text = r#"{"id":"r","payment_id":"p","status":"on_the_moon","new_field":{}}"#;

        let refund: Refund = serde_json::from_str(text).unwrap();

        assert_eq!(refund.status, RefundStatus::Unknown);
        assert!(refund.amount.is_none());
    }

    #[test]
    fn a_payment_with_unknown_words_and_without_optional_ones_is_read() {
        let text = r#"{"id":"30a1c2d4-000f-5000-8000-1c2d3e4f5a6b","status":"on_the_moon",
            "amount":{"value":"499.00","currency":"RUB"},"metadata":{"user_id":"77","n":1,"z":null},
            "payment_method":{"type":"teleport"},"confirmation":{"type":"qr"},"new_field":[1]}"#;

        let payment: Payment = serde_json::from_str(text).unwrap();

        assert_eq!(payment.status, Status::Unknown);
        assert_eq!(payment.metadata("user_id"), Some("77"));
        assert_eq!(payment.metadata("n"), None);
        assert_eq!(payment.paid, None);
        assert!(payment.confirmation.unwrap().confirmation_url.is_none());
    }
}
