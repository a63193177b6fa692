//! Whatever is planted in the rows is found, and named.

use std::collections::BTreeSet;

use billing_svc::config::{ReportFormat, VerifyOptions};
use billing_svc::ledger::verify::Invariant;
use billing_svc::report;
use rstest::rstest;

use crate::app::{ANNA, BORIS};
use crate::database::{Engine, TestDatabase};
use crate::everything;

/// What is done to the rows, and what must be found: of whom, and which invariant.
struct Planted {
    sql: &'static str,
    user: i64,
    found: &'static [Invariant],
}

const fn planted(sql: &'static str, user: i64, found: &'static [Invariant]) -> Planted {
    Planted { sql, user, found }
}

use Invariant as I;

const ACCOUNTS: &[Planted] = &[
    planted(
        "update accounts set balance_kopecks = balance_kopecks + 100 where user_id = 42",
        ANNA,
        &[I::EntriesSumToBalance],
    ),
    planted("update accounts set balance_kopecks = -1 where user_id = 77", 0, &[I::MoneyAddsUp]),
    planted(
        "update accounts set balance_kopecks = -1 where user_id = 77",
        BORIS,
        &[I::EntriesSumToBalance, I::BalanceCoversReversals],
    ),
    planted(
        "update accounts set held_kopecks = held_kopecks + 5 where user_id = 77",
        BORIS,
        &[I::EntriesSumToHeld, I::OpenOperationsSumToHeld],
    ),
    planted("update accounts set held_kopecks = -1 where user_id = 77", BORIS, &[I::NotBelowZero]),
    planted(
        "update accounts set free_operations = free_operations + 1 where user_id = 42",
        ANNA,
        &[I::EntriesSumToFreeOperations],
    ),
    planted(
        "update accounts set held_free_operations = 0 where user_id = 42",
        ANNA,
        &[I::EntriesSumToHeldFreeOperations, I::OpenOperationsSumToHeldFreeOperations],
    ),
    planted(
        "update accounts set reversed_kopecks = reversed_kopecks + 1 where user_id = 42",
        ANNA,
        &[I::ReversalsSumToAccount],
    ),
    planted(
        "update accounts set last_entry_number = last_entry_number + 1 where user_id = 42",
        ANNA,
        &[I::LastEntryNumber],
    ),
    planted(
        "update accounts set redemptions_until = 0 where user_id = 42",
        ANNA,
        &[I::RedemptionsUntil],
    ),
    planted("delete from accounts where user_id = 77", BORIS, &[I::UserHasAnAccount]),
];

const ENTRIES: &[Planted] = &[
    planted(
        "update entries set amount = amount + 1
         where user_id = 42 and cause = 'commit' and unit = 'kopecks'",
        ANNA,
        &[I::OperationNetsToItsState, I::HashChain],
    ),
    planted(
        "update entries set amount = amount + 1 where user_id = 77 and cause = 'top_up'",
        BORIS,
        &[I::EntriesSumToBalance, I::BalanceAfter, I::TopUpNetsToItsState, I::HashChain],
    ),
    planted(
        "update entries set balance_after_kopecks = 1 where user_id = 42 and cause = 'bonus'",
        ANNA,
        &[I::BalanceAfter, I::HashChain],
    ),
    planted(
        "update entries set free_operations_after = 9 where user_id = 42 and number = 1",
        ANNA,
        &[I::FreeOperationsAfter, I::HashChain],
    ),
    planted(
        "delete from entries where user_id = 42 and number = 3",
        ANNA,
        &[I::EntryNumbersHaveNoGaps, I::OperationNetsToItsState, I::HashChain],
    ),
    planted(
        "delete from entries where user_id = 42 and number =
             (select last_entry_number from accounts where user_id = 42)",
        ANNA,
        &[I::LastEntryNumber, I::ChainHead],
    ),
    planted(
        "update entries set number = number + 1 where user_id = 42 and number =
             (select last_entry_number from accounts where user_id = 42)",
        ANNA,
        &[I::EntryNumbersHaveNoGaps],
    ),
    planted(
        "update entries set to_account = 'pocket' where user_id = 42 and cause = 'bonus'",
        ANNA,
        &[I::EntryCanBe, I::EntriesSumToBalance],
    ),
    planted(
        "update entries set unit = 'roubles' where user_id = 42 and cause = 'bonus'",
        ANNA,
        &[I::EntryCanBe],
    ),
    planted(
        "update entries set amount = -1 where user_id = 42 and number = 1",
        ANNA,
        &[I::EntryCanBe],
    ),
    planted(
        "update entries set operation_id = null where user_id = 42 and number = 2",
        ANNA,
        &[I::EntryCanBe, I::OperationIsReservedOnce],
    ),
    planted(
        "update entries set actor = 'eve' where user_id = 42 and cause = 'adjustment'",
        ANNA,
        &[I::InterventionNamesItsEntry, I::HashChain],
    ),
    planted(
        "update entries set actor = null
         where user_id = 42 and cause = 'refund' and from_account = 'revenue'",
        ANNA,
        &[I::EntryCanBe],
    ),
    planted(
        "update chain_heads set hash = (select h.hash from chain_heads h where h.user_id = 77)
         where user_id = 42",
        ANNA,
        &[I::HashChain],
    ),
    planted("update chain_heads set number = number + 1 where user_id = 42", ANNA, &[I::ChainHead]),
];

const OPERATIONS: &[Planted] = &[
    planted(
        "update operation_records set state = 'refunded', refund_reason = 'x'
         where user_id = 42 and idempotency_key = 'a:1'",
        ANNA,
        &[I::OperationNetsToItsState],
    ),
    planted(
        "update operation_records set state = 'lost' where user_id = 42 and number = 2",
        ANNA,
        &[I::OperationCanBe],
    ),
    planted(
        "update operation_records set idempotency_key = 'a:one'
         where user_id = 42 and idempotency_key = 'a:1'",
        ANNA,
        &[I::HashChain],
    ),
    planted(
        "update operation_records set model = 'another'
         where user_id = 42 and idempotency_key = 'a:1'",
        ANNA,
        &[I::HashChain],
    ),
    planted(
        "update operation_records set price_kopecks = price_kopecks - 1
         where user_id = 42 and idempotency_key = 'a:6'",
        ANNA,
        &[I::OperationIsReservedOnce, I::HashChain],
    ),
    planted(
        "update operation_records set refunded_in_parts_kopecks = 0
         where user_id = 42 and idempotency_key = 'a:5'",
        ANNA,
        &[I::PartialRefundsSumToOperation, I::OperationNetsToItsState],
    ),
    planted(
        "delete from operation_records where user_id = 42 and idempotency_key = 'a:1'",
        ANNA,
        &[I::EntryNamesItsSubject, I::HashChain],
    ),
    planted(
        "update operation_records set state = 'expired', ended_at = expires_at
         where user_id = 77 and idempotency_key = 'b:3'",
        BORIS,
        &[I::OperationNetsToItsState, I::OpenOperationsSumToHeld, I::HoldIsOfAnOpenOperation],
    ),
    planted("delete from holds where user_id = 77", BORIS, &[I::HoldIsOfAnOpenOperation]),
    planted(
        "update holds set expires_at = expires_at + 1 where user_id = 77",
        BORIS,
        &[I::HoldIsOfAnOpenOperation],
    ),
];

const TOP_UPS: &[Planted] = &[
    planted(
        "update top_ups set credited_kopecks = credited_kopecks + 1
         where user_id = 77 and state = 'settled'",
        BORIS,
        &[I::TopUpNetsToItsState, I::HashChain],
    ),
    planted(
        "update top_ups set state = 'lost' where user_id = 77",
        BORIS,
        &[I::TopUpCanBe, I::TopUpNetsToItsState],
    ),
    planted(
        "update top_ups set state = 'cancelled', cancel_reason = 'x' where user_id = 77",
        BORIS,
        &[I::TopUpNetsToItsState, I::ClaimNamesItsTopUp],
    ),
    planted(
        "update top_ups set provider_payment_id = 'p-3' where user_id = 77",
        BORIS,
        &[I::TopUpIsClaimed, I::ClaimNamesItsTopUp, I::HashChain],
    ),
    planted("delete from payment_claims where user_id = 77", BORIS, &[I::TopUpIsClaimed]),
    planted(
        "update payment_claims set user_id = 42 where user_id = 77",
        ANNA,
        &[I::ClaimNamesItsTopUp],
    ),
    planted(
        "update reversals set reversed_kopecks = reversed_kopecks - 1 where user_id = 42",
        ANNA,
        &[I::ReversalsSumToTopUp, I::ReversalsSumToAccount],
    ),
    planted(
        "update reversals set provider = 'other' where user_id = 42",
        ANNA,
        &[I::ReversalNamesItsTopUp],
    ),
    planted(
        "update redemptions set top_up_id = null where user_id = 42 and code = 'BONUS'",
        ANNA,
        &[I::BonusIsRedeemed],
    ),
];

const DEEDS: &[Planted] = &[
    planted(
        "update interventions set amount = amount + 1 where user_id = 42 and kind = 'adjustment'",
        ANNA,
        &[I::InterventionNamesItsEntry, I::HashChain],
    ),
    planted(
        "update interventions set amount = 299 where user_id = 42 and kind = 'partial_refund'",
        ANNA,
        &[I::InterventionNamesItsEntry, I::PartialRefundsSumToOperation],
    ),
    planted(
        "update interventions set reason = 'another' where user_id = 42 and kind = 'grant'",
        ANNA,
        &[I::HashChain],
    ),
    planted(
        "delete from interventions where user_id = 42 and kind = 'adjustment'",
        ANNA,
        &[I::EntryIsNamed],
    ),
    planted(
        "update redemptions set entry_number = 1 where user_id = 42 and code = 'GIFT'",
        ANNA,
        &[I::RedemptionNamesItsEntry, I::EntryIsNamed],
    ),
    planted(
        "delete from redemptions where user_id = 42 and code = 'GIFT'",
        0,
        &[I::CodeCountsItsRedemptions],
    ),
    planted(
        "update promo_codes set redemptions = redemptions + 1 where code = 'OFF'",
        0,
        &[I::CodeCountsItsRedemptions],
    ),
    planted(
        "delete from events where user_id = 42 and number = 1",
        ANNA,
        &[I::EventNumbersHaveNoGaps],
    ),
    planted(
        "delete from events where user_id = 42 and number =
             (select last_event_number from accounts where user_id = 42)",
        ANNA,
        &[I::EventNumbersHaveNoGaps],
    ),
    planted(
        "update events set top_up_id = null, operation_id =
             (select o.id from operation_records o where o.user_id = 77 and o.number = 3)
         where user_id = 42 and number = 1",
        ANNA,
        &[I::EventNamesItsSubject],
    ),
];

/// Each finding's user and invariant.
async fn findings(database: &TestDatabase) -> (BTreeSet<(i64, String)>, String) {
    let options = VerifyOptions { format: ReportFormat::Json, ..VerifyOptions::default() };
    let mut said = Vec::new();
    report::verify(&database.url, &options, &mut said).await.unwrap();
    let said = String::from_utf8(said).unwrap();
    let lines = said.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let findings = lines
        .filter_map(|line| {
            let finding = line.get("finding")?;
            let invariant = finding["invariant"].as_str()?.to_owned();
            Some((finding["user"].as_i64()?, invariant))
        })
        .collect();
    (findings, said)
}

#[rstest]
#[tokio::test]
async fn whatever_is_planted_is_found_and_named(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
    #[values(ACCOUNTS, ENTRIES, OPERATIONS, TOP_UPS, DEEDS)] all: &[Planted],
) {
    let store = everything::store(engine).await;
    let (clean, said) = findings(&store).await;
    assert!(clean.is_empty(), "{said}");

    for Planted { sql, user, found } in all {
        let copy = store.copy().await;
        copy.tamper(sql).await;
        let (findings, said) = findings(&copy).await;
        for invariant in *found {
            let wanted = (*user, invariant.as_str().to_owned());
            assert!(findings.contains(&wanted), "{wanted:?} after {sql}:\n{said}");
        }
        copy.drop().await;
    }
    store.drop().await;
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_a_finding() {
    let store = everything::store(Engine::Sqlite).await;
    store.tamper("update operation_records set id = x'00' where user_id = 42 and number = 2").await;

    let (findings, said) = findings(&store).await;

    let wanted = (ANNA, I::RowIsReadable.as_str().to_owned());
    assert!(findings.contains(&wanted), "{said}");
}

/// One that nothing is planted for might be checked by nobody.
#[test]
fn every_invariant_is_broken_by_something_that_is_planted() {
    let all = [ACCOUNTS, ENTRIES, OPERATIONS, TOP_UPS, DEEDS];
    let planted: Vec<_> = all.into_iter().flatten().flat_map(|one| one.found).collect();
    // Planted in tests of their own.
    let elsewhere = [I::RowIsReadable, I::KeptHead];
    for invariant in Invariant::ALL {
        let is_planted = planted.contains(&invariant) || elsewhere.contains(invariant);
        assert!(is_planted, "{}", invariant.as_str());
    }
}
