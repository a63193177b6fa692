//! The database's answer to COMMIT is lost: the outcome is unknown, and the repeat resolves it.

use std::sync::atomic::Ordering;

use proto::billing::v1 as wire;
use tonic::Code;

use crate::app::{ANNA, App, PATIENCE, PRICE, Terms, reserve};
use crate::database::Engine;
use crate::wire::behind_a_wire;

/// A user without free operations; the only commits are those that the test is about.
fn terms() -> Terms {
    Terms { free_operations: 0, chain_every: None, ..Terms::default() }
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_unknown_and_its_repeat_meets_what_was_stored() {
    let app = App::with_money(Engine::Postgres, 5_000).await;
    let (wire_to_database, replica) = behind_a_wire(&app, terms()).await;
    let mut once = replica.billing.streaming();

    wire_to_database.switches.lose_next_commit.store(true, Ordering::SeqCst);
    let lost = once.reserve(reserve(ANNA, "test:1")).await.unwrap_err();
    assert_eq!(lost.code(), Code::Unavailable);

    let repeat = once.reserve(reserve(ANNA, "test:1")).await.unwrap().into_inner();
    let operation = repeat.operation.unwrap();
    assert_eq!(app.has(ANNA).await, (4_000, PRICE, 0, 0));

    wire_to_database.switches.lose_next_commit.store(true, Ordering::SeqCst);
    let commit = wire::CommitRequest {
        user_id: ANNA,
        operation_id: operation.operation_id,
        cost_micro_usd: None,
    };
    let lost = once.commit(commit.clone()).await.unwrap_err();
    assert_eq!(lost.code(), Code::Unavailable);
    // The thin client repeats by itself.
    let committed = replica.billing.commit(commit).await.unwrap().operation.unwrap();
    assert_eq!(committed.state(), wire::OperationState::Committed);
    assert_eq!(app.has(ANNA).await, (4_000, 0, 0, 0));

    let look = app.look().await;
    assert_eq!(look.numbers("select count(*) from entries").await, [[3]]);
    look.close().await;
    replica.stop().await;
    app.finish().await;
}

#[tokio::test]
async fn a_database_that_falls_silent_and_comes_back_is_used_again() {
    let app = App::with_money(Engine::Postgres, 5_000).await;
    let (wire_to_database, replica) = behind_a_wire(&app, terms()).await;
    let patient = replica.billing.clone().with_deadline(2 * PATIENCE);
    patient.reserve(reserve(ANNA, "test:1")).await.unwrap();

    // The machine is gone, and nothing says so: the connection neither answers nor ends.
    wire_to_database.switches.fall_silent_at_next_commit.store(true, Ordering::SeqCst);
    let mut once = replica.billing.streaming();
    let unanswered = tokio::time::timeout(2 * PATIENCE, once.reserve(reserve(ANNA, "test:2")));
    let unanswered = unanswered.await.expect("it is given up").unwrap_err();
    assert_eq!(unanswered.code(), Code::Unavailable);

    // Another one has taken its address.
    patient.reserve(reserve(ANNA, "test:2")).await.unwrap();
    assert_eq!(app.has(ANNA).await, (3_000, 2 * PRICE, 0, 0));
    replica.stop().await;
    app.finish().await;
}
