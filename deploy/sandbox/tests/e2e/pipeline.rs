//! Jobs that wait can be ended from the chat, and refusals cost what was said.

use rstest::rstest;
use serde_json::json;

use crate::world::{Engine, World};

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_job_that_waits_is_ended_from_the_chat_with_the_money_back(#[case] engine: Engine) {
    let world = World::start_with(engine, &[("FAL_MAX_CONCURRENT", "1")]).await;
    let first = world.person_who_pays().await;
    let second = world.person_who_pays().await;
    world.faults(json!({ "fal": "hang" })).await;
    first.tap("Создать").await;
    first.hears(0, "10 ₽").await;
    let first_asked = first.say("рыжий кот").await;
    world.until("fal.ai has the first", async |world| world.submits().await.len() == 1).await;

    second.tap("Создать").await;
    second.hears(0, "10 ₽").await;
    let asked = second.say("серый кот").await;
    second.hears(asked, "Отменить работу").await;
    second.tap("Отменить работу").await;

    let told = second.hears(asked, "Отменено").await;
    assert!(told.text.contains("10 ₽ возвращены на баланс"), "{}", told.text);
    world.balance_becomes(second.id, 10_000).await;
    world.faults(json!({ "fal": null })).await;
    first.receives(first_asked).await;
    assert_eq!(world.submits().await.len(), 1);
    world.check_books().await;
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn refusals_beyond_the_days_number_are_charged_and_the_user_knows(#[case] engine: Engine) {
    let world = World::start_with(engine, &[("REFUSALS_PER_DAY", "1")]).await;
    let person = world.person_who_pays().await;
    world.faults(json!({ "fal": "refuse" })).await;

    person.tap("Создать").await;
    person.hears(0, "10 ₽").await;
    let asked = person.say("нельзя").await;
    let told = person.hears(asked, "возвращены на баланс").await;
    assert!(told.text.contains("Следующий отказ"), "{}", told.text);
    world.balance_becomes(person.id, 10_000).await;

    person.tap("Создать").await;
    person.hears(told.id, "не вернётся").await;
    let asked = person.say("опять нельзя").await;
    let told = person.hears(asked, "этот платный").await;
    assert!(told.text.contains("10 ₽ списаны"), "{}", told.text);
    world.balance_becomes(person.id, 9_000).await;
    world.check_books().await;
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn with_webhooks_a_picture_comes_without_being_asked_for(#[case] engine: Engine) {
    let world = World::start(engine).await.with_webhooks().await;
    let person = world.person().await;
    // Long enough that the look at the beginning finds nothing; the next would come after 30 s.
    world.faults(json!({ "fal_work_ms": 1500, "fal_webhooks": "double" })).await;
    let start = person.say("/start").await;
    person.hears(start, "Создать").await;
    person.tap("Создать").await;
    person.hears(start + 1, "Опишите картинку").await;
    let asked = person.say("маяк в тумане").await;
    person.receives(asked).await;

    assert_eq!(world.submits().await.len(), 1);
    world.check_books().await;
}
