//! What a stranger can send: whatever it says, only what is true at YooKassa now is acted on. Beside
//! the real billing-svc.

use proto::billing::v1::RegisterUserRequest;
use proto::payments::v1::PaymentState;
use serde_json::json;

use crate::app::{AMOUNT, App, USER};
use crate::with_billing::{Billing, beside};
use crate::yookassa::notification;

const SUCCEEDED: &str = "payment.succeeded";
const CANCELED: &str = "payment.canceled";
const REFUNDED: &str = "refund.succeeded";
const OTHER: i64 = USER + 1;

#[tokio::test]
async fn old_bodies_that_are_replayed_credit_nothing_again() {
    let billing = Billing::start().await;
    let app = beside(&billing, &[]).await;
    let (_, payment_id) = app.waiting("bot:draft:1").await;
    app.yookassa.pay(&payment_id);
    let paid = notification(SUCCEEDED, &payment_id);
    assert_eq!(app.post(paid.clone()).await, 200);
    assert_eq!(billing.balance().await, AMOUNT);
    let refund_id = app.yookassa.refund(&payment_id, "100.00", "succeeded");
    let refunded = notification(REFUNDED, &refund_id);
    assert_eq!(app.post(refunded.clone()).await, 200);
    assert_eq!(billing.balance().await, 0);

    // Whoever has seen both bodies sends them again, in any order, and one that never was.
    let never = notification(CANCELED, &payment_id);
    for body in [&paid, &refunded, &paid, &never, &refunded, &paid] {
        assert_eq!(app.post(body.clone()).await, 200);
    }

    assert_eq!(billing.balance().await, 0);
    assert!(app.metric("payments_repeated_total{via=\"webhook\"}").await >= 3.0);
    app.finish();
}

#[tokio::test]
async fn a_payment_that_names_another_users_top_up_credits_neither() {
    let billing = Billing::start().await;
    let app = beside(&billing, &[]).await;
    billing.register(RegisterUserRequest { user_id: OTHER, profile: None }).await;
    let (mine, payment_id) = app.waiting("bot:draft:1").await;
    let theirs = app.create_for(OTHER, AMOUNT, "bot:draft:1").await.unwrap().top_up_id;

    app.yookassa.pay(&payment_id);
    app.yookassa.change(&payment_id, |payment| {
        payment["metadata"] = json!({"user_id": OTHER.to_string(), "top_up_id": theirs});
    });
    assert_eq!(app.notify(SUCCEEDED, &payment_id).await, 200);

    assert_eq!(billing.balance().await, 0);
    assert_eq!(billing.balance_of(OTHER).await, 0);
    assert_eq!(app.check(&mine).await.unwrap().state(), PaymentState::Pending);
    assert!(app.metric("payments_refused_total{mismatch=\"payment\"}").await >= 1.0);
    assert!(app.metric("payments_refused_total{mismatch=\"metadata\"}").await >= 1.0);
    app.finish();
}

#[tokio::test]
async fn spoofed_senders_are_counted_and_nobody_is_asked_for_them() {
    let app =
        App::with(&["--yookassa-trusted-networks=185.71.76.0/27", "--trusted-proxies=127.0.0.0/8"])
            .await;
    let (_, payment_id) = app.waiting("bot:draft:1").await;
    app.yookassa.pay(&payment_id);
    let asked = app.yookassa.gets();
    let body = || notification(SUCCEEDED, &payment_id);

    let spoofs = [
        "203.0.113.9",
        "185.71.76.1, 203.0.113.9",
        "185.71.76.1,203.0.113.9,127.0.0.1",
        "185.71.76.32",
        "::ffff:203.0.113.9",
        "185.71.76.1, ",
        "185.71.76.1;",
        "",
    ];
    for spoof in spoofs {
        assert_eq!(app.post_from(spoof, body()).await, 403, "{spoof:?}");
    }

    assert_eq!(app.yookassa.gets(), asked);
    assert_eq!(app.balance(), 0);
    let counted = app.metric("payments_webhooks_total{outcome=\"forbidden\"}").await;
    assert!(counted >= 8.0, "{counted}");
    assert_eq!(app.post_from("203.0.113.9, ::ffff:185.71.76.1", body()).await, 200);
    assert_eq!(app.balance(), AMOUNT);
    app.finish();
}
