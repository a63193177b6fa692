//! Many callers at the same moment, and several processes on one PostgreSQL.

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use proto::billing::v1 as wire;
use proto::client::{self, Billing};
use proto::reason;
use rstest::rstest;
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::app::{ANNA, App, BORIS, PRICE, Terms, reason_of, reserve};
use crate::database::{Engine, Look};

#[rstest]
#[tokio::test]
async fn sixty_four_reserves_at_once_with_money_for_ten_give_exactly_ten(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_money(engine, 10 * PRICE + 999).await;

    let calls = (0..64).map(|number| app.billing().reserve(reserve(ANNA, &format!("t:{number}"))));
    let calls: Vec<_> = calls.collect();
    let answers = join_all(calls).await;

    let (reserved, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!((reserved.len(), refused.len()), (10, 54));
    for refusal in refused {
        assert_eq!(reason_of(refusal), "INSUFFICIENT_FUNDS");
    }
    assert_eq!(app.has(ANNA).await, (999, 10 * PRICE, 0, 0));
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn free_operations_and_money_together_pay_for_exactly_as_many(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_anna(engine).await;
    app.top_up(ANNA, 3 * PRICE).await;

    let keys: Vec<_> = (0..64).map(|number| format!("t:{number}")).collect();
    let answers = join_all(keys.iter().map(|key| app.try_reserve(ANNA, key))).await;

    let reserved: Vec<_> = answers.into_iter().filter_map(Result::ok).collect();
    let free = |o: &&wire::Operation| o.source() == wire::PaymentSource::FreeOperation;
    assert_eq!(reserved.len(), 7);
    assert_eq!(reserved.iter().filter(free).count(), 4);
    assert_eq!(app.has(ANNA).await, (0, 3 * PRICE, 0, 4));
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn one_key_sixty_four_times_at_once_is_one_hold(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_money(engine, 10 * PRICE).await;

    let answers = join_all((0..64).map(|_| app.reserve(ANNA, "test:1"))).await;

    assert!(answers.iter().all(|operation| *operation == answers[0]));
    assert_eq!(app.has(ANNA).await, (9 * PRICE, PRICE, 0, 0));

    let ends = join_all((0..32).map(|number| {
        let (app, operation) = (&app, &answers[0]);
        async move {
            if number % 2 == 0 { app.commit(operation).await } else { app.refund(operation).await }
        }
    }))
    .await;
    let state = app.operation(&answers[0]).await.state();
    let expected = if state == wire::OperationState::Committed {
        "OPERATION_COMMITTED"
    } else {
        "OPERATION_REFUNDED"
    };
    for refusal in ends.into_iter().filter(Result::is_err) {
        assert_eq!(reason_of(refusal), expected);
    }
    app.finish().await;
}

#[tokio::test]
async fn two_processes_on_one_postgresql_never_take_more_than_there_is() {
    let app = App::with_money(Engine::Postgres, 10 * PRICE).await;
    let second = app.second_replica().await;
    app.register(BORIS).await;
    app.top_up(BORIS, 5 * PRICE).await;

    let call = |number: usize| {
        let billing = if number.is_multiple_of(2) { app.billing() } else { &second.billing };
        let user = if number.is_multiple_of(3) { BORIS } else { ANNA };
        // Every second number repeats the key of the one before it, at the other process.
        billing.reserve(reserve(user, &format!("test:{}", number / 2)))
    };
    let calls: Vec<_> = (0..128).map(call).collect();
    join_all(calls).await;

    assert_eq!(app.has(ANNA).await, (0, 10 * PRICE, 0, 0));
    assert_eq!(app.has(BORIS).await, (0, 5 * PRICE, 0, 0));
    second.stop().await;
    app.finish().await;
}

#[tokio::test]
async fn two_processes_register_a_user_once_and_credit_a_payment_once() {
    let app = App::start(Engine::Postgres).await;
    let second = app.second_replica().await;
    let both = [app.billing(), &second.billing];

    for user_id in 1..=20 {
        let request = wire::RegisterUserRequest { user_id, profile: None };
        let calls = both.map(|billing| billing.register_user(request.clone()));
        let created = join_all(calls).await.into_iter().filter(|a| a.as_ref().unwrap().created);
        assert_eq!(created.count(), 1, "user {user_id}");
        assert_eq!(app.has(user_id).await, (0, 0, 4, 0));
    }
    for user_id in 1..=19 {
        let payment = format!("p-{user_id}");
        let own = app.open_top_up(user_id, 1_000, &payment).await;
        let other = app.open_top_up(user_id + 1, 1_000, &payment).await;
        let settle = |of: &wire::TopUp| wire::SettleTopUpRequest {
            user_id: of.user_id,
            top_up_id: of.top_up_id.clone(),
            provider_payment_id: payment.clone(),
            paid: of.paid.clone(),
        };
        let calls = [both[0].settle_top_up(settle(&own)), both[1].settle_top_up(settle(&other))];
        let credited = join_all(calls).await.into_iter().filter(Result::is_ok).count();
        assert_eq!(credited, 1, "payment {payment}");
    }
    second.stop().await;
    app.finish().await;
}

#[tokio::test]
async fn a_queue_that_is_full_says_so_and_loses_nothing() {
    let terms = Terms { free_operations: 0, queue_max: 4, ..Terms::default() };
    let app = App::with(Engine::Postgres, terms).await;
    app.register(ANNA).await;
    app.top_up(ANNA, 100 * PRICE).await;
    // Somebody holds the account, so that the writer waits and the queue fills.
    let Look::Postgres(pool) = app.look().await else { panic!("not PostgreSQL") };
    let mut holder = pool.begin().await.unwrap();
    sqlx::query("select user_id from accounts for update").execute(&mut *holder).await.unwrap();

    // The thin client would wait and ask again.
    let once = |number: i32| {
        let mut client = app.billing().streaming();
        async move { client.reserve(reserve(ANNA, &format!("t:{number}"))).await }
    };
    let mut calls: FuturesUnordered<_> = (0..40).map(once).collect();
    // The first answers come while the account is still held: they are refusals.
    let refusal = calls.next().await.unwrap().unwrap_err();
    assert_eq!(refusal.code(), Code::ResourceExhausted);
    assert_eq!(reason::of(&refusal).as_deref(), Some("BUSY"));
    assert!(refusal.get_details_retry_info().unwrap().retry_delay.is_some());
    holder.rollback().await.unwrap();
    pool.close().await;

    let mut reserved = 0;
    while let Some(answer) = calls.next().await {
        match answer {
            Ok(_) => reserved += 1,
            Err(status) => assert_eq!(reason::of(&status).as_deref(), Some("BUSY")),
        }
    }
    assert!(reserved > 0, "those that had a place in the queue are served");
    drop(calls);
    let look = app.look().await;
    let found = look.numbers("select count(*) from operation_records").await;
    assert_eq!(found, [[reserved]]);
    look.close().await;
    app.finish().await;
}

#[tokio::test]
async fn one_account_that_is_held_up_does_not_fail_its_neighbours() {
    let app = App::with_money(Engine::Postgres, 10 * PRICE).await;
    app.register(BORIS).await;
    app.top_up(BORIS, 10 * PRICE).await;
    let Look::Postgres(pool) = app.look().await else { panic!("not PostgreSQL") };
    let mut holder = pool.begin().await.unwrap();
    sqlx::query("select user_id from accounts where user_id = $1 for update")
        .bind(ANNA)
        .execute(&mut *holder)
        .await
        .unwrap();

    // Given up by its caller only after the service has given up waiting for the lock.
    let patient = Billing::new(client::channel(&app.replica.grpc_url).unwrap())
        .with_deadline(std::time::Duration::from_secs(60));
    let held_up = patient.reserve(reserve(ANNA, "test:1"));
    let neighbour = patient.reserve(reserve(BORIS, "test:1"));
    let release = async {
        let look = app.look().await;
        let deadline = tokio::time::Instant::now() + 2 * crate::app::PATIENCE;
        while look.numbers("select count(*) from operation_records").await != [[1]] {
            assert!(tokio::time::Instant::now() < deadline, "the neighbour is served");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        look.close().await;
        holder.rollback().await.unwrap();
    };
    let (held_up, neighbour, ()) = tokio::join!(held_up, neighbour, release);

    neighbour.unwrap();
    held_up.unwrap();
    assert_eq!(app.has(ANNA).await, (9 * PRICE, PRICE, 0, 0));
    pool.close().await;
    app.finish().await;
}
