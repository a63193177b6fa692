//! Places at the provider are counted, and users take turns for them.

use std::time::Duration;

use media_worker::settings::Settings;
use proto::media::v1::{FailureReason, JobState, Mode};
use rstest::rstest;

use crate::app::{App, USER, quick};
use crate::database::Engine;
use crate::fal::OnSubmit;

const ANOTHER: i64 = 77;

fn extending(settings: Settings) -> Settings {
    Settings { extend_waiting_every: Duration::from_millis(50), ..settings }
}

fn places(count: usize, of_a_user: usize) -> Settings {
    Settings { concurrent_max: count, jobs_per_user: of_a_user, ..quick() }
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn one_users_twenty_jobs_do_not_delay_anothers_first(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::start_with(engine, places(2, 2)).await;
    app.fal.script(|script| script.hang = true);
    let mut operations = Vec::new();
    for _ in 0..20 {
        operations.push(app.generate().await);
    }
    app.fal.until_taken(2).await;

    let first = app.generate_for(ANOTHER, "the other's first").await;
    assert_eq!(app.job(&first).await.unwrap().queue_position, Some(0));
    app.fal.script(|script| script.hang = false);

    assert_eq!(app.ended(&first).await.state(), JobState::Succeeded);
    for operation in &operations {
        assert_eq!(app.ended(operation).await.state(), JobState::Succeeded);
    }
    assert_eq!(app.fal.taken()[2].body["prompt"], "the other's first");
    app.check_books().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_user_has_so_many_jobs_at_the_provider_and_the_others_go_past(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::start_with(engine, places(4, 1)).await;
    app.fal.script(|script| script.hang = true);
    let mine = [app.generate().await, app.generate().await, app.generate().await];
    let others = app.generate_for(ANOTHER, "another").await;
    app.fal.until_taken(2).await;

    let positions = [app.job(&mine[1]).await.unwrap(), app.job(&mine[2]).await.unwrap()]
        .map(|job| (job.state(), job.queue_position, job.cancellable));
    assert_eq!(positions[0], (JobState::Queued, Some(0), true));
    assert_eq!(positions[1], (JobState::Queued, Some(1), true));
    assert_eq!(app.limits(USER).await.jobs_open, 3);
    assert_eq!(app.limits(USER).await.jobs_at_once_max, 1);

    app.fal.script(|script| script.hang = false);
    for operation in mine.iter().chain([&others]) {
        assert_eq!(app.ended(operation).await.state(), JobState::Succeeded);
    }
    app.check_books().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_workers_together_have_no_more_jobs_at_the_provider_than_places() {
    let app = App::start_with(Engine::Postgres, places(3, 3)).await;
    let others = [app.another_worker().await, app.another_worker().await];
    app.fal.script(|script| script.queue = 2);

    let mut operations = Vec::new();
    for user in 1..=6 {
        for _ in 0..4 {
            operations.push(app.generate_for(user, "a cat").await);
        }
    }
    for operation in &operations {
        assert_eq!(app.ended(operation).await.state(), JobState::Succeeded);
    }

    assert_eq!(app.fal.peak(), 3);
    for other in others {
        other.stop().await;
    }
    app.check_books().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_gets_no_place_until_its_deadline_is_refunded(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let settings = Settings { job_deadline: Duration::from_secs(2), ..places(1, 1) };
    let app = App::start_with(engine, settings).await;
    app.fal.script(|script| script.hang = true);
    let first = app.generate().await;
    app.fal.until_taken(1).await;
    let second = app.generate().await;

    assert_eq!(app.ended(&first).await.failure_detail, "not_done_in_time");
    // The provider may still be at work on the first one, so its place is not given away.
    let job = app.ended(&second).await;
    assert_eq!(job.failure_reason(), FailureReason::TimedOut);
    assert_eq!(job.failure_detail, "not_begun_in_time");
    assert_eq!(app.fal.taken().len(), 1);
    app.check_books().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn the_hold_of_a_job_that_waits_for_a_place_is_extended_until_it_begins(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::start_with(engine, extending(places(1, 1))).await;
    app.fal.script(|script| script.hang = true);
    let first = app.generate().await;
    app.fal.until_taken(1).await;
    let second = app.generate().await;

    app.until_extended(&second, 3).await;

    assert_eq!(app.job(&second).await.unwrap().state(), JobState::Queued);
    app.fal.script(|script| script.hang = false);
    for operation in [&first, &second] {
        assert_eq!(app.ended(operation).await.state(), JobState::Succeeded);
    }
    app.check_books().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_waits_does_not_wait_on_when_its_hold_is_gone(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::start_with(engine, extending(places(1, 1))).await;
    app.fal.script(|script| script.hang = true);
    let first = app.generate().await;
    app.fal.until_taken(1).await;
    let (second, third) = (app.generate().await, app.generate().await);

    app.billing.expire(&second);

    let job = app.ended(&second).await;
    assert_eq!(job.failure_reason(), FailureReason::HoldExpired);
    assert_eq!(job.failure_detail, "hold_gone");
    assert_eq!(app.job(&third).await.unwrap().state(), JobState::Queued);
    app.fal.script(|script| script.hang = false);
    for operation in [&first, &third] {
        assert_eq!(app.ended(operation).await.state(), JobState::Succeeded);
    }
    assert_eq!(app.fal.taken().len(), 2);
    app.check_books().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_billing_that_is_away_costs_no_job_its_turn(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::start_with(engine, extending(places(1, 1))).await;
    app.fal.script(|script| script.hang = true);
    let first = app.generate().await;
    app.fal.until_taken(1).await;
    let second = app.generate().await;
    app.until_extended(&second, 1).await;

    app.billing.set_down(true);
    // More than the tries of one call.
    app.until_unanswered(&second, 20).await;
    let extends = app.billing.operation(&second).extends;
    app.billing.set_down(false);

    app.until_extended(&second, extends + 2).await;
    app.fal.script(|script| script.hang = false);
    for operation in [&first, &second] {
        assert_eq!(app.ended(operation).await.state(), JobState::Succeeded);
    }
    app.check_books().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_hold_that_billing_will_not_extend_costs_no_other_job_its_own(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::start_with(engine, extending(places(1, 1))).await;
    app.fal.script(|script| script.hang = true);
    let first = app.generate().await;
    app.fal.until_taken(1).await;
    // In the order in which holds are extended.
    let refused = app.billing.reserve(USER, "generate");
    app.billing.refuse_to_extend(&refused);
    app.submit(app.request(Mode::Generate, &refused, vec![])).await.unwrap();
    let other = app.generate_for(ANOTHER, "a cat").await;

    app.until_extended(&other, 2).await;

    app.fal.script(|script| script.hang = false);
    for operation in [&first, &refused, &other] {
        assert_eq!(app.ended(operation).await.state(), JobState::Succeeded);
    }
    app.check_books().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn the_place_of_a_lost_submit_is_kept_for_a_while_and_then_given_away(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let settings = Settings { keep_place: Duration::from_millis(900), ..places(1, 1) };
    let app = App::start_with(engine, settings).await;
    app.fal.script(|script| script.submit = OnSubmit::TakeAndDrop);
    let lost = app.generate().await;
    assert_eq!(app.ended(&lost).await.failure_reason(), FailureReason::OutcomeUnknown);
    app.fal.script(|script| script.submit = OnSubmit::Take);

    let next = app.generate().await;
    assert_eq!(app.job(&next).await.unwrap().state(), JobState::Queued);

    assert_eq!(app.ended(&next).await.state(), JobState::Succeeded);
    app.check_books().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_workers_places_are_those_of_its_jobs(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let mut app = App::start_with(engine, places(1, 1)).await;
    app.fal.script(|script| script.hang_uploads = true);
    let input = app.upload(&crate::pictures::png(32, 24, 1)).await.unwrap().input_id;
    let operation = app.billing.reserve(USER, "retouch");
    let mode = proto::media::v1::Mode::Retouch;
    app.submit(app.request(mode, &operation, vec![input])).await.unwrap();
    app.fal.until_upload_begins().await;

    app.kill();
    app.fal.script(|script| script.hang_uploads = false);
    app.restart().await;

    assert_eq!(app.ended(&operation).await.state(), JobState::Succeeded);
    let next = app.generate().await;
    assert_eq!(app.ended(&next).await.state(), JobState::Succeeded);
    app.check_books().await;
}
