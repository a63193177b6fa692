//! What a caller may send: bodies are checked here, and nowhere after.

use std::collections::BTreeMap;

use serde_json::Value;

use super::error::ApiError;
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
    pub(super) has_receipt: bool,
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
pub(super) fn payment(body: &Value, receipt_required: bool) -> Result<NewPayment, ApiError> {
    object(body)?;
    let amount = amount(body, "amount")?;
    if !CARD_LIMITS.contains(&amount.0) {
        return Err(ApiError::invalid("amount.value", "Amount is outside 1.00 to 350000.00"));
    }
    payment_method(body)?;
    match body.get("receipt").filter(|receipt| !receipt.is_null()) {
        Some(receipt) => check_receipt(receipt, amount)?,
        None if receipt_required => return Err(bad_receipt()),
        None => {}
    }
    Ok(NewPayment {
        amount,
        capture: flag(body, "capture")?.unwrap_or(false),
        description: text(body, "description", 128)?,
        metadata: metadata(body)?,
        merchant_customer_id: text(body, "merchant_customer_id", 200)?,
        confirmation: confirmation(body)?,
        has_receipt: body.get("receipt").is_some_and(|receipt| !receipt.is_null()),
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

fn bad_receipt() -> ApiError {
    ApiError::invalid("receipt", "Receipt is missing or illegal")
}

fn check_receipt(receipt: &Value, amount: Money) -> Result<(), ApiError> {
    let customer = receipt.get("customer").ok_or_else(bad_receipt)?;
    let email = customer.get("email").and_then(Value::as_str);
    let phone = customer.get("phone").and_then(Value::as_str);
    let good_phone = |phone: &str| {
        (4..=15).contains(&phone.len()) && phone.bytes().all(|byte| byte.is_ascii_digit())
    };
    let reachable = email.is_some_and(|email| email.contains('@') && email.len() <= 254)
        || (email.is_none() && phone.is_some_and(good_phone));
    let items = receipt
        .get("items")
        .and_then(Value::as_array)
        .filter(|items| (1..=80).contains(&items.len()));
    let (true, Some(items)) = (reachable, items) else { return Err(bad_receipt()) };
    let mut sum: i128 = 0;
    for item in items {
        sum += item_thousandths(item).ok_or_else(bad_receipt)?;
    }
    // Quantities have three decimals, so the sum is in thousandths of a kopeck.
    if sum != i128::from(amount.0) * 1000 {
        return Err(bad_receipt());
    }
    Ok(())
}

/// Price × quantity of a good item, in thousandths of a kopeck.
fn item_thousandths(item: &Value) -> Option<i128> {
    let description = item.get("description")?.as_str()?.chars().count();
    if !(1..=128).contains(&description) || !(1..=12).contains(&item.get("vat_code")?.as_i64()?) {
        return None;
    }
    let price = item.get("amount")?;
    if price.get("currency")?.as_str()? != "RUB" {
        return None;
    }
    let price = Money::parse(price.get("value")?.as_str()?)?;
    let quantity = match item.get("quantity")? {
        Value::String(quantity) => quantity.clone(),
        Value::Number(quantity) => quantity.to_string(),
        _ => return None,
    };
    let (whole, part) = quantity.split_once('.').unwrap_or((&quantity, ""));
    if part.len() > 3 || whole.len() > 5 {
        return None;
    }
    let whole: i128 = whole.parse().ok().filter(|whole| *whole >= 0)?;
    let part: i128 = format!("{part:0<3}").parse().ok().filter(|part| *part >= 0)?;
    Some((whole * 1000 + part) * i128::from(price.0))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn receipt(quantity: &Value, price: &str) -> Value {
        json!({
            "customer": { "email": "user@example.com" },
            "items": [{
                "description": "Balance top-up", "quantity": quantity, "vat_code": 1,
                "amount": { "value": price, "currency": "RUB" }
            }]
        })
    }

    #[test]
    fn a_receipt_adds_up_to_the_payment() {
        let hundred = Money(10_000);

        assert!(check_receipt(&receipt(&json!(1), "100.00"), hundred).is_ok());
        assert!(check_receipt(&receipt(&json!("1.0"), "100.00"), hundred).is_ok());
        assert!(check_receipt(&receipt(&json!(2.5), "40.00"), hundred).is_ok());
        assert!(check_receipt(&receipt(&json!(2), "100.00"), hundred).is_err());
        assert!(check_receipt(&receipt(&json!("-1"), "100.00"), hundred).is_err());
        assert!(check_receipt(&json!({ "items": [] }), hundred).is_err());
    }

    #[test]
    fn a_phone_in_a_receipt_has_no_plus() {
        let mut with_phone = receipt(&json!(1), "1.00");
        with_phone["customer"] = json!({ "phone": "79001234567" });
        assert!(check_receipt(&with_phone, Money(100)).is_ok());

        with_phone["customer"] = json!({ "phone": "+79001234567" });
        assert!(check_receipt(&with_phone, Money(100)).is_err());
    }
}
