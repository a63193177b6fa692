//! A job that the provider has not begun ends when its user says so, and what was taken comes back.

use media_worker::settings::Settings;
use proto::billing::v1::OperationState;
use proto::media::v1::{FailureReason, JobState};
use proto::reason;
use rstest::rstest;

use crate::app::{App, quick, refused};
use crate::database::Engine;

async fn ends_cancelled(app: &App, operation: &str) {
    let job = app.ended(operation).await;
    assert_eq!(job.failure_reason(), FailureReason::Cancelled, "{job:?}");
    let held = app.billing.operation(operation);
    assert_eq!((held.state, held.commits), (OperationState::Refunded, 0));
    assert_eq!(held.reason, "cancelled by the user");
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_waits_is_cancelled_with_the_money_back(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::start_with(engine, Settings { concurrent_max: 1, ..quick() }).await;
    app.fal.script(|script| script.hang = true);
    let first = app.generate().await;
    app.fal.until_taken(1).await;
    let second = app.generate().await;

    app.cancel(&second).await.unwrap();
    app.cancel(&second).await.unwrap();

    ends_cancelled(&app, &second).await;
    assert_eq!(app.cancel(&second).await.unwrap().state(), JobState::Failed);
    app.fal.script(|script| script.hang = false);
    assert_eq!(app.ended(&first).await.state(), JobState::Succeeded);
    assert_eq!(app.fal.taken().len(), 1);
    app.check_books().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_job_in_the_providers_queue_is_cancelled_there(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::start(engine).await;
    app.fal.script(|script| script.queue = 100_000);
    let operation = app.generate().await;
    app.fal.until_looked_at().await;

    app.cancel(&operation).await.unwrap();

    ends_cancelled(&app, &operation).await;
    assert_eq!(app.fal.cancelled().len(), 1);
    app.check_books().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_is_not_forgotten_when_the_worker_dies(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let mut app = App::start(engine).await;
    app.fal.script(|script| script.queue = 100_000);
    let operation = app.generate().await;
    app.fal.until_looked_at().await;

    app.cancel(&operation).await.unwrap();
    app.kill();
    app.restart().await;

    ends_cancelled(&app, &operation).await;
    app.check_books().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn what_the_provider_has_begun_goes_on(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::start(engine).await;
    app.fal.script(|script| script.hang = true);
    let operation = app.generate().await;
    app.fal.until_looked_at().await;

    assert_eq!(refused(app.cancel(&operation).await), reason::JOB_STARTED);
    assert!(!app.job(&operation).await.unwrap().cancellable);

    app.fal.script(|script| script.hang = false);
    assert_eq!(app.ended(&operation).await.state(), JobState::Succeeded);
    assert_eq!(refused(app.cancel(&operation).await), reason::JOB_STARTED);
    assert_eq!(app.fal.cancelled().len(), 0);
    app.check_books().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_done_before_the_cancel_came_is_delivered() {
    let app = App::start(Engine::Sqlite).await;
    app.fal.script(|script| {
        script.queue = 100_000;
        script.cancel_finds_it_done = true;
    });
    let operation = app.generate().await;
    app.fal.until_looked_at().await;

    assert_eq!(refused(app.cancel(&operation).await), reason::JOB_STARTED);
    app.fal.script(|script| script.queue = 0);

    assert_eq!(app.ended(&operation).await.state(), JobState::Succeeded);
    app.check_books().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_cancels_what_is_not_there() {
    let app = App::start(Engine::Sqlite).await;
    let operation = app.billing.reserve(crate::app::USER, "generate");

    assert_eq!(refused(app.cancel(&operation).await), reason::JOB_NOT_FOUND);
}
