//! The shipped binary: its settings, its commands, its lock, its log, and being killed.

use std::process::Stdio;
use std::time::Duration;

use proto::billing::v1 as wire;
use proto::client::{self, Billing};
use rstest::rstest;
use sqlx::{Connection as _, SqliteConnection};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::app::{ANNA, PATIENCE, PRICE, open_top_up, reserve};
use crate::books;
use crate::database::{Engine, TestDatabase};

pub(crate) fn binary(database_url: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_billing-svc"));
    command
        .env_clear()
        .env("DATABASE_URL", database_url)
        .env("BILLING_LISTEN", "127.0.0.1:0")
        .env("BILLING_ADMIN_LISTEN", "127.0.0.1:0")
        .current_dir(std::env::temp_dir())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Runs it to its end; answers whether it succeeded, and all that it said.
async fn run(mut command: Command) -> (bool, String) {
    let output = tokio::time::timeout(PATIENCE, command.output()).await;
    let output = output.expect("it ends by itself").unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

pub(crate) async fn migrate(database: &TestDatabase) {
    let mut command = binary(&database.url);
    command.arg("migrate");
    let (succeeded, said) = run(command).await;
    assert!(succeeded, "{said}");
}

/// A running process, and what it has said so far.
pub(crate) struct Process {
    child: Child,
    pub(crate) url: String,
    pub(crate) billing: Billing,
    log: tokio::task::JoinHandle<Vec<String>>,
}

impl Process {
    pub(crate) async fn start(database: &TestDatabase) -> Self {
        Self::start_with(binary(&database.url)).await
    }

    pub(crate) async fn start_with(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut said = Vec::new();
        let address = loop {
            let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap();
            let line = line.unwrap_or_else(|| panic!("it ended: {said:#?}"));
            let address = line.split_once("grpc.listen=").map(|(_, address)| address.to_owned());
            said.push(line);
            if let Some(address) = address {
                break address;
            }
        };
        let log = tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                said.push(line);
            }
            said
        });
        let url = format!("http://{}", address.trim());
        let billing = Billing::new(client::channel(&url).unwrap());
        Self { child, url, billing, log }
    }

    /// kill -9, and what it had said.
    /// Asks it to end, and waits until it has.
    pub(crate) async fn end(mut self) {
        let pid = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").arg(pid).status().await.unwrap().success());
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        assert!(ended.expect("it ends by itself").unwrap().success());
    }

    pub(crate) async fn kill(mut self) -> Vec<String> {
        self.child.kill().await.unwrap();
        self.log.await.unwrap()
    }
}

#[rstest]
#[tokio::test]
async fn migrating_twice_is_migrating_once(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let database = TestDatabase::create(engine).await;

    migrate(&database).await;
    migrate(&database).await;

    let process = Process::start(&database).await;
    process.billing.list_prices(wire::ListPricesRequest {}).await.unwrap();
    process.kill().await;
    database.drop().await;
}

#[tokio::test]
async fn it_does_not_serve_a_postgresql_that_is_not_migrated() {
    let database = TestDatabase::create(Engine::Postgres).await;

    let (succeeded, said) = run(binary(&database.url)).await;

    assert!(!succeeded);
    assert!(said.contains("run billing-svc migrate"), "{said}");
    assert_eq!(said.trim().lines().count(), 1, "{said}");
    database.drop().await;
}

#[tokio::test]
async fn a_second_process_does_not_get_the_same_sqlite_file() {
    let database = TestDatabase::create(Engine::Sqlite).await;
    let process = Process::start(&database).await;

    let (succeeded, said) = run(binary(&database.url)).await;
    assert!(!succeeded);
    assert!(said.contains("another process serves this SQLite file"), "{said}");
    assert_eq!(said.trim().lines().count(), 1, "{said}");

    // The lock goes with its process, however that ends.
    process.kill().await;
    Process::start(&database).await.kill().await;
}

#[tokio::test]
async fn what_is_committed_comes_into_the_sqlite_file_beside_the_writer() {
    let database = TestDatabase::create(Engine::Sqlite).await;
    let process = Process::start(&database).await;
    const USERS: i64 = 40;
    for user_id in 1..=USERS {
        let request = wire::RegisterUserRequest { user_id, profile: None };
        process.billing.register_user(request).await.unwrap();
    }

    // Without its log, the file has only what was copied into it; the writer itself would not copy
    // before the log has 128 MB.
    let deadline = Instant::now() + PATIENCE;
    loop {
        let copy = database.copy().await;
        // A copy that was made while pages were written is no database.
        let found = accounts_in(&copy.url).await.unwrap_or_default();
        // The last few commits wait for more.
        if found > USERS / 2 {
            break;
        }
        assert!(Instant::now() < deadline, "the file has {found} of {USERS} accounts");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    process.kill().await;
    database.drop().await;
}

#[tokio::test]
async fn a_clean_end_leaves_everything_in_the_sqlite_file() {
    let database = TestDatabase::create(Engine::Sqlite).await;
    let process = Process::start(&database).await;
    for user_id in 1..=40 {
        let request = wire::RegisterUserRequest { user_id, profile: None };
        process.billing.register_user(request).await.unwrap();
    }

    process.end().await;

    // The file alone, as an operator copies it.
    let copy = database.copy().await;
    assert_eq!(accounts_in(&copy.url).await.unwrap(), 40);
}

async fn accounts_in(url: &str) -> sqlx::Result<i64> {
    let mut connection = SqliteConnection::connect(url).await?;
    let found = sqlx::query_scalar("select count(*) from accounts").fetch_one(&mut connection);
    found.await
}

#[tokio::test]
async fn a_wrong_setting_stops_the_start_with_one_line_that_names_it() {
    for (name, value) in [
        ("DATABASE_URL", "mysql://root:s3cret@127.0.0.1/billing"),
        ("DATABASE_URL", "sqlite::memory:"),
        ("DATABASE_URL", "sqlite://"),
        ("DATABASE_URL", "sqlite://?mode=rwc"),
        ("DATABASE_URL", "postgresql+driver://billing:s3cret@127.0.0.1/billing"),
        ("DATABASE_URL", ""),
        ("DATABASE_URL", "postgres://billing:s3cret@127.0.0.1:1/billing"),
        ("BILLING_LISTEN", "0.0.0.0:0"),
        ("BILLING_LISTEN", "s3cret"),
        ("BILLING_ADMIN_LISTEN", "s3cret"),
        ("PRICE_PER_OPERATION", "s3cret"),
        ("FREE_OPERATIONS_COUNT", "s3cret"),
        ("HOLD_TTL", "2d"),
    ] {
        let database = TestDatabase::create(Engine::Sqlite).await;
        let mut command = binary(&database.url);
        command.env(name, value);
        let (succeeded, said) = run(command).await;
        assert!(!succeeded, "{name}={value}");
        assert!(said.contains(name), "{name}={value}: {said}");
        assert_eq!(said.trim().lines().count(), 1, "{name}={value}: {said}");
        assert!(!said.contains("s3cret"), "{said}");
    }
}

#[tokio::test]
async fn a_price_list_that_cannot_be_used_stops_the_start_with_one_line_that_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prices.toml");
    let line = "[[price]]\noperation_type = \"edit\"\nprice = \"5\"\n";
    let twice = [line, line].concat();
    let free = line.replace("edit", "add_text");
    let rouble = line.replace("\"5\"", "5.00");
    let unknown = format!("{line}colour = \"red\"\n");
    let local = format!("{line}valid_from = 2026-12-01T00:00:00\n");
    for (text, parts) in [
        ("", ["line 1:", "nothing is sold"]),
        ("price", ["line 1:", "not TOML"]),
        (&twice, ["line 4:", "line 1 has the same"]),
        (&free, ["line 2:", "add_text is free"]),
        (&rouble, ["line 3:", "such as \"15.50\""]),
        (&unknown, ["line 4:", "\"colour\" is not known"]),
        (&local, ["line 4:", "with its offset"]),
    ] {
        std::fs::write(&path, text).unwrap();
        let database = TestDatabase::create(Engine::Sqlite).await;
        let mut command = binary(&database.url);
        command.env("PRICES_FILE", &path);
        let (succeeded, said) = run(command).await;
        assert!(!succeeded, "{text}");
        assert_eq!(said.trim().lines().count(), 1, "{said}");
        for part in ["PRICES_FILE", "prices.toml"].into_iter().chain(parts) {
            assert!(said.contains(part), "{part} is not in {said}");
        }
    }
    for (name, part) in [("nobodys.toml", "cannot be read"), ("", "PRICES_FILE")] {
        let database = TestDatabase::create(Engine::Sqlite).await;
        let mut command = binary(&database.url);
        command.env("PRICES_FILE", name);
        let (succeeded, said) = run(command).await;
        assert!(!succeeded && said.contains("PRICES_FILE") && said.contains(part), "{said}");
        assert_eq!(said.trim().lines().count(), 1, "{said}");
    }
}

#[tokio::test]
async fn a_price_list_is_served_and_what_begins_later_is_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prices.toml");
    let now = "[[price]]\noperation_type = \"edit\"\nprice = \"15.50\"\n";
    let later = now.replace("edit", "upscale") + "valid_from = 9999-01-01T00:00:00+03:00\n";
    std::fs::write(&path, [now, &later].concat()).unwrap();
    let database = TestDatabase::create(Engine::Sqlite).await;
    let mut command = binary(&database.url);
    command.env("PRICES_FILE", &path).env("PRICE_PER_OPERATION", "99");
    let process = Process::start_with(command).await;

    let prices = process.billing.list_prices(wire::ListPricesRequest {}).await.unwrap().prices;

    let prices: Vec<_> = prices
        .iter()
        .map(|price| (&*price.operation_type, price.price_kopecks, price.valid_from.is_some()))
        .collect();
    assert_eq!(prices, [("edit", 1_550, false), ("upscale", 1_550, true)]);
    let log = process.kill().await;
    let warned: Vec<_> = log.iter().filter(|line| line.contains("PRICES_FILE")).collect();
    assert_eq!(warned.len(), 1, "{log:#?}");
    assert!(warned[0].contains("WARN") && warned[0].contains("upscale"), "{warned:?}");
}

#[tokio::test]
async fn each_decision_is_one_line_that_says_what_was_taken_and_what_is_left() {
    let database = TestDatabase::create(Engine::Sqlite).await;
    let process = Process::start(&database).await;
    let billing = &process.billing;

    let request = wire::RegisterUserRequest {
        user_id: ANNA,
        profile: Some(wire::Profile {
            language: Some("ru".into()),
            receipt_email: Some("anna@example.com".into()),
        }),
    };
    billing.register_user(request).await.unwrap();
    let operation = billing.reserve(reserve(ANNA, "secret-key")).await.unwrap().operation.unwrap();
    let top_up = billing.open_top_up(open_top_up(ANNA, 10_000, "secret-key")).await.unwrap();
    let top_up = top_up.top_up.unwrap();
    let request = wire::SettleTopUpRequest {
        user_id: ANNA,
        top_up_id: top_up.top_up_id.clone(),
        provider_payment_id: "p-1".into(),
        paid: top_up.paid,
    };
    billing.settle_top_up(request).await.unwrap();
    billing.reserve(reserve(7, "secret-key")).await.unwrap_err();

    let log = process.kill().await;
    let decisions: Vec<_> = log.iter().filter(|line| line.contains("billing: ")).collect();
    let expected: [&[&str]; 5] = [
        &["billing: registered", "user.id=42", "free_operations=4"],
        &[
            "billing: reserved",
            "user.id=42",
            &format!("operation.id={}", operation.operation_id),
            "amount_kopecks=0",
            "source=\"free_operation\"",
            "balance_kopecks=0",
            "free_operations=3",
            "outcome=\"done\"",
        ],
        &["billing: top-up opened", &format!("top_up.id={}", top_up.top_up_id)],
        &["billing: top-up settled", "amount_kopecks=10000", "balance_kopecks=10000"],
        &["billing: reserve refused", "user.id=7", "outcome=\"user_not_found\""],
    ];
    assert_eq!(decisions.len(), expected.len(), "{log:#?}");
    for (line, parts) in decisions.iter().zip(expected) {
        for part in parts {
            assert!(line.contains(part), "{part} is not in {line}");
        }
        assert!(line.contains("INFO"), "{line}");
        for secret in ["secret-key", "anna@example.com", "as it is sent"] {
            assert!(!line.contains(secret), "{secret} is in {line}");
        }
    }
}

#[tokio::test]
async fn a_hold_that_runs_out_of_time_has_its_line_too() {
    let database = TestDatabase::create(Engine::Sqlite).await;
    let mut command = binary(&database.url);
    command.env("HOLD_TTL", "1ms");
    let process = Process::start_with(command).await;
    let request = wire::RegisterUserRequest { user_id: ANNA, profile: None };
    process.billing.register_user(request).await.unwrap();
    let operation = process.billing.reserve(reserve(ANNA, "test:1")).await.unwrap();
    let operation_id = operation.operation.unwrap().operation_id;

    let deadline = Instant::now() + PATIENCE;
    let request = wire::GetAccountRequest { user_id: ANNA };
    while process.billing.get_account(request).await.unwrap().account.unwrap().free_operations != 4
    {
        assert!(Instant::now() < deadline, "the hold runs out of time");
    }

    let log = process.kill().await;
    let lines: Vec<_> = log.iter().filter(|line| line.contains("billing: hold expired")).collect();
    assert_eq!(lines.len(), 1, "{log:#?}");
    for part in ["user.id=42", &format!("operation.id={operation_id}"), "free_operations=4"] {
        assert!(lines[0].contains(part), "{part} is not in {lines:?}");
    }
}

/// What one caller wanted; it keeps on wanting it until it is answered.
async fn work(billing: &Billing, user: i64, number: i64) -> Result<(), tonic::Status> {
    let key = format!("test:{user}:{number}");
    let operation = billing.reserve(reserve(user, &key)).await?.operation.unwrap();
    let operation_id = operation.operation_id;
    if number % 3 == 0 {
        let reason = "the provider failed".to_owned();
        let user_id = user;
        let request = wire::RefundRequest { user_id, operation_id, reason, ..Default::default() };
        billing.refund(request).await?;
    } else {
        let request = wire::CommitRequest { user_id: user, operation_id, cost_micro_usd: None };
        billing.commit(request).await?;
    }
    let top_up = billing.open_top_up(open_top_up(user, 500, &key)).await?.top_up.unwrap();
    let request = wire::SettleTopUpRequest {
        user_id: user,
        top_up_id: top_up.top_up_id,
        provider_payment_id: key,
        paid: top_up.paid,
    };
    billing.settle_top_up(request).await?;
    Ok(())
}

const USERS: i64 = 6;
const ROUNDS: i64 = 9;

/// Every user's whole work, one piece after the other; stops at the first unanswered piece.
async fn all_work(billing: &Billing) -> Result<(), tonic::Status> {
    let users = (1..=USERS).map(|user| async move {
        for number in 0..ROUNDS {
            work(billing, user, number).await?;
        }
        Ok(())
    });
    futures_util::future::try_join_all(users).await.map(drop)
}

#[rstest]
#[tokio::test]
async fn killed_under_load_and_asked_again_nothing_is_lost_or_doubled(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let database = TestDatabase::create(engine).await;
    migrate(&database).await;
    let process = Process::start(&database).await;
    for user_id in 1..=USERS {
        let request = wire::RegisterUserRequest { user_id, profile: None };
        process.billing.register_user(request).await.unwrap();
        let top_up = process.billing.open_top_up(open_top_up(user_id, 9_000, "start")).await;
        let top_up = top_up.unwrap().top_up.unwrap();
        let request = wire::SettleTopUpRequest {
            user_id,
            top_up_id: top_up.top_up_id,
            provider_payment_id: format!("start-{user_id}"),
            paid: top_up.paid,
        };
        process.billing.settle_top_up(request).await.unwrap();
    }
    process.kill().await;

    // Killed earlier and later in the work; each process goes on where the last one was.
    let look = database.look().await;
    let mut kills = 0;
    for entries in [40, 70, 100, 130] {
        let process = Process::start(&database).await;
        let billing = process.billing.clone().with_deadline(Duration::from_secs(1));
        let working = tokio::spawn(async move { all_work(&billing).await });
        let deadline = Instant::now() + PATIENCE;
        while look.numbers("select count(*) from entries").await[0][0] < entries {
            assert!(Instant::now() < deadline, "the work goes on");
            tokio::task::yield_now().await;
        }
        process.kill().await;
        kills += i32::from(working.await.unwrap().is_err());
    }
    assert!(kills > 0, "at least one kill met unanswered work");

    let process = Process::start(&database).await;
    all_work(&process.billing).await.unwrap();
    for user_id in 1..=USERS {
        let request = wire::GetAccountRequest { user_id };
        let account = process.billing.get_account(request).await.unwrap().account.unwrap();
        // Of nine operations three are given back. Free ones go first, and those that come back
        // are used again: 4 + 2 of the first six, so of six commits two are paid.
        let total = account.balance_kopecks + account.free_operations * PRICE;
        assert_eq!(total, 9_000 + ROUNDS * 500 - 6 * PRICE + 4 * PRICE, "user {user_id}");
        assert_eq!((account.held_kopecks, account.held_free_operations), (0, 0));
    }
    let operations = look.numbers("select count(*) from operation_records").await;
    assert_eq!(operations, [[USERS * ROUNDS]]);
    books::check(&look).await;
    books::verify(&database).await;
    process.kill().await;
    look.close().await;
    database.drop().await;
}

/// The largest that `process` may make a file; like a full disk, but for one process.
async fn let_files_grow_to(process: &Process, bytes: &str) {
    let mut command = Command::new("prlimit");
    let pid = process.child.id().unwrap();
    command.args([format!("--pid={pid}"), format!("--fsize={bytes}:unlimited")]);
    let (succeeded, said) = run(command).await;
    assert!(succeeded, "prlimit, of the package util-linux: {said}");
}

#[tokio::test]
async fn a_disk_that_was_full_for_a_while_is_written_again_without_a_restart() {
    let database = TestDatabase::create(Engine::Sqlite).await;
    // A write past the limit is to fail, not to end the process.
    let mut command = Command::new("/bin/sh");
    let shipped = binary(&database.url);
    command.args(["-c", "trap '' XFSZ; exec \"$0\""]).arg(shipped.as_std().get_program());
    command.env_clear().envs(shipped.as_std().get_envs().filter_map(|(k, v)| Some((k, v?))));
    command.stdin(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let process = Process::start_with(command).await;
    let register = wire::RegisterUserRequest { user_id: ANNA, profile: None };
    process.billing.register_user(register).await.unwrap();

    let_files_grow_to(&process, "1").await;
    let mut once = process.billing.streaming();
    let refused = once.reserve(reserve(ANNA, "test:1")).await;
    assert_eq!(refused.unwrap_err().code(), tonic::Code::Unavailable);

    let_files_grow_to(&process, "unlimited").await;
    process.billing.reserve(reserve(ANNA, "test:1")).await.unwrap();
    let look = database.look().await;
    books::check(&look).await;
    books::verify(&database).await;
    assert_eq!(look.numbers("select count(*) from operation_records").await, [[1]]);
    look.close().await;
    process.kill().await;
    database.drop().await;
}
