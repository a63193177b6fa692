//! Receipts (54-FZ) from the question in the chat to the tax office's door.

use rstest::rstest;
use serde_json::{Value, json};

use crate::person::Person;
use crate::world::{Engine, Process, World};

const ON: [(&str, &str); 2] = [("RECEIPTS", "on"), ("RECEIPT_VAT_CODE", "11")];
const QUESTION: &str = "На какой e-mail прислать чек?";

impl World {
    async fn shop_wants_receipts(&self) {
        let url = format!("{}/_sandbox/yookassa/shop", self.sandbox);
        let answer = self.http.patch(url).json(&json!({ "receipts": true })).send().await.unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
    }

    /// Newest first.
    async fn receipts(&self) -> Vec<Value> {
        let kept = self.get("/_sandbox/yookassa/receipts").await;
        kept["receipts"].as_array().unwrap().clone()
    }
}

/// Opens the sums and taps one.
async fn wants(person: &Person, amount: &str) -> i64 {
    let start = person.say("/start").await;
    person.hears(start, "Оплатить / Баланс").await;
    person.tap("Оплатить / Баланс").await;
    let sums = person.hears(start, "На сколько").await;
    person.tap(amount).await;
    sums.id
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn the_first_payment_asks_for_an_address_and_the_second_asks_nothing(#[case] engine: Engine) {
    let world = World::start_with(engine, &ON).await;
    world.shop_wants_receipts().await;
    let person = world.person().await;

    let sums = wants(&person, "100 ₽").await;
    person.hears(sums, QUESTION).await;
    let wrong = person.say("зачем вам это?").await;
    person.hears(wrong, "Не вижу здесь адреса").await;
    assert_eq!(world.receipts().await.len(), 0);
    let right = person.say("Anna@example.com").await;
    person.hears(right, "Чеки будут приходить на Anna@example.com").await;
    person.hears(right, "Пополнение на 100 ₽").await;

    let payment = person.payment_link().await;
    world.pay(&payment).await;
    person.hears(right, "пополнен на 100 ₽").await;
    let receipts = world.receipts().await;
    assert_eq!(receipts.len(), 1, "{receipts:?}");
    let receipt = &receipts[0];
    assert_eq!(receipt["payment_id"], payment.as_str());
    assert_eq!(receipt["status"], "succeeded");
    assert_eq!(receipt["customer"]["email"], "Anna@example.com");
    assert_eq!(receipt["items"][0]["vat_code"], 11);
    assert_eq!(receipt["items"][0]["amount"]["value"], "100.00");
    let profile = world.account(person.id).await.profile.unwrap();
    assert_eq!(profile.receipt_email.as_deref(), Some("Anna@example.com"));

    let sums = wants(&person, "300 ₽").await;
    person.hears(sums, "Пополнение на 300 ₽").await;
    let messages = person.messages().await;
    let asked = messages.iter().filter(|message| message.text.contains(QUESTION)).count();
    assert_eq!(asked, 1);
    let shown = messages.iter().any(|message| message.text.contains("🧾 Чеки: Anna@example.com"));
    assert!(shown, "{messages:#?}");
    assert_eq!(world.receipts().await[0]["items"][0]["amount"]["value"], "300.00");
    world.balance_becomes(person.id, 10_000).await;
    world.check_books().await;
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn the_question_outlives_the_bot_and_the_receipt_a_lost_answer(#[case] engine: Engine) {
    let mut world = World::start_with(engine, &ON).await;
    world.shop_wants_receipts().await;
    let person = world.person().await;
    let sums = wants(&person, "100 ₽").await;
    person.hears(sums, QUESTION).await;

    world.kill(Process::Bot);
    world.restart(Process::Bot).await;
    world.faults(json!({ "yookassa": "drop_after", "yookassa_count": 1 })).await;
    let address = person.say("anna@example.com").await;
    person.hears(address, "Пополнение на 100 ₽").await;

    let receipts = world.receipts().await;
    assert_eq!(receipts.len(), 1, "one payment, one receipt: {receipts:?}");
    world.check_books().await;
}

#[tokio::test]
async fn a_shop_that_requires_receipts_is_explained_to_whoever_can_switch_them_on() {
    let world = World::start(Engine::Sqlite).await;
    world.shop_wants_receipts().await;
    let person = world.person().await;

    let sums = wants(&person, "100 ₽").await;
    let told = person.hears(sums, "Оплата временно недоступна").await;

    assert!(told.text.contains("Деньги не списаны"), "{}", told.text);
    let log = world.log(Process::Payments);
    let lines = || log.lines().filter(|line| line.contains("the shop requires receipts"));
    assert_eq!(lines().count(), 1, "{log}");
    assert!(lines().all(|line| line.contains("RECEIPTS=on") && line.contains("RECEIPT_VAT_CODE")));
    world.check_books().await;
}
