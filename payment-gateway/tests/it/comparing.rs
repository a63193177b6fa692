//! What YooKassa and billing do not agree about is found, told, and mended where that is safe.

use std::time::{Duration, SystemTime};

use serde_json::json;
use time::OffsetDateTime;

use crate::app::{AMOUNT, App, until};
use crate::operator::{Said, run};
use crate::running::{NEEDED, Running};
use crate::with_billing::{Billing, beside};
use crate::yookassa::text;

const SUCCEEDED: &str = "payment.succeeded";
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

fn day(before: Duration) -> String {
    OffsetDateTime::from(SystemTime::now() - before).date().to_string()
}

/// Of the days from `from` to `to` ago.
async fn reconcile(app: &App, from: Duration, to: Duration) -> Said {
    let (from, to) = (day(from), day(to));
    run(app, &["reconcile", "--from", &from, "--to", &to]).await
}

async fn all(app: &App) -> Said {
    reconcile(app, 2 * DAY, Duration::ZERO).await
}

#[track_caller]
fn differs(said: &Said, kind: &str, count: usize) {
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.text.contains(kind), "{said:?}");
    assert!(said.text.contains(&format!("differences: {count}\n")), "{said:?}");
}

#[track_caller]
fn agrees(said: &Said) {
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.text.contains("differences: 0\n"), "{said:?}");
}

/// A payment whose money was taken so long ago: its top-up and its id.
async fn paid(app: &App, key: &str, ago: Duration) -> (String, String) {
    let (top_up_id, payment_id) = app.waiting(key).await;
    app.yookassa.pay(&payment_id);
    app.yookassa.set_captured_at(&payment_id, SystemTime::now() - ago);
    (top_up_id, payment_id)
}

async fn credited(app: &App, key: &str, ago: Duration) -> (String, String) {
    let (top_up_id, payment_id) = paid(app, key, ago).await;
    assert_eq!(app.notify(SUCCEEDED, &payment_id).await, 200);
    (top_up_id, payment_id)
}

/// A refund that went through so long ago.
fn refunded(app: &App, payment_id: &str, roubles: &str, ago: Duration) -> String {
    let id = app.yookassa.refund(payment_id, roubles, "succeeded");
    let at = text(SystemTime::now() - ago);
    app.yookassa.change_refund(&id, |it| it["created_at"] = json!(at));
    id
}

#[tokio::test]
async fn two_sides_that_have_the_same_agree() {
    let billing = Billing::start().await;
    let app = beside(&billing, &[]).await;
    for number in 0..5 {
        let (_, payment_id) = credited(&app, &format!("bot:draft:{number}"), 5 * MINUTE).await;
        let refund_id = refunded(&app, &payment_id, "30.00", 4 * MINUTE);
        assert_eq!(app.notify("refund.succeeded", &refund_id).await, 200);
    }
    app.waiting("bot:draft:open").await;
    // Neither was it refunded, nor does anybody think so.
    let (_, payment_id) = credited(&app, "bot:draft:refused", 5 * MINUTE).await;
    app.yookassa.refund(&payment_id, "30.00", "canceled");
    // Another system's, in the same shop.
    let foreign = app.yookassa.add(&json!({
        "amount": {"value": "5.00", "currency": "RUB"}, "metadata": {"order_id": "A-1"},
        "confirmation": {"return_url": "https://example.com"},
    }));
    app.yookassa.pay(&foreign);

    let said = all(&app).await;

    agrees(&said);
    assert!(said.text.contains("YooKassa: 7 payments, 5 refunds"), "{said:?}");
    assert!(said.text.contains("billing:  6 top-ups, 5 reversals"), "{said:?}");
    assert!(said.text.contains("not ours: 1"), "{said:?}");
    app.finish();
}

#[tokio::test]
async fn the_edges_of_a_span_of_time_are_no_differences() {
    let billing = Billing::start().await;
    let app = beside(&billing, &[]).await;
    // Paid two days ago and heard of only today: each day has one side of it.
    let (_, payment_id) = credited(&app, "bot:draft:1", 2 * DAY).await;
    let refund_id = refunded(&app, &payment_id, "30.00", 2 * DAY);
    assert_eq!(app.notify("refund.succeeded", &refund_id).await, 200);

    let today = reconcile(&app, Duration::ZERO, Duration::ZERO).await;
    let then = reconcile(&app, 2 * DAY, 2 * DAY).await;

    agrees(&today);
    assert!(today.text.contains("YooKassa: 0 payments, 0 refunds"), "{today:?}");
    assert!(today.text.contains("billing:  1 top-ups, 1 reversals"), "{today:?}");
    agrees(&then);
    assert!(then.text.contains("YooKassa: 1 payments, 1 refunds"), "{then:?}");
    assert!(then.text.contains("billing:  0 top-ups, 0 reversals"), "{then:?}");
    app.finish();
}

#[tokio::test]
async fn what_was_paid_and_not_credited_is_told_and_left_to_the_service() {
    let billing = Billing::start().await;
    let app = beside(&billing, &[]).await;
    let (top_up_id, payment_id) = paid(&app, "bot:draft:1", 5 * MINUTE).await;
    // Its notification may be on its way.
    let (_, _) = paid(&app, "bot:draft:2", Duration::ZERO).await;

    let said = all(&app).await;

    differs(&said, "not_credited", 1);
    assert!(said.text.contains(&top_up_id) && said.text.contains(&payment_id), "{said:?}");
    assert!(said.text.contains("too new to be judged: 1"), "{said:?}");
    assert_eq!(billing.balance().await, 0);
    app.finish();
}

#[tokio::test]
async fn what_was_paid_for_a_top_up_that_is_not_there_is_told() {
    let billing = Billing::start().await;
    let app = beside(&billing, &[]).await;
    let (_, payment_id) = paid(&app, "bot:draft:1", 5 * MINUTE).await;
    app.yookassa.change(&payment_id, |it| {
        it["metadata"]["top_up_id"] = json!("018e5f0a-1b2c-7d4e-9f0a-1b2c3d4e5f6a");
    });

    differs(&all(&app).await, "no_top_up", 1);
    app.finish();
}

#[tokio::test]
async fn what_was_credited_and_not_paid_is_told() {
    let billing = Billing::start().await;
    let app = beside(&billing, &[]).await;
    credited(&app, "bot:draft:1", 5 * MINUTE).await;
    let (_, pending) = credited(&app, "bot:draft:2", 5 * MINUTE).await;
    app.yookassa.change(&pending, |it| it["status"] = json!("pending"));
    let said = all(&app).await;
    differs(&said, "not_paid", 1);
    assert!(said.text.contains("YooKassa pending"), "{said:?}");

    app.yookassa.forget_payments();
    differs(&all(&app).await, "not_paid", 2);
    app.finish();
}

#[tokio::test]
async fn another_amount_is_told_once() {
    let billing = Billing::start().await;
    let app = beside(&billing, &[]).await;
    let (_, payment_id) = credited(&app, "bot:draft:1", 5 * MINUTE).await;
    app.yookassa.change(&payment_id, |it| it["amount"]["value"] = json!("1.00"));

    let said = all(&app).await;

    differs(&said, "payment_differs", 1);
    assert!(said.text.contains("1.00 RUB (differs: amount)"), "{said:?}");
    assert!(said.text.contains("credited for 100.00 RUB"), "{said:?}");
    app.finish();
}

#[tokio::test]
async fn refunds_that_one_side_does_not_know_are_told() {
    let billing = Billing::start().await;
    let app = beside(&billing, &[]).await;
    let (_, payment_id) = credited(&app, "bot:draft:1", 5 * MINUTE).await;
    let taken_back = refunded(&app, &payment_id, "30.00", 5 * MINUTE);
    assert_eq!(app.notify("refund.succeeded", &taken_back).await, 200);
    agrees(&all(&app).await);

    let unheard_of = refunded(&app, &payment_id, "20.00", 5 * MINUTE);
    let said = all(&app).await;
    differs(&said, "not_reversed", 1);
    assert!(said.text.contains(&unheard_of), "{said:?}");
    assert_eq!(app.notify("refund.succeeded", &unheard_of).await, 200);

    app.yookassa.change_refund(&taken_back, |it| it["amount"]["value"] = json!("31.00"));
    differs(&all(&app).await, "refund_differs", 1);
    app.yookassa.change_refund(&taken_back, |it| it["status"] = json!("canceled"));
    differs(&all(&app).await, "not_refunded", 1);
    app.yookassa.forget_refunds();
    differs(&all(&app).await, "not_refunded", 2);
    app.finish();
}

#[tokio::test]
async fn a_side_that_is_away_is_not_a_difference() {
    let mut billing = Billing::start().await;
    let app = beside(&billing, &[]).await;
    credited(&app, "bot:draft:1", 5 * MINUTE).await;

    app.yookassa.set_down(true);
    assert_eq!(all(&app).await.code, Some(2));
    app.yookassa.set_down(false);
    let backwards = reconcile(&app, Duration::ZERO, DAY).await;
    assert_eq!(backwards.code, Some(2), "{backwards:?}");
    billing.stop().await;
    let away = all(&app).await;

    assert_eq!(away.code, Some(2));
    assert!(away.problem.contains("cannot compare"), "{away:?}");
    app.finish();
}

#[tokio::test]
async fn the_service_mends_what_is_safe_to_mend() {
    let billing = Billing::start().await;
    let app = beside(&billing, &["--compare-every=100ms"]).await;
    let (_, payment_id) = credited(&app, "bot:draft:1", 5 * MINUTE).await;

    refunded(&app, &payment_id, "30.00", 5 * MINUTE);
    until("the refund is taken back", || async { billing.balance().await == AMOUNT - 3_000 }).await;
    paid(&app, "bot:draft:2", 5 * MINUTE).await;
    until("the payment is credited", || async { billing.balance().await == 2 * AMOUNT - 3_000 })
        .await;

    agrees(&all(&app).await);
    app.finish();
}

#[tokio::test]
async fn a_difference_is_a_line_and_a_number() {
    let billing = Billing::start().await;
    let app = beside(&billing, &[]).await;
    let (top_up_id, payment_id) = credited(&app, "bot:draft:1", 5 * MINUTE).await;
    app.yookassa.change(&payment_id, |it| it["amount"]["value"] = json!("1.00"));
    paid(&app, "bot:draft:2", 5 * MINUTE).await;
    let more = [
        ("BILLING_URL", app.billing_url.as_str()),
        ("YOOKASSA_API_URL", app.yookassa_url.as_str()),
        ("COMPARE_EVERY", "1s"),
        ("RECONCILE_EVERY", "1h"),
        ("LOG_FORMAT", "json"),
    ];

    let mut running = Running::start(&[NEEDED.as_slice(), more.as_slice()].concat());
    let serving = running.line("serving").await;
    let line = running.line("yookassa: a difference to billing waits for a person").await;
    running.line("yookassa: payments and refunds compared with billing's").await;

    assert_eq!(line["difference"], "payment_differs");
    assert_eq!(line["top_up.id"], top_up_id.as_str());
    assert_eq!(line["payment.id"], payment_id.as_str());
    let web = reqwest::Client::builder().no_proxy().build().unwrap();
    let metrics = format!("http://{}/metrics", serving["admin.addr"].as_str().unwrap());
    let metrics = web.get(metrics).send().await.unwrap().text().await.unwrap();
    for counted in [
        r#"payments_differences{kind="payment_differs"} 1"#,
        r#"payments_differences{kind="not_credited"} 0"#,
        r#"payments_mended_total{kind="not_credited"} 1"#,
        "payments_compared_timestamp_seconds ",
    ] {
        assert!(metrics.contains(counted), "{counted} is not in\n{metrics}");
    }
    assert_eq!(billing.balance().await, 2 * AMOUNT);
    app.finish();
}
