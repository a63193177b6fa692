//! Two thousand random calls, each predicted by a model that is small enough to be read.

use std::time::Duration;

use proto::billing::v1 as wire;
use rstest::rstest;
use tonic::Status;

use crate::app::{App, PRICE, Terms};
use crate::database::Engine;

const STEPS: u32 = 2_000;
const USERS: usize = 3;
const MINUTE: i64 = 60;
const TTL: i64 = 30 * MINUTE;
const DAY: i64 = 1_440 * MINUTE;

/// A seeded generator (xorshift): the same calls on every run and on both engines.
struct Dice(u64);

impl Dice {
    /// A number from 0 to `sides` - 1.
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % sides
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Reserved,
    Committed,
    Refunded,
    Expired,
}

#[derive(Clone, Debug)]
struct Modelled {
    state: State,
    is_free: bool,
    created_at: i64,
    expires_at: i64,
    commit_refused: bool,
    wire: wire::Operation,
}

/// What one user has, as the rules say.
#[derive(Clone, Debug, Default)]
struct Model {
    balance: i64,
    free: i64,
    operations: Vec<Modelled>,
    top_ups: Vec<(wire::TopUp, bool)>,
}

type Expected = Result<State, &'static str>;

impl Model {
    fn touch(&mut self, now: i64) {
        for index in 0..self.operations.len() {
            let operation = &mut self.operations[index];
            if operation.state == State::Reserved && now >= operation.expires_at {
                operation.state = State::Expired;
                let is_free = operation.is_free;
                self.give(is_free);
            }
        }
    }

    fn give(&mut self, is_free: bool) {
        if is_free {
            self.free += 1;
        } else {
            self.balance += PRICE;
        }
    }

    /// Takes from that source, if it is there.
    fn take(&mut self, is_free: bool) -> bool {
        let (purse, amount) =
            if is_free { (&mut self.free, 1) } else { (&mut self.balance, PRICE) };
        let is_there = *purse >= amount;
        *purse -= if is_there { amount } else { 0 };
        is_there
    }

    /// Whether a new operation can be paid for, and if it is by a free one.
    fn reserve(&mut self) -> Option<bool> {
        [true, false].into_iter().find(|&is_free| self.take(is_free))
    }

    fn commit(&mut self, index: usize, now: i64) -> Expected {
        let Modelled { state, is_free, expires_at, commit_refused, .. } = self.operations[index];
        let ended = match state {
            State::Committed => return Ok(State::Committed),
            State::Refunded if commit_refused => return Err("HOLD_EXPIRED"),
            State::Refunded => return Err("OPERATION_REFUNDED"),
            State::Reserved => State::Committed,
            State::Expired if now <= expires_at + DAY && self.take(is_free) => State::Committed,
            State::Expired => State::Refunded,
        };
        self.operations[index].state = ended;
        self.operations[index].commit_refused = ended == State::Refunded;
        if ended == State::Committed { Ok(ended) } else { Err("HOLD_EXPIRED") }
    }

    fn refund(&mut self, index: usize, by_person: bool) -> Expected {
        let Modelled { state, is_free, .. } = self.operations[index];
        match state {
            State::Committed if !by_person => return Err("OPERATION_COMMITTED"),
            State::Reserved | State::Committed => self.give(is_free),
            State::Refunded | State::Expired => {}
        }
        self.operations[index].state = State::Refunded;
        Ok(State::Refunded)
    }

    fn extend(&mut self, index: usize, now: i64) -> Expected {
        let operation = &mut self.operations[index];
        match operation.state {
            State::Committed => Err("OPERATION_COMMITTED"),
            State::Refunded => Err("OPERATION_REFUNDED"),
            State::Expired => Err("HOLD_EXPIRED"),
            State::Reserved => {
                let end = (now + TTL).min(operation.created_at + DAY);
                operation.expires_at = operation.expires_at.max(end);
                Ok(State::Reserved)
            }
        }
    }
}

fn seen(answer: Result<wire::Operation, Status>) -> Result<State, String> {
    let state = |operation: &wire::Operation| match operation.state() {
        wire::OperationState::Reserved => State::Reserved,
        wire::OperationState::Committed => State::Committed,
        wire::OperationState::Refunded => State::Refunded,
        wire::OperationState::Expired => State::Expired,
        wire::OperationState::Unspecified => panic!("{operation:?}"),
    };
    answer.map(|operation| state(&operation)).map_err(|s| proto::reason::of(&s).unwrap_or_default())
}

struct Walk {
    app: App,
    dice: Dice,
    /// Seconds since the test began.
    now: i64,
    models: Vec<Model>,
}

impl Walk {
    async fn step(&mut self, step: u32) {
        let who = self.dice.roll(USERS);
        let user = i64::try_from(who).unwrap() + 1;
        let choice = self.dice.roll(100);
        let now = self.now;
        let model = &mut self.models[who];
        if choice < 12 {
            let seconds = [1, 5 * MINUTE, 12 * MINUTE, DAY / 3][self.dice.roll(4)];
            self.now += seconds;
            self.app.clock.advance(Duration::from_secs(u64::try_from(seconds).unwrap()));
            return;
        }
        model.touch(now);
        if choice < 40 || (model.operations.is_empty() && choice < 80) {
            self.reserve(who, user, step).await;
            return;
        }
        if choice >= 90 {
            self.top_up(who, user, step).await;
            return;
        }
        if choice >= 80 {
            let has = self.app.has(user).await;
            assert_eq!((has.0, has.2), (model.balance, model.free), "step {step}, user {user}");
            return;
        }
        let index = self.dice.roll(model.operations.len());
        let of = model.operations[index].wire.clone();
        let (expected, answer) = match choice {
            40..57 => (model.commit(index, now), self.app.commit(&of).await),
            57..62 => (model.refund(index, true), self.app.refund_by(&of, "olga").await),
            62..70 => (model.refund(index, false), self.app.refund(&of).await),
            70..75 => (model.extend(index, now), self.app.extend(&of).await),
            _ => {
                let repeat = self.app.try_reserve(user, &of.idempotency_key).await;
                (Ok(model.operations[index].state), repeat)
            }
        };
        assert_eq!(seen(answer), expected.map_err(str::to_owned), "step {step}, choice {choice}");
    }

    async fn reserve(&mut self, who: usize, user: i64, step: u32) {
        let model = &mut self.models[who];
        let answer = self.app.try_reserve(user, &format!("test:{step}")).await;
        let Some(is_free) = model.reserve() else {
            assert_eq!(seen(answer), Err("INSUFFICIENT_FUNDS".to_owned()), "step {step}");
            return;
        };
        let wire = answer.unwrap();
        let is_free_seen = wire.source() == wire::PaymentSource::FreeOperation;
        assert_eq!(is_free_seen, is_free, "step {step}");
        model.operations.push(Modelled {
            state: State::Reserved,
            is_free,
            created_at: self.now,
            expires_at: self.now + TTL,
            commit_refused: false,
            wire,
        });
    }

    /// Opens a top-up, or settles (perhaps again) or cancels one that there is.
    async fn top_up(&mut self, who: usize, user: i64, step: u32) {
        let model = &mut self.models[who];
        if model.top_ups.is_empty() || self.dice.roll(3) == 0 {
            let kopecks = [1, 999, PRICE, 2_500][self.dice.roll(4)];
            let opened = self.app.open_top_up(user, kopecks, &format!("test:{step}")).await;
            model.top_ups.push((opened, false));
            return;
        }
        let index = self.dice.roll(model.top_ups.len());
        let (top_up, is_settled) = &mut model.top_ups[index];
        if self.dice.roll(4) == 0 {
            let cancelled = self.app.cancel(top_up).await;
            assert_eq!(cancelled.is_err(), *is_settled, "step {step}");
            return;
        }
        let settled = self.app.settle(top_up, &format!("p-{user}-{index}")).await.unwrap();
        if !*is_settled {
            model.balance += top_up.credited_kopecks;
        }
        *is_settled = true;
        assert_eq!(settled.account.unwrap().balance_kopecks, model.balance, "step {step}");
    }
}

#[rstest]
#[tokio::test]
async fn two_thousand_random_calls_end_as_the_rules_say(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = App::with(engine, Terms { free_operations: 2, ..Terms::default() }).await;
    for user in 1..=USERS {
        app.register(i64::try_from(user).unwrap()).await;
    }
    let model = Model { free: 2, ..Model::default() };
    let models = vec![model; USERS];
    let mut walk = Walk { app, dice: Dice(0x05ee_d0fa_ca5e), now: 0, models };

    for step in 0..STEPS {
        walk.step(step).await;
    }

    let Walk { app, models, now, .. } = walk;
    for (who, mut model) in models.into_iter().enumerate() {
        model.touch(now);
        let has = app.has(i64::try_from(who).unwrap() + 1).await;
        assert_eq!((has.0, has.2), (model.balance, model.free));
        for operation in &model.operations {
            let found = app.operation(&operation.wire).await;
            assert_eq!(seen(Ok(found)), Ok(operation.state));
        }
    }
    app.finish().await;
}
