//! The e-mail for receipts: asked for once, checked, kept, shown and changed.

use proto::payments::v1::PaymentState;
use rstest::rstest;
use serde_json::Value;

use crate::app::{App, Engine, User, said};
use crate::fakes::Fault;

const QUESTION: &str = "На какой e-mail прислать чек?";

/// A user of a shop with receipts, before the sums.
async fn before_the_sums(app: &App) -> (User<'_>, Value) {
    app.model(|model| model.wants_receipts = true);
    let user = app.guest().await;
    (user, menu(user).await)
}

async fn menu(user: User<'_>) -> Value {
    let after = user.writes("/balance").await;
    let balance = user.reads(after, "Баланс").await;
    let after = user.presses(&balance, "Пополнить").await;
    user.reads(after - 1, "На сколько пополнить").await
}

/// The addresses that payments were made with.
fn addresses(app: &App) -> Vec<Option<String>> {
    app.model(|model| model.payments.iter().map(|payment| payment.email.clone()).collect())
}

#[rstest]
#[case(Engine::Sqlite)]
#[case(Engine::Postgres)]
#[tokio::test]
async fn the_address_is_asked_for_once_and_the_payment_goes_on_by_itself(#[case] engine: Engine) {
    let app = App::start_on(engine).await;
    let (user, sums) = before_the_sums(&app).await;

    let after = user.presses(&sums, "100 ₽").await;
    let asked = user.reads(after - 1, QUESTION).await;
    assert!(said(&asked).contains("пополнение на 100 ₽"), "{asked:#}");
    let address = user.writes(" Anna@Example.COM ").await;

    user.reads(address, "Чеки будут приходить на Anna@example.com").await;
    user.reads(address, "Пополнение на 100 ₽").await;
    assert_eq!(addresses(&app), [Some("Anna@example.com".to_owned())]);
    app.model(|model| {
        assert!(model.payment_keys.iter().all(|key| *key == model.payment_keys[0]), "one intent");
    });

    let sums = menu(user).await;
    let after = user.presses(&sums, "300 ₽").await;
    user.reads(after - 1, "Пополнение на 300 ₽").await;
    assert_eq!(user.count(QUESTION).await, 1, "never again");
    assert_eq!(addresses(&app).len(), 2);
    app.stop().await;
}

#[rstest]
#[case("сто рублей", "Не вижу здесь адреса")]
#[case("a@b.ru и c@d.ru", "Не вижу здесь адреса")]
#[case("анна@почта.рф", "латинскими буквами")]
#[case("anna@example", "В адресе ошибка")]
#[case("anna..k@example.com", "В адресе ошибка")]
#[tokio::test]
async fn a_wrong_address_is_refused_in_words_and_asked_for_again(
    #[case] written: &str,
    #[case] answer: &str,
) {
    let app = App::start().await;
    let (user, sums) = before_the_sums(&app).await;
    let after = user.presses(&sums, "100 ₽").await;
    user.reads(after - 1, QUESTION).await;

    let wrong = user.writes(written).await;
    user.reads(wrong, answer).await;
    assert_eq!(addresses(&app), []);

    let right = user.writes("anna@example.com").await;
    user.reads(right, "Пополнение на 100 ₽").await;
    app.stop().await;
}

#[tokio::test]
async fn an_address_that_is_too_long_is_said_to_be_so() {
    let app = App::start().await;
    let (user, sums) = before_the_sums(&app).await;
    let after = user.presses(&sums, "100 ₽").await;
    user.reads(after - 1, QUESTION).await;

    let long = user.writes(&format!("{}@example.com", "a".repeat(243))).await;

    user.reads(long, "слишком длинный").await;
    app.stop().await;
}

#[rstest]
#[case(Engine::Sqlite)]
#[case(Engine::Postgres)]
#[tokio::test]
async fn the_question_and_the_wish_behind_it_survive_a_restart(#[case] engine: Engine) {
    let mut app = App::start_on(engine).await;
    app.model(|model| model.wants_receipts = true);
    let user_id = {
        let user = app.guest().await;
        // The sum is asked for in the middle of a mode: that question comes back in the end.
        let opened = user.opens("mode_generate", "Стоимость").await;
        user.presses_data(opened, "top_up_other").await;
        user.reads(opened, "Напишите сумму").await;
        let sum = user.writes("250").await;
        user.reads(sum, QUESTION).await;
        user.id
    };

    app.stop_bot().await;
    app.start_bot(bot_gateway::schema::schema()).await;
    let user = app.known(user_id);
    let photo = user.sends_photo(crate::app::picture(1), &[]).await;
    user.reads(photo, "Жду e-mail").await;
    let address = user.writes("anna@example.com").await;

    user.reads(address, "Пополнение на 250 ₽").await;
    assert_eq!(addresses(&app).len(), 1);
    user.writes("рыжий кот").await;
    app.submitted().await;
    app.stop().await;
}

#[tokio::test]
async fn the_balance_shows_where_receipts_go_and_lets_it_be_changed() {
    let app = App::start().await;
    let (user, sums) = before_the_sums(&app).await;
    assert!(!said(&sums).contains("Чеки"), "nothing is known yet: {sums:#}");
    let after = user.presses(&sums, "100 ₽").await;
    user.reads(after - 1, QUESTION).await;
    let address = user.writes("anna@example.com").await;
    user.reads(address, "Пополнение на 100 ₽").await;

    let sums = menu(user).await;
    assert!(said(&sums).contains("🧾 Чеки: anna@example.com"), "{sums:#}");
    let after = user.presses(&sums, "Сменить e-mail").await;
    user.reads(after - 1, "Сейчас чеки приходят на anna@example.com").await;
    let wrong = user.writes("boris").await;
    user.reads(wrong, "Не вижу здесь адреса").await;
    let other = user.writes("boris@example.com").await;
    user.reads(other, "Чеки будут приходить на boris@example.com").await;

    let sums = menu(user).await;
    assert!(said(&sums).contains("boris@example.com"), "{sums:#}");
    let after = user.presses(&sums, "100 ₽").await;
    user.reads(after - 1, "Пополнение на 100 ₽").await;
    let expected = ["anna@example.com", "boris@example.com"].map(|email| Some(email.to_owned()));
    assert_eq!(addresses(&app), expected);
    app.stop().await;
}

#[tokio::test]
async fn the_question_can_be_left() {
    let app = App::start().await;
    let (user, sums) = before_the_sums(&app).await;
    let after = user.presses(&sums, "100 ₽").await;
    let asked = user.reads(after - 1, QUESTION).await;

    let after = user.presses(&asked, "Отмена").await;
    user.reads(after - 1, "Отменено").await;

    let text = user.writes("anna@example.com").await;
    user.reads(text, "Сначала выберите").await;
    assert_eq!(addresses(&app), []);
    app.stop().await;
}

#[tokio::test]
async fn another_sum_meanwhile_is_the_one_that_is_paid() {
    let app = App::start().await;
    let (user, sums) = before_the_sums(&app).await;
    let after = user.presses(&sums, "100 ₽").await;
    user.reads(after - 1, QUESTION).await;

    let after = user.presses(&sums, "500 ₽").await;
    user.reads(after - 1, "пополнение на 500 ₽").await;
    let address = user.writes("anna@example.com").await;
    user.reads(address, "Пополнение на 500 ₽").await;

    app.model(|model| {
        assert_eq!(model.payments.len(), 1);
        assert_eq!(
            (model.payments[0].amount, model.payments[0].state),
            (50_000, PaymentState::Pending)
        );
    });
    app.stop().await;
}

#[tokio::test]
async fn an_address_is_kept_though_the_payment_cannot_be_made_then() {
    let app = App::start().await;
    let (user, sums) = before_the_sums(&app).await;
    let after = user.presses(&sums, "100 ₽").await;
    user.reads(after - 1, QUESTION).await;
    app.model(|model| model.create_payment = Fault::LostBefore(u32::MAX));

    let address = user.writes("anna@example.com").await;
    let sorry = user.reads(address, "сейчас не отвечает").await;
    app.model(|model| model.create_payment = Fault::None);
    let after = user.presses(&sorry, "ещё раз").await;

    user.reads(after - 1, "Пополнение на 100 ₽").await;
    assert_eq!(addresses(&app), [Some("anna@example.com".to_owned())]);
    app.stop().await;
}
