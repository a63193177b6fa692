//! Job and operation end together, whatever billing does.

use std::time::Duration;

use proto::billing::v1::OperationState;
use proto::media::v1::{FailureReason, JobState};
use proto::reason;
use rstest::rstest;
use serde_json::json;
use tokio::time::sleep;

use crate::app::{App, refused};
use crate::database::Engine;
use crate::fal::OnResult;

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_picture_waits_for_billing_and_is_settled_when_it_is_back(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::start(engine).await;
    app.fal.script(|script| script.hang = true);
    let operation = app.generate().await;
    app.fal.until_looked_at().await;
    let mut watch = app.watch().await;

    app.billing.set_down(true);
    app.fal.script(|script| script.hang = false);
    watch.nothing_ended_for(Duration::from_millis(1200)).await;
    assert_eq!(app.job(&operation).await.unwrap().state(), JobState::Running);
    assert_eq!(refused(app.fetch(&operation).await), reason::RESULT_NOT_FOUND);

    app.billing.set_down(false);
    assert_eq!(watch.next_ended().await.state(), JobState::Succeeded);
    assert_eq!(app.billing.operation(&operation).state, OperationState::Committed);
    app.check_books().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_refund_waits_for_billing_across_a_restart(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let mut app = App::start(engine).await;
    app.fal.script(|script| {
        script.hang = true;
        script.result =
            OnResult::Status(500, json!({"detail": "x", "error_type": "internal_error"}));
    });
    let operation = app.generate().await;
    app.fal.until_looked_at().await;
    app.billing.set_down(true);
    app.fal.script(|script| script.hang = false);
    // Some tries, none of which billing answers.
    sleep(Duration::from_millis(700)).await;

    app.kill();
    app.billing.set_down(false);
    app.restart().await;

    let job = app.ended(&operation).await;
    assert_eq!(job.failure_reason(), FailureReason::ProviderFailed);
    let held = app.billing.operation(&operation);
    assert_eq!(held.state, OperationState::Refunded);
    assert_eq!(held.reason, "fal.ai failed (internal_error)");
    app.check_books().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_is_lost_is_repeated_and_not_refunded(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::start(engine).await;
    app.billing.lose_commits(5);

    let operation = app.generate().await;

    assert_eq!(app.ended(&operation).await.state(), JobState::Succeeded);
    let held = app.billing.operation(&operation);
    assert!(held.commits > 5, "{held:?}");
    assert_eq!(held.refunds, 0);
    app.check_books().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_picture_whose_hold_is_gone_is_not_delivered(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::start(engine).await;
    app.fal.script(|script| script.hang_files = true);
    let operation = app.generate().await;
    app.fal.until_file_is_asked_for().await;

    app.billing.expire(&operation);
    app.fal.script(|script| script.hang_files = false);

    let job = app.ended(&operation).await;
    assert_eq!(job.state(), JobState::Failed);
    assert_eq!(job.failure_reason(), FailureReason::HoldExpired);
    assert_eq!(refused(app.fetch(&operation).await), reason::RESULT_NOT_FOUND);
    app.check_books().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn work_stops_when_its_hold_is_gone(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::start(engine).await;
    app.fal.script(|script| script.hang = true);
    let operation = app.generate().await;
    app.fal.until_looked_at().await;
    app.until_extended(&operation, 2).await;

    app.billing.expire(&operation);

    let job = app.ended(&operation).await;
    assert_eq!(job.failure_reason(), FailureReason::HoldExpired);
    assert_eq!(app.fal.cancelled().len(), 1);
    app.check_books().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_hold_is_gone_before_it_begins_is_not_submitted(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let settings = media_worker::settings::Settings { concurrent_max: 1, ..crate::app::quick() };
    let app = App::start_with(engine, settings).await;
    app.fal.script(|script| script.hang = true);
    let first = app.generate().await;
    app.fal.until_looked_at().await;
    let second = app.generate().await;
    assert_eq!(app.job(&second).await.unwrap().queue_position, Some(0));
    let third = app.generate().await;
    assert_eq!(app.job(&third).await.unwrap().queue_position, Some(1));

    app.billing.expire(&second);
    app.fal.script(|script| script.hang = false);

    assert_eq!(app.ended(&first).await.state(), JobState::Succeeded);
    assert_eq!(app.ended(&second).await.failure_reason(), FailureReason::HoldExpired);
    assert_eq!(app.ended(&third).await.state(), JobState::Succeeded);
    assert_eq!(app.fal.taken().len(), 2);
    app.check_books().await;
}
