//! Registering, the welcome grant, reading an account and the price list.

use proto::billing::v1 as wire;
use rstest::rstest;

use crate::app::{ANNA, App, PRICE, Terms, reason_of};
use crate::database::Engine;

#[rstest]
#[tokio::test]
async fn a_new_user_is_given_free_operations_once(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::start(engine).await;

    let first = app.register(ANNA).await;
    let again = app.register(ANNA).await;

    assert!(first.created && !again.created);
    assert_eq!(app.has(ANNA).await, (0, 0, 4, 0));
    assert_eq!(first.account.unwrap().created_at, again.account.unwrap().created_at);
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn registering_at_once_from_everywhere_gives_one_grant(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::start(engine).await;

    let calls = (0..32).map(|_| app.register(ANNA));
    let answers = futures_util::future::join_all(calls).await;

    assert_eq!(answers.iter().filter(|answer| answer.created).count(), 1);
    assert_eq!(app.has(ANNA).await, (0, 0, 4, 0));
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn without_a_welcome_grant_a_user_starts_with_nothing(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with(engine, Terms { free_operations: 0, ..Terms::default() }).await;

    app.register(ANNA).await;

    assert_eq!(app.has(ANNA).await, (0, 0, 0, 0));
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn profile_fields_that_are_present_replace_the_stored_ones(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::start(engine).await;
    let register = |language: Option<&str>, email: Option<&str>| wire::RegisterUserRequest {
        user_id: ANNA,
        profile: Some(wire::Profile {
            language: language.map(str::to_owned),
            receipt_email: email.map(str::to_owned),
        }),
    };

    app.billing().register_user(register(Some("ru"), None)).await.unwrap();
    app.billing().register_user(register(None, Some("anna@example.com"))).await.unwrap();
    app.billing().register_user(register(Some("en"), None)).await.unwrap();
    app.register(ANNA).await;

    let profile = app.account(ANNA).await.profile.unwrap();
    assert_eq!(profile.language.as_deref(), Some("en"));
    assert_eq!(profile.receipt_email.as_deref(), Some("anna@example.com"));
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn a_user_who_was_never_registered_is_not_found_by_any_call(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_anna(engine).await;
    let billing = app.billing();
    let known = app.reserve(ANNA, "test:1").await.operation_id;
    let top_up_id = app.open_top_up(ANNA, 10_000, "test:1").await.top_up_id;
    let user_id = 4_040;

    let account = billing.get_account(wire::GetAccountRequest { user_id }).await;
    assert_eq!(reason_of(account), "USER_NOT_FOUND");
    assert_eq!(reason_of(app.try_reserve(user_id, "test:1").await), "USER_NOT_FOUND");
    let stranger = wire::Operation { user_id, operation_id: known, ..Default::default() };
    assert_eq!(reason_of(app.commit(&stranger).await), "USER_NOT_FOUND");
    assert_eq!(reason_of(app.refund(&stranger).await), "USER_NOT_FOUND");
    assert_eq!(reason_of(app.extend(&stranger).await), "USER_NOT_FOUND");
    let stranger = wire::TopUp { user_id, top_up_id, ..Default::default() };
    assert_eq!(reason_of(app.cancel(&stranger).await), "USER_NOT_FOUND");
    let listed = wire::ListOperationsRequest { user_id, ..Default::default() };
    assert_eq!(reason_of(billing.list_operations(listed).await), "USER_NOT_FOUND");
    let opened = crate::app::open_top_up(user_id, 100, "test:1");
    assert_eq!(reason_of(billing.open_top_up(opened).await), "USER_NOT_FOUND");
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn six_types_are_sold_at_the_configured_price(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::start(engine).await;

    let prices = app.billing().list_prices(wire::ListPricesRequest {}).await.unwrap().prices;

    let types: Vec<_> = prices.iter().map(|price| price.operation_type.as_str()).collect();
    assert_eq!(types, ["edit", "face_swap", "generate", "merge", "retouch", "upscale"]);
    assert!(prices.iter().all(|p| p.price_kopecks == PRICE && p.free_operations_allowed));
    app.finish().await;
}
