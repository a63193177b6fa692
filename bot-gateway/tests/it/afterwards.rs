//! What can be done with a result.

use rstest::rstest;
use serde_json::Value;

use crate::app::{App, Engine, User, picture, said};

/// Somebody who has got a picture of a cat; answers with the result and its operation.
async fn with_result(app: &App) -> (User<'_>, Value, String) {
    let user = app.guest().await;
    user.opens("mode_generate", "Стоимость").await;
    let prompt = user.writes("кот & <кит>").await;
    let operation = app.submitted().await;
    app.succeed(&operation, picture(9));
    let result = user.reads(prompt, "Готово").await;
    (user, result, operation)
}

async fn submits(app: &App, number: usize) -> proto::media::v1::SubmitJobRequest {
    let find = |model: &mut crate::fakes::Model| {
        (model.jobs.len() >= number).then(|| model.submits.last().unwrap().clone())
    };
    app.until("another job is submitted", find).await
}

#[rstest]
#[case(Engine::Sqlite)]
#[case(Engine::Postgres)]
#[tokio::test]
async fn a_result_is_repeated_once_however_often_the_button_is_pressed(#[case] engine: Engine) {
    let app = App::start_on(engine).await;
    let (user, result, operation) = with_result(&app).await;

    user.presses(&result, "Ещё раз – бесплатно").await;
    user.presses(&result, "Ещё раз – бесплатно").await;
    user.reads(0, "Эта работа уже повторена").await;

    let second = submits(&app, 2).await;
    assert_eq!(second.prompt, "кот & <кит>");
    assert_ne!(second.operation_id, operation);
    app.model(|model| {
        assert_eq!(model.jobs.len(), 2);
        assert_eq!(model.accounts[&user.id].free_operations, 2);
    });
    app.succeed(&second.operation_id, picture(10));
    let is_second = |message: &Value| {
        said(message).contains("Готово") && message["message_id"] != result["message_id"]
    };
    let next = user.sees("the second result", is_second).await;
    user.presses(&next, "Ещё раз").await;
    submits(&app, 3).await;
    app.stop().await;
}

#[tokio::test]
async fn the_question_that_was_open_is_still_open_after_a_repeat() {
    let app = App::start().await;
    let (user, result, _) = with_result(&app).await;
    user.opens("mode_edit", "Отправьте фото").await;

    user.presses(&result, "Ещё раз").await;
    submits(&app, 2).await;
    let photo = user.sends_photo(picture(1), &[]).await;

    user.reads(photo, "Что изменить?").await;
    app.stop().await;
}

#[tokio::test]
async fn another_description_changes_nothing_else() {
    let app = App::start().await;
    let (user, result, _) = with_result(&app).await;

    let after = user.presses(&result, "Другое описание").await;
    let asked = user.reads(after - 1, "Прежнее описание").await;
    assert!(said(&asked).contains("кот & <кит>"), "{asked:#}");
    user.writes("собака").await;

    assert_eq!(submits(&app, 2).await.prompt, "собака");
    app.stop().await;
}

#[tokio::test]
async fn a_result_is_the_picture_of_the_next_mode() {
    let app = App::start().await;
    let (user, result, _) = with_result(&app).await;

    let after = user.presses(&result, "Изменить это").await;
    user.reads(after - 1, "Что изменить?").await;
    user.writes("сделай ночь").await;
    let edit = submits(&app, 2).await;
    let (input, prompt) = (&edit.input_ids[0], &edit.prompt);
    assert_eq!(prompt, "сделай ночь");
    app.model(|model| assert_eq!(model.inputs[input], picture(9)));

    let after = user.presses(&result, "Увеличить это").await;
    let question = user.reads(after - 1, "Начать?").await;
    assert!(said(&question).contains("Стоимость"), "{question:#}");
    assert_eq!(app.model(|model| model.jobs.len()), 2, "nothing begins by itself");
    let talk = user.writes("да").await;
    user.reads(talk, "нажмите «Начать»").await;
    user.presses(&question, "Начать – 10 ₽").await;
    let upscale = submits(&app, 3).await;
    app.model(|model| assert_eq!(model.inputs[&upscale.input_ids[0]], picture(9)));
    let again = user.presses(&question, "Начать – 10 ₽").await;
    user.reads(again - 1, "больше не действует").await;
    assert_eq!(app.model(|model| model.jobs.len()), 3);
    app.stop().await;
}

#[tokio::test]
async fn the_original_comes_as_a_file_while_it_is_kept() {
    let app = App::start().await;
    let (user, result, operation) = with_result(&app).await;

    user.presses(&result, "Оригинал файлом").await;
    let file = user.reads(0, "Оригинал, без сжатия").await;
    assert_eq!(user.downloads(&file).await, picture(9));

    app.model(|model| model.pictures.remove(&operation));
    let after = user.presses(&result, "Оригинал файлом").await;
    user.reads(after - 1, "Файл уже не хранится").await;
    app.stop().await;
}

#[tokio::test]
async fn nobody_repeats_what_another_has_made() {
    let app = App::start().await;
    let (_, _, operation) = with_result(&app).await;
    let stranger = app.guest().await;
    let menu = stranger.reads(0, "Выберите").await["message_id"].as_i64().unwrap();

    for button in ["again", "another_prompt"] {
        stranger.presses_data(menu, &format!("{button}:{operation}")).await;
    }
    let help = stranger.writes("/help").await;
    stranger.reads(help, "Что я умею").await;

    assert_eq!(stranger.count("настройки уже не хранятся").await, 2);
    assert_eq!(app.model(|model| model.jobs.len()), 1);
    app.stop().await;
}
