//! An answer that is lost says nothing about what was done: nothing is paid for twice, nothing is
//! taken for nothing, and the user hears how it ended.

use proto::billing::v1::OperationState;
use rstest::rstest;
use serde_json::{Value, json};

use crate::person::Person;
use crate::world::{Engine, Process, World};

/// Nothing listens there.
const CLOSED: &str = "http://127.0.0.1:1/v1";

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_submit_whose_answer_is_lost_is_found_and_becomes_the_picture(#[case] engine: Engine) {
    let world = World::start(engine).await;
    let person = world.person_who_pays().await;
    world.faults(json!({ "fal": "drop_submit", "fal_count": 1 })).await;

    person.tap("Создать").await;
    let prompt = person.say("рыжий кот на крыше").await;
    person.receives(prompt).await;

    assert_eq!(world.submits().await.len(), 1, "it was found, and not sent again");
    assert!(world.log(Process::Worker).contains("a lost submit was found"));
    world.balance_becomes(person.id, 9_000).await;
    assert_eq!(world.operations(person.id).await[0].state(), OperationState::Committed);
    world.check_books().await;
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_submit_that_cannot_be_looked_for_is_refunded_and_not_sent_again(#[case] engine: Engine) {
    let world = World::start_with(engine, &[("FAL_API_URL", CLOSED)]).await;
    let person = world.person_who_pays().await;
    world.faults(json!({ "fal": "drop_submit", "fal_count": 1 })).await;

    person.tap("Создать").await;
    let prompt = person.say("рыжий кот на крыше").await;
    let told = person.hears(prompt, "возвращены").await;

    assert!(told.text.contains("10 ₽"), "{}", told.text);
    world.balance_becomes(person.id, 10_000).await;
    assert_eq!(world.submits().await.len(), 1, "it may be at work: never sent again");
    assert_eq!(world.operations(person.id).await[0].state(), OperationState::Refunded);
    let messages = person.messages().await;
    assert!(messages.iter().all(|message| message.picture_url.is_none()), "{messages:#?}");
    world.check_books().await;
}

/// Asks for a payment link; answers with the message that has it, and the payment's id.
async fn link(person: &Person, amount: &str) -> (i64, String) {
    let start = person.say("/start").await;
    person.hears(start, "Оплатить / Баланс").await;
    person.tap("Оплатить / Баланс").await;
    person.hears(start, "На сколько").await;
    person.tap(amount).await;
    let message = person.hears(start, "Пополнение на").await;
    let url = message.buttons.iter().find_map(|(_, button)| button["url"].as_str()).unwrap();
    let (_, id) = url.split_once("orderId=").unwrap_or_else(|| panic!("{url}"));
    (message.id, id.to_owned())
}

impl World {
    async fn payments(&self) -> Vec<Value> {
        self.get("/_sandbox/payments").await["payments"].as_array().unwrap().clone()
    }
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_payment_whose_answer_is_lost_is_made_and_paid_once(#[case] engine: Engine) {
    let world = World::start(engine).await;
    let person = world.person().await;

    let mut paid = 0;
    let faults = [("drop_after", "100 ₽", 10_000), ("fail_after", "300 ₽", 30_000)];
    for (number, (fault, amount, kopecks)) in (1..).zip(faults) {
        world.faults(json!({ "yookassa": fault, "yookassa_count": 1 })).await;
        let (message, payment) = link(&person, amount).await;
        assert_eq!(world.payments().await.len(), number, "{fault}: one payment for one wish");
        world.pay(&payment).await;
        person.hears(message, &format!("пополнен на {amount}")).await;
        paid += kopecks;
        world.balance_becomes(person.id, paid).await;
    }

    let seen = world.get("/_sandbox/yookassa/seen").await;
    let posts = seen["calls"].as_array().unwrap().iter().filter(|call| call["method"] == "POST");
    let statuses: Vec<_> = posts.clone().map(|call| call["status"].as_i64().unwrap()).collect();
    assert_eq!(statuses, [0, 200, 500, 200], "each was asked for again: {seen}");
    let keys: Vec<_> = posts.map(|call| call["idempotence_key"].as_str().unwrap()).collect();
    assert!(keys[0] == keys[1] && keys[2] == keys[3] && keys[1] != keys[2], "{keys:?}");
    world.check_books().await;
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_payment_whose_notification_is_lost_is_found_by_the_reconciler(#[case] engine: Engine) {
    let world = World::start(engine).await;
    let person = world.person().await;
    world.faults(json!({ "notifications": "lose" })).await;
    let (message, payment) = link(&person, "100 ₽").await;

    world.pay(&payment).await;

    person.hears(message, "пополнен").await;
    world.balance_becomes(person.id, 10_000).await;
    world
        .until("it was the reconciler who found it", async |world| {
            let log = world.log(Process::Payments);
            log.lines().any(|line| line.contains("top-up settled") && line.contains("reconciler"))
        })
        .await;
    world.check_books().await;
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn without_the_reconciler_a_press_or_a_late_notification_credits(#[case] engine: Engine) {
    let world = World::start_with(engine, &[("RECONCILE_EVERY", "1h")]).await;
    let person = world.person().await;

    world.faults(json!({ "notifications": "lose", "notifications_count": 1 })).await;
    let (message, payment) = link(&person, "100 ₽").await;
    world.pay(&payment).await;
    assert_eq!(world.account(person.id).await.balance_kopecks, 0, "nobody has told");
    person.tap("Проверить оплату").await;
    person.hears(message, "пополнен").await;
    world.balance_becomes(person.id, 10_000).await;

    world.faults(json!({ "notifications": "delay", "notifications_count": 1 })).await;
    let (message, payment) = link(&person, "300 ₽").await;
    world.pay(&payment).await;
    assert_eq!(world.account(person.id).await.balance_kopecks, 10_000, "it is on its way");
    world.post("/_sandbox/yookassa/clock", json!({ "advance_seconds": 10 })).await;
    person.hears(message, "пополнен на 300 ₽").await;
    world.balance_becomes(person.id, 40_000).await;
    world.check_books().await;
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_payment_that_came_to_nothing_says_why_and_the_next_one_is_taken(#[case] engine: Engine) {
    let world = World::start(engine).await;
    let person = world.person().await;
    let declined = json!({ "reason": "insufficient_funds" });
    let endings = [
        ("decline", declined, "недостаточно средств"),
        ("decline", json!({ "reason": "card_expired" }), "истёк срок действия карты"),
        ("expire", json!({}), "истекло время на оплату"),
    ];

    for (action, body, why) in endings {
        let (message, payment) = link(&person, "100 ₽").await;
        world.post(&format!("/_sandbox/payments/{payment}/{action}"), body).await;
        person.tap("Проверить оплату").await;
        let told = person.hears(message, why).await;
        assert!(told.text.contains("Деньги не списаны"), "{}", told.text);
    }
    assert_eq!(world.account(person.id).await.balance_kopecks, 0);
    assert_eq!(world.seed_rows(person.id).await.balance, "0.00");

    let (message, payment) = link(&person, "100 ₽").await;
    world.pay(&payment).await;
    person.hears(message, "пополнен").await;
    world.balance_becomes(person.id, 10_000).await;
    world.check_books().await;
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_picture_whose_sending_is_not_answered_arrives_and_is_acknowledged(
    #[case] engine: Engine,
) {
    let world = World::start(engine).await;
    let person = world.person_who_pays().await;
    world.faults(json!({ "fal": "hang" })).await;
    let drop_next = json!({ "telegram": "drop_after", "telegram_count": 1 });

    person.tap("Создать").await;
    person.hears(0, "10 ₽").await;
    world.faults(drop_next.clone()).await;
    let prompt = person.say("рыжий кот на крыше").await;
    // The last change of the status message: what is sent next is the picture.
    person.hears(prompt, "Рисую").await;
    world.faults(drop_next).await;
    world.faults(json!({ "fal": null })).await;
    person.receives(prompt).await;
    world
        .until("the bot acknowledges the result", async |world| {
            world.log(Process::Worker).contains("job's end acknowledged")
        })
        .await;

    let switches = world.get("/_sandbox/faults").await;
    assert!(switches["telegram"].is_null(), "both sends were struck: {switches}");
    let messages = person.messages().await;
    let pictures = messages.iter().filter(|message| message.picture_url.is_some()).count();
    assert!((1..=2).contains(&pictures), "rarely twice, never more: {messages:#?}");
    assert_eq!(world.submits().await.len(), 1);
    assert_eq!(world.operations(person.id).await[0].state(), OperationState::Committed);
    world.balance_becomes(person.id, 9_000).await;
    world.check_books().await;
}
