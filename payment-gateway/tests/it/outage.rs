//! A YooKassa that is away for a while: callers hear it at once, and nothing that was begun is lost.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use proto::billing::v1::TopUpState;
use proto::payments::v1::PaymentState;
use proto::{client, reason};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tonic::Code;

use crate::app::{AMOUNT, App, reason, until};
use crate::yookassa::Fault;

const SUCCEEDED: &str = "payment.succeeded";
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Much sooner than any time-out.
const AT_ONCE: Duration = Duration::from_secs(2);

#[tokio::test]
async fn a_provider_that_keeps_failing_is_not_asked_and_callers_hear_it_at_once() {
    let app = App::start().await;
    app.yookassa.set_down(true);
    assert_eq!(reason(app.create("bot:draft:1").await), reason::PROVIDER_DOWN);
    let asked = app.yookassa.requests();

    let began = Instant::now();
    let refusals = join_all((2..20).map(|number| {
        let app = &app;
        async move { app.create(&format!("bot:draft:{number}")).await }
    }))
    .await;

    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
    for refused in refusals {
        let status = refused.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(reason::of(&status).as_deref(), Some(reason::PROVIDER_DOWN));
        // The thin client does not wait longer than that, so whoever pays is told now.
        assert!(client::retry_after(&status) >= Some(client::DEADLINE), "{status:?}");
    }
    assert_eq!(app.yookassa.requests(), asked, "nobody was asked");
    assert!(app.metric("yookassa_circuit_open{calls=\"writes\"}").await >= 1.0);
    app.finish();
}

#[tokio::test]
async fn what_was_open_goes_on_when_the_provider_is_back() {
    let app = App::reconciling().await;
    let (_, paid) = app.waiting("bot:draft:1").await;
    app.yookassa.set_down(true);
    assert_eq!(reason(app.create("bot:draft:2").await), reason::PROVIDER_DOWN);
    assert_eq!(app.notify(SUCCEEDED, &paid).await, 503, "it is sent again");

    app.yookassa.pay(&paid);
    app.yookassa.set_down(false);

    until("what was paid is credited", || async { app.balance() == AMOUNT }).await;
    until("what was asked for is made", || async { app.yookassa.count() == 2 }).await;
    until("its repeat has the link", || async {
        app.create("bot:draft:2").await.is_ok_and(|created| !created.confirmation_url.is_empty())
    })
    .await;
    assert_eq!(app.yookassa.count(), 2);
    app.finish();
}

#[tokio::test]
async fn a_provider_that_hangs_is_not_asked_either_and_late_answers_are_kept() {
    let app = App::start().await;
    let gate = Arc::new(Semaphore::new(0));
    app.yookassa.fail_next(vec![Fault::Held(Arc::clone(&gate)); 5]);

    let first = join_all((1..=5).map(|number| {
        let app = &app;
        async move { app.create(&format!("bot:draft:{number}")).await }
    }))
    .await;
    let began = Instant::now();
    let next = app.create("bot:draft:6").await;

    for waited in first {
        assert_eq!(reason(waited), reason::PROVIDER_UNAVAILABLE);
    }
    assert_eq!(reason(next), reason::PROVIDER_DOWN);
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
    gate.add_permits(5);
    for number in 1..=5 {
        let key = format!("bot:draft:{number}");
        until("the late answer is recorded", || async { app.create(&key).await.is_ok() }).await;
    }
    assert_eq!((app.yookassa.count(), app.yookassa.posts().len()), (5, 5));
    app.finish();
}

#[tokio::test]
async fn an_object_that_cannot_be_read_keeps_nobody_from_paying() {
    let app = App::start().await;
    let (_, broken) = app.waiting("bot:draft:1").await;
    app.yookassa.make_unreadable(&broken);

    for _ in 0..7 {
        assert_eq!(app.notify(SUCCEEDED, &broken).await, 503);
    }
    assert!(app.yookassa.gets_of(&broken) < 7, "reads have been given up for a while");

    assert!(app.create("bot:draft:2").await.is_ok());
    app.finish();
}

#[tokio::test]
async fn a_key_that_has_grown_old_in_an_outage_is_never_sent() {
    let app = App::start().await;
    app.yookassa.set_down(true);
    assert_eq!(reason(app.create("bot:draft:1").await), reason::PROVIDER_DOWN);
    let top_up = app.billing.only_top_up();

    app.billing.set_opened_at(&top_up.top_up_id, SystemTime::now() - DAY);
    app.yookassa.set_down(false);
    until("it is looked up", || async {
        let checked = app.check(&top_up.top_up_id).await;
        checked.is_ok_and(|checked| checked.state() == PaymentState::Cancelled)
    })
    .await;

    assert_eq!(app.billing.only_top_up().cancel_reason, "payment_not_created");
    assert_eq!((app.yookassa.posts().len(), app.yookassa.count()), (0, 0));
    app.finish();
}

#[tokio::test]
async fn a_key_just_below_its_age_is_sent_and_one_above_is_not() {
    for (age, is_posted) in [(DAY * 22 / 24, true), (DAY * 23 / 24, false)] {
        let app = App::start().await;
        let (top_up_id, payment_id) = app.waiting("bot:draft:1").await;
        app.billing.forget_payment(&top_up_id);
        app.billing.set_opened_at(&top_up_id, SystemTime::now() - age);
        app.yookassa.set_created_at(&payment_id, SystemTime::now() - age);

        let repeat = app.create("bot:draft:1").await.unwrap();

        assert!(repeat.confirmation_url.ends_with(&payment_id), "{repeat:?}");
        assert_eq!(app.yookassa.posts().len(), if is_posted { 2 } else { 1 }, "{age:?}");
        assert_eq!(app.yookassa.lists() > 0, !is_posted, "{age:?}");
        let top_up = app.billing.top_up(&top_up_id);
        assert_eq!(
            (top_up.provider_payment_id, top_up.state),
            (payment_id, TopUpState::Open.into())
        );
        app.finish();
    }
}
