//! Promo codes: what each kind gives, and who may redeem one.

use std::time::Duration;

use futures_util::future::join_all;
use proto::billing::v1 as wire;
use proto::reason;
use rstest::rstest;
use tonic::Code;

use crate::app::{ANNA, App, BORIS, DAY, HALF_HOUR, PRICE, Terms, reason_of, reserve};
use crate::app_admin::{bonus, free_access, free_operations, offer, percent_off, redeem};
use crate::database::Engine;
use wire::OperationState::{Committed, Expired, Refunded};

const HOUR: Duration = Duration::from_secs(3_600);

// ---- percent off --------------------------------------------------------------------------------

#[rstest]
#[tokio::test]
async fn a_discount_lowers_the_price_and_rounds_it_up_to_a_whole_kopeck(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let terms = Terms { free_operations: 0, price_kopecks: 999, ..Terms::default() };
    let app = App::with(engine, terms).await;
    app.register(ANNA).await;
    app.top_up(ANNA, 5_000).await;
    app.offer("tenth", percent_off(10)).await;
    let redeemed = app.redeem(ANNA, "Tenth", "test:promo").await.unwrap();
    let redemption = redeemed.redemption.unwrap();
    assert_eq!((redemption.code.as_str(), redemption.is_active), ("TENTH", true));
    assert_eq!(redeemed.account.unwrap().redemptions, [redemption]);

    // 899.1 kopecks.
    let operation = app.reserve(ANNA, "test:1").await;
    assert_eq!((operation.price_kopecks, operation.charged_kopecks), (900, 900));
    assert_eq!((operation.list_price_kopecks, operation.promo_code.as_str()), (999, "TENTH"));
    assert_eq!(app.has(ANNA).await, (4_100, 900, 0, 0));

    let showing = |price, key| wire::ReserveRequest {
        expected_price_kopecks: Some(price),
        ..reserve(ANNA, key)
    };
    app.billing().reserve(showing(900, "test:2")).await.unwrap();
    let refusal = app.billing().reserve(showing(899, "test:3")).await.unwrap_err();
    assert_eq!(reason::of(&refusal).as_deref(), Some("PRICE_CHANGED"));
    assert_eq!(reason::value(&refusal, "price_kopecks").as_deref(), Some("900"));
    // What was taken is what is given back, and taken again.
    assert_eq!(app.refund(&operation).await.unwrap().refunded_kopecks, 900);
    assert_eq!(app.has(ANNA).await, (4_100, 900, 0, 0));
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn of_several_discounts_the_largest_counts_until_its_time_is_over(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_money(engine, 10_000).await;
    let until = wire::OperationDiscount { percent: 50, until: app.moment(3_600) };
    app.offer("HALF", wire::promo_effect::Effect::OperationDiscount(until)).await;
    app.offer("TENTH", percent_off(10)).await;
    for code in ["TENTH", "HALF"] {
        app.redeem(ANNA, code, &format!("test:{code}")).await.unwrap();
    }

    let half = app.reserve(ANNA, "test:1").await;
    app.clock.advance(HOUR);
    let tenth = app.reserve(ANNA, "test:2").await;

    assert_eq!((half.price_kopecks, half.promo_code.as_str()), (500, "HALF"));
    assert_eq!((tenth.price_kopecks, tenth.promo_code.as_str()), (900, "TENTH"));
    let active: Vec<_> =
        app.account(ANNA).await.redemptions.into_iter().map(|active| active.code).collect();
    assert_eq!(active, ["TENTH"]);
    // The hold has expired: a late Commit takes the price that it had.
    assert_eq!(app.commit(&half).await.unwrap().charged_kopecks, 500);
    let again = app.redeem(ANNA, "HALF", "test:HALF").await.unwrap().redemption.unwrap();
    assert!(!again.is_active);
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn a_discount_makes_no_difference_to_a_free_operation(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_anna(engine).await;
    app.offer("TENTH", percent_off(10)).await;
    app.redeem(ANNA, "TENTH", "test:promo").await.unwrap();

    let operation = app.reserve(ANNA, "test:1").await;

    assert_eq!(operation.source(), wire::PaymentSource::FreeOperation);
    assert_eq!((operation.price_kopecks, operation.promo_code.as_str()), (PRICE, ""));
    app.finish().await;
}

// ---- a bonus on the next top-up -----------------------------------------------------------------

#[rstest]
#[tokio::test]
async fn a_bonus_is_added_to_the_next_top_up_alone(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_money(engine, 0).await;
    app.offer("QUARTER", bonus(25, 0)).await;
    app.redeem(ANNA, "QUARTER", "test:promo").await.unwrap();
    let opened = app.open_top_up(ANNA, 999, "pay:0").await;
    assert_eq!(opened.bonus_kopecks, 0);

    // 249.75 kopecks.
    let settled = app.settle(&opened, "payment-0").await.unwrap();
    assert_eq!(settled.top_up.as_ref().unwrap().bonus_kopecks, 249);
    assert_eq!(settled.account.as_ref().unwrap().balance_kopecks, 1_248);
    assert!(settled.account.as_ref().unwrap().redemptions.is_empty());
    assert_eq!(app.settle(&opened, "payment-0").await.unwrap(), settled);
    assert_eq!(app.settled(ANNA, 1_000, "pay:1").await.bonus_kopecks, 0);
    assert_eq!(app.has(ANNA).await, (2_248, 0, 0, 0));

    let entries = app.statement(ANNA).await;
    let gift = entries.iter().find(|entry| entry.cause == "bonus").unwrap();
    assert_eq!((&*gift.from_account, &*gift.to_account, gift.amount), ("promo", "balance", 249));
    assert_eq!(gift.top_up_id, opened.top_up_id);
    let repeat = app.redeem(ANNA, "QUARTER", "test:promo").await.unwrap();
    assert!(!repeat.redemption.unwrap().is_active);
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn a_bonus_ends_at_its_limit_and_at_its_time(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_money(engine, 0).await;
    let brief =
        wire::TopUpBonus { percent: 1_000, bonus_max_kopecks: 300, until: app.moment(3_600) };
    app.offer("TENFOLD", wire::promo_effect::Effect::TopUpBonus(brief)).await;
    app.offer("SMALL", bonus(1, 0)).await;
    for user in [ANNA, BORIS] {
        app.register(user).await;
        app.redeem(user, "TENFOLD", "test:1").await.unwrap();
        app.redeem(user, "SMALL", "test:2").await.unwrap();
    }

    // The one that gives most is used, and the other one stays.
    assert_eq!(app.settled(ANNA, 1_000, "pay:1").await.bonus_kopecks, 300);
    assert_eq!(app.settled(ANNA, 1_000, "pay:2").await.bonus_kopecks, 10);
    // One that comes to less than a kopeck is not used up.
    assert_eq!(app.settled(BORIS, 9, "pay:b").await.bonus_kopecks, 90);
    assert_eq!(app.settled(BORIS, 9, "pay:c").await.bonus_kopecks, 0);
    app.clock.advance(HOUR);
    assert_eq!(app.settled(BORIS, 1_000, "pay:d").await.bonus_kopecks, 10);
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn a_bonus_whose_time_is_over_gives_nothing(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_money(engine, 0).await;
    let brief = wire::TopUpBonus { percent: 50, bonus_max_kopecks: 0, until: app.moment(3_600) };
    app.offer("BRIEF", wire::promo_effect::Effect::TopUpBonus(brief)).await;
    app.redeem(ANNA, "BRIEF", "test:promo").await.unwrap();
    app.clock.advance(HOUR);

    assert_eq!(app.settled(ANNA, 1_000, "pay:1").await.bonus_kopecks, 0);
    assert_eq!(app.has(ANNA).await, (1_000, 0, 0, 0));
    app.finish().await;
}

// ---- free operations ----------------------------------------------------------------------------

#[rstest]
#[tokio::test]
async fn free_operations_are_given_at_once_and_used_like_any_other(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_money(engine, PRICE).await;
    app.offer("THREE", free_operations(3)).await;

    let redeemed = app.redeem(ANNA, "three", "test:promo").await.unwrap();
    assert_eq!(redeemed.account.as_ref().unwrap().free_operations, 3);
    assert!(!redeemed.redemption.as_ref().unwrap().is_active, "it has given all it had");
    assert_eq!(app.redeem(ANNA, "three", "test:promo").await.unwrap(), redeemed);

    let entry = app.statement(ANNA).await.pop().unwrap();
    assert_eq!((entry.cause.as_str(), entry.amount), ("promo_code", 3));
    assert_eq!((&*entry.from_account, &*entry.to_account), ("granted", "available"));
    assert_eq!(entry.free_operations_after, 3);
    let operation = app.reserve(ANNA, "test:1").await;
    assert_eq!(operation.source(), wire::PaymentSource::FreeOperation);
    assert_eq!(operation.promo_code, "");
    assert_eq!(app.has(ANNA).await, (PRICE, 0, 2, 1));
    app.finish().await;
}

// ---- free access --------------------------------------------------------------------------------

/// Anna has money, free operations, and free access for a day.
async fn with_free_access(engine: Engine) -> App {
    let app = App::with_anna(engine).await;
    app.top_up(ANNA, PRICE).await;
    app.offer("DAY", free_access(app.moment(86_400))).await;
    app.redeem(ANNA, "DAY", "test:promo").await.unwrap();
    app
}

#[rstest]
#[tokio::test]
async fn free_access_uses_neither_money_nor_free_operations_until_its_end(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = with_free_access(engine).await;

    for number in 0..6 {
        let operation = app.reserve(ANNA, &format!("test:{number}")).await;
        assert_eq!(operation.source(), wire::PaymentSource::FreeAccess);
        assert_eq!((operation.charged_kopecks, operation.promo_code.as_str()), (0, "DAY"));
        assert_eq!(operation.price_kopecks, PRICE);
        assert_eq!(app.has(ANNA).await, (PRICE, 0, 4, 1));
        assert_eq!(app.commit(&operation).await.unwrap().state(), Committed);
    }
    app.clock.advance(DAY);

    let operation = app.reserve(ANNA, "test:after").await;
    assert_eq!(operation.source(), wire::PaymentSource::FreeOperation);
    assert_eq!(app.has(ANNA).await, (PRICE, 0, 3, 1));
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn what_free_access_paid_for_goes_back_to_nobody(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = with_free_access(engine).await;
    let released = app.reserve(ANNA, "test:1").await;
    let taken_back = app.reserve(ANNA, "test:2").await;
    app.commit(&taken_back).await.unwrap();
    let expired = app.reserve(ANNA, "test:3").await;

    assert_eq!(app.refund(&released).await.unwrap().state(), Refunded);
    let by_person = app.refund_by(&taken_back, "olga").await.unwrap();
    assert_eq!((by_person.state(), by_person.refunded_kopecks), (Refunded, 0));
    let part = app.refund_part(&expired, 1, "olga:1").await;
    assert_eq!(reason_of(part), "OPERATION_NOT_COMMITTED");
    app.clock.advance(HALF_HOUR);
    assert_eq!(app.operation(&expired).await.state(), Expired);

    assert_eq!(app.has(ANNA).await, (PRICE, 0, 4, 0));
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn a_late_commit_of_free_access_works_also_after_its_end(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = with_free_access(engine).await;
    app.clock.advance(DAY - Duration::from_secs(1));
    let operation = app.reserve(ANNA, "test:1").await;
    app.clock.advance(HALF_HOUR);
    assert!(app.account(ANNA).await.redemptions.is_empty());

    let late = app.commit(&operation).await.unwrap();

    assert_eq!((late.state(), late.source()), (Committed, wire::PaymentSource::FreeAccess));
    assert_eq!(app.has(ANNA).await, (PRICE, 0, 4, 0));
    let part = app.refund_part(&late, 1, "olga:1").await.unwrap_err();
    assert_eq!(reason::of(&part).as_deref(), Some("REFUND_EXCEEDS_PRICE"));
    assert_eq!(reason::value(&part, "left_kopecks").as_deref(), Some("0"));
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn free_access_does_not_pay_where_free_operations_may_not(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let prices = "[[price]]\noperation_type = \"generate\"\nprice = \"10\"\n\
                  free_operations_allowed = false\n";
    let app = App::with(engine, Terms { prices: Some(prices), ..Terms::default() }).await;
    app.register(ANNA).await;
    app.top_up(ANNA, PRICE).await;
    app.offer("DAY", free_access(app.moment(86_400))).await;
    app.redeem(ANNA, "DAY", "test:promo").await.unwrap();

    assert_eq!(app.reserve(ANNA, "test:1").await.source(), wire::PaymentSource::Balance);
    app.finish().await;
}

// ---- who may redeem -----------------------------------------------------------------------------

#[rstest]
#[tokio::test]
async fn a_code_works_once_for_each_user_and_a_key_for_one_code(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_anna(engine).await;
    app.register(BORIS).await;
    app.offer("THREE", free_operations(3)).await;
    app.offer("TENTH", percent_off(10)).await;
    app.redeem(ANNA, "THREE", "test:1").await.unwrap();

    let again = app.redeem(ANNA, "THREE", "test:2").await.unwrap_err();
    assert_eq!(again.code(), Code::FailedPrecondition);
    assert_eq!(reason::of(&again).as_deref(), Some("PROMO_CODE_ALREADY_REDEEMED"));
    let other = app.redeem(ANNA, "TENTH", "test:1").await.unwrap_err();
    assert_eq!(other.code(), Code::AlreadyExists);
    assert_eq!(reason::of(&other).as_deref(), Some("IDEMPOTENCY_KEY_REUSED"));
    let unknown = app.redeem(ANNA, "NOBODYS", "test:3").await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
    assert_eq!(reason::of(&unknown).as_deref(), Some("PROMO_CODE_NOT_FOUND"));
    assert_eq!(reason_of(app.redeem(5, "THREE", "test:1").await), "USER_NOT_FOUND");

    // A key is the user's own, and refusals are not stored.
    app.redeem(BORIS, "THREE", "test:1").await.unwrap();
    app.redeem(ANNA, "TENTH", "test:2").await.unwrap();
    assert_eq!(app.has(ANNA).await, (0, 0, 7, 0));
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn a_code_that_is_used_up_or_stopped_gives_nothing_more_and_keeps_what_it_gave(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_money(engine, 10_000).await;
    app.register(BORIS).await;
    let once =
        wire::CreatePromoCodeRequest { redemptions_max: 1, ..offer("ONCE", percent_off(50)) };
    app.create_promo_code(once).await.unwrap();
    app.offer("TENTH", percent_off(10)).await;
    app.redeem(ANNA, "ONCE", "test:1").await.unwrap();
    let redeemed = app.redeem(ANNA, "TENTH", "test:2").await.unwrap();

    assert_eq!(reason_of(app.redeem(BORIS, "ONCE", "test:1").await), "PROMO_CODE_USED_UP");
    let stopped = app.stop_promo_code("tenth").await.unwrap();
    assert_eq!((stopped.stopped_by.as_str(), stopped.redemptions), ("olga", 1));
    assert_eq!(app.stop_promo_code("TENTH").await.unwrap(), stopped);
    assert_eq!(reason_of(app.redeem(BORIS, "TENTH", "test:2").await), "PROMO_CODE_NOT_VALID");

    assert_eq!(app.redeem(ANNA, "TENTH", "test:2").await.unwrap(), redeemed);
    assert_eq!(app.reserve(ANNA, "test:1").await.price_kopecks, 500);
    assert_eq!(app.account(ANNA).await.redemptions.len(), 2);
    assert_eq!(reason_of(app.stop_promo_code("NOBODYS").await), "PROMO_CODE_NOT_FOUND");
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn a_code_is_valid_from_its_first_moment_until_before_its_last(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_anna(engine).await;
    let bounded = wire::CreatePromoCodeRequest {
        valid_from: app.moment(60),
        valid_until: app.moment(120),
        ..offer("MINUTE", free_operations(1))
    };
    app.create_promo_code(bounded).await.unwrap();
    app.offer("HOUR", free_access(app.moment(120))).await;
    let minute = Duration::from_secs(60);

    app.clock.advance(minute - Duration::from_micros(1));
    assert_eq!(reason_of(app.redeem(ANNA, "MINUTE", "test:1").await), "PROMO_CODE_NOT_VALID");
    app.clock.advance(Duration::from_micros(1));
    app.redeem(ANNA, "MINUTE", "test:1").await.unwrap();
    app.clock.advance(minute);
    app.register(BORIS).await;
    assert_eq!(reason_of(app.redeem(BORIS, "MINUTE", "test:1").await), "PROMO_CODE_NOT_VALID");
    // An effect that is over is not redeemed either; what was redeemed in time is a repeat.
    assert_eq!(reason_of(app.redeem(BORIS, "HOUR", "test:2").await), "PROMO_CODE_NOT_VALID");
    app.redeem(ANNA, "MINUTE", "test:1").await.unwrap();
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn of_many_who_redeem_at_once_as_many_as_may_do(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::start(engine).await;
    let five =
        wire::CreatePromoCodeRequest { redemptions_max: 5, ..offer("FIVE", free_operations(1)) };
    app.create_promo_code(five).await.unwrap();
    for user in 1..=20 {
        app.register(user).await;
    }

    // Each of them twice under one key.
    let calls = (1..=20).chain(1..=20).map(|user| app.redeem(user, "FIVE", "test:promo"));
    let answers = join_all(calls).await;

    let done = answers.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!(done, 10);
    let look = app.look().await;
    assert_eq!(look.numbers("select redemptions from promo_codes").await, [[5]]);
    look.close().await;
    app.finish().await;
}

#[tokio::test]
async fn two_processes_race_for_the_last_redemption_and_one_user_gets_it() {
    let app = App::start(Engine::Postgres).await;
    let second = app.second_replica().await;
    for user in [ANNA, BORIS] {
        app.register(user).await;
    }

    for round in 0..10 {
        let code = format!("LAST{round}");
        let last =
            wire::CreatePromoCodeRequest { redemptions_max: 1, ..offer(&code, free_operations(1)) };
        app.create_promo_code(last).await.unwrap();
        let key = format!("test:{round}");
        let (anna, boris) = tokio::join!(
            app.billing().redeem_promo_code(redeem(ANNA, &code, &key)),
            second.billing.redeem_promo_code(redeem(BORIS, &code, &key)),
        );
        let refusal = match (anna, boris) {
            (Ok(_), refused @ Err(_)) | (refused @ Err(_), Ok(_)) => refused,
            both => panic!("{both:?}"),
        };
        assert_eq!(reason_of(refusal), "PROMO_CODE_USED_UP");
    }
    let given = app.account(ANNA).await.free_operations + app.account(BORIS).await.free_operations;
    assert_eq!(given, 4 + 4 + 10);
    second.stop().await;
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn promo_money_is_never_paid_out_by_a_reversal(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_money(engine, 0).await;
    app.offer("DOUBLE", bonus(100, 0)).await;
    app.redeem(ANNA, "DOUBLE", "test:promo").await.unwrap();
    let top_up = app.settled(ANNA, PRICE, "pay:1").await;
    assert_eq!(app.has(ANNA).await, (2 * PRICE, 0, 0, 0));

    // Paid and bonus together are more than the provider was paid, and only that goes back there.
    let beyond = app.reverse(&top_up, "r-1", 2 * PRICE).await;
    assert_eq!(reason_of(beyond), "TOP_UP_AMOUNT_MISMATCH");
    app.reverse(&top_up, "r-2", PRICE).await.unwrap();

    assert_eq!(app.has(ANNA).await, (0, 0, 0, 0));
    let out: i64 = app
        .statement(ANNA)
        .await
        .iter()
        .filter(|entry| entry.to_account == "clearing:yookassa")
        .map(|entry| entry.amount)
        .sum();
    assert_eq!(out, PRICE);
    app.finish().await;
}
