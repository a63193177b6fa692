//! Of accounts, lists of their history, events and promo codes.

use proto::billing::v1 as wire;
use tonic::Code;

use super::{Row, bad, bad_moments, refused};
use crate::app::ANNA;

pub(super) fn rows() -> Vec<Row> {
    let mut rows = profiles();
    rows.extend(lists());
    rows.extend(statements());
    rows.extend(events());
    rows.extend(redemptions());
    rows
}

fn profiles() -> Vec<Row> {
    let rpc = "BillingService/RegisterUser";
    let register = |language: Option<String>, receipt_email: Option<String>| {
        let profile = Some(wire::Profile { language, receipt_email });
        wire::RegisterUserRequest { user_id: 5, profile }
    };
    let mut rows = Vec::new();
    for language in ["l".repeat(36), "ж".repeat(36), "nul\0".to_owned()] {
        rows.push(bad(rpc, "profile.language", &register(Some(language), None)));
    }
    for email in ["e".repeat(255), "nul\0@example.com".to_owned()] {
        rows.push(bad(rpc, "profile.receipt_email", &register(None, Some(email))));
    }
    rows
}

fn lists() -> Vec<Row> {
    let rpc = "BillingService/ListOperations";
    let list = |page_size, page_token: &str| wire::ListOperationsRequest {
        user_id: ANNA,
        page_size,
        page_token: page_token.to_owned(),
    };
    let mut rows = Vec::new();
    for size in [-1, i32::MIN, 101, i32::MAX] {
        rows.push(bad(rpc, "page_size", &list(size, "")));
    }
    for token in ["0", "-1", "x", "99999999999999999999", "1.2", "nul\0", "1 ", &"1".repeat(999)] {
        rows.push(bad(rpc, "page_token", &list(1, token)));
    }
    let rpc = "BillingService/ListReservedOperations";
    let reserved = |page_size, page_token: &str| wire::ListReservedOperationsRequest {
        page_size,
        page_token: page_token.to_owned(),
    };
    for size in [-1, 101, i32::MAX] {
        rows.push(bad(rpc, "page_size", &reserved(size, "")));
    }
    let operation = "01890000-0000-7000-8000-000000000000";
    for token in ["1", "1.", "1.x", &format!("0.{operation}"), &format!("-1.{operation}"), "nul\0"]
    {
        rows.push(bad(rpc, "page_token", &reserved(1, token)));
    }
    rows
}

fn statements() -> Vec<Row> {
    let rpc = "BillingService/ListStatement";
    let good = || wire::ListStatementRequest { user_id: ANNA, ..Default::default() };
    let mut rows = Vec::new();
    for page_size in [-1, i32::MIN, 501, i32::MAX] {
        let request = wire::ListStatementRequest { page_size, ..good() };
        rows.push(bad(rpc, "page_size", &request));
    }
    for token in ["0", "-1", "x", "99999999999999999999", "nul\0"] {
        let request = wire::ListStatementRequest { page_token: token.to_owned(), ..good() };
        rows.push(bad(rpc, "page_token", &request));
    }
    for moment in bad_moments() {
        let request = wire::ListStatementRequest { from: Some(moment), ..good() };
        rows.push(bad(rpc, "from", &request));
        let request = wire::ListStatementRequest { to: Some(moment), ..good() };
        rows.push(bad(rpc, "to", &request));
    }
    let moment = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
    let request = wire::ListStatementRequest { from: moment(2), to: moment(1), ..good() };
    rows.push(bad(rpc, "to", &request));
    rows
}

fn events() -> Vec<Row> {
    let ack = |ids: &[(i64, i64)]| wire::AckEventsRequest {
        consumer: "bot".into(),
        events: ids.iter().map(|&(user_id, number)| wire::EventId { user_id, number }).collect(),
    };
    let rpc = "BillingService/AckEvents";
    let unknown = (Code::NotFound, "CONSUMER_NOT_FOUND");
    let mut rows = vec![
        bad(rpc, "events", &ack(&[])),
        bad(rpc, "events", &ack(&[(1, 1); 101])),
        bad(rpc, "events.user_id", &ack(&[(0, 1)])),
        bad(rpc, "events.user_id", &ack(&[(1, 1), (i64::MIN, 1)])),
        bad(rpc, "events.number", &ack(&[(1, 0)])),
        bad(rpc, "events.number", &ack(&[(1, i64::MIN)])),
    ];
    for consumer in ["", "nobody", "nul\0", &"c".repeat(9_999)] {
        let request = wire::AckEventsRequest { consumer: consumer.to_owned(), ..ack(&[(1, 1)]) };
        rows.push(refused(rpc, unknown, &request));
        let request = wire::WatchEventsRequest { consumer: consumer.to_owned() };
        rows.push(refused("BillingService/WatchEvents", unknown, &request));
    }
    rows
}

fn redemptions() -> Vec<Row> {
    let rpc = "BillingService/RedeemPromoCode";
    let redeem = |code: &str, key: &str| wire::RedeemPromoCodeRequest {
        user_id: ANNA,
        code: code.to_owned(),
        idempotency_key: key.to_owned(),
    };
    let mut rows = Vec::new();
    for code in ["", "two words", "весна", "a\0", "a.b", &"P".repeat(33)] {
        rows.push(bad(rpc, "code", &redeem(code, "test:1")));
    }
    for key in super::operations::BAD_KEYS {
        rows.push(bad(rpc, "idempotency_key", &redeem("SPRING", key)));
    }
    let unknown = (Code::NotFound, "PROMO_CODE_NOT_FOUND");
    rows.push(refused(rpc, unknown, &redeem("SPRING", "test:1")));
    rows
}
