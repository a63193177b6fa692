//! Paying in Stars: offered, asked about before, credited or given back, and refunded.

use std::time::{Duration, Instant};

use bot_gateway::schema::schema;
use proto::reason;
use rstest::rstest;
use serde_json::{Value, json};

use crate::app::{App, Engine, OPERATOR, User};
use crate::fakes::{Fault, Model};

/// What 100 ₽ cost at the fake's rate, and what they bring.
const STARS: i64 = 67;
const CREDITED: i64 = 10_050;

/// Opens the menu of payments, then that of Stars, then an invoice for 100 ₽; answers with it.
pub(crate) async fn invoiced(user: User<'_>) -> Value {
    let after = user.writes("/balance").await;
    let balance = user.reads(after, "Баланс").await;
    let after = user.presses(&balance, "Пополнить").await;
    let menu = user.reads(after - 1, "На сколько пополнить").await;
    let after = user.presses(&menu, "⭐ Stars").await;
    let offers = user.reads(after - 1, "сколько звёзд вы заплатите").await;
    user.presses(&offers, "67 ⭐ → 100,50 ₽").await;
    let newer = |message: &Value| {
        message["invoice"]["stars"] == STARS
            && message["message_id"].as_i64() > offers["message_id"].as_i64()
    };
    user.sees("an invoice", newer).await
}

async fn credited(app: &App) -> String {
    app.until("a payment is credited", |model| model.invoices.last()?.charge.clone()).await
}

fn balance(app: &App, user: User<'_>) -> i64 {
    app.model(|model| model.accounts[&user.id].balance_kopecks)
}

#[rstest]
#[case(Engine::Sqlite)]
#[case(Engine::Postgres)]
#[tokio::test]
async fn a_payment_is_asked_about_and_credited_once(#[case] engine: Engine) {
    let app = App::start_on(engine).await;
    let user = app.guest().await;
    let invoice = invoiced(user).await;
    app.model(|model| assert!(model.invoices[0].key.starts_with("bot:stars:")));
    app.fault(&json!({"telegram": "repeat_updates"})).await;
    app.model(|model| model.confirm = Fault::LostAfter(1));

    let paid = user.pays(&invoice, user.id).await;

    assert_eq!(paid["paid"], true, "{paid}");
    assert_eq!(credited(&app).await, paid["charge_id"].as_str().unwrap());
    // One chat's updates are handled in order: once this is answered, so is all before it.
    let help = user.writes("/help").await;
    user.reads(help, "Что я умею").await;
    assert_eq!(balance(&app, user), CREDITED);
    app.stop().await;
}

#[tokio::test]
async fn a_question_before_a_payment_does_not_wait_behind_the_chat() {
    let app = App::start().await;
    let user = app.guest().await;
    let invoice = invoiced(user).await;
    app.model(|model| model.account = Fault::Hangs);
    user.writes("/balance").await;

    let asked = Instant::now();
    let paid = user.pays(&invoice, user.id).await;

    assert_eq!(paid["paid"], true, "{paid}");
    assert!(asked.elapsed() < Duration::from_secs(4), "{:?}", asked.elapsed());
    app.model(|model| model.account = Fault::None);
    credited(&app).await;
    app.stop().await;
}

#[rstest]
#[case::hangs(Fault::Hangs)]
#[case::is_away(Fault::LostBefore(u32::MAX))]
#[tokio::test]
async fn a_payment_that_nobody_can_decide_about_is_stopped_in_time(#[case] fault: Fault) {
    let app = App::start().await;
    let user = app.guest().await;
    let invoice = invoiced(user).await;
    app.model(|model| model.pre_checkout = fault);

    let stopped = user.pays(&invoice, user.id).await;

    let said = stopped["error"].as_str().unwrap();
    assert!(said.contains("Звёзды не списаны. Попробуйте ещё раз"), "{said}");
    app.model(|model| model.pre_checkout = Fault::None);
    assert_eq!(user.pays(&invoice, user.id).await["paid"], true);
    credited(&app).await;
    app.stop().await;
}

#[rstest]
#[case(reason::TOP_UP_SETTLED, "уже оплачен")]
#[case(reason::INVOICE_EXPIRED, "Счёт устарел")]
#[case(reason::TOP_UP_AMOUNT_MISMATCH, "Сумма не совпадает")]
#[case(reason::STARS_NOT_OFFERED, "сейчас выключена")]
#[tokio::test]
async fn an_invoice_that_must_not_be_paid_is_refused_in_words(
    #[case] refusal: &'static str,
    #[case] words: &str,
) {
    let app = App::start().await;
    let user = app.guest().await;
    let invoice = invoiced(user).await;
    app.model(|model| model.pre_checkout = Fault::Refused(refusal));

    let stopped = user.pays(&invoice, user.id).await;

    assert!(stopped["error"].as_str().unwrap().contains(words), "{stopped}");
    app.stop().await;
}

#[tokio::test]
async fn an_invoice_of_somebody_else_is_refused() {
    let app = App::start().await;
    let user = app.guest().await;
    let friend = app.guest().await;
    let invoice = invoiced(user).await;

    let stopped = friend.pays(&invoice, user.id).await;

    assert!(stopped["error"].as_str().unwrap().contains("другому человеку"), "{stopped}");
    app.stop().await;
}

#[rstest]
#[case(Engine::Sqlite)]
#[case(Engine::Postgres)]
#[tokio::test]
async fn a_payment_waits_for_the_services_and_its_chat_goes_on(#[case] engine: Engine) {
    let mut app = App::start_on(engine).await;
    let id = app.guest().await.id;
    let invoice = invoiced(app.known(id)).await;
    app.model(|model| model.confirm = Fault::LostBefore(u32::MAX));

    let paid = app.known(id).pays(&invoice, id).await;
    let sent = paid["message_id"].as_i64().unwrap();
    app.known(id).reads(sent, "Платёж звёздами получен").await;
    let help = app.known(id).writes("/help").await;
    app.known(id).reads(help, "Что я умею").await;
    app.stop_bot().await;
    app.model(|model| model.confirm = Fault::None);
    app.start_bot(schema()).await;

    assert_eq!(credited(&app).await, paid["charge_id"].as_str().unwrap());
    assert_eq!(balance(&app, app.known(id)), CREDITED);
    assert_eq!(app.known(id).count("Платёж звёздами получен").await, 1);
    app.stop().await;
}

#[tokio::test]
async fn the_second_payment_of_an_invoice_is_given_back() {
    let app = App::start().await;
    let user = app.guest().await;
    let before = user.stars().await;
    let invoice = invoiced(user).await;
    app.fault(&json!({"telegram": "drop_after", "telegram_count": 1})).await;

    let both = user.pays_twice(&invoice).await;

    assert_eq!((&both[0]["paid"], &both[1]["paid"]), (&json!(true), &json!(true)), "{both}");
    user.reads(0, "Второй платёж (67 ⭐) возвращён").await;
    assert_eq!(user.stars().await, before - STARS);
    // Telegram tells of the refund, and nothing is taken for it.
    let is_told = |model: &mut Model| (!model.reversed.is_empty()).then_some(());
    app.until("the refund is told", is_told).await;
    assert_eq!(balance(&app, user), CREDITED);
    app.stop().await;
}

#[tokio::test]
async fn an_operator_gives_stars_back_and_nobody_else_does() {
    let app = App::start().await;
    let operator = app.guest().await;
    assert_eq!(operator.id, OPERATOR);
    let user = app.guest().await;
    let before = user.stars().await;
    let invoice = invoiced(user).await;
    let paid = user.pays(&invoice, user.id).await;
    credited(&app).await;
    let charge = paid["charge_id"].as_str().unwrap();
    let command = format!("/refund_stars {} {charge}", user.id);

    let asked = user.writes(&command).await;
    user.reads(asked, "Такой команды нет").await;
    let asked = operator.writes("/refund_stars").await;
    operator.reads(asked, "Так: /refund_stars").await;
    let asked = operator.writes(&format!("/refund_stars {} stx", user.id)).await;
    operator.reads(asked, "нет зачисленного платежа").await;
    assert_eq!(user.stars().await, before - STARS);

    // The answers of Telegram and of payment-gateway get lost.
    app.fault(&json!({"telegram": "drop_after", "telegram_count": 1})).await;
    app.model(|model| model.reverse = Fault::LostBefore(1));
    let asked = operator.writes(&command).await;
    operator.reads(asked, "Возвращено: 67 ⭐").await;
    let again = operator.writes(&command).await;
    operator.reads(again, "Возвращено: 67 ⭐").await;

    assert_eq!(user.stars().await, before);
    assert_eq!(balance(&app, user), 0);
    app.stop().await;
}

#[tokio::test]
async fn a_refund_that_telegram_tells_of_is_handed_over_however_long_it_takes() {
    let app = App::start().await;
    let user = app.guest().await;
    let invoice = invoiced(user).await;
    let paid = user.pays(&invoice, user.id).await;
    credited(&app).await;
    app.model(|model| model.reverse = Fault::LostBefore(u32::MAX));

    let refund = json!({"user_id": user.id, "telegram_payment_charge_id": paid["charge_id"]});
    app.calls("refundStarPayment", &refund).await;
    let is_tried = |model: &mut Model| (model.reversed.len() > 3).then_some(());
    app.until("the refund is tried", is_tried).await;
    app.model(|model| model.reverse = Fault::None);

    let is_reversed = |model: &mut Model| model.invoices[0].is_reversed.then_some(());
    app.until("the refund is handed over", is_reversed).await;
    assert_eq!(balance(&app, user), 0);
    app.stop().await;
}

#[rstest]
#[case::not_offered(None, Fault::None)]
#[case::not_answered(Some(150), Fault::Hangs)]
#[tokio::test]
async fn stars_that_cannot_be_paid_with_are_not_shown(
    #[case] rate: Option<i64>,
    #[case] fault: Fault,
) {
    let app = App::start().await;
    let user = app.guest().await;
    app.model(|model| {
        model.stars_rate = rate;
        model.offers = fault;
    });

    let opened = user.opens("payment_menu", "На сколько пополнить").await;
    let menu = user.sees("the menu", |message| message["message_id"] == opened).await;
    assert!(!menu["buttons"].to_string().contains("Stars"), "{menu:#}");
    app.model(|model| (model.stars_rate, model.offers) = (None, Fault::None));
    // The button of an older message.
    user.presses_data(opened, "stars").await;
    user.reads(opened, "Оплата звёздами сейчас недоступна").await;
    let last = user.chat().await.last().unwrap()["message_id"].as_i64().unwrap();
    user.presses_data(opened, "top_up_in_stars:10000").await;
    user.reads(last, "Оплата звёздами сейчас недоступна").await;
    app.stop().await;
}

#[tokio::test]
async fn terms_and_payment_support_are_there() {
    let app = App::start().await;
    let user = app.guest().await;

    let asked = user.writes("/terms").await;
    user.reads(asked, "Условия").await;
    let asked = user.writes("/paysupport").await;
    user.reads(asked, &format!("Ваш номер: {}", user.id)).await;

    let offered = app.commands().await;
    assert!(offered.contains("terms") && offered.contains("paysupport"), "{offered}");
    assert!(!offered.contains("refund_stars"), "{offered}");
    app.stop().await;
}
