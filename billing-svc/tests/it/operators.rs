//! What operators rely on: the two queries they know, restarts, probes and metrics.

use rstest::rstest;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::Instant;

use crate::app::{ANNA, App, DAY, HALF_HOUR, PATIENCE, PRICE, Terms};
use crate::database::{Engine, Look};

/// Word for word as operators know it, but for the cast around it that reads any type.
const LAST_OPERATIONS: &str = "SELECT o.*, u.telegram_id FROM operations o \
     JOIN users u ON o.user_id = u.id \
     WHERE u.telegram_id = 42 ORDER BY o.created_at DESC LIMIT 10;";
const BALANCE: &str = "SELECT u.telegram_id, b.balance, u.free_operations_left FROM users u \
     LEFT JOIN balances b ON u.id = b.user_id \
     WHERE u.telegram_id = 42;";

/// The named columns of every row, as psql and sqlite3 would print them.
async fn printed(look: &Look, sql: &'static str, columns: &[&str]) -> Vec<Vec<String>> {
    use sqlx::Row as _;
    match look {
        Look::Sqlite(pool) => {
            let rows = sqlx::query(sql).fetch_all(pool).await.unwrap();
            let cell = |row: &sqlx::sqlite::SqliteRow, column: &str| {
                let number = row.try_get::<i64, _>(column).map(|number| number.to_string());
                number.unwrap_or_else(|_| row.get::<String, _>(column))
            };
            rows.iter().map(|row| columns.iter().map(|c| cell(row, c)).collect()).collect()
        }
        Look::Postgres(pool) => {
            // The simple protocol answers every type as the text that psql prints.
            let rows = sqlx::raw_sql(sql).fetch_all(pool).await.unwrap();
            let cell = |row: &sqlx::postgres::PgRow, column: &str| {
                row.try_get_raw(column).unwrap().as_str().unwrap().to_owned()
            };
            rows.iter().map(|row| columns.iter().map(|c| cell(row, c)).collect()).collect()
        }
    }
}

#[rstest]
#[tokio::test]
async fn the_two_queries_that_operators_know_show_exact_roubles(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with(engine, Terms { free_operations: 1, ..Terms::default() }).await;
    app.register(ANNA).await;
    app.register(7).await;
    app.top_up(ANNA, 12_005).await;
    let free = app.reserve(ANNA, "test:1").await;
    app.commit(&free).await.unwrap();
    app.clock.advance(std::time::Duration::from_secs(1));
    let paid = app.reserve(ANNA, "test:2").await;
    app.refund(&paid).await.unwrap();
    app.clock.advance(std::time::Duration::from_secs(1));
    app.reserve(ANNA, "test:3").await;
    app.reserve(7, "test:1").await;

    let look = app.look().await;
    let balance =
        printed(&look, BALANCE, &["telegram_id", "balance", "free_operations_left"]).await;
    assert_eq!(balance, [["42", "110.05", "0"]]);

    let columns = ["telegram_id", "user_id", "operation_type", "state", "source", "price"];
    let operations = printed(&look, LAST_OPERATIONS, &columns).await;
    assert_eq!(
        operations,
        [
            ["42", "42", "generate", "reserved", "balance", "10.00"],
            ["42", "42", "generate", "refunded", "balance", "10.00"],
            ["42", "42", "generate", "committed", "free_operation", "10.00"],
        ]
    );
    let ids = printed(&look, LAST_OPERATIONS, &["id"]).await;
    assert_eq!(ids[1], [paid.operation_id]);

    let payments = printed(&look, "select amount, state from payments", &["amount", "state"]).await;
    assert_eq!(payments, [["120.05", "settled"]]);
    look.close().await;
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn a_balance_below_zero_reads_with_its_sign(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::start(engine).await;
    let debt = "insert into accounts
                    (user_id, balance_kopecks, reversed_kopecks, held_kopecks, free_operations,
                     held_free_operations, last_entry_number, last_event_number, created_at)
                values (42, -50, 50, 0, 0, 0, 0, 0, 0)";
    match app.look().await {
        Look::Postgres(pool) => {
            sqlx::query(debt).execute(&pool).await.unwrap();
            pool.close().await;
        }
        Look::Sqlite(reader) => {
            reader.close().await;
            let writer = sqlx::SqlitePool::connect(&app.database.url).await.unwrap();
            sqlx::query(debt).execute(&writer).await.unwrap();
            writer.close().await;
        }
    }

    let look = app.look().await;
    assert_eq!(printed(&look, BALANCE, &["balance"]).await, [["-0.50"]]);
    look.close().await;
    app.replica.stop().await;
    app.database.drop().await;
}

#[rstest]
#[tokio::test]
async fn everything_survives_a_restart(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let app = App::with_anna(engine).await;
    app.top_up(ANNA, 5_000).await;
    let open = app.reserve(ANNA, "test:1").await;
    let committed = app.reserve(ANNA, "test:2").await;
    let committed = app.commit(&committed).await.unwrap();
    let top_up = app.open_top_up(ANNA, 700, "pay:1").await;
    let account = app.account(ANNA).await;

    let app = app.restart(Terms::default()).await;

    assert_eq!(app.account(ANNA).await, account);
    assert_eq!(app.operation(&open).await, open);
    assert_eq!(app.operation(&committed).await, committed);
    assert_eq!(app.reserve(ANNA, "test:1").await, open);
    assert_eq!(app.open_top_up(ANNA, 700, "pay:1").await, top_up);
    assert!(!app.register(ANNA).await.created);
    app.clock.advance(HALF_HOUR);
    assert_eq!(app.has(ANNA).await, (5_000, 0, 3, 0));
    app.finish().await;
}

async fn get(admin_url: &str, path: &str) -> String {
    let address = admin_url.trim_start_matches("http://");
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

pub(crate) async fn wait_for(admin_url: &str, path: &str, part: &str) -> String {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = get(admin_url, path).await;
        if answer.contains(part) {
            return answer;
        }
        assert!(Instant::now() < deadline, "{path} never says {part:?}: {answer}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn it_is_live_and_ready_and_counts_what_it_decides() {
    let app = App::with_anna(Engine::Sqlite).await;
    app.reserve(ANNA, "test:1").await;
    app.reserve(ANNA, "test:1").await;
    app.try_reserve(4_040, "test:1").await.unwrap_err();

    let admin = &app.replica.admin_url;
    wait_for(admin, "/livez", "200 OK").await;
    wait_for(admin, "/readyz", "200 OK").await;
    let metrics = get(admin, "/metrics").await;
    for line in [
        "billing_operations_total{operation=\"reserve\",outcome=\"done\"} 1",
        "billing_operations_total{operation=\"reserve\",outcome=\"repeat\"} 1",
        "billing_operations_total{operation=\"reserve\",outcome=\"user_not_found\"} 1",
        "billing_write_batch_size",
        "billing_write_seconds",
        "billing_queue_depth{writer=\"0\"} 0",
    ] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }
    app.finish().await;
}

#[tokio::test]
async fn a_clock_that_is_not_the_databases_makes_it_unready_and_not_dead() {
    // The clock of tests is years away from PostgreSQL's.
    let app = App::with_anna(Engine::Postgres).await;
    app.clock.advance(DAY);

    wait_for(&app.replica.admin_url, "/readyz", "503").await;
    wait_for(&app.replica.admin_url, "/livez", "200 OK").await;
    assert_eq!(app.reserve(ANNA, "test:1").await.price_kopecks, PRICE);
    app.finish().await;
}

#[tokio::test]
async fn a_probe_that_was_half_asked_does_not_keep_it_from_ending() {
    let app = App::with_anna(Engine::Sqlite).await;
    let address = app.replica.admin_url.trim_start_matches("http://").to_owned();
    let mut half = tokio::net::TcpStream::connect(&address).await.unwrap();
    half.write_all(b"GET /livez HTTP/1.1\r\nho").await.unwrap();
    // Answered after the other half was read.
    assert!(get(&app.replica.admin_url, "/livez").await.contains("200 OK"));

    app.finish().await;
    drop(half);
}
