//! What was paid is credited, once.

use std::sync::Arc;

use proto::payments::v1::PaymentState;
use proto::reason;
use serde_json::json;
use tokio::sync::Semaphore;
use tonic::Code;

use crate::app::{AMOUNT, App, reason, until};
use crate::yookassa::Fault;

const SUCCEEDED: &str = "payment.succeeded";
const CANCELED: &str = "payment.canceled";

#[tokio::test]
async fn three_notifications_a_check_and_the_reconciler_at_once_credit_once() {
    let app = App::reconciling().await;
    let (top_up_id, payment_id) = app.waiting("bot:draft:1").await;

    app.yookassa.pay(&payment_id);
    let (first, second, third, checked) = tokio::join!(
        app.notify(SUCCEEDED, &payment_id),
        app.notify(SUCCEEDED, &payment_id),
        app.notify(SUCCEEDED, &payment_id),
        app.check(&top_up_id),
    );

    assert_eq!((first, second, third), (200, 200, 200));
    let checked = checked.unwrap();
    assert_eq!(checked.state(), PaymentState::Settled);
    assert_eq!(checked.credited_kopecks, AMOUNT);
    assert_eq!(app.balance(), AMOUNT);
    assert_eq!(app.notify(SUCCEEDED, &payment_id).await, 200);
    assert_eq!(app.balance(), AMOUNT);
    app.finish();
}

#[tokio::test]
async fn a_notification_that_comes_before_the_payment_was_recorded_credits() {
    let app = App::start().await;
    let gate = Arc::new(Semaphore::new(0));
    app.yookassa.fail_next([Fault::Held(Arc::clone(&gate))]);
    let pay = async {
        until("the payment exists", || async { app.yookassa.count() == 1 }).await;
        let top_up = app.billing.only_top_up();
        assert_eq!(top_up.provider_payment_id, "");
        let payment_id = app.yookassa.payment_of(&top_up.top_up_id).unwrap();
        app.yookassa.pay(&payment_id);
        let status = app.notify(SUCCEEDED, &payment_id).await;
        assert_eq!(app.balance(), AMOUNT);
        gate.add_permits(1);
        status
    };

    let (created, status) = tokio::join!(app.create("bot:draft:1"), pay);

    assert_eq!(status, 200);
    let created = created.unwrap();
    assert_eq!(created.state(), PaymentState::Settled);
    assert_eq!(created.confirmation_url, "");
    assert_eq!(app.balance(), AMOUNT);
    app.finish();
}

#[tokio::test]
async fn a_check_says_where_the_payment_stands() {
    let app = App::start().await;
    let (top_up_id, payment_id) = app.waiting("bot:draft:1").await;

    let pending = app.check(&top_up_id).await.unwrap();
    app.yookassa.pay(&payment_id);
    let settled = app.check(&top_up_id).await.unwrap();
    app.yookassa.set_down(true);
    let later = app.check(&top_up_id).await.unwrap();

    assert_eq!(pending.state(), PaymentState::Pending);
    assert!(pending.confirmation_url.ends_with(&payment_id), "{pending:?}");
    assert_eq!(settled.state(), PaymentState::Settled);
    assert_eq!(settled.confirmation_url, "");
    assert_eq!(later, settled, "what has ended is known without the provider");
    assert_eq!(app.balance(), AMOUNT);
    app.finish();
}

#[tokio::test]
async fn a_check_while_the_provider_is_down_is_unavailable() {
    let app = App::start().await;
    let (top_up_id, _) = app.waiting("bot:draft:1").await;
    app.yookassa.set_down(true);

    assert_eq!(reason(app.check(&top_up_id).await), reason::PROVIDER_UNAVAILABLE);
    app.finish();
}

#[tokio::test]
async fn a_declined_payment_cancels_with_the_providers_reason() {
    let app = App::start().await;
    let (top_up_id, payment_id) = app.waiting("bot:draft:1").await;

    app.yookassa.decline(&payment_id, "insufficient_funds");
    let status = app.notify(CANCELED, &payment_id).await;

    assert_eq!(status, 200);
    let checked = app.check(&top_up_id).await.unwrap();
    assert_eq!(checked.state(), PaymentState::Cancelled);
    assert_eq!(checked.cancel_reason, "insufficient_funds");
    assert_eq!(app.balance(), 0);
    app.finish();
}

#[tokio::test]
async fn money_that_comes_after_a_cancellation_is_credited() {
    let app = App::start().await;
    let (by_notification, first) = app.waiting("bot:draft:1").await;
    let (by_check, second) = app.waiting("bot:draft:2").await;
    for top_up_id in [&by_notification, &by_check] {
        app.billing.cancel_by_hand(top_up_id);
    }

    app.yookassa.pay(&first);
    app.yookassa.pay(&second);
    assert_eq!(app.notify(SUCCEEDED, &first).await, 200);
    let checked = app.check(&by_check).await.unwrap();

    assert_eq!(checked.state(), PaymentState::Settled);
    assert_eq!(checked.cancel_reason, "");
    assert_eq!(app.balance(), 2 * AMOUNT);
    app.finish();
}

#[tokio::test]
async fn a_cancellation_never_takes_back_what_was_credited() {
    let app = App::start().await;
    let (top_up_id, payment_id) = app.waiting("bot:draft:1").await;
    app.yookassa.pay(&payment_id);
    assert_eq!(app.notify(SUCCEEDED, &payment_id).await, 200);

    app.yookassa.decline(&payment_id, "canceled_by_merchant");
    assert_eq!(app.notify(CANCELED, &payment_id).await, 200);

    assert_eq!(app.check(&top_up_id).await.unwrap().state(), PaymentState::Settled);
    assert_eq!(app.balance(), AMOUNT);
    app.finish();
}

#[tokio::test]
async fn held_money_is_taken_and_credited() {
    let app = App::start().await;
    let (_, payment_id) = app.waiting("bot:draft:1").await;
    app.yookassa.change(&payment_id, |payment| {
        payment["status"] = json!("waiting_for_capture");
        payment["paid"] = json!(true);
    });

    let status = app.notify("payment.waiting_for_capture", &payment_id).await;

    assert_eq!(status, 200);
    assert_eq!(app.balance(), AMOUNT);
    assert_eq!(app.yookassa.captures(), [format!("capture-{payment_id}")]);
    app.finish();
}

#[tokio::test]
async fn a_notification_is_not_acknowledged_before_its_effect_is_stored() {
    let app = App::start().await;
    let (_, payment_id) = app.waiting("bot:draft:1").await;
    app.yookassa.pay(&payment_id);

    app.billing.set_away(true);
    assert_eq!(app.notify(SUCCEEDED, &payment_id).await, 503);
    app.billing.set_away(false);
    app.yookassa.set_down(true);
    assert_eq!(app.notify(SUCCEEDED, &payment_id).await, 503);
    app.yookassa.set_down(false);
    assert_eq!(app.balance(), 0);
    assert_eq!(app.notify(SUCCEEDED, &payment_id).await, 200);

    assert_eq!(app.balance(), AMOUNT);
    app.finish();
}

#[tokio::test]
async fn wrong_credentials_lose_nothing() {
    let app = App::with(&["--yookassa-secret-key=test_old"]).await;

    let status = app.create("bot:draft:1").await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    let stranger = "30a1c2d4-000f-5000-8000-1c2d3e4f5a6b";
    assert_eq!(app.notify(SUCCEEDED, stranger).await, 503, "sent again once the key is right");
    app.finish();
}
