//! Each mode from its button to its result.

use proto::media::v1::{Job, JobState, Mode};
use rstest::rstest;

use crate::app::{App, Engine, picture, said};

#[tokio::test]
async fn start_greets_the_user_and_shows_seven_modes_and_the_payment_button() {
    let app = App::start().await;
    let user = app.user().await;

    let start = user.writes("/start").await;

    let menu = user.reads(start, "Здравствуйте").await;
    assert!(said(&menu).contains("Бесплатных операций: 4"), "{menu:#}");
    let buttons = menu["buttons"].to_string();
    for data in [
        "mode_generate",
        "mode_edit",
        "mode_merge",
        "mode_face_swap",
        "mode_retouch",
        "mode_upscale",
        "mode_add_text",
        "payment_menu",
    ] {
        assert!(buttons.contains(&format!("\"{data}\"")), "{data} in {buttons}");
    }
    assert_eq!(app.seen("setMyCommands").await, [200]);
    app.stop().await;
}

#[rstest]
#[case(Engine::Sqlite)]
#[case(Engine::Postgres)]
#[tokio::test]
async fn generate_shows_the_price_then_the_progress_then_the_picture(#[case] engine: Engine) {
    let app = App::start_on(engine).await;
    let user = app.guest().await;

    let opened = user.opens("mode_generate", "Стоимость: 10 ₽").await;
    user.reads(opened - 1, "Бесплатных операций: 4").await;
    let prompt = user.writes("рыжий кот <в шляпе>").await;
    let operation = app.submitted().await;
    user.reads(prompt, "Принято").await;
    app.model(|model| {
        let submit = &model.submits[0];
        assert_eq!(submit.prompt, "рыжий кот <в шляпе>");
        assert_eq!(submit.mode(), Mode::Generate);
        let job = Job { state: JobState::Running.into(), ..model.jobs[0].clone() };
        model.progress.push(job);
    });
    let status = user.reads(prompt, "Рисую").await;
    app.succeed(&operation, picture(1));

    let result = user.reads(prompt, "Готово").await;
    assert!(result["photo"].is_object(), "{result:#}");
    assert!(said(&result).contains("Использована бесплатная операция"), "{result:#}");
    assert!(said(&result).contains("3 бесплатные операции"), "{result:#}");
    app.acknowledged(&operation).await;
    let is_gone = |message: &serde_json::Value| {
        message["message_id"] == status["message_id"] && message["deleted"] == true
    };
    user.sees("the status message is deleted", is_gone).await;
    let balance = user.writes("/balance").await;
    user.reads(balance, "Бесплатных операций: 3").await;
    app.stop().await;
}

#[tokio::test]
async fn edit_takes_a_photo_and_then_a_prompt() {
    let app = App::start().await;
    let user = app.guest().await;
    user.opens("mode_edit", "Отправьте фото").await;

    let photo = user.sends_photo(picture(1), &[]).await;
    user.reads(photo, "Что изменить?").await;
    user.writes("сделай небо синим").await;

    app.submitted().await;
    app.model(|model| {
        assert_eq!(model.submits[0].mode(), Mode::Edit);
        assert_eq!(model.submits[0].prompt, "сделай небо синим");
        assert!(model.inputs.contains_key(&model.submits[0].input_ids[0]));
    });
    app.stop().await;
}

#[tokio::test]
async fn a_photo_with_a_caption_starts_an_edit_at_once() {
    let app = App::start().await;
    let user = app.guest().await;
    user.opens("mode_edit", "Отправьте фото").await;

    user.sends_photo(picture(1), &[("caption", "убери фон")]).await;

    app.submitted().await;
    app.model(|model| assert_eq!(model.submits[0].prompt, "убери фон"));
    app.stop().await;
}

#[tokio::test]
async fn merge_counts_an_album_in_one_message_and_keeps_its_order() {
    let app = App::start().await;
    let user = app.guest().await;
    let opened = user.opens("mode_merge", "от 2 до 10 фото").await;

    for red in [10, 90, 200] {
        user.sends_photo(picture(red), &[("media_group_id", "77")]).await;
    }
    let counter = user.reads(opened, "Получено 3 фото").await;
    assert_eq!(user.count("Получено").await, 1);
    let after = user.presses(&counter, "Готово").await;
    user.reads(after, "Опишите").await;
    user.writes("все вместе на пляже").await;

    app.submitted().await;
    app.model(|model| {
        let submit = &model.submits[0];
        assert_eq!(submit.mode(), Mode::Merge);
        let reds: Vec<_> = submit
            .input_ids
            .iter()
            .map(|id| image::load_from_memory(&model.inputs[id]).unwrap().to_rgb8()[(9, 9)][0])
            .collect();
        assert!(reds.is_sorted(), "{reds:?}");
        assert_eq!(reds.len(), 3);
    });
    app.stop().await;
}

#[tokio::test]
async fn merge_forgets_its_photos_when_told_and_wants_two() {
    let app = App::start().await;
    let user = app.guest().await;
    let opened = user.opens("mode_merge", "от 2 до 10 фото").await;

    user.sends_photo(picture(1), &[]).await;
    let counter = user.reads(opened, "Нужно хотя бы 2").await;
    let text = user.writes("просто текст").await;
    user.reads(text, "Жду фото").await;
    user.presses(&counter, "Очистить").await;
    user.reads(opened, "Фото убраны").await;
    user.sends_photo(picture(50), &[]).await;
    user.sends_photo(picture(150), &[("caption", "рядом")]).await;
    let counter = user.reads(opened, "Получено 2 фото").await;
    user.presses(&counter, "Готово").await;

    app.submitted().await;
    app.model(|model| {
        assert_eq!(model.submits[0].prompt, "рядом");
        assert_eq!(model.submits[0].input_ids.len(), 2);
    });
    app.stop().await;
}

#[tokio::test]
async fn face_swap_takes_the_target_first_and_the_face_second() {
    let app = App::start().await;
    let user = app.guest().await;
    user.opens("mode_face_swap", "на котором").await;

    let target = user.sends_photo(picture(10), &[]).await;
    user.reads(target, "с лицом").await;
    user.sends_photo(picture(240), &[]).await;

    app.submitted().await;
    app.model(|model| {
        let red =
            |id: &String| image::load_from_memory(&model.inputs[id]).unwrap().to_rgb8()[(9, 9)][0];
        let reds: Vec<_> = model.submits[0].input_ids.iter().map(red).collect();
        assert!(reds[0] < 60 && reds[1] > 190, "{reds:?}");
    });
    app.stop().await;
}

#[rstest]
#[case("mode_retouch", Mode::Retouch)]
#[case("mode_upscale", Mode::Upscale)]
#[tokio::test]
async fn a_photo_sent_as_a_file_starts_at_once(#[case] button: &str, #[case] mode: Mode) {
    let app = App::start().await;
    let user = app.guest().await;
    user.opens(button, "Отправьте фото").await;

    let query = [("file_name", "IMG_1.JPG"), ("mime_type", "image/jpeg")];
    let file = user.sends_file(picture(1), &query).await;
    let operation = app.submitted().await;
    app.succeed(&operation, picture(2));

    let result = user.reads(file, "Готово").await;
    app.model(|model| {
        assert_eq!(model.submits[0].mode(), mode);
        assert_eq!(model.inputs[&model.submits[0].input_ids[0]], picture(1));
    });
    // An upscale is sent untouched.
    assert_eq!(result["document"].is_object(), mode == Mode::Upscale, "{result:#}");
    app.stop().await;
}

#[tokio::test]
async fn add_text_is_answered_at_once_and_takes_nothing() {
    let app = App::start().await;
    let user = app.guest().await;
    app.set_account(&user, 0, 0);
    user.opens("mode_add_text", "Бесплатно").await;

    let photo = user.sends_photo(picture(1), &[]).await;
    user.reads(photo, "Какой текст").await;
    let text = user.writes("С днём рождения! 🎉").await;
    let preview = user.reads(text, "Так будет выглядеть").await;
    user.presses(&preview, "✅ Готово").await;

    let result = user.reads(text, "Это бесплатно").await;
    assert!(result["photo"].is_object(), "{result:#}");
    assert!(app.model(|model| model.reserve_keys.is_empty()));
    app.stop().await;
}

#[rstest]
#[case("mode_generate", "Опишите")]
#[case("mode_edit", "Отправьте фото")]
#[case("mode_merge", "от 2 до 10")]
#[case("mode_face_swap", "на котором")]
#[case("mode_add_text", "Отправьте фото")]
#[case("top_up_other", "Напишите сумму")]
#[tokio::test]
async fn commands_work_in_every_state(#[case] button: &str, #[case] question: &str) {
    let app = App::start().await;
    let user = app.guest().await;
    user.opens(button, question).await;

    let balance = user.writes("/balance").await;
    user.reads(balance, "Баланс: 0 ₽").await;
    let help = user.writes("/help").await;
    user.reads(help, "Что я умею").await;
    let unknown = user.writes("/conquer").await;
    user.reads(unknown, "Такой команды нет").await;
    let cancel = user.writes("/cancel").await;
    user.reads(cancel, "Отменено").await;
    let again = user.writes("/cancel").await;
    user.reads(again, "Отменять нечего").await;

    assert!(app.model(|model| model.reserve_keys.is_empty()));
    app.stop().await;
}

#[tokio::test]
async fn two_users_are_asked_apart() {
    let app = App::start().await;
    let (one, other) = (app.guest().await, app.guest().await);
    one.opens("mode_generate", "Опишите").await;
    other.opens("mode_edit", "Отправьте фото").await;

    let text = other.writes("это не фото").await;
    other.reads(text, "Жду фото").await;
    one.writes("кот").await;

    app.submitted().await;
    app.model(|model| assert_eq!(model.submits[0].user_id, one.id));
    app.stop().await;
}
