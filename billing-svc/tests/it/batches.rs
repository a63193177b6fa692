//! Batches: an answer for each item, and all or nothing where that was asked for.

use proto::billing::v1 as wire;
use proto::reason;
use rstest::rstest;
use wire::operation_result::Outcome;

use crate::app::{ANNA, App, BORIS, HALF_HOUR, PRICE, reserve};
use crate::database::Engine;
use wire::OperationState::{Committed, Expired, Refunded, Reserved};

/// The operation of an item, or the reason of its refusal.
type Item = Result<wire::Operation, String>;

fn items(results: Vec<wire::OperationResult>) -> Vec<Item> {
    let read = |result: wire::OperationResult| match result.outcome.unwrap() {
        Outcome::Operation(operation) => Ok(operation),
        Outcome::Refusal(refusal) => {
            assert!(refusal.code != 0 && !refusal.message.is_empty(), "{refusal:?}");
            Err(refusal.reason)
        }
    };
    results.into_iter().map(read).collect()
}

fn reasons(items: &[Item]) -> Vec<&str> {
    items.iter().map(|item| item.as_ref().map_or_else(String::as_str, |_| "done")).collect()
}

async fn reserve_all(
    app: &App,
    items_: Vec<wire::ReserveRequest>,
    all_or_nothing: bool,
) -> Vec<Item> {
    let request = wire::BatchReserveRequest { items: items_, all_or_nothing };
    items(app.billing().batch_reserve(request).await.unwrap().results)
}

async fn commit_all(app: &App, of: &[&wire::Operation], all_or_nothing: bool) -> Vec<Item> {
    let item = |of: &&wire::Operation| wire::CommitRequest {
        user_id: of.user_id,
        operation_id: of.operation_id.clone(),
        cost_micro_usd: Some(39_000),
    };
    let items_ = of.iter().map(item).collect();
    let request = wire::BatchCommitRequest { items: items_, all_or_nothing };
    items(app.billing().batch_commit(request).await.unwrap().results)
}

async fn refund_all(app: &App, of: &[&wire::Operation], all_or_nothing: bool) -> Vec<Item> {
    let item = |of: &&wire::Operation| wire::RefundRequest {
        user_id: of.user_id,
        operation_id: of.operation_id.clone(),
        reason: "the provider failed".into(),
        ..wire::RefundRequest::default()
    };
    let items_ = of.iter().map(item).collect();
    let request = wire::BatchRefundRequest { items: items_, all_or_nothing };
    items(app.billing().batch_refund(request).await.unwrap().results)
}

/// Anna and Boris with so much money each, and no free operations.
async fn with_two(engine: Engine, kopecks: i64) -> App {
    let app = App::with_money(engine, kopecks).await;
    app.register(BORIS).await;
    app.top_up(BORIS, kopecks).await;
    app
}

#[rstest]
#[tokio::test]
async fn each_item_is_answered_as_the_call_alone_would_be(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = with_two(engine, 2 * PRICE).await;
    let not_sold =
        wire::ReserveRequest { operation_type: "add_text".into(), ..reserve(ANNA, "t:x") };
    let unreadable = wire::ReserveRequest { idempotency_key: String::new(), ..reserve(ANNA, "") };
    let dry = wire::ReserveRequest { dry_run: true, ..reserve(ANNA, "t:y") };
    let batch = vec![
        reserve(ANNA, "t:1"),
        reserve(5, "t:1"),
        unreadable,
        reserve(BORIS, "t:1"),
        not_sold,
        reserve(ANNA, "t:2"),
        // Too little is left for it, in the middle of others.
        reserve(ANNA, "t:3"),
        dry,
        reserve(BORIS, "t:2"),
    ];

    let answers = reserve_all(&app, batch.clone(), false).await;

    let expected = [
        "done",
        "USER_NOT_FOUND",
        "INVALID_FIELD",
        "done",
        "OPERATION_TYPE_NOT_SOLD",
        "done",
        "INSUFFICIENT_FUNDS",
        "INVALID_FIELD",
        "done",
    ];
    assert_eq!(reasons(&answers), expected);
    let first = answers[0].clone().unwrap();
    assert!(first.metadata.is_empty(), "a batch leaves it out");
    assert_eq!(app.operation(&first).await.metadata["chat"], "42", "it is stored all the same");
    assert_eq!(app.has(ANNA).await, (0, 2 * PRICE, 0, 0));
    assert_eq!(app.has(BORIS).await, (0, 2 * PRICE, 0, 0));
    assert_eq!(reserve_all(&app, batch, false).await, answers, "a repeat answers the same");
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn a_refusal_says_in_a_batch_what_it_says_alone(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_money(engine, PRICE - 1).await;

    let request =
        wire::BatchReserveRequest { items: vec![reserve(ANNA, "t:1")], all_or_nothing: false };
    let result = app.billing().batch_reserve(request).await.unwrap().results.pop().unwrap();

    let Some(Outcome::Refusal(refusal)) = result.outcome else { panic!("{result:?}") };
    let alone = app.try_reserve(ANNA, "t:1").await.unwrap_err();
    assert_eq!((refusal.code, refusal.message.as_str()), (alone.code().into(), alone.message()));
    assert_eq!(refusal.metadata["price_kopecks"], "1000");
    assert_eq!(refusal.metadata["balance_kopecks"], "999");
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn one_key_twice_in_a_batch_is_one_operation(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_money(engine, 5 * PRICE).await;
    let other = wire::ReserveRequest { operation_type: "edit".into(), ..reserve(ANNA, "t:1") };

    for (all_or_nothing, third) in
        [(false, "IDEMPOTENCY_KEY_REUSED"), (true, "IDEMPOTENCY_KEY_REUSED")]
    {
        let batch = vec![reserve(ANNA, "t:1"), reserve(ANNA, "t:1"), other.clone()];
        let answers = reserve_all(&app, batch, all_or_nothing).await;
        assert_eq!(reasons(&answers)[2], third);
    }
    let answers = reserve_all(&app, vec![reserve(ANNA, "t:2"), reserve(ANNA, "t:2")], true).await;
    assert_eq!(answers[0], answers[1]);
    let operation = answers[0].as_ref().unwrap();
    let committed = commit_all(&app, &[operation, operation], true).await;
    assert_eq!(reasons(&committed), ["done", "done"]);
    let first = reserve_all(&app, vec![reserve(ANNA, "t:1")], true).await.pop().unwrap().unwrap();
    let refunded = refund_all(&app, &[&first, &first], true).await;
    assert_eq!(reasons(&refunded), ["done", "done"]);
    assert_eq!(app.has(ANNA).await, (4 * PRICE, 0, 0, 0));
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn a_hundred_items_are_taken_and_no_more_and_not_none(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = with_two(engine, 50 * PRICE).await;
    let hundred: Vec<_> = (0..100)
        .map(|n| reserve(if n % 2 == 0 { ANNA } else { BORIS }, &format!("t:{n}")))
        .collect();

    let too_many = [hundred.clone(), vec![reserve(ANNA, "t:100")]].concat();
    for bad in [Vec::new(), too_many] {
        for all_or_nothing in [false, true] {
            let request = wire::BatchReserveRequest { items: bad.clone(), all_or_nothing };
            let refusal = app.billing().batch_reserve(request).await.unwrap_err();
            assert_eq!(reason::value(&refusal, "field").as_deref(), Some("items"));
        }
    }
    let answers = reserve_all(&app, hundred, true).await;
    let reserved: Vec<_> = answers.iter().map(|answer| answer.as_ref().unwrap()).collect();
    assert_eq!(reserved.len(), 100);
    assert_eq!(app.has(ANNA).await, (0, 50 * PRICE, 0, 0));
    let (committed, refunded) = reserved.split_at(60);
    assert!(commit_all(&app, committed, false).await.iter().all(Result::is_ok));
    assert!(refund_all(&app, refunded, false).await.iter().all(Result::is_ok));
    assert_eq!(app.has(BORIS).await, (20 * PRICE, 0, 0, 0));
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn all_or_nothing_reserves_nothing_if_one_is_refused(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = with_two(engine, 2 * PRICE).await;
    let before = app.reserve(BORIS, "t:0").await;

    let batch = vec![
        reserve(ANNA, "t:1"),
        reserve(BORIS, "t:0"),
        reserve(BORIS, "t:1"),
        reserve(BORIS, "t:2"),
        reserve(ANNA, "t:2"),
    ];
    let answers = reserve_all(&app, batch.clone(), true).await;
    let refused = "BATCH_REFUSED";
    let expected = [refused, refused, refused, "INSUFFICIENT_FUNDS", refused];
    assert_eq!(reasons(&answers), expected);
    assert_eq!(app.has(ANNA).await, (2 * PRICE, 0, 0, 0));
    assert_eq!(app.has(BORIS).await, (PRICE, PRICE, 0, 0));

    // An item that cannot be read is at fault like any other.
    let unreadable = wire::ReserveRequest { user_id: 0, ..reserve(ANNA, "t:9") };
    let answers = reserve_all(&app, vec![reserve(ANNA, "t:1"), unreadable], true).await;
    assert_eq!(reasons(&answers), [refused, "INVALID_FIELD"]);
    assert_eq!(app.has(ANNA).await, (2 * PRICE, 0, 0, 0));

    // Nothing of it is stored: with the money there it works, under the same keys.
    app.top_up(BORIS, PRICE).await;
    let answers = reserve_all(&app, batch, true).await;
    assert_eq!(reasons(&answers), ["done"; 5]);
    assert_eq!(answers[1].as_ref().unwrap().operation_id, before.operation_id);
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn all_or_nothing_commits_and_refunds_nothing_if_one_is_refused(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = with_two(engine, 3 * PRICE).await;
    let first = app.reserve(ANNA, "t:1").await;
    let second = app.reserve(BORIS, "t:1").await;
    let refunded = app.reserve(BORIS, "t:2").await;
    app.refund(&refunded).await.unwrap();
    let unknown = wire::Operation { user_id: ANNA, ..second.clone() };

    let answers = commit_all(&app, &[&first, &refunded, &second], true).await;
    assert_eq!(reasons(&answers), ["BATCH_REFUSED", "OPERATION_REFUNDED", "BATCH_REFUSED"]);
    let answers = commit_all(&app, &[&first, &unknown], true).await;
    assert_eq!(reasons(&answers), ["BATCH_REFUSED", "OPERATION_NOT_FOUND"]);
    assert_eq!(app.operation(&first).await.state(), Reserved);

    let answers = commit_all(&app, &[&first, &refunded], false).await;
    assert_eq!(reasons(&answers), ["done", "OPERATION_REFUNDED"]);
    let answers = refund_all(&app, &[&second, &first], true).await;
    assert_eq!(reasons(&answers), ["BATCH_REFUSED", "OPERATION_COMMITTED"]);
    assert_eq!(app.operation(&second).await.state(), Reserved);

    // What is done already counts as done.
    assert_eq!(reasons(&refund_all(&app, &[&second, &refunded], true).await), ["done"; 2]);
    assert_eq!(reasons(&commit_all(&app, &[&first, &first], true).await), ["done"; 2]);
    assert_eq!(app.has(ANNA).await, (2 * PRICE, 0, 0, 0));
    assert_eq!(app.has(BORIS).await, (3 * PRICE, 0, 0, 0));
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn a_late_commit_that_was_refused_in_all_or_nothing_stays_refused_for_ever(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = with_two(engine, PRICE).await;
    let late = app.reserve(ANNA, "t:1").await;
    app.clock.advance(HALF_HOUR);
    let living = app.reserve(BORIS, "t:1").await;
    // The money has gone to another operation meanwhile.
    let other = app.reserve(ANNA, "t:2").await;

    let answers = commit_all(&app, &[&living, &late, &other], true).await;
    assert_eq!(reasons(&answers), ["BATCH_REFUSED", "HOLD_EXPIRED", "BATCH_REFUSED"]);
    assert_eq!(app.operation(&living).await.state(), Reserved);
    assert_eq!(app.operation(&late).await.state(), Refunded);

    app.top_up(ANNA, 10 * PRICE).await;
    let answers = commit_all(&app, &[&living, &late, &other], false).await;
    assert_eq!(reasons(&answers), ["done", "HOLD_EXPIRED", "done"]);
    assert_eq!(app.has(ANNA).await, (10 * PRICE, 0, 0, 0));
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn late_commits_that_can_be_taken_again_stand_or_fall_together(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = with_two(engine, 2 * PRICE).await;
    let first = app.reserve(ANNA, "t:1").await;
    let second = app.reserve(BORIS, "t:1").await;
    let refunded = app.reserve(BORIS, "t:2").await;
    app.refund(&refunded).await.unwrap();
    app.clock.advance(HALF_HOUR);

    let answers = commit_all(&app, &[&first, &second, &refunded], true).await;
    assert_eq!(reasons(&answers), ["BATCH_REFUSED", "BATCH_REFUSED", "OPERATION_REFUNDED"]);
    assert_eq!(app.operation(&first).await.state(), Expired);

    let answers = commit_all(&app, &[&first, &second], true).await;
    for answer in &answers {
        assert_eq!(answer.as_ref().unwrap().state(), Committed);
    }
    assert_eq!(app.has(ANNA).await, (PRICE, 0, 0, 0));
    assert_eq!(app.events(ANNA).await.last().unwrap().0, "operation_committed_late");
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn parts_of_refunds_go_in_batches_too(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_money(engine, PRICE).await;
    let operation = app.reserve(ANNA, "t:1").await;
    app.commit(&operation).await.unwrap();
    let part = |kopecks, key: &str| wire::RefundRequest {
        user_id: ANNA,
        operation_id: operation.operation_id.clone(),
        reason: "half of it was bad".into(),
        actor: "olga".into(),
        amount_kopecks: Some(kopecks),
        idempotency_key: key.into(),
    };
    let refund = |items_: Vec<wire::RefundRequest>, all_or_nothing| {
        app.billing().batch_refund(wire::BatchRefundRequest { items: items_, all_or_nothing })
    };

    let over = vec![part(600, "o:1"), part(600, "o:2")];
    let answers = items(refund(over.clone(), true).await.unwrap().results);
    assert_eq!(reasons(&answers), ["BATCH_REFUSED", "REFUND_EXCEEDS_PRICE"]);
    assert_eq!(app.has(ANNA).await, (0, 0, 0, 0));
    let answers = items(refund(over, false).await.unwrap().results);
    assert_eq!(reasons(&answers), ["done", "REFUND_EXCEEDS_PRICE"]);
    let rest = vec![part(600, "o:1"), part(400, "o:3"), part(400, "o:3")];
    let answers = items(refund(rest, true).await.unwrap().results);
    assert_eq!(reasons(&answers), ["done", "done", "done"]);
    assert_eq!(app.operation(&operation).await.state(), Refunded);
    assert_eq!(app.has(ANNA).await, (PRICE, 0, 0, 0));
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn batches_of_many_callers_at_once_take_what_there_is_and_no_more(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = with_two(engine, 40 * PRICE).await;
    let batch = |caller: i64| {
        let item =
            |n: i64| reserve(if n % 2 == 0 { ANNA } else { BORIS }, &format!("t:{caller}:{n}"));
        (0..10).map(item).collect::<Vec<_>>()
    };

    // 5 of each user in a batch: money for 8 of 12.
    let calls = (0..12).map(|caller| reserve_all(&app, batch(caller), true));
    let answers = futures_util::future::join_all(calls).await;

    let done = answers.iter().filter(|items| items.iter().all(Result::is_ok)).count();
    let refused = answers.iter().filter(|items| items.iter().all(Result::is_err)).count();
    assert_eq!((done, refused), (8, 4));
    assert_eq!(app.has(ANNA).await, (0, 40 * PRICE, 0, 0));
    assert_eq!(app.has(BORIS).await, (0, 40 * PRICE, 0, 0));
    app.finish().await;
}
