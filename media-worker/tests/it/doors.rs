//! What comes in is checked: a clear refusal each, nothing made and nothing lost.

use std::time::Duration;

use proto::media::v1 as wire;
use proto::media::v1::{JobState, Mode};
use proto::reason;
use rstest::rstest;

use crate::app::{App, USER, refused};
use crate::database::Engine;
use crate::pictures;

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn the_same_bytes_of_the_same_user_are_one_input(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::start(engine).await;
    let photo = pictures::jpeg(300, 200, 5);

    let (first, second) = tokio::join!(app.upload(&photo), app.upload(&photo));
    let first = first.unwrap();
    assert_eq!(second.unwrap(), first);
    assert_eq!(app.upload(&photo).await.unwrap(), first);
    assert_eq!((first.content_type.as_str(), first.width, first.height), ("image/jpeg", 300, 200));

    let of_another = app.upload_as(USER + 1, &photo).await.unwrap();
    assert_ne!(of_another.input_id, first.input_id);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_picture_is_not_stored() {
    let app = App::start(Engine::Sqlite).await;

    for text in [&b"just a text in photo.jpg"[..], b"", b"\xFF\xD8\xFFshort"] {
        assert_eq!(refused(app.upload(text).await), reason::NOT_A_PICTURE);
    }
    let wide = pictures::png(16_001, 1, 1);
    assert_eq!(refused(app.upload(&wide).await), reason::PICTURE_DIMENSIONS);
    assert_eq!(refused(app.upload_as(0, &wide).await), reason::INVALID_FIELD);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_photo_of_30_megabytes_is_refused_before_it_is_all_read() {
    let app = App::start(Engine::Sqlite).await;

    assert_eq!(refused(app.upload(&vec![0xFF; 30 * 1024 * 1024]).await), reason::PICTURE_TOO_LARGE);

    // Refused while the stream is still open: the sender has not even said that it is done.
    use wire::upload_input_request::Part;
    let (to, from) = tokio::sync::mpsc::channel(1);
    let message = |part| wire::UploadInputRequest { part: Some(part) };
    let header = message(Part::Header(wire::UploadInputHeader { user_id: USER }));
    let sender = tokio::spawn(async move {
        to.send(header).await.unwrap();
        let piece = bytes::Bytes::from(vec![0xFF; 64 * 1024]);
        while to.send(message(Part::Piece(piece.clone()))).await.is_ok() {}
    });
    let stream = tokio_stream::wrappers::ReceiverStream::new(from);
    let answer = app.media().streaming().upload_input(stream).await;
    assert_eq!(refused(answer), reason::PICTURE_TOO_LARGE);
    sender.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_begins_with_its_header_and_has_small_pieces() {
    use wire::upload_input_request::Part;

    let app = App::start(Engine::Sqlite).await;
    let header = || Part::Header(wire::UploadInputHeader { user_id: USER });
    let piece = |size| Part::Piece(bytes::Bytes::from(vec![1; size]));
    for parts in
        [vec![], vec![piece(1)], vec![header(), header()], vec![header(), piece(64 * 1024 + 1)]]
    {
        let messages: Vec<_> =
            parts.into_iter().map(|part| wire::UploadInputRequest { part: Some(part) }).collect();
        let answer = app.media().streaming().upload_input(tokio_stream::iter(messages)).await;
        assert_eq!(refused(answer), reason::INVALID_FIELD);
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_submit_is_the_same_job(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::start(engine).await;
    let operation = app.billing.reserve(USER, "generate");
    let request = app.request(Mode::Generate, &operation, vec![]);

    let mut calls = Vec::new();
    for _ in 0..8 {
        calls.push(app.submit(request.clone()));
    }
    for job in futures_util::future::join_all(calls).await {
        assert_eq!(job.unwrap().operation_id, operation);
    }
    app.ended(&operation).await;
    let again = app.submit(request.clone()).await.unwrap();
    assert_eq!(again.state(), JobState::Succeeded);

    let mut other = request.clone();
    other.prompt.push('!');
    assert_eq!(refused(app.submit(other).await), reason::IDEMPOTENCY_KEY_REUSED);
    // One operation has one spelling.
    let mut shouted = request;
    shouted.operation_id = shouted.operation_id.to_uppercase();
    assert_eq!(app.submit(shouted).await.unwrap().state(), JobState::Succeeded);
    assert_eq!(app.fal.taken().len(), 1);
    app.check_books().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn work_begins_for_a_reserved_operation_of_its_type_only(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::start(engine).await;
    let submit = |operation: String| app.submit(app.request(Mode::Generate, &operation, vec![]));
    let not_reserved = reason::OPERATION_NOT_RESERVED;

    let unknown = uuid::Uuid::now_v7().to_string();
    assert_eq!(refused(submit(unknown).await), not_reserved);
    let of_another = app.billing.reserve(USER + 1, "generate");
    assert_eq!(refused(submit(of_another.clone()).await), not_reserved);
    let other_type = app.billing.reserve(USER, "upscale");
    assert_eq!(refused(submit(other_type.clone()).await), not_reserved);
    let expired = app.billing.reserve(USER, "generate");
    app.billing.expire(&expired);
    assert_eq!(refused(submit(expired.clone()).await), not_reserved);

    app.billing.set_down(true);
    let waits = app.billing.reserve(USER, "generate");
    let impatient = app.media().with_deadline(Duration::from_secs(2));
    let unknown = impatient.submit_job(app.request(Mode::Generate, &waits, vec![])).await;
    let unknown = unknown.unwrap_err();
    assert!(proto::client::is_unknown(&unknown), "{unknown:?}");
    app.billing.set_down(false);
    for operation in [of_another, other_type, expired, waits] {
        assert_eq!(refused(app.job(&operation).await), reason::JOB_NOT_FOUND);
    }
    assert!(app.fal.taken().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_bad_request_has_its_own_refusal() {
    let app = App::start(Engine::Sqlite).await;
    let operation = app.billing.reserve(USER, "merge");
    let photo = app.upload(&pictures::png(30, 30, 1)).await.unwrap().input_id;
    let good = app.request(Mode::Merge, &operation, vec![photo.clone(), photo.clone()]);
    let of_another = app.upload_as(USER + 1, &pictures::png(30, 30, 2)).await.unwrap().input_id;
    let with = |change: &dyn Fn(&mut wire::SubmitJobRequest)| {
        let mut request = good.clone();
        change(&mut request);
        request
    };

    let cases = [
        (with(&|r| r.user_id = 0), reason::INVALID_FIELD),
        (with(&|r| r.operation_id = "job-1".to_owned()), reason::INVALID_FIELD),
        (with(&|r| r.operation_id.clear()), reason::INVALID_FIELD),
        (with(&|r| r.mode = 0), reason::UNKNOWN_MODE),
        (with(&|r| r.mode = 77), reason::UNKNOWN_MODE),
        (with(&|r| r.model = "fal-ai/unheard-of".to_owned()), reason::INVALID_FIELD),
        (with(&|r| r.format = 9), reason::INVALID_FIELD),
        (with(&|r| r.format = wire::Format::Square.into()), reason::INVALID_FIELD),
        (with(&|r| r.upscale_factor = 2), reason::INVALID_FIELD),
        (with(&|r| r.upscale_factor = -2), reason::INVALID_FIELD),
        (with(&|r| r.input_ids.truncate(1)), reason::WRONG_INPUTS),
        (with(&|r| r.input_ids = vec![photo.clone(); 11]), reason::WRONG_INPUTS),
        (with(&|r| r.input_ids[1] = "photo.jpg".to_owned()), reason::INPUT_NOT_FOUND),
        (with(&|r| r.input_ids[1].clone_from(&of_another)), reason::INPUT_NOT_FOUND),
        (with(&|r| r.prompt = " \n".to_owned()), reason::PROMPT_MISSING),
        (with(&|r| r.prompt = "я".repeat(10_000)), reason::PROMPT_TOO_LONG),
        (with(&|r| r.prompt = "a\0b".to_owned()), reason::INVALID_FIELD),
    ];
    for (request, expected) in cases {
        let shown = format!("{request:?}").chars().take(300).collect::<String>();
        assert_eq!(refused(app.submit(request).await), expected, "{shown}");
    }

    let job = app.submit(good).await.unwrap();
    assert_eq!(app.ended(&job.operation_id).await.state(), JobState::Succeeded);
    app.check_books().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_said_to_be_not_there() {
    let app = App::start(Engine::Sqlite).await;
    let unknown = uuid::Uuid::now_v7().to_string();

    assert_eq!(refused(app.job(&unknown).await), reason::JOB_NOT_FOUND);
    assert_eq!(refused(app.fetch(&unknown).await), reason::JOB_NOT_FOUND);
    assert_eq!(refused(app.job("x").await), reason::INVALID_FIELD);
    app.fal.script(|script| script.hang = true);
    let operation = app.generate().await;
    assert_eq!(refused(app.fetch(&operation).await), reason::RESULT_NOT_FOUND);

    let none = wire::AckResultsRequest { jobs: vec![] };
    assert_eq!(refused(app.media().ack_results(none).await), reason::INVALID_FIELD);
    let job = wire::JobId { user_id: USER, operation_id: unknown };
    let gone = wire::AckResultsRequest { jobs: vec![job.clone()] };
    app.media().ack_results(gone).await.unwrap();
    let many = wire::AckResultsRequest { jobs: vec![job; 101] };
    assert_eq!(refused(app.media().ack_results(many).await), reason::INVALID_FIELD);

    app.fal.script(|script| script.hang = false);
    app.ended(&operation).await;
    app.check_books().await;
}
