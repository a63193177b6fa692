//! The page that a user returns to after paying.

use std::time::Duration;

use futures_util::future::join_all;
use proto::billing::v1::TopUpState;
use serde_json::Value;

use crate::app::{AMOUNT, App, RETURN_URL};

const PUBLIC: &str = "--payments-public-url=https://pay.example.com/";

/// A payment that waits for the user: its top-up, its id, and the path that the user returns to.
async fn waiting(app: &App, key: &str) -> (String, String, String) {
    let (top_up_id, payment_id) = app.waiting(key).await;
    let (_, body) = app.yookassa.posts().pop().unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    let url = body["confirmation"]["return_url"].as_str().unwrap();
    let path = url.strip_prefix("https://pay.example.com").unwrap().to_owned();
    (top_up_id, payment_id, path)
}

#[tokio::test]
async fn the_page_says_what_became_of_the_payment_and_leads_to_the_bot() {
    let app = App::with(&[PUBLIC]).await;
    let (_, paid, paid_path) = waiting(&app, "bot:draft:1").await;
    let (top_up_id, declined, declined_path) = waiting(&app, "bot:draft:2").await;

    let (status, page) = app.get(&paid_path).await;
    assert_eq!(status, 200);
    assert!(page.contains("Ждём оплату") && page.contains("http-equiv=\"refresh\""), "{page}");

    // Nobody has notified: the page finds out by itself.
    app.yookassa.pay(&paid);
    app.yookassa.decline(&declined, "insufficient_funds");
    for _ in 0..2 {
        let (status, page) = app.get(&paid_path).await;
        assert_eq!(status, 200);
        assert!(page.contains("Баланс пополнен на 100\u{a0}₽."), "{page}");
        assert!(page.contains("lang=\"ru\"") && page.contains(RETURN_URL), "{page}");
        assert!(!page.contains("<script") && !page.contains("http-equiv"), "{page}");
    }
    let (status, page) = app.get(&declined_path).await;
    assert_eq!(status, 200);
    assert!(page.contains("На карте не хватило денег. Деньги не списаны."), "{page}");

    assert_eq!(app.balance(), AMOUNT);
    assert_eq!(app.billing.settle_calls(), 1);
    assert_eq!(app.billing.top_up(&top_up_id).state(), TopUpState::Cancelled);
    app.finish();
}

#[tokio::test]
async fn to_anybody_else_every_payment_is_the_same_unknown_one() {
    let app = App::with(&[PUBLIC]).await;
    let (top_up_id, _, path) = waiting(&app, "bot:draft:1").await;
    let (_, _, other) = waiting(&app, "bot:draft:2").await;
    let token = other.split_once("token=").unwrap().1;
    let nobodys = "018e5f0a-1b2c-7d4e-9f0a-1b2c3d4e5f6a";

    let mut pages = Vec::new();
    for query in [
        String::new(),
        "?user=77".to_owned(),
        format!("?user=77&top_up={top_up_id}&token="),
        format!("?user=77&top_up={top_up_id}&token={token}"),
        format!("?user=77&top_up={nobodys}&token={token}"),
        format!("?user=78&{}", path.split_once('&').unwrap().1),
        "?user=77&top_up=x&token=%3Cscript%3E".to_owned(),
        "?user=77&top_up=x&token=y&reloads=-1".to_owned(),
    ] {
        let (status, page) = app.get(&format!("/return{query}")).await;
        assert_eq!(status, 404, "{query}: {page}");
        pages.push(page);
    }

    assert!(pages.iter().all(|page| *page == pages[0]), "{pages:#?}");
    assert!(pages[0].contains("Платёж не найден") && pages[0].contains(RETURN_URL));
    assert_eq!(app.yookassa.gets(), 0, "nobody makes us ask for strangers' payments");
    app.finish();
}

#[tokio::test]
async fn who_is_away_does_not_keep_the_page_away() {
    let app = App::with(&[PUBLIC]).await;
    let (_, _, path) = waiting(&app, "bot:draft:1").await;

    app.yookassa.set_down(true);
    let (status, page) = app.get(&path).await;
    assert_eq!(status, 200);
    assert!(page.contains("Ждём оплату"), "{page}");
    app.billing.set_away(true);
    let (status, page) = app.get(&path).await;
    assert_eq!(status, 503);
    assert!(page.contains("Ничего не потеряно"), "{page}");
    app.billing.set_away(false);
    app.finish();
}

#[tokio::test]
async fn reloads_of_one_page_share_a_look() {
    let app = App::with(&[PUBLIC]).await;
    let (_, _, path) = waiting(&app, "bot:draft:1").await;
    app.yookassa.set_slow(Duration::from_millis(500));

    let pages = join_all((0..30).map(|_| app.get(&path))).await;

    assert!(pages.iter().all(|(status, _)| *status == 200));
    assert!(app.yookassa.gets() <= 4, "{} reads", app.yookassa.gets());
    app.finish();
}

#[tokio::test]
async fn without_an_address_of_our_own_payments_lead_straight_to_the_bot() {
    let app = App::start().await;
    app.waiting("bot:draft:1").await;

    let (_, body) = app.yookassa.posts().pop().unwrap();

    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["confirmation"]["return_url"], RETURN_URL);
    assert_eq!(app.get("/return").await.0, 404);
    app.finish();
}
