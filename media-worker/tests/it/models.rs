//! When an endpoint is gone or fails, the next one takes over, unless the job was paid for.

use std::time::Duration;

use media_worker::settings::Settings;
use proto::media::v1::{FailureReason, Format, JobState, ListModelsRequest, Mode};
use proto::reason;
use rstest::rstest;
use serde_json::json;
use tokio::time::Instant;

use crate::app::{App, SOON, USER, quick, refused};
use crate::database::Engine;
use crate::fal::{OnResult, OnSubmit};
use crate::pictures;

const NANO: &str = "fal-ai/nano-banana-2";
const FLUX: &str = "fal-ai/flux-2-pro";

async fn with_all_models(engine: Engine, settings: Settings) -> App {
    let mut app = App::prepare(engine, settings).await;
    app.models = include_str!("../../assets/models.toml");
    app.restart().await;
    app
}

fn endpoints(app: &App) -> Vec<String> {
    app.fal.taken().into_iter().map(|taken| taken.endpoint).collect()
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn the_next_endpoint_takes_over_from_one_that_is_gone(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = with_all_models(engine, quick()).await;
    app.fal.script(|script| script.gone = Some(NANO));

    let operation = app.generate().await;

    assert_eq!(app.ended(&operation).await.state(), JobState::Succeeded);
    assert_eq!(endpoints(&app), [FLUX]);
    // What it cost is the price of the one that did it.
    assert_eq!(app.billing.operation(&operation).cost_micro_usd, Some(45_000));
    app.check_books().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn the_next_endpoint_takes_over_from_one_that_fails_unpaid(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = with_all_models(engine, Settings { concurrent_max: 1, ..quick() }).await;
    app.fal.script(|script| script.fails = Some(NANO));

    let operation = app.generate().await;

    assert_eq!(app.ended(&operation).await.state(), JobState::Succeeded);
    assert_eq!(endpoints(&app), [NANO, FLUX]);
    app.check_books().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_fails_again_and_again_is_asked_after_the_others(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = with_all_models(engine, quick()).await;
    app.fal.script(|script| script.fails = Some(NANO));

    for _ in 0..4 {
        let operation = app.generate().await;
        assert_eq!(app.ended(&operation).await.state(), JobState::Succeeded);
    }

    assert_eq!(endpoints(&app), [NANO, FLUX, NANO, FLUX, FLUX, FLUX]);
    app.check_books().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_is_asked_first_again_after_its_rest(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let rest = Duration::from_millis(100);
    let app = with_all_models(engine, Settings { endpoint_rest: (rest, rest), ..quick() }).await;
    app.fal.script(|script| script.fails = Some(NANO));
    for _ in 0..2 {
        let operation = app.generate().await;
        assert_eq!(app.ended(&operation).await.state(), JobState::Succeeded);
    }

    app.fal.script(|script| script.fails = None);

    let deadline = Instant::now() + SOON;
    let (mut seen, mut asked_first) = (endpoints(&app).len(), false);
    while !asked_first {
        assert!(Instant::now() < deadline, "it rests for ever");
        let operation = app.generate().await;
        assert_eq!(app.ended(&operation).await.state(), JobState::Succeeded);
        asked_first = endpoints(&app)[seen] == NANO;
        seen = endpoints(&app).len();
    }
    app.check_books().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_takeover_goes_on_in_another_process(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let mut app = with_all_models(engine, quick()).await;
    app.fal.script(|script| {
        script.fails = Some(NANO);
        script.hang_on = Some(FLUX);
    });
    let operation = app.generate().await;
    app.fal.until_looked_at_all(2).await;

    app.kill();
    app.fal.script(|script| script.hang_on = None);
    app.restart().await;

    assert_eq!(app.ended(&operation).await.state(), JobState::Succeeded);
    assert_eq!(endpoints(&app), [NANO, FLUX]);
    app.check_books().await;
}

#[rstest]
#[case::refused(422, "content_policy_violation", FailureReason::ContentRefused)]
#[case::no_face(422, "face_detection_error", FailureReason::NoFace)]
#[case::bad_input(422, "image_too_small", FailureReason::BadInput)]
#[case::our_bug(422, "missing", FailureReason::ProviderFailed)]
#[tokio::test(flavor = "multi_thread")]
async fn what_another_endpoint_would_not_do_better_or_may_be_paid_is_not_taken_over(
    #[case] status: u16,
    #[case] kind: &str,
    #[case] reason: FailureReason,
) {
    let app = with_all_models(Engine::Sqlite, quick()).await;
    let body = json!({"detail": [{"loc": [], "msg": "no", "type": kind}]});
    app.fal.script(|script| script.result = OnResult::Status(status, body));

    let operation = app.generate().await;

    assert_eq!(app.ended(&operation).await.failure_reason(), reason);
    assert_eq!(endpoints(&app), [NANO]);
    app.check_books().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_submit_is_never_taken_over() {
    let app = with_all_models(Engine::Sqlite, quick()).await;
    app.fal.script(|script| script.submit = OnSubmit::TakeAndDrop);

    let operation = app.generate().await;

    assert_eq!(app.ended(&operation).await.failure_reason(), FailureReason::OutcomeUnknown);
    assert_eq!(endpoints(&app), [NANO]);
    app.check_books().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_every_endpoint_fails_is_refunded() {
    let app = with_all_models(Engine::Sqlite, quick()).await;
    let body = json!({"detail": [{"loc": [], "msg": "x", "type": "internal_server_error"}]});
    app.fal.script(|script| script.result = OnResult::Status(500, body));

    let operation = app.generate().await;

    let job = app.ended(&operation).await;
    assert_eq!(job.failure_reason(), FailureReason::ProviderFailed);
    assert_eq!(endpoints(&app), [NANO, FLUX]);
    app.check_books().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_without_a_price_ends_the_process() {
    let mut app = App::prepare(Engine::Sqlite, quick()).await;
    app.billing.stop_selling("retouch");
    app.restart().await;

    let error = app.worker.take().unwrap().fails().await;

    assert!(error.contains("\"retoucher\" of the mode retouch has no price"), "{error}");
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn what_was_chosen_reaches_the_endpoint_and_is_part_of_the_key(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = with_all_models(engine, quick()).await;
    let operation = app.billing.reserve_model(USER, "generate", "flux-2-pro");
    let mut request = app.request(Mode::Generate, &operation, vec![]);
    assert_eq!(refused(app.submit(request.clone()).await), reason::OPERATION_NOT_RESERVED);
    "flux-2-pro".clone_into(&mut request.model);
    request.set_format(Format::Vertical);

    app.submit(request.clone()).await.unwrap();

    assert_eq!(app.ended(&operation).await.state(), JobState::Succeeded);
    let taken = app.fal.taken().remove(0);
    assert_eq!(taken.endpoint, FLUX);
    assert_eq!(taken.body["image_size"], "portrait_4_3");
    app.submit(request.clone()).await.unwrap();
    request.set_format(Format::Square);
    assert_eq!(refused(app.submit(request).await), reason::IDEMPOTENCY_KEY_REUSED);
    assert_eq!(app.fal.taken().len(), 1);
    app.check_books().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn an_upscale_is_asked_to_be_as_much_larger_as_was_chosen(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = with_all_models(engine, quick()).await;
    let input = app.upload(&pictures::jpeg(40, 30, 1)).await.unwrap().input_id;
    let operation = app.billing.reserve(USER, "upscale");
    let mut request = app.request(Mode::Upscale, &operation, vec![input]);
    request.upscale_factor = 4;

    app.submit(request).await.unwrap();

    assert_eq!(app.ended(&operation).await.state(), JobState::Succeeded);
    assert_eq!(app.fal.taken()[0].body["upscale_factor"], 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn users_are_told_the_models_that_they_may_ask_for() {
    let app = with_all_models(Engine::Sqlite, quick()).await;

    let models = app.media().list_models(ListModelsRequest {}).await.unwrap().models;

    let names = |mode: Mode| {
        let of_mode = models.iter().filter(|model| model.mode() == mode);
        of_mode.map(|model| (model.name.as_str(), model.title.as_str())).collect::<Vec<_>>()
    };
    let nano = ("nano-banana-2", "Nano Banana 2");
    assert_eq!(names(Mode::Generate), [nano, ("flux-2-pro", "FLUX.2 Pro")]);
    assert_eq!(names(Mode::Merge), [nano, ("seedream-4.5", "Seedream 4.5")]);
    // The others take over only.
    assert_eq!(names(Mode::FaceSwap), [("face-swap", "face-swap")]);
    assert_eq!(names(Mode::Upscale), [("seedvr", "seedvr")]);
    let upscale = models.iter().find(|model| model.mode() == Mode::Upscale).unwrap();
    assert_eq!(upscale.upscale_factors, [2, 4]);
    assert_eq!(upscale.prompt_characters_max, 4_000);
    let shapes = [Format::Vertical, Format::Square, Format::Horizontal].map(i32::from);
    assert_eq!(models[0].formats, shapes);
    assert!(models.iter().filter(|m| m.mode() == Mode::Edit).all(|m| m.formats.is_empty()));
}
