//! Inviting friends.

use proto::billing::v1::event::What;
use proto::billing::v1::{Event, TopUp, TopUpSettled};
use rstest::rstest;

use crate::app::{App, Engine, User, said};
use crate::fakes::to_lend;

/// Billing says that somebody has paid in.
async fn pays_in(app: &App, user: User<'_>, number: i64, credited_kopecks: i64) {
    let top_up = TopUp {
        top_up_id: format!("top-up-{number}"),
        user_id: user.id,
        credited_kopecks,
        ..TopUp::default()
    };
    let settled = TopUpSettled { top_up: Some(top_up), balance_after_kopecks: credited_kopecks };
    let what = Some(What::TopUpSettled(settled));
    let event = Event { user_id: user.id, number, created_at: None, what };
    app.model(|model| model.events.push(to_lend(event)));
    let is_told = |model: &mut crate::fakes::Model| {
        model.events.iter().all(|event| event.is_acknowledged).then_some(())
    };
    app.until("the top-up is told", is_told).await;
}

fn free(app: &App, user: User<'_>) -> i64 {
    app.model(|model| model.accounts[&user.id].free_operations)
}

#[rstest]
#[case(Engine::Sqlite)]
#[case(Engine::Postgres)]
#[tokio::test]
async fn both_are_rewarded_once_when_the_friend_has_paid_in(#[case] engine: Engine) {
    let app = App::start_on(engine).await;
    let referrer = app.guest().await;
    let asked = referrer.writes("/invite").await;
    let shown = said(&referrer.reads(asked, "Пригласите друга").await);
    let link = format!("?start=ref_{}", referrer.id);
    assert!(shown.contains(&link) && shown.contains("Пришли: 0."), "{shown}");

    let friend = app.user().await;
    let start = friend.writes(&format!("/start ref_{}", referrer.id)).await;
    friend.reads(start, "Вы пришли по приглашению").await;
    pays_in(&app, friend, 1, 9_900).await;
    assert_eq!((free(&app, friend), free(&app, referrer)), (4, 4), "too little");
    pays_in(&app, friend, 2, 10_000).await;
    assert_eq!((free(&app, friend), free(&app, referrer)), (7, 7));
    pays_in(&app, friend, 3, 10_000).await;
    assert_eq!((free(&app, friend), free(&app, referrer)), (7, 7), "only the first");

    let asked = referrer.writes("/invite").await;
    let shown = said(&referrer.reads(asked, "Пригласите друга").await);
    assert!(shown.contains("Пришли: 1. Пополнили: 1. Заработано: 3 бесплатные"), "{shown}");
    app.stop().await;
}

#[tokio::test]
async fn nobody_is_invited_by_oneself_or_twice_or_late() {
    let app = App::start().await;
    let referrer = app.guest().await;
    let newcomer = app.user().await;
    let own = newcomer.writes(&format!("/start ref_{}", newcomer.id)).await;
    newcomer.reads(own, "ваша собственная ссылка").await;
    let late = newcomer.writes(&format!("/start ref_{}", referrer.id)).await;
    newcomer.reads(late, "только для новых пользователей").await;
    let strange = app.user().await;
    for payload in ["ref_", "ref_x", "ref_-5", "ref_99999999999999999999", "hello"] {
        let start = strange.writes(&format!("/start {payload}")).await;
        strange.reads(start, "Выберите, что сделать").await;
    }

    pays_in(&app, newcomer, 1, 50_000).await;
    pays_in(&app, strange, 1, 50_000).await;

    app.model(|model| assert!(model.grant_keys.is_empty(), "{:?}", model.grant_keys));
    app.stop().await;
}

#[tokio::test]
async fn a_referrer_without_an_account_keeps_nobody_waiting() {
    let app = App::start().await;
    let friend = app.user().await;
    let start = friend.writes("/start ref_777").await;
    friend.reads(start, "Вы пришли по приглашению").await;

    pays_in(&app, friend, 1, 10_000).await;

    assert_eq!(free(&app, friend), 7);
    friend.reads(start, "Баланс пополнен на 100 ₽").await;
    app.stop().await;
}

#[tokio::test]
async fn a_reward_that_is_refused_comes_with_the_next_top_up() {
    let app = App::start().await;
    let referrer = app.guest().await;
    let friend = app.user().await;
    let start = friend.writes(&format!("/start ref_{}", referrer.id)).await;
    friend.reads(start, "Вы пришли по приглашению").await;
    app.model(|model| model.refuses_grants = true);

    pays_in(&app, friend, 1, 10_000).await;
    friend.reads(start, "Баланс пополнен на 100 ₽").await;
    assert_eq!((free(&app, friend), free(&app, referrer)), (4, 4));
    app.model(|model| model.refuses_grants = false);
    pays_in(&app, friend, 2, 20_000).await;

    assert_eq!((free(&app, friend), free(&app, referrer)), (7, 7));
    app.stop().await;
}
