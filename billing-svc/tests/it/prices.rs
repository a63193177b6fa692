//! The price list: what holds now, what is announced, and what free operations may pay.

use std::time::Duration;

use proto::billing::v1 as wire;
use proto::reason;
use rstest::rstest;

use crate::app::{ANNA, App, Terms, micros, reason_of, reserve};
use crate::database::Engine;

const HOUR: Duration = Duration::from_secs(3_600);

/// The clock of tests begins at 2027-01-15 08:00 UTC.
const RISING: &str = r#"
[[price]]
operation_type = "generate"
price = "15.50"
valid_from = 2027-01-15T12:00:00+03:00

[[price]]
operation_type = "generate"
price = "10"

[[price]]
operation_type = "upscale"
price = "7"
valid_from = 2027-01-15T10:00:00Z
"#;

const MODELS: &str = r#"
[[price]]
operation_type = "generate"
price = "10"

[[price]]
operation_type = "generate"
model = "large"
price = "40"
free_operations_allowed = false
"#;

async fn with_prices(engine: Engine, prices: &'static str, free_operations: u32) -> App {
    let terms = Terms { prices: Some(prices), free_operations, ..Terms::default() };
    let app = App::with(engine, terms).await;
    app.register(ANNA).await;
    app
}

async fn list(app: &App) -> Vec<(String, String, i64, Option<i64>)> {
    let prices = app.billing().list_prices(wire::ListPricesRequest {}).await.unwrap().prices;
    let line = |price: wire::Price| {
        let from = price.valid_from.map(|from| micros(Some(from)) / 1_000_000);
        (price.operation_type, price.model, price.price_kopecks, from)
    };
    prices.into_iter().map(line).collect()
}

#[rstest]
#[tokio::test]
async fn a_price_rises_at_its_moment_and_what_was_reserved_keeps_its_own(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = with_prices(engine, RISING, 0).await;
    app.top_up(ANNA, 10_000).await;
    let nine = 1_800_003_600;
    let ten = nine + 3_600;
    let generate = || "generate".to_owned();
    let line = |price, from| (generate(), String::new(), price, from);
    let upscale = ("upscale".to_owned(), String::new(), 700, Some(ten));
    assert_eq!(list(&app).await, [line(1_000, None), line(1_550, Some(nine)), upscale.clone()]);

    let showing = |price, key| wire::ReserveRequest {
        expected_price_kopecks: Some(price),
        ..reserve(ANNA, key)
    };
    let before = app.billing().reserve(showing(1_000, "test:1")).await.unwrap().operation.unwrap();
    app.clock.advance(HOUR - Duration::from_micros(1));
    let last = app.billing().reserve(showing(1_000, "test:2")).await.unwrap().operation.unwrap();
    app.clock.advance(Duration::from_micros(1));

    let refusal = app.billing().reserve(showing(1_000, "test:3")).await.unwrap_err();
    assert_eq!(reason::of(&refusal).as_deref(), Some("PRICE_CHANGED"));
    assert_eq!(reason::value(&refusal, "price_kopecks").as_deref(), Some("1550"));
    let dearer = app.billing().reserve(showing(1_550, "test:3")).await.unwrap().operation.unwrap();
    assert_eq!((dearer.price_kopecks, dearer.list_price_kopecks), (1_550, 1_550));
    assert_eq!(list(&app).await, [line(1_550, Some(nine)), upscale]);

    // The first has expired: taken again, it costs what it cost.
    assert_eq!(app.commit(&before).await.unwrap().charged_kopecks, 1_000);
    assert_eq!(app.refund(&last).await.unwrap().refunded_kopecks, 1_000);
    assert_eq!(app.has(ANNA).await, (10_000 - 1_000 - 1_550, 1_550, 0, 0));
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn what_is_not_in_the_list_or_not_yet_is_not_sold(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = with_prices(engine, RISING, 0).await;
    app.top_up(ANNA, 10_000).await;
    let of = |operation_type: &str| wire::ReserveRequest {
        operation_type: operation_type.to_owned(),
        ..reserve(ANNA, &format!("test:{operation_type}"))
    };

    for not_sold in ["edit", "add_text", "upscale"] {
        let refusal = app.billing().reserve(of(not_sold)).await;
        assert_eq!(reason_of(refusal), "OPERATION_TYPE_NOT_SOLD", "{not_sold}");
    }
    app.clock.advance(2 * HOUR);
    let upscaled = app.billing().reserve(of("upscale")).await.unwrap().operation.unwrap();
    assert_eq!(upscaled.price_kopecks, 700);
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn a_model_has_its_own_price_and_money_pays_where_free_operations_may_not(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = with_prices(engine, MODELS, 2).await;
    app.top_up(ANNA, 4_999).await;
    let with =
        |model: &str, key| wire::ReserveRequest { model: model.into(), ..reserve(ANNA, key) };

    let free = app.billing().reserve(with("small", "test:1")).await.unwrap().operation.unwrap();
    assert_eq!(free.source(), wire::PaymentSource::FreeOperation);
    assert_eq!(free.price_kopecks, 1_000);
    let paid = app.billing().reserve(with("large", "test:2")).await.unwrap().operation.unwrap();
    assert_eq!(paid.source(), wire::PaymentSource::Balance);
    assert_eq!((paid.charged_kopecks, paid.model.as_str()), (4_000, "large"));

    let refusal = app.billing().reserve(with("large", "test:3")).await.unwrap_err();
    assert_eq!(reason::of(&refusal).as_deref(), Some("INSUFFICIENT_FUNDS"));
    assert_eq!(reason::value(&refusal, "price_kopecks").as_deref(), Some("4000"));
    assert_eq!(reason::value(&refusal, "free_operations").as_deref(), Some("1"));
    assert_eq!(app.has(ANNA).await, (999, 4_000, 1, 1));
    let prices = app.billing().list_prices(wire::ListPricesRequest {}).await.unwrap().prices;
    let allowed: Vec<_> = prices.iter().map(|p| (&*p.model, p.free_operations_allowed)).collect();
    assert_eq!(allowed, [("", true), ("large", false)]);
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn another_list_after_a_restart_changes_no_operation(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = with_prices(engine, MODELS, 0).await;
    app.top_up(ANNA, 5_000).await;
    let before = app.reserve(ANNA, "test:1").await;

    let app = app.restart(Terms { prices: Some(RISING), ..Terms::default() }).await;
    app.clock.advance(HOUR);

    assert_eq!(app.commit(&before).await.unwrap().charged_kopecks, 1_000);
    assert_eq!(app.reserve(ANNA, "test:1").await.price_kopecks, 1_000, "a repeat costs nothing");
    assert_eq!(app.reserve(ANNA, "test:2").await.price_kopecks, 1_550);
    app.finish().await;
}
