//! AddText: text drawn on this machine, for nothing.

use bytes::Bytes;
use image::RgbImage;
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
    draw_with(app, picture, header(text)).await
}

fn header(text: &str) -> wire::AddTextHeader {
    wire::AddTextHeader { user_id: USER, text: text.to_owned(), ..wire::AddTextHeader::default() }
}

async fn draw_with(
    app: &App,
    picture: &[u8],
    header: wire::AddTextHeader,
) -> Result<(wire::PictureHeader, Vec<u8>), Status> {
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

/// A blue picture with a text in this style.
async fn styled(app: &App, description: &str) -> RgbImage {
    let style = described(app, description).await;
    let (_, drawn) =
        draw_with(app, &blue(), wire::AddTextHeader { style: Some(style), ..header("Ёжик Щ") })
            .await
            .unwrap();
    image::load_from_memory(&drawn).unwrap().to_rgb8()
}

fn blue() -> Vec<u8> {
    pictures::png_of(800, 600, [0, 0, 255])
}

async fn described(app: &App, description: &str) -> wire::TextStyle {
    let request =
        wire::DescribeTextStyleRequest { description: description.to_owned(), style: None };
    let described = app.media().describe_text_style(request).await.unwrap();
    assert_eq!(described.words_not_understood, Vec::<String>::new());
    described.style.unwrap()
}

/// The edges of all pixels that the text changed: left, top, right, bottom.
fn changed(drawn: &RgbImage) -> [u32; 4] {
    let ink = drawn.enumerate_pixels().filter(|(_, _, pixel)| pixel.0 != [0, 0, 255]);
    ink.fold([u32::MAX, u32::MAX, 0, 0], |[left, top, right, bottom], (x, y, _)| {
        [left.min(x), top.min(y), right.max(x), bottom.max(y)]
    })
}

fn count(drawn: &RgbImage, color: [u8; 3]) -> usize {
    drawn.pixels().filter(|pixel| pixel.0 == color).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_style_is_drawn_as_it_is_described() {
    let app = App::start(Engine::Sqlite).await;
    let usual = styled(&app, "белый").await;
    assert!(count(&usual, [255; 3]) > 500 && count(&usual, [0; 3]) > 500);

    let red = styled(&app, "красный без обводки").await;
    assert!(count(&red, [229, 32, 32]) > 500);
    assert_eq!((count(&red, [255; 3]), count(&red, [0; 3])), (0, 0));

    let [_, top, _, bottom] = changed(&styled(&app, "сверху").await);
    assert!(top > 10 && bottom < 150, "{top} {bottom}");
    let [_, top, _, bottom] = changed(&styled(&app, "посередине").await);
    assert!((top + bottom).abs_diff(600) < 40, "{top} {bottom}");
    let [left, _, right, _] = changed(&styled(&app, "слева").await);
    assert!(left < 60 && right < 400, "{left} {right}");
    let [left, _, right, _] = changed(&styled(&app, "справа").await);
    assert!(left > 400 && right > 740, "{left} {right}");

    let height = |drawn: &RgbImage| {
        let [_, top, _, bottom] = changed(drawn);
        bottom - top
    };
    let (large, small) = (styled(&app, "огромный").await, styled(&app, "мелкий").await);
    assert!(height(&large) > height(&usual) * 3 / 2, "{}", height(&large));
    assert!(height(&small) < height(&usual) * 3 / 4, "{}", height(&small));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plate_lies_behind_the_text_and_lets_through_what_was_said() {
    let app = App::start(Engine::Sqlite).await;

    let solid = styled(&app, "чёрный текст на белой плашке").await;
    let [left, top, right, bottom] = changed(&solid);
    // The outermost pixels are covered in part.
    assert_eq!(solid.get_pixel(left + 1, top + 1).0, [255; 3], "square corners");
    assert_eq!(solid.get_pixel(right - 1, bottom - 1).0, [255; 3]);
    assert!(count(&solid, [0; 3]) > 500);

    let half = styled(&app, "на белой полупрозрачной плашке с круглыми углами").await;
    let [left, top, right, _] = changed(&half);
    let middle = half.get_pixel(left.midpoint(right), top + 2).0;
    assert!(middle[0].abs_diff(128) < 3 && middle[2] > 250, "{middle:?}");
    assert_eq!(half.get_pixel(left + 1, top + 1).0, [0, 0, 255], "round corners");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shadow_lies_below_and_to_the_right_of_the_letters() {
    let app = App::start(Engine::Sqlite).await;

    let plain = styled(&app, "без обводки").await;
    let shaded = styled(&app, "без обводки, с тенью").await;

    let ([left, top, right, bottom], with) = (changed(&plain), changed(&shaded));
    assert!(with[2] > right + 3 && with[3] > bottom + 3, "{with:?}");
    let further =
        |after: [u32; 2], before: [u32; 2]| after[1] - before[1] > before[0] - after[0] + 3;
    assert!(further([with[0], with[2]], [left, right]), "{with:?}");
    assert!(further([with[1], with[3]], [top, bottom]), "{with:?}");
    let darker = shaded.pixels().filter(|pixel| pixel.0[2] < 200 && pixel.0[0] < 60).count();
    assert!(darker > 300, "{darker}");
    assert_eq!(plain.pixels().filter(|pixel| pixel.0[2] < 200).count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_is_small_and_shows_what_the_whole_looks_like() {
    let app = App::start(Engine::Sqlite).await;
    let photo = pictures::png_of(2000, 1500, [0, 0, 255]);
    let style = Some(described(&app, "белый слева сверху на чёрной плашке с тенью").await);
    let asked = |preview_side_max| wire::AddTextHeader {
        style: style.clone(),
        preview_side_max,
        ..header("Привет, мир! 🎨 Как дела?")
    };

    let (small, preview) = draw_with(&app, &photo, asked(500)).await.unwrap();
    let (_, whole) = draw_with(&app, &photo, asked(0)).await.unwrap();

    assert_eq!((small.width, small.height), (500, 375));
    assert_eq!(small.content_type, "image/jpeg");
    let preview = image::load_from_memory(&preview).unwrap().to_rgb8();
    let whole = image::load_from_memory(&whole).unwrap().thumbnail_exact(500, 375).to_rgb8();
    let apart = |(one, other): (&image::Rgb<u8>, &image::Rgb<u8>)| {
        one.0.iter().zip(other.0).map(|(one, other)| u64::from(one.abs_diff(other))).sum::<u64>()
    };
    let apart: u64 = preview.pixels().zip(whole.pixels()).map(apart).sum();
    // In all three colours together, of 255 each.
    assert!(apart / (500 * 375) < 6, "{}", apart / (500 * 375));
    let (large, _) = draw_with(&app, &blue(), asked(5000)).await.unwrap();
    assert_eq!((large.width, large.height), (800, 600));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_was_uploaded_needs_no_second_way() {
    let app = App::start(Engine::Sqlite).await;
    let input_id = app.upload(&blue()).await.unwrap().input_id;
    let of = |input_id: &str| wire::AddTextHeader {
        input_id: input_id.to_owned(),
        ..header("Привет")
    };

    let (_, by_name) = draw_with(&app, &[], of(&input_id)).await.unwrap();

    let (_, by_bytes) = draw(&app, &blue(), "Привет").await.unwrap();
    assert!(by_name == by_bytes);
    assert_eq!(refused(draw_with(&app, &[], of("nothing")).await), reason::INPUT_NOT_FOUND);
    let of_another = app.upload_as(USER + 1, &pictures::png(30, 30, 2)).await.unwrap().input_id;
    assert_eq!(refused(draw_with(&app, &[], of(&of_another)).await), reason::INPUT_NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_style_that_cannot_be_drawn_is_refused_by_its_field() {
    let app = App::start(Engine::Sqlite).await;
    let usual = wire::TextStyle::default;
    let plate = |plate| Some(wire::TextStyle { plate: Some(plate), ..usual() });
    let outline = |outline| Some(wire::TextStyle { outline: Some(outline), ..usual() });
    let cases = [
        (Some(wire::TextStyle { size_percent: 24, ..usual() }), "style.size_percent"),
        (Some(wire::TextStyle { size_percent: -1, ..usual() }), "style.size_percent"),
        (Some(wire::TextStyle { color: "red".to_owned(), ..usual() }), "style.color"),
        (Some(wire::TextStyle { vertical: 9, ..usual() }), "style.vertical"),
        (Some(wire::TextStyle { horizontal: 9, ..usual() }), "style.horizontal"),
        (
            plate(wire::TextPlate { opacity_percent: 101, ..wire::TextPlate::default() }),
            "style.plate.opacity_percent",
        ),
        (
            plate(wire::TextPlate { radius_percent: -1, ..wire::TextPlate::default() }),
            "style.plate.radius_percent",
        ),
        (
            outline(wire::TextOutline { width_percent: 21, color: String::new() }),
            "style.outline.width_percent",
        ),
        (
            Some(wire::TextStyle {
                outline: Some(wire::TextOutline::default()),
                no_outline: true,
                ..usual()
            }),
            "style.no_outline",
        ),
    ];
    for (style, field) in cases {
        let answer = draw_with(&app, &blue(), wire::AddTextHeader { style, ..header("x") }).await;
        let status = answer.unwrap_err();
        assert_eq!(reason::of(&status).as_deref(), Some(reason::INVALID_FIELD), "{field}");
        assert_eq!(reason::value(&status, "field").as_deref(), Some(field));
    }
    let asked = wire::AddTextHeader { preview_side_max: -1, ..header("x") };
    assert_eq!(refused(draw_with(&app, &blue(), asked).await), reason::INVALID_FIELD);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_description_changes_a_style_and_gives_back_what_it_does_not_understand() {
    let app = App::start(Engine::Sqlite).await;
    let describe = async |description: &str, style| {
        let description = description.to_owned();
        let request = wire::DescribeTextStyleRequest { description, style };
        app.media().describe_text_style(request).await
    };

    let first = describe("крупный белый текст сверху", None).await.unwrap().style;
    let second = describe("жёлтый готический", first).await.unwrap();

    assert_eq!(second.words_not_understood, ["готический"]);
    let style = second.style.unwrap();
    assert_eq!((style.size_percent, style.color.as_str()), (150, "#FFDD00"));
    assert_eq!(style.vertical(), wire::TextVertical::Top);
    assert_eq!(refused(describe(" ", None).await), reason::DESCRIPTION_MISSING);
    assert_eq!(refused(describe(&"я".repeat(201), None).await), reason::DESCRIPTION_TOO_LONG);
    let bad = Some(wire::TextStyle { size_percent: 999, ..wire::TextStyle::default() });
    assert_eq!(refused(describe("белый", bad).await), reason::INVALID_FIELD);
}
