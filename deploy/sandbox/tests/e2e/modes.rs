//! Every mode, from the menu to what comes back.

use rstest::rstest;

use crate::world::{Engine, World, picture};

/// Opens a mode, and answers with the number of the message before it.
async fn open(person: &crate::person::Person, mode: &str) -> i64 {
    let start = person.say("/start").await;
    person.hears(start, "Создать").await;
    person.tap(mode).await;
    person.hears(start + 1, "10 ₽").await.id
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn each_paid_mode_ends_in_a_picture_made_from_what_was_sent(#[case] engine: Engine) {
    let world = World::start(engine).await;
    let person = world.person().await;
    world.top_up_new(person.id, 10_000).await;

    let question = open(&person, "Редактировать").await;
    person.send_photo(picture(320, 240)).await;
    person.hears(question, "Что изменить").await;
    let last = person.say("сделай вечер").await;
    person.receives(last).await;

    let question = open(&person, "Объединить").await;
    person.send_photo(picture(300, 200)).await;
    person.send_photo(picture(200, 300)).await;
    person.hears(question, "2 фото").await;
    person.tap("Готово").await;
    person.hears(question, "Опишите").await;
    let last = person.say("вместе на пляже").await;
    person.receives(last).await;

    let question = open(&person, "Заменить лицо").await;
    person.send_photo(picture(320, 240)).await;
    person.hears(question, "с лицом").await;
    let last = person.send_photo(picture(240, 240)).await;
    person.receives(last).await;

    open(&person, "Ретушь").await;
    let last = person.send_photo(picture(320, 240)).await;
    person.receives(last).await;

    open(&person, "Улучшить").await;
    let last = person.send_file("me.png", picture(160, 120)).await;
    let (_, bytes) = person.receives(last).await;
    let larger = image::load_from_memory(&bytes).unwrap();
    assert_eq!((larger.width(), larger.height()), (320, 240), "an upscale is larger");

    let account = world.account(person.id).await;
    assert_eq!((account.free_operations, account.balance_kopecks), (0, 9_000));
    assert_eq!(world.submits().await.len(), 5, "one paid submit for each operation");
    world.check_books().await;
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn adding_text_costs_nothing_and_uses_no_free_operation(#[case] engine: Engine) {
    let world = World::start(engine).await;
    let person = world.person().await;
    let start = person.say("/start").await;
    person.hears(start, "Добавить текст").await;
    person.tap("Добавить текст").await;
    let sent = person.send_file("photo.png", picture(640, 480)).await;
    person.hears(sent, "Какой текст").await;
    let said = person.say("С днём рождения, Ёжик! 🎂 100 ₽").await;

    let preview = person.hears(said, "Так будет выглядеть").await;
    let said = person.say("крупный жёлтый текст сверху на чёрной плашке").await;
    person.hears(preview.id + 1, "Так будет выглядеть").await;
    person.tap("Тень").await;
    person.button("✅ Тень").await;
    person.tap("✅ Готово").await;
    let done = person.hears(said, "Это бесплатно").await;
    let (_, bytes) = person.receives(done.id - 1).await;

    let result = image::load_from_memory(&bytes).unwrap();
    assert_eq!((result.width(), result.height()), (640, 480));
    let pixels = result.to_rgb8();
    let before = image::load_from_memory(&picture(640, 480)).unwrap().to_rgb8();
    // Telegram makes photos anew, which changes every pixel a little.
    let has_changed = |y: u32| {
        let apart = |x| pixels.get_pixel(x, y).0.iter().zip(before.get_pixel(x, y).0);
        (0..640).any(|x| apart(x).any(|(now, before)| now.abs_diff(before) > 100))
    };
    assert!((0..160).any(has_changed) && !(400..480).any(has_changed));
    let black = pixels.pixels().filter(|pixel| pixel.0.iter().all(|part| *part < 16)).count();
    assert!(black > 5_000, "{black} pixels of the plate");
    let account = world.account(person.id).await;
    assert_eq!((account.free_operations, account.balance_kopecks), (4, 0));
    assert!(world.operations(person.id).await.is_empty());
    assert!(world.submits().await.is_empty());
    world.check_books().await;
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn what_was_chosen_is_what_comes_back(#[case] engine: Engine) {
    let world = World::start(engine).await;
    let person = world.person().await;

    open(&person, "Создать").await;
    person.tap("FLUX.2 Pro").await;
    person.button("✅ FLUX.2 Pro – 10 ₽").await;
    person.tap("Вертикальный").await;
    person.button("✅ ↕️ Вертикальный").await;
    let last = person.say("маяк в тумане").await;
    let (_, bytes) = person.receives(last).await;
    let made = image::load_from_memory(&bytes).unwrap();
    assert!(made.height() > made.width(), "{} by {}", made.width(), made.height());

    open(&person, "Улучшить").await;
    person.tap("×4").await;
    person.button("✅ ×4 – 10 ₽").await;
    let last = person.send_file("me.png", picture(160, 120)).await;
    let (_, bytes) = person.receives(last).await;
    let larger = image::load_from_memory(&bytes).unwrap();
    assert_eq!((larger.width(), larger.height()), (640, 480));

    assert_eq!(world.submits().await.len(), 2);
    world.check_books().await;
}
