//! A job that goes on says how long it will take, can be ended while it waits, and its end says
//! what it cost.

use proto::media::v1::{FailureReason, JobState};

use crate::app::{App, User, said};
use crate::fakes::to_lend;

/// Buys a generation; answers with its operation and the message that ordered it.
async fn ordered(app: &App, user: &User<'_>) -> (String, i64) {
    user.opens("mode_generate", "Стоимость").await;
    let prompt = user.writes("кот").await;
    (app.submitted().await, prompt)
}

/// The worker tells that the first job waits.
fn waits(app: &App, ahead: i32) {
    app.model(|model| {
        let mut job = model.jobs[0].clone();
        job.queue_position = Some(ahead);
        job.estimate_seconds = Some(35);
        job.cancellable = true;
        model.progress.push(job);
    });
}

/// The worker tells that a refusal was charged, or how many more come back.
fn refused(app: &App, operation: &str, charged: bool, left: i32) {
    app.model(|model| {
        if charged {
            model.commit(operation);
        } else {
            model.give_back(operation).unwrap();
        }
        let mut job = model.jobs[0].clone();
        job.set_state(JobState::Failed);
        job.set_failure_reason(FailureReason::ContentRefused);
        job.charged = charged;
        job.refusals_left = Some(left);
        model.results.push(to_lend(job));
    });
}

#[tokio::test]
async fn a_job_that_waits_shows_its_place_and_is_ended_by_its_button() {
    let app = App::start().await;
    let user = app.guest().await;
    app.set_account(&user, 0, 1_000);
    let (operation, prompt) = ordered(&app, &user).await;

    waits(&app, 3);
    let status = user.reads(prompt, "Перед вами: 3 работы").await;
    assert!(said(&status).contains("Осталось примерно: 40 секунд"), "{status:#}");
    user.presses(&status, "Отменить работу").await;
    app.until("the job is cancelled", |model| (!model.cancelled.is_empty()).then_some(())).await;
    app.model(|model| assert_eq!(model.cancelled, std::slice::from_ref(&operation)));
    app.fail(&operation, FailureReason::Cancelled);

    let told = user.reads(prompt, "Отменено").await;
    assert!(said(&told).contains("10 ₽ возвращены на баланс"), "{told:#}");
    app.acknowledged(&operation).await;
    app.stop().await;
}

#[tokio::test]
async fn a_job_that_has_begun_says_that_it_is_too_late() {
    let app = App::start().await;
    let user = app.guest().await;
    let (_, prompt) = ordered(&app, &user).await;
    waits(&app, 0);
    let status = user.sees("the button", |m| m["buttons"].to_string().contains("cancel_job")).await;

    app.model(|model| model.has_begun = true);
    user.presses(&status, "Отменить работу").await;

    user.reads(prompt, "отменить её нельзя").await;
    assert!(app.model(|model| model.cancelled.is_empty()));
    app.stop().await;
}

#[tokio::test]
async fn nobody_ends_anothers_job() {
    let app = App::start().await;
    let user = app.guest().await;
    let (operation, _) = ordered(&app, &user).await;
    let stranger = app.guest().await;
    let start = stranger.writes("/start").await;
    let menu = stranger.reads(start, "Выберите").await;

    let data = format!("cancel_job:{operation}");
    stranger.presses_data(menu["message_id"].as_i64().unwrap(), &data).await;

    stranger.reads(start, "кнопка").await;
    assert!(app.model(|model| model.cancelled.is_empty()));
    app.stop().await;
}

#[tokio::test]
async fn a_refusal_that_is_charged_says_so_and_that_nothing_came_back() {
    let app = App::start().await;
    let user = app.guest().await;
    app.set_account(&user, 0, 1_000);
    let (operation, prompt) = ordered(&app, &user).await;

    refused(&app, &operation, true, 0);

    let told = user.reads(prompt, "этот платный").await;
    assert!(said(&told).contains("этот платный: 10 ₽ списаны"), "{told:#}");
    assert!(!said(&told).contains("возвращены"), "{told:#}");
    app.acknowledged(&operation).await;
    app.stop().await;
}

#[tokio::test]
async fn the_last_refusal_that_comes_back_warns_of_the_next() {
    let app = App::start().await;
    let user = app.guest().await;
    app.set_account(&user, 0, 1_000);
    let (operation, prompt) = ordered(&app, &user).await;

    refused(&app, &operation, false, 0);

    let told = user.reads(prompt, "возвращены на баланс").await;
    assert!(said(&told).contains("Следующий отказ"), "{told:#}");
    app.acknowledged(&operation).await;
    app.stop().await;
}

#[tokio::test]
async fn who_has_used_up_the_refusals_is_told_before_ordering() {
    let app = App::start().await;
    let user = app.guest().await;
    app.model(|model| model.refusals_left = 0);

    user.opens("mode_generate", "не вернётся").await;

    app.model(|model| model.refusals_left = 1);
    user.opens("mode_edit", "Стоимость").await;
    assert_eq!(user.count("не вернётся").await, 1);
    app.stop().await;
}
