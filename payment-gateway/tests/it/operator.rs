//! `payment-gateway refund`: one order is one refund, whatever happens on the way.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::app::{AMOUNT, App, until};
use crate::running::{NEEDED, binary};
use crate::with_billing::{Billing, beside};
use crate::yookassa::Fault;

const PATIENCE: Duration = Duration::from_secs(60);
const SUCCEEDED: &str = "payment.succeeded";

/// How a command ended, and what it said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) text: String,
    pub(crate) problem: String,
}

/// Runs the shipped binary with a command, beside a running service.
pub(crate) async fn run(app: &App, words: &[&str]) -> Said {
    let output = timeout(PATIENCE, command(app, words).output()).await.unwrap().unwrap();
    Said {
        code: output.status.code(),
        text: String::from_utf8(output.stdout).unwrap(),
        problem: String::from_utf8(output.stderr).unwrap(),
    }
}

fn command(app: &App, words: &[&str]) -> tokio::process::Command {
    let more = [
        ("BILLING_URL", app.billing_url.as_str()),
        ("YOOKASSA_API_URL", app.yookassa_url.as_str()),
        ("RUST_LOG", "off"),
    ];
    let mut command = binary(&[NEEDED.as_slice(), more.as_slice()].concat());
    command.args(words).stdout(Stdio::piped());
    command
}

async fn refund(app: &App, top_up_id: &str, more: &[&str]) -> Said {
    run(app, &order(top_up_id, more)).await
}

fn order<'w>(top_up_id: &'w str, more: &[&'w str]) -> Vec<&'w str> {
    let usual =
        ["refund", "--user=77", "--top-up", top_up_id, "--actor=anna", "--reason=Оплачено дважды"];
    [usual.as_slice(), more].concat()
}

/// A top-up that was paid and credited.
async fn credited(app: &App) -> String {
    let (top_up_id, payment_id) = app.waiting("bot:draft:1").await;
    app.yookassa.pay(&payment_id);
    assert_eq!(app.notify(SUCCEEDED, &payment_id).await, 200);
    top_up_id
}

#[tokio::test]
async fn all_that_is_left_goes_back_once_however_often_it_is_ordered() {
    let billing = Billing::start().await;
    let app = beside(&billing, &[]).await;
    let top_up_id = credited(&app).await;

    let first = refund(&app, &top_up_id, &[]).await;
    let second = refund(&app, &top_up_id, &[]).await;
    app.yookassa.forget_refund_keys();
    let next_day = refund(&app, &top_up_id, &[]).await;

    for said in [&first, &second, &next_day] {
        assert_eq!(said.code, Some(0), "{said:?}");
        assert!(said.text.contains("went through"), "{said:?}");
    }
    assert!(first.text.contains("refunding 100.00 RUB of 100.00 RUB"), "{first:?}");
    let refunds = app.yookassa.all_refunds();
    assert_eq!(refunds.len(), 1);
    assert_eq!(app.yookassa.refund_posts().len(), 1, "a repeat asks for nothing");
    assert_eq!(refunds[0]["description"], "Оплачено дважды");
    assert_eq!(refunds[0]["metadata"]["actor"], "anna");
    assert_eq!(refunds[0]["metadata"]["top_up_id"], top_up_id.as_str());
    assert_eq!(billing.balance().await, 0);
    app.finish();
}

#[tokio::test]
async fn parts_go_back_under_keys_of_their_own_and_no_kopeck_more() {
    let billing = Billing::start().await;
    let app = beside(&billing, &[]).await;
    let top_up_id = credited(&app).await;

    let dry = refund(&app, &top_up_id, &["--amount=30", "--dry-run"]).await;
    assert_eq!((dry.code, app.yookassa.all_refunds().len()), (Some(0), 0), "{dry:?}");
    let part = refund(&app, &top_up_id, &["--amount=30.50", "--key=a"]).await;
    assert_eq!(part.code, Some(0), "{part:?}");
    assert_eq!(billing.balance().await, 6_950);
    let too_much = refund(&app, &top_up_id, &["--amount=69.51", "--key=b"]).await;
    assert_eq!(too_much.code, Some(1), "{too_much:?}");
    assert!(too_much.problem.contains("69.51 were asked for, and 69.50 are left"), "{too_much:?}");
    let other_sum = refund(&app, &top_up_id, &["--amount=40", "--key=a"]).await;
    assert_eq!(other_sum.code, Some(1), "{other_sum:?}");
    assert!(other_sum.problem.contains("\"a\" was used for another refund"), "{other_sum:?}");
    let rest = refund(&app, &top_up_id, &["--key=b"]).await;
    assert_eq!(rest.code, Some(0), "{rest:?}");
    let nothing = refund(&app, &top_up_id, &["--key=c"]).await;
    assert_eq!(nothing.code, Some(1), "{nothing:?}");
    assert!(nothing.problem.contains("nothing is left"), "{nothing:?}");

    assert_eq!(billing.balance().await, 0);
    let sums: Vec<Value> =
        app.yookassa.all_refunds().iter().map(|it| it["amount"]["value"].clone()).collect();
    assert_eq!(sums, [json!("30.50"), json!("69.50")]);
    app.finish();
}

#[tokio::test]
async fn what_was_not_credited_or_is_not_there_is_not_refunded() {
    let billing = Billing::start().await;
    let app = beside(&billing, &[]).await;
    let (open, _) = app.waiting("bot:draft:1").await;
    let (declined, payment_id) = app.waiting("bot:draft:2").await;
    app.yookassa.decline(&payment_id, "insufficient_funds");
    let nobodys = "018e5f0a-1b2c-7d4e-9f0a-1b2c3d4e5f6a";

    for (top_up_id, problem) in
        [(open.as_str(), "it is open"), (&declined, "it is cancelled"), (nobodys, "no such top-up")]
    {
        let said = refund(&app, top_up_id, &[]).await;
        assert_eq!(said.code, Some(1), "{said:?}");
        assert!(said.problem.contains(problem), "{said:?}");
    }

    assert!(app.yookassa.refund_posts().is_empty());
    app.finish();
}

#[tokio::test]
async fn money_whose_notification_never_came_is_credited_and_then_refunded() {
    let billing = Billing::start().await;
    let app = beside(&billing, &[]).await;
    let (top_up_id, payment_id) = app.waiting("bot:draft:1").await;
    app.yookassa.pay(&payment_id);

    let said = refund(&app, &top_up_id, &["--amount=1"]).await;

    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(billing.balance().await, AMOUNT - 100);
    app.finish();
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_with_the_same_key_and_bytes() {
    let billing = Billing::start().await;
    let app = beside(&billing, &[]).await;
    let top_up_id = credited(&app).await;
    app.yookassa.fail_next_refunds([Fault::ErrorBefore, Fault::ErrorAfter]);

    let said = refund(&app, &top_up_id, &[]).await;

    assert_eq!(said.code, Some(0), "{said:?}");
    let posts = app.yookassa.refund_posts();
    assert_eq!(posts.len(), 3);
    assert!(posts.iter().all(|post| *post == posts[0]), "{posts:?}");
    assert_eq!(app.yookassa.all_refunds().len(), 1);
    assert_eq!(billing.balance().await, 0);
    app.finish();
}

#[tokio::test]
async fn a_command_that_was_killed_is_repeated_and_refunds_once() {
    let billing = Billing::start().await;
    let app = beside(&billing, &[]).await;
    let top_up_id = credited(&app).await;
    app.yookassa.fail_next_refunds([Fault::Held(Arc::new(Semaphore::new(0)))]);

    let mut first = command(&app, &order(&top_up_id, &[])).spawn().unwrap();
    until("the refund exists", || async { app.yookassa.all_refunds().len() == 1 }).await;
    first.kill().await.unwrap();
    let said = refund(&app, &top_up_id, &[]).await;

    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.text.contains("this key has made refund"), "{said:?}");
    assert_eq!(app.yookassa.all_refunds().len(), 1);
    assert_eq!(billing.balance().await, 0);
    app.finish();
}

#[tokio::test]
async fn a_pending_refund_is_waited_for() {
    let billing = Billing::start().await;
    let app = beside(&billing, &[]).await;
    let top_up_id = credited(&app).await;
    app.yookassa.end_next_refund("pending", "");

    let waited_in_vain = refund(&app, &top_up_id, &["--wait=1s"]).await;
    assert_eq!(waited_in_vain.code, Some(2), "{waited_in_vain:?}");
    assert!(waited_in_vain.problem.contains("not decided yet"), "{waited_in_vain:?}");
    assert_eq!(billing.balance().await, AMOUNT);

    let id = app.yookassa.all_refunds()[0]["id"].as_str().unwrap().to_owned();
    let order = order(&top_up_id, &[]);
    let (said, ()) = tokio::join!(run(&app, &order), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        app.yookassa.end_refund(&id, "succeeded");
    });

    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(app.yookassa.all_refunds().len(), 1);
    assert_eq!(billing.balance().await, 0);
    app.finish();
}

#[tokio::test]
async fn a_refused_refund_is_told_in_words_and_tried_again_under_another_key() {
    let billing = Billing::start().await;
    let app = beside(&billing, &[]).await;
    let top_up_id = credited(&app).await;
    app.yookassa.end_next_refund("canceled", "insufficient_funds");

    for _ in 0..2 {
        let said = refund(&app, &top_up_id, &[]).await;
        assert_eq!(said.code, Some(1), "{said:?}");
        assert!(said.problem.contains("has not taken enough today"), "{said:?}");
    }
    assert_eq!(billing.balance().await, AMOUNT);
    assert_eq!(app.yookassa.refund_posts().len(), 1);

    let said = refund(&app, &top_up_id, &["--key=2"]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(billing.balance().await, 0);
    app.finish();
}

#[tokio::test]
async fn what_yookassa_does_not_take_is_explained() {
    let billing = Billing::start().await;
    let app = beside(&billing, &[]).await;
    let top_up_id = credited(&app).await;
    let invalid = |parameter| json!({"type": "error", "id": "e-1", "code": "invalid_request", "parameter": parameter});
    let cases = [
        (400, invalid("amount.value"), "more than what is left"),
        (400, invalid("amount.currency"), "another currency"),
        (400, invalid("receipt"), "a refund needs one too"),
        (400, invalid("payment_id"), "does not refund this payment"),
        (403, json!({"type": "error", "code": "forbidden"}), "may not make refunds"),
    ];

    for (status, body, words) in cases {
        app.yookassa.fail_next_refunds([Fault::Refused(status, body)]);
        let said = refund(&app, &top_up_id, &[]).await;
        assert_eq!(said.code, Some(1), "{said:?}");
        assert!(said.problem.contains(words), "{said:?}");
    }

    assert_eq!(billing.balance().await, AMOUNT);
    app.finish();
}

#[tokio::test]
async fn who_does_not_answer_makes_the_outcome_unknown() {
    let mut billing = Billing::start().await;
    let app = beside(&billing, &["--reconcile-every=200ms"]).await;
    let top_up_id = credited(&app).await;

    app.yookassa.set_down(true);
    let away = refund(&app, &top_up_id, &["--wait=1s"]).await;
    assert_eq!(away.code, Some(2), "{away:?}");
    app.yookassa.set_down(false);
    // It answers each time, but never tells.
    app.yookassa.fail_next_refunds((0..10).map(|_| Fault::ErrorAfter));
    let unknown = refund(&app, &top_up_id, &["--wait=1s"]).await;
    assert_eq!(unknown.code, Some(2), "{unknown:?}");
    assert!(unknown.problem.contains("nobody knows"), "{unknown:?}");
    // The service has heard of it, and takes it back by itself.
    until("the refund is taken back", || async { billing.balance().await == 0 }).await;

    billing.stop().await;
    let away = refund(&app, &top_up_id, &["--wait=1s"]).await;
    assert_eq!(away.code, Some(2), "{away:?}");
    assert!(away.problem.contains("billing"), "{away:?}");
    assert_eq!(app.yookassa.all_refunds().len(), 1);
    app.finish();
}
