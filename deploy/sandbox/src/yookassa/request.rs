//! What a caller may send: bodies are checked here, and nowhere after.

use std::collections::BTreeMap;

use serde_json::Value;

use super::error::ApiError;
use super::receipts::{self, Wanted};
use super::wire::Money;

/// Smallest and largest payment with a card, in kopecks.
const CARD_LIMITS: std::ops::RangeInclusive<i64> = 100..=35_000_000;

/// A checked `POST /payments`.
#[derive(Debug)]
pub(super) struct NewPayment {
    pub(super) amount: Money,
    pub(super) capture: bool,
    pub(super) description: Option<String>,
    pub(super) metadata: Option<BTreeMap<String, String>>,
    pub(super) merchant_customer_id: Option<String>,
    pub(super) confirmation: NewConfirmation,
    /// As it was sent.
    pub(super) receipt: Option<Value>,
}

/// How the user is to confirm.
#[derive(Debug)]
pub(super) enum NewConfirmation {
    Redirect { return_url: String, enforce: Option<bool> },
    Embedded,
}

/// A checked `POST /refunds`.
#[derive(Debug)]
pub(super) struct NewRefund {
    pub(super) payment_id: String,
    pub(super) amount: Money,
    pub(super) description: Option<String>,
    pub(super) metadata: Option<BTreeMap<String, String>>,
}

/// Reads `POST /payments`.
pub(super) fn payment(body: &Value, wanted: Wanted) -> Result<NewPayment, ApiError> {
    object(body)?;
    let amount = amount(body, "amount")?;
    if !CARD_LIMITS.contains(&amount.0) {
        return Err(ApiError::invalid("amount.value", "Amount is outside 1.00 to 350000.00"));
    }
    payment_method(body)?;
    Ok(NewPayment {
        amount,
        capture: flag(body, "capture")?.unwrap_or(false),
        description: text(body, "description", 128)?,
        metadata: metadata(body)?,
        merchant_customer_id: text(body, "merchant_customer_id", 200)?,
        confirmation: confirmation(body)?,
        receipt: receipts::check(body, amount, wanted, true)?,
    })
}

/// Reads `POST /payments/{id}/capture`: the amount, if it is named.
pub(super) fn capture(body: &Value) -> Result<Option<Money>, ApiError> {
    if body.is_null() || body.get("amount").is_none_or(Value::is_null) {
        return Ok(None);
    }
    amount(body, "amount").map(Some)
}

/// Reads `POST /refunds`.
pub(super) fn refund(body: &Value) -> Result<NewRefund, ApiError> {
    object(body)?;
    let payment_id = text(body, "payment_id", 36)?
        .filter(|id| id.len() == 36)
        .ok_or_else(|| ApiError::invalid("payment_id", "Send the 36 characters of payment_id"))?;
    Ok(NewRefund {
        payment_id,
        amount: amount(body, "amount")?,
        description: text(body, "description", 250)?,
        metadata: metadata(body)?,
    })
}

fn object(body: &Value) -> Result<(), ApiError> {
    if body.is_object() {
        return Ok(());
    }
    Err(ApiError::invalid("body", "Send a JSON object"))
}

fn amount(body: &Value, name: &str) -> Result<Money, ApiError> {
    let amount = body
        .get(name)
        .filter(|amount| amount.is_object())
        .ok_or_else(|| ApiError::invalid(name, "Amount is missing"))?;
    let value = amount.get("value").and_then(Value::as_str).and_then(Money::parse);
    let value = value.filter(|value| value.0 > 0).ok_or_else(|| {
        ApiError::invalid(
            format!("{name}.value"),
            "Send a positive amount as a string with two decimals",
        )
    })?;
    if amount.get("currency").and_then(Value::as_str) != Some("RUB") {
        return Err(ApiError::invalid(format!("{name}.currency"), "The shop's currency is RUB"));
    }
    Ok(value)
}

fn text(body: &Value, name: &str, limit: usize) -> Result<Option<String>, ApiError> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.chars().count() <= limit => Ok(Some(text.clone())),
        Some(_) => Err(ApiError::invalid(name, format!("Send a string of at most {limit}"))),
    }
}

fn flag(body: &Value, name: &str) -> Result<Option<bool>, ApiError> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(_) => Err(ApiError::invalid(name, "Send true or false")),
    }
}

fn metadata(body: &Value) -> Result<Option<BTreeMap<String, String>>, ApiError> {
    let fields = match body.get("metadata") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Object(fields)) => fields,
        Some(_) => return Err(ApiError::invalid("metadata", "Send an object of strings")),
    };
    if fields.len() > 16 {
        return Err(ApiError::invalid("metadata", "Metadata holds at most 16 keys"));
    }
    let mut metadata = BTreeMap::new();
    for (key, value) in fields {
        let value = match value {
            Value::Null => continue,
            Value::String(value) => value,
            _ => return Err(ApiError::invalid("metadata", "Metadata values are strings")),
        };
        if key.chars().count() > 32 || value.chars().count() > 512 {
            return Err(ApiError::invalid(
                "metadata",
                "A metadata key has at most 32 characters, a value at most 512",
            ));
        }
        metadata.insert(key.clone(), value.clone());
    }
    Ok(Some(metadata))
}

fn payment_method(body: &Value) -> Result<(), ApiError> {
    for name in ["payment_token", "payment_method_id"] {
        if body.get(name).is_some_and(|value| !value.is_null()) {
            return Err(ApiError::invalid(name, "There is no such saved method or token"));
        }
    }
    let Some(data) = body.get("payment_method_data").filter(|data| !data.is_null()) else {
        return Ok(());
    };
    match data.get("type").and_then(Value::as_str) {
        Some("bank_card" | "yoo_money") => Ok(()),
        _ => Err(ApiError::invalid(
            "payment_method_data.type",
            "A test shop takes only bank_card and yoo_money",
        )),
    }
}

fn confirmation(body: &Value) -> Result<NewConfirmation, ApiError> {
    let confirmation = body
        .get("confirmation")
        .filter(|confirmation| confirmation.is_object())
        .ok_or_else(|| ApiError::invalid("confirmation", "Confirmation is missing"))?;
    match confirmation.get("type").and_then(Value::as_str) {
        Some("redirect") => {
            let return_url = confirmation
                .get("return_url")
                .and_then(Value::as_str)
                .filter(|url| url.chars().count() <= 2048 && url::Url::parse(url).is_ok())
                .ok_or_else(|| {
                    ApiError::invalid(
                        "confirmation.return_url",
                        "Send a return_url of at most 2048 characters",
                    )
                })?;
            let enforce = flag(confirmation, "enforce")?;
            Ok(NewConfirmation::Redirect { return_url: return_url.to_owned(), enforce })
        }
        Some("embedded") => Ok(NewConfirmation::Embedded),
        _ => Err(ApiError::invalid("confirmation.type", "A test shop takes redirect and embedded")),
    }
}
