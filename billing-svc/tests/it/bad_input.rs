//! Bad input: a clear refusal that names the field, from every call, and nothing stored.

use std::collections::HashMap;

use proto::billing::v1 as wire;
use proto::reason;
use rstest::rstest;
use tonic::{Code, Status};

use crate::app::{ANNA, App, open_top_up, reserve, roubles};
use crate::database::Engine;

#[track_caller]
fn check<T: std::fmt::Debug>(field: &str, answer: Result<T, Status>) {
    let status = answer.expect_err(field);
    assert_eq!(status.code(), Code::InvalidArgument, "{field}: {status:?}");
    assert_eq!(reason::of(&status).as_deref(), Some("INVALID_FIELD"), "{field}: {status:?}");
    assert_eq!(reason::value(&status, "field").as_deref(), Some(field));
    assert!(status.message().contains(field), "{status:?}");
}

/// The refused requests left nothing behind.
async fn finish_with_nothing_stored(app: App) {
    let look = app.look().await;
    for sql in [
        "select count(*) from operation_records",
        "select count(*) from top_ups",
        "select count(*) from events",
        "select count(*) from profiles",
        "select count(*) - 1 from accounts",
    ] {
        assert_eq!(look.numbers(sql).await, [[0]], "{sql}");
    }
    look.close().await;
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn accounts_refuse_bad_input(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let app = App::with_anna(engine).await;
    let billing = app.billing();

    for user_id in [0, -1, i64::MIN] {
        let register = wire::RegisterUserRequest { user_id, profile: None };
        check("user_id", billing.register_user(register).await);
        check("user_id", billing.get_account(wire::GetAccountRequest { user_id }).await);
    }
    let register = |profile| wire::RegisterUserRequest { user_id: 5, profile: Some(profile) };
    for bad in ["l".repeat(36), "nul\0".to_owned()] {
        let profile = wire::Profile { language: Some(bad), receipt_email: None };
        check("profile.language", billing.register_user(register(profile)).await);
    }
    for bad in ["e".repeat(255), "nul\0@example.com".to_owned()] {
        let profile = wire::Profile { language: None, receipt_email: Some(bad) };
        check("profile.receipt_email", billing.register_user(register(profile)).await);
    }
    finish_with_nothing_stored(app).await;
}

#[rstest]
#[tokio::test]
async fn reserve_refuses_bad_input(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let app = App::with_anna(engine).await;
    let billing = app.billing();
    let good = || reserve(ANNA, "test:1");

    check("user_id", billing.reserve(wire::ReserveRequest { user_id: 0, ..good() }).await);
    for bad in ["", "Generate", "gen erate", "создать", "a\0", &"a".repeat(65)] {
        let request = wire::ReserveRequest { operation_type: bad.to_owned(), ..good() };
        check("operation_type", billing.reserve(request).await);
    }
    for bad in ["m".repeat(129), "m\0".to_owned()] {
        check("model", billing.reserve(wire::ReserveRequest { model: bad, ..good() }).await);
    }
    for bad in ["", "ключ", "nul\0", "tab\t", &"k".repeat(129)] {
        let request = wire::ReserveRequest { idempotency_key: bad.to_owned(), ..good() };
        check("idempotency_key", billing.reserve(request).await);
    }
    for bad in [0, -1, i64::MIN, 1_000_000_001, i64::MAX] {
        let request = wire::ReserveRequest { expected_price_kopecks: Some(bad), ..good() };
        check("expected_price_kopecks", billing.reserve(request).await);
    }
    let one = |key: &str, value: &str| HashMap::from([(key.to_owned(), value.to_owned())]);
    let many = (0..17).map(|number| (number.to_string(), String::new())).collect();
    for bad in [many, one(&"k".repeat(65), ""), one("k", &"v".repeat(513)), one("k", "nul\0")] {
        check("metadata", billing.reserve(wire::ReserveRequest { metadata: bad, ..good() }).await);
    }
    finish_with_nothing_stored(app).await;
}

#[rstest]
#[tokio::test]
async fn ending_an_operation_refuses_bad_input(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_anna(engine).await;
    let billing = app.billing();
    let operation_id = uuid::Uuid::now_v7().to_string();

    for bad in ["", "1", "nul\0", "не-uuid", &"0".repeat(37)] {
        let of = wire::Operation { user_id: ANNA, operation_id: bad.into(), ..Default::default() };
        check("operation_id", app.commit(&of).await);
        check("operation_id", app.refund(&of).await);
        check("operation_id", app.extend(&of).await);
        let get = wire::GetOperationRequest { user_id: ANNA, operation_id: bad.into() };
        check("operation_id", billing.get_operation(get).await);
    }
    let of =
        wire::Operation { user_id: -5, operation_id: operation_id.clone(), ..Default::default() };
    check("user_id", app.commit(&of).await);
    check("user_id", app.refund(&of).await);
    check("user_id", app.extend(&of).await);
    let get = wire::GetOperationRequest { user_id: 0, operation_id: operation_id.clone() };
    check("user_id", billing.get_operation(get).await);
    for bad in [-1, 1_000_000_000_001] {
        let request = wire::CommitRequest {
            user_id: ANNA,
            operation_id: operation_id.clone(),
            cost_micro_usd: Some(bad),
        };
        check("cost_micro_usd", billing.commit(request).await);
    }
    let refund = |reason: &str, actor: &str| wire::RefundRequest {
        user_id: ANNA,
        operation_id: operation_id.clone(),
        reason: reason.to_owned(),
        actor: actor.to_owned(),
        ..wire::RefundRequest::default()
    };
    for bad in ["", "nul\0", &"r".repeat(257)] {
        check("reason", billing.refund(refund(bad, "")).await);
    }
    for bad in ["nul\0", &"a".repeat(65)] {
        check("actor", billing.refund(refund("because", bad)).await);
    }
    finish_with_nothing_stored(app).await;
}

#[rstest]
#[tokio::test]
async fn lists_refuse_bad_input(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let app = App::with_anna(engine).await;
    let billing = app.billing();

    let operations = |page_size, page_token: &str| wire::ListOperationsRequest {
        user_id: ANNA,
        page_size,
        page_token: page_token.to_owned(),
    };
    let top_ups = |page_size, page_token: &str| wire::ListOpenTopUpsRequest {
        provider: "yookassa".into(),
        page_size,
        page_token: page_token.to_owned(),
        ..Default::default()
    };
    for bad in [-1, 101, i32::MAX] {
        check("page_size", billing.list_operations(operations(bad, "")).await);
    }
    for bad in [-1, 501, i32::MIN] {
        check("page_size", billing.list_open_top_ups(top_ups(bad, "")).await);
    }
    for bad in ["0", "-1", "x", "99999999999999999999", "1.2", "nul\0"] {
        check("page_token", billing.list_operations(operations(1, bad)).await);
    }
    for bad in ["0", "1.x", "x.00000000-0000-0000-0000-000000000000", "."] {
        check("page_token", billing.list_open_top_ups(top_ups(1, bad)).await);
    }
    let of_nobody = wire::ListOperationsRequest { user_id: 0, ..operations(1, "") };
    check("user_id", billing.list_operations(of_nobody).await);
    let of_nobody = wire::ListOpenTopUpsRequest { provider: String::new(), ..top_ups(1, "") };
    check("provider", billing.list_open_top_ups(of_nobody).await);
    for (seconds, nanos) in [(-1, 0), (i64::MAX, 0), (253_402_300_800, 0), (0, -1)] {
        let opened_before = Some(prost_types::Timestamp { seconds, nanos });
        let request = wire::ListOpenTopUpsRequest { opened_before, ..top_ups(1, "") };
        check("opened_before", billing.list_open_top_ups(request).await);
    }
    finish_with_nothing_stored(app).await;
}

#[rstest]
#[tokio::test]
async fn opening_a_top_up_refuses_bad_input(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_anna(engine).await;
    let billing = app.billing();
    let good = || open_top_up(ANNA, 10_000, "pay:1");

    check("user_id", billing.open_top_up(wire::OpenTopUpRequest { user_id: 0, ..good() }).await);
    for bad in ["", "YooKassa", "a b", "nul\0", &"p".repeat(33)] {
        let request = wire::OpenTopUpRequest { provider: bad.to_owned(), ..good() };
        check("provider", billing.open_top_up(request).await);
    }
    check("paid", billing.open_top_up(wire::OpenTopUpRequest { paid: None, ..good() }).await);
    for bad in [0, -1, i64::MIN, 1_000_000_001, i64::MAX] {
        let request = wire::OpenTopUpRequest { paid: roubles(bad), ..good() };
        check("paid.minor_units", billing.open_top_up(request).await);
        let request = wire::OpenTopUpRequest { credited_kopecks: bad, ..good() };
        check("credited_kopecks", billing.open_top_up(request).await);
    }
    for bad in ["", "rub", "RUBL", "РУБ", "R\0B"] {
        let paid = Some(wire::ProviderAmount { minor_units: 1, currency: bad.to_owned() });
        let request = wire::OpenTopUpRequest { paid, ..good() };
        check("paid.currency", billing.open_top_up(request).await);
    }
    let request = wire::OpenTopUpRequest { idempotency_key: String::new(), ..good() };
    check("idempotency_key", billing.open_top_up(request).await);
    let request = wire::OpenTopUpRequest { snapshot: vec![0; 16 * 1024 + 1], ..good() };
    check("snapshot", billing.open_top_up(request).await);
    finish_with_nothing_stored(app).await;
}

#[rstest]
#[tokio::test]
async fn ending_a_top_up_refuses_bad_input(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_anna(engine).await;
    let billing = app.billing();
    let top_up_id = uuid::Uuid::now_v7().to_string();
    let paid = roubles(100);
    let of = |user_id, top_up_id: &str| wire::TopUp {
        user_id,
        top_up_id: top_up_id.to_owned(),
        paid: paid.clone(),
        ..Default::default()
    };
    let record = |of: &wire::TopUp, payment: &str, url: String| wire::RecordTopUpPaymentRequest {
        user_id: of.user_id,
        top_up_id: of.top_up_id.clone(),
        provider_payment_id: payment.to_owned(),
        confirmation_url: url,
    };

    for (field, bad) in [("top_up_id", of(ANNA, "x")), ("user_id", of(0, &top_up_id))] {
        check(field, app.settle(&bad, "p-1").await);
        check(field, app.cancel(&bad).await);
        let request = record(&bad, "p-1", String::new());
        check(field, billing.record_top_up_payment(request).await);
        let get = wire::GetTopUpRequest { user_id: bad.user_id, top_up_id: bad.top_up_id };
        check(field, billing.get_top_up(get).await);
    }
    let good = of(ANNA, &top_up_id);
    for bad in ["", "платёж", "nul\0", &"p".repeat(129)] {
        check("provider_payment_id", app.settle(&good, bad).await);
        let request = record(&good, bad, String::new());
        check("provider_payment_id", billing.record_top_up_payment(request).await);
    }
    check("paid", app.settle_with(&good, "p-1", None).await);
    check("paid.minor_units", app.settle_with(&good, "p-1", roubles(-100)).await);
    for bad in ["u".repeat(2_049), "nul\0".to_owned()] {
        let request = record(&good, "p-1", bad);
        check("confirmation_url", billing.record_top_up_payment(request).await);
    }
    for bad in [String::new(), "nul\0".to_owned(), "r".repeat(129)] {
        let request =
            wire::CancelTopUpRequest { user_id: ANNA, top_up_id: top_up_id.clone(), reason: bad };
        check("reason", billing.cancel_top_up(request).await);
    }
    finish_with_nothing_stored(app).await;
}

#[rstest]
#[tokio::test]
async fn acknowledging_refuses_bad_input(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_anna(engine).await;
    let ack = |ids: &[(i64, i64)]| wire::AckEventsRequest {
        consumer: "bot".into(),
        events: ids.iter().map(|&(user_id, number)| wire::EventId { user_id, number }).collect(),
    };

    check("events", app.billing().ack_events(ack(&[])).await);
    check("events", app.billing().ack_events(ack(&[(1, 1); 101])).await);
    check("events.user_id", app.billing().ack_events(ack(&[(0, 1)])).await);
    check("events.number", app.billing().ack_events(ack(&[(1, 0)])).await);
    app.billing().ack_events(ack(&[(4_040, 1)])).await.unwrap();
    finish_with_nothing_stored(app).await;
}

#[rstest]
#[tokio::test]
async fn the_largest_values_that_are_allowed_are_taken_and_come_back(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_anna(engine).await;
    let metadata: HashMap<String, String> = (0..16)
        .map(|number| (format!("{number:02}{}", "ж".repeat(62)), "🎨\"\\\n".repeat(128)))
        .collect();
    let request = wire::ReserveRequest {
        model: "м".repeat(128),
        metadata: metadata.clone(),
        expected_price_kopecks: Some(1_000_000_000),
        ..reserve(ANNA, &"~".repeat(128))
    };
    let reserved = app.billing().reserve(request).await.unwrap().operation.unwrap();
    assert_eq!(reserved.metadata, metadata);
    assert_eq!(app.operation(&reserved).await, reserved);

    let mut request = open_top_up(ANNA, 1_000_000_000, &"k".repeat(128));
    request.snapshot = vec![0; 16 * 1024];
    let top_up = app.billing().open_top_up(request).await.unwrap().top_up.unwrap();
    app.settle(&top_up, &"p".repeat(128)).await.unwrap();
    assert_eq!(app.has(ANNA).await.0, 1_000_000_000);
    app.finish().await;
}
