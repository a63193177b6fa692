//! Paying in: sums, links, checks and notices.

use proto::billing::v1::event::What;
use proto::billing::v1::{
    BalanceAdjusted, Event, Operation, OperationExpired, OperationState, PaymentSource, TopUp,
    TopUpCancelled, TopUpReversed, TopUpSettled,
};
use proto::payments::v1::PaymentState;
use proto::reason;
use rstest::rstest;

use crate::app::{App, Engine, User, said};
use crate::fakes::{Fault, Payment, to_lend};

/// Opens the payment menu; answers with it.
async fn menu(app: &App, user: User<'_>) -> serde_json::Value {
    let after = user.writes("/balance").await;
    let balance = user.reads(after, "Баланс").await;
    let after = user.presses(&balance, "Пополнить").await;
    let menu = user.reads(after - 1, "На сколько пополнить").await;
    assert!(app.model(|model| model.payment_keys.is_empty()));
    menu
}

async fn payment(app: &App) -> Payment {
    app.until("a payment is made", |model| model.payments.last().cloned()).await
}

#[tokio::test]
async fn a_sum_of_the_menu_becomes_a_link_and_its_check_says_how_it_stands() {
    let app = App::start().await;
    let user = app.guest().await;
    let menu = menu(&app, user).await;

    let after = user.presses(&menu, "100 ₽").await;
    let link = user.reads(after - 1, "Пополнение на 100 ₽").await;
    let made = payment(&app).await;
    assert!(made.key.starts_with("bot:pay:"), "{made:?}");
    assert_eq!(made.amount, 10_000);
    let buttons = link["buttons"].to_string();
    assert!(buttons.contains("Оплатить 100 ₽") && buttons.contains(&made.top_up_id), "{buttons}");

    let after = user.presses(&link, "Проверить оплату").await;
    user.reads(after - 1, "ещё не поступила").await;
    app.model(|model| {
        model.payments[0].state = PaymentState::Settled;
        model.accounts.get_mut(&user.id).unwrap().balance_kopecks = 10_000;
    });
    let after = user.presses(&link, "Проверить оплату").await;
    user.reads(after - 1, "Баланс пополнен на 100 ₽. Баланс: 100 ₽").await;
    app.stop().await;
}

#[tokio::test]
async fn a_declined_payment_says_why() {
    let app = App::start().await;
    let user = app.guest().await;
    let menu = menu(&app, user).await;
    let after = user.presses(&menu, "300 ₽").await;
    let link = user.reads(after - 1, "Пополнение на 300 ₽").await;
    payment(&app).await;
    app.model(|model| {
        model.payments[0].state = PaymentState::Cancelled;
        model.payments[0].reason = "insufficient_funds".to_owned();
    });

    let after = user.presses(&link, "Проверить оплату").await;

    user.reads(after - 1, "недостаточно средств. Деньги не списаны").await;
    app.stop().await;
}

#[rstest]
#[case("150", Some(15_000), "Пополнение на 150 ₽")]
#[case("99,50", Some(9_950), "Пополнение на 99,50 ₽")]
#[case("1 000 ₽", Some(100_000), "Пополнение на 1000 ₽")]
#[case("сто", None, "Не получилось прочитать сумму")]
#[case("-5", None, "Не получилось прочитать сумму")]
#[case("0", None, "Слишком мало: минимум 1 ₽")]
#[case("350000,01", None, "Слишком много: максимум 350000 ₽")]
#[case("99999999999999999999", None, "Слишком много")]
#[tokio::test]
async fn another_sum_is_read_or_refused(
    #[case] written: &str,
    #[case] kopecks: Option<i64>,
    #[case] answer: &str,
) {
    let app = App::start().await;
    let user = app.guest().await;
    user.opens("top_up_other", "Напишите сумму").await;

    let after = user.writes(written).await;

    user.reads(after, answer).await;
    let made = app.model(|model| model.payments.first().map(|payment| payment.amount));
    assert_eq!(made, kopecks);
    app.stop().await;
}

#[tokio::test]
async fn a_provider_that_is_away_is_tried_again_for_the_same_payment() {
    let app = App::start().await;
    let user = app.guest().await;
    let menu = menu(&app, user).await;
    app.model(|model| model.create_payment = Fault::LostBefore(u32::MAX));

    let after = user.presses(&menu, "500 ₽").await;
    let sorry = user.reads(after - 1, "Платёжная система сейчас не отвечает").await;
    app.model(|model| model.create_payment = Fault::None);
    let after = user.presses(&sorry, "ещё раз").await;

    user.reads(after - 1, "Пополнение на 500 ₽").await;
    app.model(|model| {
        assert!(model.payment_keys.len() > 1);
        assert!(model.payment_keys.iter().all(|key| *key == model.payment_keys[0]));
    });
    app.stop().await;
}

#[tokio::test]
async fn a_payment_that_is_refused_is_said() {
    let app = App::start().await;
    let user = app.guest().await;
    let menu = menu(&app, user).await;
    app.model(|model| model.create_payment = Fault::Refused(reason::PROVIDER_REFUSED));

    let after = user.presses(&menu, "1000 ₽").await;

    user.reads(after - 1, "не приняла платёж на 1000 ₽. Деньги не списаны").await;
    app.stop().await;
}

#[tokio::test]
async fn a_shop_that_is_not_set_up_is_no_fault_of_the_sum() {
    let app = App::start().await;
    let user = app.guest().await;
    let menu = menu(&app, user).await;
    app.model(|model| model.create_payment = Fault::Refused(reason::SHOP_NOT_READY));

    let after = user.presses(&menu, "1000 ₽").await;

    let told = user.reads(after - 1, "Оплата временно недоступна. Деньги не списаны").await;
    assert!(!said(&told).contains("сумм"), "{told:#}");
    app.stop().await;
}

#[tokio::test]
async fn a_provider_that_is_down_is_said_to_be_so_and_the_payment_goes_on_later() {
    let app = App::start().await;
    let user = app.guest().await;
    let menu = menu(&app, user).await;
    app.model(|model| model.create_payment = Fault::Away(reason::PROVIDER_DOWN));

    let after = user.presses(&menu, "500 ₽").await;
    let sorry = user.reads(after - 1, "сейчас не работает. Деньги не списаны").await;
    app.model(|model| model.create_payment = Fault::None);
    let after = user.presses(&sorry, "ещё раз").await;

    user.reads(after - 1, "Пополнение на 500 ₽").await;
    app.model(|model| {
        assert!(model.payment_keys.iter().all(|key| *key == model.payment_keys[0]));
    });
    app.stop().await;
}

#[tokio::test]
async fn a_question_that_was_open_is_asked_again_after_another_sum() {
    let app = App::start().await;
    let user = app.guest().await;
    let opened = user.opens("mode_generate", "Стоимость").await;
    user.presses_data(opened, "top_up_other").await;
    user.reads(opened, "Напишите сумму").await;
    let sum = user.writes("200").await;
    user.reads(sum, "Пополнение на 200 ₽").await;

    user.writes("кот").await;

    app.submitted().await;
    app.stop().await;
}

#[rstest]
#[case(Engine::Sqlite)]
#[case(Engine::Postgres)]
#[tokio::test]
async fn a_top_up_that_arrived_is_told_once_and_its_link_loses_its_buttons(#[case] engine: Engine) {
    let app = App::start_on(engine).await;
    let user = app.guest().await;
    let menu = menu(&app, user).await;
    let after = user.presses(&menu, "100 ₽").await;
    let link = user.reads(after - 1, "Пополнение на 100 ₽").await;
    let made = payment(&app).await;
    let top_up = TopUp {
        top_up_id: made.top_up_id,
        user_id: user.id,
        credited_kopecks: 10_000,
        ..TopUp::default()
    };
    let settled = TopUpSettled { top_up: Some(top_up), balance_after_kopecks: 10_000 };
    tell(&app, user, What::TopUpSettled(settled)).await;

    user.reads(after, "Баланс пополнен на 100 ₽. Баланс: 100 ₽").await;
    let is_bare = |message: &serde_json::Value| {
        message["message_id"] == link["message_id"]
            && message["buttons"].as_array().is_none_or(Vec::is_empty)
    };
    user.sees("the link without buttons", is_bare).await;
    app.model(|model| {
        model.events[0].is_acknowledged = false;
        model.events[0].lent = None;
    });
    acknowledged(&app).await;
    assert_eq!(user.count("Баланс пополнен").await, 1);
    app.stop().await;
}

#[tokio::test]
async fn a_hold_that_ran_out_of_time_is_told() {
    let app = App::start().await;
    let user = app.guest().await;
    let operation = Operation {
        operation_id: "0190aaaa-0000-7000-8000-000000000001".to_owned(),
        user_id: user.id,
        state: OperationState::Expired.into(),
        source: PaymentSource::Balance.into(),
        price_kopecks: 1_000,
        ..Operation::default()
    };

    let expired = OperationExpired { operation: Some(operation) };
    tell(&app, user, What::OperationExpired(expired)).await;

    let notice = user.reads(0, "не завершилась вовремя").await;
    assert!(said(&notice).contains("10 ₽ возвращены на баланс"), "{notice:#}");
    app.stop().await;
}

#[tokio::test]
async fn what_support_and_the_provider_have_moved_is_told() {
    let app = App::start().await;
    let user = app.guest().await;

    let given = BalanceAdjusted { amount_kopecks: 5_000, balance_after_kopecks: 6_000 };
    tell(&app, user, What::BalanceAdjusted(given)).await;

    let notice = user.reads(0, "Поддержка начислила 50 ₽").await;
    assert!(said(&notice).contains("Баланс: 60 ₽"), "{notice:#}");
    app.stop().await;
}

#[tokio::test]
async fn a_reversed_top_up_is_told_with_the_debt_that_it_leaves() {
    let app = App::start().await;
    let user = app.guest().await;

    let reversed = TopUpReversed {
        reversed_kopecks: 10_000,
        balance_after_kopecks: -2_000,
        ..TopUpReversed::default()
    };
    tell(&app, user, What::TopUpReversed(reversed)).await;

    let notice = user.reads(0, "Платёж возвращён").await;
    assert!(said(&notice).contains("списано 100 ₽"), "{notice:#}");
    app.stop().await;
}

fn cancelled(top_up_id: &str, reason: &str) -> What {
    let top_up = TopUp {
        top_up_id: top_up_id.to_owned(),
        credited_kopecks: 30_000,
        cancel_reason: reason.to_owned(),
        ..TopUp::default()
    };
    What::TopUpCancelled(TopUpCancelled { top_up: Some(top_up) })
}

#[tokio::test]
async fn a_payment_that_came_to_nothing_is_explained_without_being_asked_about() {
    let app = App::start().await;
    let user = app.guest().await;
    let menu = menu(&app, user).await;
    let after = user.presses(&menu, "300 ₽").await;
    user.reads(after - 1, "Пополнение на 300 ₽").await;
    let made = payment(&app).await;

    tell(&app, user, cancelled(&made.top_up_id, "insufficient_funds")).await;

    user.reads(0, "недостаточно средств. Деньги не списаны").await;
    user.reads(0, "Ссылка на оплату 300 ₽ больше не действует").await;
    app.stop().await;
}

#[tokio::test]
async fn a_link_that_nobody_paid_says_so_and_nothing_else_is_sent() {
    let app = App::start().await;
    let user = app.guest().await;
    let menu = menu(&app, user).await;
    let after = user.presses(&menu, "300 ₽").await;
    user.reads(after - 1, "Пополнение на 300 ₽").await;
    let made = payment(&app).await;
    let before = user.chat().await.len();

    tell(&app, user, cancelled(&made.top_up_id, "expired_on_confirmation")).await;

    let link = user.reads(0, "Ссылка на оплату 300 ₽ больше не действует").await;
    assert!(!link["buttons"].to_string().contains("Проверить оплату"), "{link:#}");
    assert_eq!(user.chat().await.len(), before, "no message more");
    app.stop().await;
}

#[tokio::test]
async fn who_asked_about_a_declined_payment_is_not_told_again() {
    let app = App::start().await;
    let user = app.guest().await;
    let menu = menu(&app, user).await;
    let after = user.presses(&menu, "300 ₽").await;
    let link = user.reads(after - 1, "Пополнение на 300 ₽").await;
    let made = payment(&app).await;
    app.model(|model| {
        model.payments[0].state = PaymentState::Cancelled;
        model.payments[0].reason = "insufficient_funds".to_owned();
    });
    let after = user.presses(&link, "Проверить оплату").await;
    user.reads(after - 1, "недостаточно средств").await;

    tell(&app, user, cancelled(&made.top_up_id, "insufficient_funds")).await;

    user.reads(0, "больше не действует").await;
    assert_eq!(user.count("недостаточно средств").await, 1);
    app.stop().await;
}

async fn tell(app: &App, user: User<'_>, what: What) {
    let event = Event { user_id: user.id, number: 1, what: Some(what), ..Event::default() };
    app.model(|model| model.events.push(to_lend(event)));
    acknowledged(app).await;
}

async fn acknowledged(app: &App) {
    let is_done = |model: &mut crate::fakes::Model| model.events[0].is_acknowledged.then_some(());
    app.until("the event is acknowledged", is_done).await;
}

#[rstest]
#[case(Engine::Sqlite)]
#[case(Engine::Postgres)]
#[tokio::test]
async fn what_the_money_did_not_suffice_for_begins_with_one_tap_after_the_top_up(
    #[case] engine: Engine,
) {
    let app = App::start_on(engine).await;
    let user = app.guest().await;
    app.set_account(&user, 1, 0);
    user.opens("mode_generate", "Стоимость").await;
    app.set_account(&user, 0, 0);
    let prompt = user.writes("кот").await;
    let refusal = user.reads(prompt, "Начатое сохранено").await;
    let early = user.presses(&refusal, "Начать – 10 ₽").await;
    user.reads(early - 1, "Начатое сохранено").await;

    let after = user.presses(&refusal, "Пополнить").await;
    let menu = user.reads(after - 1, "На сколько пополнить").await;
    let after = user.presses(&menu, "100 ₽").await;
    user.reads(after - 1, "Пополнение на 100 ₽").await;
    let top_up = TopUp {
        top_up_id: payment(&app).await.top_up_id,
        user_id: user.id,
        credited_kopecks: 10_000,
        ..TopUp::default()
    };
    app.set_account(&user, 0, 10_000);
    let settled = TopUpSettled { top_up: Some(top_up), balance_after_kopecks: 10_000 };
    tell(&app, user, What::TopUpSettled(settled)).await;
    let told = user.reads(after, "Вы начали: 🎨 Создать. Продолжить?").await;
    user.presses(&told, "Начать – 10 ₽").await;
    app.submitted().await;
    let again = user.presses(&told, "Начать – 10 ₽").await;

    user.reads(again - 1, "Эта кнопка больше не действует").await;
    app.model(|model| {
        assert_eq!(model.jobs.len(), 1);
        assert_eq!(model.submits[0].prompt, "кот");
    });
    app.stop().await;
}

#[tokio::test]
async fn a_price_that_rose_is_paid_only_after_a_tap_that_shows_it() {
    let app = App::start().await;
    let user = app.guest().await;
    app.set_account(&user, 0, 10_000);
    user.opens("mode_generate", "Стоимость: 10 ₽").await;
    app.model(|model| model.price = 1_500);

    let prompt = user.writes("кот").await;
    let changed = user.reads(prompt, "Цена изменилась: теперь 15 ₽").await;
    assert_eq!(app.model(|model| model.jobs.len()), 0);
    user.presses(&changed, "Начать – 15 ₽").await;

    app.submitted().await;
    app.model(|model| assert_eq!(model.accounts[&user.id].balance_kopecks, 8_500));
    app.stop().await;
}
