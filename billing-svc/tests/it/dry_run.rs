//! A dry run of Reserve: what it would answer, and nothing stored.

use proto::billing::v1 as wire;
use proto::reason;
use rstest::rstest;
use tonic::Status;

use crate::app::{ANNA, App, HALF_HOUR, PRICE, reason_of, reserve};
use crate::app_admin::percent_off;
use crate::database::Engine;

fn dry(key: &str) -> wire::ReserveRequest {
    wire::ReserveRequest { dry_run: true, ..reserve(ANNA, key) }
}

async fn tried(app: &App, request: wire::ReserveRequest) -> Result<wire::Operation, Status> {
    Ok(app.billing().reserve(request).await?.operation.unwrap())
}

/// Nothing but the welcome and what the test itself has written.
async fn stored(app: &App) -> Vec<i64> {
    let look = app.look().await;
    let counts = look
        .numbers(
            "select (select count(*) from operation_records), (select count(*) from entries),
                    (select count(*) from events)",
        )
        .await;
    look.close().await;
    counts.concat()
}

#[rstest]
#[tokio::test]
async fn it_says_what_would_pay_and_stores_nothing(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_anna(engine).await;
    let before = stored(&app).await;

    // The key may be left out.
    let free = tried(&app, dry("")).await.unwrap();
    assert_eq!(free.source(), wire::PaymentSource::FreeOperation);
    assert_eq!((free.price_kopecks, free.charged_kopecks), (PRICE, 0));
    assert_eq!((free.operation_id.as_str(), free.created_at, free.expires_at), ("", None, None));
    assert_eq!(free.state(), wire::OperationState::Reserved);
    let request = wire::ReserveRequest { model: "large".into(), ..dry("test:1") };
    assert_eq!(tried(&app, request).await.unwrap().model, "large");
    assert_eq!(stored(&app).await, before);

    // The key that was tried is still new.
    let reserved = app.reserve(ANNA, "test:1").await;
    assert_eq!(reserved.source(), wire::PaymentSource::FreeOperation);
    assert_eq!(app.has(ANNA).await, (0, 0, 3, 1));
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn its_refusals_are_those_of_reserve(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_money(engine, PRICE - 1).await;

    let refusal = tried(&app, dry("")).await.unwrap_err();
    assert_eq!(reason::of(&refusal).as_deref(), Some("INSUFFICIENT_FUNDS"));
    assert_eq!(reason::value(&refusal, "price_kopecks").as_deref(), Some("1000"));
    let request = wire::ReserveRequest { operation_type: "add_text".into(), ..dry("") };
    assert_eq!(reason_of(tried(&app, request).await), "OPERATION_TYPE_NOT_SOLD");
    let request = wire::ReserveRequest { expected_price_kopecks: Some(PRICE - 1), ..dry("") };
    assert_eq!(reason_of(tried(&app, request).await), "PRICE_CHANGED");
    let request = wire::ReserveRequest { user_id: 7, ..dry("") };
    assert_eq!(reason_of(tried(&app, request).await), "USER_NOT_FOUND");
    let request = wire::ReserveRequest { idempotency_key: "ключ".into(), ..dry("") };
    assert_eq!(reason_of(tried(&app, request).await), "INVALID_FIELD");
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn a_key_that_was_used_is_answered_with_its_operation(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_anna(engine).await;
    let operation = app.reserve(ANNA, "test:1").await;

    assert_eq!(tried(&app, dry("test:1")).await.unwrap(), operation);
    let other = wire::ReserveRequest { operation_type: "edit".into(), ..dry("test:1") };
    assert_eq!(reason_of(tried(&app, other).await), "IDEMPOTENCY_KEY_REUSED");
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn it_knows_of_discounts_and_releases_what_is_overdue(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_money(engine, PRICE).await;
    app.reserve(ANNA, "test:1").await;
    app.offer("TENTH", percent_off(10)).await;
    app.redeem(ANNA, "TENTH", "test:promo").await.unwrap();
    assert_eq!(reason_of(tried(&app, dry("")).await), "INSUFFICIENT_FUNDS");

    app.clock.advance(HALF_HOUR);

    let would = tried(&app, dry("")).await.unwrap();
    assert_eq!((would.price_kopecks, would.charged_kopecks), (900, 900));
    assert_eq!((would.list_price_kopecks, would.promo_code.as_str()), (PRICE, "TENTH"));
    assert_eq!(app.has(ANNA).await, (PRICE, 0, 0, 0));
    app.finish().await;
}
