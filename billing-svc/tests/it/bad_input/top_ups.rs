//! Of top-ups.

use proto::billing::v1 as wire;
use tonic::Code;

use super::operations::{BAD_AMOUNTS, BAD_KEYS};
use super::{Row, bad, bad_moments, refused};
use crate::app::{ANNA, open_top_up, roubles};

const BAD_IDS: [&str; 4] = ["", "1", "nul\0", "не-uuid"];
const BAD_NAMES: [&str; 3] = ["", "платёж", "nul\0"];
const BAD_PROVIDERS: [&str; 5] = ["", "YooKassa", "a b", "nul\0", "касса"];
const BAD_CURRENCIES: [&str; 6] = ["", "rub", "RU", "RUBL", "РУБ", "R\0B"];
const ID: &str = "01900000-0000-7000-8000-000000000000";
const NOT_FOUND: (Code, &str) = (Code::NotFound, "TOP_UP_NOT_FOUND");

pub(super) fn rows() -> Vec<Row> {
    let mut rows = opens();
    rows.extend(settles());
    rows.extend(reversals());
    rows.extend(ends());
    rows.extend(lists());
    rows.extend(settled_lists());
    rows.extend(reversal_lists());
    rows
}

fn paid(currency: &str) -> Option<wire::ProviderAmount> {
    Some(wire::ProviderAmount { minor_units: 1, currency: currency.to_owned() })
}

fn opens() -> Vec<Row> {
    let rpc = "BillingService/OpenTopUp";
    let good = || open_top_up(ANNA, 10_000, "pay:1");
    let mut rows = vec![bad(rpc, "paid", &wire::OpenTopUpRequest { paid: None, ..good() })];
    let long = "p".repeat(33);
    for provider in BAD_PROVIDERS.into_iter().chain([long.as_str()]) {
        let request = wire::OpenTopUpRequest { provider: provider.to_owned(), ..good() };
        rows.push(bad(rpc, "provider", &request));
    }
    for amount in BAD_AMOUNTS {
        let request = wire::OpenTopUpRequest { paid: roubles(amount), ..good() };
        rows.push(bad(rpc, "paid.minor_units", &request));
        let request = wire::OpenTopUpRequest { credited_kopecks: amount, ..good() };
        rows.push(bad(rpc, "credited_kopecks", &request));
    }
    for currency in BAD_CURRENCIES {
        let request = wire::OpenTopUpRequest { paid: paid(currency), ..good() };
        rows.push(bad(rpc, "paid.currency", &request));
    }
    for key in BAD_KEYS {
        let request = wire::OpenTopUpRequest { idempotency_key: key.to_owned(), ..good() };
        rows.push(bad(rpc, "idempotency_key", &request));
    }
    let request = wire::OpenTopUpRequest { snapshot: vec![0; 16 * 1024 + 1], ..good() };
    rows.push(bad(rpc, "snapshot", &request));
    rows
}

fn settles() -> Vec<Row> {
    let rpc = "BillingService/SettleTopUp";
    let good = || wire::SettleTopUpRequest {
        user_id: ANNA,
        top_up_id: ID.to_owned(),
        provider_payment_id: "p-1".to_owned(),
        paid: roubles(100),
    };
    let mut rows = vec![
        bad(rpc, "paid", &wire::SettleTopUpRequest { paid: None, ..good() }),
        refused(rpc, NOT_FOUND, &good()),
    ];
    for id in BAD_IDS {
        let request = wire::SettleTopUpRequest { top_up_id: id.to_owned(), ..good() };
        rows.push(bad(rpc, "top_up_id", &request));
    }
    let long = "p".repeat(129);
    for name in BAD_NAMES.into_iter().chain([long.as_str()]) {
        let request = wire::SettleTopUpRequest { provider_payment_id: name.to_owned(), ..good() };
        rows.push(bad(rpc, "provider_payment_id", &request));
    }
    for amount in BAD_AMOUNTS {
        let request = wire::SettleTopUpRequest { paid: roubles(amount), ..good() };
        rows.push(bad(rpc, "paid.minor_units", &request));
    }
    for currency in BAD_CURRENCIES {
        let request = wire::SettleTopUpRequest { paid: paid(currency), ..good() };
        rows.push(bad(rpc, "paid.currency", &request));
    }
    rows
}

fn reversals() -> Vec<Row> {
    let rpc = "BillingService/ReverseTopUp";
    let good = || wire::ReverseTopUpRequest {
        user_id: ANNA,
        top_up_id: ID.to_owned(),
        provider_refund_id: "r-1".to_owned(),
        refunded: roubles(100),
    };
    let mut rows = vec![
        bad(rpc, "refunded", &wire::ReverseTopUpRequest { refunded: None, ..good() }),
        refused(rpc, NOT_FOUND, &good()),
    ];
    for id in BAD_IDS {
        let request = wire::ReverseTopUpRequest { top_up_id: id.to_owned(), ..good() };
        rows.push(bad(rpc, "top_up_id", &request));
    }
    let long = "r".repeat(129);
    for name in BAD_NAMES.into_iter().chain([long.as_str()]) {
        let request = wire::ReverseTopUpRequest { provider_refund_id: name.to_owned(), ..good() };
        rows.push(bad(rpc, "provider_refund_id", &request));
    }
    for amount in BAD_AMOUNTS {
        let request = wire::ReverseTopUpRequest { refunded: roubles(amount), ..good() };
        rows.push(bad(rpc, "refunded.minor_units", &request));
    }
    for currency in BAD_CURRENCIES {
        let request = wire::ReverseTopUpRequest { refunded: paid(currency), ..good() };
        rows.push(bad(rpc, "refunded.currency", &request));
    }
    rows
}

fn ends() -> Vec<Row> {
    let cancel = |id: &str, reason: &str| wire::CancelTopUpRequest {
        user_id: ANNA,
        top_up_id: id.to_owned(),
        reason: reason.to_owned(),
    };
    let record = |id: &str, payment: &str, url: &str| wire::RecordTopUpPaymentRequest {
        user_id: ANNA,
        top_up_id: id.to_owned(),
        provider_payment_id: payment.to_owned(),
        confirmation_url: url.to_owned(),
    };
    let get = |id: &str| wire::GetTopUpRequest { user_id: ANNA, top_up_id: id.to_owned() };
    let recording = "BillingService/RecordTopUpPayment";
    let mut rows = vec![
        refused("BillingService/CancelTopUp", NOT_FOUND, &cancel(ID, "fraud")),
        refused(recording, NOT_FOUND, &record(ID, "p-1", "")),
        refused("BillingService/GetTopUp", NOT_FOUND, &get(ID)),
    ];
    for id in BAD_IDS {
        rows.push(bad("BillingService/CancelTopUp", "top_up_id", &cancel(id, "fraud")));
        rows.push(bad(recording, "top_up_id", &record(id, "p-1", "")));
        rows.push(bad("BillingService/GetTopUp", "top_up_id", &get(id)));
    }
    for reason in ["", "nul\0", &"r".repeat(129)] {
        rows.push(bad("BillingService/CancelTopUp", "reason", &cancel(ID, reason)));
    }
    for payment in BAD_NAMES {
        rows.push(bad(recording, "provider_payment_id", &record(ID, payment, "")));
    }
    for url in ["nul\0", &"u".repeat(2_049)] {
        rows.push(bad(recording, "confirmation_url", &record(ID, "p-1", url)));
    }
    rows
}

fn lists() -> Vec<Row> {
    let rpc = "BillingService/ListOpenTopUps";
    let good = || wire::ListOpenTopUpsRequest {
        provider: "yookassa".into(),
        ..wire::ListOpenTopUpsRequest::default()
    };
    let mut rows = Vec::new();
    for provider in BAD_PROVIDERS {
        let request = wire::ListOpenTopUpsRequest { provider: provider.to_owned(), ..good() };
        rows.push(bad(rpc, "provider", &request));
    }
    for page_size in [-1, i32::MIN, 501, i32::MAX] {
        rows.push(bad(rpc, "page_size", &wire::ListOpenTopUpsRequest { page_size, ..good() }));
    }
    for token in ["0", ".", "1.x", "x.00000000-0000-0000-0000-000000000000", "nul\0", "7"] {
        let request = wire::ListOpenTopUpsRequest { page_token: token.to_owned(), ..good() };
        rows.push(bad(rpc, "page_token", &request));
    }
    for moment in bad_moments() {
        let request = wire::ListOpenTopUpsRequest { opened_before: Some(moment), ..good() };
        rows.push(bad(rpc, "opened_before", &request));
    }
    rows
}

fn settled_lists() -> Vec<Row> {
    let rpc = "BillingService/ListSettledTopUps";
    let good = || wire::ListSettledTopUpsRequest {
        provider: "yookassa".into(),
        ..wire::ListSettledTopUpsRequest::default()
    };
    let mut rows = Vec::new();
    for provider in BAD_PROVIDERS {
        let request = wire::ListSettledTopUpsRequest { provider: provider.to_owned(), ..good() };
        rows.push(bad(rpc, "provider", &request));
    }
    for page_size in [-1, i32::MIN, 501, i32::MAX] {
        rows.push(bad(rpc, "page_size", &wire::ListSettledTopUpsRequest { page_size, ..good() }));
    }
    for token in ["0", ".", "1.x", "x.00000000-0000-0000-0000-000000000000", "nul\0", "7"] {
        let request = wire::ListSettledTopUpsRequest { page_token: token.to_owned(), ..good() };
        rows.push(bad(rpc, "page_token", &request));
    }
    for moment in bad_moments() {
        let request = wire::ListSettledTopUpsRequest { from: Some(moment), ..good() };
        rows.push(bad(rpc, "from", &request));
        let request = wire::ListSettledTopUpsRequest { to: Some(moment), ..good() };
        rows.push(bad(rpc, "to", &request));
    }
    let now = Some(prost_types::Timestamp { seconds: 1, nanos: 0 });
    rows.push(bad(rpc, "to", &wire::ListSettledTopUpsRequest { from: now, to: now, ..good() }));
    rows
}

fn reversal_lists() -> Vec<Row> {
    let rpc = "BillingService/ListReversals";
    let good = || wire::ListReversalsRequest {
        provider: "yookassa".into(),
        ..wire::ListReversalsRequest::default()
    };
    let mut rows = Vec::new();
    for provider in BAD_PROVIDERS {
        let request = wire::ListReversalsRequest { provider: provider.to_owned(), ..good() };
        rows.push(bad(rpc, "provider", &request));
    }
    for page_size in [-1, i32::MIN, 501, i32::MAX] {
        rows.push(bad(rpc, "page_size", &wire::ListReversalsRequest { page_size, ..good() }));
    }
    for token in ["0", "..", "1.0.r", "1.42.", "x.42.r", "1.x.r", "1.42", "nul\0"] {
        let request = wire::ListReversalsRequest { page_token: token.to_owned(), ..good() };
        rows.push(bad(rpc, "page_token", &request));
    }
    for moment in bad_moments() {
        let request = wire::ListReversalsRequest { from: Some(moment), ..good() };
        rows.push(bad(rpc, "from", &request));
        let request = wire::ListReversalsRequest { to: Some(moment), ..good() };
        rows.push(bad(rpc, "to", &request));
    }
    let now = Some(prost_types::Timestamp { seconds: 1, nanos: 0 });
    rows.push(bad(rpc, "to", &wire::ListReversalsRequest { from: now, to: now, ..good() }));
    rows
}
