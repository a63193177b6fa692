//! AddText: text drawn on this machine, for nothing.

use bytes::Bytes;
use proto::media::v1 as wire;
use proto::reason;
use tonic::Status;
use wire::add_text_request::Part as Sent;
use wire::add_text_response::Part as Got;

use crate::app::{App, USER, refused};
use crate::database::Engine;
use crate::pictures;

async fn draw(
    app: &App,
    picture: &[u8],
    text: &str,
) -> Result<(wire::PictureHeader, Vec<u8>), Status> {
    let header = wire::AddTextHeader { user_id: USER, text: text.to_owned() };
    let pieces = picture.chunks(64 * 1024).map(|piece| Sent::Piece(Bytes::copy_from_slice(piece)));
    let parts: Vec<_> = std::iter::once(Sent::Header(header))
        .chain(pieces)
        .map(|part| wire::AddTextRequest { part: Some(part) })
        .collect();
    let mut answer =
        app.media().streaming().add_text(tokio_stream::iter(parts)).await?.into_inner();
    let mut header = None;
    let mut whole = Vec::new();
    while let Some(part) = answer.message().await? {
        match part.part.unwrap() {
            Got::Header(first) => header = Some(first),
            Got::Piece(piece) => whole.extend_from_slice(&piece),
        }
    }
    Ok((header.unwrap(), whole))
}

#[tokio::test(flavor = "multi_thread")]
async fn text_comes_back_on_the_picture_and_nothing_is_charged() {
    let app = App::start(Engine::Sqlite).await;
    let photo = pictures::jpeg(640, 480, 40);

    let (header, drawn) = draw(&app, &photo, "Привет, мир! 🎨").await.unwrap();

    let drawn_on = image::load_from_memory(&drawn).unwrap().to_rgb8();
    assert_eq!((header.width, header.height), (640, 480));
    assert_eq!(drawn_on.dimensions(), (640, 480));
    assert_eq!(header.size_bytes, i64::try_from(drawn.len()).unwrap());
    let white = drawn_on.pixels().filter(|pixel| pixel.0.iter().all(|value| *value > 240)).count();
    assert!(white > 200, "{white} white pixels");
    assert!(app.billing.operations().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_drawn_is_refused() {
    let app = App::start(Engine::Sqlite).await;
    let photo = pictures::jpeg(640, 480, 40);

    assert_eq!(refused(draw(&app, &photo, " ").await), reason::TEXT_MISSING);
    assert_eq!(refused(draw(&app, &photo, &"я".repeat(501)).await), reason::TEXT_TOO_LONG);
    let status = draw(&app, &photo, "東京").await.unwrap_err();
    assert_eq!(reason::value(&status, "characters").as_deref(), Some("京東"));
    assert_eq!(reason::of(&status).as_deref(), Some(reason::TEXT_CHARACTERS_MISSING));
    let small = pictures::jpeg(100, 100, 40);
    let long = "слово ".repeat(80);
    assert_eq!(refused(draw(&app, &small, &long).await), reason::TEXT_DOES_NOT_FIT);
    assert_eq!(refused(draw(&app, b"a text", "hello").await), reason::NOT_A_PICTURE);
    assert_eq!(
        refused(draw(&app, &vec![0xFF; 21 * 1024 * 1024], "hello").await),
        reason::PICTURE_TOO_LARGE
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_at_once_are_told_to_come_back() {
    let app = App::start(Engine::Sqlite).await;
    let photo = pictures::jpeg(1600, 1200, 40);

    let calls = (0..24).map(|_| draw(&app, &photo, "вместе"));
    let answers = futures_util::future::join_all(calls).await;

    let drawn = answers.iter().filter(|answer| answer.is_ok()).count();
    assert!((2..24).contains(&drawn), "{drawn} drawn");
    for answer in answers {
        if answer.is_err() {
            assert_eq!(refused(answer), reason::BUSY);
        }
    }
}
