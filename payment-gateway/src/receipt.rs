//! Receipts (54-FZ): what YooKassa passes on to the tax office and to the user.
//!
//! A payment's receipt is part of its stored request, so it is the same at every repeat, and so is
//! whose it is. A refund's receipt is made of its payment's one, whatever the settings are by then:
//! both must name the same rate, subject and mode.

use proto::service::email::Email;
use serde::Deserialize;

use crate::billing::{Paid, TopUp};
use crate::yookassa::Refusal;
use crate::yookassa::wire::{Amount, Receipt, ReceiptCustomer, ReceiptItem};

/// «Чеки от ЮKassa» and newer cash registers refuse a line without its measure.
const MEASURE: &str = "piece";

/// What stands on each receipt. See [`crate::receipt_settings`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Receipts {
    /// YooKassa's number of the tax system, 1 … 6, where the cash register needs it.
    pub tax_system_code: Option<u8>,
    /// YooKassa's number of the VAT rate, 1 … 12.
    pub vat_code: u8,
    /// What a top-up is for the tax office.
    pub subject: String,
    /// How it is paid.
    pub mode: String,
    /// The line that the user reads; at most 128 characters.
    pub description: String,
}

impl Receipts {
    /// The receipt of a payment.
    pub fn for_payment(&self, paid: &Paid, email: &Email) -> Receipt {
        let item = ReceiptItem {
            description: self.description.clone(),
            quantity: 1,
            amount: amount(paid),
            vat_code: self.vat_code,
            measure: MEASURE.to_owned(),
            payment_subject: self.subject.clone(),
            payment_mode: self.mode.clone(),
        };
        Receipt {
            customer: ReceiptCustomer { email: email.as_str().to_owned() },
            items: vec![item],
            tax_system_code: self.tax_system_code,
        }
    }
}

/// The receipt that has to be sent with a refund of a top-up; `None` where none has to be.
///
/// A payment that is given back whole needs none: YooKassa takes the payment's own. A payment that
/// was made without a receipt gets one where `now` says that receipts are on and whom to send it to.
pub fn for_refund(
    top_up: &TopUp,
    refunded: &Paid,
    now: Option<(&Receipts, &Email)>,
) -> Option<Receipt> {
    match of_request(&top_up.snapshot) {
        Some(_) if *refunded == top_up.paid => None,
        Some(mut receipt) => {
            // A payment's receipt has one line, over the whole of it.
            receipt.items.truncate(1);
            receipt.items.first_mut()?.amount = amount(refunded);
            Some(receipt)
        }
        None => now.map(|(receipts, email)| receipts.for_payment(refunded, email)),
    }
}

/// The receipt in a stored request.
fn of_request(snapshot: &[u8]) -> Option<Receipt> {
    #[derive(Deserialize)]
    struct Stored {
        receipt: Option<Receipt>,
    }
    serde_json::from_slice::<Stored>(snapshot).ok()?.receipt
}

/// Tells the operator what to do about a shop that did not accept a payment because of its receipt,
/// or because there was none. Answers whether it was that.
pub fn report(receipts: Option<&Receipts>, refusal: &Refusal) -> bool {
    let parameter = refusal.parameter.as_deref().unwrap_or_default();
    if parameter != "receipt" && !parameter.starts_with("receipt.") {
        return false;
    }
    let sent = if receipts.is_some() { "on" } else { "off" };
    metrics::counter!("payments_receipts_refused_total", "receipts" => sent).increment(1);
    match receipts {
        None => tracing::error!(
            error.cause = %refusal,
            yookassa.error_id = refusal.id,
            "yookassa: the shop requires receipts, set RECEIPTS=on, RECEIPT_VAT_CODE and, for a \
             cash register of your own, RECEIPT_TAX_SYSTEM; no payment is taken until then"
        ),
        Some(_) => tracing::error!(
            error.cause = %refusal,
            yookassa.error_id = refusal.id,
            "yookassa: the shop does not accept our receipts, compare RECEIPT_VAT_CODE, \
             RECEIPT_TAX_SYSTEM, RECEIPT_SUBJECT and RECEIPT_MODE with the merchant profile"
        ),
    }
    true
}

fn amount(paid: &Paid) -> Amount {
    Amount { value: paid.amount.to_roubles(), currency: paid.currency.clone() }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use serde_json::json;

    use super::*;
    use crate::billing::TopUpState;
    use crate::create::{ReturnAddress, snapshot};
    use crate::ids::UserId;
    use crate::money::Kopecks;

    fn receipts(tax_system_code: Option<u8>, vat_code: u8) -> Receipts {
        Receipts {
            tax_system_code,
            vat_code,
            subject: "service".to_owned(),
            mode: "full_prepayment".to_owned(),
            description: "Пополнение баланса Media Lab".to_owned(),
        }
    }

    fn paid(kopecks: i64) -> Paid {
        Paid { amount: Kopecks::new(kopecks).unwrap(), currency: "RUB".to_owned() }
    }

    fn email() -> Email {
        "anna@example.com".parse().unwrap()
    }

    /// A top-up of 500 ₽ whose request had this receipt.
    fn top_up(receipt: Option<&Receipt>) -> TopUp {
        let user_id = UserId::new(77).unwrap();
        let url = ReturnAddress::Elsewhere("https://t.me/example_bot".parse().unwrap());
        TopUp {
            id: "018e5f0a-1b2c-7d4e-9f0a-1b2c3d4e5f6a".parse().unwrap(),
            user_id,
            state: TopUpState::Settled,
            paid: paid(50_000),
            credited: Kopecks::new(50_000).unwrap(),
            snapshot: snapshot(user_id, &paid(50_000), &url, receipt),
            payment_id: None,
            provider_payment_id: String::new(),
            reversed_kopecks: 0,
            confirmation_url: String::new(),
            cancel_reason: String::new(),
            opened_at: SystemTime::now(),
            ended_at: None,
            refunded_kopecks: 0,
        }
    }

    #[test]
    fn a_receipt_is_what_yookassa_reads() {
        let receipt = receipts(Some(2), 11).for_payment(&paid(50_000), &email());

        let expected = json!({
            "customer": {"email": "anna@example.com"},
            "items": [{
                "description": "Пополнение баланса Media Lab", "quantity": 1,
                "amount": {"value": "500.00", "currency": "RUB"}, "vat_code": 11,
                "measure": "piece", "payment_subject": "service",
                "payment_mode": "full_prepayment",
            }],
            "tax_system_code": 2,
        });
        assert_eq!(serde_json::to_value(&receipt).unwrap(), expected);
        let without = receipts(None, 1).for_payment(&paid(1), &email());
        let without = serde_json::to_value(without).unwrap();
        assert!(without.get("tax_system_code").is_none(), "absent, never null: {without}");
    }

    #[test]
    fn a_refund_in_part_has_the_receipt_of_its_payment_over_the_part() {
        let sent = receipts(Some(2), 4).for_payment(&paid(50_000), &email());
        // The settings have changed since, and so has the user's address.
        let (now, other) = (receipts(None, 11), "boris@example.com".parse().unwrap());

        let part = for_refund(&top_up(Some(&sent)), &paid(12_345), Some((&now, &other))).unwrap();

        assert_eq!(part.items[0].amount.value, "123.45");
        assert_eq!((part.items[0].vat_code, part.tax_system_code), (4, Some(2)));
        assert_eq!(part.customer.email, "anna@example.com");
        let switched_off = for_refund(&top_up(Some(&sent)), &paid(12_345), None);
        assert!(switched_off.is_some());
    }

    #[test]
    fn a_whole_refund_needs_no_receipt_of_its_own() {
        let sent = receipts(None, 1).for_payment(&paid(50_000), &email());
        let now = receipts(None, 1);

        let whole = for_refund(&top_up(Some(&sent)), &paid(50_000), Some((&now, &email())));

        assert_eq!(whole, None);
    }

    #[test]
    fn a_refund_of_a_payment_without_a_receipt_gets_one_where_receipts_are_on() {
        let now = receipts(None, 1);

        let given = for_refund(&top_up(None), &paid(50_000), Some((&now, &email()))).unwrap();

        assert_eq!(given.items[0].amount.value, "500.00");
        assert_eq!(for_refund(&top_up(None), &paid(50_000), None), None);
    }

    #[test]
    fn a_refusal_because_of_a_receipt_is_known_by_its_parameter() {
        let refusal = |parameter: Option<&str>| Refusal {
            status: 400,
            code: "invalid_request".to_owned(),
            parameter: parameter.map(str::to_owned),
            id: None,
        };
        let on = receipts(None, 1);

        assert!(report(None, &refusal(Some("receipt"))));
        assert!(report(Some(&on), &refusal(Some("receipt"))));
        assert!(report(Some(&on), &refusal(Some("receipt.items"))));
        for other in [None, Some("amount.value"), Some("receipts"), Some("Idempotence-Key")] {
            assert!(!report(None, &refusal(other)), "{other:?}");
        }
    }
}
