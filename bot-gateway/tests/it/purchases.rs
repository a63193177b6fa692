//! Reserve before, refund if it fails, and nothing twice.

use proto::media::v1::FailureReason;
use proto::reason;
use rstest::rstest;
use serde_json::json;

use crate::app::{App, Engine, picture, said};
use crate::fakes::Fault;

#[tokio::test]
async fn who_cannot_pay_is_told_so_with_a_button_and_nothing_is_taken() {
    let app = App::start().await;
    let user = app.guest().await;
    app.set_account(&user, 0, 999);

    let opened = user.opens("mode_generate", "Недостаточно средств").await;

    let refusal = user.reads(opened - 1, "Недостаточно средств").await;
    assert!(said(&refusal).contains("Стоимость: 10 ₽, на балансе: 9,99 ₽"), "{refusal:#}");
    assert!(refusal["buttons"].to_string().contains("\"payment_menu\""), "{refusal:#}");
    assert!(app.model(|model| model.operations.is_empty()));
    app.stop().await;
}

#[tokio::test]
async fn after_a_top_up_the_last_answer_is_given_again_and_bought_once() {
    let app = App::start().await;
    let user = app.guest().await;
    app.set_account(&user, 1, 0);
    user.opens("mode_generate", "Стоимость").await;
    app.set_account(&user, 0, 0);

    let prompt = user.writes("кот").await;
    let refusal = user.reads(prompt, "Недостаточно средств").await;
    assert!(refusal["buttons"].to_string().contains("\"payment_menu\""), "{refusal:#}");
    app.set_account(&user, 0, 1_000);
    user.writes("кот").await;

    let operation = app.submitted().await;
    app.succeed(&operation, picture(1));
    let result = user.reads(prompt, "Готово").await;
    assert!(said(&result).contains("Списано: 10 ₽. Баланс: 0 ₽"), "{result:#}");
    app.model(|model| {
        assert_eq!(model.reserve_keys.len(), 2);
        assert_eq!(model.reserve_keys[0], model.reserve_keys[1]);
        assert!(model.reserve_keys[0].starts_with("bot:draft:"));
    });
    app.stop().await;
}

#[tokio::test]
async fn the_last_answer_sent_twice_is_one_purchase() {
    let app = App::start().await;
    let user = app.guest().await;
    user.opens("mode_generate", "Стоимость").await;

    user.writes("кот").await;
    let second = user.writes("кот").await;

    user.reads(second, "Сначала выберите").await;
    app.model(|model| {
        assert_eq!(model.operations.len(), 1);
        assert_eq!(model.submits.len(), 1);
    });
    app.stop().await;
}

#[rstest]
#[case(Engine::Sqlite)]
#[case(Engine::Postgres)]
#[tokio::test]
async fn updates_that_come_twice_are_one_purchase(#[case] engine: Engine) {
    let app = App::start_on(engine).await;
    let user = app.guest().await;
    app.fault(&json!({"telegram": "repeat_updates"})).await;

    user.opens("mode_generate", "Стоимость").await;
    user.writes("кот").await;
    let operation = app.submitted().await;
    app.succeed(&operation, picture(1));
    app.acknowledged(&operation).await;
    let help = user.writes("/help").await;
    user.reads(help, "Что я умею").await;

    app.model(|model| {
        assert_eq!(model.reserve_keys.len(), 1);
        assert_eq!(model.submits.len(), 1);
    });
    assert_eq!(user.count("Сначала выберите").await, 0);
    app.stop().await;
}

#[rstest]
#[case(Engine::Sqlite, 1, 0, "Бесплатная операция возвращена")]
#[case(Engine::Postgres, 0, 1_000, "10 ₽ возвращены на баланс")]
#[tokio::test]
async fn refused_work_is_refunded_and_said(
    #[case] engine: Engine,
    #[case] free: i64,
    #[case] balance: i64,
    #[case] back: &str,
) {
    let app = App::start_on(engine).await;
    let user = app.guest().await;
    app.set_account(&user, free, balance);
    app.model(|model| model.submit = Fault::Refused(reason::OPERATION_NOT_RESERVED));
    user.opens("mode_generate", "Стоимость").await;

    let prompt = user.writes("кот").await;

    user.reads(prompt, back).await;
    app.model(|model| {
        assert_eq!(model.submits.len(), 1);
        assert_eq!(model.refunds.len(), 1);
        let account = &model.accounts[&user.id];
        assert_eq!((account.free_operations, account.balance_kopecks), (free, balance));
    });
    let next = user.writes("ещё").await;
    user.reads(next, "Сначала выберите").await;
    app.stop().await;
}

#[rstest]
#[case(Engine::Sqlite, Fault::LostBefore(u32::MAX))]
#[case(Engine::Postgres, Fault::LostAfter(u32::MAX))]
#[tokio::test]
async fn an_unanswered_submit_is_repeated_for_the_same_operation(
    #[case] engine: Engine,
    #[case] fault: Fault,
) {
    let app = App::start_on(engine).await;
    let user = app.guest().await;
    app.model(|model| model.submit = fault);
    user.opens("mode_generate", "Стоимость").await;

    // The chat goes on meanwhile.
    user.writes("кот").await;
    let help = user.writes("/help").await;
    user.reads(help, "Что я умею").await;
    app.model(|model| model.submit = Fault::None);
    let operation = app.submitted().await;

    app.succeed(&operation, picture(1));
    app.acknowledged(&operation).await;
    app.model(|model| {
        assert_eq!(model.operations.len(), 1);
        assert!(model.refunds.is_empty());
        assert!(model.submits.len() > 1);
        assert!(model.submits.iter().all(|submit| *submit == model.submits[0]));
    });
    app.stop().await;
}

#[rstest]
#[case(Fault::LostBefore(1))]
#[case(Fault::LostAfter(1))]
#[tokio::test]
async fn an_unanswered_reserve_is_repeated_with_the_same_key(#[case] fault: Fault) {
    let app = App::start().await;
    let user = app.guest().await;
    app.model(|model| model.reserve = fault);
    user.opens("mode_generate", "Стоимость").await;

    user.writes("кот").await;

    app.submitted().await;
    app.model(|model| {
        assert_eq!(model.operations.len(), 1);
        assert_eq!(model.accounts[&user.id].free_operations, 3);
    });
    app.stop().await;
}

#[tokio::test]
async fn a_billing_that_stays_away_is_said_and_the_answer_can_be_given_again() {
    let app = App::start().await;
    let user = app.guest().await;
    user.opens("mode_generate", "Стоимость").await;
    app.model(|model| model.reserve = Fault::LostBefore(u32::MAX));

    let prompt = user.writes("кот").await;
    user.reads(prompt, "Сервис сейчас не отвечает").await;
    app.model(|model| model.reserve = Fault::None);
    user.writes("кот").await;

    app.submitted().await;
    app.model(|model| assert_eq!(model.operations.len(), 1));
    app.stop().await;
}

#[tokio::test]
async fn a_price_that_rose_is_said_before_anything_is_taken() {
    let app = App::start().await;
    let user = app.guest().await;
    user.opens("mode_generate", "Стоимость: 10 ₽").await;
    app.model(|model| model.price = 1_550);

    let prompt = user.writes("кот").await;
    user.reads(prompt, "теперь 15,50 ₽").await;
    assert!(app.model(|model| model.operations.is_empty()));
    user.writes("кот").await;

    app.submitted().await;
    app.stop().await;
}

#[rstest]
#[case(FailureReason::ContentRefused, 1, 0, "Бесплатная операция возвращена")]
#[case(FailureReason::ProviderFailed, 0, 1_000, "10 ₽ возвращены на баланс. Баланс: 10 ₽")]
#[tokio::test]
async fn a_job_that_failed_says_what_came_back(
    #[case] reason: FailureReason,
    #[case] free: i64,
    #[case] balance: i64,
    #[case] back: &str,
) {
    let app = App::start().await;
    let user = app.guest().await;
    app.set_account(&user, free, balance);
    user.opens("mode_generate", "Стоимость").await;
    let prompt = user.writes("кот").await;
    let operation = app.submitted().await;

    app.fail(&operation, reason);

    let said_so = user.reads(prompt, back).await;
    assert!(said(&said_so).contains("Не получилось"), "{said_so:#}");
    assert!(said_so["buttons"].to_string().contains("mode_generate"), "{said_so:#}");
    app.acknowledged(&operation).await;
    app.stop().await;
}

#[tokio::test]
async fn a_result_that_is_handed_over_again_is_sent_once_and_acknowledged() {
    let app = App::start().await;
    let user = app.guest().await;
    user.opens("mode_generate", "Стоимость").await;
    user.writes("кот").await;
    let operation = app.submitted().await;
    app.succeed(&operation, picture(1));
    app.acknowledged(&operation).await;

    app.model(|model| {
        model.results[0].is_acknowledged = false;
        model.results[0].lent = None;
    });
    app.acknowledged(&operation).await;

    assert_eq!(user.count("Готово!").await, 1);
    app.stop().await;
}

#[tokio::test]
async fn the_result_of_a_user_who_blocked_the_bot_is_acknowledged_and_not_refunded() {
    let app = App::start().await;
    let user = app.guest().await;
    user.opens("mode_generate", "Стоимость").await;
    user.writes("кот").await;
    let operation = app.submitted().await;
    user.blocks().await;

    app.succeed(&operation, picture(1));

    app.acknowledged(&operation).await;
    assert!(app.model(|model| model.refunds.is_empty()));
    app.stop().await;
}

#[tokio::test]
async fn a_result_waits_while_telegram_asks_to_slow_down() {
    let app = App::start().await;
    let user = app.guest().await;
    user.opens("mode_generate", "Стоимость").await;
    let prompt = user.writes("кот").await;
    let operation = app.submitted().await;
    user.reads(prompt, "Принято").await;
    app.fault(&json!({"telegram": "too_many_requests", "telegram_count": 2})).await;

    app.succeed(&operation, picture(1));

    user.reads(prompt, "Готово").await;
    app.acknowledged(&operation).await;
    assert_eq!(user.count("Готово!").await, 1);
    app.stop().await;
}

#[tokio::test]
async fn one_users_result_does_not_wait_for_anothers() {
    let app = App::start().await;
    let slow = app.guest().await;
    slow.opens("mode_generate", "Стоимость").await;
    slow.writes("первый").await;
    let lost = app.submitted().await;
    let quick = app.guest().await;
    quick.opens("mode_generate", "Стоимость").await;
    let prompt = quick.writes("второй").await;
    let find = |model: &mut crate::fakes::Model| Some(model.jobs.get(1)?.operation_id.clone());
    let other = app.until("a second job", find).await;

    // What cannot be fetched yet keeps only its own user waiting.
    app.model(|model| model.stuck_picture = lost.clone());
    app.succeed(&lost, picture(1));
    app.succeed(&other, picture(2));

    quick.reads(prompt, "Готово").await;
    app.acknowledged(&other).await;
    assert!(app.model(|model| !model.results[0].is_acknowledged));
    app.model(|model| model.stuck_picture.clear());
    app.acknowledged(&lost).await;
    app.stop().await;
}

#[tokio::test]
async fn a_result_that_was_lost_is_refunded_and_said() {
    let app = App::start().await;
    let user = app.guest().await;
    app.set_account(&user, 0, 1_000);
    user.opens("mode_generate", "Стоимость").await;
    let prompt = user.writes("кот").await;
    let operation = app.submitted().await;
    app.succeed(&operation, picture(1));
    app.model(|model| model.pictures.clear());

    user.reads(prompt, "файл не сохранился").await;

    app.acknowledged(&operation).await;
    app.model(|model| {
        assert_eq!(model.refunds, std::slice::from_ref(&operation));
        assert_eq!(model.accounts[&user.id].balance_kopecks, 1_000);
    });
    app.stop().await;
}

#[tokio::test]
async fn a_place_in_the_providers_queue_is_shown() {
    let app = App::start().await;
    let user = app.guest().await;
    user.opens("mode_generate", "Стоимость").await;
    let prompt = user.writes("кот").await;
    app.submitted().await;
    user.reads(prompt, "Принято").await;

    app.model(|model| {
        let mut job = model.jobs[0].clone();
        job.set_state(proto::media::v1::JobState::Running);
        job.queue_position = Some(3);
        model.progress.push(job);
    });

    user.reads(prompt, "Перед вами: 3 работы").await;
    app.stop().await;
}
