//! Promo codes as operators keep them: created once, listed, stopped.

use futures_util::future::join_all;
use proto::billing::v1 as wire;
use proto::reason;
use rstest::rstest;
use tonic::Code;
use wire::promo_effect::Effect;

use crate::app::{ANNA, App, reason_of};
use crate::app_admin::{bonus, free_access, free_operations, offer, percent_off};
use crate::database::Engine;

#[rstest]
#[tokio::test]
async fn creating_a_code_twice_is_creating_it_once(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_anna(engine).await;
    let request = || wire::CreatePromoCodeRequest {
        redemptions_max: 10,
        valid_from: app.moment(-60),
        valid_until: app.moment(60),
        ..offer("Spring-26", percent_off(10))
    };
    let created = app.create_promo_code(request()).await.unwrap();
    assert_eq!((created.code.as_str(), created.redemptions_max), ("SPRING-26", 10));
    assert_eq!((created.created_by.as_str(), created.create_reason.as_str()), ("olga", "spring"));
    app.redeem(ANNA, "SPRING-26", "test:promo").await.unwrap();

    // Who asks again, and why, does not matter; the first stays.
    let by_another = wire::CreatePromoCodeRequest { actor: "petr".into(), ..request() };
    let repeat = app.create_promo_code(by_another).await.unwrap();
    assert_eq!(repeat, wire::PromoCode { redemptions: 1, ..created });
    for other in [
        wire::CreatePromoCodeRequest { redemptions_max: 11, ..request() },
        wire::CreatePromoCodeRequest { valid_from: None, ..request() },
        wire::CreatePromoCodeRequest { valid_until: app.moment(61), ..request() },
        wire::CreatePromoCodeRequest { effect: offer("X", percent_off(11)).effect, ..request() },
        wire::CreatePromoCodeRequest { effect: offer("X", bonus(10, 0)).effect, ..request() },
    ] {
        let refusal = app.create_promo_code(other).await.unwrap_err();
        assert_eq!(refusal.code(), Code::AlreadyExists);
        assert_eq!(reason::of(&refusal).as_deref(), Some("IDEMPOTENCY_KEY_REUSED"));
    }
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn one_code_created_many_times_at_once_is_one_code(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::start(engine).await;

    let calls = (0..16).map(|_| app.create_promo_code(offer("ONE", percent_off(10))));
    let answers = join_all(calls).await;

    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn codes_are_listed_by_pages_in_order_with_what_they_give(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::start(engine).await;
    let effects =
        [percent_off(1), bonus(150, 5_000), free_operations(7), free_access(app.moment(60))];
    let names = ["B", "A-2", "A_1", "A1"];
    for (name, effect) in names.iter().zip(&effects) {
        app.offer(name, *effect).await;
    }

    let mut listed = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = wire::ListPromoCodesRequest { page_size: 3, page_token };
        let page = app.operators().list_promo_codes(request).await.unwrap().into_inner();
        listed.extend(page.promo_codes);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }

    let codes: Vec<_> = listed.iter().map(|code| code.code.as_str()).collect();
    assert_eq!(codes, ["A-2", "A1", "A_1", "B"], "in the order of their characters");
    let given: Vec<_> = listed.iter().map(|code| code.effect.unwrap().effect.unwrap()).collect();
    assert_eq!(given, [effects[1], effects[3], effects[2], effects[0]]);
    for bad in [-1, 101] {
        let request = wire::ListPromoCodesRequest { page_size: bad, ..Default::default() };
        assert_eq!(reason_of(app.operators().list_promo_codes(request).await), "INVALID_FIELD");
    }
    let request = wire::ListPromoCodesRequest { page_token: "a b".into(), ..Default::default() };
    assert_eq!(reason_of(app.operators().list_promo_codes(request).await), "INVALID_FIELD");
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn what_cannot_be_offered_is_refused(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_anna(engine).await;
    type Request = wire::CreatePromoCodeRequest;
    let good = || offer("GOOD", percent_off(10));
    let giving = |effect| offer("GOOD", effect);
    let bad_time = Some(prost_types::Timestamp { seconds: -1, nanos: 0 });
    let discount_until = wire::OperationDiscount { percent: 10, until: bad_time };
    let bonus_until = wire::TopUpBonus { percent: 10, bonus_max_kopecks: 0, until: bad_time };

    for (request, field) in [
        (offer("", percent_off(10)), "code"),
        (offer("две", percent_off(10)), "code"),
        (offer("a b", percent_off(10)), "code"),
        (offer(&"c".repeat(33), percent_off(10)), "code"),
        (Request { effect: None, ..good() }, "effect"),
        (Request { effect: Some(wire::PromoEffect { effect: None }), ..good() }, "effect"),
        (giving(percent_off(0)), "effect.operation_discount.percent"),
        (giving(percent_off(100)), "effect.operation_discount.percent"),
        (giving(percent_off(-1)), "effect.operation_discount.percent"),
        (giving(Effect::OperationDiscount(discount_until)), "effect.operation_discount.until"),
        (giving(bonus(0, 0)), "effect.top_up_bonus.percent"),
        (giving(bonus(1_001, 0)), "effect.top_up_bonus.percent"),
        (giving(bonus(10, -1)), "effect.top_up_bonus.bonus_max_kopecks"),
        (giving(bonus(10, i64::MAX)), "effect.top_up_bonus.bonus_max_kopecks"),
        (giving(Effect::TopUpBonus(bonus_until)), "effect.top_up_bonus.until"),
        (giving(free_operations(0)), "effect.free_operations.count"),
        (giving(free_operations(10_001)), "effect.free_operations.count"),
        (giving(free_operations(i64::MIN)), "effect.free_operations.count"),
        (giving(free_access(None)), "effect.free_access.until"),
        (giving(free_access(bad_time)), "effect.free_access.until"),
        (Request { redemptions_max: -1, ..good() }, "redemptions_max"),
        (Request { redemptions_max: 1_000_000_001, ..good() }, "redemptions_max"),
        (Request { valid_from: bad_time, ..good() }, "valid_from"),
        (Request { valid_until: bad_time, ..good() }, "valid_until"),
        (
            Request { valid_from: app.moment(5), valid_until: app.moment(5), ..good() },
            "valid_until",
        ),
        (Request { actor: String::new(), ..good() }, "actor"),
        (Request { actor: "a".repeat(65), ..good() }, "actor"),
        (Request { reason: String::new(), ..good() }, "reason"),
        (Request { reason: "nul\0".into(), ..good() }, "reason"),
        (Request { reason: "r".repeat(257), ..good() }, "reason"),
    ] {
        let refusal = app.create_promo_code(request).await.unwrap_err();
        assert_eq!(refusal.code(), Code::InvalidArgument, "{refusal:?}");
        assert_eq!(reason::value(&refusal, "field").as_deref(), Some(field));
    }
    assert_eq!(reason_of(app.redeem(0, "GOOD", "test:1").await), "INVALID_FIELD");
    assert_eq!(reason_of(app.redeem(ANNA, "", "test:1").await), "INVALID_FIELD");
    assert_eq!(reason_of(app.redeem(ANNA, "GOOD", "").await), "INVALID_FIELD");
    assert_eq!(reason_of(app.redeem(ANNA, "GOOD", "test:1").await), "PROMO_CODE_NOT_FOUND");
    app.finish().await;
}
