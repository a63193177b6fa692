//! Of operations, alone and in batches.

use std::collections::HashMap;

use proto::billing::v1 as wire;
use tonic::Code;

use super::{Row, bad, refused};
use crate::app::{ANNA, reserve};

/// Keys that nobody may choose; longer ones are made where they are needed.
pub(super) const BAD_KEYS: [&str; 5] = ["", "ключ", "nul\0", "tab\t", "\u{7f}"];
pub(super) const BAD_AMOUNTS: [i64; 5] = [0, -1, i64::MIN, 1_000_000_001, i64::MAX];
const BAD_IDS: [&str; 5] = ["", "1", "nul\0", "не-uuid", "00000000-0000-0000-0000-00000000000g"];
const ID: &str = "01900000-0000-7000-8000-000000000000";
const NOT_FOUND: (Code, &str) = (Code::NotFound, "OPERATION_NOT_FOUND");

pub(super) fn rows() -> Vec<Row> {
    let mut rows = reserves();
    rows.extend(ids());
    rows.extend(refunds());
    rows.extend(batches());
    rows
}

fn reserves() -> Vec<Row> {
    let rpc = "BillingService/Reserve";
    let good = || reserve(ANNA, "test:1");
    let mut rows = Vec::new();
    for name in ["", "Generate", "gen erate", "создать", "a\0", &"a".repeat(65)] {
        let request = wire::ReserveRequest { operation_type: name.to_owned(), ..good() };
        rows.push(bad(rpc, "operation_type", &request));
        // A dry run refuses the same.
        rows.push(bad(rpc, "operation_type", &wire::ReserveRequest { dry_run: true, ..request }));
    }
    for model in ["m".repeat(129), "ж".repeat(129), "m\0".to_owned()] {
        rows.push(bad(rpc, "model", &wire::ReserveRequest { model, ..good() }));
    }
    let long = "k".repeat(129);
    for key in BAD_KEYS.into_iter().chain([long.as_str()]) {
        let request = wire::ReserveRequest { idempotency_key: key.to_owned(), ..good() };
        rows.push(bad(rpc, "idempotency_key", &request));
        if !key.is_empty() {
            let request = wire::ReserveRequest { dry_run: true, ..request };
            rows.push(bad(rpc, "idempotency_key", &request));
        }
    }
    for amount in BAD_AMOUNTS {
        let request = wire::ReserveRequest { expected_price_kopecks: Some(amount), ..good() };
        rows.push(bad(rpc, "expected_price_kopecks", &request));
    }
    let many = (0..17).map(|number| (number.to_string(), String::new())).collect();
    let one = |key: &str, value: &str| HashMap::from([(key.to_owned(), value.to_owned())]);
    for metadata in [
        many,
        one(&"k".repeat(65), ""),
        one("k", &"v".repeat(513)),
        one("nul\0", ""),
        one("k", "nul\0"),
    ] {
        rows.push(bad(rpc, "metadata", &wire::ReserveRequest { metadata, ..good() }));
    }
    let not_sold = (Code::InvalidArgument, "OPERATION_TYPE_NOT_SOLD");
    for name in ["add_text", "nothing"] {
        let request = wire::ReserveRequest { operation_type: name.to_owned(), ..good() };
        rows.push(refused(rpc, not_sold, &request));
    }
    let nobody = (Code::NotFound, "USER_NOT_FOUND");
    rows.push(refused(rpc, nobody, &reserve(i64::MAX, "test:1")));
    rows
}

fn ids() -> Vec<Row> {
    let mut rows = Vec::new();
    let commit = |id: &str, cost_micro_usd| wire::CommitRequest {
        user_id: ANNA,
        operation_id: id.to_owned(),
        cost_micro_usd,
    };
    let extend = |id: &str| wire::ExtendRequest { user_id: ANNA, operation_id: id.to_owned() };
    let get = |id: &str| wire::GetOperationRequest { user_id: ANNA, operation_id: id.to_owned() };
    let long = "0".repeat(37);
    for id in BAD_IDS.into_iter().chain([long.as_str()]) {
        rows.push(bad("BillingService/Commit", "operation_id", &commit(id, None)));
        rows.push(bad("BillingService/Extend", "operation_id", &extend(id)));
        rows.push(bad("BillingService/GetOperation", "operation_id", &get(id)));
    }
    for cost in [-1, i64::MIN, 1_000_000_000_001, i64::MAX] {
        rows.push(bad("BillingService/Commit", "cost_micro_usd", &commit(ID, Some(cost))));
    }
    rows.push(refused("BillingService/Commit", NOT_FOUND, &commit(ID, None)));
    rows.push(refused("BillingService/Extend", NOT_FOUND, &extend(ID)));
    rows.push(refused("BillingService/GetOperation", NOT_FOUND, &get(ID)));
    rows
}

fn refunds() -> Vec<Row> {
    let rpc = "BillingService/Refund";
    let good = || wire::RefundRequest {
        user_id: ANNA,
        operation_id: ID.to_owned(),
        reason: "because".to_owned(),
        ..wire::RefundRequest::default()
    };
    let part = || wire::RefundRequest {
        actor: "olga".to_owned(),
        amount_kopecks: Some(1),
        idempotency_key: "test:1".to_owned(),
        ..good()
    };
    let mut rows = Vec::new();
    for id in BAD_IDS {
        let request = wire::RefundRequest { operation_id: id.to_owned(), ..good() };
        rows.push(bad(rpc, "operation_id", &request));
    }
    for reason in ["", "nul\0", &"r".repeat(257)] {
        let request = wire::RefundRequest { reason: reason.to_owned(), ..good() };
        rows.push(bad(rpc, "reason", &request));
    }
    for actor in ["nul\0", &"a".repeat(65)] {
        let request = wire::RefundRequest { actor: actor.to_owned(), ..good() };
        rows.push(bad(rpc, "actor", &request));
    }
    for amount in BAD_AMOUNTS {
        let request = wire::RefundRequest { amount_kopecks: Some(amount), ..part() };
        rows.push(bad(rpc, "amount_kopecks", &request));
    }
    rows.push(bad(rpc, "actor", &wire::RefundRequest { actor: String::new(), ..part() }));
    for key in BAD_KEYS {
        let request = wire::RefundRequest { idempotency_key: key.to_owned(), ..part() };
        rows.push(bad(rpc, "idempotency_key", &request));
    }
    // A key where there is no part to be refunded.
    let request = wire::RefundRequest { amount_kopecks: None, ..part() };
    rows.push(bad(rpc, "idempotency_key", &request));
    rows.push(refused(rpc, NOT_FOUND, &good()));
    rows.push(refused(rpc, NOT_FOUND, &part()));
    rows
}

fn batches() -> Vec<Row> {
    let mut rows = Vec::new();
    for (count, all_or_nothing) in [(0, false), (0, true), (101, false), (101, true)] {
        let items = vec![reserve(ANNA, "test:1"); count];
        let request = wire::BatchReserveRequest { items, all_or_nothing };
        rows.push(bad("BillingService/BatchReserve", "items", &request));
        let items = vec![wire::CommitRequest::default(); count];
        let request = wire::BatchCommitRequest { items, all_or_nothing };
        rows.push(bad("BillingService/BatchCommit", "items", &request));
        let items = vec![wire::RefundRequest::default(); count];
        let request = wire::BatchRefundRequest { items, all_or_nothing };
        rows.push(bad("BillingService/BatchRefund", "items", &request));
    }
    rows
}
