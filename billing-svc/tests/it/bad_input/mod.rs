//! Bad input: for every call a table of requests that are refused, each with its code, reason and
//! field. Nothing is stored, nothing panics, and a good request right after works.

mod accounts;
mod operations;
mod top_ups;
mod operators;
mod limits;

use std::collections::BTreeSet;

use prost::Message;
use proto::billing::v1 as wire;
use proto::reason;
use rstest::rstest;
use tonic::Code;

use crate::app::ANNA;
use crate::books;
use crate::contract::{Rpc, rpcs};
use crate::database::{Engine, TestDatabase};
use crate::process::{Process, migrate};
use crate::raw::{self, RawCaller};

/// Calls that are in the contract and not served yet.
pub(crate) const NOT_YET: [&str; 1] = ["AdminService/VerifyLedger"];

/// One more byte than a message may have.
const TOO_LARGE: usize = 1024 * 1024 + 1;

/// One request that is refused.
struct Row {
    /// Such as `BillingService/Reserve`.
    rpc: String,
    /// What is wrong, for whoever reads a failure.
    what: String,
    bytes: Vec<u8>,
    refusal: Expected,
}

/// How it is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Expected {
    /// `INVALID_ARGUMENT` `INVALID_FIELD` with the field's name.
    Field(&'static str),
    /// Another reason.
    Reason(Code, &'static str),
    /// The bytes are no such message: the library under the service says so, without a reason.
    Unreadable(Code),
}

/// A request with one field that is wrong.
fn bad<M: Message + std::fmt::Debug>(rpc: &str, field: &'static str, message: &M) -> Row {
    Row {
        rpc: rpc.to_owned(),
        what: format!("{field} in {message:?}").chars().take(300).collect(),
        bytes: message.encode_to_vec(),
        refusal: Expected::Field(field),
    }
}

/// A request that can be read, and is refused for another reason.
fn refused<M: Message + std::fmt::Debug>(
    rpc: &str,
    (code, reason): (Code, &'static str),
    message: &M,
) -> Row {
    let refusal = Expected::Reason(code, reason);
    Row { refusal, ..bad(rpc, "", message) }
}

/// Moments that are none.
fn bad_moments() -> [prost_types::Timestamp; 5] {
    let moment = |seconds, nanos| prost_types::Timestamp { seconds, nanos };
    [
        moment(-1, 0),
        moment(i64::MAX, 0),
        moment(253_402_300_800, 0),
        moment(0, -1),
        moment(0, 1_000_000_000),
    ]
}

/// What is wrong with every call's request in the same way.
fn general(rpc: &Rpc) -> Vec<Row> {
    let row =
        |what: String, bytes: Vec<u8>, refusal| Row { rpc: rpc.name.clone(), what, bytes, refusal };
    let unreadable = Expected::Unreadable(Code::Internal);
    let mut rows = vec![
        row("a number that does not end".into(), vec![0x08, 0xff], unreadable),
        row("a field that is longer than the message".into(), vec![0x7a, 0x7f], unreadable),
        row("the field 0".into(), vec![0x00, 0x00], unreadable),
        row(
            "more than 1 MiB".into(),
            raw::field(15_000, &vec![0; TOO_LARGE]),
            Expected::Unreadable(Code::OutOfRange),
        ),
    ];
    for (name, bytes) in rpc.with_each_text(b"\xff\xfe") {
        rows.push(row(format!("{name} is not UTF-8"), bytes, unreadable));
    }
    if rpc.is_about_a_user() {
        rows.push(row("nothing".into(), Vec::new(), Expected::Field("user_id")));
        for user_id in [-1, i64::MIN] {
            // The first field of all of them.
            let bytes = wire::GetAccountRequest { user_id }.encode_to_vec();
            rows.push(row(format!("user {user_id}"), bytes, Expected::Field("user_id")));
        }
    }
    rows
}

fn all_rows(rpcs: &[Rpc]) -> Vec<Row> {
    let special = [accounts::rows(), operations::rows(), top_ups::rows(), operators::rows()];
    rpcs.iter().flat_map(general).chain(special.into_iter().flatten()).collect()
}

/// What every row sends, and to which call.
pub(crate) fn messages_of_all_rows() -> Vec<(String, Vec<u8>)> {
    all_rows(&rpcs()).into_iter().map(|row| (row.rpc, row.bytes)).collect()
}

/// How a request was refused, as the tables say it.
fn seen(answer: &Result<Vec<u8>, tonic::Status>) -> Result<(Code, String, String), String> {
    let status = answer.as_ref().err().ok_or("it was taken")?;
    let field = reason::value(status, "field").unwrap_or_default();
    Ok((status.code(), reason::of(status).unwrap_or_default(), field))
}

fn expected(refusal: Expected) -> (Code, String, String) {
    let (code, reason, field) = match refusal {
        Expected::Field(field) => (Code::InvalidArgument, "INVALID_FIELD", field),
        Expected::Reason(code, reason) => (code, reason, ""),
        Expected::Unreadable(code) => (code, "", ""),
    };
    (code, reason.to_owned(), field.to_owned())
}

#[test]
fn every_call_has_rows_of_its_own() {
    let rpcs = rpcs();
    let with_rows: BTreeSet<String> = all_rows(&rpcs).into_iter().map(|row| row.rpc).collect();
    let special = [accounts::rows(), operations::rows(), top_ups::rows(), operators::rows()];
    let special: BTreeSet<String> = special.into_iter().flatten().map(|row| row.rpc).collect();

    for rpc in &rpcs {
        assert!(with_rows.contains(&rpc.name), "{} has no rows", rpc.name);
        // Of a user alone, or of nothing, there is nothing more to get wrong.
        let is_small = rpc.request.field.len() <= usize::from(rpc.is_about_a_user());
        assert!(is_small || special.contains(&rpc.name), "{} has no rows of its own", rpc.name);
    }
    let names: BTreeSet<String> = rpcs.into_iter().map(|rpc| rpc.name).collect();
    assert_eq!(special.difference(&names).count(), 0, "rows of calls that there are not");
}

#[rstest]
#[tokio::test]
async fn every_bad_request_is_refused_as_the_tables_say_and_leaves_nothing(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let database = TestDatabase::create(engine).await;
    migrate(&database).await;
    let process = Process::start(&database).await;
    let caller = RawCaller::new(&process.url);
    let register = wire::RegisterUserRequest { user_id: ANNA, profile: None };
    process.billing.register_user(register).await.unwrap();

    let mut wrong = Vec::new();
    let rpcs = rpcs();
    for row in all_rows(&rpcs) {
        let answer = caller.call(&format!("/medialab.billing.v1.{}", row.rpc), row.bytes).await;
        let seen = seen(&answer);
        let is_served = seen.as_ref().is_ok_and(|(code, ..)| *code != Code::Unimplemented);
        if (is_served || !NOT_YET.contains(&row.rpc.as_str())) && seen != Ok(expected(row.refusal))
        {
            wrong.push(format!("{}: {}: {seen:?}, not {:?}", row.rpc, row.what, row.refusal));
        }
        // A good one right after.
        let account = process.billing.get_account(wire::GetAccountRequest { user_id: ANNA }).await;
        assert_eq!(account.unwrap().account.unwrap().free_operations, 4, "{}", row.what);
    }
    assert!(wrong.is_empty(), "{} rows:\n{}", wrong.len(), wrong.join("\n"));

    let look = database.look().await;
    for sql in [
        "select count(*) from operation_records",
        "select count(*) from top_ups",
        "select count(*) from events",
        "select count(*) from profiles",
        "select count(*) from promo_codes",
        "select count(*) from redemptions",
        "select count(*) from interventions",
        "select count(*) - 1 from entries",
        "select count(*) - 1 from accounts",
    ] {
        assert_eq!(look.numbers(sql).await, [[0]], "{sql}");
    }
    books::check(&look).await;
    look.close().await;
    let log = process.kill().await;
    let panics: Vec<_> = log.iter().filter(|line| line.contains("panicked")).collect();
    assert!(panics.is_empty(), "{panics:#?}");
    database.drop().await;
}

#[tokio::test]
async fn a_call_of_operators_without_a_name_is_not_let_in() {
    let database = TestDatabase::create(Engine::Sqlite).await;
    let process = Process::start(&database).await;
    let caller = RawCaller::new(&process.url);

    for rpc in rpcs().into_iter().filter(|rpc| rpc.name.starts_with("AdminService/")) {
        for operator in [None, Some(""), Some("n".repeat(65).as_str())] {
            let answer = caller.call_as(operator, &rpc.path, Vec::new()).await;
            let refusal = (Code::Unauthenticated, "OPERATOR_UNKNOWN".to_owned(), String::new());
            assert_eq!(seen(&answer), Ok(refusal), "{} as {operator:?}", rpc.name);
        }
    }
    process.kill().await;
    database.drop().await;
}
