//! What goes wrong at fal.ai is refunded, with the reason that it has.

use std::time::Duration;

use proto::billing::v1::OperationState;
use proto::media::v1::{FailureReason, JobState, Mode};
use rstest::rstest;
use serde_json::{Value, json};

use crate::app::{App, USER, quick};
use crate::database::Engine;
use crate::fal::{OnResult, OnSubmit};
use crate::pictures;

fn typed(kind: &str) -> Value {
    json!({"detail": [{"loc": ["body", "prompt"], "msg": "as the test says", "type": kind}]})
}

async fn ends_refunded(app: &App, reason: FailureReason, detail: &str) {
    let operation = app.generate().await;
    let job = app.ended(&operation).await;

    assert_eq!(job.state(), JobState::Failed, "{job:?}");
    assert_eq!((job.failure_reason(), job.failure_detail.as_str()), (reason, detail));
    let held = app.billing.operation(&operation);
    assert_eq!(held.state, OperationState::Refunded);
    assert!(held.reason.contains(detail), "{}", held.reason);
    assert_eq!(held.commits, 0);
    app.check_books().await;
}

#[rstest]
#[case(
    422,
    typed("content_policy_violation"),
    FailureReason::ContentRefused,
    "content_policy_violation"
)]
#[case(422, typed("no_media_generated"), FailureReason::ContentRefused, "no_media_generated")]
#[case(422, typed("face_detection_error"), FailureReason::NoFace, "face_detection_error")]
#[case(422, typed("image_too_small"), FailureReason::BadInput, "image_too_small")]
#[case(500, typed("internal_server_error"), FailureReason::ProviderFailed, "internal_server_error")]
#[case(503, json!({"detail": "x", "error_type": "runner_disconnected"}), FailureReason::ProviderFailed, "runner_disconnected")]
#[case(504, json!({"detail": "x", "error_type": "request_timeout"}), FailureReason::TimedOut, "request_timeout")]
#[case(499, json!({"detail": "x", "error_type": "client_cancelled"}), FailureReason::ProviderFailed, "client_cancelled")]
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_result_is_refunded_with_its_reason(
    #[case] status: u16,
    #[case] body: Value,
    #[case] reason: FailureReason,
    #[case] detail: &str,
) {
    let app = App::start(Engine::Sqlite).await;
    app.fal.script(|script| script.result = OnResult::Status(status, body));

    ends_refunded(&app, reason, detail).await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_stored_the_same_on_both_engines(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::start(engine).await;
    let body = typed("content_policy_violation");
    app.fal.script(|script| script.result = OnResult::Status(422, body));

    ends_refunded(&app, FailureReason::ContentRefused, "content_policy_violation").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_black_picture_of_the_safety_checker_is_a_refusal() {
    let app = App::start(Engine::Sqlite).await;
    let body = json!({"images": [{"url": "https://x/black.png"}], "has_nsfw_concepts": [true]});
    app.fal.script(|script| script.result = OnResult::Body(body));

    ends_refunded(&app, FailureReason::ContentRefused, "has_nsfw_concepts").await;
}

#[rstest]
#[case(400, FailureReason::ProviderFailed, "http_400")]
#[case(404, FailureReason::ProviderFailed, "http_404")]
#[case(422, FailureReason::BadInput, "http_422")]
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_submit_is_refunded(
    #[case] status: u16,
    #[case] reason: FailureReason,
    #[case] detail: &str,
) {
    let app = App::start(Engine::Sqlite).await;
    app.fal.script(|script| script.submit = OnSubmit::Refuse(status, json!({"detail": "no"})));

    ends_refunded(&app, reason, detail).await;
    assert_eq!(app.fal.refused(), 1, "a refused submit is not repeated");
}

#[rstest]
#[case(401)]
#[case(403)]
#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_is_refused_stops_new_work_for_a_moment(#[case] status: u16) {
    let settings =
        media_worker::settings::Settings { provider_pause: Duration::from_millis(700), ..quick() };
    let app = App::start_with(Engine::Sqlite, settings).await;
    let body = json!({"detail": "User is locked. Reason: Exhausted balance."});
    app.fal.script(|script| script.submit = OnSubmit::Refuse(status, body));

    let detail = format!("account_refused_http_{status}");
    ends_refunded(&app, FailureReason::ProviderLocked, &detail).await;

    app.fal.script(|script| script.submit = OnSubmit::Take);
    let next = app.generate().await;
    assert_eq!(app.job(&next).await.unwrap().state(), JobState::Queued);
    assert_eq!(app.ended(&next).await.state(), JobState::Succeeded);
    assert_eq!(app.fal.refused(), 1);
    app.check_books().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn another_key_takes_the_work_of_one_that_is_locked(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let settings = media_worker::settings::Settings {
        provider_pause: Duration::from_secs(600),
        concurrent_max: 1,
        ..quick()
    };
    let mut app = App::prepare(engine, settings).await;
    app.keys = "test:key1,test:key2";
    app.fal.script(|script| script.locked = Some("test:key1"));
    app.restart().await;

    for _ in 0..3 {
        let operation = app.generate().await;
        assert_eq!(app.ended(&operation).await.state(), JobState::Succeeded);
    }

    assert_eq!(app.fal.refused(), 1, "a locked key is asked once");
    let keys: Vec<_> =
        app.fal.taken().iter().map(|it| it.headers["authorization"].clone()).collect();
    assert_eq!(keys, ["Key test:key2"; 3]);
    app.check_books().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_key_is_tried_when_the_storage_refuses_one_before_the_work_is_sent() {
    let mut app = App::prepare(Engine::Sqlite, quick()).await;
    app.keys = "test:key1,test:key2";
    app.settings.provider_pause = Duration::from_secs(600);
    app.fal.script(|script| script.no_storage = Some(403));
    app.restart().await;
    let input = app.upload(&pictures::large_png()).await.unwrap().input_id;
    let operation = app.billing.reserve(USER, "upscale");

    app.submit(app.request(Mode::Upscale, &operation, vec![input])).await.unwrap();

    let job = app.ended(&operation).await;
    assert_eq!(job.failure_detail, "account_refused_http_403");
    assert_eq!(app.fal.upload_starts(), 2, "each key is asked once");
    assert!(app.fal.taken().is_empty());
    app.check_books().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_no_key_may_do_is_refunded() {
    let mut app = App::prepare(Engine::Sqlite, quick()).await;
    app.keys = "test:key1,test:key2";
    let body = json!({"detail": "User is locked. Reason: Exhausted balance."});
    app.fal.script(|script| script.submit = OnSubmit::Refuse(403, body));
    app.settings.provider_pause = Duration::from_secs(600);
    app.restart().await;

    ends_refunded(&app, FailureReason::ProviderLocked, "account_refused_http_403").await;

    assert_eq!(app.fal.refused(), 2, "each key is asked once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_is_tried_again() {
    let app = App::start(Engine::Sqlite).await;
    app.fal.script(|script| script.submit = OnSubmit::Refuse(429, json!({"detail": "full"})));
    let operation = app.generate().await;
    app.fal.until("some refusals", |fal| fal.refused() >= 3).await;

    app.fal.script(|script| script.submit = OnSubmit::Take);

    assert_eq!(app.ended(&operation).await.state(), JobState::Succeeded);
    app.check_books().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_hangs_is_cancelled_and_refunded(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let settings =
        media_worker::settings::Settings { job_deadline: Duration::from_millis(800), ..quick() };
    let app = App::start_with(engine, settings).await;
    app.fal.script(|script| script.hang = true);

    ends_refunded(&app, FailureReason::TimedOut, "not_done_in_time").await;

    assert_eq!(app.fal.cancelled(), [app.fal.taken()[0].request_id.clone()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_fal_lost_is_refunded() {
    let app = App::start(Engine::Sqlite).await;
    app.fal.script(|script| script.status_code = Some(404));

    ends_refunded(&app, FailureReason::ProviderFailed, "request_lost_http_404").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_that_fails_for_a_while_is_asked_again() {
    let app = App::start(Engine::Sqlite).await;
    app.fal.script(|script| script.status_code = Some(502));
    let operation = app.generate().await;
    app.fal.until_looked_at().await;

    app.fal.script(|script| script.status_code = None);

    assert_eq!(app.ended(&operation).await.state(), JobState::Succeeded);
    app.check_books().await;
}

#[rstest]
#[case(b"<html>not a picture</html>".to_vec(), "result_not_fetched")]
#[case(pictures::png(64, 48, 9)[..60].to_vec(), "result_not_fetched")]
#[case(vec![0; 21 * 1024 * 1024], "result_too_large")]
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_picture_is_not_delivered(#[case] file: Vec<u8>, #[case] detail: &str) {
    let app = App::start(Engine::Sqlite).await;
    app.fal.script(|script| script.file = file);

    ends_refunded(&app, FailureReason::ProviderFailed, detail).await;
}

#[rstest]
#[case(json!({"images": []}), "no_picture_in_result")]
#[case(json!({"images": [{"url": "ftp://x/a.png"}]}), "address_not_https")]
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_a_picture_is_refunded(#[case] body: Value, #[case] detail: &str) {
    let app = App::start(Engine::Sqlite).await;
    app.fal.script(|script| script.result = OnResult::Body(body));

    ends_refunded(&app, FailureReason::ProviderFailed, detail).await;
}

#[rstest]
#[case("internal_server_error", FailureReason::ProviderFailed)]
#[case("content_policy_violation", FailureReason::ContentRefused)]
#[case("request_timeout", FailureReason::TimedOut)]
#[tokio::test(flavor = "multi_thread")]
async fn a_status_that_says_what_went_wrong_is_believed_where_the_result_does_not_answer(
    #[case] kind: &'static str,
    #[case] reason: FailureReason,
) {
    let app = App::start(Engine::Sqlite).await;
    app.fal.script(|script| {
        script.error_type = Some(kind);
        script.result = OnResult::IngressPage(u32::MAX);
    });

    ends_refunded(&app, reason, kind).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_never_can_be_read_is_refunded() {
    let app = App::start(Engine::Sqlite).await;
    app.fal.script(|script| script.result = OnResult::IngressPage(u32::MAX));

    ends_refunded(&app, FailureReason::ProviderFailed, "result_not_readable").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_was_ready_just_in_time_is_not_thrown_away() {
    let settings =
        media_worker::settings::Settings { job_deadline: Duration::from_millis(700), ..quick() };
    let app = App::start_with(Engine::Sqlite, settings).await;
    app.fal.script(|script| {
        script.hang = true;
        script.cancel_finds_it_done = true;
    });

    let operation = app.generate().await;

    assert_eq!(app.ended(&operation).await.state(), JobState::Succeeded);
    app.check_books().await;
}
