//! What strangers and mistakes send: a clear answer each, nothing lost, nobody dies.

use proto::billing::v1::{OpenTopUpRequest, ProviderAmount, ReserveRequest};
use proto::reason;
use rstest::rstest;
use serde_json::json;
use tonic::Code;

use crate::world::{Engine, Process, World, picture};

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn the_chat_answers_what_it_cannot_use(#[case] engine: Engine) {
    let mut world = World::start(engine).await;
    let person = world.person().await;
    let start = person.say("/start").await;
    person.hears(start, "Создать").await;

    // A button of an older version.
    let pressed = person.press(start + 1, "buy_100_old_version").await;
    world
        .until("the press is answered", async |world| {
            let callback = world.get(&format!("/_sandbox/telegram/callbacks/{pressed}")).await;
            callback["answered"] == true
        })
        .await;
    person.hears(start + 1, "").await;

    person.tap("Ретушь").await;
    person.hears(start, "10 ₽").await;
    let sent = person.send_file("big.jpg&pretend_size=31457280", picture(64, 64)).await;
    person.hears(sent, "20 МБ").await;
    let sent = person.send_file("notes.jpg", b"These are words, and no picture.".to_vec()).await;
    person.hears(sent, "JPEG").await;
    let sent = person.send_photo(picture(320, 240)).await;
    person.receives(sent).await;

    let menu = person.say("/start").await;
    person.hears(menu, "Создать").await;
    person.tap("Создать").await;
    person.hears(menu + 1, "10 ₽").await;
    let said = person.say(&"очень длинно ".repeat(10_000 / 13)).await;
    person.hears(said, "4000").await;
    let said = person.say("коротко").await;
    person.receives(said).await;

    for amount in ["-5", "1e9", "сто", "0", "999999999999", "10.005"] {
        person.say("/start").await;
        person.tap("Оплатить / Баланс").await;
        person.tap("Другая сумма").await;
        let said = person.say(amount).await;
        person.hears(said, "сумму").await;
    }
    assert_eq!(world.account(person.id).await.free_operations, 2);
    for service in [Process::Bot, Process::Worker, Process::Payments, Process::Billing] {
        world.ready(service).await;
        assert!(!world.log(service).contains("panicked"), "{service:?} panicked");
    }
    world.check_books().await;
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn billing_names_what_is_wrong(#[case] engine: Engine) {
    let world = World::start(engine).await;
    let person = world.person().await;
    let start = person.say("/start").await;
    person.hears(start, "Создать").await;
    let reserve = |operation_type: &str| ReserveRequest {
        user_id: person.id,
        operation_type: operation_type.to_owned(),
        idempotency_key: "test:1".to_owned(),
        ..ReserveRequest::default()
    };

    let refused = world.billing.reserve(reserve("paint_a_house")).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert_eq!(reason::of(&refused).as_deref(), Some(reason::OPERATION_TYPE_NOT_SOLD));
    let refused = world.billing.reserve(reserve("add_text")).await.unwrap_err();
    assert_eq!(reason::of(&refused).as_deref(), Some(reason::OPERATION_TYPE_NOT_SOLD));
    for kopecks in [-1, 0, i64::MIN, i64::MAX, 1_000_000_001] {
        let refused = world
            .billing
            .open_top_up(OpenTopUpRequest {
                user_id: person.id,
                provider: "test".to_owned(),
                paid: Some(ProviderAmount { minor_units: 100, currency: "RUB".to_owned() }),
                credited_kopecks: kopecks,
                idempotency_key: "test:2".to_owned(),
                snapshot: Vec::new(),
            })
            .await
            .unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{kopecks}");
        assert_eq!(reason::of(&refused).as_deref(), Some(reason::INVALID_FIELD), "{kopecks}");
    }
    let account = world.account(person.id).await;
    assert_eq!((account.free_operations, account.balance_kopecks), (4, 0));
    world.check_books().await;
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_webhook_believes_nobody(#[case] engine: Engine) {
    let world = World::start(engine).await;
    let person = world.person().await;
    let start = person.say("/start").await;
    person.hears(start, "Создать").await;
    person.tap("Оплатить / Баланс").await;
    person.tap("100 ₽").await;
    let payment = person.payment_link().await;
    // A connection for each: the one of a body that is too large is closed behind the answer.
    let http = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap();
    let post = async |body: String| {
        let request = http.post(world.webhook_url()).body(body);
        request.send().await.map(|answer| answer.status().as_u16())
    };
    let send = async |body: String| post(body).await.unwrap();
    let notification = |id: &str| {
        json!({
            "type": "notification",
            "event": "payment.succeeded",
            "object": {
                "id": id, "status": "succeeded", "paid": true,
                "amount": { "value": "100.00", "currency": "RUB" },
                "metadata": { "user_id": person.id.to_string() },
            },
        })
    };

    assert_eq!(send("{ not json".to_owned()).await, 400);
    assert_eq!(send("x".repeat(1_000_000)).await, 413);
    let stranger = notification("30a1c2d4-000f-5000-8000-1c2d3e4f5a6b");
    assert_eq!(send(stranger.to_string()).await, 200, "not ours: dropped, and not sent again");
    assert_eq!(send(notification(&payment).to_string()).await, 200, "the payment is still open");

    let account = world.account(person.id).await;
    assert_eq!(account.balance_kopecks, 0, "what a notification says is only a hint");
    world.pay(&payment).await;
    world.balance_becomes(person.id, 10_000).await;
    world.check_books().await;
}
