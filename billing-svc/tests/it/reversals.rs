//! ReverseTopUp: what a provider has paid back is taken back, once, and no more than was credited.

use proto::billing::v1 as wire;
use rstest::rstest;

use crate::app::{ANNA, App, BORIS, PRICE, reason_of, roubles};
use crate::app_admin::bonus;
use crate::database::Engine;

#[rstest]
#[tokio::test]
async fn a_whole_refund_takes_the_whole_credit_back_once(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_money(engine, 500).await;
    let top_up = app.settled(ANNA, 10_000, "pay:1").await;

    let reversed = app.reverse(&top_up, "refund-1", 10_000).await.unwrap();
    let now = reversed.top_up.clone().unwrap();
    assert_eq!((now.refunded_minor_units, now.reversed_kopecks), (10_000, 10_000));
    assert_eq!(now.state(), wire::TopUpState::Settled);
    assert_eq!(reversed.account.as_ref().unwrap().balance_kopecks, 500);

    assert_eq!(app.reverse(&top_up, "refund-1", 10_000).await.unwrap(), reversed);
    assert_eq!(app.has(ANNA).await, (500, 0, 0, 0));
    let entry = app.statement(ANNA).await.pop().unwrap();
    assert_eq!((entry.cause.as_str(), entry.amount), ("reversal", 10_000));
    assert_eq!((&*entry.from_account, &*entry.to_account), ("balance", "clearing:yookassa"));
    assert_eq!(entry.top_up_id, top_up.top_up_id);
    assert_eq!(app.events(ANNA).await.last().unwrap(), &("top_up_reversed".to_owned(), 10_000));
    // It stays settled: its payment is never credited again.
    let again = app.settle(&top_up, "payment-pay:1").await.unwrap();
    assert_eq!(again.account.unwrap().balance_kopecks, 500);
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn refunds_in_parts_take_back_all_and_no_kopeck_more(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_money(engine, 0).await;
    // Paid in stars, credited in kopecks: a third of either is no whole number.
    let request = wire::OpenTopUpRequest {
        paid: Some(wire::ProviderAmount { minor_units: 7, currency: "XTR".into() }),
        provider: "stars".into(),
        ..crate::app::open_top_up(ANNA, 1_000, "pay:1")
    };
    let top_up = app.billing().open_top_up(request).await.unwrap().top_up.unwrap();
    app.settle(&top_up, "p-1").await.unwrap();
    let back = |refund: &str, minor_units| wire::ReverseTopUpRequest {
        user_id: ANNA,
        top_up_id: top_up.top_up_id.clone(),
        provider_refund_id: refund.to_owned(),
        refunded: Some(wire::ProviderAmount { minor_units, currency: "XTR".into() }),
    };

    let mut balances = Vec::new();
    for (refund, stars) in [("r-1", 1), ("r-2", 2), ("r-3", 3), ("r-4", 1)] {
        let reversed = app.billing().reverse_top_up(back(refund, stars)).await.unwrap();
        balances.push(reversed.account.unwrap().balance_kopecks);
    }

    // 142.857…, 428.571…, 857.142… are rounded down, and the last takes the rest.
    assert_eq!(balances, [858, 572, 143, 0]);
    let beyond = app.billing().reverse_top_up(back("r-5", 1)).await;
    assert_eq!(reason_of(beyond), "TOP_UP_AMOUNT_MISMATCH");
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn a_part_too_small_for_a_kopeck_is_kept_in_mind(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_money(engine, 0).await;
    let request = wire::OpenTopUpRequest {
        paid: roubles(300),
        ..crate::app::open_top_up(ANNA, 100, "pay:1")
    };
    let top_up = app.billing().open_top_up(request).await.unwrap().top_up.unwrap();
    app.settle(&top_up, "p-1").await.unwrap();

    for (refund, taken) in [("r-1", 0), ("r-2", 0), ("r-3", 1)] {
        let reversed = app.reverse(&top_up, refund, 1).await.unwrap();
        assert_eq!(reversed.top_up.unwrap().reversed_kopecks, taken);
    }
    // A refund that has taken nothing is known all the same.
    app.reverse(&top_up, "r-1", 1).await.unwrap();
    assert_eq!(reason_of(app.reverse(&top_up, "r-1", 2).await), "IDEMPOTENCY_KEY_REUSED");
    assert_eq!(app.has(ANNA).await, (99, 0, 0, 0));
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn money_that_was_spent_leaves_a_debt_and_free_operations_still_work(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_money(engine, 0).await;
    let top_up = app.settled(ANNA, 3 * PRICE, "pay:1").await;
    let committed = app.reserve(ANNA, "test:1").await;
    app.commit(&committed).await.unwrap();
    let held = app.reserve(ANNA, "test:2").await;

    let reversed = app.reverse(&top_up, "refund-1", 3 * PRICE).await.unwrap();
    assert_eq!(reversed.account.unwrap().balance_kopecks, -2 * PRICE);
    assert_eq!(app.has(ANNA).await, (-2 * PRICE, PRICE, 0, 0));

    // No money can be spent, taken or paid back beyond it; what is held can be finished.
    assert_eq!(reason_of(app.try_reserve(ANNA, "test:3").await), "INSUFFICIENT_FUNDS");
    assert_eq!(reason_of(app.adjust(ANNA, -1, "olga:1").await), "INSUFFICIENT_FUNDS");
    app.commit(&held).await.unwrap();
    app.grant(ANNA, 1, "olga:2").await.unwrap();
    let free = app.reserve(ANNA, "test:3").await;
    assert_eq!(free.source(), wire::PaymentSource::FreeOperation);
    app.commit(&free).await.unwrap();
    assert_eq!(app.has(ANNA).await, (-2 * PRICE, 0, 0, 0));

    // What comes in fills it first.
    app.top_up(ANNA, 2 * PRICE + 999).await;
    assert_eq!(reason_of(app.try_reserve(ANNA, "test:4").await), "INSUFFICIENT_FUNDS");
    app.refund_by(&held, "olga").await.unwrap();
    app.reserve(ANNA, "test:4").await;
    assert_eq!(app.has(ANNA).await, (999, PRICE, 0, 0));
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn a_late_commit_finds_no_money_in_a_debt(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_money(engine, 0).await;
    let top_up = app.settled(ANNA, PRICE, "pay:1").await;
    let operation = app.reserve(ANNA, "test:1").await;
    app.reverse(&top_up, "refund-1", PRICE).await.unwrap();
    assert_eq!(app.has(ANNA).await, (-PRICE, PRICE, 0, 0));

    app.clock.advance(crate::app::HALF_HOUR);
    assert_eq!(app.has(ANNA).await, (0, 0, 0, 0));
    assert_eq!(reason_of(app.commit(&operation).await), "HOLD_EXPIRED");
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn the_same_share_of_a_bonus_goes_back_to_where_it_came_from(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_money(engine, 0).await;
    app.offer("FIFTH", bonus(20, 0)).await;
    app.redeem(ANNA, "FIFTH", "test:promo").await.unwrap();
    let top_up = app.settled(ANNA, 1_001, "pay:1").await;
    assert_eq!(top_up.bonus_kopecks, 200);
    assert_eq!(app.has(ANNA).await, (1_201, 0, 0, 0));

    let half = app.reverse(&top_up, "refund-1", 500).await.unwrap().top_up.unwrap();
    // 99.9 kopecks of the bonus.
    assert_eq!((half.reversed_kopecks, half.reversed_bonus_kopecks), (500, 99));
    let whole = app.reverse(&top_up, "refund-2", 501).await.unwrap().top_up.unwrap();
    assert_eq!((whole.reversed_kopecks, whole.reversed_bonus_kopecks), (1_001, 200));
    assert_eq!(app.has(ANNA).await, (0, 0, 0, 0));

    // Promo money was never paid out: what the provider got back is what it had paid.
    let moved: Vec<_> = app
        .statement(ANNA)
        .await
        .into_iter()
        .filter(|entry| entry.cause == "reversal")
        .map(|entry| (entry.to_account, entry.amount))
        .collect();
    let expected =
        [("clearing:yookassa", 500), ("promo", 99), ("clearing:yookassa", 501), ("promo", 101)];
    assert_eq!(moved, expected.map(|(to, amount)| (to.to_owned(), amount)));
    let told: Vec<_> =
        app.events(ANNA).await.into_iter().filter(|e| e.0 != "top_up_settled").collect();
    assert_eq!(told, [("top_up_reversed".into(), 599), ("top_up_reversed".into(), 602)]);
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn what_does_not_fit_is_refused_and_changes_nothing(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_money(engine, 0).await;
    app.register(BORIS).await;
    let open = app.open_top_up(ANNA, 1_000, "pay:open").await;
    let cancelled = app.open_top_up(ANNA, 1_000, "pay:cancelled").await;
    app.cancel(&cancelled).await.unwrap();
    let first = app.settled(ANNA, 1_000, "pay:1").await;
    let second = app.settled(ANNA, 1_000, "pay:2").await;

    assert_eq!(reason_of(app.reverse(&open, "r", 1_000).await), "TOP_UP_NOT_SETTLED");
    assert_eq!(reason_of(app.reverse(&cancelled, "r", 1_000).await), "TOP_UP_NOT_SETTLED");
    assert_eq!(reason_of(app.reverse(&first, "r", 1_001).await), "TOP_UP_AMOUNT_MISMATCH");
    let stars = wire::ReverseTopUpRequest {
        user_id: ANNA,
        top_up_id: first.top_up_id.clone(),
        provider_refund_id: "r".into(),
        refunded: Some(wire::ProviderAmount { minor_units: 1, currency: "XTR".into() }),
    };
    assert_eq!(reason_of(app.billing().reverse_top_up(stars).await), "TOP_UP_AMOUNT_MISMATCH");
    let of_boris = wire::TopUp { user_id: BORIS, ..first.clone() };
    assert_eq!(reason_of(app.reverse(&of_boris, "r", 1).await), "TOP_UP_NOT_FOUND");
    assert_eq!(app.has(ANNA).await, (2_000, 0, 0, 0));

    // Refusals are not stored: the same refund works where it fits, and then nowhere else.
    app.reverse(&first, "r", 400).await.unwrap();
    assert_eq!(reason_of(app.reverse(&first, "r", 500).await), "IDEMPOTENCY_KEY_REUSED");
    assert_eq!(reason_of(app.reverse(&second, "r", 400).await), "IDEMPOTENCY_KEY_REUSED");
    assert_eq!(reason_of(app.reverse(&first, "r-2", 601).await), "TOP_UP_AMOUNT_MISMATCH");
    assert_eq!(app.has(ANNA).await, (1_600, 0, 0, 0));
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn one_refund_that_is_told_many_times_at_once_is_taken_once(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_money(engine, 0).await;
    let top_up = app.settled(ANNA, 10_000, "pay:1").await;

    let calls = (0..32).map(|_| app.reverse(&top_up, "r-1", 2_500));
    let answers = futures_util::future::join_all(calls).await;

    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(app.has(ANNA).await, (7_500, 0, 0, 0));
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn bad_input_names_its_field(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let app = App::with_money(engine, 0).await;
    let top_up = app.settled(ANNA, 1_000, "pay:1").await;
    let good = || wire::ReverseTopUpRequest {
        user_id: ANNA,
        top_up_id: top_up.top_up_id.clone(),
        provider_refund_id: "r".into(),
        refunded: roubles(1),
    };
    let of = |minor_units, currency: &str| {
        Some(wire::ProviderAmount { minor_units, currency: currency.to_owned() })
    };
    type Request = wire::ReverseTopUpRequest;

    for (request, field) in [
        (Request { user_id: 0, ..good() }, "user_id"),
        (Request { top_up_id: "1".into(), ..good() }, "top_up_id"),
        (Request { provider_refund_id: String::new(), ..good() }, "provider_refund_id"),
        (Request { provider_refund_id: "r".repeat(129), ..good() }, "provider_refund_id"),
        (Request { provider_refund_id: "возврат".into(), ..good() }, "provider_refund_id"),
        (Request { refunded: None, ..good() }, "refunded"),
        (Request { refunded: of(0, "RUB"), ..good() }, "refunded.minor_units"),
        (Request { refunded: of(i64::MIN, "RUB"), ..good() }, "refunded.minor_units"),
        (Request { refunded: of(1_000_000_001, "RUB"), ..good() }, "refunded.minor_units"),
        (Request { refunded: of(1, "rub"), ..good() }, "refunded.currency"),
        (Request { refunded: of(1, ""), ..good() }, "refunded.currency"),
    ] {
        let refusal = app.billing().reverse_top_up(request).await.unwrap_err();
        assert_eq!(refusal.code(), tonic::Code::InvalidArgument, "{refusal:?}");
        assert_eq!(proto::reason::value(&refusal, "field").as_deref(), Some(field));
    }
    assert_eq!(app.has(ANNA).await, (1_000, 0, 0, 0));
    app.finish().await;
}

#[rstest]
#[tokio::test]
async fn what_was_taken_back_in_a_span_of_time_is_read_oldest_first_by_pages(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with_money(engine, 0).await;
    app.register(BORIS).await;
    let annas = app.settled(ANNA, 10_000, "pay:1").await;
    let boriss = app.settled(BORIS, 10_000, "pay:2").await;
    let mut expected = Vec::new();
    for (number, top_up) in [&boriss, &annas, &annas, &boriss, &annas].into_iter().enumerate() {
        app.clock.advance(std::time::Duration::from_secs(60));
        // Two of them at the same moment; an id may have dots.
        for refund in [format!("r.{number}.a"), format!("r.{number}.b")] {
            app.reverse(top_up, &refund, 100).await.unwrap();
            expected.push((top_up.user_id, top_up.top_up_id.clone(), refund));
        }
    }

    let list = |page_token, from, to| wire::ListReversalsRequest {
        provider: "yookassa".into(),
        from,
        to,
        page_size: 3,
        page_token,
    };
    let mut found = Vec::new();
    let mut page_token = String::new();
    loop {
        let page = app.billing().list_reversals(list(page_token, None, None)).await.unwrap();
        found.extend(page.reversals);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }

    let names = |reversals: &[wire::Reversal]| {
        let name =
            |it: &wire::Reversal| (it.user_id, it.top_up_id.clone(), it.provider_refund_id.clone());
        reversals.iter().map(name).collect::<Vec<_>>()
    };
    assert_eq!(names(&found), expected);
    assert_eq!((found[0].refunded.clone(), found[0].reversed_kopecks), (roubles(100), 100));
    let (from, to) = (found[2].created_at, found[4].created_at);
    let some = app.billing().list_reversals(list(String::new(), from, to)).await.unwrap();
    assert_eq!(some.reversals, found[2..4]);
    app.finish().await;
}
