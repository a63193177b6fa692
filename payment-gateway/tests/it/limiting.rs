//! Who asks too often is answered so, and holds up nobody else.

use crate::app::{AMOUNT, App};
use crate::yookassa::notification;

#[tokio::test]
async fn an_address_that_sends_too_much_is_sent_away_and_the_others_are_heard() {
    let app = App::with(&[
        "--webhook-requests-per-second-max=1",
        "--trusted-proxies=127.0.0.1",
        "--yookassa-trusted-networks=185.71.76.0/27",
    ])
    .await;
    let (_, payment_id) = app.waiting("bot:draft:1").await;
    app.yookassa.pay(&payment_id);
    let flood = "203.0.113.9";

    let mut answers = Vec::new();
    for _ in 0..30 {
        answers.push(app.post_from(flood, "garbage").await);
    }
    let mut sender = Vec::new();
    for _ in 0..30 {
        let unknown = notification("payment.succeeded", "30a1c2d4-000f-5000-8000-1c2d3e4f5a6b");
        sender.push(app.post_from("185.71.76.1", unknown).await);
    }
    let other = app.post_from("185.71.76.2", notification("payment.succeeded", &payment_id)).await;

    // Ten at once, and some more while the others came.
    let of = |answers: &[u16], status| answers.iter().filter(|it| **it == status).count();
    assert!((10..25).contains(&of(&answers, 403)), "{answers:?}");
    assert_eq!(of(&answers, 403) + of(&answers, 429), 30, "{answers:?}");
    assert!((10..25).contains(&of(&sender, 200)), "{sender:?}");
    assert_eq!(of(&sender, 200) + of(&sender, 429), 30, "{sender:?}");
    assert_eq!(app.yookassa.gets(), of(&sender, 200) + 1, "what was sent away was not looked up");
    assert_eq!(other, 200);
    assert_eq!(app.balance(), AMOUNT);
    app.finish();
}
