//! ListStatement: every entry with the balance after it, by pages that stay as they are.

use std::time::Duration;

use proto::billing::v1 as wire;
use proto::reason;
use rstest::rstest;
use tonic::Code;

use crate::app::{ANNA, App, BORIS, HALF_HOUR, PRICE, reason_of};
use crate::app_admin::{bonus, free_operations};
use crate::database::Engine;

fn page(page_size: i32, page_token: &str) -> wire::ListStatementRequest {
    wire::ListStatementRequest {
        user_id: ANNA,
        page_size,
        page_token: page_token.to_owned(),
        ..wire::ListStatementRequest::default()
    }
}

async fn read(app: &App, request: wire::ListStatementRequest) -> (Vec<i64>, String) {
    let page = app.billing().list_statement(request).await.unwrap();
    (page.entries.iter().map(|entry| entry.number).collect(), page.next_page_token)
}

#[rstest]
#[tokio::test]
async fn every_cause_is_shown_with_what_it_changed_and_what_was_left(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_anna(engine).await;
    app.offer("TENTH", bonus(10, 0)).await;
    app.offer("ONE", free_operations(1)).await;
    app.redeem(ANNA, "TENTH", "test:1").await.unwrap();
    let top_up = app.settled(ANNA, 2 * PRICE, "pay:1").await;
    app.redeem(ANNA, "ONE", "test:2").await.unwrap();
    let free = app.reserve(ANNA, "test:1").await;
    app.commit(&free).await.unwrap();
    for number in 2..=5 {
        app.reserve(ANNA, &format!("test:{number}")).await;
    }
    let paid = app.reserve(ANNA, "test:6").await;
    app.clock.advance(HALF_HOUR);
    app.commit(&paid).await.unwrap();
    app.refund_by(&paid, "olga").await.unwrap();
    app.adjust(ANNA, -200, "olga:1").await.unwrap();
    app.grant(ANNA, 2, "olga:2").await.unwrap();
    app.reverse(&top_up, "refund-1", PRICE).await.unwrap();

    let shown: Vec<_> = app
        .statement(ANNA)
        .await
        .into_iter()
        .map(|e| {
            let places = format!("{} {}>{}", e.cause, e.from_account, e.to_account);
            let change = (e.amount, e.balance_change_kopecks);
            (places, change, (e.balance_after_kopecks, e.free_operations_after), e.actor)
        })
        .collect();
    let expected = [
        ("welcome granted>available", (4, 0), (0, 4), ""),
        ("top_up clearing:yookassa>balance", (2_000, 2_000), (2_000, 4), ""),
        ("bonus promo>balance", (200, 200), (2_200, 4), ""),
        ("promo_code granted>available", (1, 0), (2_200, 5), ""),
        ("reserve available>held", (1, 0), (2_200, 4), ""),
        ("commit held>used", (1, 0), (2_200, 4), ""),
        ("reserve available>held", (1, 0), (2_200, 3), ""),
        ("reserve available>held", (1, 0), (2_200, 2), ""),
        ("reserve available>held", (1, 0), (2_200, 1), ""),
        ("reserve available>held", (1, 0), (2_200, 0), ""),
        ("reserve balance>held", (1_000, -1_000), (1_200, 0), ""),
        ("expiry held>available", (1, 0), (1_200, 1), ""),
        ("expiry held>available", (1, 0), (1_200, 2), ""),
        ("expiry held>available", (1, 0), (1_200, 3), ""),
        ("expiry held>available", (1, 0), (1_200, 4), ""),
        ("expiry held>balance", (1_000, 1_000), (2_200, 4), ""),
        ("late_commit balance>revenue", (1_000, -1_000), (1_200, 4), ""),
        ("refund revenue>balance", (1_000, 1_000), (2_200, 4), "olga"),
        ("adjustment balance>adjustment", (200, -200), (2_000, 4), "olga"),
        ("grant granted>available", (2, 0), (2_000, 6), "olga"),
        ("reversal balance>clearing:yookassa", (1_000, -1_000), (1_000, 6), ""),
        ("reversal balance>promo", (100, -100), (900, 6), ""),
    ];
    let expected: Vec<_> = expected
        .into_iter()
        .map(|(places, change, after, actor)| (places.to_owned(), change, after, actor.to_owned()))
        .collect();
    assert_eq!(shown, expected);

    let entries = app.statement(ANNA).await;
    let about = |number: usize| {
        let entry = &entries[number - 1];
        (entry.operation_id.as_str(), entry.top_up_id.as_str(), entry.unit())
    };
    assert_eq!(about(1), ("", "", wire::Unit::FreeOperations));
    assert_eq!(about(3), ("", &*top_up.top_up_id, wire::Unit::Kopecks));
    assert_eq!(about(6), (&*free.operation_id, "", wire::Unit::FreeOperations));
    assert_eq!(about(17), (&*paid.operation_id, "", wire::Unit::Kopecks));
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn pages_stay_as_they_are_while_new_entries_arrive(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_anna(engine).await;
    app.register(BORIS).await;
    for number in 1..=9 {
        app.adjust(ANNA, number, &format!("olga:{number}")).await.unwrap();
        app.adjust(BORIS, number, &format!("olga:{number}")).await.unwrap();
    }

    let (first, token) = read(&app, page(4, "")).await;
    assert_eq!(first, [10, 9, 8, 7]);
    for number in 10..=14 {
        app.adjust(ANNA, number, &format!("olga:{number}")).await.unwrap();
    }
    let (second, next) = read(&app, page(4, &token)).await;
    assert_eq!(second, [6, 5, 4, 3]);
    // The same page is the same whenever it is read.
    assert_eq!(read(&app, page(4, &token)).await, (second, next.clone()));
    let (last, end) = read(&app, page(4, &next)).await;
    assert_eq!((last.as_slice(), end.as_str()), ([2, 1].as_slice(), ""));

    // A page that ends with the first entry is the last one.
    let (all, end) = read(&app, page(15, "")).await;
    assert_eq!((all.len(), end.as_str()), (15, ""));
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn bounds_of_time_hold_on_every_page(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_anna(engine).await;
    let start = app.moment(0);
    for number in 1..=6 {
        app.clock.advance(Duration::from_secs(10));
        app.adjust(ANNA, number, &format!("olga:{number}")).await.unwrap();
    }
    // Entries 2 … 7 came after 10 … 60 seconds.
    let after = |seconds| {
        start.map(|at| prost_types::Timestamp { seconds: at.seconds + seconds, nanos: 0 })
    };
    let bounded = |from, to| wire::ListStatementRequest { from, to, ..page(2, "") };

    let (first, token) = read(&app, bounded(after(20), after(50))).await;
    assert_eq!(first, [5, 4], "the end is not within");
    let request = wire::ListStatementRequest { page_token: token, ..bounded(after(20), after(50)) };
    assert_eq!(read(&app, request).await, (vec![3], String::new()), "the beginning is");
    assert_eq!(read(&app, bounded(None, after(10))).await.0, [1]);
    assert_eq!(read(&app, bounded(after(60), None)).await.0, [7]);
    assert_eq!(read(&app, bounded(after(61), None)).await.0, [0_i64; 0]);
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn a_statement_shows_no_hold_that_is_past_its_end(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_money(engine, PRICE).await;
    app.reserve(ANNA, "test:1").await;
    app.clock.advance(HALF_HOUR);

    let last = app.statement(ANNA).await.pop().unwrap();

    assert_eq!((last.cause.as_str(), last.balance_after_kopecks), ("expiry", PRICE));
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn what_cannot_be_listed_is_refused(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_anna(engine).await;
    let check = async |field: &str, request: wire::ListStatementRequest| {
        let refusal = app.billing().list_statement(request).await.unwrap_err();
        assert_eq!(refusal.code(), Code::InvalidArgument, "{refusal:?}");
        assert_eq!(reason::value(&refusal, "field").as_deref(), Some(field));
    };

    check("user_id", wire::ListStatementRequest { user_id: 0, ..page(0, "") }).await;
    for size in [-1, 501, i32::MIN] {
        check("page_size", page(size, "")).await;
    }
    for token in ["0", "-1", "first", "1.5", "99999999999999999999"] {
        check("page_token", page(0, token)).await;
    }
    let moment = |seconds, nanos| Some(prost_types::Timestamp { seconds, nanos });
    for bad in [moment(-1, 0), moment(0, 1_000_000_000), moment(i64::MAX, 0)] {
        check("from", wire::ListStatementRequest { from: bad, ..page(0, "") }).await;
        check("to", wire::ListStatementRequest { to: bad, ..page(0, "") }).await;
    }
    let (from, to) = (moment(5, 0), moment(5, 0));
    check("to", wire::ListStatementRequest { from, to, ..page(0, "") }).await;
    let of_nobody = wire::ListStatementRequest { user_id: 5, ..page(0, "") };
    assert_eq!(reason_of(app.billing().list_statement(of_nobody).await), "USER_NOT_FOUND");
    app.finish().await;
}
