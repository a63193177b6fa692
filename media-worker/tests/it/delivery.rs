//! Ends are lent, told again until they are acknowledged, in order per user; results are kept for
//! a while after.

use std::time::Duration;

use media_worker::settings::Settings;
use proto::media::v1::watch_results_response::Update;
use proto::media::v1::{JobState, Mode};
use proto::reason;
use rstest::rstest;
use tokio::time::{Instant, sleep};

use crate::app::{App, SOON, USER, quick, refused};
use crate::database::Engine;
use crate::pictures;

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn an_end_is_told_again_until_it_is_acknowledged(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let settings = Settings { delivery_lease: Duration::from_millis(600), ..quick() };
    let app = App::start_with(engine, settings).await;
    let mut watch = app.watch().await;
    let operation = app.generate().await;

    let first = watch.next_ended().await;
    assert_eq!(first.operation_id, operation);
    drop(watch);
    let mut again = app.watch().await;
    assert_eq!(again.next_ended().await.operation_id, operation);

    app.ack(&first).await;
    app.ack(&first).await;
    again.nothing_ended_for(Duration::from_millis(1800)).await;
    app.check_books().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn ends_of_one_user_come_one_after_the_other_and_to_one_watcher(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::start(engine).await;
    let mut operations = Vec::new();
    for _ in 0..3 {
        let operation = app.generate().await;
        app.ended(&operation).await;
        operations.push(operation);
    }
    let mut one = app.watch().await;
    let mut other = app.watch().await;

    let mut told = Vec::new();
    for _ in 0..3 {
        let job = tokio::select! {
            job = one.next_ended() => job,
            job = other.next_ended() => job,
        };
        one.nothing_ended_for(Duration::from_millis(150)).await;
        other.nothing_ended_for(Duration::from_millis(150)).await;
        app.ack(&job).await;
        told.push(job.operation_id);
    }

    assert_eq!(told, operations);
    app.check_books().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn ends_that_nobody_heard_of_are_there_after_a_restart(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let mut app = App::start(engine).await;
    let operation = app.generate().await;
    app.ended(&operation).await;
    app.kill();
    app.restart().await;

    let job = app.watch().await.next_ended().await;

    assert_eq!((job.operation_id, job.result_width), (operation, 64));
    app.check_books().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_is_told_while_a_job_waits_at_fal() {
    let app = App::start(Engine::Sqlite).await;
    app.fal.script(|script| script.queue = 3);
    let mut watch = app.watch().await;
    let operation = app.generate().await;

    let mut positions = Vec::new();
    loop {
        match watch.next().await.unwrap() {
            Update::Progress(job) => {
                assert_eq!((&job.operation_id, job.state()), (&operation, JobState::Running));
                positions.extend(job.queue_position);
            }
            Update::Ended(job) => break assert_eq!(job.operation_id, operation),
        }
    }

    assert_eq!(positions, [2, 1, 0]);
    app.check_books().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_result_is_kept_after_its_acknowledgement_and_then_forgotten(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let settings = Settings {
        sweep_every: Duration::from_millis(100),
        keep_results: Duration::from_millis(1500),
        ..quick()
    };
    let app = App::start_with(engine, settings).await;
    let operation = app.generate().await;
    let job = app.ended(&operation).await;
    app.ack(&job).await;
    app.fetch(&operation).await.unwrap();

    let deadline = Instant::now() + SOON;
    while app.fetch(&operation).await.is_ok() {
        assert!(Instant::now() < deadline, "never forgotten");
        sleep(Duration::from_millis(50)).await;
    }

    assert_eq!(refused(app.fetch(&operation).await), reason::RESULT_NOT_FOUND);
    // The job itself stays: a repeat of the submit finds it.
    let request = app.request(Mode::Generate, &operation, vec![]);
    assert_eq!(app.submit(request).await.unwrap().state(), JobState::Succeeded);
    let left = walk(&app.folder.path().join("pictures"));
    assert!(left.is_empty(), "{left:?}");
    app.check_books().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn an_input_that_no_job_uses_is_dropped(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let settings = Settings {
        sweep_every: Duration::from_millis(100),
        keep_inputs: Duration::from_millis(800),
        ..quick()
    };
    let app = App::start_with(engine, settings).await;
    let photo = app.upload(&pictures::png(30, 30, 1)).await.unwrap().input_id;
    let deadline = Instant::now() + SOON;
    while !walk(&app.folder.path().join("pictures")).is_empty() {
        assert!(Instant::now() < deadline, "never dropped");
        sleep(Duration::from_millis(50)).await;
    }

    let operation = app.billing.reserve(USER, "retouch");
    let request = app.request(Mode::Retouch, &operation, vec![photo]);

    assert_eq!(refused(app.submit(request).await), reason::INPUT_NOT_FOUND);
    app.check_books().await;
}

/// All files below a folder.
fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(walk(&path)) } else { files.push(path) }
    }
    files
}
