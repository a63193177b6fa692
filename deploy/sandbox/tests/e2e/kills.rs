//! Any process may be killed at any moment: no kopeck is lost or taken twice, and the user gets a
//! result or the money back.

use std::time::Duration;

use rstest::rstest;
use serde_json::json;

use crate::person::Person;
use crate::world::{Engine, Process, World};

/// How far the operation is when the process dies.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// The user has just sent the prompt.
    JustAsked,
    /// fal.ai has accepted the work, and is at it.
    AtWork,
}

/// A person with money for ten operations and no free ones, who has opened the first mode.
async fn ready_to_pay(world: &World) -> Person {
    let person = world.person_who_pays().await;
    person.tap("Создать").await;
    person.hears(0, "10 ₽").await;
    person
}

/// Waits for the end of the operation: either a picture and 10 ₽ less, or the reason and all back.
async fn ends_well(world: &World, person: &Person, after: i64, paid_before: i64) -> i64 {
    let delivered = person
        .until("a picture, or the money back", |messages| {
            let mut later = messages.iter().filter(|m| m.id > after);
            later.find_map(|m| match &m.picture_url {
                Some(_) => Some(true),
                None => m.text.contains("возвращен").then_some(false),
            })
        })
        .await;
    let paid = paid_before + if delivered { 1_000 } else { 0 };
    world.balance_becomes(person.id, 10_000 - paid).await;
    assert!(world.submits().await.len() <= 1, "the provider was paid for one job at most");
    paid
}

#[rstest]
#[case::billing_at_work(Process::Billing, Moment::AtWork)]
#[case::worker_at_work(Process::Worker, Moment::AtWork)]
#[case::bot_at_work(Process::Bot, Moment::AtWork)]
#[case::payments_at_work(Process::Payments, Moment::AtWork)]
#[case::billing_just_asked(Process::Billing, Moment::JustAsked)]
#[case::worker_just_asked(Process::Worker, Moment::JustAsked)]
#[case::bot_just_asked(Process::Bot, Moment::JustAsked)]
#[tokio::test]
async fn a_service_that_is_killed_in_a_paid_operation_loses_nothing(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
    #[case] victim: Process,
    #[case] moment: Moment,
) {
    let mut world = World::start(engine).await;
    let person = ready_to_pay(&world).await;
    world.faults(json!({ "fal_work_ms": 1500 })).await;

    let asked = person.say("рыжий кот на крыше").await;
    if matches!(moment, Moment::AtWork) {
        world.until("fal.ai has the work", async |world| world.submits().await.len() == 1).await;
    }
    world.kill(victim);
    world.restart(victim).await;

    ends_well(&world, &person, asked, 0).await;
    world.check_books().await;
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_payment_that_is_made_while_the_gateway_is_dead_is_credited(#[case] engine: Engine) {
    let mut world = World::start(engine).await;
    let person = world.person().await;
    let start = person.say("/start").await;
    person.hears(start, "Создать").await;
    person.tap("Оплатить / Баланс").await;
    person.tap("300 ₽").await;
    let payment = person.payment_link().await;
    // The notification gets lost too, so that only the reconciler can find out.
    world.faults(json!({ "notifications": "lose" })).await;

    world.kill(Process::Payments);
    world.pay(&payment).await;
    world.restart(Process::Payments).await;

    world.balance_becomes(person.id, 30_000).await;
    person.hears(start, "пополнен").await;
    world.check_books().await;
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_notice_of_a_top_up_waits_for_a_bot_that_was_dead(#[case] engine: Engine) {
    let mut world = World::start(engine).await;
    let person = world.person().await;
    let start = person.say("/start").await;
    person.hears(start, "Создать").await;

    world.kill(Process::Bot);
    world.top_up(person.id, 5_000).await;
    world.restart(Process::Bot).await;

    person.hears(start, "пополнен").await;
    world.check_books().await;
}

/// A round kills a process at a moment that the round's number spreads over the operation.
#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn campaign_of_kills_at_many_moments(#[case] engine: Engine) {
    let victims = [Process::Worker, Process::Billing, Process::Bot];
    for round in 0..crate::world::rounds() {
        let mut world = World::start(engine).await;
        let person = ready_to_pay(&world).await;
        world.faults(json!({ "fal_work_ms": 400 })).await;
        let victim = victims[round as usize % victims.len()];

        let asked = person.say("рыжий кот на крыше").await;
        tokio::time::sleep(Duration::from_millis(u64::from(round) * 53 % 900)).await;
        world.kill(victim);
        world.restart(victim).await;

        ends_well(&world, &person, asked, 0).await;
        world.check_books().await;
    }
}
