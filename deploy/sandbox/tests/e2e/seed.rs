//! The four promises that the product began with, and the one about text.

use proto::billing::v1::OperationState;
use rstest::rstest;
use serde_json::json;

use crate::world::{Engine, Process, World};

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_new_user_has_four_free_operations_and_a_paid_one_uses_one(#[case] engine: Engine) {
    let world = World::start(engine).await;
    let person = world.person().await;
    let start = person.say("/start").await;
    person.hears(start, "Создать").await;

    person.tap("Создать").await;
    let question = person.hears(start, "10 ₽").await;
    assert!(question.text.contains('4'), "what is left is shown: {}", question.text);
    let prompt = person.say("рыжий кот на крыше").await;
    person.receives(prompt).await;

    let asked = person.say("/balance").await;
    let balance = person.hears(asked, "Бесплатных операций").await;
    assert!(balance.text.contains("Бесплатных операций: 3"), "{}", balance.text);
    let account = world.account(person.id).await;
    assert_eq!((account.free_operations, account.held_free_operations), (3, 0));
    let rows = world.seed_rows(person.id).await;
    assert_eq!((rows.balance.as_str(), rows.free_operations_left), ("0.00", 3));
    assert_eq!(rows.operations, 1);
    world.check_books().await;
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_top_up_is_credited_once_however_often_it_is_told(#[case] engine: Engine) {
    let world = World::start(engine).await;
    // Three notifications of one payment at once, while the reconciler looks every second.
    world.faults(json!({ "notifications": "double" })).await;
    let person = world.person().await;
    let start = person.say("/start").await;
    person.hears(start, "Создать").await;
    person.tap("Оплатить / Баланс").await;
    person.tap("100 ₽").await;

    let payment = person.payment_link().await;
    let check = person.button("Проверить оплату").await;
    world.pay(&payment).await;
    let notice = person.hears(start, "пополнен").await;
    assert!(notice.text.contains("100 ₽"), "{}", notice.text);
    let notify = format!("/_sandbox/payments/{payment}/notify");
    let again = || world.post(&notify, json!({}));
    tokio::join!(again(), again(), again());
    let pressed = person.press(check.0, &check.1).await;
    world.answered(&pressed).await;

    assert_eq!(world.account(person.id).await.balance_kopecks, 10_000);
    assert_eq!(world.seed_rows(person.id).await.balance, "100.00");
    let log = world.log(Process::Billing);
    let credited = log.lines().filter(|line| line.contains("billing") && line.contains("settled"));
    assert!(credited.count() >= 1, "each billing decision is a line that grep finds");
    assert!(world.log(Process::Payments).contains("yookassa"), "each payment step is a line");
    world.check_books().await;
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn with_nothing_left_the_user_is_told_and_nothing_is_charged(#[case] engine: Engine) {
    let world = World::start(engine).await;
    let person = world.person().await;
    let start = person.say("/start").await;
    person.hears(start, "Создать").await;
    world.use_up_free_operations(person.id).await;
    world.top_up(person.id, 999).await;
    let before = world.operations(person.id).await.len();

    person.tap("Создать").await;
    person.say("рыжий кот на крыше").await;
    let told = person.hears(start, "Недостаточно").await;

    let pay = told.buttons.iter().find(|(_, button)| button["data"] == "payment_menu");
    assert!(pay.is_some(), "the message has the pay button: {told:?}");
    let account = world.account(person.id).await;
    assert_eq!((account.balance_kopecks, account.held_kopecks), (999, 0));
    assert_eq!(world.operations(person.id).await.len(), before);
    world.check_books().await;
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_failing_job_gives_back_what_was_taken(#[case] engine: Engine) {
    let world = World::start(engine).await;
    let person = world.person().await;
    let start = person.say("/start").await;
    person.hears(start, "Создать").await;

    // On every endpoint that could take over.
    world.faults(json!({ "fal": "fail", "fal_count": null })).await;
    person.tap("Создать").await;
    let prompt = person.say("рыжий кот на крыше").await;
    let told = person.hears(prompt, "возвращен").await;
    assert!(told.text.to_lowercase().contains("бесплатная операция"), "{}", told.text);
    assert_eq!(world.account(person.id).await.free_operations, 4);

    world.use_up_free_operations(person.id).await;
    world.top_up(person.id, 10_000).await;
    world.faults(json!({ "fal": "refuse", "fal_count": 1 })).await;
    let menu = person.say("/start").await;
    person.hears(menu, "Создать").await;
    person.tap("Создать").await;
    let prompt = person.say("рыжий кот на крыше").await;
    let told = person.hears(prompt, "возвращен").await;

    assert!(told.text.contains("10 ₽"), "{}", told.text);
    let account = world.account(person.id).await;
    assert_eq!((account.balance_kopecks, account.held_kopecks), (10_000, 0));
    let last = &world.operations(person.id).await[0];
    assert_eq!(last.state(), OperationState::Refunded);
    world.check_books().await;
}
