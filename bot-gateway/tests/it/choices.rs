//! What can be chosen of a mode: model, shape, how much larger.

use proto::media::v1::{Format, Mode, Model};
use serde_json::Value;

use crate::app::{App, User, picture, said};

fn models() -> Vec<Model> {
    let model = |mode: Mode, name: &str, title: &str| Model {
        mode: mode.into(),
        name: name.to_owned(),
        title: title.to_owned(),
        ..Model::default()
    };
    let shapes = [Format::Vertical, Format::Square, Format::Horizontal];
    let formats = shapes.map(i32::from).to_vec();
    vec![
        Model { formats: formats.clone(), ..model(Mode::Generate, "nano", "Nano") },
        Model { formats: formats[1..].to_vec(), ..model(Mode::Generate, "flux-2.5", "FLUX") },
        Model { languages: vec!["en".to_owned()], ..model(Mode::Generate, "pix", "Pix") },
        Model { upscale_factors: vec![2, 4], ..model(Mode::Upscale, "seedvr", "SeedVR") },
    ]
}

async fn with_models() -> App {
    let app = App::start().await;
    app.model(|model| {
        model.models = models();
        model.model_prices = vec![("generate", "flux-2.5", 1_500)];
    });
    app
}

fn labels(message: &Value) -> Vec<String> {
    let rows = message["buttons"].as_array().unwrap().iter();
    let buttons = rows.flat_map(|row| row.as_array().unwrap());
    buttons.map(|button| button["text"].as_str().unwrap().to_owned()).collect()
}

impl User<'_> {
    /// Presses a button of the question, and waits until the question shows something.
    async fn chooses(self, question: &Value, button: &str, shown: &str) -> Value {
        self.presses(question, button).await;
        let id = &question["message_id"];
        self.sees(shown, |message| {
            message["message_id"] == *id
                && (said(message).contains(shown) || labels(message).iter().any(|l| l == shown))
        })
        .await
    }
}

#[tokio::test]
async fn model_and_shape_are_chosen_with_their_price_and_ordered_as_chosen() {
    let app = with_models().await;
    let user = app.guest().await;
    let opened = user.opens("mode_generate", "Стоимость: 10 ₽").await;
    let question = user.reads(opened - 1, "Опишите картинку").await;
    assert_eq!(
        labels(&question),
        [
            "✅ Nano – 10 ₽",
            "FLUX – 15 ₽",
            "Pix – 10 ₽",
            "✅ Любой формат",
            "↕️ Вертикальный",
            "⬜ Квадрат",
            "↔️ Горизонтальный",
            "✖️ Отмена",
        ]
    );

    let vertical = user.chooses(&question, "↕️ Вертикальный", "✅ ↕️ Вертикальный").await;
    assert!(labels(&vertical).contains(&"Любой формат".to_owned()), "{vertical:#}");
    // It has no vertical pictures.
    let flux = user.chooses(&vertical, "FLUX – 15 ₽", "Стоимость: 15 ₽").await;
    assert!(labels(&flux).contains(&"✅ Любой формат".to_owned()), "{flux:#}");
    let square = user.chooses(&flux, "⬜ Квадрат", "✅ ⬜ Квадрат").await;
    assert!(labels(&square).contains(&"✅ FLUX – 15 ₽".to_owned()), "{square:#}");
    user.writes("рыжий кот").await;

    app.submitted().await;
    app.model(|model| {
        assert_eq!(model.submits[0].model, "flux-2.5");
        assert_eq!(model.submits[0].format(), Format::Square);
        assert_eq!(model.submits[0].upscale_factor, 0);
        assert_eq!(model.operations[0].model, "flux-2.5");
        assert_eq!(model.operations[0].price_kopecks, 1_500);
    });
    app.stop().await;
}

#[tokio::test]
async fn who_chooses_nothing_gets_the_default() {
    let app = with_models().await;
    let user = app.guest().await;
    user.opens("mode_generate", "Стоимость: 10 ₽").await;

    user.writes("рыжий кот").await;

    app.submitted().await;
    app.model(|model| {
        assert_eq!(model.submits[0].model, "nano");
        assert_eq!(model.submits[0].format(), Format::Unspecified);
        assert_eq!(model.operations[0].model, "nano");
    });
    app.stop().await;
}

#[tokio::test]
async fn a_model_that_does_not_understand_russian_says_so() {
    let app = with_models().await;
    let user = app.guest().await;
    let opened = user.opens("mode_generate", "Стоимость: 10 ₽").await;
    let question = user.reads(opened - 1, "Опишите картинку").await;

    user.chooses(&question, "Pix – 10 ₽", "только на языках: английский").await;

    app.stop().await;
}

#[tokio::test]
async fn an_upscale_is_as_much_larger_as_was_chosen() {
    let app = with_models().await;
    let user = app.guest().await;
    let opened = user.opens("mode_upscale", "Стоимость: 10 ₽").await;
    let question = user.reads(opened - 1, "Отправьте фото").await;
    assert_eq!(labels(&question), ["✅ ×2 – 10 ₽", "×4 – 10 ₽", "✖️ Отмена"]);

    user.chooses(&question, "×4 – 10 ₽", "✅ ×4 – 10 ₽").await;
    user.sends_photo(picture(1), &[]).await;

    app.submitted().await;
    app.model(|model| {
        assert_eq!(
            (model.submits[0].upscale_factor, model.submits[0].model.as_str()),
            (4, "seedvr")
        );
    });
    app.stop().await;
}

#[tokio::test]
async fn a_choice_of_an_older_question_changes_nothing() {
    let app = with_models().await;
    let user = app.guest().await;
    let opened = user.opens("mode_upscale", "Стоимость: 10 ₽").await;
    let older = user.reads(opened - 1, "Отправьте фото").await;
    user.opens("mode_upscale", "Стоимость: 10 ₽").await;
    let before = older["message_id"].as_i64().unwrap();

    user.presses(&older, "×4 – 10 ₽").await;

    user.reads(before + 1, "больше не действует").await;
    user.sends_photo(picture(1), &[]).await;
    app.submitted().await;
    app.model(|model| assert_eq!(model.submits[0].upscale_factor, 2));
    app.stop().await;
}

#[tokio::test]
async fn a_user_who_cannot_pay_the_default_is_offered_what_can_be_paid() {
    let app = with_models().await;
    app.model(|model| {
        model.free_operations = 0;
        model.model_prices = vec![("generate", "nano", 2_000)];
    });
    let user = app.guest().await;
    app.model(|model| model.accounts.values_mut().for_each(|one| one.balance_kopecks = 1_200));

    let opened = user.opens("mode_generate", "Стоимость: 10 ₽").await;

    let question = user.reads(opened - 1, "Опишите картинку").await;
    assert!(labels(&question).contains(&"✅ FLUX – 10 ₽".to_owned()), "{question:#}");
    app.stop().await;
}
