//! A payment is made once, whatever happens to the answers.

use std::sync::Arc;
use std::time::Duration;

use proto::payments::v1::{CreatePaymentRequest, PaymentState};
use proto::reason;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tonic::{Code, Request};

use crate::app::{AMOUNT, App, RETURN_URL, USER, reason, until};
use crate::billing::STRANGER;
use crate::yookassa::Fault;

#[tokio::test]
async fn a_payment_has_a_link_and_knows_its_top_up() {
    let app = App::start().await;

    let created = app.create("bot:draft:1").await.unwrap();

    let payment_id = app.yookassa.payment_of(&created.top_up_id).unwrap();
    assert!(created.confirmation_url.ends_with(&payment_id), "{created:?}");
    assert_eq!(created.state(), PaymentState::Pending);
    let (key, body) = app.yookassa.posts().remove(0);
    assert_eq!(key, created.top_up_id);
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["amount"], json!({"value": "100.00", "currency": "RUB"}));
    assert_eq!(body["confirmation"]["return_url"], RETURN_URL);
    assert_eq!(
        body["metadata"],
        json!({"user_id": USER.to_string(), "top_up_id": created.top_up_id})
    );
    assert_eq!(app.billing.top_up(&created.top_up_id).provider_payment_id, payment_id);
    app.finish();
}

#[tokio::test]
async fn a_repeat_answers_with_the_same_link_and_asks_nobody() {
    let app = App::start().await;

    let first = app.create("bot:draft:1").await.unwrap();
    let again = app.create("bot:draft:1").await.unwrap();
    let another = app.create("bot:draft:2").await.unwrap();

    assert_eq!(first, again);
    assert_ne!(first.confirmation_url, another.confirmation_url);
    assert_eq!(app.yookassa.posts().len(), 2);
    app.finish();
}

#[tokio::test]
async fn calls_at_once_make_one_payment() {
    let app = App::start().await;

    let calls = (0..16).map(|_| app.create("bot:draft:1"));
    let answers = futures_util::future::join_all(calls).await;

    let links: Vec<String> =
        answers.into_iter().map(|answer| answer.unwrap().confirmation_url).collect();
    assert!(links.iter().all(|link| *link == links[0] && !link.is_empty()), "{links:?}");
    assert_eq!(app.yookassa.count(), 1);
    app.finish();
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_with_the_same_key_and_bytes() {
    let faults = [
        Fault::ErrorBefore,
        Fault::ErrorAfter,
        Fault::Dropped,
        Fault::Html,
        Fault::Unreadable,
        Fault::Busy,
    ];
    for fault in faults {
        let app = App::start().await;
        app.yookassa.fail_next([fault.clone()]);

        let created = app.create("bot:draft:1").await.unwrap();

        assert!(!created.confirmation_url.is_empty(), "{fault:?}");
        let posts = app.yookassa.posts();
        assert_eq!(posts.len(), 2, "{fault:?}");
        assert_eq!(posts[0], posts[1], "{fault:?}");
        assert_eq!(app.yookassa.count(), 1, "{fault:?}");
        app.finish();
    }
}

#[tokio::test]
async fn a_caller_in_a_hurry_is_told_in_time_and_the_payment_goes_on() {
    let app = App::start().await;
    let gate = Arc::new(Semaphore::new(0));
    app.yookassa.fail_next([Fault::Held(Arc::clone(&gate))]);
    let mut hasty = Request::new(CreatePaymentRequest {
        user_id: USER,
        amount_kopecks: AMOUNT,
        idempotency_key: "bot:draft:1".to_owned(),
    });
    hasty.set_timeout(Duration::from_secs(2));

    let told = app.payments.clone().create_payment(hasty).await.unwrap_err();
    assert_eq!(reason::of(&told).as_deref(), Some(reason::PROVIDER_UNAVAILABLE), "{told:?}");
    let (repeat, ()) = tokio::join!(app.create("bot:draft:1"), async { gate.add_permits(1) });

    assert!(!repeat.unwrap().confirmation_url.is_empty());
    assert_eq!(app.yookassa.posts().len(), 1);
    app.finish();
}

#[tokio::test]
async fn a_provider_that_is_down_is_unavailable_in_time_and_the_repeat_works() {
    let app = App::start().await;
    app.yookassa.set_down(true);
    let started = tokio::time::Instant::now();

    let status = app.create("bot:draft:1").await.unwrap_err();

    assert!(started.elapsed() < Duration::from_secs(10), "callers wait no longer");
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(reason::of(&status).as_deref(), Some(reason::PROVIDER_DOWN));
    app.yookassa.set_down(false);
    until("the repeat works", || async {
        app.create("bot:draft:1").await.is_ok_and(|created| !created.confirmation_url.is_empty())
    })
    .await;
    assert_eq!(app.yookassa.count(), 1);
    app.finish();
}

#[tokio::test]
async fn a_refusal_cancels_the_top_up_with_the_providers_reason() {
    let refusals = [
        (
            400,
            json!({"type": "error", "code": "invalid_request", "parameter": "confirmation"}),
            "invalid_request: confirmation",
            reason::PROVIDER_REFUSED,
        ),
        (
            400,
            json!({"type": "error", "code": "invalid_request", "parameter": "receipt"}),
            "invalid_request: receipt",
            reason::SHOP_NOT_READY,
        ),
        (
            401,
            json!({"type": "error", "code": "invalid_credentials"}),
            "invalid_credentials",
            reason::SHOP_NOT_READY,
        ),
        (403, json!({"type": "error", "code": "forbidden"}), "forbidden", reason::SHOP_NOT_READY),
    ];
    for (status, body, expected, why) in refusals {
        let app = App::start().await;
        app.yookassa.fail_next([Fault::Refused(status, body)]);

        let refused = app.create("bot:draft:1").await.unwrap_err();

        assert_eq!(refused.code(), Code::FailedPrecondition);
        assert_eq!(reason::of(&refused).as_deref(), Some(why));
        assert_eq!(app.billing.only_top_up().cancel_reason, expected);
        let repeat = app.create("bot:draft:1").await.unwrap();
        assert_eq!(repeat.state(), PaymentState::Cancelled);
        assert_eq!(repeat.confirmation_url, "");
        assert_eq!(app.yookassa.posts().len(), 1);
        app.finish();
    }
}

#[tokio::test]
async fn a_key_that_made_a_payment_from_other_bytes_leads_to_that_payment() {
    let app = App::start().await;
    app.yookassa.fail_next([
        Fault::ErrorAfter,
        Fault::Refused(
            400,
            json!({"type": "error", "code": "invalid_request", "parameter": "Idempotence-Key"}),
        ),
    ]);

    let created = app.create("bot:draft:1").await.unwrap();

    let payment_id = app.yookassa.payment_of(&created.top_up_id).unwrap();
    assert!(created.confirmation_url.ends_with(&payment_id), "{created:?}");
    assert_eq!(app.yookassa.count(), 1);
    app.finish();
}

#[tokio::test]
async fn a_payment_that_had_ended_before_its_post_was_answered_is_applied() {
    let app = App::start().await;
    let gate = Arc::new(Semaphore::new(0));
    app.yookassa.fail_next([Fault::ErrorAfter, Fault::Held(Arc::clone(&gate))]);
    let pay = async {
        until("the payment exists", || async { app.yookassa.posts().len() == 2 }).await;
        let top_up_id = app.billing.only_top_up().top_up_id;
        app.yookassa.decline(&app.yookassa.payment_of(&top_up_id).unwrap(), "general_decline");
        gate.add_permits(1);
    };

    let (created, ()) = tokio::join!(app.create("bot:draft:1"), pay);
    let repeat = app.create("bot:draft:1").await.unwrap();
    let checked = app.check(&repeat.top_up_id).await.unwrap();

    // The answer that was held shows the payment as it was made: the link may still be given out.
    assert_ne!(created.unwrap().state(), PaymentState::Settled);
    assert_eq!(checked.state(), PaymentState::Cancelled);
    assert_eq!(checked.cancel_reason, "general_decline");
    app.finish();
}

#[tokio::test]
async fn amounts_are_one_rouble_to_350_000_roubles() {
    let app = App::start().await;

    for kopecks in [i64::MIN, -100, 0, 1, 99, 35_000_001, i64::MAX] {
        let status = app.create_for(USER, kopecks, "bot:draft:1").await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{kopecks}");
        assert_eq!(reason::of(&status).as_deref(), Some(reason::AMOUNT_OUT_OF_RANGE), "{kopecks}");
        assert_eq!(reason::value(&status, "min_kopecks").as_deref(), Some("100"));
        assert_eq!(reason::value(&status, "max_kopecks").as_deref(), Some("35000000"));
    }
    for (kopecks, text) in [(100, "1.00"), (101, "1.01"), (35_000_000, "350000.00")] {
        app.create_for(USER, kopecks, &format!("bot:draft:{kopecks}")).await.unwrap();
        let (_, body) = app.yookassa.posts().pop().unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["amount"]["value"], text);
    }
    app.finish();
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused_by_name() {
    let app = App::start().await;

    for user_id in [0, -1] {
        let answer = app.create_for(user_id, AMOUNT, "bot:draft:1").await;
        assert_eq!(reason(answer), reason::INVALID_FIELD);
    }
    for key in ["", "ключ", "a\nb", &"a".repeat(129)] {
        assert_eq!(reason(app.create(key).await), reason::INVALID_FIELD, "{key:?}");
    }
    assert_eq!(reason(app.check("not-a-uuid").await), reason::INVALID_FIELD);
    let nobodys = "018e5f0a-1b2c-7d4e-9f0a-1b2c3d4e5f6a";
    assert_eq!(reason(app.check(nobodys).await), reason::TOP_UP_NOT_FOUND);
    let answer = app.create_for(STRANGER, AMOUNT, "bot:draft:1").await;
    assert_eq!(reason(answer), reason::USER_NOT_FOUND);
    app.create("bot:draft:1").await.unwrap();
    let answer = app.create_for(USER, AMOUNT + 1, "bot:draft:1").await;
    assert_eq!(reason(answer), reason::IDEMPOTENCY_KEY_REUSED);
    assert_eq!(app.yookassa.count(), 1);
    app.finish();
}

#[tokio::test]
async fn nothing_is_posted_while_billing_is_away() {
    let app = App::start().await;
    app.billing.set_away(true);

    let status = app.create("bot:draft:1").await.unwrap_err();

    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(reason::of(&status).as_deref(), Some(reason::BILLING_UNAVAILABLE));
    assert_eq!(app.yookassa.posts().len(), 0);
    app.billing.set_away(false);
    app.create("bot:draft:1").await.unwrap();
    assert_eq!(app.yookassa.count(), 1);
    app.finish();
}
