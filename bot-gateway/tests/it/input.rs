//! What nobody should send, and somebody will.

use rstest::rstest;

use crate::app::{App, picture};

#[rstest]
#[case("generate_v0")]
#[case("mode_conquer")]
#[case("check_payment:")]
#[case("top_up:-100000")]
#[case("merge_done:00000000-0000-0000-0000-000000000000")]
#[tokio::test]
async fn a_button_of_an_old_message_is_answered_politely(#[case] data: &str) {
    let app = App::start().await;
    let user = app.guest().await;
    let menu = user.reads(0, "Выберите").await["message_id"].as_i64().unwrap();

    let pressed = user.presses_data(menu, data).await;

    let answer = user.reads(menu, "больше не действует").await;
    assert!(answer["buttons"].to_string().contains("mode_generate"));
    assert!(app.is_answered(&pressed).await);
    app.stop().await;
}

#[tokio::test]
async fn a_payment_that_there_is_not_is_answered_politely() {
    let app = App::start().await;
    let user = app.guest().await;
    let menu = user.reads(0, "Выберите").await["message_id"].as_i64().unwrap();

    user.presses_data(menu, "check_payment:0190aaaa-0000-7000-8000-000000000001").await;

    user.reads(menu, "Такого платежа нет").await;
    app.stop().await;
}

#[tokio::test]
async fn a_file_of_30_megabytes_is_refused_before_it_is_downloaded() {
    let app = App::start().await;
    let user = app.guest().await;
    user.opens("mode_upscale", "Отправьте фото").await;

    let query = [("file_name", "a.jpg"), ("mime_type", "image/jpeg"), ("pretend_size", "31457280")];
    let file = user.sends_file(picture(1), &query).await;

    user.reads(file, "Файл больше 20 МБ").await;
    // The question stays.
    user.sends_photo(picture(1), &[]).await;
    app.submitted().await;
    app.stop().await;
}

#[rstest]
#[case("notes.jpg", "image/jpeg")]
#[case("notes.pdf", "application/pdf")]
#[tokio::test]
async fn a_file_that_is_no_picture_is_refused_and_the_question_stays(
    #[case] name: &str,
    #[case] mime: &str,
) {
    let app = App::start().await;
    let user = app.guest().await;
    user.opens("mode_retouch", "Отправьте фото").await;

    let query = [("file_name", name), ("mime_type", mime)];
    let file = user.sends_file(b"just some text".to_vec(), &query).await;

    user.reads(file, "не похоже на картинку").await;
    assert!(app.model(|model| model.reserve_keys.is_empty()));
    user.sends_photo(picture(1), &[]).await;
    app.submitted().await;
    app.stop().await;
}

#[tokio::test]
async fn a_prompt_of_10000_characters_is_refused_and_the_question_stays() {
    let app = App::start().await;
    let user = app.guest().await;
    user.opens("mode_edit", "Отправьте фото").await;
    let photo = user.sends_photo(picture(1), &[]).await;
    user.reads(photo, "Что изменить?").await;

    let long = user.writes(&"ы".repeat(4_001)).await;
    user.reads(long, "слишком длинное: 4001 символ").await;
    assert!(app.model(|model| model.reserve_keys.is_empty()));
    user.writes("небо синим").await;

    app.submitted().await;
    app.stop().await;
}

#[tokio::test]
async fn something_else_than_what_is_awaited_gets_a_hint() {
    let app = App::start().await;
    let user = app.guest().await;

    let photo = user.sends_photo(picture(1), &[]).await;
    user.reads(photo, "Сначала выберите").await;
    user.opens("mode_generate", "Стоимость").await;
    let photo = user.sends_photo(picture(1), &[]).await;
    user.reads(photo, "Жду описание").await;
    user.opens("mode_retouch", "Отправьте фото").await;
    let text = user.writes("вот").await;
    user.reads(text, "Жду фото").await;

    assert!(app.model(|model| model.reserve_keys.is_empty()));
    app.stop().await;
}
