//! A submit whose answer was lost is never sent again: it is looked for, and else refunded.

use proto::billing::v1::OperationState;
use proto::media::v1::{FailureReason, JobState, Mode};
use rstest::rstest;

use crate::app::{App, USER};
use crate::database::Engine;
use crate::fal::{OnResult, OnSubmit};
use crate::pictures;

#[rstest]
#[case(OnSubmit::TakeAndDrop)]
#[case(OnSubmit::TakeAndAnswer(502))]
#[case(OnSubmit::TakeAndAnswer(500))]
#[case(OnSubmit::TakeAndAnswer(408))]
#[case(OnSubmit::TakeAndAnswer(200))]
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_refunded_and_not_sent_again(
    #[case] lost: OnSubmit,
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::start(engine).await;
    app.fal.script(|script| script.submit = lost);

    let operation = app.generate().await;
    let job = app.ended(&operation).await;

    assert_eq!(job.state(), JobState::Failed);
    assert_eq!(job.failure_reason(), FailureReason::OutcomeUnknown);
    assert_eq!(app.fal.taken().len(), 1);
    assert_eq!(app.billing.operation(&operation).state, OperationState::Refunded);
    app.check_books().await;
}

#[rstest]
#[case(Mode::Generate)]
#[case(Mode::FaceSwap)]
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_submit_that_fal_remembers_is_found(
    #[case] mode: Mode,
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::start(engine).await;
    app.fal.script(|script| {
        script.submit = OnSubmit::TakeAndDrop;
        script.history = true;
        script.result = OnResult::Image;
    });
    let (name, ids) = if mode == Mode::Generate {
        ("generate", vec![])
    } else {
        let target = app.upload(&pictures::jpeg(40, 30, 1)).await.unwrap().input_id;
        let face = app.upload(&pictures::jpeg(40, 30, 2)).await.unwrap().input_id;
        ("face_swap", vec![target, face])
    };

    // Two of the same words: only the right one is taken for it.
    let mut operations = Vec::new();
    for _ in 0..2 {
        let operation = app.billing.reserve(USER, name);
        app.submit(app.request(mode, &operation, ids.clone())).await.unwrap();
        operations.push(operation);
    }
    for operation in &operations {
        assert_eq!(app.ended(operation).await.state(), JobState::Succeeded);
    }

    assert_eq!(app.fal.taken().len(), 2);
    let bodies: Vec<_> = app.fal.taken().into_iter().map(|taken| taken.body).collect();
    assert_ne!(bodies[0], bodies[1], "two submits can be told apart");
    app.check_books().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_submit_that_was_never_sent_is_sent_later() {
    let mut app = App::prepare(Engine::Sqlite, crate::app::quick()).await;
    let real = app.fal.url.clone();
    // Nobody listens here.
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    app.fal.url = format!("http://{closed}");
    app.restart().await;
    let operation = app.generate().await;
    app.until(&operation, &[JobState::Queued]).await;
    app.stop().await;

    app.fal.url = real;
    app.restart().await;

    assert_eq!(app.ended(&operation).await.state(), JobState::Succeeded);
    assert_eq!(app.fal.taken().len(), 1);
    app.check_books().await;
}
