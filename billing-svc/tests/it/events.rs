//! Events: written with what causes them, lent in order, told until they are acknowledged.

use std::time::Duration;

use futures_util::future::join_all;
use proto::billing::v1 as wire;
use proto::billing::v1::billing_service_client::BillingServiceClient;
use proto::billing::v1::event::What;
use rstest::rstest;
use tokio::time::Instant;
use tonic::Streaming;
use tonic::transport::Endpoint;

use crate::app::{ANNA, App, BORIS, HALF_HOUR, PATIENCE, PRICE, reason_of};
use crate::database::Engine;

/// Long enough that what is not lent by then is not lent: several polls.
const SILENCE: Duration = Duration::from_millis(2_500);
const LEASE: Duration = Duration::from_secs(60);

async fn watch(app: &App) -> Streaming<wire::WatchEventsResponse> {
    app.billing().watch_events("bot").await.unwrap()
}

async fn next(stream: &mut Streaming<wire::WatchEventsResponse>) -> wire::Event {
    let message = tokio::time::timeout(PATIENCE, stream.message()).await;
    message.expect("an event comes").unwrap().unwrap().event.unwrap()
}

async fn nothing_comes(stream: &mut Streaming<wire::WatchEventsResponse>) {
    let message = tokio::time::timeout(SILENCE, stream.message()).await;
    assert!(message.is_err(), "unexpected {message:?}");
}

async fn acknowledge(app: &App, events: &[&wire::Event]) {
    let request = wire::AckEventsRequest {
        consumer: "bot".into(),
        events: events
            .iter()
            .map(|event| wire::EventId { user_id: event.user_id, number: event.number })
            .collect(),
    };
    app.billing().ack_events(request).await.unwrap();
}

fn kind(event: &wire::Event) -> &'static str {
    match event.what.as_ref().unwrap() {
        What::TopUpSettled(_) => "settled",
        What::TopUpCancelled(_) => "cancelled",
        What::OperationExpired(_) => "expired",
        What::OperationCommittedLate(_) => "committed late",
        What::OperationRefunded(_) => "refunded",
        What::TopUpReversed(_) => "reversed",
        What::BalanceAdjusted(_) => "adjusted",
        What::FreeOperationsGranted(_) => "granted",
    }
}

#[rstest]
#[tokio::test]
async fn what_happened_to_a_users_money_is_told_in_order(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_money(engine, 0).await;
    app.top_up(ANNA, 5_000).await;
    let operation = app.reserve(ANNA, "test:1").await;
    app.clock.advance(HALF_HOUR);
    app.commit(&operation).await.unwrap();
    app.refund_by(&operation, "olga").await.unwrap();

    let mut stream = watch(&app).await;
    let mut told = Vec::new();
    for _ in 0..4 {
        let event = next(&mut stream).await;
        acknowledge(&app, &[&event]).await;
        told.push(event);
    }
    let numbers: Vec<_> = told.iter().map(|event| (event.user_id, event.number)).collect();
    assert_eq!(numbers, [(ANNA, 1), (ANNA, 2), (ANNA, 3), (ANNA, 4)]);
    let [settled, expired, late, refunded] = &told[..] else { panic!("{told:?}") };

    let Some(What::TopUpSettled(settled)) = &settled.what else { panic!("{settled:?}") };
    assert_eq!(settled.balance_after_kopecks, 5_000);
    assert_eq!(settled.top_up.as_ref().unwrap().state(), wire::TopUpState::Settled);
    // Each tells the operation as it was then, though it has gone on since.
    let Some(What::OperationExpired(expired)) = &expired.what else { panic!("{expired:?}") };
    let expired = expired.operation.as_ref().unwrap();
    assert_eq!(expired.state(), wire::OperationState::Expired);
    assert_eq!((expired.refunded_kopecks, expired.refund_reason.as_str()), (PRICE, ""));
    let Some(What::OperationCommittedLate(late)) = &late.what else { panic!("{late:?}") };
    let late = late.operation.as_ref().unwrap();
    assert_eq!(late.state(), wire::OperationState::Committed);
    assert_eq!((late.refunded_kopecks, late.cost_micro_usd), (0, 39_000));
    let Some(What::OperationRefunded(refunded)) = &refunded.what else { panic!("{refunded:?}") };
    assert_eq!(refunded.operation.as_ref().unwrap().refund_actor, "olga");
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn what_the_bot_asked_for_itself_is_no_event(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_anna(engine).await;
    let first = app.reserve(ANNA, "test:1").await;
    app.commit(&first).await.unwrap();
    let second = app.reserve(ANNA, "test:2").await;
    app.refund(&second).await.unwrap();
    let third = app.reserve(ANNA, "test:3").await;
    app.clock.advance(HALF_HOUR);
    // Its expiry is an event; that a person then closes what is given back already is none.
    app.refund_by(&third, "olga").await.unwrap();

    let look = app.look().await;
    assert_eq!(look.texts("select kind from events").await, [["operation_expired"]]);
    look.close().await;
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn an_unacknowledged_event_delays_its_user_only_and_is_lent_again_after_a_minute(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_money(engine, 0).await;
    app.register(BORIS).await;
    app.top_up(ANNA, 1_000).await;
    app.top_up(ANNA, 2_000).await;
    app.top_up(BORIS, 3_000).await;

    let mut stream = watch(&app).await;
    let (one, other) = (next(&mut stream).await, next(&mut stream).await);
    let mut lent = [(one.user_id, one.number), (other.user_id, other.number)];
    lent.sort_unstable();
    assert_eq!(lent, [(ANNA, 1), (BORIS, 1)]);

    // Another replica of the bot is lent nothing of that, and not what comes after it.
    let mut other_stream = watch(&app).await;
    nothing_comes(&mut other_stream).await;
    drop(stream);

    let boriss = if one.user_id == BORIS { one } else { other };
    acknowledge(&app, &[&boriss]).await;
    app.clock.advance(LEASE);
    let again = next(&mut other_stream).await;
    assert_eq!((again.user_id, again.number), (ANNA, 1));
    acknowledge(&app, &[&again]).await;
    acknowledge(&app, &[&again]).await;
    let last = next(&mut other_stream).await;
    assert_eq!((last.user_id, last.number), (ANNA, 2));
    acknowledge(&app, &[&last]).await;
    nothing_comes(&mut other_stream).await;
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn two_streams_share_events_and_none_is_lent_twice(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_money(engine, 0).await;
    let mut streams = [watch(&app).await, watch(&app).await];
    let [one, other] = &mut streams;
    for user in 1..=40 {
        app.register(user).await;
        app.top_up(user, 1_000).await;
    }

    let mut users = Vec::new();
    while users.len() < 40 {
        let event = tokio::select! {
            event = next(one) => event,
            event = next(other) => event,
        };
        assert_eq!(kind(&event), "settled");
        users.push(event.user_id);
        acknowledge(&app, &[&event]).await;
    }

    users.sort_unstable();
    assert_eq!(users, (1..=40).collect::<Vec<_>>());
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn events_survive_a_restart_and_the_stream_ends_with_the_service(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_money(engine, 0).await;
    app.top_up(ANNA, 1_000).await;
    let mut stream = watch(&app).await;
    let lent = next(&mut stream).await;

    let terms = crate::app::Terms { free_operations: 0, ..Default::default() };
    let app = app.restart(terms).await;
    let end = tokio::time::timeout(PATIENCE, stream.message()).await.unwrap();
    assert!(!matches!(end, Ok(Some(_))), "{end:?}");

    app.clock.advance(LEASE);
    let mut stream = watch(&app).await;
    assert_eq!(next(&mut stream).await, lent);
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn a_consumer_that_events_are_not_written_for_is_refused(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::start(engine).await;

    assert_eq!(reason_of(app.billing().watch_events("nobody").await), "CONSUMER_NOT_FOUND");
    let request = wire::AckEventsRequest {
        consumer: String::new(),
        events: vec![wire::EventId { user_id: ANNA, number: 1 }],
    };
    assert_eq!(reason_of(app.billing().ack_events(request).await), "CONSUMER_NOT_FOUND");
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn streams_that_nobody_reads_hold_nobody_up(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_money(engine, 0).await;
    // Ten streams, more than there are connections for reading, and more events than one is lent.
    join_all((1_001..=1_640).map(|user| app.register(user))).await;
    join_all((1_001..=1_640).map(|user| app.top_up(user, PRICE))).await;

    // A window that is smaller than one event: the first one fills it.
    let endpoint = Endpoint::from_shared(app.replica.grpc_url.clone()).unwrap();
    let channel = endpoint.initial_stream_window_size(100).connect().await.unwrap();
    let look = app.look().await;
    let mut unread = Vec::new();
    let lent = "select count(*) from events where lent_until > 0";
    for opened in 1..=10 {
        let before = look.numbers(lent).await;
        let request = wire::WatchEventsRequest { consumer: "bot".into() };
        let stream = BillingServiceClient::new(channel.clone()).watch_events(request).await;
        unread.push(stream.unwrap());
        let deadline = Instant::now() + PATIENCE;
        while look.numbers(lent).await == before {
            assert!(Instant::now() < deadline, "stream {opened} is lent events");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    assert_eq!(app.has(1_001).await, (PRICE, 0, 0, 0));
    drop(unread);
    look.close().await;
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn an_event_says_how_things_were_whatever_has_happened_since(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_money(engine, 0).await;
    let settled = app.settled(ANNA, 2 * PRICE, "pay:1").await;
    let operation = app.reserve(ANNA, "test:1").await;
    app.clock.advance(HALF_HOUR);
    let committed = app.commit(&operation).await.unwrap();
    app.refund_part(&operation, 300, "olga:1").await.unwrap();
    app.reverse(&settled, "refund-1", 500).await.unwrap();

    let mut stream = watch(&app).await;
    let mut told = Vec::new();
    for _ in 0..5 {
        let event = next(&mut stream).await;
        acknowledge(&app, &[&event]).await;
        told.push(event.what.unwrap());
    }

    let [What::TopUpSettled(top_up), _, What::OperationCommittedLate(late), part, reversed] =
        &told[..]
    else {
        panic!("{told:?}")
    };
    assert_eq!(top_up.top_up.as_ref(), Some(&settled));
    assert_eq!(late.operation.as_ref(), Some(&committed));
    let What::OperationRefunded(part) = part else { panic!("{part:?}") };
    assert_eq!(part.refunded_kopecks, 300);
    let What::TopUpReversed(reversed) = reversed else { panic!("{reversed:?}") };
    let now = reversed.top_up.as_ref().unwrap();
    assert_eq!((reversed.reversed_kopecks, now.refunded_minor_units), (500, 500));
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn a_cancelled_top_up_is_told_once_with_its_reason_also_when_its_money_came_later(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_anna(engine).await;
    let top_up = app.open_top_up(ANNA, 2 * PRICE, "pay:1").await;
    let cancelled = app.cancel(&top_up).await.unwrap();
    app.cancel(&top_up).await.unwrap();
    app.settle(&top_up, "late-payment").await.unwrap();

    let mut stream = watch(&app).await;
    let first = next(&mut stream).await;
    acknowledge(&app, &[&first]).await;
    let second = next(&mut stream).await;
    acknowledge(&app, &[&second]).await;

    let Some(What::TopUpCancelled(told)) = &first.what else { panic!("{first:?}") };
    let told = told.top_up.as_ref().unwrap();
    assert_eq!(told.state(), wire::TopUpState::Cancelled);
    assert_eq!(
        (told.top_up_id.as_str(), told.cancel_reason.as_str()),
        (cancelled.top_up_id.as_str(), "expired_on_confirmation")
    );
    assert_eq!((kind(&second), second.number), ("settled", 2));
    nothing_comes(&mut stream).await;
    app.finish().await;
}
