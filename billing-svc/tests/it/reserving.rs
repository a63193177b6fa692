//! Reserve: what pays, what is refused, and that a repeat costs nothing.

use proto::billing::v1 as wire;
use proto::reason;
use rstest::rstest;
use tonic::Code;

use crate::app::{ANNA, App, BORIS, HALF_HOUR, PRICE, Terms, micros, reason_of, reserve};
use crate::database::Engine;

#[rstest]
#[tokio::test]
async fn free_operations_are_used_first_and_then_money(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_anna(engine).await;
    app.top_up(ANNA, 2_500).await;

    for left in [3, 2, 1, 0] {
        let operation = app.reserve(ANNA, &format!("test:{left}")).await;
        assert_eq!(operation.source(), wire::PaymentSource::FreeOperation);
        assert_eq!((operation.price_kopecks, operation.charged_kopecks), (PRICE, 0));
        assert_eq!(app.account(ANNA).await.free_operations, left);
    }
    let paid = app.reserve(ANNA, "test:paid").await;

    assert_eq!(paid.source(), wire::PaymentSource::Balance);
    assert_eq!((paid.charged_kopecks, paid.refunded_kopecks), (PRICE, 0));
    assert_eq!(paid.state(), wire::OperationState::Reserved);
    assert_eq!(paid.metadata["chat"], "42");
    let lives = micros(paid.expires_at) - micros(paid.created_at);
    assert_eq!(lives, i64::try_from(HALF_HOUR.as_micros()).unwrap());
    assert_eq!(app.has(ANNA).await, (1_500, PRICE, 0, 4));
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn too_little_of_both_stores_nothing_and_the_key_works_after_a_top_up(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_money(engine, PRICE - 1).await;

    let refusal = app.try_reserve(ANNA, "test:1").await.unwrap_err();
    assert_eq!(refusal.code(), Code::FailedPrecondition);
    assert_eq!(reason::of(&refusal).as_deref(), Some("INSUFFICIENT_FUNDS"));
    assert_eq!(reason::value(&refusal, "price_kopecks").as_deref(), Some("1000"));
    assert_eq!(reason::value(&refusal, "balance_kopecks").as_deref(), Some("999"));
    assert_eq!(reason::value(&refusal, "free_operations").as_deref(), Some("0"));
    assert_eq!(app.has(ANNA).await, (PRICE - 1, 0, 0, 0));

    app.top_up(ANNA, 1).await;
    app.reserve(ANNA, "test:1").await;
    assert_eq!(app.has(ANNA).await, (0, PRICE, 0, 0));
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn a_repeat_answers_with_the_operation_as_it_is_now(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_anna(engine).await;
    let first = app.reserve(ANNA, "test:1").await;

    let mut other_metadata = reserve(ANNA, "test:1");
    other_metadata.metadata.clear();
    let repeat = app.billing().reserve(other_metadata).await.unwrap().operation.unwrap();
    assert_eq!(repeat, first, "metadata is not compared, and the first stays");

    let committed = app.commit(&first).await.unwrap();
    assert_eq!(app.reserve(ANNA, "test:1").await, committed);
    assert_eq!(app.has(ANNA).await, (0, 0, 3, 0));
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn a_key_with_another_payload_is_refused(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_anna(engine).await;
    app.register(BORIS).await;
    app.reserve(ANNA, "test:1").await;

    let other_type =
        wire::ReserveRequest { operation_type: "edit".into(), ..reserve(ANNA, "test:1") };
    let other_model = wire::ReserveRequest { model: "large".into(), ..reserve(ANNA, "test:1") };

    let refusal = app.billing().reserve(other_type).await.unwrap_err();
    assert_eq!(refusal.code(), Code::AlreadyExists);
    assert_eq!(reason::of(&refusal).as_deref(), Some("IDEMPOTENCY_KEY_REUSED"));
    assert_eq!(reason_of(app.billing().reserve(other_model).await), "IDEMPOTENCY_KEY_REUSED");
    // A key is the user's own.
    app.reserve(BORIS, "test:1").await;
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn a_price_that_has_risen_is_refused_and_one_that_has_fallen_is_not(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_money(engine, 10_000).await;
    let showing = |price, key| wire::ReserveRequest {
        expected_price_kopecks: Some(price),
        ..reserve(ANNA, key)
    };

    let refusal = app.billing().reserve(showing(PRICE - 1, "test:1")).await.unwrap_err();
    assert_eq!(refusal.code(), Code::FailedPrecondition);
    assert_eq!(reason::of(&refusal).as_deref(), Some("PRICE_CHANGED"));
    assert_eq!(reason::value(&refusal, "price_kopecks").as_deref(), Some("1000"));
    assert_eq!(reason::value(&refusal, "expected_price_kopecks").as_deref(), Some("999"));
    assert_eq!(app.has(ANNA).await, (10_000, 0, 0, 0));

    app.billing().reserve(showing(PRICE, "test:1")).await.unwrap();
    app.billing().reserve(showing(PRICE + 1, "test:2")).await.unwrap();
    assert_eq!(app.has(ANNA).await, (8_000, 2_000, 0, 0));
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn the_price_stays_with_the_operation_for_life(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_money(engine, 5_000).await;
    let operation = app.reserve(ANNA, "test:1").await;

    let terms = Terms { free_operations: 0, price_kopecks: 3 * PRICE, ..Terms::default() };
    let app = app.restart(terms).await;

    assert_eq!(app.reserve(ANNA, "test:1").await, operation);
    app.commit(&operation).await.unwrap();
    assert_eq!(app.has(ANNA).await, (4_000, 0, 0, 0));
    assert_eq!(app.reserve(ANNA, "test:2").await.price_kopecks, 3 * PRICE);
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn what_is_not_sold_cannot_be_reserved(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_anna(engine).await;

    for unsold in ["add_text", "video", "x"] {
        let request =
            wire::ReserveRequest { operation_type: unsold.into(), ..reserve(ANNA, "test:1") };
        let refusal = app.billing().reserve(request).await.unwrap_err();
        assert_eq!(refusal.code(), Code::InvalidArgument, "{unsold}");
        assert_eq!(reason::of(&refusal).as_deref(), Some("OPERATION_TYPE_NOT_SOLD"));
    }
    assert_eq!(app.has(ANNA).await, (0, 0, 4, 0));
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn operations_are_listed_newest_first_by_pages(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_money(engine, 10 * PRICE).await;
    app.register(BORIS).await;
    let mut expected = Vec::new();
    for number in 0..5 {
        expected.insert(0, app.reserve(ANNA, &format!("test:{number}")).await);
    }

    let mut listed = Vec::new();
    let mut page_token = String::new();
    for pages in 1.. {
        let request = wire::ListOperationsRequest { user_id: ANNA, page_size: 2, page_token };
        let page = app.billing().list_operations(request).await.unwrap();
        listed.extend(page.operations);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            assert_eq!(pages, 3);
            break;
        }
    }

    assert_eq!(listed, expected);
    let request = wire::ListOperationsRequest { user_id: BORIS, ..Default::default() };
    assert!(app.billing().list_operations(request).await.unwrap().operations.is_empty());
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn an_operation_is_its_users_own(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let app = App::with_anna(engine).await;
    app.register(BORIS).await;
    let mut operation = app.reserve(ANNA, "test:1").await;
    operation.user_id = BORIS;

    assert_eq!(reason_of(app.commit(&operation).await), "OPERATION_NOT_FOUND");
    assert_eq!(reason_of(app.refund(&operation).await), "OPERATION_NOT_FOUND");
    assert_eq!(reason_of(app.extend(&operation).await), "OPERATION_NOT_FOUND");
    let request =
        wire::GetOperationRequest { user_id: BORIS, operation_id: operation.operation_id.clone() };
    assert_eq!(reason_of(app.billing().get_operation(request).await), "OPERATION_NOT_FOUND");
    assert_eq!(app.has(ANNA).await, (0, 0, 3, 1));
    app.finish().await;
}
