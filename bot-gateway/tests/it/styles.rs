//! How text on a picture looks: a preview that buttons and words change.

use proto::media::v1::{TextPlate, TextVertical};
use serde_json::Value;

use crate::app::{App, User, picture, said};

/// Opens the mode and shows the first preview.
async fn preview(user: &User<'_>) -> Value {
    user.opens("mode_add_text", "Бесплатно").await;
    let photo = user.sends_photo(picture(1), &[("caption", "Привет")]).await;
    user.reads(photo, "Так будет выглядеть").await
}

fn labels(message: &Value) -> String {
    message["buttons"].to_string()
}

#[tokio::test]
async fn buttons_change_the_preview_in_its_place_and_done_sends_the_whole() {
    let app = App::start().await;
    let user = app.guest().await;
    let preview = preview(&user).await;
    assert!(preview["photo"].is_object(), "{preview:#}");
    let is_it = |message: &Value| message["message_id"] == preview["message_id"];

    user.presses(&preview, "Плашка").await;
    let plated = user
        .sees("a plate", |message| is_it(message) && labels(message).contains("✅ Плашка"))
        .await;
    assert!(labels(&plated).contains("Углы плашки") && !labels(&plated).contains("✅ Обводка"));
    user.presses(&plated, "⬆️ Вверх").await;
    user.presses(&plated, "➕ Крупнее").await;
    app.until("three changes", |model| (model.texts.len() == 4).then_some(())).await;
    user.presses(&plated, "✅ Готово").await;

    let result = user.reads(preview["message_id"].as_i64().unwrap(), "Это бесплатно").await;
    assert!(result["photo"].is_object(), "{result:#}");
    user.sees("the preview goes", |message| is_it(message) && message["deleted"] == true).await;
    app.model(|model| {
        let [.., shown, whole] = &model.texts[..] else { panic!("{:?}", model.texts) };
        assert_eq!((shown.preview_side_max, whole.preview_side_max), (1280, 0));
        assert_eq!(whole.text, "Привет");
        assert!(!whole.input_id.is_empty());
        let style = whole.style.clone().unwrap();
        assert_eq!(style.vertical(), TextVertical::Top);
        assert_eq!((style.size_percent, style.plate), (125, Some(TextPlate::default())));
        assert!(model.reserve_keys.is_empty());
    });
    app.stop().await;
}

#[tokio::test]
async fn words_change_the_style_and_what_is_not_understood_is_said() {
    let app = App::start().await;
    let user = app.guest().await;
    let first = preview(&user).await;

    let red = user.writes("красный").await;
    let second = user.reads(red, "Так будет выглядеть").await;
    user.sees("the first goes", |message| {
        message["message_id"] == first["message_id"] && message["deleted"] == true
    })
    .await;
    let nonsense = user.writes("готический").await;
    user.reads(nonsense, "Не понял: «готический»").await;

    app.model(|model| {
        assert_eq!(model.descriptions, ["красный", "готический"]);
        assert_eq!(model.texts.len(), 2);
        assert_eq!(model.texts[1].style.clone().unwrap().color, "#FF0000");
    });
    user.presses(&second, "✏️ Другой текст").await;
    user.reads(nonsense + 1, "Какой текст").await;
    let other = user.writes("Пока").await;
    user.reads(other, "Так будет выглядеть").await;
    app.model(|model| {
        let last = model.texts.last().unwrap();
        assert_eq!(last.text, "Пока");
        assert_eq!(last.style.clone().unwrap().color, "#FF0000");
    });
    app.stop().await;
}

#[tokio::test]
async fn a_picture_that_the_worker_forgot_is_fetched_from_telegram_again() {
    let app = App::start().await;
    let user = app.guest().await;
    let preview = preview(&user).await;
    app.model(|model| model.inputs.clear());

    user.presses(&preview, "✅ Готово").await;

    user.reads(preview["message_id"].as_i64().unwrap(), "Это бесплатно").await;
    app.model(|model| {
        let [.., asked, sent] = &model.texts[..] else { panic!("{:?}", model.texts) };
        assert!(!asked.input_id.is_empty() && sent.input_id.is_empty());
    });
    app.stop().await;
}

#[tokio::test]
async fn buttons_of_an_older_preview_are_old() {
    let app = App::start().await;
    let user = app.guest().await;
    let older = preview(&user).await;
    let cancelled = user.writes("/cancel").await;
    user.reads(cancelled, "Отменено").await;

    user.presses(&older, "✅ Готово").await;

    let answer = user.reads(cancelled, "больше не действует").await;
    assert!(said(&answer).contains("Выберите"), "{answer:#}");
    app.model(|model| assert_eq!(model.texts.len(), 1));
    app.stop().await;
}
