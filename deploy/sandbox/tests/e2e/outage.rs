//! YooKassa is away: people hear it at once, and what they began goes on when it is back.

use std::time::{Duration, Instant};

use rstest::rstest;
use serde_json::json;

use crate::world::{Engine, PATIENCE, Process, World};

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn an_outage_is_said_at_once_and_what_was_begun_goes_on(#[case] engine: Engine) {
    let world = World::start(engine).await;
    let person = world.person().await;
    let start = person.say("/start").await;
    person.hears(start, "Оплатить / Баланс").await;
    person.tap("Оплатить / Баланс").await;
    let sums = person.hears(start, "На сколько").await;
    person.tap("100 ₽").await;
    person.hears(sums.id, "Пополнение на 100 ₽").await;
    let paid = person.payment_link().await;

    world.faults(json!({ "yookassa": "bad_gateway" })).await;
    world.pay(&paid).await;
    person.press(sums.id, "top_up:30000").await;
    let first = person.hears(sums.id, "сейчас не работает").await;
    let began = Instant::now();
    person.tap("Попробовать ещё раз").await;
    person.hears(first.id, "сейчас не работает").await;
    assert!(began.elapsed() < Duration::from_secs(5), "nobody waits for a time-out any more");

    world.faults(json!({ "yookassa": null })).await;
    person.hears(first.id, "пополнен на 100 ₽").await;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let messages = person.messages().await;
        if messages.iter().any(|message| message.text.contains("Пополнение на 300 ₽"))
        {
            break;
        }
        assert!(Instant::now() < deadline, "{messages:#?}");
        person.tap("Попробовать ещё раз").await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    world.balance_becomes(person.id, 10_000).await;
    let payments = world.get("/_sandbox/payments").await;
    assert_eq!(payments["payments"].as_array().unwrap().len(), 2, "{payments}");
    let log = world.log(Process::Payments);
    for change in ["circuit open", "circuit closed"] {
        assert!(log.contains(change), "{change}");
    }
    world.check_books().await;
}
