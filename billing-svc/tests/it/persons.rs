//! What persons do to an account: adjustments, grants, and refunds of delivered work.

use proto::billing::v1 as wire;
use proto::reason;
use rstest::rstest;
use tonic::Code;

use crate::app::{ANNA, App, BORIS, HALF_HOUR, PRICE, reason_of};
use crate::database::Engine;
use wire::OperationState::{Committed, Refunded};

#[rstest]
#[tokio::test]
async fn an_adjustment_gives_and_takes_and_never_overdraws(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_money(engine, 0).await;

    let given = app.adjust(ANNA, 1_500, "olga:1").await.unwrap();
    assert_eq!((given.entry_number, given.account.unwrap().balance_kopecks), (1, 1_500));
    let taken = app.adjust(ANNA, -500, "olga:2").await.unwrap();
    assert_eq!((taken.entry_number, taken.account.unwrap().balance_kopecks), (2, 1_000));

    // What is held is not there to be taken.
    app.reserve(ANNA, "test:1").await;
    let refusal = app.adjust(ANNA, -1, "olga:3").await.unwrap_err();
    assert_eq!(refusal.code(), Code::FailedPrecondition);
    assert_eq!(reason::of(&refusal).as_deref(), Some("INSUFFICIENT_FUNDS"));
    assert_eq!(reason::value(&refusal, "balance_kopecks").as_deref(), Some("0"));

    let entries = app.statement(ANNA).await;
    let of = |number: usize| {
        let entry = &entries[number - 1];
        (&*entry.cause, &*entry.from_account, &*entry.to_account, entry.balance_change_kopecks)
    };
    assert_eq!(of(1), ("adjustment", "adjustment", "balance", 1_500));
    assert_eq!(of(2), ("adjustment", "balance", "adjustment", -500));
    assert_eq!(entries[1].actor, "olga");
    let events = [("balance_adjusted".to_owned(), 1_500), ("balance_adjusted".to_owned(), -500)];
    assert_eq!(app.events(ANNA).await, events);
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn a_grant_gives_free_operations(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let app = App::with_anna(engine).await;

    let granted = app.grant(ANNA, 10_000, "olga:1").await.unwrap();

    assert_eq!((granted.entry_number, granted.account.unwrap().free_operations), (2, 10_004));
    let entry = app.statement(ANNA).await.pop().unwrap();
    assert_eq!((&*entry.cause, &*entry.actor, entry.amount), ("grant", "olga", 10_000));
    assert_eq!((entry.balance_change_kopecks, entry.free_operations_after), (0, 10_004));
    assert_eq!(app.events(ANNA).await, [("free_operations_granted".to_owned(), 10_000)]);
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn a_key_is_good_for_one_write_of_a_person(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_money(engine, 0).await;
    app.register(BORIS).await;
    app.adjust(ANNA, 1_500, "olga:1").await.unwrap();
    app.reserve(ANNA, "test:1").await;

    // A repeat says what there is now, and which entry it wrote then.
    let repeat = app.adjust(ANNA, 1_500, "olga:1").await.unwrap();
    assert_eq!((repeat.entry_number, repeat.account.unwrap().balance_kopecks), (1, 500));
    for other in [-1_500, 1_501] {
        let refusal = app.adjust(ANNA, other, "olga:1").await.unwrap_err();
        assert_eq!(refusal.code(), Code::AlreadyExists);
        assert_eq!(reason::of(&refusal).as_deref(), Some("IDEMPOTENCY_KEY_REUSED"));
    }
    // Keys are unique per user and call.
    app.adjust(BORIS, 1, "olga:1").await.unwrap();
    app.grant(ANNA, 1, "olga:1").await.unwrap();
    app.grant(ANNA, 1, "olga:1").await.unwrap();
    assert_eq!(reason_of(app.grant(ANNA, 2, "olga:1").await), "IDEMPOTENCY_KEY_REUSED");
    assert_eq!(app.has(ANNA).await, (500, PRICE, 1, 0));
    assert_eq!(reason_of(app.adjust(5, 1, "olga:1").await), "USER_NOT_FOUND");
    assert_eq!(reason_of(app.grant(5, 1, "olga:1").await), "USER_NOT_FOUND");
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn one_key_at_once_from_many_hands_is_one_write(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_money(engine, 0).await;

    let calls = (0..16).map(|_| app.adjust(ANNA, 700, "olga:1"));
    let answers = futures_util::future::join_all(calls).await;

    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(app.has(ANNA).await, (700, 0, 0, 0));
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn bad_input_of_persons_names_its_field(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_money(engine, 0).await;
    let field = |refusal: tonic::Status| {
        assert_eq!(refusal.code(), Code::InvalidArgument, "{refusal:?}");
        reason::value(&refusal, "field").unwrap()
    };

    for kopecks in [0, 1_000_000_001, -1_000_000_001, i64::MIN, i64::MAX] {
        let refusal = app.adjust(ANNA, kopecks, "olga:1").await.unwrap_err();
        assert_eq!(field(refusal), "amount_kopecks", "{kopecks}");
    }
    for count in [0, -1, 10_001, i64::MAX] {
        assert_eq!(field(app.grant(ANNA, count, "olga:1").await.unwrap_err()), "count");
    }
    assert_eq!(field(app.adjust(0, 1, "olga:1").await.unwrap_err()), "user_id");
    assert_eq!(field(app.adjust(ANNA, 1, "").await.unwrap_err()), "idempotency_key");
    let unsigned = wire::AdjustBalanceRequest {
        user_id: ANNA,
        amount_kopecks: 1,
        actor: String::new(),
        reason: "because".into(),
        idempotency_key: "olga:1".into(),
    };
    let refusal = app.operators().adjust_balance(unsigned.clone()).await.unwrap_err();
    assert_eq!(field(refusal), "actor");
    let for_no_reason =
        wire::AdjustBalanceRequest { actor: "olga".into(), reason: "\0".into(), ..unsigned };
    let refusal = app.operators().adjust_balance(for_no_reason).await.unwrap_err();
    assert_eq!(field(refusal), "reason");
    assert_eq!(app.statement(ANNA).await, []);
    app.finish().await;
}

// ---- refunds of delivered work ------------------------------------------------------------------

#[rstest]
#[tokio::test]
async fn parts_are_given_back_until_they_reach_the_price(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_money(engine, PRICE).await;
    let operation = app.reserve(ANNA, "test:1").await;
    app.commit(&operation).await.unwrap();

    let part = app.refund_part(&operation, 300, "olga:1").await.unwrap();
    assert_eq!((part.state(), part.refunded_kopecks), (Committed, 300));
    assert_eq!((part.charged_kopecks, part.refund_actor.as_str()), (PRICE, ""));
    assert_eq!(app.refund_part(&operation, 300, "olga:1").await.unwrap(), part);
    assert_eq!(app.has(ANNA).await, (300, 0, 0, 0));

    let beyond = app.refund_part(&operation, 701, "olga:2").await.unwrap_err();
    assert_eq!(beyond.code(), Code::FailedPrecondition);
    assert_eq!(reason::of(&beyond).as_deref(), Some("REFUND_EXCEEDS_PRICE"));
    assert_eq!(reason::value(&beyond, "left_kopecks").as_deref(), Some("700"));
    assert_eq!(
        reason_of(app.refund_part(&operation, 301, "olga:1").await),
        "IDEMPOTENCY_KEY_REUSED"
    );

    let whole = app.refund_part(&operation, 700, "olga:2").await.unwrap();
    assert_eq!((whole.state(), whole.refunded_kopecks), (Refunded, PRICE));
    assert_eq!((&*whole.refund_actor, &*whole.refund_reason), ("olga", "half of it was bad"));
    // Repeats of each part, and of the whole, find it done.
    for (kopecks, key) in [(300, "olga:1"), (700, "olga:2")] {
        assert_eq!(app.refund_part(&operation, kopecks, key).await.unwrap(), whole);
    }
    assert_eq!(app.refund_by(&operation, "petr").await.unwrap(), whole);
    let more = app.refund_part(&operation, 1, "olga:3").await.unwrap_err();
    assert_eq!(reason::value(&more, "left_kopecks").as_deref(), Some("0"));
    assert_eq!(reason_of(app.commit(&operation).await), "OPERATION_REFUNDED");
    assert_eq!(app.has(ANNA).await, (PRICE, 0, 0, 0));

    let entries = app.statement(ANNA).await;
    let given: Vec<_> = entries
        .iter()
        .filter(|entry| entry.cause == "refund")
        .map(|entry| (&*entry.from_account, &*entry.to_account, entry.amount, &*entry.actor))
        .collect();
    assert_eq!(given, [("revenue", "balance", 300, "olga"), ("revenue", "balance", 700, "olga")]);
    let told: Vec<_> = app.events(ANNA).await.into_iter().skip(1).collect();
    let expected = [("operation_refunded_in_part", 300), ("operation_refunded", 700)];
    assert_eq!(told, expected.map(|(kind, amount)| (kind.to_owned(), amount)));
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn after_a_part_a_person_gives_back_all_that_is_left(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_money(engine, PRICE).await;
    let operation = app.reserve(ANNA, "test:1").await;
    app.commit(&operation).await.unwrap();
    app.refund_part(&operation, 1, "olga:1").await.unwrap();
    // A worker still gives nothing back.
    assert_eq!(reason_of(app.refund(&operation).await), "OPERATION_COMMITTED");

    let whole = app.refund_by(&operation, "petr").await.unwrap();

    assert_eq!((whole.state(), whole.refunded_kopecks), (Refunded, PRICE));
    assert_eq!(whole.refund_actor, "petr");
    assert_eq!(app.has(ANNA).await, (PRICE, 0, 0, 0));
    assert_eq!(app.events(ANNA).await.last().unwrap(), &("operation_refunded".into(), 999));
    assert_eq!(app.refund_part(&operation, 1, "olga:1").await.unwrap(), whole);
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn of_a_free_operation_there_are_no_parts_but_the_whole(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_anna(engine).await;
    let operation = app.reserve(ANNA, "test:1").await;
    app.commit(&operation).await.unwrap();

    let refusal = app.refund_part(&operation, 1, "olga:1").await.unwrap_err();
    assert_eq!(reason::of(&refusal).as_deref(), Some("REFUND_EXCEEDS_PRICE"));
    assert_eq!(reason::value(&refusal, "left_kopecks").as_deref(), Some("0"));
    let whole = app.refund_by(&operation, "olga").await.unwrap();

    assert_eq!((whole.state(), whole.refunded_kopecks), (Refunded, 0));
    assert_eq!(app.has(ANNA).await, (0, 0, 4, 0));
    let entry = app.statement(ANNA).await.pop().unwrap();
    assert_eq!((&*entry.from_account, &*entry.to_account), ("used", "available"));
    assert_eq!(app.events(ANNA).await, [("operation_refunded".to_owned(), 0)]);
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn of_work_that_was_not_delivered_no_part_is_given_back(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_money(engine, 3 * PRICE).await;
    let refunded = app.reserve(ANNA, "test:1").await;
    app.refund(&refunded).await.unwrap();
    let operation = app.reserve(ANNA, "test:2").await;

    let part = |of, key| app.refund_part(of, 1, key);
    assert_eq!(reason_of(part(&operation, "olga:1").await), "OPERATION_NOT_COMMITTED");
    assert_eq!(reason_of(part(&refunded, "olga:1").await), "REFUND_EXCEEDS_PRICE");
    app.clock.advance(HALF_HOUR);
    assert_eq!(reason_of(part(&operation, "olga:1").await), "OPERATION_NOT_COMMITTED");
    // Refusals are not stored.
    app.commit(&operation).await.unwrap();
    assert_eq!(part(&operation, "olga:1").await.unwrap().refunded_kopecks, 1);
    // A key names one refund, also of another operation.
    let other = app.reserve(ANNA, "test:3").await;
    app.commit(&other).await.unwrap();
    assert_eq!(reason_of(part(&other, "olga:1").await), "IDEMPOTENCY_KEY_REUSED");
    assert_eq!(app.has(ANNA).await, (PRICE + 1, 0, 0, 0));
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn a_part_of_a_refund_needs_a_person_and_a_key(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_money(engine, PRICE).await;
    let operation = app.reserve(ANNA, "test:1").await;
    app.commit(&operation).await.unwrap();
    let part = |amount_kopecks, actor: &str, key: &str| wire::RefundRequest {
        user_id: ANNA,
        operation_id: operation.operation_id.clone(),
        reason: "because".into(),
        actor: actor.into(),
        amount_kopecks,
        idempotency_key: key.into(),
    };

    for (request, field) in [
        (part(Some(1), "", "olga:1"), "actor"),
        (part(Some(1), "olga", ""), "idempotency_key"),
        (part(None, "olga", "olga:1"), "idempotency_key"),
        (part(Some(0), "olga", "olga:1"), "amount_kopecks"),
        (part(Some(-1), "olga", "olga:1"), "amount_kopecks"),
        (part(Some(i64::MAX), "olga", "olga:1"), "amount_kopecks"),
    ] {
        let refusal = app.billing().refund(request).await.unwrap_err();
        assert_eq!(refusal.code(), Code::InvalidArgument);
        assert_eq!(reason::value(&refusal, "field").as_deref(), Some(field));
    }
    assert_eq!(app.has(ANNA).await, (0, 0, 0, 0));
    app.finish().await;
}
