//! What comes twice, or many times at once, is done once.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use proto::billing::v1::ReserveRequest;
use proto::reason;
use rstest::rstest;
use serde_json::json;
use tonic::{Code, Status};

use crate::world::{Engine, World, picture};

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_press_or_a_message_that_comes_twice_is_one_purchase(#[case] engine: Engine) {
    let world = World::start(engine).await;
    let person = world.person_who_pays().await;
    world.faults(json!({ "telegram": "repeat_updates" })).await;

    // A prompt that is sent twice, in a mode that was opened twice.
    let (menu, mode) = person.button("Создать").await;
    tokio::join!(person.press(menu, &mode), person.press(menu, &mode));
    person.hears(0, "10 ₽").await;
    let say = || person.say("рыжий кот на крыше");
    let (first, second) = tokio::join!(say(), say());
    person.receives(first.min(second)).await;

    // The last press of a merge, twice.
    let start = person.say("/start").await;
    person.hears(start, "Объединить").await;
    person.tap("Объединить").await;
    let question = person.hears(start + 1, "10 ₽").await.id;
    person.send_photo(picture(300, 200)).await;
    let last = person.send_captioned_photo(picture(200, 300), "вместе на пляже").await;
    person.hears(question, "2 фото").await;
    let (message, done) = person.button("Готово").await;
    let press = || person.press(message, &done);
    let (first, second) = tokio::join!(press(), press());
    person.receives(last).await;
    world.answered(&first).await;
    world.answered(&second).await;

    // One chat's updates are handled in order: once this is answered, so is all before it.
    let asked = person.say("/balance").await;
    person.hears(asked, "Баланс").await;
    let operations = world.operations(person.id).await;
    let types: BTreeSet<_> = operations.iter().map(|it| it.operation_type.as_str()).collect();
    assert_eq!(operations.len(), 4 + 2, "{operations:#?}");
    assert_eq!(types, BTreeSet::from(["generate", "merge"]));
    assert_eq!(world.submits().await.len(), 2);
    world.balance_becomes(person.id, 8_000).await;
    let pictures = person.messages().await.into_iter().filter(|it| it.picture_url.is_some());
    assert_eq!(pictures.count(), 2, "each picture came once");
    world.check_books().await;
}

impl World {
    /// Reserves 64 times at once; `key` is the key of each.
    async fn reserve_64(
        &self,
        user_id: i64,
        key: impl Fn(usize) -> String,
    ) -> Vec<Result<String, Status>> {
        let reserve = |number| {
            let request = ReserveRequest {
                user_id,
                operation_type: "generate".to_owned(),
                idempotency_key: key(number),
                ..ReserveRequest::default()
            };
            async move {
                let reserved = self.billing.reserve(request).await?;
                Ok(reserved.operation.unwrap().operation_id)
            }
        };
        join_all((0..64).map(reserve)).await
    }
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn of_64_reserves_at_once_with_money_for_10_just_10_succeed(#[case] engine: Engine) {
    let world = World::start(engine).await;
    let user_id = 777;
    world.top_up_new(user_id, 10_000).await;
    world.use_up_free_operations(user_id).await;

    let answers = world.reserve_64(user_id, |number| format!("test:many:{number}")).await;

    let reserved: BTreeSet<_> = answers.iter().filter_map(|answer| answer.as_ref().ok()).collect();
    assert_eq!(reserved.len(), 10);
    for refused in answers.iter().filter_map(|answer| answer.as_ref().err()) {
        assert_eq!(refused.code(), Code::FailedPrecondition, "{refused:?}");
        assert_eq!(reason::of(refused).as_deref(), Some(reason::INSUFFICIENT_FUNDS));
    }
    let account = world.account(user_id).await;
    assert_eq!((account.balance_kopecks, account.held_kopecks), (0, 10_000));
    assert_eq!(world.operations(user_id).await.len(), 4 + 10);
    world.check_books().await;

    // The same requests again: each of the ten is itself, and nothing is taken.
    let again = world.reserve_64(user_id, |number| format!("test:many:{number}")).await;
    let repeated: BTreeSet<_> = again.iter().filter_map(|answer| answer.as_ref().ok()).collect();
    assert_eq!(repeated, reserved);
    assert_eq!(world.operations(user_id).await.len(), 4 + 10);
    world.check_books().await;
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn of_64_reserves_at_once_with_one_key_there_is_one_operation(#[case] engine: Engine) {
    let world = World::start(engine).await;
    let user_id = 777;
    world.top_up_new(user_id, 100_000).await;
    world.use_up_free_operations(user_id).await;

    let answers = world.reserve_64(user_id, |_| "test:one".to_owned()).await;

    let operations: BTreeSet<_> = answers.into_iter().map(Result::unwrap).collect();
    assert_eq!(operations.len(), 1);
    let account = world.account(user_id).await;
    assert_eq!((account.balance_kopecks, account.held_kopecks), (99_000, 1_000));
    assert_eq!(world.operations(user_id).await.len(), 4 + 1);
    world.check_books().await;
}
