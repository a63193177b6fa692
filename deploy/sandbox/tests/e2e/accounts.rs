//! What users and operators see and do about money in the chat, against the real ledger.

use proto::billing::v1::ListOperationsRequest;
use rstest::rstest;

use crate::world::{Engine, World};

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn an_invited_friend_pays_in_works_and_reads_each_change_in_the_history(
    #[case] engine: Engine,
) {
    let world = World::start_with(engine, &[("BOT_ADMIN_IDS", "1001")]).await;
    let operator = world.person().await;
    assert_eq!(operator.id, 1001);
    let referrer = world.person().await;
    let friend = world.person().await;
    let start = referrer.say("/start").await;
    referrer.hears(start, "Создать").await;

    let made = operator.say("/promo_new autumn discount 20 30 100 осень").await;
    operator.hears(made, "AUTUMN").await;
    let start = friend.say(&format!("/start ref_{}", referrer.id)).await;
    friend.hears(start, "Вы пришли по приглашению").await;
    let code = friend.say("/promo Autumn").await;
    friend.hears(code, "скидка 20 % на работы").await;
    friend.tap("Оплатить / Баланс").await;
    friend.tap("100 ₽").await;
    let payment = friend.payment_link().await;
    world.pay(&payment).await;
    friend.hears(code, "Баланс пополнен на 100 ₽").await;
    friend.hears(code, "Вам начислено: 3 бесплатные операции").await;
    referrer.hears(start, "Вам начислено: 3 бесплатные операции").await;
    let given = operator.say(&format!("/adjust {} +50 за баг", friend.id)).await;
    operator.hears(given, "Сделано. Баланс 150 ₽").await;

    friend.tap("🎨 Создать").await;
    friend.hears(given, "Бесплатных операций: 7").await;
    let prompt = friend.say("кот").await;
    let (first, _) = friend.receives(prompt).await;
    friend.tap("Ещё раз").await;
    let (second, _) = friend.receives(first.id).await;
    let asked = friend.say("/history").await;
    let shown = friend.hears(asked, "История").await.text;
    for line in [
        "🎁 Подарок новичку\n+4 бесплатные операции, осталось 4",
        "💰 Пополнение\n+100 ₽, баланс 100 ₽",
        "🎁 Подарок\n+3 бесплатные операции, осталось 7",
        "ℹ️ Поддержка\n+50 ₽, баланс 150 ₽",
        "🎨 Создать\n−1 бесплатная операция, осталось 6",
        "🎨 Создать\n−1 бесплатная операция, осталось 5",
    ] {
        assert!(shown.contains(line), "{line:?} is missing: {shown}");
    }

    let request = ListOperationsRequest { user_id: friend.id, ..Default::default() };
    let operations = world.billing.list_operations(request).await.unwrap().operations;
    assert_eq!(operations.len(), 2);
    let operation = &operations[0].operation_id;
    let refund = operator.say(&format!("/refund {} {operation} не то", friend.id)).await;
    operator.hears(refund, "Возвращено: бесплатная операция").await;
    friend.hears(second.id, "Возврат").await;
    assert_eq!(world.account(friend.id).await.free_operations, 6);
    let user = operator.say(&format!("/user {}", friend.id)).await;
    let found = operator.hears(user, "Баланс 150 ₽").await.text;
    assert!(found.contains(operation) && found.contains("По промокоду: скидка 20 %"), "{found}");
    let stats = operator.say("/stats").await;
    operator.hears(stats, "Всего: 2 работ (бесплатно 2), 0 ₽, возвратов 1").await;
    world.check_books().await;
}
