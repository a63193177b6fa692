//! Promo codes: asked for, redeemed once, and shown while they have effect.

use prost_types::Timestamp;
use proto::billing::v1::promo_effect::Effect;
use proto::billing::v1::{FreeAccess, OperationDiscount, PromoEffect, TopUpBonus};
use rstest::rstest;
use serde_json::json;

use crate::app::{App, Engine, said};

/// 2026-12-01 12:00 in Moscow.
const UNTIL: Timestamp = Timestamp { seconds: 1_796_115_600, nanos: 0 };

fn offers(app: &App, code: &str, effect: Effect) {
    app.model(|model| {
        model.promo_codes.insert(code.to_owned(), PromoEffect { effect: Some(effect) });
    });
}

fn discount() -> Effect {
    Effect::OperationDiscount(OperationDiscount { percent: 20, until: Some(UNTIL) })
}

#[rstest]
#[case(Engine::Sqlite)]
#[case(Engine::Postgres)]
#[tokio::test]
async fn a_code_is_asked_for_redeemed_and_shown_below_the_balance(#[case] engine: Engine) {
    let app = App::start_on(engine).await;
    offers(&app, "AUTUMN", discount());
    let user = app.guest().await;
    let asked = user.writes("/balance").await;
    let balance = user.reads(asked, "Баланс").await;
    assert!(!said(&balance).contains("По промокоду"));

    let after = user.presses(&balance, "Промокод").await;
    user.reads(after - 1, "Напишите промокод").await;
    let wrong = user.writes("winter").await;
    user.reads(wrong, "Такого промокода нет").await;
    let photo = user.sends_photo(crate::app::picture(1), &[]).await;
    user.reads(photo, "Жду промокод").await;
    let right = user.writes(" autumn ").await;
    user.reads(right, "скидка 20 % на работы, до 01.12.2026 12:00 (МСК)").await;

    let again = user.writes("/balance").await;
    let balance = user.reads(again, "Баланс").await;
    assert!(said(&balance).contains("По промокоду: скидка 20 %"), "{balance:#}");
    let once_more = user.writes("/promo AUTUMN").await;
    user.reads(once_more, "Вы уже использовали этот промокод").await;
    app.stop().await;
}

#[tokio::test]
async fn the_question_before_goes_on_after_the_code() {
    let app = App::start().await;
    offers(
        &app,
        "BONUS",
        Effect::TopUpBonus(TopUpBonus { percent: 10, bonus_max_kopecks: 0, until: None }),
    );
    let user = app.guest().await;
    user.opens("mode_generate", "Опишите картинку").await;

    let asked = user.writes("/promo").await;
    user.reads(asked, "Напишите промокод").await;
    let code = user.writes("BONUS").await;
    user.reads(code, "бонус 10 % к следующему пополнению.").await;
    user.writes("кот").await;

    let operation = app.submitted().await;
    assert!(!operation.is_empty());
    app.stop().await;
}

#[tokio::test]
async fn an_update_that_comes_twice_redeems_once() {
    let app = App::start().await;
    offers(&app, "ACCESS", Effect::FreeAccess(FreeAccess { until: Some(UNTIL) }));
    app.fault(&json!({"telegram": "repeat_updates"})).await;
    let user = app.guest().await;

    let code = user.writes("/promo access").await;
    user.reads(code, "все работы бесплатно, до 01.12.2026").await;
    let help = user.writes("/help").await;
    user.reads(help, "Что я умею").await;

    app.model(|model| {
        assert!(model.redeem_keys.iter().all(|key| *key == model.redeem_keys[0]), "one intent");
        assert!(model.redeem_keys[0].starts_with("bot:promo:"));
    });
    assert_eq!(user.count("Вы уже использовали").await, 0);
    app.stop().await;
}

#[tokio::test]
async fn a_link_with_a_code_redeems_it_for_somebody_new() {
    let app = App::start().await;
    offers(&app, "AUTUMN", discount());
    let user = app.user().await;

    let start = user.writes("/start promo_AUTUMN").await;

    user.reads(start, "Выберите, что сделать").await;
    user.reads(start, "скидка 20 %").await;
    app.stop().await;
}
