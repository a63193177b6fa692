//! Whether what concurrent callers of one user saw can be explained by one order of their calls.
//!
//! The order has to agree with the ledger (each call writes exactly the entries that follow), and
//! with time (no call comes before one that was answered before it was asked).

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use proto::billing::v1 as wire;

use super::request::{Ended, Request};
use super::world::World;

/// Orders that are tried before it is called inexplicable.
const TRIES_MAX: u32 = 20_000;

/// One call as its caller saw it; both moments are counted by one counter.
#[derive(Clone, Debug)]
pub(crate) struct Observed {
    pub(crate) asked: u64,
    pub(crate) answered: u64,
    pub(crate) request: Request,
    pub(crate) ended: Ended,
}

struct Search<'s> {
    user_id: i64,
    calls: &'s [Observed],
    ledger: &'s [wire::Entry],
    /// Dead ends: which calls were placed, and what the user then had.
    dead: HashSet<u64>,
    tries: u32,
    /// How far the best order came, and what could not follow.
    best: (usize, String),
}

/// Finds the order, and answers with the user as it is after it.
///
/// # Errors
/// Says which calls cannot follow the longest order that was found.
pub(crate) fn explain(
    before: &World,
    user_id: i64,
    calls: &[Observed],
    ledger: &[wire::Entry],
) -> Result<World, String> {
    let mut search =
        Search { user_id, calls, ledger, dead: HashSet::new(), tries: 0, best: (0, String::new()) };
    let placed = vec![false; calls.len()];
    search.go(before.of_user(user_id), placed).ok_or_else(|| {
        let (count, next) = &search.best;
        format!("user {user_id}: after {count} of {} calls nothing fits:\n{next}", calls.len())
    })
}

impl Search<'_> {
    fn go(&mut self, mut world: World, mut placed: Vec<bool>) -> Option<World> {
        loop {
            let open: Vec<usize> = (0..self.calls.len()).filter(|i| !placed[*i]).collect();
            let Some(first) = open.iter().map(|i| self.calls[*i].answered).min() else {
                let is_all = world.entries(self.user_id).len() == self.ledger.len();
                return is_all.then_some(world);
            };
            let fits: Vec<(usize, World)> = open
                .iter()
                .filter(|i| self.calls[**i].asked < first)
                .filter_map(|i| Some((*i, self.place(&world, *i)?)))
                .collect();
            if fits.is_empty() {
                self.note(&placed, &open, first, &world);
                return None;
            }
            // What changes nothing can be placed where it fits, unless it would change something
            // later: a profile may be set back to what it is now.
            let still = fits.iter().find(|(call, after)| {
                let sets_profile = matches!(self.calls[*call].request, Request::Register(_));
                !sets_profile && self.is_same(&world, after)
            });
            if let Some((call, _)) = still {
                placed[*call] = true;
                continue;
            }
            if let [(call, after)] = &fits[..] {
                placed[*call] = true;
                world = after.clone();
                continue;
            }
            return self.branch(fits, &placed);
        }
    }

    fn branch(&mut self, mut fits: Vec<(usize, World)>, placed: &[bool]) -> Option<World> {
        // What was answered first was most likely first.
        fits.sort_by_key(|(call, _)| self.calls[*call].answered);
        for (call, after) in fits {
            let mut placed = placed.to_vec();
            placed[call] = true;
            self.tries += 1;
            if self.tries > TRIES_MAX || !self.dead.insert(self.mark(&placed, &after)) {
                continue;
            }
            if let Some(world) = self.go(after, placed) {
                return Some(world);
            }
        }
        None
    }

    /// The world after a call, if it would have been answered so and written what is in the ledger.
    fn place(&self, world: &World, call: usize) -> Option<World> {
        let call = &self.calls[call];
        let mut after = world.clone();
        let fits = after.call(&call.request) == call.ended;
        let written = after.entries(self.user_id);
        let new = world.entries(self.user_id).len()..written.len();
        (fits && self.ledger.get(new.clone()) == Some(&written[new])).then_some(after)
    }

    fn is_same(&self, one: &World, other: &World) -> bool {
        one.users[&self.user_id] == other.users[&self.user_id]
    }

    fn mark(&self, placed: &[bool], world: &World) -> u64 {
        let mut hasher = DefaultHasher::new();
        (placed, format!("{:?}", world.users[&self.user_id])).hash(&mut hasher);
        hasher.finish()
    }

    fn note(&mut self, placed: &[bool], open: &[usize], first: u64, world: &World) {
        let count = placed.iter().filter(|is_placed| **is_placed).count();
        if count < self.best.0 {
            return;
        }
        let could = open.iter().map(|i| &self.calls[*i]).filter(|call| call.asked < first);
        let said = could.map(|call| {
            let model = world.clone().call(&call.request);
            format!("{:?}\n  seen:  {:?}\n  model: {model:?}\n", call.request, call.ended)
        });
        self.best = (count, said.collect());
    }
}
