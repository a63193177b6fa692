//! Money on its way in: credited once, and only if it is the right money.

use std::collections::{HashMap, HashSet};

use futures_util::future::join_all;
use proto::billing::v1 as wire;
use proto::billing::v1::TopUpState::{Cancelled, Open, Settled};
use rstest::rstest;
use tonic::Code;

use crate::app::{ANNA, App, BORIS, open_top_up, reason_of, reserve, roubles};
use crate::database::Engine;

fn record(of: &wire::TopUp, payment: &str, url: &str) -> wire::RecordTopUpPaymentRequest {
    wire::RecordTopUpPaymentRequest {
        user_id: of.user_id,
        top_up_id: of.top_up_id.clone(),
        provider_payment_id: payment.to_owned(),
        confirmation_url: url.to_owned(),
    }
}

#[rstest]
#[tokio::test]
async fn a_top_up_is_opened_paid_and_credited(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_money(engine, 0).await;

    let opened = app.open_top_up(ANNA, 10_000, "pay:1").await;
    assert_eq!(opened.state(), Open);
    assert_eq!(opened.snapshot, b"{\"amount\":\"as it is sent\"}");
    assert_eq!(app.has(ANNA).await, (0, 0, 0, 0));

    let url = "https://pay.example/1";
    let recorded = app.billing().record_top_up_payment(record(&opened, "p-1", url)).await.unwrap();
    let recorded = recorded.top_up.unwrap();
    assert_eq!((recorded.provider_payment_id.as_str(), recorded.state()), ("p-1", Open));
    assert_eq!(recorded.confirmation_url, url);

    let settled = app.settle(&opened, "p-1").await.unwrap();
    assert_eq!(settled.top_up.as_ref().unwrap().state(), Settled);
    assert_eq!(settled.account.as_ref().unwrap().balance_kopecks, 10_000);
    assert_eq!(app.has(ANNA).await, (10_000, 0, 0, 0));

    let request = wire::GetTopUpRequest { user_id: ANNA, top_up_id: opened.top_up_id };
    let read = app.billing().get_top_up(request).await.unwrap();
    assert_eq!(read.top_up, settled.top_up);
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn a_top_up_is_credited_once_however_often_and_at_once_it_is_settled(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_money(engine, 0).await;
    let top_up = app.open_top_up(ANNA, 10_000, "pay:1").await;

    let answers = join_all((0..24).map(|_| app.settle(&top_up, "p-1"))).await;

    for answer in answers {
        assert_eq!(answer.unwrap().account.unwrap().balance_kopecks, 10_000);
    }
    assert_eq!(app.has(ANNA).await, (10_000, 0, 0, 0));
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn another_amount_currency_or_payment_credits_nothing(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_money(engine, 0).await;
    let top_up = app.open_top_up(ANNA, 10_000, "pay:1").await;
    app.billing().record_top_up_payment(record(&top_up, "p-1", "")).await.unwrap();

    let dollars = wire::ProviderAmount { minor_units: 10_000, currency: "USD".into() };
    for other in [roubles(9_999), roubles(10_001), Some(dollars)] {
        let refusal = app.settle_with(&top_up, "p-1", other).await.unwrap_err();
        assert_eq!(refusal.code(), Code::FailedPrecondition);
        assert_eq!(reason_of::<()>(Err(refusal)), "TOP_UP_AMOUNT_MISMATCH");
    }
    assert_eq!(reason_of(app.settle(&top_up, "p-2").await), "TOP_UP_PAYMENT_MISMATCH");
    let other = app.billing().record_top_up_payment(record(&top_up, "p-2", "")).await;
    assert_eq!(reason_of(other), "TOP_UP_PAYMENT_MISMATCH");
    assert_eq!(app.has(ANNA).await, (0, 0, 0, 0));

    app.settle(&top_up, "p-1").await.unwrap();
    assert_eq!(reason_of(app.settle(&top_up, "p-2").await), "TOP_UP_PAYMENT_MISMATCH");
    let other = app.settle_with(&top_up, "p-1", roubles(1)).await;
    assert_eq!(reason_of(other), "TOP_UP_AMOUNT_MISMATCH");
    assert_eq!(app.has(ANNA).await, (10_000, 0, 0, 0));
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn a_payment_is_credited_to_one_top_up_only_also_at_once_and_across_users(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_money(engine, 0).await;
    app.register(BORIS).await;
    let annas = app.open_top_up(ANNA, 10_000, "pay:1").await;
    let annas_second = app.open_top_up(ANNA, 10_000, "pay:2").await;
    let boriss = app.open_top_up(BORIS, 10_000, "pay:1").await;

    let calls = [&annas, &annas_second, &boriss].map(|top_up| app.settle(top_up, "p-1"));
    let answers = join_all(calls).await;

    let (credited, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!((credited.len(), refused.len()), (1, 2));
    for refusal in refused {
        assert_eq!(reason_of(refusal), "PAYMENT_ALREADY_CLAIMED");
    }
    let both = app.has(ANNA).await.0 + app.has(BORIS).await.0;
    assert_eq!(both, 10_000);
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn what_the_provider_answered_first_stays(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_money(engine, 0).await;
    let top_up = app.open_top_up(ANNA, 10_000, "pay:1").await;

    let first = record(&top_up, "p-1", "https://pay.example/1");
    let second = record(&top_up, "p-1", "https://pay.example/2");
    let first = app.billing().record_top_up_payment(first).await.unwrap();
    let second = app.billing().record_top_up_payment(second).await.unwrap();

    assert_eq!(first, second);
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn a_cancelled_top_up_whose_money_comes_is_credited(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_money(engine, 0).await;
    let top_up = app.open_top_up(ANNA, 10_000, "pay:1").await;

    let cancelled = app.cancel(&top_up).await.unwrap();
    assert_eq!(cancelled.state(), Cancelled);
    assert_eq!(cancelled.cancel_reason, "expired_on_confirmation");
    assert_eq!(app.cancel(&top_up).await.unwrap(), cancelled);

    let settled = app.settle(&top_up, "p-1").await.unwrap();
    assert_eq!(settled.top_up.unwrap().state(), Settled);
    assert_eq!(reason_of(app.cancel(&top_up).await), "TOP_UP_SETTLED");
    assert_eq!(app.has(ANNA).await, (10_000, 0, 0, 0));
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn opening_again_answers_as_it_is_now_and_another_amount_is_refused(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_money(engine, 0).await;
    let top_up = app.open_top_up(ANNA, 10_000, "pay:1").await;

    let mut other_snapshot = open_top_up(ANNA, 10_000, "pay:1");
    other_snapshot.snapshot = b"otherwise".to_vec();
    let repeat = app.billing().open_top_up(other_snapshot).await.unwrap().top_up.unwrap();
    assert_eq!(repeat, top_up, "the first snapshot is the one that is sent");

    let settled = app.settle(&top_up, "p-1").await.unwrap().top_up.unwrap();
    assert_eq!(app.open_top_up(ANNA, 10_000, "pay:1").await, settled);

    let good = || open_top_up(ANNA, 10_000, "pay:1");
    for other in [
        wire::OpenTopUpRequest { paid: roubles(9_000), ..good() },
        wire::OpenTopUpRequest { credited_kopecks: 9_000, ..good() },
        wire::OpenTopUpRequest { provider: "stars".into(), ..good() },
    ] {
        let refused = app.billing().open_top_up(other).await;
        assert_eq!(reason_of(refused), "IDEMPOTENCY_KEY_REUSED");
    }
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn the_reconciler_reads_what_is_open_oldest_first_by_pages(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_money(engine, 0).await;
    app.register(BORIS).await;
    let mut expected = Vec::new();
    for number in 0..5 {
        let user = if number % 2 == 0 { ANNA } else { BORIS };
        expected.push(app.open_top_up(user, 10_000, &format!("pay:{number}")).await);
        app.clock.advance(std::time::Duration::from_secs(60));
    }
    let settled = expected.remove(1);
    app.settle(&settled, "p-1").await.unwrap();
    let mut stars = open_top_up(ANNA, 10_000, "stars:1");
    stars.provider = "stars".into();
    app.billing().open_top_up(stars).await.unwrap();

    let list = |page_token, opened_before| wire::ListOpenTopUpsRequest {
        provider: "yookassa".into(),
        opened_before,
        page_size: 3,
        page_token,
    };
    let first = app.billing().list_open_top_ups(list(String::new(), None)).await.unwrap();
    let second =
        app.billing().list_open_top_ups(list(first.next_page_token.clone(), None)).await.unwrap();
    assert_eq!(first.top_ups, expected[..3]);
    assert_eq!(second.top_ups, expected[3..]);
    assert_eq!(second.next_page_token, "");

    let before = expected[2].created_at;
    let early = app.billing().list_open_top_ups(list(String::new(), before)).await.unwrap();
    assert_eq!(early.top_ups, expected[..2]);
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn what_was_settled_in_a_span_of_time_is_read_in_that_order_by_pages(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_money(engine, 0).await;
    app.register(BORIS).await;
    let mut stars = open_top_up(ANNA, 10_000, "stars:1");
    stars.provider = "stars".into();
    let stars = app.billing().open_top_up(stars).await.unwrap().top_up.unwrap();
    app.settle(&stars, "p-stars").await.unwrap();
    let mut opened = Vec::new();
    for number in 0..5 {
        let user = if number % 2 == 0 { ANNA } else { BORIS };
        opened.push(app.open_top_up(user, 10_000, &format!("pay:{number}")).await);
    }
    app.open_top_up(ANNA, 10_000, "pay:open").await;
    app.cancel(&opened[0]).await.unwrap();
    let mut expected = Vec::new();
    // The one that was opened last is settled first.
    for (number, top_up) in opened.iter().enumerate().rev() {
        app.clock.advance(std::time::Duration::from_secs(60));
        let settled = app.settle(top_up, &format!("p-{number}")).await.unwrap();
        expected.push(settled.top_up.unwrap());
    }

    let list = |page_token, from, to| wire::ListSettledTopUpsRequest {
        provider: "yookassa".into(),
        from,
        to,
        page_size: 3,
        page_token,
    };
    let first = app.billing().list_settled_top_ups(list(String::new(), None, None)).await.unwrap();
    let second = list(first.next_page_token.clone(), None, None);
    let second = app.billing().list_settled_top_ups(second).await.unwrap();
    assert_eq!(first.top_ups, expected[..3]);
    assert_eq!(second.top_ups, expected[3..]);
    assert_eq!(second.next_page_token, "");

    let (from, to) = (expected[1].ended_at, expected[3].ended_at);
    let some = app.billing().list_settled_top_ups(list(String::new(), from, to)).await.unwrap();
    assert_eq!(some.top_ups, expected[1..3]);
    assert_eq!(some.next_page_token, "");
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn a_page_is_never_larger_than_a_message_may_be(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_money(engine, 200_000).await;
    let large = |number: i32| wire::OpenTopUpRequest {
        snapshot: vec![b'x'; 16 * 1024],
        ..open_top_up(ANNA, 10_000, &format!("pay:{number}"))
    };
    let metadata =
        (0..16).map(|key| (format!("{key}"), "я".repeat(512))).collect::<HashMap<_, _>>();
    for number in 0..100 {
        app.billing().open_top_up(large(number)).await.unwrap();
        let mut operation = reserve(ANNA, &format!("test:{number}"));
        operation.metadata = metadata.clone();
        app.billing().reserve(operation).await.unwrap();
    }
    let mut billing = app.billing().streaming().max_decoding_message_size(1024 * 1024);

    let (mut top_ups, mut operations) = (HashSet::new(), HashSet::new());
    let mut page_token = String::new();
    loop {
        let provider = "yookassa".into();
        let list = wire::ListOpenTopUpsRequest {
            provider,
            page_token,
            page_size: 500,
            ..Default::default()
        };
        let page = billing.list_open_top_ups(list).await.unwrap().into_inner();
        assert!(!page.top_ups.is_empty());
        top_ups.extend(page.top_ups.into_iter().map(|top_up| top_up.top_up_id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    loop {
        let list = wire::ListOperationsRequest { user_id: ANNA, page_token, page_size: 100 };
        let page = billing.list_operations(list).await.unwrap().into_inner();
        assert!(!page.operations.is_empty());
        operations.extend(page.operations.into_iter().map(|operation| operation.operation_id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }

    assert_eq!((top_ups.len(), operations.len()), (100, 100));
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn a_top_up_is_its_users_own(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let app = App::with_money(engine, 0).await;
    app.register(BORIS).await;
    let mut top_up = app.open_top_up(ANNA, 10_000, "pay:1").await;
    top_up.user_id = BORIS;

    assert_eq!(reason_of(app.settle(&top_up, "p-1").await), "TOP_UP_NOT_FOUND");
    assert_eq!(reason_of(app.cancel(&top_up).await), "TOP_UP_NOT_FOUND");
    let recorded = app.billing().record_top_up_payment(record(&top_up, "p-1", "")).await;
    assert_eq!(reason_of(recorded), "TOP_UP_NOT_FOUND");
    let request = wire::GetTopUpRequest { user_id: BORIS, top_up_id: top_up.top_up_id.clone() };
    assert_eq!(reason_of(app.billing().get_top_up(request).await), "TOP_UP_NOT_FOUND");
    app.finish().await;
}
