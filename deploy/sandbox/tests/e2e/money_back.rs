//! Money that goes back at YooKassa: the credit goes back too, and the user is told.

use rstest::rstest;
use serde_json::json;

use crate::world::{Engine, World};

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_refund_in_the_merchant_profile_takes_the_credit_back_once(#[case] engine: Engine) {
    let world = World::start(engine).await;
    let person = world.person().await;
    let start = person.say("/start").await;
    person.hears(start, "Создать").await;
    person.tap("Оплатить / Баланс").await;
    person.tap("100 ₽").await;
    let payment = person.payment_link().await;
    world.pay(&payment).await;
    person.hears(start, "пополнен").await;

    // A part of it is told twice at once; of the rest nobody is told.
    world.faults(json!({ "notifications": "double" })).await;
    let refund = format!("/_sandbox/payments/{payment}/refund");
    world.post(&refund, json!({ "amount": "40.00" })).await;
    let told = person.hears(start, "списано 40 ₽").await;
    assert!(told.text.contains("Баланс: 60 ₽"), "{}", told.text);
    world.faults(json!({ "notifications": "lose" })).await;
    world.post(&refund, json!({ "amount": "60.00" })).await;
    person.hears(start, "списано 60 ₽").await;

    assert_eq!(world.account(person.id).await.balance_kopecks, 0);
    assert_eq!(world.seed_rows(person.id).await.balance, "0.00");
    world.check_books().await;
}
