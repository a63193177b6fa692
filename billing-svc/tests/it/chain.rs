//! The hash chains: what was written is chained, also after kill -9, and what was changed since is
//! found, even when the head in the store was changed with it.

use std::time::Duration;

use proto::billing::v1 as wire;
use rstest::rstest;
use tokio::time::Instant;

use crate::app::{ANNA, App, BORIS, PATIENCE, Terms, reserve};
use crate::books;
use crate::database::{Engine, Look, TestDatabase};
use crate::everything;
use crate::process::{Process, binary, migrate};
use crate::verify::verify;

/// Longer than any test.
const NEVER: &str = "1h";

const CHAINED: &str = "select a.user_id, a.last_entry_number, coalesce(h.number, 0)
    from accounts a left join chain_heads h on h.user_id = a.user_id order by a.user_id";

async fn is_chained(look: &Look) -> bool {
    look.numbers(CHAINED).await.iter().all(|row| row[1] == row[2])
}

async fn wait_until_chained(look: &Look) {
    let deadline = Instant::now() + PATIENCE;
    while !is_chained(look).await {
        assert!(Instant::now() < deadline, "{:?}", look.numbers(CHAINED).await);
        tokio::time::sleep(everything::SOON).await;
    }
}

async fn register(process: &Process, user_id: i64) {
    let request = wire::RegisterUserRequest { user_id, profile: None };
    process.billing.register_user(request).await.unwrap();
}

/// Heads of a log, as `--head` takes them.
fn heads(log: &[String]) -> Vec<String> {
    let value = |line: &str, name: &str| {
        let (_, rest) = line.split_once(name).unwrap();
        rest.split(' ').next().unwrap().to_owned()
    };
    log.iter()
        .filter(|line| line.contains("billing: chain head"))
        .map(|line| {
            let of = |name| value(line, name);
            format!("{}:{}:{}", of("user.id="), of("entry.number="), of("hash="))
        })
        .collect()
}

#[rstest]
#[tokio::test]
async fn each_head_is_in_the_log_and_compares(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let database = TestDatabase::create(engine).await;
    migrate(&database).await;
    let mut command = binary(&database.url);
    command.env("CHAIN_EVERY", "10ms");
    let process = Process::start_with(command).await;
    register(&process, ANNA).await;
    let look = database.look().await;
    wait_until_chained(&look).await;
    process.billing.reserve(reserve(ANNA, "test:1")).await.unwrap();
    wait_until_chained(&look).await;
    look.close().await;

    let heads = heads(&process.kill().await);

    assert_eq!(heads.len(), 2, "{heads:?}");
    assert!(heads[0].starts_with("42:1:") && heads[1].starts_with("42:2:"), "{heads:?}");
    let arguments = ["--head", &heads[0], "--head", &heads[1]];
    let (code, out, error) = verify(&database.url, &arguments).await;
    assert_eq!(code, 0, "{out}{error}");
    database.drop().await;
}

#[rstest]
#[tokio::test]
async fn what_a_killed_process_left_behind_is_chained_at_the_next_start(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let database = TestDatabase::create(engine).await;
    migrate(&database).await;
    let mut command = binary(&database.url);
    command.env("CHAIN_EVERY", NEVER);
    let process = Process::start_with(command).await;
    for user in 1..=5 {
        register(&process, user).await;
        process.billing.reserve(reserve(user, "test:1")).await.unwrap();
    }
    process.kill().await;
    let look = database.look().await;
    assert!(!is_chained(&look).await, "there is something left to do");

    let mut command = binary(&database.url);
    command.env("CHAIN_EVERY", NEVER);
    let process = Process::start_with(command).await;
    wait_until_chained(&look).await;

    process.kill().await;
    books::verify(&database).await;
    look.close().await;
    database.drop().await;
}

#[rstest]
#[tokio::test]
async fn what_is_not_chained_yet_is_chained_when_it_ends_in_good_order(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let terms = Terms { chain_every: Some(Duration::from_secs(3_600)), ..Terms::default() };
    let app = App::with(engine, terms).await;
    app.register(ANNA).await;
    app.reserve(ANNA, "test:1").await;

    app.replica.stop().await;

    let look = app.database.look().await;
    assert!(is_chained(&look).await, "{:?}", look.numbers(CHAINED).await);
    look.close().await;
    books::verify(&app.database).await;
    app.database.drop().await;
}

#[tokio::test]
async fn two_replicas_chain_the_same_entries_and_come_to_the_same() {
    let terms = Terms { chain_every: Some(Duration::from_millis(1)), ..Terms::default() };
    let app = App::with(Engine::Postgres, terms).await;
    app.register(ANNA).await;
    app.top_up(ANNA, 100_000).await;
    let other = app.second_replica().await;

    for number in 0..40 {
        let replica = if number % 2 == 0 { &app.replica } else { &other };
        let key = format!("test:{number}");
        replica.billing.reserve(reserve(ANNA, &key)).await.unwrap();
    }

    other.stop().await;
    let look = app.look().await;
    wait_until_chained(&look).await;
    look.close().await;
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn a_user_with_very_many_entries_is_chained_to_the_end(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_money(engine, 1_000_000).await;
    let calls = (0..600).map(|number| {
        let key = format!("test:{number}");
        let app = &app;
        async move { drop(app.reserve(ANNA, &key).await) }
    });
    futures_util::future::join_all(calls).await;

    let look = app.look().await;
    wait_until_chained(&look).await;
    assert_eq!(look.numbers("select number from chain_heads").await, [[601]]);
    look.close().await;
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn a_head_from_the_log_finds_what_was_changed_together_with_the_heads(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let database = TestDatabase::create(engine).await;
    migrate(&database).await;
    let mut command = binary(&database.url);
    command.env("CHAIN_EVERY", "10ms");
    let process = Process::start_with(command).await;
    register(&process, ANNA).await;
    process.billing.reserve(reserve(ANNA, "test:1")).await.unwrap();
    register(&process, BORIS).await;
    let look = database.look().await;
    wait_until_chained(&look).await;
    let kept = heads(&process.kill().await);
    let kept = kept.iter().rfind(|head| head.starts_with("42:2:")).unwrap();

    // Somebody changes what was bought and lets the service chain everything anew.
    database.tamper("update operation_records set model = 'cheap' where user_id = 42").await;
    let (code, out, _) = verify(&database.url, &[]).await;
    assert!(code == 1 && out.contains("hash_chain"), "{out}");
    database.tamper("delete from chain_heads").await;
    let process = Process::start(&database).await;
    wait_until_chained(&look).await;
    process.kill().await;
    let (code, out, _) = verify(&database.url, &[]).await;
    assert_eq!(code, 0, "from inside, everything fits: {out}");

    let (code, out, _) = verify(&database.url, &["--head", kept]).await;

    assert!(code == 1 && out.contains("kept_head"), "{out}");
    look.close().await;
    database.drop().await;
}

#[tokio::test]
async fn a_kept_head_beyond_the_entries_or_of_nobody_is_found() {
    let store = everything::store(Engine::Sqlite).await;
    let hash = "00".repeat(32);
    for head in [format!("42:1000:{hash}"), format!("4040:1:{hash}"), format!("77:1:{hash}")] {
        let (code, out, error) = verify(&store.url, &["--head", &head]).await;
        assert!(code == 1 && out.contains("kept_head"), "{head}: {out}{error}");
    }
    let (code, _, error) = verify(&store.url, &["--head", "42:1"]).await;
    assert_ne!(code, 0);
    assert!(error.contains("user:number:hash"), "{error}");
}
