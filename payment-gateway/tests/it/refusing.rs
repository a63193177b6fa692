//! What is not a payment for one of our top-ups credits nothing.

use std::time::Duration;

use proto::payments::v1::PaymentState;
use rstest::rstest;
use serde_json::{Value, json};

use crate::app::{App, USER};
use crate::yookassa::notification;

const SUCCEEDED: &str = "payment.succeeded";
const UNKNOWN: &str = "30a1c2d4-000f-5000-8000-1c2d3e4f5a6b";

#[tokio::test]
async fn a_strangers_notification_of_a_payment_that_does_not_exist_is_dropped() {
    let app = App::start().await;

    for event in [SUCCEEDED, "payment.canceled", "payment.waiting_for_capture"] {
        assert_eq!(app.notify(event, UNKNOWN).await, 200, "{event}");
    }

    assert_eq!(app.yookassa.gets(), 3);
    assert_eq!(app.billing.settle_calls(), 0);
    app.finish();
}

#[tokio::test]
async fn a_forged_success_of_a_payment_that_waits_credits_nothing() {
    let app = App::start().await;
    let (top_up_id, payment_id) = app.waiting("bot:draft:1").await;

    assert_eq!(app.notify(SUCCEEDED, &payment_id).await, 200);
    assert_eq!(app.notify("payment.canceled", &payment_id).await, 200);

    assert_eq!(app.check(&top_up_id).await.unwrap().state(), PaymentState::Pending);
    assert_eq!(app.balance(), 0);
    assert_eq!(app.billing.settle_calls(), 0);
    app.finish();
}

#[tokio::test]
async fn a_payment_that_names_no_shop_is_of_the_shop_whose_key_read_it() {
    let app = App::start().await;
    let (_, payment_id) = app.waiting("bot:draft:1").await;
    app.yookassa.pay(&payment_id);
    app.yookassa.change(&payment_id, |it| {
        it.as_object_mut().unwrap().remove("recipient");
    });

    assert_eq!(app.notify(SUCCEEDED, &payment_id).await, 200);

    assert_eq!(app.billing.settle_calls(), 1);
    app.finish();
}

#[rstest]
#[case::amount(|it: &mut Value| it["amount"]["value"] = json!("1.00"), Some("amount"))]
#[case::more_decimals(|it: &mut Value| it["amount"]["value"] = json!("100.001"), Some("amount"))]
#[case::currency(|it: &mut Value| it["amount"]["currency"] = json!("KZT"), Some("currency"))]
#[case::no_amount(|it: &mut Value| { it.as_object_mut().unwrap().remove("amount"); }, Some("amount"))]
#[case::shop(|it: &mut Value| it["recipient"]["account_id"] = json!("100501"), Some("shop"))]
#[case::other_user(|it: &mut Value| it["metadata"]["user_id"] = json!("78"), Some("top_up"))]
#[case::other_top_up(|it: &mut Value| it["metadata"]["top_up_id"] = json!(UNKNOWN), Some("top_up"))]
#[case::metadata_gone(|it: &mut Value| { it.as_object_mut().unwrap().remove("metadata"); }, Some("metadata"))]
#[case::metadata_unreadable(|it: &mut Value| it["metadata"]["user_id"] = json!("alice"), Some("metadata"))]
#[case::not_paid(|it: &mut Value| it["paid"] = json!(false), Some("not_paid"))]
#[case::unknown_status(|it: &mut Value| it["status"] = json!("thinking"), None)]
#[tokio::test]
async fn a_payment_that_differs_from_its_top_up_credits_nothing_and_is_counted(
    #[case] change: fn(&mut Value),
    #[case] mismatch: Option<&str>,
) {
    let app = App::start().await;
    let (top_up_id, payment_id) = app.waiting("bot:draft:1").await;
    app.yookassa.pay(&payment_id);
    app.yookassa.change(&payment_id, change);

    assert_eq!(app.notify(SUCCEEDED, &payment_id).await, 200);
    let checked = app.check(&top_up_id).await.unwrap();

    assert_eq!(checked.state(), PaymentState::Pending);
    assert_eq!(app.balance(), 0);
    assert_eq!(app.billing.settle_calls(), 0);
    if let Some(mismatch) = mismatch {
        let metric = format!("payments_refused_total{{mismatch=\"{mismatch}\"}}");
        assert!(app.metric(&metric).await >= 1.0, "{metric}");
    }
    app.finish();
}

#[tokio::test]
async fn a_second_payment_for_a_top_up_credits_nothing() {
    let app = App::start().await;
    let (top_up_id, _) = app.waiting("bot:draft:1").await;
    let second = app.yookassa.add(&json!({
        "amount": {"value": "100.00", "currency": "RUB"},
        "metadata": {"user_id": USER.to_string(), "top_up_id": top_up_id},
    }));
    app.yookassa.pay(&second);

    assert_eq!(app.notify(SUCCEEDED, &second).await, 200);
    app.yookassa.decline(&second, "general_decline");
    assert_eq!(app.notify("payment.canceled", &second).await, 200);

    assert_eq!(app.check(&top_up_id).await.unwrap().state(), PaymentState::Pending);
    assert_eq!(app.balance(), 0);
    app.finish();
}

#[tokio::test]
async fn play_money_is_not_taken_for_real_money() {
    let app = App::with(&["--yookassa-secret-key=live_sandbox"]).await;

    // The same payment, first as play money and then as real money.
    let refused = app.create("bot:draft:1").await;
    assert!(refused.is_err(), "the link would lead to play money");
    let top_up_id = app.billing.only_top_up().top_up_id;
    let payment_id = app.yookassa.payment_of(&top_up_id).unwrap();
    app.yookassa.pay(&payment_id);
    assert_eq!(app.notify(SUCCEEDED, &payment_id).await, 200);
    assert_eq!(app.balance(), 0);
    app.yookassa.change(&payment_id, |payment| payment["test"] = json!(false));
    assert_eq!(app.notify(SUCCEEDED, &payment_id).await, 200);

    assert_eq!(app.balance(), 10_000);
    app.finish();
}

#[tokio::test]
async fn notifications_that_concern_nobody_are_acknowledged_without_a_call() {
    let app = App::start().await;

    let events =
        ["refund.succeeded", "payout.succeeded", "deal.closed", "payment_method.active", "new.one"];
    for event in events {
        assert_eq!(app.notify(event, UNKNOWN).await, 200, "{event}");
    }
    let greeting = json!({"type": "greeting", "event": SUCCEEDED, "object": {"id": UNKNOWN}});
    assert_eq!(app.post(greeting.to_string()).await, 200);

    assert_eq!(app.yookassa.gets(), 0);
    app.finish();
}

#[tokio::test]
async fn what_cannot_be_read_is_refused() {
    let app = App::start().await;

    let valid = notification(SUCCEEDED, UNKNOWN);
    for body in ["", "hello", "[]", "{}", "{\"type\":\"notification\"}", &valid[..valid.len() - 1]]
    {
        assert_eq!(app.post(body.to_owned()).await, 400, "{body:?}");
    }
    assert_eq!(app.post(vec![0xff, 0xfe, 0x00]).await, 400);
    assert_eq!(app.notify(SUCCEEDED, "../me").await, 400);
    for kilobytes in [129, 300, 3_000] {
        assert_eq!(app.post(vec![b' '; kilobytes * 1024]).await, 413, "{kilobytes} KiB");
    }

    assert_eq!(app.yookassa.gets(), 0);
    app.finish();
}

#[tokio::test]
async fn notifications_from_elsewhere_are_forbidden() {
    let app = App::with(&["--yookassa-trusted-networks=185.71.76.0/27"]).await;
    let valid = || notification(SUCCEEDED, UNKNOWN);

    assert_eq!(app.post(valid()).await, 403);
    // Nobody's X-Forwarded-For is believed when there are no proxies of ours.
    assert_eq!(app.post_from("185.71.76.1", valid()).await, 403);
    assert_eq!(app.yookassa.gets(), 0);
    app.finish();
}

#[tokio::test]
async fn behind_a_proxy_the_address_that_it_saw_counts() {
    let app = App::with(&[
        "--yookassa-trusted-networks=185.71.76.0/27",
        "--trusted-proxies=127.0.0.0/8,10.0.0.0/8",
    ])
    .await;
    let valid = || notification(SUCCEEDED, UNKNOWN);

    assert_eq!(app.post_from("185.71.76.1", valid()).await, 200);
    assert_eq!(app.post_from("185.71.76.1, 10.0.0.7", valid()).await, 200);
    // What a stranger claims stands further left than who he is.
    assert_eq!(app.post_from("185.71.76.1, 203.0.113.9", valid()).await, 403);
    assert_eq!(app.post_from("203.0.113.9", valid()).await, 403);
    assert_eq!(app.post_from("nonsense", valid()).await, 403);
    assert_eq!(app.post(valid()).await, 403);
    assert_eq!(app.yookassa.gets(), 2);
    app.finish();
}

#[tokio::test]
async fn other_paths_and_methods_are_answered_plainly() {
    let app = App::start().await;

    assert_eq!(app.get("/yookassa/health").await, (200, r#"{"status":"ok"}"#.to_owned()));
    assert_eq!(app.get("/yookassa/webhook").await.0, 405);
    assert_eq!(app.get("/").await, (404, "not found\n".to_owned()));
    app.finish();
}

#[tokio::test]
async fn a_flood_of_unknown_payments_does_not_hold_up_a_real_one() {
    let app = App::start().await;
    let (_, payment_id) = app.waiting("bot:draft:1").await;
    app.yookassa.pay(&payment_id);

    let flood = futures_util::future::join_all((0..200).map(|_| app.notify(SUCCEEDED, UNKNOWN)));
    let real = tokio::time::timeout(Duration::from_secs(10), app.notify(SUCCEEDED, &payment_id));
    let (strangers, real) = tokio::join!(flood, real);

    assert_eq!(real, Ok(200));
    assert!(strangers.iter().all(|status| *status == 200), "{strangers:?}");
    assert_eq!(app.balance(), 10_000);
    app.finish();
}
