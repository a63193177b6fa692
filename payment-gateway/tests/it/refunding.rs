//! Money that went back at YooKassa is taken back here, once, beside the real billing-svc.

use crate::app::{AMOUNT, App, until};
use crate::with_billing::{Billing, beside};

const SUCCEEDED: &str = "payment.succeeded";
const REFUNDED: &str = "refund.succeeded";

/// A top-up that was paid and credited: its id and its payment's.
async fn paid(app: &App) -> (String, String) {
    let (top_up_id, payment_id) = app.waiting("bot:draft:1").await;
    app.yookassa.pay(&payment_id);
    assert_eq!(app.notify(SUCCEEDED, &payment_id).await, 200);
    (top_up_id, payment_id)
}

#[tokio::test]
async fn a_refund_takes_the_credit_back_once_however_often_it_is_told() {
    let billing = Billing::start().await;
    let app = beside(&billing, &["--reconcile-every=100ms"]).await;
    let (top_up_id, payment_id) = paid(&app).await;
    assert_eq!(billing.balance().await, AMOUNT);

    let refund_id = app.yookassa.refund(&payment_id, "100.00", "succeeded");
    let (first, second, third) = tokio::join!(
        app.notify(REFUNDED, &refund_id),
        app.notify(REFUNDED, &refund_id),
        app.notify(REFUNDED, &refund_id),
    );

    assert_eq!((first, second, third), (200, 200, 200));
    assert_eq!(billing.balance().await, 0);
    let top_up = billing.top_up(&top_up_id).await;
    assert_eq!((top_up.reversed_kopecks, top_up.refunded_minor_units), (AMOUNT, AMOUNT));
    app.finish();
}

#[tokio::test]
async fn refunds_in_parts_take_back_their_parts() {
    let billing = Billing::start().await;
    let app = beside(&billing, &[]).await;
    let (_, payment_id) = paid(&app).await;

    for (part, left) in [("30.00", 7_000), ("0.50", 6_950), ("69.50", 0)] {
        let refund_id = app.yookassa.refund(&payment_id, part, "succeeded");
        assert_eq!(app.notify(REFUNDED, &refund_id).await, 200);
        assert_eq!(billing.balance().await, left, "after {part}");
    }
    app.finish();
}

#[tokio::test]
async fn a_refund_that_nobody_told_of_is_found() {
    let billing = Billing::start().await;
    let app = beside(&billing, &["--reconcile-every=100ms"]).await;
    let (_, payment_id) = paid(&app).await;

    let refund_id = app.yookassa.refund(&payment_id, "40.00", "pending");
    assert_eq!(app.notify(REFUNDED, &refund_id).await, 200);
    assert_eq!(billing.balance().await, AMOUNT);
    app.yookassa.end_refund(&refund_id, "succeeded");

    until("the pending refund is taken back", || async { billing.balance().await == 6_000 }).await;
    app.finish();
}

#[tokio::test]
async fn a_refund_that_cannot_be_looked_at_does_not_hold_up_the_others() {
    let billing = Billing::start().await;
    let app = beside(&billing, &["--reconcile-every=100ms"]).await;
    let (_, payment_id) = paid(&app).await;
    let (_, unreadable) = app.waiting("bot:draft:2").await;
    app.yookassa.make_unreadable(&unreadable);

    app.yookassa.set_down(true);
    app.yookassa.refund(&payment_id, "40.00", "succeeded");
    // The newest is looked at first.
    app.yookassa.refund(&unreadable, "100.00", "succeeded");
    app.yookassa.set_down(false);

    until("the other one is taken back", || async { billing.balance().await == 6_000 }).await;
    app.finish();
}

#[tokio::test]
async fn a_refused_refund_takes_nothing() {
    let billing = Billing::start().await;
    let app = beside(&billing, &[]).await;
    let (_, payment_id) = paid(&app).await;

    let refund_id = app.yookassa.refund(&payment_id, "100.00", "canceled");
    assert_eq!(app.notify(REFUNDED, &refund_id).await, 200);

    assert_eq!(billing.balance().await, AMOUNT);
    app.finish();
}

#[tokio::test]
async fn money_that_came_and_went_before_we_heard_of_it_is_in_the_ledger_twice() {
    let billing = Billing::start().await;
    let app = beside(&billing, &[]).await;
    let (top_up_id, payment_id) = app.waiting("bot:draft:1").await;
    app.yookassa.pay(&payment_id);

    let refund_id = app.yookassa.refund(&payment_id, "100.00", "succeeded");
    assert_eq!(app.notify(REFUNDED, &refund_id).await, 200);
    assert_eq!(app.notify(SUCCEEDED, &payment_id).await, 200);

    assert_eq!(billing.balance().await, 0);
    assert_eq!(billing.top_up(&top_up_id).await.reversed_kopecks, AMOUNT);
    app.finish();
}

#[tokio::test]
async fn a_refund_beyond_what_was_paid_or_of_a_strangers_payment_takes_nothing() {
    let billing = Billing::start().await;
    let app = beside(&billing, &[]).await;
    let (_, payment_id) = paid(&app).await;
    let nobodys = "018e5f0a-1b2c-7d4e-9f0a-1b2c3d4e5f6a";

    let too_much = app.yookassa.refund(&payment_id, "100.01", "succeeded");
    assert_eq!(app.notify(REFUNDED, &too_much).await, 200);
    let strangers = app.yookassa.refund(nobodys, "100.00", "succeeded");
    assert_eq!(app.notify(REFUNDED, &strangers).await, 200);
    assert_eq!(app.notify(REFUNDED, nobodys).await, 200);

    assert_eq!(billing.balance().await, AMOUNT);
    app.finish();
}

#[tokio::test]
async fn a_refund_waits_for_yookassa_and_for_billing_to_come_back() {
    let mut billing = Billing::start().await;
    let app = beside(&billing, &[]).await;
    let (_, payment_id) = paid(&app).await;
    let refund_id = app.yookassa.refund(&payment_id, "100.00", "succeeded");

    app.yookassa.set_down(true);
    assert_eq!(app.notify(REFUNDED, &refund_id).await, 503);
    app.yookassa.set_down(false);
    billing.stop().await;
    assert_eq!(app.notify(REFUNDED, &refund_id).await, 503);
    billing.start_again().await;
    until("the refund is taken", || async { app.notify(REFUNDED, &refund_id).await == 200 }).await;

    assert_eq!(billing.balance().await, 0);
    app.finish();
}
