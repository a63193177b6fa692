//! The worker is killed at each step of a job; the next one goes on from there, and the work is
//! submitted once.

use std::time::Duration;

use proto::billing::v1::OperationState;
use proto::media::v1::{FailureReason, JobState, Mode};
use rstest::rstest;

use crate::app::{App, USER};
use crate::database::Engine;
use crate::fal::OnSubmit;
use crate::pictures;

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn killed_while_uploading_it_begins_anew(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let mut app = App::start(engine).await;
    app.fal.script(|script| script.hang_uploads = true);
    let photo = app.upload(&pictures::jpeg(40, 30, 1)).await.unwrap().input_id;
    let operation = app.billing.reserve(USER, "retouch");
    app.submit(app.request(Mode::Retouch, &operation, vec![photo])).await.unwrap();
    app.fal.until_upload_begins().await;

    app.kill();
    app.fal.script(|script| script.hang_uploads = false);
    app.restart().await;

    assert_eq!(app.ended(&operation).await.state(), JobState::Succeeded);
    assert_eq!(app.fal.taken().len(), 1);
    app.check_books().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn killed_while_submitting_it_is_refunded_and_not_sent_again(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let mut app = App::start(engine).await;
    app.fal.script(|script| script.submit = OnSubmit::TakeAndHang);
    let operation = app.generate().await;
    app.fal.until_taken(1).await;

    app.kill();
    app.fal.script(|script| script.submit = OnSubmit::Take);
    app.restart().await;

    let job = app.ended(&operation).await;
    assert_eq!(job.failure_reason(), FailureReason::OutcomeUnknown);
    assert_eq!(app.fal.taken().len(), 1);
    assert_eq!(app.billing.operation(&operation).state, OperationState::Refunded);
    app.check_books().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn killed_while_submitting_it_goes_on_where_fal_remembers_it(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let mut app = App::start(engine).await;
    app.fal.script(|script| {
        script.submit = OnSubmit::TakeAndHang;
        script.history = true;
    });
    let operation = app.generate().await;
    app.fal.until_taken(1).await;

    app.kill();
    app.fal.script(|script| script.submit = OnSubmit::Take);
    app.restart().await;

    assert_eq!(app.ended(&operation).await.state(), JobState::Succeeded);
    assert_eq!(app.fal.taken().len(), 1);
    app.check_books().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn killed_while_polling_it_polls_on(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let mut app = App::start(engine).await;
    app.fal.script(|script| script.hang = true);
    let operation = app.generate().await;
    app.fal.until_looked_at().await;

    app.kill();
    app.fal.script(|script| script.hang = false);
    app.restart().await;

    assert_eq!(app.ended(&operation).await.state(), JobState::Succeeded);
    assert_eq!(app.fal.taken().len(), 1);
    app.check_books().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn killed_while_fetching_it_fetches_again(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let mut app = App::start(engine).await;
    app.fal.script(|script| script.hang_files = true);
    let operation = app.generate().await;
    app.fal.until_file_is_asked_for().await;

    app.kill();
    app.fal.script(|script| script.hang_files = false);
    app.restart().await;

    assert_eq!(app.ended(&operation).await.state(), JobState::Succeeded);
    assert_eq!(app.fal.taken().len(), 1);
    assert_eq!(app.fetch(&operation).await.unwrap().1, pictures::png(64, 48, 9));
    app.check_books().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn killed_while_settling_it_settles_once(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let mut app = App::start(engine).await;
    app.billing.lose_commits(u32::MAX);
    let operation = app.generate().await;
    app.until_committed(&operation).await;

    app.kill();
    app.billing.lose_commits(0);
    app.restart().await;

    assert_eq!(app.ended(&operation).await.state(), JobState::Succeeded);
    assert_eq!(app.billing.operation(&operation).refunds, 0);
    app.check_books().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn stopped_in_good_order_it_gives_its_jobs_back_at_once(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    // A lease that nobody waits for here: what is given back is taken at once.
    let settings =
        media_worker::settings::Settings { lease: Duration::from_secs(600), ..crate::app::quick() };
    let mut app = App::start_with(engine, settings).await;
    app.fal.script(|script| script.hang = true);
    let operation = app.generate().await;
    app.fal.until_looked_at().await;
    let mut watch = app.watch().await;

    let took = app.stop().await;

    assert!(took < Duration::from_secs(10), "{took:?}");
    while watch.next().await.is_some() {}
    app.fal.script(|script| script.hang = false);
    app.restart().await;
    assert_eq!(app.ended(&operation).await.state(), JobState::Succeeded);
    assert_eq!(app.fal.taken().len(), 1);
    app.check_books().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_submit_is_not_cut_by_a_stop(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let mut app = App::start(engine).await;
    app.fal.script(|script| script.submit = OnSubmit::TakeAndHang);
    let operation = app.generate().await;
    app.fal.until_taken(1).await;

    let worker = app.worker.take().unwrap();
    let stopping = tokio::spawn(worker.stop());
    app.fal.script(|script| script.submit = OnSubmit::Take);
    stopping.await.unwrap();
    app.restart().await;

    assert_eq!(app.ended(&operation).await.state(), JobState::Succeeded);
    assert_eq!(app.fal.taken().len(), 1);
    app.check_books().await;
}
