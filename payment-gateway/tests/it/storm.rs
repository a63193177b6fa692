//! Very many notifications at once, while YooKassa takes its time.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use uuid::Uuid;

use crate::app::{AMOUNT, until};
use crate::with_billing::{Billing, beside};
use crate::yookassa::notification;

const SUCCEEDED: &str = "payment.succeeded";
/// Senders that wait at the same time.
const SENDERS: usize = 400;

/// How many notifications come, and how long YooKassa takes to answer each read: the long run
/// (`TEST_ROUNDS=20`) has the storm that was asked for.
#[expect(clippy::disallowed_methods, reason = "it is a setting of the test run")]
fn weather() -> (usize, Duration) {
    let rounds = std::env::var("TEST_ROUNDS").ok().and_then(|text| text.parse().ok());
    if rounds.is_some_and(|rounds: u32| rounds >= 20) {
        (2_000, Duration::from_secs(2))
    } else {
        (400, Duration::from_millis(100))
    }
}

/// Half of what comes is garbage or about payments that do not exist; a quarter is repeated.
fn storm(payments: &[String]) -> Vec<String> {
    (0..payments.len() * 4)
        .map(|number| match number % 4 {
            0 => "{\"type\":\"notification\",\"event\":".to_owned(),
            1 => notification(SUCCEEDED, &Uuid::now_v7().to_string()),
            // Each payment is told of once more, the one beside it.
            2 | 3 => notification(SUCCEEDED, &payments[number / 4]),
            _ => unreachable!("a remainder of four"),
        })
        .collect()
}

#[tokio::test]
async fn campaign_of_notifications_loses_nothing_and_credits_nothing_twice() {
    let (notifications, slow) = weather();
    let billing = Billing::start().await;
    let app = beside(&billing, &["--reconcile-every=1s"]).await;
    let mut payments = Vec::new();
    for number in 0..notifications / 4 {
        let (_, payment_id) = app.waiting(&format!("bot:draft:{number}")).await;
        app.yookassa.pay(&payment_id);
        payments.push(payment_id);
    }
    app.yookassa.set_slow(slow);

    let posts = stream::iter(storm(&payments)).map(|body| app.post(body));
    let storming = posts.buffer_unordered(SENDERS).collect::<Vec<u16>>();
    let paying = async {
        // People who pay meanwhile are served.
        app.create("bot:draft:meanwhile").await.unwrap()
    };
    let (answers, created) = tokio::join!(storming, paying);

    assert!(!created.confirmation_url.is_empty());
    let of = |status: u16| answers.iter().filter(|it| **it == status).count();
    assert_eq!(of(400), notifications / 4, "each malformed one is told so");
    assert_eq!(of(200) + of(503), notifications * 3 / 4, "the others are taken, or come again");
    app.yookassa.set_slow(Duration::ZERO);
    let expected = AMOUNT * i64::try_from(payments.len()).unwrap();
    until("every payment is credited, by a notification or by the reconciler", || async {
        billing.balance().await == expected
    })
    .await;
    for payment_id in payments.iter().take(20) {
        assert_eq!(app.notify(SUCCEEDED, payment_id).await, 200);
    }
    assert_eq!(billing.balance().await, expected, "nothing is credited twice");
    app.finish();
}
