//! Updates on their way to the bot, and `getUpdates`.
//!
//! Invariant: an update is forgotten only when the bot has confirmed it (or a day has passed).

use std::sync::PoisonError;

use serde_json::Value;
use tokio::time::{Duration, Instant};

use super::error::Refusal;
use super::params::Params;
use super::state::{State, Update};
use super::{Telegram, now};
use crate::faults::TelegramFault;

/// Telegram keeps updates for a day.
const KEPT_SECONDS: i64 = 24 * 60 * 60;
const LIMIT_MAX: i64 = 100;
const TIMEOUT_SECONDS_MAX: i64 = 50;
/// A bot that polls comes back sooner.
const BETWEEN_POLLS: Duration = Duration::from_secs(3);
/// Kinds that a bot gets only when it asks for them.
const ON_REQUEST: [&str; 3] = ["chat_member", "message_reaction", "message_reaction_count"];

impl Telegram {
    /// Puts an update in the queue, unless the bot does not want its kind.
    pub(super) fn enqueue(&self, kind: &str, chat_id: i64, body: impl FnOnce(&State) -> Value) {
        let twice = self.faults.all().telegram == Some(TelegramFault::RepeatUpdates)
            && self.faults.strike_telegram() == Some(TelegramFault::RepeatUpdates);
        self.state.write(|state| {
            if !is_wanted(&state.allowed_updates, kind) {
                return;
            }
            if state.last_update_id == 0 {
                // A real bot's first update has no small number either.
                state.last_update_id = 700_000_000;
            }
            state.last_update_id += 1;
            let body = body(state);
            state.updates.push_back(Update {
                update_id: state.last_update_id,
                chat_id,
                kind: kind.to_owned(),
                body,
                at: now(),
                deliveries: if twice { 2 } else { 1 },
            });
        });
        self.arrivals.send_replace(());
    }

    /// Whether a poll waits right now.
    pub(super) fn is_polled(&self) -> bool {
        self.polls.lock().unwrap_or_else(PoisonError::into_inner).waiting > 0
    }

    /// Whether somebody is there to take updates.
    pub(super) fn is_listening(&self) -> bool {
        let polls = self.polls.lock().unwrap_or_else(PoisonError::into_inner);
        polls.waiting > 0
            || polls.last.is_some_and(|last| last.elapsed() < BETWEEN_POLLS)
            || self.state.read(|state| state.webhook.is_some())
    }

    /// `getUpdates`: waits until there is something, or the time is over.
    pub(super) async fn get_updates(&self, params: &Params) -> Result<Value, Refusal> {
        self.state.read(no_webhook)?;
        let limit =
            params.int("limit").filter(|n| (1..=LIMIT_MAX).contains(n)).unwrap_or(LIMIT_MAX);
        let timeout = params.int("timeout").unwrap_or(0).clamp(0, TIMEOUT_SECONDS_MAX);
        let deadline = Instant::now() + Duration::from_secs(timeout.unsigned_abs());
        let offset = params.int("offset").unwrap_or(0);
        let allowed = allowed_updates(params)?;
        self.state.write(|state| {
            confirm(state, offset);
            if let Some(allowed) = allowed {
                state.allowed_updates = allowed;
            }
        });

        let _waiting = Waiting::begin(self);
        let mut turns = self.turns.subscribe();
        let mut turn = 0;
        self.turns.send_modify(|last| {
            *last += 1;
            turn = *last;
        });
        let mut arrivals = self.arrivals.subscribe();
        loop {
            arrivals.mark_unchanged();
            if *turns.borrow_and_update() != turn {
                return Err(Refusal::conflict(
                    "terminated by other getUpdates request; make sure that only one bot instance \
                     is running",
                ));
            }
            let batch = self.state.read(|state| {
                no_webhook(state)?;
                let limit = usize::try_from(limit).unwrap_or_default();
                Ok(state.updates.iter().take(limit).map(Update::wire).collect::<Vec<_>>())
            })?;
            if !batch.is_empty() || Instant::now() >= deadline {
                return Ok(Value::Array(batch));
            }
            tokio::select! {
                _ = arrivals.changed() => {}
                _ = turns.changed() => {}
                () = tokio::time::sleep_until(deadline) => {}
            }
        }
    }
}

/// A poll that waits, until it is dropped.
struct Waiting<'a>(&'a Telegram);

impl<'a> Waiting<'a> {
    fn begin(telegram: &'a Telegram) -> Self {
        telegram.polls.lock().unwrap_or_else(PoisonError::into_inner).waiting += 1;
        Self(telegram)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut polls = self.0.polls.lock().unwrap_or_else(PoisonError::into_inner);
        polls.waiting = polls.waiting.saturating_sub(1);
        polls.last = Some(Instant::now().into_std());
    }
}

/// The kinds that a request asks for; none: as before.
pub(super) fn allowed_updates(params: &Params) -> Result<Option<Vec<String>>, Refusal> {
    let Some(list) = params.json("allowed_updates", "allowed updates")? else { return Ok(None) };
    serde_json::from_value(list)
        .map(Some)
        .map_err(|_| Refusal::bad("expected an Array of String as allowed updates"))
}

fn is_wanted(allowed: &[String], kind: &str) -> bool {
    if allowed.is_empty() {
        !ON_REQUEST.contains(&kind)
    } else {
        allowed.iter().any(|wanted| wanted == kind)
    }
}

fn no_webhook(state: &State) -> Result<(), Refusal> {
    match state.webhook {
        None => Ok(()),
        Some(_) => Err(Refusal::conflict(
            "can't use getUpdates method while webhook is active; use deleteWebhook to delete the \
             webhook first",
        )),
    }
}

/// Forgets what `offset` confirms: everything before it, or, if negative, all but the last so many.
fn confirm(state: &mut State, offset: i64) {
    let oldest = now() - KEPT_SECONDS;
    state.updates.retain(|update| update.at >= oldest);
    if offset < 0 {
        let keep = usize::try_from(offset.unsigned_abs()).unwrap_or(usize::MAX);
        let surplus = state.updates.len().saturating_sub(keep);
        state.updates.drain(..surplus);
        return;
    }
    state.updates.retain_mut(|update| {
        if update.update_id >= offset {
            return true;
        }
        update.deliveries = update.deliveries.saturating_sub(1);
        update.deliveries > 0
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(ids: &[i64]) -> State {
        let update = |&update_id| Update {
            update_id,
            chat_id: 1,
            kind: "message".to_owned(),
            body: Value::Null,
            at: now(),
            deliveries: 1,
        };
        State { updates: ids.iter().map(update).collect(), ..State::default() }
    }

    #[track_caller]
    fn check(offset: i64, left: &[i64]) {
        let mut state = queue(&[5, 6, 7]);
        confirm(&mut state, offset);
        let ids: Vec<_> = state.updates.iter().map(|update| update.update_id).collect();
        assert_eq!(ids, left, "offset {offset}");
    }

    #[test]
    fn an_offset_confirms_what_is_before_it() {
        check(0, &[5, 6, 7]);
        check(5, &[5, 6, 7]);
        check(7, &[7]);
        check(8, &[]);
        check(-1, &[7]);
        check(-2, &[6, 7]);
        check(-9, &[5, 6, 7]);
    }

    #[test]
    fn an_update_is_forgotten_after_a_day() {
        let mut state = queue(&[5, 6]);
        state.updates[0].at -= KEPT_SECONDS + 1;
        confirm(&mut state, 0);
        assert_eq!(state.updates.len(), 1);
    }
}
