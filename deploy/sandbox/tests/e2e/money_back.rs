//! Money that goes back at YooKassa: the credit goes back too, and the user is told.

use rstest::rstest;
use serde_json::json;

use crate::person::Person;
use crate::world::{Engine, World};

/// A person who has paid 100 ₽, where their chat begins, and the payment.
async fn person_who_has_paid(world: &World) -> (Person, i64, String) {
    let person = world.person().await;
    let start = person.say("/start").await;
    person.hears(start, "Создать").await;
    person.tap("Оплатить / Баланс").await;
    person.tap("100 ₽").await;
    let payment = person.payment_link().await;
    world.pay(&payment).await;
    person.hears(start, "пополнен").await;
    (person, start, payment)
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_refund_in_the_merchant_profile_takes_the_credit_back_once(#[case] engine: Engine) {
    let world = World::start(engine).await;
    let (person, start, payment) = person_who_has_paid(&world).await;

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

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn an_operator_refunds_once_and_both_sides_agree(#[case] engine: Engine) {
    let world = World::start(engine).await;
    let (person, start, _) = person_who_has_paid(&world).await;
    let payments = world.get("/_sandbox/payments").await;
    let top_up = payments["payments"][0]["metadata"]["top_up_id"].as_str().unwrap().to_owned();
    let user = person.id.to_string();
    let order =
        ["refund", "--user", &user, "--top-up", &top_up, "--actor=anna", "--reason=Двойная"];
    let refund = |more: &[&str]| world.payments_command(&[order.as_slice(), more].concat());

    // The answer to the first try gets lost, and the bank takes its time.
    world.faults(json!({ "yookassa": "drop_after", "yookassa_count": 1 })).await;
    world.faults(json!({ "refunds": "pending", "refunds_count": 1 })).await;
    let (code, said) = refund(&["--amount=40", "--wait=3s"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("not decided yet"), "{said}");
    let refunds = world.get("/_sandbox/refunds").await;
    assert_eq!(refunds["refunds"].as_array().unwrap().len(), 1);
    let id = refunds["refunds"][0]["id"].as_str().unwrap();
    world.post(&format!("/_sandbox/refunds/{id}/succeed"), json!({})).await;
    person.hears(start, "списано 40 ₽").await;
    let (code, said) = refund(&["--amount=40"]);
    assert_eq!(code, Some(0), "{said}");

    world.faults(json!({ "refunds": "refuse", "refunds_count": 1 })).await;
    let (code, said) = refund(&["--key=2"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("insufficient_funds"), "{said}");
    let (code, said) = refund(&["--key=3"]);
    assert_eq!(code, Some(0), "{said}");
    person.hears(start, "списано 60 ₽").await;

    assert_eq!(world.account(person.id).await.balance_kopecks, 0);
    let today = time::OffsetDateTime::now_utc().date().to_string();
    let (code, said) = world.payments_command(&["reconcile", "--from", &today, "--to", &today]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("1 payments, 2 refunds"), "{said}");
    assert!(said.contains("1 top-ups, 2 reversals"), "{said}");
    world.check_books().await;
}
