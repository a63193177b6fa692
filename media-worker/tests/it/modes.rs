//! Each mode sends what its endpoint reads, and ends in a picture and a Commit.

use proto::billing::v1::OperationState;
use proto::media::v1::{JobState, Mode};
use rstest::rstest;
use serde_json::{Value, json};

use crate::app::{App, USER};
use crate::database::Engine;
use crate::fal::{OnResult, Taken};
use crate::pictures;

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_generation_ends_in_a_picture_and_a_commit(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::start(engine).await;

    let operation = app.generate().await;
    let job = app.ended(&operation).await;

    assert_eq!(job.state(), JobState::Succeeded);
    assert_eq!((job.result_width, job.result_height), (64, 48));
    assert_eq!(job.result_content_type, "image/png");
    let (header, bytes) = app.fetch(&operation).await.unwrap();
    assert_eq!(bytes, pictures::png(64, 48, 9));
    assert_eq!(header.size_bytes, i64::try_from(bytes.len()).unwrap());
    assert_eq!(app.billing.operation(&operation).cost_micro_usd, Some(80_000));

    let Taken { endpoint, body, headers, .. } = app.fal.taken().remove(0);
    assert_eq!(endpoint, "fal-ai/nano-banana-2");
    assert_eq!(body["prompt"], "рыжий кот в очках");
    assert!(headers["x-fal-request-timeout"].parse::<u64>().unwrap() > 500);
    app.check_books().await;
}

#[rstest]
#[case(Mode::Edit, 1, "fal-ai/nano-banana-2/edit")]
#[case(Mode::Merge, 3, "fal-ai/nano-banana-2/edit")]
#[case(Mode::FaceSwap, 2, "fal-ai/face-swap")]
#[case(Mode::Retouch, 1, "fal-ai/retoucher")]
#[case(Mode::Upscale, 1, "fal-ai/seedvr/upscale/image")]
#[tokio::test(flavor = "multi_thread")]
async fn a_mode_on_pictures_sends_them_in_order(
    #[case] mode: Mode,
    #[case] count: u8,
    #[case] endpoint: &str,
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::start(engine).await;
    app.fal.script(|script| script.result = OnResult::Image);
    let photos: Vec<Vec<u8>> = (0..count).map(|nth| pictures::jpeg(40, 30, nth)).collect();
    let mut ids = Vec::new();
    for photo in &photos {
        ids.push(app.upload(photo).await.unwrap().input_id);
    }

    let name = mode.as_str_name().trim_start_matches("MODE_").to_ascii_lowercase();
    let operation = app.billing.reserve(USER, &name);
    app.submit(app.request(mode, &operation, ids)).await.unwrap();
    let job = app.ended(&operation).await;

    assert_eq!(job.state(), JobState::Succeeded, "{job:?}");
    let Taken { endpoint: used, body, .. } = app.fal.taken().remove(0);
    assert_eq!(used, endpoint);
    let sent: Vec<Vec<u8>> = urls(&body).iter().map(|url| app.fal.uploaded(url)).collect();
    assert_eq!(sent, photos);
    assert_eq!(app.billing.operation(&operation).state, OperationState::Committed);
    app.check_books().await;
}

/// Addresses of the inputs, in the order in which the user gave them.
fn urls(body: &Value) -> Vec<String> {
    let keys = ["image_url", "base_image_url", "swap_image_url"];
    let single = keys.iter().filter_map(|key| body.get(key)).cloned();
    let list = body.get("image_urls").and_then(Value::as_array).cloned().unwrap_or_default();
    single.chain(list).map(|url| url.as_str().unwrap().to_owned()).collect()
}

#[rstest]
#[case(OnResult::BareUrl)]
#[case(OnResult::Inline)]
#[case(OnResult::IngressPage(2))]
#[case(OnResult::NotYet(2))]
#[tokio::test(flavor = "multi_thread")]
async fn a_picture_is_found_in_every_shape_of_an_answer(#[case] shape: OnResult) {
    let app = App::start(Engine::Sqlite).await;
    app.fal.script(|script| script.result = shape);

    let operation = app.generate().await;

    assert_eq!(app.ended(&operation).await.state(), JobState::Succeeded);
    app.check_books().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_late_is_fetched_again() {
    let app = App::start(Engine::Sqlite).await;
    app.fal.script(|script| script.file_missing = 2);

    let operation = app.generate().await;

    assert_eq!(app.ended(&operation).await.state(), JobState::Succeeded);
    app.check_books().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cost_that_is_not_told_is_taken_from_the_table() {
    let app = App::start(Engine::Sqlite).await;
    app.fal.script(|script| {
        script.billable_units = None;
        script.result =
            OnResult::Body(json!({"image": {"url": format!("{}/files/x", app.fal.url)}}));
    });

    let operation = app.generate().await;

    assert_eq!(app.ended(&operation).await.state(), JobState::Succeeded);
    assert_eq!(app.billing.operation(&operation).cost_micro_usd, Some(80_000));
    app.check_books().await;
}

#[rstest]
#[case(404)]
#[case(503)]
#[tokio::test(flavor = "multi_thread")]
async fn a_small_picture_needs_no_storage(#[case] status: u16) {
    let app = App::start(Engine::Sqlite).await;
    app.fal.script(|script| script.no_storage = Some(status));
    let input = app.upload(&pictures::jpeg(40, 30, 1)).await.unwrap().input_id;
    let operation = app.billing.reserve(USER, "upscale");

    app.submit(app.request(Mode::Upscale, &operation, vec![input])).await.unwrap();

    assert_eq!(app.ended(&operation).await.state(), JobState::Succeeded);
    let url = app.fal.taken()[0].body["image_url"].as_str().unwrap().to_owned();
    assert!(url.starts_with("data:image/jpeg;base64,/9j/"), "{url}");
    app.check_books().await;
}
