//! A job belongs to one worker at a time, and a late one changes nothing.

use std::time::Duration;

use media_worker::clock::now_ms;
use media_worker::domain::{Failure, FailureReason, Submission};
use media_worker::store::{Lane, Places, Store, StoreError};
use proto::media::v1::JobState;
use rstest::rstest;

use crate::app::{App, quick};
use crate::database::Engine;
use crate::fal::OnSubmit;

fn places() -> Places {
    Places { keys: vec![0], per_key: 1, per_user: 1 }
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_late_worker_changes_nothing(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let mut app = App::start(engine).await;
    app.billing.set_down(false);
    app.fal.script(|script| {
        script.submit = OnSubmit::Refuse(429, serde_json::json!({"detail": "full"}));
    });
    let operation = app.generate().await;
    app.stop().await;

    let store = Store::connect(&app.database.url).await.unwrap();
    let soon = now_ms() + 10_000;
    let first = store.begin_next(&places(), soon, 1_000).await.unwrap().unwrap();
    assert!(store.begin_next(&places(), soon, 1_000).await.unwrap().is_none(), "begun twice");
    assert!(store.claim(Lane::Work, soon, 1_000).await.unwrap().is_none(), "claimed twice");
    assert!(store.claim(Lane::Settle, soon, 1_000).await.unwrap().is_none(), "wrong lane");
    let later = soon + 1_000;
    let second = store.claim(Lane::Work, later, 1_000).await.unwrap().unwrap();
    assert_eq!(second.job.attempts, first.job.attempts + 1);

    let how = Submission {
        endpoint: "fal-ai/nano-banana-2".to_owned(),
        key_index: 0,
        body: "{}".to_owned(),
        webhook_token: None,
        at: later,
    };
    let why = Failure::new(FailureReason::TimedOut, "late");
    for late in [
        store.renew(&first.lease, later + 9_000).await,
        store.submitting(&first.lease, &how).await,
        store.refunding(&first.lease, &why, None).await,
        store.give_back(&first.lease).await,
        store.put_off(&first.lease, later).await,
    ] {
        assert!(matches!(late, Err(StoreError::LeaseLost)), "{late:?}");
    }

    store.submitting(&second.lease, &how).await.unwrap();
    // Not from there: a step that was taken is not taken again.
    assert!(matches!(store.submitting(&second.lease, &how).await, Err(StoreError::LeaseLost)));
    assert!(matches!(store.succeeded(&second.lease, later).await, Err(StoreError::LeaseLost)));
    store.not_submitted(&second.lease, now_ms()).await.unwrap();
    store.close().await;
    drop(store);

    app.fal.script(|script| script.submit = OnSubmit::Take);
    app.restart().await;
    assert_eq!(app.ended(&operation).await.state(), JobState::Succeeded);
    app.check_books().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_kills_its_workers_is_given_up_and_refunded(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let mut app = App::start(engine).await;
    app.fal.script(|script| {
        script.submit = OnSubmit::Refuse(429, serde_json::json!({"detail": "full"}));
    });
    let operation = app.generate().await;
    app.stop().await;
    let store = Store::connect(&app.database.url).await.unwrap();
    let now = now_ms() + 10_000;
    store.begin_next(&places(), now, 1).await.unwrap().unwrap();
    for nth in 1..5 {
        store.claim(Lane::Work, now + nth, 1).await.unwrap().unwrap();
    }
    store.close().await;
    drop(store);

    app.fal.script(|script| script.submit = OnSubmit::Take);
    app.restart().await;

    let job = app.ended(&operation).await;
    assert_eq!(job.failure_detail, "workers_died");
    assert!(app.fal.taken().is_empty());
    app.check_books().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_share_the_jobs_and_no_job_is_done_twice() {
    let app = App::start(Engine::Postgres).await;
    let another = app.another_worker().await;
    app.fal.script(|script| script.queue = 2);

    let mut operations = Vec::new();
    for _ in 0..12 {
        operations.push(app.generate().await);
    }
    for operation in &operations {
        assert_eq!(app.ended(operation).await.state(), JobState::Succeeded);
    }

    assert_eq!(app.fal.taken().len(), 12);
    another.stop().await;
    app.check_books().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_workers_job_is_taken_over_by_the_other_one() {
    let settings =
        media_worker::settings::Settings { lease: Duration::from_millis(900), ..quick() };
    let mut app = App::start_with(Engine::Postgres, settings).await;
    app.fal.script(|script| script.hang = true);
    let operation = app.generate().await;
    app.fal.until_looked_at().await;
    let another = app.another_worker().await;

    app.kill();
    app.worker = Some(another);
    app.fal.script(|script| script.hang = false);

    assert_eq!(app.ended(&operation).await.state(), JobState::Succeeded);
    assert_eq!(app.fal.taken().len(), 1);
    app.check_books().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_on_one_sqlite_file_is_refused() {
    let app = App::start(Engine::Sqlite).await;

    let refused = Store::connect(&app.database.url).await.unwrap_err();

    assert!(refused.to_string().contains("another process uses the SQLite file"), "{refused}");
}
