//! FindUser: whose something is, as far as a support case knows; and who may ask.

use proto::billing::v1 as wire;
use proto::billing::v1::admin_service_client::AdminServiceClient;
use proto::client;
use proto::reason;
use rstest::rstest;
use tonic::Code;
use wire::find_user_request::By;

use crate::app::{ANNA, App, BORIS, HALF_HOUR, PRICE};
use crate::database::Engine;

async fn find(app: &App, by: By) -> Vec<wire::Account> {
    let request = wire::FindUserRequest { by: Some(by) };
    app.operators().find_user(request).await.unwrap().into_inner().accounts
}

fn payment(provider: &str, payment_id: &str) -> By {
    let (provider, payment_id) = (provider.to_owned(), payment_id.to_owned());
    By::Payment(wire::ProviderPayment { provider, payment_id })
}

async fn with_email(app: &App, user_id: i64, email: &str) {
    let profile = wire::Profile { language: None, receipt_email: Some(email.to_owned()) };
    let request = wire::RegisterUserRequest { user_id, profile: Some(profile) };
    app.billing().register_user(request).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn a_user_is_found_by_id_address_and_payment(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_money(engine, 0).await;
    app.register(BORIS).await;
    with_email(&app, ANNA, "Anna@Example.com").await;
    app.settled(ANNA, PRICE, "pay:1").await;
    app.open_top_up(BORIS, PRICE, "pay:2").await;
    app.reserve(ANNA, "test:1").await;
    app.clock.advance(HALF_HOUR);

    // Found as anybody would see her: the overdue hold is released first.
    let anna = app.account(ANNA).await;
    assert_eq!(anna.balance_kopecks, PRICE);
    for by in [
        By::UserId(ANNA),
        By::ReceiptEmail("anna@example.COM".into()),
        payment("yookassa", "payment-pay:1"),
    ] {
        assert_eq!(find(&app, by.clone()).await, std::slice::from_ref(&anna), "{by:?}");
    }
    for by in [
        By::UserId(5),
        By::ReceiptEmail("anna@example".into()),
        By::ReceiptEmail("%".into()),
        payment("yookassa", "payment-pay:2"),
        payment("stars", "payment-pay:1"),
    ] {
        assert_eq!(find(&app, by.clone()).await, [], "{by:?}");
    }
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn an_address_of_many_finds_the_first_twenty(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::start(engine).await;
    for user_id in (1..=25).rev() {
        with_email(&app, user_id, "family@example.com").await;
    }

    let found = find(&app, By::ReceiptEmail("family@example.com".into())).await;

    let users: Vec<_> = found.iter().map(|account| account.user_id).collect();
    assert_eq!(users, (1..=20).collect::<Vec<_>>());
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn what_cannot_be_known_is_refused(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::start(engine).await;

    for (by, field) in [
        (None, "by"),
        (Some(By::UserId(0)), "user_id"),
        (Some(By::ReceiptEmail(String::new())), "receipt_email"),
        (Some(By::ReceiptEmail("e".repeat(255))), "receipt_email"),
        (Some(By::ReceiptEmail("nul\0".into())), "receipt_email"),
        (Some(payment("YooKassa", "1")), "payment.provider"),
        (Some(payment("yookassa", "")), "payment.payment_id"),
        (Some(payment("yookassa", "платёж")), "payment.payment_id"),
    ] {
        let refusal = app.operators().find_user(wire::FindUserRequest { by }).await.unwrap_err();
        assert_eq!(refusal.code(), Code::InvalidArgument, "{refusal:?}");
        assert_eq!(reason::value(&refusal, "field").as_deref(), Some(field));
    }
    app.finish().await;
}

#[tokio::test]
async fn a_call_of_no_operators_tool_is_not_let_in() {
    let app = App::with_anna(Engine::Sqlite).await;
    let channel = client::channel(&app.replica.grpc_url).unwrap();
    let mut unnamed = AdminServiceClient::new(channel);

    let by = Some(By::UserId(ANNA));
    let refusal = unnamed.find_user(wire::FindUserRequest { by: by.clone() }).await.unwrap_err();
    assert_eq!(refusal.code(), Code::Unauthenticated);
    assert_eq!(reason::of(&refusal).as_deref(), Some("OPERATOR_UNKNOWN"));
    for name in ["", &"n".repeat(65)] {
        let mut request = tonic::Request::new(wire::FindUserRequest { by: by.clone() });
        request.metadata_mut().insert("x-medialab-operator", name.parse().unwrap());
        let refusal = unnamed.find_user(request).await.unwrap_err();
        assert_eq!(reason::of(&refusal).as_deref(), Some("OPERATOR_UNKNOWN"), "{name}");
    }
    let adjust = wire::AdjustBalanceRequest { user_id: ANNA, ..Default::default() };
    let refusal = unnamed.adjust_balance(adjust).await.unwrap_err();
    assert_eq!(refusal.code(), Code::Unauthenticated, "before anything is read");
    app.finish().await;
}
