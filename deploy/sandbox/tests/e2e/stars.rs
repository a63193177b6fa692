//! Telegram Stars from the offer to the refund: whatever is killed or told twice in between, what is
//! paid is credited once, and what goes back is taken back once.

use rstest::rstest;
use serde_json::{Value, json};

use crate::person::Person;
use crate::world::{Engine, Process, World};

/// What 100 ₽ cost at 1.50 ₽ a Star, and what they bring.
const STARS: i64 = 67;
const CREDITED: i64 = 10_050;

impl World {
    /// Presses the pay button; answers with what Telegram tells the person.
    async fn pay_in_stars(&self, person: &Person, message_id: i64) -> Value {
        let path = format!("/_sandbox/telegram/users/{}/pay", person.id);
        self.post(&path, json!({ "message_id": message_id })).await
    }

    /// The Stars that a person has.
    async fn stars(&self, person: &Person) -> i64 {
        let path = format!("/_sandbox/telegram/users/{}/chat?after=0", person.id);
        self.get(&path).await["stars"].as_i64().unwrap()
    }
}

/// Takes the newest offer of 100 ₽; answers with the number of the invoice's message.
async fn invoiced(world: &World, person: &Person) -> i64 {
    person.tap("67 ⭐ → 100,50 ₽").await;
    let path = format!("/_sandbox/telegram/users/{}/chat?after=0", person.id);
    let deadline = std::time::Instant::now() + crate::world::PATIENCE;
    loop {
        let chat = world.get(&path).await;
        let messages = chat["messages"].as_array().unwrap();
        let waits = |message: &&Value| message["invoice"]["paid"] == false;
        if let Some(invoice) = messages.iter().rev().find(waits) {
            return invoice["message_id"].as_i64().unwrap();
        }
        assert!(std::time::Instant::now() < deadline, "no invoice: {chat:#}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn stars_are_credited_once_and_taken_back_once_whatever_is_killed(#[case] engine: Engine) {
    let settings = [("STARS_RATE", "150"), ("BOT_ADMIN_IDS", "1001")];
    let mut world = World::start_with(engine, &settings).await;
    let operator = world.person().await;
    let person = world.person().await;
    assert_eq!(operator.id, 1001);
    let start = person.say("/start").await;
    person.hears(start, "Создать").await;
    let at_first = world.stars(&person).await;
    person.tap("Оплатить / Баланс").await;
    person.tap("⭐ Stars").await;
    let invoice = invoiced(&world, &person).await;

    // Nobody can decide about the payment: it is stopped in time, in words.
    world.kill(Process::Payments);
    let stopped = world.pay_in_stars(&person, invoice).await;
    let why = stopped["error"].as_str().unwrap_or_else(|| panic!("{stopped}"));
    assert!(why.contains("Звёзды не списаны"), "{why}");
    assert_eq!(world.stars(&person).await, at_first);
    world.restart(Process::Payments).await;

    // Every update comes twice; the gateway dies as soon as Telegram has taken the Stars, and the
    // bot while it waits for the gateway.
    world.faults(json!({ "telegram": "repeat_updates" })).await;
    let paid = world.pay_in_stars(&person, invoice).await;
    world.kill(Process::Payments);
    assert_eq!(paid["paid"], true, "{paid}");
    world.kill(Process::Bot);
    world.restart(Process::Bot).await;
    world.restart(Process::Payments).await;
    world.balance_becomes(person.id, CREDITED).await;
    person.hears(start, "пополнен на 100,50 ₽").await;
    assert_eq!(world.stars(&person).await, at_first - STARS);
    world.check_books().await;

    // The operator gives it back; Telegram's answer is lost, and billing is away for a while.
    let hello = operator.say("/start").await;
    operator.hears(hello, "Создать").await;
    world.faults(json!({ "telegram": "drop_after", "telegram_count": 1 })).await;
    let charge = paid["charge_id"].as_str().unwrap();
    let asked = operator.say(&format!("/refund_stars {} {charge}", person.id)).await;
    operator.hears(asked, "Возвращено: 67 ⭐").await;
    world.kill(Process::Billing);
    world.restart(Process::Billing).await;
    person.hears(start, "списано 100,50 ₽").await;
    world.balance_becomes(person.id, 0).await;
    assert_eq!(world.stars(&person).await, at_first);
    world.check_books().await;

    // Nothing is left of it: the same again changes nothing.
    let again = operator.say(&format!("/refund_stars {} {charge}", person.id)).await;
    operator.hears(again, "Возвращено: 67 ⭐").await;
    world.balance_becomes(person.id, 0).await;
    let charges = world.get("/_sandbox/telegram/stars").await;
    assert_eq!(charges["charges"].as_array().unwrap().len(), 1, "{charges}");
    assert_eq!(charges["charges"][0]["refunded"], true);
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_refund_that_telegram_makes_is_taken_back_even_below_zero(#[case] engine: Engine) {
    let world = World::start_with(engine, &[("STARS_RATE", "150")]).await;
    let person = world.person().await;
    let start = person.say("/start").await;
    person.hears(start, "Создать").await;
    world.use_up_free_operations(person.id).await;
    person.tap("Оплатить / Баланс").await;
    person.tap("⭐ Stars").await;
    let invoice = invoiced(&world, &person).await;

    // Two devices pay at once: the second payment goes back by itself.
    let path = format!("/_sandbox/telegram/users/{}/pay", person.id);
    let both = world.post(&path, json!({ "message_id": invoice, "twice": true })).await;
    let both = &both["payments"];
    assert_eq!((&both[0]["paid"], &both[1]["paid"]), (&json!(true), &json!(true)), "{both}");
    person.hears(start, "Второй платёж (67 ⭐) возвращён").await;
    world.balance_becomes(person.id, CREDITED).await;

    // 10 ₽ are spent, then Telegram gives all of the first payment back.
    person.tap("Создать").await;
    person.hears(start, "10 ₽").await;
    let asked = person.say("рыжий кот на крыше").await;
    person.receives(asked).await;
    world.balance_becomes(person.id, CREDITED - 1_000).await;
    let charges = world.get("/_sandbox/telegram/stars").await;
    let kept = charges["charges"].as_array().unwrap().iter().find(|it| it["refunded"] == false);
    let charge = kept.unwrap()["charge_id"].clone();
    world.refund_at_telegram(&person, &charge).await;

    person.hears(asked, "списано 100,50 ₽").await;
    world.balance_becomes(person.id, -1_000).await;
    world.check_books().await;
}
