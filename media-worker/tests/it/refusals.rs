//! Refusals of content come back so many times a day; beyond them they are charged.

use media_worker::settings::Settings;
use proto::billing::v1::OperationState;
use proto::media::v1::{FailureReason, JobState};
use proto::reason;
use rstest::rstest;
use serde_json::json;

use crate::app::{App, USER, quick, refused};
use crate::database::Engine;
use crate::fal::OnResult;

fn refuse(app: &App) {
    let body = json!({"detail": [{"loc": [], "msg": "no", "type": "content_policy_violation"}]});
    app.fal.script(|script| script.result = OnResult::Status(422, body));
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn so_many_refusals_a_day_come_back_and_the_next_is_charged(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::start_with(engine, Settings { refusals_per_day: 2, ..quick() }).await;
    refuse(&app);
    let limits = app.limits(USER).await;
    assert_eq!((limits.refusals_max, limits.refusals_left), (2, 2));

    for left in [1, 0] {
        let operation = app.generate().await;
        let job = app.ended(&operation).await;
        assert_eq!(job.failure_reason(), FailureReason::ContentRefused);
        assert_eq!((job.charged, job.refusals_left), (false, Some(left)));
        assert_eq!(app.billing.operation(&operation).state, OperationState::Refunded);
        assert_eq!(app.limits(USER).await.refusals_left, left);
    }
    let operation = app.generate().await;
    let job = app.ended(&operation).await;

    assert_eq!(
        (job.state(), job.failure_reason()),
        (JobState::Failed, FailureReason::ContentRefused)
    );
    assert_eq!((job.charged, job.refusals_left), (true, Some(0)));
    assert_eq!(app.billing.operation(&operation).state, OperationState::Committed);
    assert_eq!(app.limits(USER).await.refusals_left, 0);
    app.check_books().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn one_users_refusals_are_nobody_elses(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::start_with(engine, Settings { refusals_per_day: 1, ..quick() }).await;
    refuse(&app);
    for user in [1, 2] {
        let job = app.ended(&app.generate_for(user, "no").await).await;
        assert!(!job.charged, "{job:?}");
    }

    app.fal.script(|script| script.result = OnResult::Images);
    let job = app.ended(&app.generate_for(1, "yes").await).await;
    assert_eq!(job.state(), JobState::Succeeded);
    app.check_books().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn other_failures_are_given_back_however_many(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::start_with(engine, Settings { refusals_per_day: 0, ..quick() }).await;
    let body = json!({"detail": [{"loc": [], "msg": "no", "type": "face_detection_error"}]});
    app.fal.script(|script| script.result = OnResult::Status(422, body));

    let job = app.ended(&app.generate().await).await;

    assert_eq!((job.failure_reason(), job.charged), (FailureReason::NoFace, false));
    assert_eq!(job.refusals_left, None);
    app.check_books().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_that_came_too_late_does_not_hide_a_refusal(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::start_with(engine, Settings { refusals_per_day: 1, ..quick() }).await;
    app.fal.script(|script| {
        script.queue = 100_000;
        script.cancel_finds_it_done = true;
    });
    let operation = app.generate().await;
    app.fal.until_looked_at().await;
    assert_eq!(refused(app.cancel(&operation).await), reason::JOB_STARTED);

    refuse(&app);
    app.fal.script(|script| script.queue = 0);

    let job = app.ended(&operation).await;
    assert_eq!(job.failure_reason(), FailureReason::ContentRefused);
    assert_eq!(app.limits(USER).await.refusals_left, 0);
    app.check_books().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_charged_once_whoever_dies(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let mut app = App::start_with(engine, Settings { refusals_per_day: 0, ..quick() }).await;
    refuse(&app);
    app.billing.lose_commits(1);
    let operation = app.generate().await;
    app.until_committed(&operation).await;

    app.kill();
    app.restart().await;

    assert!(app.ended(&operation).await.charged);
    let held = app.billing.operation(&operation);
    assert_eq!((held.state, held.refunds), (OperationState::Committed, 0));
    app.check_books().await;
}
