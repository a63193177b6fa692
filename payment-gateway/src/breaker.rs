//! Stops asking somebody who does not answer, and finds out with one call at a time whether they
//! are back: nobody waits for a time-out that all before have met.
//!
//! [`Circuit`] is the rule, and is told the time. [`Breaker`] is the circuit that calls share, with
//! a log line and a metric at each change.
//!
//! Invariant: a call that was refused here was not sent. What is open stays open: whoever is refused
//! asks again later, with the same key and body.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// So many calls in a row without an answer open the circuit.
const FAILURES_MAX: u32 = 5;
/// A call that takes longer counts as not answered while it goes on: callers are told by then that
/// it takes too long.
const ANSWER_WITHIN: Duration = Duration::from_secs(7);
/// How long nobody is asked at first; each probe that fails doubles it.
const PAUSE: Duration = Duration::from_secs(5);
/// So late at most it is noticed that they are back.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// How a call ended, as far as it tells whether they are there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ending {
    /// They said something, be it a refusal.
    Answered,
    /// No answer, or one that says that they cannot.
    Failed,
    /// Nobody waited for the end.
    Abandoned,
}

/// What a circuit has become.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Change {
    /// Calls are sent.
    Closed,
    /// No calls are sent for so long.
    Opened(Duration),
    /// One call is sent, to find out.
    Probing,
}

/// A call that may be sent.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Call(u64);

/// A call that may not be sent, and for how long.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Refused {
    /// When asking again makes sense.
    pub retry_after: Duration,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Closed { failures: u32 },
    Open { until: Instant, pause: Duration },
    Probing { probe: Call, since: Instant, pause: Duration },
}

/// The rule: closed, open, and in between.
#[derive(Debug)]
pub struct Circuit {
    state: State,
    next: u64,
    /// The calls that go on and have not counted as failed yet, with their beginnings.
    running: BTreeMap<Call, Instant>,
}

impl Default for Circuit {
    fn default() -> Self {
        Self { state: State::Closed { failures: 0 }, next: 0, running: BTreeMap::new() }
    }
}

impl Circuit {
    /// Takes a call's place, if one may be sent now; and what the question has changed.
    pub fn ask(&mut self, now: Instant) -> (Result<Call, Refused>, Option<Change>) {
        let (may, change) = self.look(now);
        match (may, self.state) {
            (Err(refused), _) => (Err(refused), change),
            (Ok(()), State::Open { pause, .. }) => {
                let probe = self.begin(now);
                self.state = State::Probing { probe, since: now, pause };
                (Ok(probe), Some(Change::Probing))
            }
            (Ok(()), State::Closed { .. } | State::Probing { .. }) => (Ok(self.begin(now)), change),
        }
    }

    /// Whether [`ask`](Self::ask) would give a place; and what the question has changed.
    pub fn look(&mut self, now: Instant) -> (Result<(), Refused>, Option<Change>) {
        let change = self.count_overdue(now);
        let may = match self.state {
            State::Open { until, .. } if now < until => Err(Refused { retry_after: until - now }),
            State::Probing { since, .. } => {
                let retry_after = (since + ANSWER_WITHIN).saturating_duration_since(now);
                Err(Refused { retry_after })
            }
            State::Closed { .. } | State::Open { .. } => Ok(()),
        };
        (may, change)
    }

    /// A call has ended.
    pub fn end(&mut self, call: Call, ending: Ending, now: Instant) -> Option<Change> {
        let overdue = self.count_overdue(now);
        let was_in_time = self.running.remove(&call).is_some();
        let probed = match self.state {
            State::Probing { probe, pause, .. } if probe == call => Some(pause),
            State::Closed { .. } | State::Open { .. } | State::Probing { .. } => None,
        };
        let change = match (ending, self.state) {
            // An answer that came too late does not show that the next comes in time.
            (Ending::Answered, _) if was_in_time => self.close(),
            (Ending::Answered, _) => None,
            (Ending::Failed, State::Closed { failures }) if was_in_time => {
                self.count(failures + 1, now)
            }
            (Ending::Failed, _) => probed.map(|pause| self.open(pause * 2, now)),
            // The next one that asks is the probe.
            (Ending::Abandoned, _) => probed.map(|pause| {
                self.state = State::Open { until: now, pause };
                Change::Opened(Duration::ZERO)
            }),
        };
        change.or(overdue)
    }

    fn begin(&mut self, now: Instant) -> Call {
        let call = Call(self.next);
        self.next += 1;
        self.running.insert(call, now);
        call
    }

    /// Calls that go on for too long are failures already.
    fn count_overdue(&mut self, now: Instant) -> Option<Change> {
        let before = self.running.len();
        let mut is_probe_overdue = None;
        let state = self.state;
        self.running.retain(|call, began| {
            let is_overdue = *began + ANSWER_WITHIN <= now;
            if let State::Probing { probe, pause, .. } = state
                && is_overdue
                && probe == *call
            {
                is_probe_overdue = Some(pause);
            }
            !is_overdue
        });
        let overdue = u32::try_from(before - self.running.len()).unwrap_or(u32::MAX);
        match (self.state, is_probe_overdue) {
            (State::Closed { failures }, _) if overdue > 0 => {
                self.count(failures.saturating_add(overdue), now)
            }
            (_, Some(pause)) => Some(self.open(pause * 2, now)),
            (State::Closed { .. } | State::Open { .. } | State::Probing { .. }, None) => None,
        }
    }

    fn count(&mut self, failures: u32, now: Instant) -> Option<Change> {
        if failures >= FAILURES_MAX {
            return Some(self.open(PAUSE, now));
        }
        self.state = State::Closed { failures };
        None
    }

    fn open(&mut self, pause: Duration, now: Instant) -> Change {
        let pause = pause.min(PAUSE_MAX);
        self.state = State::Open { until: now + pause, pause };
        Change::Opened(pause)
    }

    fn close(&mut self) -> Option<Change> {
        let was_closed = matches!(self.state, State::Closed { .. });
        self.state = State::Closed { failures: 0 };
        (!was_closed).then_some(Change::Closed)
    }
}

/// A circuit that calls share.
#[derive(Debug)]
pub struct Breaker {
    /// Which calls, as it is logged and counted.
    calls: &'static str,
    circuit: Mutex<Circuit>,
}

impl Breaker {
    /// A closed circuit for these calls.
    pub fn new(calls: &'static str) -> Self {
        Self { calls, circuit: Mutex::default() }
    }

    /// Asks for one call.
    ///
    /// # Errors
    /// When none is sent now.
    pub fn ask(&self) -> Result<Pass<'_>, Refused> {
        let (answer, change) = self.circuit().ask(Instant::now());
        self.report(change);
        answer.map(|call| Pass { breaker: self, call, ending: Ending::Abandoned })
    }

    /// Whether a call would be sent now, without taking the place of a probe.
    ///
    /// # Errors
    /// When none is sent now.
    pub fn may_ask(&self) -> Result<(), Refused> {
        let (may, change) = self.circuit().look(Instant::now());
        self.report(change);
        may
    }

    fn circuit(&self) -> MutexGuard<'_, Circuit> {
        self.circuit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn report(&self, change: Option<Change>) {
        let Some(change) = change else { return };
        let calls = self.calls;
        let (to, open) = match change {
            Change::Closed => ("closed", 0.0),
            Change::Opened(_) => ("open", 1.0),
            Change::Probing => ("probing", 1.0),
        };
        match change {
            Change::Closed => tracing::info!(calls, "yookassa: answers again, circuit closed"),
            Change::Opened(pause) => tracing::warn!(
                calls,
                pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
                "yookassa: does not answer, circuit open"
            ),
            Change::Probing => tracing::info!(calls, "yookassa: asked whether it answers again"),
        }
        metrics::counter!("yookassa_circuit_changes_total", "calls" => calls, "to" => to)
            .increment(1);
        metrics::gauge!("yookassa_circuit_open", "calls" => calls).set(open);
    }
}

/// One call that may be sent. Where nobody says how it ended, it was abandoned.
#[derive(Debug)]
pub struct Pass<'b> {
    breaker: &'b Breaker,
    call: Call,
    ending: Ending,
}

impl Pass<'_> {
    /// Says how the call ended.
    pub fn end(mut self, ending: Ending) {
        self.ending = ending;
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        let change = self.breaker.circuit().end(self.call, self.ending, Instant::now());
        self.breaker.report(change);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One step of a table: at this second, this happens, and this is what comes of it.
    enum Step {
        /// A call begins, under a name.
        Begins(&'static str, Option<Change>),
        /// A call is refused for so many seconds.
        IsRefused(u64, Option<Change>),
        /// The call of that name ends.
        Ends(&'static str, Ending, Option<Change>),
    }

    use Change::{Closed, Opened, Probing};
    use Ending::{Abandoned, Answered, Failed};
    use Step::{Begins, Ends, IsRefused};

    const fn seconds(number: u64) -> Duration {
        Duration::from_secs(number)
    }

    #[track_caller]
    fn check(steps: &[(u64, Step)]) {
        let begin = Instant::now();
        let mut circuit = Circuit::default();
        let mut calls = BTreeMap::new();
        for (number, (second, step)) in steps.iter().enumerate() {
            let now = begin + seconds(*second);
            let place = format!("step {number}, second {second}");
            match step {
                Begins(name, expected) => {
                    let (call, change) = circuit.ask(now);
                    calls.insert(*name, call.unwrap_or_else(|_| panic!("{place} is refused")));
                    assert_eq!(change, *expected, "{place}");
                }
                IsRefused(retry, expected) => {
                    let (call, change) = circuit.ask(now);
                    assert_eq!(call, Err(Refused { retry_after: seconds(*retry) }), "{place}");
                    assert_eq!(change, *expected, "{place}");
                }
                Ends(name, ending, expected) => {
                    assert_eq!(circuit.end(calls[name], *ending, now), *expected, "{place}");
                }
            }
        }
    }

    /// Five calls in a row that fail at once, at this second.
    fn outage(second: u64) -> Vec<(u64, Step)> {
        let mut steps = Vec::new();
        for number in 1..=FAILURES_MAX {
            let change = (number == FAILURES_MAX).then_some(Opened(PAUSE));
            steps.extend([(second, Begins("x", None)), (second, Ends("x", Failed, change))]);
        }
        steps
    }

    fn after_outage(more: Vec<(u64, Step)>) -> Vec<(u64, Step)> {
        outage(0).into_iter().chain(more).collect()
    }

    #[test]
    fn five_failures_in_a_row_open_it_and_an_answer_in_between_does_not() {
        check(&after_outage(vec![(0, IsRefused(5, None)), (4, IsRefused(1, None))]));

        let mut broken_row = outage(0);
        broken_row.truncate(8);
        broken_row.extend([(1, Begins("a", None)), (1, Ends("a", Answered, None))]);
        broken_row.extend(outage(2));
        check(&broken_row);
    }

    #[test]
    fn after_its_pause_one_call_finds_out_and_the_others_wait_for_it() {
        check(&after_outage(vec![
            (5, Begins("probe", Some(Probing))),
            (5, IsRefused(7, None)),
            (6, IsRefused(6, None)),
            (6, Ends("probe", Answered, Some(Closed))),
            (6, Begins("a", None)),
            (6, Begins("b", None)),
            (6, Ends("a", Failed, None)),
            (6, Ends("b", Failed, None)),
            (6, Begins("c", None)),
        ]));
    }

    #[test]
    fn a_probe_that_fails_doubles_the_pause_up_to_half_a_minute() {
        check(&after_outage(vec![
            (5, Begins("probe", Some(Probing))),
            (5, Ends("probe", Failed, Some(Opened(seconds(10))))),
            (14, IsRefused(1, None)),
            (15, Begins("probe", Some(Probing))),
            (15, Ends("probe", Failed, Some(Opened(seconds(20))))),
            (35, Begins("probe", Some(Probing))),
            (35, Ends("probe", Failed, Some(Opened(seconds(30))))),
            (65, Begins("probe", Some(Probing))),
            (65, Ends("probe", Failed, Some(Opened(seconds(30))))),
            (95, Begins("probe", Some(Probing))),
            (95, Ends("probe", Answered, Some(Closed))),
        ]));
        // The next outage begins with the short pause again.
        let mut twice = after_outage(vec![
            (5, Begins("probe", Some(Probing))),
            (5, Ends("probe", Failed, Some(Opened(seconds(10))))),
            (15, Begins("probe", Some(Probing))),
            (15, Ends("probe", Answered, Some(Closed))),
        ]);
        twice.extend(outage(20));
        check(&twice);
    }

    #[test]
    fn calls_that_hang_open_it_before_they_end() {
        let mut hanging: Vec<_> =
            ["a", "b", "c", "d", "e"].map(|name| (0, Begins(name, None))).into();
        hanging.extend([
            (6, Begins("f", None)),
            (7, IsRefused(5, Some(Opened(PAUSE)))),
            // Their ends are old news, and an answer that is late shows nothing.
            (8, Ends("a", Failed, None)),
            (8, Ends("b", Answered, None)),
            (8, IsRefused(4, None)),
            // One that comes in time shows that they are there.
            (9, Ends("f", Answered, Some(Closed))),
            (9, Begins("g", None)),
        ]);
        check(&hanging);
    }

    #[test]
    fn a_hanging_call_counts_once() {
        check(&[
            (0, Begins("a", None)),
            (7, Begins("b", None)),
            (9, Ends("a", Failed, None)),
            (9, Ends("b", Failed, None)),
            (9, Begins("c", None)),
            (9, Ends("c", Failed, None)),
            (9, Begins("d", None)),
            (9, Ends("d", Failed, None)),
            (9, Begins("e", None)),
            (9, Ends("e", Failed, Some(Opened(PAUSE)))),
        ]);
    }

    #[test]
    fn a_probe_that_hangs_is_a_failure_and_one_that_nobody_waits_for_gives_its_place_up() {
        check(&after_outage(vec![
            (5, Begins("probe", Some(Probing))),
            (12, IsRefused(10, Some(Opened(seconds(10))))),
            (20, Ends("probe", Failed, None)),
            (22, Begins("probe", Some(Probing))),
            (23, Ends("probe", Abandoned, Some(Opened(Duration::ZERO)))),
            (23, Begins("another", Some(Probing))),
            (24, Ends("another", Answered, Some(Closed))),
        ]));
    }

    #[test]
    fn a_call_from_before_the_outage_neither_counts_twice_nor_takes_the_probes_place() {
        let mut steps = vec![(0, Begins("old", None))];
        steps.extend(outage(0));
        steps.extend([
            (1, Ends("old", Failed, None)),
            (5, Begins("probe", Some(Probing))),
            (6, Ends("probe", Abandoned, Some(Opened(Duration::ZERO)))),
        ]);
        check(&steps);
    }

    #[test]
    fn a_pass_that_is_dropped_gives_the_probes_place_up() {
        let breaker = Breaker::new("test");
        for _ in 0..FAILURES_MAX {
            breaker.ask().unwrap().end(Ending::Failed);
        }
        assert!(breaker.ask().is_err());
        breaker.circuit().state = State::Open { until: Instant::now(), pause: PAUSE };

        drop(breaker.ask().unwrap());

        breaker.ask().unwrap().end(Ending::Answered);
        assert!(breaker.ask().is_ok());
    }
}
