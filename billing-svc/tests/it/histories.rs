//! Random histories through the model and the service: every answer and all that is stored at the
//! end are the same, or the shortest history that shows a difference is printed.
//!
//! `PROPERTY_OPERATIONS` says how many operations (100,000), `PROPERTY_SEED` which ones.

use std::fmt::Write as _;
use std::sync::Mutex;
use std::time::Duration;

use futures_util::future::join_all;
use proto::billing::v1 as wire;
use rstest::rstest;

use crate::app::{App, HALF_HOUR, Terms};
use crate::database::Engine;
use crate::model::{Caller, Dice, Lane, Request, Times, World, compare_all};
use crate::rounds::number_from_environment;

const USERS: i64 = 120;
/// Odd, so that percentages and parts have to be rounded.
const PRICE: i64 = 997;
const FREE_OPERATIONS: u32 = 2;
/// Calls of each user between two moves of the clock.
const CALLS: usize = 8;
const SEED: u64 = 20_261_125;
/// Shorter histories that are tried before the shortest so far is shown.
const SHRINKS_MAX: usize = 150;

fn terms() -> Terms {
    Terms { free_operations: FREE_OPERATIONS, price_kopecks: PRICE, ..Terms::default() }
}

/// One step of a history that is run by itself.
#[derive(Clone, Debug)]
enum Step {
    /// The clock moves on by so many seconds.
    Wait(u64),
    Call(Request),
}

/// What happens between two moves of the clock: first what concerns several users, one after the
/// other; then everybody at once, each user's calls in order.
struct Round {
    wait: u64,
    shared: Vec<Request>,
    lanes: Vec<Vec<Request>>,
}

/// Where model and service differ.
#[derive(Clone, Debug)]
struct Difference {
    user_id: i64,
    text: String,
}

/// Makes the rounds, one after the other.
struct Generator {
    dice: Dice,
    lanes: Vec<Lane>,
    now: i64,
    /// Promo codes that everybody may redeem at any moment, and those that are used up.
    open_codes: Vec<String>,
    scarce_codes: Vec<String>,
}

impl Generator {
    fn new(seed: u64, now: i64) -> Self {
        let lanes = (1..=USERS).map(|user_id| Lane::new(user_id, PRICE, seed)).collect();
        let dice = Dice::new(seed);
        Self { dice, lanes, now, open_codes: Vec::new(), scarce_codes: Vec::new() }
    }

    fn first_round(&mut self) -> Round {
        let register =
            |user_id| Request::Register(wire::RegisterUserRequest { user_id, profile: None });
        let mut shared: Vec<_> = (1..=USERS).map(register).collect();
        shared.extend((0..17).map(|number| self.new_code(number)));
        Round { wait: 0, shared, lanes: Vec::new() }
    }

    fn round(&mut self, number: u32) -> Round {
        let wait = [0, 1, 300, 1_200, 1_800, 1_799, 30_000, 90_000][self.dice.roll(8)];
        self.now += i64::try_from(wait).unwrap() * 1_000_000;
        let shared = (0..4).map(|part| self.shared(20 + number * 4 + part)).collect();
        let codes = &self.open_codes;
        let lane = |lane: &mut Lane| (0..CALLS).map(|_| lane.next(codes)).collect();
        Round { wait, shared, lanes: self.lanes.iter_mut().map(lane).collect() }
    }

    /// What several users have in common: codes, payments, batches.
    fn shared(&mut self, number: u32) -> Request {
        let who = self.dice.roll(self.lanes.len());
        match self.dice.roll(8) {
            0 => self.new_code(number),
            1 => Request::StopPromoCode(wire::StopPromoCodeRequest {
                code: self.dice.pick(&self.scarce_codes),
                actor: "olga".into(),
                reason: "over".into(),
            }),
            2..5 => Request::Redeem(self.lanes[who].redeem(&self.scarce_codes)),
            5 => {
                let mut settle = self.lanes[who].settle();
                // The payment of somebody else.
                let other = self.dice.roll(self.lanes.len());
                settle.provider_payment_id = self.lanes[other].settle().provider_payment_id;
                Request::Settle(settle)
            }
            _ => {
                let size = 2 + self.dice.roll(20);
                let lane = |generator: &mut Self| generator.dice.roll(generator.lanes.len());
                let items = (0..size).map(|_| {
                    let who = lane(self);
                    self.lanes[who].reserve()
                });
                let items = items.collect();
                let all_or_nothing = self.dice.one_in(2);
                Request::BatchReserve(wire::BatchReserveRequest { items, all_or_nothing })
            }
        }
    }

    fn new_code(&mut self, number: u32) -> Request {
        use wire::promo_effect::Effect;
        let is_scarce = number % 2 == 1;
        let later = |generator: &Self, seconds: i64| {
            let end = generator.now / 1_000_000 + seconds;
            prost_types::Timestamp { seconds: end, nanos: 0 }
        };
        let days = i64::try_from(self.dice.roll(8)).unwrap() + 1;
        let until = Some(later(self, days * 86_400)).filter(|_| self.dice.one_in(2));
        let effect = match number / 2 % 4 {
            0 => Effect::OperationDiscount(wire::OperationDiscount {
                percent: i32::try_from(number % 98).unwrap() + 1,
                until,
            }),
            1 => Effect::TopUpBonus(wire::TopUpBonus {
                percent: self.dice.pick(&[1, 10, 33, 1_000]),
                bonus_max_kopecks: self.dice.pick(&[0, 100, 5_000]),
                until,
            }),
            2 => Effect::FreeOperations(wire::FreeOperations { count: 3 }),
            _ => Effect::FreeAccess(wire::FreeAccess { until: Some(later(self, 7_200)) }),
        };
        let code = format!("C{number}");
        if is_scarce { &mut self.scarce_codes } else { &mut self.open_codes }.push(code.clone());
        // A code that exists, perhaps with another payload.
        let is_new = number < 17 || !self.dice.one_in(6);
        let code = if is_new { code } else { self.dice.pick(&self.scarce_codes) };
        Request::CreatePromoCode(wire::CreatePromoCodeRequest {
            code,
            effect: Some(wire::PromoEffect { effect: Some(effect) }),
            redemptions_max: if is_scarce { 3 } else { 0 },
            valid_from: Some(later(self, 600)).filter(|_| self.dice.one_in(6)),
            valid_until: Some(later(self, 200_000)).filter(|_| self.dice.one_in(3)),
            actor: "olga".into(),
            reason: "весна".into(),
        })
    }
}

/// A service and the model beside it.
struct Both {
    app: App,
    caller: Caller,
    world: Mutex<World>,
}

impl Both {
    async fn start(engine: Engine) -> Self {
        let app = App::with(engine, terms()).await;
        let caller = Caller::new(&app.replica.grpc_url, Times::Compared);
        let ttl = i64::try_from(HALF_HOUR.as_micros()).unwrap();
        let world = World::new(app.now(), PRICE, i64::from(FREE_OPERATIONS), ttl);
        Self { app, caller, world: Mutex::new(world) }
    }

    fn wait(&self, seconds: u64) {
        let by = Duration::from_secs(seconds);
        self.app.clock.advance(by);
        self.world.lock().unwrap().now += i64::try_from(by.as_micros()).unwrap();
    }

    async fn call(&self, request: &Request) -> Result<(), Difference> {
        let expected = self.world.lock().unwrap().call(request);
        match self.caller.differs(request, expected).await {
            None => Ok(()),
            Some(text) => {
                let user_id = request.users().first().copied().unwrap_or_default();
                Err(Difference { user_id, text })
            }
        }
    }

    async fn round(&self, round: &Round) -> Result<(), Difference> {
        self.wait(round.wait);
        for request in &round.shared {
            self.call(request).await?;
        }
        let lanes = round.lanes.iter().map(|lane| async move {
            for request in lane {
                self.call(request).await?;
            }
            Ok(())
        });
        join_all(lanes).await.into_iter().collect()
    }

    /// Compares what is stored, and ends the service.
    async fn finish(self) -> Result<(), Difference> {
        let Self { app, caller, world } = self;
        let look = app.look().await;
        let mut world = world.into_inner().unwrap();
        let compared = compare_all(&mut world, &caller, &look).await;
        look.close().await;
        compared.map_err(|(user_id, text)| Difference { user_id, text })?;
        app.finish().await;
        Ok(())
    }
}

/// Runs one history by itself, on an empty database.
async fn replay(engine: Engine, steps: &[Step]) -> Option<Difference> {
    let both = Both::start(engine).await;
    for step in steps {
        match step {
            Step::Wait(seconds) => both.wait(*seconds),
            Step::Call(request) => {
                if let Err(difference) = both.call(request).await {
                    return Some(difference);
                }
            }
        }
    }
    both.finish().await.err()
}

/// The part of the rounds that one user's history depends on.
fn history_of(rounds: &[Round], user_id: i64) -> Vec<Step> {
    let is_theirs = |request: &&Request| {
        let users = request.users();
        users.is_empty() || users.contains(&user_id)
    };
    let steps = rounds.iter().flat_map(|round| {
        let own = round.lanes.iter().flatten().chain(&round.shared).filter(is_theirs);
        let (own, shared): (Vec<_>, Vec<_>) = own
            .partition(|request| round.lanes.iter().flatten().any(|r| std::ptr::eq(r, *request)));
        let calls = shared.into_iter().chain(own).map(|request| Step::Call(request.clone()));
        std::iter::once(Step::Wait(round.wait)).chain(calls).collect::<Vec<_>>()
    });
    steps.collect()
}

/// Leaves out ever smaller parts, for as long as what is left shows a difference.
async fn shrink(
    engine: Engine,
    mut steps: Vec<Step>,
    mut shown: Difference,
) -> (Vec<Step>, Difference) {
    let mut part = steps.len().div_ceil(2);
    let mut tries = 0;
    while part > 0 {
        let mut start = 0;
        while start < steps.len() && tries < SHRINKS_MAX {
            let without: Vec<Step> =
                steps.iter().take(start).chain(steps.iter().skip(start + part)).cloned().collect();
            tries += 1;
            match replay(engine, &without).await {
                Some(difference) => (steps, shown) = (without, difference),
                None => start += part,
            }
        }
        part = if part == 1 { 0 } else { part.div_ceil(2) };
    }
    (steps, shown)
}

/// Says what differs in as few steps as possible, and how to see it again.
async fn report(engine: Engine, seed: u64, rounds: &[Round], found: Difference) -> String {
    let mut text = format!("model and service differ: {}\n", found.text);
    let steps = history_of(rounds, found.user_id);
    match replay(engine, &steps).await {
        None => text.push_str("Only beside the calls of other users.\n"),
        Some(shown) => {
            let count = steps.len();
            let (steps, shown) = shrink(engine, steps, shown).await;
            writeln!(text, "\n{count} steps of that user, shrunk to {}:", steps.len()).unwrap();
            for step in &steps {
                writeln!(text, "  {step:?}").unwrap();
            }
            writeln!(text, "after which {}", shown.text).unwrap();
        }
    }
    let test = "test(random_histories)";
    writeln!(text, "Again: PROPERTY_SEED={seed} cargo nextest run -p billing-svc -E '{test}'")
        .unwrap();
    text
}

/// Runs at least so many operations, and answers how many.
async fn run(engine: Engine, seed: u64, operations: u64) -> u64 {
    let both = Both::start(engine).await;
    let mut generator = Generator::new(seed, both.app.now());
    let mut rounds = vec![generator.first_round()];
    let mut done = 0;
    let mut ended = both.round(&rounds[0]).await;
    while ended.is_ok() && done < operations {
        let round = generator.round(u32::try_from(rounds.len()).unwrap());
        let calls = round.shared.iter().chain(round.lanes.iter().flatten());
        done += u64::try_from(calls.map(Request::count).sum::<usize>()).unwrap();
        ended = both.round(&round).await;
        rounds.push(round);
    }
    if ended.is_ok() {
        ended = both.finish().await;
    }
    if let Err(found) = ended {
        panic!("{}", report(engine, seed, &rounds, found).await);
    }
    done
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_histories_are_answered_and_stored_as_the_rules_say(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let seed = number_from_environment("PROPERTY_SEED", SEED);
    let operations = number_from_environment("PROPERTY_OPERATIONS", 100_000);

    let done = run(engine, seed, operations).await;

    println!("{done} operations on {engine:?}, seed {seed}");
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn campaign_of_random_histories_from_other_seeds(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    // One in every run, so that the campaign itself is known to work.
    for round in 0..number_from_environment("TEST_ROUNDS", 1) {
        run(engine, SEED + 1 + round, if round == 0 { 2_000 } else { 20_000 }).await;
    }
}
