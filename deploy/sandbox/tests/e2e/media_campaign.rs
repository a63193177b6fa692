//! Many jobs of many users over three workers on one store, while fal.ai fails and workers are
//! killed: every job ends in one result or one refund, is submitted to an endpoint at most once, and
//! there are never more of them at fal.ai than places.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use proto::billing::v1::{OperationState, ReserveRequest};
use proto::media::v1::{GetJobRequest, Job, JobState, Mode, SubmitJobRequest};
use serde_json::json;

use crate::world::{Engine, Process, World, rounds};

const WORKERS: [Process; 3] = [Process::Worker, Process::SecondWorker, Process::ThirdWorker];
const PLACES: usize = 10;
/// The first user; the others follow.
const FIRST: i64 = 5_000_001;
/// A killed worker's jobs are taken over after its lease, and there are many of them.
const PATIENCE: Duration = Duration::from_secs(20 * 60);

/// What goes wrong at fal.ai, in turn; each strikes a few times.
const FAULTS: [&str; 5] = ["fail", "drop_submit", "file_gone", "no_face", "nsfw"];

struct Ordered {
    user_id: i64,
    operation_id: String,
}

/// Submits every user's jobs, one of each user after the other, to the workers in turn.
async fn order(world: &World, users: i64, jobs_each: usize) -> Vec<Ordered> {
    let mut orders = Vec::new();
    for nth in 0..jobs_each {
        for user_id in FIRST..FIRST + users {
            if nth == 0 {
                world.top_up_new(user_id, 1_000_000).await;
            }
            let reserved = world.billing.reserve(ReserveRequest {
                user_id,
                operation_type: "generate".to_owned(),
                idempotency_key: format!("campaign:{nth}"),
                ..ReserveRequest::default()
            });
            let operation_id = reserved.await.unwrap().operation.unwrap().operation_id;
            let submit = SubmitJobRequest {
                user_id,
                operation_id: operation_id.clone(),
                mode: Mode::Generate.into(),
                prompt: format!("picture {nth} of {user_id}"),
                ..SubmitJobRequest::default()
            };
            let worker = WORKERS[orders.len() % WORKERS.len()];
            world.media(worker).submit_job(submit).await.unwrap();
            orders.push(Ordered { user_id, operation_id });
        }
    }
    orders
}

async fn job(world: &World, order: &Ordered) -> Job {
    let request =
        GetJobRequest { user_id: order.user_id, operation_id: order.operation_id.clone() };
    loop {
        // The worker that is asked may be dead at this moment.
        if let Ok(answer) = world.media(Process::Worker).get_job(request.clone()).await {
            return answer.job.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Lets fal.ai fail and kills workers, until every job has ended.
async fn disturb(world: &mut World, orders: &[Ordered], kills: usize) -> Vec<Job> {
    let deadline = Instant::now() + PATIENCE;
    let mut ended: Vec<Option<Job>> = orders.iter().map(|_| None).collect();
    let mut round = 0;
    while ended.iter().any(Option::is_none) {
        assert!(Instant::now() < deadline, "jobs did not end");
        let fault = FAULTS[round % FAULTS.len()];
        world.faults(json!({ "fal": fault, "fal_count": 2 })).await;
        if round < kills {
            let victim = WORKERS[round % WORKERS.len()];
            world.kill(victim);
            world.restart(victim).await;
        }
        round += 1;
        for (order, ended) in orders.iter().zip(&mut ended) {
            if ended.is_none() {
                let job = job(world, order).await;
                if matches!(job.state(), JobState::Succeeded | JobState::Failed) {
                    *ended = Some(job);
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    world.faults(json!({ "fal": null, "fal_count": null })).await;
    ended.into_iter().flatten().collect()
}

/// Of the requests for one job, oldest first, all but the last have failed without being charged.
fn only_unpaid_work_is_taken_over(requests: &[serde_json::Value]) {
    let mut before: HashMap<&str, &serde_json::Value> = HashMap::new();
    for request in requests {
        let prompt = request["input"]["prompt"].as_str().unwrap();
        if let Some(first) = before.insert(prompt, request) {
            let status = first["result_status"].as_u64();
            assert!(status.is_some_and(|status| status >= 500), "paid twice: {first}, {request}");
        }
    }
}

/// The most requests that were at fal.ai at once.
fn peak(requests: &[serde_json::Value]) -> usize {
    // Ends before begins, where both are in one millisecond.
    let mut moments: Vec<(&str, bool)> = Vec::new();
    for request in requests {
        moments.push((request["submitted_at"].as_str().unwrap(), true));
        moments.push((request["ended_at"].as_str().unwrap(), false));
    }
    moments.sort_unstable();
    let (mut now, mut peak) = (0_usize, 0);
    for (_, is_begin) in moments {
        now = if is_begin { now + 1 } else { now - 1 };
        peak = peak.max(now);
    }
    peak
}

/// How long each user's jobs took, at the median, in milliseconds.
fn medians(jobs: &[Job]) -> Vec<i64> {
    let ms = |at: &prost_types::Timestamp| at.seconds * 1000 + i64::from(at.nanos) / 1_000_000;
    let mut waits: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    for job in jobs {
        let took = ms(job.ended_at.as_ref().unwrap()) - ms(job.created_at.as_ref().unwrap());
        waits.entry(job.user_id).or_default().push(took);
    }
    let median = |mut waits: Vec<i64>| {
        waits.sort_unstable();
        waits[waits.len() / 2]
    };
    waits.into_values().map(median).collect()
}

#[tokio::test]
async fn campaign_of_jobs_over_three_workers_with_faults_and_kills() {
    let (users, jobs_each, kills) = if rounds() >= 10 { (50, 10, 12) } else { (8, 5, 2) };
    let places = PLACES.to_string();
    let settings = [("FAL_MAX_CONCURRENT", places.as_str()), ("REFUSALS_PER_DAY", "2")];
    let mut world = World::start_with(Engine::Postgres, &settings).await;
    for worker in [Process::SecondWorker, Process::ThirdWorker] {
        world.restart(worker).await;
    }

    let orders = order(&world, users, jobs_each).await;
    let jobs = disturb(&mut world, &orders, kills).await;

    let mut submits: HashMap<(String, String), usize> = HashMap::new();
    let requests = world.submits().await;
    for request in &requests {
        let prompt = request["input"]["prompt"].as_str().unwrap().to_owned();
        let endpoint = request["endpoint_id"].as_str().unwrap().to_owned();
        *submits.entry((prompt, endpoint)).or_default() += 1;
    }
    assert!(submits.values().all(|times| *times == 1), "submitted twice: {submits:?}");
    only_unpaid_work_is_taken_over(&requests);
    for (order, job) in orders.iter().zip(&jobs) {
        let operations = world.operations(order.user_id).await;
        let operation = operations.iter().find(|it| it.operation_id == order.operation_id);
        let expected = match job.state() {
            JobState::Succeeded => OperationState::Committed,
            _ if job.charged => OperationState::Committed,
            _ => OperationState::Refunded,
        };
        assert_eq!(operation.unwrap().state(), expected, "{job:?}");
    }
    let succeeded = jobs.iter().filter(|job| job.state() == JobState::Succeeded).count();
    assert!(succeeded * 2 > jobs.len(), "only {succeeded} of {} succeeded", jobs.len());
    assert!(peak(&requests) <= PLACES, "{} jobs at fal.ai at once", peak(&requests));
    // Jobs of a killed worker wait for the end of its lease: half a minute, which decides about the
    // median of a few jobs, and of many does not.
    if jobs_each >= 10 {
        let medians = medians(&jobs);
        let (least, most) = (medians.iter().min().unwrap(), medians.iter().max().unwrap());
        assert!(*most <= 3 * least, "waits differ too much: {medians:?}");
    }
    world.check_books().await;
}
