//! A store in which everything that can happen has happened once.

use std::time::Duration;

use proto::billing::v1 as wire;
use proto::client::{self, Admin};

use crate::app::{ANNA, App, BORIS, DAY, HALF_HOUR, PRICE, Terms, roubles};
use crate::database::{Engine, TestDatabase};

/// The door of the operators.
pub(crate) fn admin(app: &App) -> Admin {
    client::admin(client::channel(&app.replica.grpc_url).unwrap(), "tests").unwrap()
}

/// What happened to Anna and Boris, chained to the end; nobody serves it any more.
pub(crate) async fn store(engine: Engine) -> TestDatabase {
    let app = app(engine).await;
    app.replica.stop().await;
    app.database
}

/// The same, still served.
pub(crate) async fn app(engine: Engine) -> App {
    let app = App::with(engine, Terms { free_operations: 2, ..Terms::default() }).await;
    app.register(ANNA).await;
    app.register(BORIS).await;
    offer_codes(&app).await;
    anna_uses_free_ones(&app).await;
    anna_pays(&app).await;
    holds_expire(&app).await;
    anna_redeems(&app).await;
    operators_intervene(&app).await;
    money_goes_back(&app).await;
    boris_holds(&app).await;
    app
}

async fn anna_uses_free_ones(app: &App) {
    let done = app.reserve(ANNA, "a:1").await;
    app.commit(&done).await.unwrap();
    let failed = app.reserve(ANNA, "a:2").await;
    app.refund(&failed).await.unwrap();
    redeem(app, "GIFT").await;
    for key in ["a:3", "a:4"] {
        let done = app.reserve(ANNA, key).await;
        app.commit(&done).await.unwrap();
    }
}

async fn anna_pays(app: &App) {
    redeem(app, "BONUS").await;
    let top_up = app.open_top_up(ANNA, 10_000, "pay:1").await;
    app.settle(&top_up, "p-1").await.unwrap();
    let part = app.reserve(ANNA, "a:5").await;
    app.commit(&part).await.unwrap();
    let request = wire::RefundRequest {
        user_id: ANNA,
        operation_id: part.operation_id,
        reason: "half of it is grey".to_owned(),
        actor: "olga".to_owned(),
        amount_kopecks: Some(300),
        idempotency_key: "part:1".to_owned(),
    };
    app.billing().refund(request).await.unwrap();
    let whole = app.reserve(ANNA, "a:6").await;
    app.commit(&whole).await.unwrap();
    app.refund_by(&whole, "olga").await.unwrap();
}

async fn holds_expire(app: &App) {
    let late = app.reserve(ANNA, "a:7").await;
    app.reserve(ANNA, "a:8").await;
    app.clock.advance(HALF_HOUR);
    app.commit(&late).await.unwrap();
}

async fn anna_redeems(app: &App) {
    redeem(app, "OFF").await;
    let cheaper = app.reserve(ANNA, "a:9").await;
    assert_eq!(cheaper.price_kopecks, PRICE * 9 / 10);
    app.commit(&cheaper).await.unwrap();
    redeem(app, "ACCESS").await;
    let free = app.reserve(ANNA, "a:10").await;
    assert_eq!(free.source(), wire::PaymentSource::FreeAccess);
    app.commit(&free).await.unwrap();
    app.reserve(ANNA, "a:11").await;
}

async fn operators_intervene(app: &App) {
    let mut admin = admin(app);
    for (amount_kopecks, key) in [(500, "adjust:1"), (-200, "adjust:2")] {
        let request = wire::AdjustBalanceRequest {
            user_id: ANNA,
            amount_kopecks,
            actor: "olga".to_owned(),
            reason: "a case".to_owned(),
            idempotency_key: key.to_owned(),
        };
        admin.adjust_balance(request).await.unwrap();
    }
    let request = wire::GrantFreeOperationsRequest {
        user_id: ANNA,
        count: 3,
        actor: "olga".to_owned(),
        reason: "sorry".to_owned(),
        idempotency_key: "grant:1".to_owned(),
    };
    admin.grant_free_operations(request).await.unwrap();
}

async fn money_goes_back(app: &App) {
    let request = wire::ListOpenTopUpsRequest {
        provider: "yookassa".to_owned(),
        ..wire::ListOpenTopUpsRequest::default()
    };
    assert!(app.billing().list_open_top_ups(request).await.unwrap().top_ups.is_empty());
    let top_up = app.open_top_up(ANNA, 10_000, "pay:1").await;
    let request = wire::ReverseTopUpRequest {
        user_id: ANNA,
        top_up_id: top_up.top_up_id,
        provider_refund_id: "r-1".to_owned(),
        refunded: roubles(4_000),
    };
    app.billing().reverse_top_up(request).await.unwrap();
    let cancelled = app.open_top_up(ANNA, 700, "pay:2").await;
    app.cancel(&cancelled).await.unwrap();
    app.open_top_up(ANNA, 900, "pay:3").await;
}

async fn boris_holds(app: &App) {
    let top_up = app.open_top_up(BORIS, 3_000, "pay:1").await;
    app.settle(&top_up, "p-2").await.unwrap();
    for key in ["b:1", "b:2", "b:3"] {
        app.reserve(BORIS, key).await;
    }
}

async fn redeem(app: &App, code: &str) {
    let request = wire::RedeemPromoCodeRequest {
        user_id: ANNA,
        code: code.to_owned(),
        idempotency_key: format!("redeem:{code}"),
    };
    app.billing().redeem_promo_code(request).await.unwrap();
}

async fn offer_codes(app: &App) {
    use wire::promo_effect::Effect;
    let in_a_year = app.account(ANNA).await.created_at.map(|now| prost_types::Timestamp {
        seconds: now.seconds + i64::try_from(DAY.as_secs()).unwrap() * 365,
        ..now
    });
    let mut admin = admin(app);
    for (code, effect) in [
        ("GIFT", Effect::FreeOperations(wire::FreeOperations { count: 1 })),
        (
            "BONUS",
            Effect::TopUpBonus(wire::TopUpBonus {
                percent: 50,
                bonus_max_kopecks: 0,
                until: in_a_year,
            }),
        ),
        (
            "OFF",
            Effect::OperationDiscount(wire::OperationDiscount { percent: 10, until: in_a_year }),
        ),
        ("ACCESS", Effect::FreeAccess(wire::FreeAccess { until: in_a_year })),
    ] {
        let request = wire::CreatePromoCodeRequest {
            code: code.to_owned(),
            effect: Some(wire::PromoEffect { effect: Some(effect) }),
            actor: "olga".to_owned(),
            reason: "spring".to_owned(),
            ..wire::CreatePromoCodeRequest::default()
        };
        admin.create_promo_code(request).await.unwrap();
    }
}

/// Long enough for everything that is done beside serving to have been done.
pub(crate) const SOON: Duration = Duration::from_millis(20);
