//! The decisions: what may be written, and what is answered.
//!
//! A write is a [`decision::Decision`], one file each. It waits in a queue until the writer of its
//! user ([`batch`]) takes it together with all that wait beside it, loads what they name into
//! [`books`], lets each decide in memory in order of arrival, and stores all that changed in one
//! transaction. Reads ([`reads`]) go past the queue, unless a hold is overdue.

mod error;
mod needs;
mod books;
mod offers;
mod changes;
mod decision;
mod group;
mod touch;
mod register;
mod reserve;
mod extend;
mod commit;
mod refund;
mod open_top_up;
mod record_payment;
mod settle;
mod reverse;
mod cancel;
mod redeem;
mod intervene;
mod promo_codes;
mod tries;
mod batch;
mod reads;
mod reports;
mod events;
mod sweep;
mod in_process;
mod links;
mod chain;
pub mod verify;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{mpsc, oneshot, watch};

pub use batch::Writers;
pub use books::Standing;
pub use cancel::Cancel;
pub use chain::Chainer;
pub use commit::Commit;
pub use error::BillingError;
pub use extend::Extend;
pub use intervene::{Gift, Intervene, Intervened};
pub use open_top_up::OpenTopUp;
pub use record_payment::RecordPayment;
pub use redeem::{Redeem, Redeemed};
pub use refund::{Part, RefundBy, RefundOperation};
pub use register::{Register, Registered};
pub use reports::Known;
pub use reserve::{DryReserve, DryReserved, Reserve, Terms};
pub use reverse::{Reverse, Reversed};
pub use settle::{Settle, Settled};
pub use sweep::sweep;

use crate::clock::Clock;
use crate::domain::{Grant, Price, PriceList, UserId};
use crate::store::Store;
use batch::Writer;
use chain::Unchained;
pub(crate) use decision::Decision;
use decision::{Job, Pending};
use group::{Group, GroupAnswer};

/// Who is told of events.
pub const CONSUMERS: [&str; 1] = ["bot"];

/// What is sold on which terms.
#[derive(Clone, Debug)]
pub struct Rules {
    pub prices: PriceList,
    /// What a new user is given.
    pub welcome: Grant,
    /// How long a hold lives without being extended; at most a day.
    pub hold_ttl: Duration,
}

/// The door to the books, for every caller. Clones are the same door.
#[derive(Clone, Debug)]
pub struct Ledger<S> {
    store: S,
    clock: Arc<dyn Clock>,
    rules: Arc<Rules>,
    /// One of each writer.
    queues: Vec<mpsc::Sender<Box<dyn Job>>>,
    /// Changes whenever an event may have become lendable.
    news: watch::Sender<u64>,
    unchained: Unchained,
}

/// Opens the books. The writers have to be run for anything to be written; they end when the last
/// clone of the ledger is gone and all that waited is written.
pub fn open<S: Store>(
    store: S,
    rules: Rules,
    clock: Arc<dyn Clock>,
    queue_max: usize,
) -> (Ledger<S>, Writers<S>) {
    let rules = Arc::new(rules);
    let news = watch::Sender::new(0);
    let unchained = Unchained::default();
    let places = queue_max.div_ceil(S::WRITERS).max(1);
    let (queues, waiting): (Vec<_>, Vec<_>) =
        (0..S::WRITERS).map(|_| mpsc::channel(places)).unzip();
    let writer = |(number, waiting)| Writer {
        number,
        store: store.clone(),
        clock: Arc::clone(&clock),
        rules: Arc::clone(&rules),
        waiting,
        news: news.clone(),
        unchained: unchained.clone(),
    };
    let writers = Writers(waiting.into_iter().enumerate().map(writer).collect());
    (Ledger { store, clock, rules, queues, news, unchained }, writers)
}

impl<S: Store> Ledger<S> {
    /// Lets `decision` be decided and stored, and answers when both are done.
    ///
    /// # Errors
    /// Its refusal; or that its outcome is unknown, and the same request is to be sent again.
    pub(crate) async fn decide<D: Decision>(&self, decision: D) -> Result<D::Answer, BillingError> {
        let (reply, answer) = oneshot::channel();
        let user = decision.user();
        self.enqueue::<D>(user, Box::new(Pending::new(decision, reply)))?;
        // A writer only drops a job unanswered when the process ends.
        answer.await.unwrap_or(Err(BillingError::Unavailable))
    }

    /// Lets each of `decisions` be decided for itself, and answers when all are done.
    pub(crate) async fn decide_each<D: Decision>(
        &self,
        decisions: Vec<D>,
    ) -> Vec<Result<D::Answer, BillingError>> {
        // All wait before the first is awaited, so that they are written together.
        join_all(decisions.into_iter().map(|decision| self.decide(decision))).await
    }

    /// Lets all of `decisions` be decided, or none of them.
    pub(crate) async fn decide_all_or_none<D: Decision>(
        &self,
        decisions: Vec<D>,
    ) -> Result<GroupAnswer<D>, BillingError> {
        let (reply, answer) = oneshot::channel();
        // The locks on their accounts keep those in order whose users have another writer.
        let Some(user) = decisions.first().map(Decision::user) else { return Ok(Vec::new()) };
        self.enqueue::<D>(user, Box::new(Group::new(decisions, reply)))?;
        answer.await.map_err(|_| BillingError::Unavailable)
    }

    fn enqueue<D: Decision>(&self, user: UserId, job: Box<dyn Job>) -> Result<(), BillingError> {
        self.queue_of(user).try_send(job).map_err(|error| {
            let refusal = match error {
                mpsc::error::TrySendError::Full(_) => BillingError::Busy,
                mpsc::error::TrySendError::Closed(_) => BillingError::Unavailable,
            };
            decision::count(D::NAME, refusal.outcome());
            refusal
        })
    }

    /// All that is asked for one user waits in one queue, so that it is decided in order of arrival.
    fn queue_of(&self, user: UserId) -> &mpsc::Sender<Box<dyn Job>> {
        let place = usize::try_from(user.get()).unwrap_or_default() % self.queues.len();
        &self.queues[place]
    }

    /// Who extends the chains of hashes over what is written. It does not keep the writer from
    /// ending.
    pub fn chainer(&self) -> Chainer<S> {
        Chainer {
            store: self.store.clone(),
            clock: Arc::clone(&self.clock),
            unchained: self.unchained.clone(),
        }
    }

    /// What is sold: what holds now, then what is announced.
    pub fn prices(&self) -> Vec<&Price> {
        self.rules.prices.shown(self.clock.now())
    }
}
