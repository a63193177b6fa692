//! Receipts (54-FZ): asked for before the payment, the same at every repeat, and refusals explained.

use proto::payments::v1::PaymentState;
use proto::reason;
use rstest::rstest;
use serde_json::{Value, json};
use tonic::Code;

use crate::app::{App, USER, reason};
use crate::billing::STRANGER;
use crate::yookassa::Fault;

const ON: [&str; 3] = ["--receipts=on", "--receipt-vat-code=11", "--receipt-tax-system=2"];

fn receipt_of(body: &[u8]) -> Value {
    serde_json::from_slice::<Value>(body).unwrap()["receipt"].clone()
}

#[tokio::test]
async fn without_an_address_nothing_is_opened_and_with_one_the_same_key_goes_on() {
    let app = App::with(&ON).await;
    app.yookassa.require_receipts();

    let refused = app.create("bot:draft:1").await.unwrap_err();

    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(reason::of(&refused).as_deref(), Some(reason::RECEIPT_EMAIL_REQUIRED));
    assert_eq!((app.billing.count(), app.yookassa.posts().len()), (0, 0));
    app.billing.set_email(USER, "anna@example.com");
    let created = app.create("bot:draft:1").await.unwrap();
    assert!(!created.confirmation_url.is_empty());
    let (_, body) = app.yookassa.posts().remove(0);
    let expected = json!({
        "customer": {"email": "anna@example.com"},
        "items": [{
            "description": "Пополнение баланса Media Lab", "quantity": 1,
            "amount": {"value": "100.00", "currency": "RUB"}, "vat_code": 11,
            "measure": "piece", "payment_subject": "service",
            "payment_mode": "full_prepayment",
        }],
        "tax_system_code": 2,
    });
    assert_eq!(receipt_of(&body), expected);
    app.finish();
}

#[rstest]
#[case("")]
#[case("anna")]
#[case("anna@example")]
#[case("анна@example.com")]
#[tokio::test]
async fn an_address_that_no_receipt_can_go_to_is_none(#[case] stored: &str) {
    let app = App::with(&ON).await;
    app.billing.set_email(USER, stored);

    let refused = app.create("bot:draft:1").await;

    assert_eq!(reason(refused), reason::RECEIPT_EMAIL_REQUIRED);
    assert_eq!(app.yookassa.posts().len(), 0);
    app.finish();
}

#[tokio::test]
async fn the_receipt_stays_as_it_was_at_every_repeat() {
    let app = App::with(&ON).await;
    app.billing.set_email(USER, "anna@example.com");
    app.yookassa.fail_next([Fault::ErrorAfter, Fault::ErrorBefore]);

    let created = app.create("bot:draft:1").await.unwrap();
    app.billing.set_email(USER, "boris@example.com");
    app.billing.forget_payment(&created.top_up_id);
    let repeat = app.create("bot:draft:1").await.unwrap();

    assert_eq!(repeat, created);
    let posts = app.yookassa.posts();
    assert_eq!(posts.len(), 4);
    assert!(posts.iter().all(|post| *post == posts[0]), "{posts:?}");
    assert_eq!(receipt_of(&posts[0].1)["customer"]["email"], "anna@example.com");
    assert_eq!(app.yookassa.count(), 1);
    app.finish();
}

#[tokio::test]
async fn a_user_that_billing_does_not_know_is_said_to_be_so() {
    let app = App::with(&ON).await;

    let refused = app.create_for(STRANGER, 10_000, "bot:draft:1").await;

    assert_eq!(reason(refused), reason::USER_NOT_FOUND);
    app.finish();
}

#[tokio::test]
async fn switched_off_nobody_is_asked_and_nothing_is_sent() {
    let app = App::start().await;

    app.create("bot:draft:1").await.unwrap();

    let (_, body) = app.yookassa.posts().remove(0);
    assert_eq!(receipt_of(&body), Value::Null);
    assert!(!String::from_utf8(body.to_vec()).unwrap().contains("receipt"));
    app.finish();
}

#[rstest]
#[case::off(&[], "off")]
#[case::not_as_the_shop_wants_them(
    &["--receipts=on", "--receipt-vat-code=1", "--receipt-tax-system=2", "--receipt-mode=advance"],
    "on"
)]
#[tokio::test]
async fn a_shop_that_wants_other_receipts_takes_no_payment_and_is_counted(
    #[case] settings: &[&str],
    #[case] label: &str,
) {
    let app = App::with(settings).await;
    app.billing.set_email(USER, "anna@example.com");
    app.yookassa.require_receipts();

    let refused = app.create("bot:draft:1").await.unwrap_err();

    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(reason::of(&refused).as_deref(), Some(reason::SHOP_NOT_READY));
    let top_up = app.billing.only_top_up();
    assert_eq!(top_up.cancel_reason, "invalid_request: receipt");
    assert_eq!(app.check(&top_up.top_up_id).await.unwrap().state(), PaymentState::Cancelled);
    let metric = format!("payments_receipts_refused_total{{receipts=\"{label}\"}}");
    assert!(app.metric(&metric).await >= 1.0, "{metric}");
    app.finish();
}
