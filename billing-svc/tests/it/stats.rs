//! GetStats: what was sold by day, type and model, summed from the ledger.

use std::time::Duration;

use proto::billing::v1 as wire;
use proto::reason;
use rstest::rstest;
use tonic::{Code, Status};

use crate::app::{ANNA, App, DAY, HALF_HOUR, PRICE, Terms, reserve};
use crate::app_admin::{free_access, percent_off};
use crate::database::Engine;

/// The clock of tests begins at 2027-01-15 08:00 UTC: so many days around it, in Moscow's days.
fn days(before: i64, after: i64) -> wire::GetStatsRequest {
    let moment = |days: i64| {
        Some(prost_types::Timestamp { seconds: 1_800_000_000 + days * 86_400, nanos: 0 })
    };
    wire::GetStatsRequest {
        from: moment(-before),
        to: moment(after),
        utc_offset_minutes: 180,
        usd_kopecks: Some(9_000),
    }
}

async fn stats(app: &App, request: wire::GetStatsRequest) -> Result<Vec<wire::StatsRow>, Status> {
    Ok(app.operators().get_stats(request).await?.into_inner().rows)
}

/// Commits it at the cost that `App::commit` names: 0.039 dollars, 3.51 roubles.
async fn sold(app: &App, operation_type: &str, model: &str, key: &str) -> wire::Operation {
    let request = wire::ReserveRequest {
        operation_type: operation_type.into(),
        model: model.into(),
        ..reserve(ANNA, key)
    };
    let operation = app.billing().reserve(request).await.unwrap().operation.unwrap();
    app.commit(&operation).await.unwrap()
}

#[rstest]
#[tokio::test]
async fn sums_are_made_by_day_type_and_model(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with(engine, Terms { free_operations: 1, ..Terms::default() }).await;
    app.register(ANNA).await;
    app.top_up(ANNA, 20_000).await;
    assert_eq!(stats(&app, days(1, 5)).await.unwrap(), []);

    // The first day: one free, one paid, one of another model, one released.
    sold(&app, "generate", "", "t:1").await;
    let paid = sold(&app, "generate", "", "t:2").await;
    sold(&app, "generate", "large", "t:3").await;
    let released = app.reserve(ANNA, "t:4").await;
    app.refund(&released).await.unwrap();
    let expired = app.reserve(ANNA, "t:5").await;
    // 22:00 UTC is the next day in Moscow.
    app.clock.advance(Duration::from_secs(14 * 3_600));
    // It ran out of time, is noticed and committed late, all on this day.
    app.commit(&expired).await.unwrap();
    app.refund_part(&paid, 300, "olga:1").await.unwrap();
    app.refund_part(&paid, 700, "olga:2").await.unwrap();
    sold(&app, "edit", "", "t:6").await;
    // One that is not decided yet counts nowhere.
    app.reserve(ANNA, "t:7").await;

    let rows = stats(&app, days(1, 5)).await.unwrap();

    let row = |day: &str, operation_type: &str, model: &str| wire::StatsRow {
        day: day.into(),
        operation_type: operation_type.into(),
        model: model.into(),
        ..wire::StatsRow::default()
    };
    let expected = [
        wire::StatsRow {
            committed: 2,
            committed_free: 1,
            revenue_kopecks: PRICE,
            cost_micro_usd: 78_000,
            margin_kopecks: Some(298),
            released: 1,
            ..row("2027-01-15", "generate", "")
        },
        wire::StatsRow {
            committed: 1,
            revenue_kopecks: PRICE,
            cost_micro_usd: 39_000,
            margin_kopecks: Some(649),
            ..row("2027-01-15", "generate", "large")
        },
        wire::StatsRow {
            committed: 1,
            revenue_kopecks: PRICE,
            cost_micro_usd: 39_000,
            margin_kopecks: Some(649),
            ..row("2027-01-16", "edit", "")
        },
        wire::StatsRow {
            committed: 1,
            revenue_kopecks: PRICE,
            refunds: 2,
            refunded_kopecks: PRICE,
            cost_micro_usd: 39_000,
            margin_kopecks: Some(-351),
            released: 1,
            ..row("2027-01-16", "generate", "")
        },
    ];
    assert_eq!(rows, expected);

    // In UTC all of it was one day, and without a rate there is no margin.
    let in_utc = wire::GetStatsRequest { utc_offset_minutes: 0, usd_kopecks: None, ..days(1, 5) };
    let rows = stats(&app, in_utc).await.unwrap();
    let short: Vec<_> =
        rows.iter().map(|row| (&*row.operation_type, &*row.model, row.committed)).collect();
    assert_eq!(short, [("edit", "", 1), ("generate", "", 3), ("generate", "large", 1)]);
    assert!(rows.iter().all(|row| row.margin_kopecks.is_none() && row.day == "2027-01-15"));
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn what_promo_codes_make_cheaper_earns_less(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_money(engine, 10_000).await;
    app.offer("HALF", percent_off(50)).await;
    app.offer("DAY", free_access(app.moment(86_400))).await;
    app.redeem(ANNA, "HALF", "test:1").await.unwrap();
    sold(&app, "generate", "", "t:1").await;
    app.redeem(ANNA, "DAY", "test:2").await.unwrap();
    let free = sold(&app, "generate", "", "t:2").await;
    app.refund_by(&free, "olga").await.unwrap();
    app.reserve(ANNA, "t:3").await;
    app.clock.advance(HALF_HOUR);
    app.account(ANNA).await;

    let rows = stats(&app, days(1, 5)).await.unwrap();

    let [row] = &rows[..] else { panic!("{rows:?}") };
    assert_eq!((row.committed, row.committed_free, row.revenue_kopecks), (2, 1, 500));
    assert_eq!((row.refunds, row.refunded_kopecks, row.released), (1, 0, 1));
    assert_eq!(row.margin_kopecks, Some(500 - 702));
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn only_what_moved_between_the_moments_counts(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_money(engine, 10_000).await;
    let before = sold(&app, "generate", "", "t:1").await;
    app.clock.advance(DAY);
    sold(&app, "generate", "", "t:2").await;
    app.clock.advance(DAY);
    // Taken back on the third day, which is when it counts.
    app.refund_by(&before, "olga").await.unwrap();

    let days_of = |rows: Vec<wire::StatsRow>| {
        rows.into_iter().map(|r| (r.day, r.committed, r.refunds)).collect::<Vec<_>>()
    };
    let second =
        wire::GetStatsRequest { from: app.moment(-86_400), to: app.moment(0), ..days(0, 0) };
    assert_eq!(days_of(stats(&app, second).await.unwrap()), [("2027-01-16".to_owned(), 1, 0)]);
    let third = wire::GetStatsRequest { from: app.moment(0), to: app.moment(1), ..days(0, 0) };
    assert_eq!(days_of(stats(&app, third).await.unwrap()), [("2027-01-17".to_owned(), 0, 1)]);
    assert_eq!(stats(&app, days(400, 0)).await.unwrap(), []);
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn days_that_cannot_be_are_refused(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::start(engine).await;
    let check = async |field: &str, request: wire::GetStatsRequest| {
        let refusal = stats(&app, request).await.unwrap_err();
        assert_eq!(refusal.code(), Code::InvalidArgument, "{refusal:?}");
        assert_eq!(reason::value(&refusal, "field").as_deref(), Some(field), "{request:?}");
    };

    check("from", wire::GetStatsRequest { from: None, ..days(1, 1) }).await;
    check("to", wire::GetStatsRequest { to: None, ..days(1, 1) }).await;
    check("to", days(0, 0)).await;
    check("to", days(1, -2)).await;
    check("to", days(1, 400)).await;
    let bad = Some(prost_types::Timestamp { seconds: -1, nanos: 0 });
    check("from", wire::GetStatsRequest { from: bad, ..days(1, 1) }).await;
    for utc_offset_minutes in [-841, 841, i32::MIN, i32::MAX] {
        check("utc_offset_minutes", wire::GetStatsRequest { utc_offset_minutes, ..days(1, 1) })
            .await;
    }
    for usd in [0, -1, 1_000_001, i64::MIN] {
        check("usd_kopecks", wire::GetStatsRequest { usd_kopecks: Some(usd), ..days(1, 1) }).await;
    }
    app.finish().await;
}
