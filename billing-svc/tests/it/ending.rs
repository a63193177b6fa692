//! How operations end: Commit, Refund and Extend in every state, and who may do what.

use proto::billing::v1::OperationState::{Committed, Refunded, Reserved};
use rstest::rstest;
use tonic::Code;

use crate::app::{ANNA, App, DAY, HALF_HOUR, PRICE, micros, reason_of};
use crate::database::Engine;

#[rstest]
#[tokio::test]
async fn a_commit_makes_the_hold_final_once_and_the_first_cost_stays(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_money(engine, 5_000).await;
    let operation = app.reserve(ANNA, "test:1").await;

    let committed = app.commit(&operation).await.unwrap();
    let mut other_cost = proto::billing::v1::CommitRequest {
        user_id: ANNA,
        operation_id: operation.operation_id.clone(),
        cost_micro_usd: Some(1),
    };
    let repeat = app.billing().commit(other_cost.clone()).await.unwrap().operation.unwrap();
    other_cost.cost_micro_usd = None;
    let again = app.billing().commit(other_cost).await.unwrap().operation.unwrap();

    assert_eq!(committed.state(), Committed);
    assert_eq!(committed.cost_micro_usd, 39_000);
    assert!(committed.ended_at.is_some());
    assert_eq!((&repeat, &again), (&committed, &committed));
    assert_eq!(app.has(ANNA).await, (4_000, 0, 0, 0));
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn a_refund_gives_money_back_once_and_its_first_reason_stays(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_money(engine, 5_000).await;
    let operation = app.reserve(ANNA, "test:1").await;

    let refunded = app.refund(&operation).await.unwrap();
    let repeat = app.refund_by(&operation, "olga").await.unwrap();

    assert_eq!(refunded.state(), Refunded);
    assert_eq!(refunded.refund_reason, "the provider failed");
    assert_eq!((refunded.charged_kopecks, refunded.refunded_kopecks), (PRICE, PRICE));
    assert_eq!(repeat, refunded);
    assert_eq!(app.has(ANNA).await, (5_000, 0, 0, 0));
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn a_refund_gives_a_free_operation_back_as_a_free_operation(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_anna(engine).await;
    app.top_up(ANNA, 5_000).await;
    let operation = app.reserve(ANNA, "test:1").await;
    assert_eq!(app.has(ANNA).await, (5_000, 0, 3, 1));

    let refunded = app.refund(&operation).await.unwrap();

    assert_eq!((refunded.charged_kopecks, refunded.refunded_kopecks), (0, 0));
    assert_eq!(app.has(ANNA).await, (5_000, 0, 4, 0));
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn only_a_person_takes_delivered_work_back(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_money(engine, 5_000).await;
    let operation = app.reserve(ANNA, "test:1").await;
    app.commit(&operation).await.unwrap();

    let refusal = app.refund(&operation).await.unwrap_err();
    assert_eq!(refusal.code(), Code::FailedPrecondition);
    assert_eq!(reason_of::<()>(Err(refusal)), "OPERATION_COMMITTED");
    assert_eq!(app.has(ANNA).await, (4_000, 0, 0, 0));

    let refunded = app.refund_by(&operation, "olga").await.unwrap();
    assert_eq!(refunded.state(), Refunded);
    assert_eq!(refunded.refund_actor, "olga");
    assert_eq!(refunded.cost_micro_usd, 39_000, "what it cost us stays known");
    assert_eq!(app.refund(&operation).await.unwrap(), refunded);
    assert_eq!(app.has(ANNA).await, (5_000, 0, 0, 0));
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn a_delivered_free_operation_that_a_person_refunds_can_be_used_again(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_anna(engine).await;
    let operation = app.reserve(ANNA, "test:1").await;
    app.commit(&operation).await.unwrap();

    app.refund_by(&operation, "olga").await.unwrap();

    assert_eq!(app.has(ANNA).await, (0, 0, 4, 0));
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn after_a_refund_nothing_can_be_charged(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_money(engine, 5_000).await;
    let operation = app.reserve(ANNA, "test:1").await;
    let refunded = app.refund(&operation).await.unwrap();

    assert_eq!(reason_of(app.commit(&operation).await), "OPERATION_REFUNDED");
    assert_eq!(reason_of(app.extend(&operation).await), "OPERATION_REFUNDED");
    assert_eq!(app.operation(&operation).await, refunded);
    assert_eq!(app.reserve(ANNA, "test:1").await, refunded, "the key stays with it");
    assert_eq!(app.has(ANNA).await, (5_000, 0, 0, 0));
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn a_reason_may_have_lines_and_any_script(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_anna(engine).await;
    let operation = app.reserve(ANNA, "test:1").await;

    let reason = format!("провайдер: 422\n\t{}", "🎨".repeat(239));
    let request = proto::billing::v1::RefundRequest {
        user_id: ANNA,
        operation_id: operation.operation_id,
        reason: reason.clone(),
        ..Default::default()
    };
    let refunded = app.billing().refund(request).await.unwrap().operation.unwrap();

    assert_eq!(refunded.refund_reason, reason);
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn a_hold_is_extended_from_now_but_never_past_a_day_after_reserve(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_anna(engine).await;
    let operation = app.reserve(ANNA, "test:1").await;
    let reserved_at = micros(operation.created_at);
    let half_hour = i64::try_from(HALF_HOUR.as_micros()).unwrap();
    let day = i64::try_from(DAY.as_micros()).unwrap();

    let at_once = app.extend(&operation).await.unwrap();
    assert_eq!(micros(at_once.expires_at), reserved_at + half_hour, "nothing to gain yet");

    let mut expires_at = 0;
    for _ in 0..49 {
        app.clock.advance(HALF_HOUR - std::time::Duration::from_secs(10));
        let extended = app.extend(&operation).await.unwrap();
        assert_eq!(extended.state(), Reserved);
        assert!(micros(extended.expires_at) >= expires_at);
        expires_at = micros(extended.expires_at);
        if expires_at == reserved_at + day {
            break;
        }
    }
    assert_eq!(expires_at, reserved_at + day);

    app.clock.advance(HALF_HOUR);
    assert_eq!(reason_of(app.extend(&operation).await), "HOLD_EXPIRED");
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn a_committed_operation_is_not_extended(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_anna(engine).await;
    let operation = app.reserve(ANNA, "test:1").await;
    app.commit(&operation).await.unwrap();

    assert_eq!(reason_of(app.extend(&operation).await), "OPERATION_COMMITTED");
    app.finish().await;
}
