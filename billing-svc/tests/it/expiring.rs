//! Holds that run out of time, and Commits that come late.

use std::time::Duration;

use proto::billing::v1 as wire;
use proto::billing::v1::OperationState::{Committed, Expired, Refunded, Reserved};
use rstest::rstest;
use tokio::time::Instant;

use crate::app::{ANNA, App, BORIS, DAY, HALF_HOUR, PATIENCE, PRICE, Terms, reason_of};
use crate::database::Engine;

const MICROSECOND: Duration = Duration::from_micros(1);

#[rstest]
#[tokio::test]
async fn a_hold_is_released_at_the_very_moment_it_ends_by_whoever_asks(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_money(engine, 5_000).await;
    let operation = app.reserve(ANNA, "test:1").await;

    app.clock.advance(HALF_HOUR - MICROSECOND);
    assert_eq!(app.has(ANNA).await, (4_000, PRICE, 0, 0));
    assert_eq!(app.operation(&operation).await.state(), Reserved);

    app.clock.advance(MICROSECOND);
    assert_eq!(app.has(ANNA).await, (5_000, 0, 0, 0));
    let expired = app.operation(&operation).await;
    assert_eq!(expired.state(), Expired);
    assert_eq!(expired.refunded_kopecks, PRICE);
    assert_eq!(expired.ended_at, expired.expires_at);
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn every_call_about_an_account_touches_it_first(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_money(engine, PRICE).await;
    let top_up = app.open_top_up(ANNA, 700, "test:top-up").await;

    // A Reserve can use what an overdue hold gives back.
    let first = app.reserve(ANNA, "test:1").await;
    app.clock.advance(HALF_HOUR);
    let second = app.reserve(ANNA, "test:2").await;
    assert_eq!(app.operation(&first).await.state(), Expired);

    // So do reads of lists and of top-ups.
    app.clock.advance(HALF_HOUR);
    let request = wire::ListOperationsRequest { user_id: ANNA, ..Default::default() };
    let listed = app.billing().list_operations(request).await.unwrap().operations;
    assert!(listed.iter().all(|operation| operation.state() == Expired), "{listed:?}");

    let third = app.reserve(ANNA, "test:3").await;
    app.clock.advance(HALF_HOUR);
    let request = wire::GetTopUpRequest { user_id: ANNA, top_up_id: top_up.top_up_id.clone() };
    app.billing().get_top_up(request).await.unwrap();
    assert_eq!(states_in_tables(&app).await, ["expired", "expired", "expired"]);

    // And a Settle says what is there after it.
    let fourth = app.reserve(ANNA, "test:4").await;
    app.clock.advance(HALF_HOUR);
    let settled = app.settle(&top_up, "payment").await.unwrap();
    assert_eq!(settled.account.unwrap().balance_kopecks, PRICE + 700);
    for operation in [second, third, fourth] {
        assert_eq!(app.operation(&operation).await.state(), Expired);
    }
    app.finish().await;
}

async fn states_in_tables(app: &App) -> Vec<String> {
    let look = app.look().await;
    let rows = look.texts("select state from operation_records order by number").await;
    look.close().await;
    rows.into_iter().flatten().collect()
}

#[rstest]
#[tokio::test]
async fn the_sweeper_touches_accounts_that_nobody_asks_about(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let terms = Terms { sweep_every: Duration::from_millis(20), ..Terms::default() };
    let app = App::with(engine, terms).await;
    for user in 1..=300 {
        app.register(user).await;
        app.reserve(user, "test:1").await;
    }
    app.register(ANNA).await;
    let living = app.reserve(ANNA, "test:living").await;
    for _ in 0..2 {
        app.clock.advance(HALF_HOUR - Duration::from_secs(1));
        app.extend(&living).await.unwrap();
    }

    let look = app.look().await;
    let deadline = Instant::now() + PATIENCE;
    let sql = "select count(*) from operation_records where state = 'expired'";
    while look.numbers(sql).await != [[300]] {
        assert!(Instant::now() < deadline, "the sweeper has released every overdue hold");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(app.operation(&living).await.state(), Reserved);
    look.close().await;
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn a_late_commit_takes_the_same_price_from_the_balance_again(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_money(engine, 1_500).await;
    let operation = app.reserve(ANNA, "test:1").await;
    app.clock.advance(HALF_HOUR + DAY);

    let committed = app.commit(&operation).await.unwrap();

    assert_eq!(committed.state(), Committed);
    assert_eq!((committed.charged_kopecks, committed.refunded_kopecks), (PRICE, 0));
    assert_eq!(app.commit(&operation).await.unwrap(), committed);
    assert_eq!(app.has(ANNA).await, (500, 0, 0, 0));
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn a_late_commit_takes_a_free_operation_again_and_never_money(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with(engine, Terms { free_operations: 1, ..Terms::default() }).await;
    app.register(ANNA).await;
    app.top_up(ANNA, 5_000).await;
    let in_time = app.reserve(ANNA, "test:1").await;
    app.clock.advance(HALF_HOUR);
    let committed = app.commit(&in_time).await.unwrap();
    assert_eq!(committed.source(), wire::PaymentSource::FreeOperation);
    assert_eq!(app.has(ANNA).await, (5_000, 0, 0, 0));

    // Boris's free operation was used up meanwhile: his money is not taken instead.
    app.register(BORIS).await;
    app.top_up(BORIS, 5_000).await;
    let late = app.reserve(BORIS, "test:1").await;
    app.clock.advance(HALF_HOUR);
    app.reserve(BORIS, "test:2").await;
    assert_eq!(reason_of(app.commit(&late).await), "HOLD_EXPIRED");
    assert_eq!(app.has(BORIS).await, (5_000, 0, 0, 1));
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn a_late_commit_that_is_refused_ends_the_operation_for_ever(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_money(engine, PRICE).await;
    let late = app.reserve(ANNA, "test:1").await;
    app.clock.advance(HALF_HOUR);
    let other = app.reserve(ANNA, "test:2").await;
    app.commit(&other).await.unwrap();

    assert_eq!(reason_of(app.commit(&late).await), "HOLD_EXPIRED");
    assert_eq!(app.operation(&late).await.state(), Refunded);

    // Money that comes later changes nothing: the user was told that it was given back.
    app.top_up(ANNA, 10_000).await;
    for _ in 0..2 {
        assert_eq!(reason_of(app.commit(&late).await), "HOLD_EXPIRED");
    }
    assert_eq!(app.refund(&late).await.unwrap().state(), Refunded);
    assert_eq!(reason_of(app.commit(&late).await), "HOLD_EXPIRED");
    assert_eq!(app.has(ANNA).await, (10_000, 0, 0, 0));
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn more_than_a_day_late_is_too_late(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_money(engine, 5_000).await;
    let operation = app.reserve(ANNA, "test:1").await;
    app.clock.advance(HALF_HOUR + DAY + MICROSECOND);

    assert_eq!(reason_of(app.commit(&operation).await), "HOLD_EXPIRED");
    assert_eq!(reason_of(app.commit(&operation).await), "HOLD_EXPIRED");
    assert_eq!(app.operation(&operation).await.state(), Refunded);
    assert_eq!(app.has(ANNA).await, (5_000, 0, 0, 0));
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn refunding_an_expired_operation_moves_nothing_and_ends_it(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_money(engine, 5_000).await;
    let operation = app.reserve(ANNA, "test:1").await;
    app.clock.advance(HALF_HOUR);

    assert_eq!(reason_of(app.extend(&operation).await), "HOLD_EXPIRED");
    assert_eq!(app.refund(&operation).await.unwrap().state(), Refunded);

    assert_eq!(reason_of(app.commit(&operation).await), "OPERATION_REFUNDED");
    assert_eq!(app.has(ANNA).await, (5_000, 0, 0, 0));
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn reserved_operations_of_all_users_are_listed_by_pages_until_they_end(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_money(engine, 10 * PRICE).await;
    app.register(BORIS).await;
    app.top_up(BORIS, 10 * PRICE).await;
    let mut expected = Vec::new();
    for (user, key) in [(BORIS, "a"), (ANNA, "b"), (ANNA, "c"), (BORIS, "d"), (ANNA, "e")] {
        expected.push(app.reserve(user, key).await);
    }
    let (ended, refunded) = (expected.remove(1), expected.remove(2));
    app.commit(&ended).await.unwrap();
    app.refund(&refunded).await.unwrap();
    expected.sort_by_key(|operation| (operation.user_id, operation.operation_id.clone()));
    let list = async || {
        let (mut listed, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = wire::ListReservedOperationsRequest { page_size: 2, page_token };
            let page = app.billing().list_reserved_operations(request).await.unwrap();
            assert!(page.operations.len() <= 2);
            listed.extend(page.operations);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return listed;
            }
        }
    };

    assert_eq!(list().await, expected);

    // What is over is not reserved any more, whether it was swept or not.
    app.clock.advance(HALF_HOUR);
    assert!(list().await.is_empty());
    app.finish().await;
}
