//! `billing-svc verify` and its twins: beside a service that runs, by pages, and by itself.

use std::time::Duration;

use proto::billing::v1 as wire;
use proto::client;
use rstest::rstest;
use tokio::time::Instant;
use tonic::Code;

use crate::app::{ANNA, App, BORIS, PATIENCE, Terms, open_top_up, reason_of, reserve};
use crate::database::{Engine, TestDatabase};
use crate::everything;
use crate::operators::wait_for;
use crate::process::{Process, binary, migrate};

/// Runs it to its end: exit code, standard output, standard error.
pub(crate) async fn verify(url: &str, arguments: &[&str]) -> (i32, String, String) {
    let mut command = binary(url);
    command.arg("verify").args(arguments);
    let output = tokio::time::timeout(PATIENCE, command.output()).await;
    let output = output.expect("it ends by itself").unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// Calls of every kind, one after the other, until somebody stops it.
async fn work(billing: client::Billing, user_id: i64) {
    let register = wire::RegisterUserRequest { user_id, profile: None };
    billing.register_user(register).await.unwrap();
    for number in 0.. {
        let key = format!("test:{number}");
        let top_up = billing.open_top_up(open_top_up(user_id, 1_500, &key)).await.unwrap();
        let top_up = top_up.top_up.unwrap();
        let settle = wire::SettleTopUpRequest {
            user_id,
            top_up_id: top_up.top_up_id,
            provider_payment_id: format!("p-{user_id}-{number}"),
            paid: top_up.paid,
        };
        billing.settle_top_up(settle).await.unwrap();
        let operation = billing.reserve(reserve(user_id, &key)).await.unwrap();
        let operation_id = operation.operation.unwrap().operation_id;
        if number % 3 == 0 {
            let reason = "the provider failed".to_owned();
            let refund =
                wire::RefundRequest { user_id, operation_id, reason, ..Default::default() };
            billing.refund(refund).await.unwrap();
        } else {
            let commit = wire::CommitRequest { user_id, operation_id, cost_micro_usd: None };
            billing.commit(commit).await.unwrap();
        }
    }
}

#[rstest]
#[tokio::test]
async fn a_busy_store_verifies_clean_while_calls_go_on(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let database = TestDatabase::create(engine).await;
    migrate(&database).await;
    let mut command = binary(&database.url);
    command.env("CHAIN_EVERY", "10ms").env("VERIFY_EVERY", "10ms");
    let process = Process::start_with(command).await;
    let workers: Vec<_> =
        (1..=8).map(|user| tokio::spawn(work(process.billing.clone(), user))).collect();
    let look = database.look().await;
    let started = Instant::now();
    while look.numbers("select count(*) from entries").await[0][0] < 100 {
        assert!(started.elapsed() < PATIENCE, "the work goes on");
        tokio::time::sleep(everything::SOON).await;
    }

    for _ in 0..4 {
        let (code, out, error) = verify(&database.url, &[]).await;
        assert_eq!(code, 0, "{out}{error}");
        assert!(out.contains("users 8,") && out.contains("findings 0"), "{out}");
    }

    for worker in &workers {
        assert!(!worker.is_finished(), "nobody was stopped or refused");
        worker.abort();
    }
    look.close().await;
    let log = process.kill().await;
    let lines: Vec<_> = log.iter().filter(|l| l.contains("ERROR") || l.contains("WARN")).collect();
    assert!(lines.is_empty(), "{lines:#?}");
    assert!(log.iter().any(|line| line.contains("billing: ledger verified")), "{log:#?}");
    database.drop().await;
}

#[rstest]
#[tokio::test]
async fn it_ends_with_1_and_an_object_for_each_finding(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let store = everything::store(engine).await;
    let (code, out, _) = verify(&store.url, &[]).await;
    assert_eq!(code, 0, "{out}");
    store.tamper("update accounts set held_kopecks = 1001 where user_id = 77").await;

    let (code, out, error) = verify(&store.url, &["--format", "json", "--user", "77"]).await;

    assert_eq!(code, 1, "{out}{error}");
    let lines: Vec<serde_json::Value> =
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let finding = &lines[0]["finding"];
    assert_eq!(finding["user"], BORIS);
    assert_eq!(finding["invariant"], "entries_sum_to_held");
    assert_eq!(finding["row"], "account");
    assert_eq!(
        (finding["found"].as_str(), finding["expected"].as_str()),
        (Some("1001"), Some("1000"))
    );
    let totals = &lines.last().unwrap()["totals"];
    assert_eq!(totals["users"], 1);
    assert_eq!(totals["kopecks"]["received"], "3000");
    // The other user is still in order.
    let (code, out, _) = verify(&store.url, &["--user", "42"]).await;
    assert_eq!(code, 0, "{out}");
    store.drop().await;
}

#[tokio::test]
async fn it_ends_with_2_and_one_line_when_it_could_not_look() {
    let empty = TestDatabase::create(Engine::Postgres).await;
    let store = everything::store(Engine::Sqlite).await;
    for (url, arguments, problem) in [
        ("sqlite:///nowhere/billing.db", &[][..], "cannot be reached"),
        ("mysql://billing:s3cret@127.0.0.1/billing", &[], "not an address of a database"),
        ("postgres://billing:s3cret@127.0.0.1:1/billing", &[], "cannot be reached"),
        (&empty.url, &[], "run billing-svc migrate"),
        (&store.url, &["--user", "4040"], "user 4040 was never registered"),
    ] {
        let (code, out, error) = verify(url, arguments).await;
        assert_eq!((code, out.as_str()), (2, ""), "{url}: {error}");
        assert!(error.contains(problem), "{url}: {error}");
        assert_eq!(error.trim().lines().count(), 1, "{url}: {error}");
        assert!(!error.contains("s3cret"), "{error}");
    }
    empty.drop().await;
}

#[rstest]
#[tokio::test]
async fn operators_ask_for_it_by_pages(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let app = everything::app(engine).await;
    let mut admin = everything::admin(&app);
    app.database.tamper("update accounts set held_kopecks = 1001 where user_id = 77").await;

    let mut request = wire::VerifyLedgerRequest { page_size: 1, ..Default::default() };
    let (mut users, mut pages, mut findings) = (0, 0, Vec::new());
    loop {
        let page = admin.verify_ledger(request.clone()).await.unwrap().into_inner();
        users += page.users;
        pages += 1;
        findings.extend(page.findings);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    assert_eq!(users, 2);
    assert!(pages > 2, "a page each, and what is shared");
    let named: Vec<_> = findings.iter().map(|f| (f.user_id, f.invariant.as_str())).collect();
    assert_eq!(named, [(BORIS, "entries_sum_to_held"), (BORIS, "open_operations_sum_to_held")]);

    let one = |user_id| wire::VerifyLedgerRequest { user_id, ..Default::default() };
    let anna = admin.verify_ledger(one(ANNA)).await.unwrap().into_inner();
    assert_eq!((anna.users, anna.findings.len(), anna.next_page_token.as_str()), (1, 0, ""));
    assert!(anna.entries > 20);
    let boris = admin.verify_ledger(one(BORIS)).await.unwrap().into_inner();
    assert_eq!(boris.findings.len(), 2);
    assert_eq!(reason_of(admin.verify_ledger(one(4_040)).await), "USER_NOT_FOUND");

    app.replica.stop().await;
    app.database.drop().await;
}

#[tokio::test]
async fn a_page_that_cannot_be_is_refused() {
    let app = App::with_anna(Engine::Sqlite).await;
    let mut admin = everything::admin(&app);
    for request in [
        wire::VerifyLedgerRequest { user_id: -1, ..Default::default() },
        wire::VerifyLedgerRequest { page_size: 1_001, ..Default::default() },
        wire::VerifyLedgerRequest { page_size: -1, ..Default::default() },
        wire::VerifyLedgerRequest { page_token: "users:x".into(), ..Default::default() },
        wire::VerifyLedgerRequest { page_token: "42".into(), ..Default::default() },
    ] {
        let status = admin.verify_ledger(request.clone()).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{request:?}");
    }
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn the_service_finds_it_by_itself_and_counts_it(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let every = Some(Duration::from_millis(50));
    let app = App::with(engine, Terms { verify_every: every, ..Terms::default() }).await;
    app.register(ANNA).await;
    let metrics = &app.replica.admin_url;
    wait_for(metrics, "/metrics", "billing_verify_findings 0").await;
    wait_for(metrics, "/metrics", "billing_verify_last_success_timestamp_seconds 1").await;

    app.database.tamper("update accounts set free_operations = 5 where user_id = 42").await;
    wait_for(metrics, "/metrics", "billing_verify_findings 1").await;

    // And it is told that all is well again.
    app.database.tamper("update accounts set free_operations = 4 where user_id = 42").await;
    wait_for(metrics, "/metrics", "billing_verify_findings 0").await;
    app.finish().await;
}

#[tokio::test]
async fn each_finding_is_a_line_that_somebody_must_look_at() {
    let store = everything::store(Engine::Sqlite).await;
    store.tamper("update accounts set held_kopecks = 1001 where user_id = 77").await;
    let mut command = binary(&store.url);
    command.env("VERIFY_EVERY", "10ms").env("BILLING_ADMIN_LISTEN", "127.0.0.1:0");
    let process = Process::start_with(command).await;
    tokio::time::sleep(Duration::from_millis(500)).await;

    let log = process.kill().await;
    let line = log.iter().find(|line| line.contains("billing: the ledger does not add up"));
    let line = line.unwrap_or_else(|| panic!("{log:#?}"));
    for part in [
        "ERROR",
        "user.id=77",
        "entries_sum_to_held",
        "account",
        "found=\"1001\"",
        "expected=\"1000\"",
    ] {
        assert!(line.contains(part), "{part} is not in {line}");
    }
}
