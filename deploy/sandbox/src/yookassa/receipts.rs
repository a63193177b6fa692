//! Receipts (54-FZ): checked as YooKassa checks them, kept, and shown at `GET /receipts`.
//!
//! A shop wants none, any, or those of «Чеки от ЮKassa», which is the strictest: a register of its
//! own, e-mail only. What is sent without being wanted is checked all the same.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::books::Books;
use super::error::ApiError;
use super::wire::{Money, Status};
use crate::seen::timestamp;

/// «Чеки от ЮKassa» takes so many lines, and only these two modes.
const ITEMS_MAX: usize = 80;
const MODES_OF_YOOKASSA: [&str; 2] = ["full_payment", "full_prepayment"];
const MODES: [&str; 7] = [
    "full_payment",
    "full_prepayment",
    "partial_prepayment",
    "advance",
    "partial_payment",
    "credit",
    "credit_payment",
];
const SUBJECTS: [&str; 18] = [
    "commodity",
    "excise",
    "job",
    "service",
    "gambling_bet",
    "gambling_prize",
    "lottery",
    "lottery_prize",
    "intellectual_activity",
    "payment",
    "agent_commission",
    "property_right",
    "non_operating_gain",
    "insurance_premium",
    "sales_tax",
    "resort_fee",
    "composite",
    "another",
];
const MEASURES: [&str; 6] = ["piece", "gram", "kilogram", "day", "hour", "another"];

/// What the shop wants of receipts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Wanted {
    /// Nothing.
    No,
    /// One with each payment, of any register.
    Any,
    /// One with each payment, as «Чеки от ЮKassa» takes it.
    OfYookassa,
}

impl Wanted {
    /// By the shop's setting and the switch of faults.
    pub(super) fn by(books: &Books, is_struck: bool) -> Self {
        match (books.wants_receipts, is_struck) {
            (true, _) => Self::OfYookassa,
            (false, true) => Self::Any,
            (false, false) => Self::No,
        }
    }
}

/// A receipt that came with a payment or a refund.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct KeptReceipt {
    pub(super) id: String,
    pub(super) payment_id: String,
    /// The refund that it is of; none if it is of the payment.
    pub(super) refund_id: Option<String>,
    pub(super) created_ms: i64,
    /// As it was sent.
    pub(super) sent: Value,
}

/// The receipt in a body, which must be one that the shop takes and come to `amount`.
///
/// `is_needed`: without one, a shop that wants receipts refuses.
pub(super) fn check(
    body: &Value,
    amount: Money,
    wanted: Wanted,
    is_needed: bool,
) -> Result<Option<Value>, ApiError> {
    match body.get("receipt").filter(|receipt| !receipt.is_null()) {
        Some(receipt) => match sum(receipt, wanted) {
            // Quantities have three decimals, so the sum is in thousandths of a kopeck.
            Some(sum) if sum == i128::from(amount.0) * 1000 => Ok(Some(receipt.clone())),
            _ => Err(bad()),
        },
        None if is_needed && wanted != Wanted::No => Err(bad()),
        None => Ok(None),
    }
}

fn bad() -> ApiError {
    ApiError::invalid("receipt", "Receipt is missing or illegal")
}

/// What the lines of a good receipt come to, in thousandths of a kopeck.
fn sum(receipt: &Value, wanted: Wanted) -> Option<i128> {
    let customer = receipt.get("customer")?;
    let email = customer.get("email").and_then(Value::as_str);
    let phone = customer.get("phone").and_then(Value::as_str);
    let is_phone = |phone: &str| {
        (4..=15).contains(&phone.len()) && phone.bytes().all(|byte| byte.is_ascii_digit())
    };
    let is_reachable = match (email, phone) {
        (Some(email), _) => is_email(email),
        (None, Some(phone)) => wanted != Wanted::OfYookassa && is_phone(phone),
        (None, None) => false,
    };
    let tax_system = receipt.get("tax_system_code").filter(|code| !code.is_null());
    let is_known = tax_system.is_none_or(|code| matches!(code.as_i64(), Some(1..=6)));
    let items = receipt.get("items")?.as_array()?;
    if !is_reachable || !is_known || !(1..=ITEMS_MAX).contains(&items.len()) {
        return None;
    }
    items.iter().map(|item| thousandths(item, wanted)).sum()
}

fn is_email(text: &str) -> bool {
    let is_plain = text.bytes().all(|b| b.is_ascii_graphic() && b != b',' && b != b';');
    let parts = text.split_once('@');
    let has_domain = parts.is_some_and(|(local, domain)| {
        !local.is_empty()
            && !domain.contains('@')
            && domain.split_once('.').is_some_and(|(name, top)| !name.is_empty() && !top.is_empty())
    });
    is_plain && has_domain && text.len() <= 254
}

/// Price × quantity of a good line, in thousandths of a kopeck.
fn thousandths(item: &Value, wanted: Wanted) -> Option<i128> {
    let description = item.get("description")?.as_str()?.chars().count();
    if !(1..=128).contains(&description) || !(1..=12).contains(&item.get("vat_code")?.as_i64()?) {
        return None;
    }
    let modes = match wanted {
        Wanted::OfYookassa => MODES_OF_YOOKASSA.as_slice(),
        Wanted::No | Wanted::Any => MODES.as_slice(),
    };
    let is_strict = wanted == Wanted::OfYookassa;
    for (name, known, is_required) in [
        ("payment_mode", modes, false),
        ("payment_subject", SUBJECTS.as_slice(), false),
        ("measure", MEASURES.as_slice(), is_strict),
    ] {
        match item.get(name).filter(|value| !value.is_null()) {
            Some(value) if value.as_str().is_some_and(|value| known.contains(&value)) => {}
            None if !is_required => {}
            _ => return None,
        }
    }
    let price = item.get("amount")?;
    if price.get("currency")?.as_str()? != "RUB" {
        return None;
    }
    let price = Money::parse(price.get("value")?.as_str()?)?;
    Some(quantity(item.get("quantity")?)? * i128::from(price.0))
}

/// A quantity, in thousandths.
fn quantity(value: &Value) -> Option<i128> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
    if part.len() > 3 || whole.len() > 5 {
        return None;
    }
    let whole: i128 = whole.parse().ok().filter(|whole| *whole >= 0)?;
    let part: i128 = format!("{part:0<3}").parse().ok().filter(|part| *part >= 0)?;
    Some(whole * 1000 + part)
}

impl Books {
    /// Keeps the receipt of a payment.
    pub(super) fn keep_payment_receipt(&mut self, payment_id: &str, sent: Value, now: i64) {
        self.keep(payment_id, None, sent, now);
    }

    /// Keeps the receipt of a refund; a whole one without its own has its payment's.
    pub(super) fn keep_refund_receipt(&mut self, refund_id: &str, sent: Option<Value>, now: i64) {
        let Some(refund) = self.refunds.get(refund_id) else { return };
        let payment_id = refund.payment_id.clone();
        let of_payment = || {
            let mut kept = self.receipts.values();
            let kept = kept.find(|it| it.payment_id == payment_id && it.refund_id.is_none());
            kept.map(|kept| kept.sent.clone())
        };
        if let Some(sent) = sent.or_else(of_payment) {
            self.keep(&payment_id, Some(refund_id.to_owned()), sent, now);
        }
    }

    fn keep(&mut self, payment_id: &str, refund_id: Option<String>, sent: Value, now: i64) {
        let id = format!("rt_{}", Uuid::now_v7());
        let payment_id = payment_id.to_owned();
        let kept = KeptReceipt { id: id.clone(), payment_id, refund_id, created_ms: now, sent };
        self.receipts.insert(id, kept);
    }

    /// A receipt as the API shows it: whose it is stays untold.
    pub(super) fn receipt(&self, kept: &KeptReceipt) -> Value {
        let status = self.receipt_status(kept);
        let mut receipt = json!({
            "id": kept.id,
            "type": if kept.refund_id.is_some() { "refund" } else { "payment" },
            "payment_id": kept.payment_id,
            "status": status,
            "items": kept.sent["items"],
        });
        if let Some(refund_id) = &kept.refund_id {
            receipt["refund_id"] = json!(refund_id);
        }
        if let Some(code) = kept.sent.get("tax_system_code") {
            receipt["tax_system_code"] = code.clone();
        }
        if status == "succeeded" {
            receipt["registered_at"] = json!(timestamp(kept.created_ms));
            receipt["fiscal_document_number"] = json!("3986");
            receipt["fiscal_storage_number"] = json!("9288000100115785");
            receipt["fiscal_attribute"] = json!("2617603921");
        }
        receipt
    }

    /// Registered when the money moves.
    pub(super) fn receipt_status(&self, kept: &KeptReceipt) -> &'static str {
        if kept.refund_id.is_some() {
            return "succeeded";
        }
        match self.payments.get(&kept.payment_id).map(|stored| stored.payment.status) {
            Some(Status::Succeeded) => "succeeded",
            Some(Status::Pending | Status::WaitingForCapture) => "pending",
            Some(Status::Canceled) | None => "canceled",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipt(quantity: &Value, price: &str) -> Value {
        json!({
            "customer": { "email": "user@example.com" },
            "items": [{
                "description": "Balance top-up", "quantity": quantity, "vat_code": 1,
                "amount": { "value": price, "currency": "RUB" }, "measure": "piece",
                "payment_subject": "service", "payment_mode": "full_prepayment"
            }]
        })
    }

    fn is_good(receipt: &Value, kopecks: i64, wanted: Wanted) -> bool {
        check(&json!({ "receipt": receipt }), Money(kopecks), wanted, true).is_ok()
    }

    #[test]
    fn a_receipt_adds_up_to_the_payment() {
        for (quantity, price) in
            [(json!(1), "100.00"), (json!("1.0"), "100.00"), (json!(2.5), "40.00")]
        {
            assert!(is_good(&receipt(&quantity, price), 10_000, Wanted::OfYookassa), "{quantity}");
        }
        for (quantity, price) in
            [(json!(2), "100.00"), (json!("-1"), "100.00"), (json!(1), "99.99"), (json!(1), "100")]
        {
            assert!(!is_good(&receipt(&quantity, price), 10_000, Wanted::No), "{quantity}");
        }
        assert!(!is_good(&json!({ "items": [] }), 10_000, Wanted::No));
    }

    #[test]
    fn a_phone_in_a_receipt_has_no_plus_and_is_not_enough_for_yookassas_own() {
        let mut with_phone = receipt(&json!(1), "1.00");
        with_phone["customer"] = json!({ "phone": "79001234567" });
        assert!(is_good(&with_phone, 100, Wanted::Any));
        assert!(!is_good(&with_phone, 100, Wanted::OfYookassa));

        with_phone["customer"] = json!({ "phone": "+79001234567" });
        assert!(!is_good(&with_phone, 100, Wanted::Any));
    }

    #[test]
    fn each_field_of_a_line_is_checked() {
        let wrong = [
            ("vat_code", json!(0)),
            ("vat_code", json!(13)),
            ("vat_code", Value::Null),
            ("description", json!("")),
            ("description", json!("я".repeat(129))),
            ("payment_mode", json!("prepayment")),
            ("payment_subject", json!("goods")),
            ("measure", json!("pieces")),
            ("amount", json!({ "value": "100.00", "currency": "USD" })),
        ];
        for (name, value) in wrong {
            let mut bad = receipt(&json!(1), "100.00");
            bad["items"][0][name] = value;
            assert!(!is_good(&bad, 10_000, Wanted::Any), "{bad}");
        }
        let mut without = receipt(&json!(1), "100.00");
        without["items"][0].as_object_mut().unwrap().remove("measure");
        assert!(is_good(&without, 10_000, Wanted::Any));
        assert!(!is_good(&without, 10_000, Wanted::OfYookassa), "it wants a measure");
        let mut advance = receipt(&json!(1), "100.00");
        advance["items"][0]["payment_mode"] = json!("advance");
        assert!(is_good(&advance, 10_000, Wanted::Any));
        assert!(!is_good(&advance, 10_000, Wanted::OfYookassa), "it takes only two modes");
        for email in [
            "",
            "user",
            "user@",
            "@example.com",
            "user@example",
            "a b@example.com",
            "юзер@example.com",
        ] {
            let mut bad = receipt(&json!(1), "100.00");
            bad["customer"]["email"] = json!(email);
            assert!(!is_good(&bad, 10_000, Wanted::Any), "{email}");
        }
    }

    #[test]
    fn a_receipt_is_missed_only_where_it_is_wanted() {
        let nothing = json!({});
        assert!(check(&nothing, Money(1), Wanted::No, true).is_ok());
        assert!(check(&nothing, Money(1), Wanted::Any, false).is_ok());
        assert!(check(&nothing, Money(1), Wanted::Any, true).is_err());
        assert!(check(&nothing, Money(1), Wanted::OfYookassa, true).is_err());
    }
}
