//! What nobody told us is found out.

use std::time::{Duration, SystemTime};

use proto::billing::v1::TopUpState;
use proto::payments::v1::PaymentState;
use proto::reason;

use crate::app::{AMOUNT, App, reason, until};
use crate::yookassa::Fault;

const DAY: Duration = Duration::from_secs(24 * 3600);

#[tokio::test]
async fn payments_whose_notifications_never_came_are_credited_and_cancelled() {
    let app = App::reconciling().await;
    let (_, paid) = app.waiting("bot:draft:1").await;
    let (declined_top_up, declined) = app.waiting("bot:draft:2").await;
    let (_, also_paid) = app.waiting("bot:draft:3").await;

    app.yookassa.pay(&paid);
    app.yookassa.decline(&declined, "expired_on_confirmation");
    app.yookassa.pay(&also_paid);

    until("both are credited", || async { app.balance() == 2 * AMOUNT }).await;
    until("the other is cancelled", || async {
        app.billing.top_up(&declined_top_up).state() == TopUpState::Cancelled
    })
    .await;
    let cancelled = app.billing.top_up(&declined_top_up);
    assert_eq!(cancelled.cancel_reason, "expired_on_confirmation");
    assert_eq!(app.billing.settle_calls(), 2);
    app.finish();
}

#[tokio::test]
async fn a_payment_that_was_made_but_not_recorded_is_found_with_the_same_key() {
    let app = App::reconciling().await;
    app.yookassa.fail_next(vec![Fault::ErrorAfter; 5]);

    assert_eq!(reason(app.create("bot:draft:1").await), reason::PROVIDER_DOWN);

    until("the payment is recorded", || async {
        !app.billing.only_top_up().provider_payment_id.is_empty()
    })
    .await;
    let posts = app.yookassa.posts();
    assert!(posts.iter().all(|post| *post == posts[0]), "{posts:?}");
    assert_eq!(app.yookassa.count(), 1);
    app.finish();
}

/// A top-up of yesterday whose payment was made, and the answer to that lost.
async fn yesterdays(app: &App) -> String {
    let (top_up_id, payment_id) = app.waiting("bot:draft:1").await;
    let yesterday = SystemTime::now() - DAY;
    app.billing.forget_payment(&top_up_id);
    app.billing.set_opened_at(&top_up_id, yesterday);
    app.yookassa.set_created_at(&payment_id, yesterday + Duration::from_secs(60));
    top_up_id
}

#[tokio::test]
async fn a_top_up_older_than_the_key_is_looked_up_and_never_posted_again() {
    let app = App::start().await;
    let top_up_id = yesterdays(&app).await;
    let payment_id = app.yookassa.payment_of(&top_up_id).unwrap();
    // More payments than a page holds, newer than the one that is looked for.
    for number in 0..5 {
        let (_, other) = app.waiting(&format!("bot:draft:other:{number}")).await;
        app.yookassa.set_created_at(&other, SystemTime::now() - DAY / 2);
    }
    app.yookassa.pay(&payment_id);
    let posts = app.yookassa.posts().len();

    let created = app.create("bot:draft:1").await.unwrap();

    assert_eq!(created.state(), PaymentState::Settled);
    assert_eq!(app.balance(), AMOUNT);
    assert_eq!(app.yookassa.posts().len(), posts);
    assert!(app.yookassa.lists() > 1, "pages were turned");
    app.finish();
}

#[tokio::test]
async fn a_top_up_older_than_the_key_without_a_payment_is_cancelled() {
    let app = App::start().await;
    let top_up_id = yesterdays(&app).await;
    app.yookassa.forget_payments();
    let posts = app.yookassa.posts().len();

    let checked = app.check(&top_up_id).await.unwrap();

    assert_eq!(checked.state(), PaymentState::Cancelled);
    assert_eq!(checked.cancel_reason, "payment_not_created");
    assert_eq!(app.yookassa.posts().len(), posts);
    app.finish();
}

#[tokio::test]
async fn a_look_up_that_is_not_answered_cancels_nothing() {
    let app = App::start().await;
    let top_up_id = yesterdays(&app).await;
    app.yookassa.forget_payments();
    app.yookassa.set_down(true);

    assert_eq!(reason(app.check(&top_up_id).await), reason::PROVIDER_UNAVAILABLE);

    assert_eq!(app.billing.top_up(&top_up_id).state(), TopUpState::Open);
    app.finish();
}

#[tokio::test]
async fn a_payment_that_waits_is_looked_at_less_and_less_often() {
    let app = App::reconciling().await;
    let (waiting, _) = app.waiting("bot:draft:1").await;
    app.billing.set_opened_at(&waiting, SystemTime::now() - DAY / 24);
    let (_, paid) = app.waiting("bot:draft:2").await;

    until("both were looked at", || async { app.yookassa.gets() >= 2 }).await;
    app.yookassa.pay(&paid);
    until("the other is credited", || async { app.balance() == AMOUNT }).await;

    let looks = app.yookassa.gets_of(&app.yookassa.payment_of(&waiting).unwrap());
    assert_eq!(looks, 1, "the next look at a top-up of an hour ago is in ten minutes");
    app.finish();
}
