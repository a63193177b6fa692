//! Looks after open top-ups whose notification never came, or whose payment was never recorded.
//!
//! Every replica looks, without knowing of the others: what it does is harmless to repeat. Only
//! the moment of the next look at a top-up is kept, and only in memory.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::StreamExt as _;
use proto::service::shutdown::Shutdown;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use crate::billing::{Billing, BillingError, Paid, TopUp};
use crate::create::{Creator, age};
use crate::error::PaymentError;
use crate::ids::TopUpId;
use crate::money::{Kopecks, PAYMENT_MAX, PAYMENT_MIN};
use crate::provider::{Look, Provider, Quote, QuoteError, YOOKASSA};
use crate::resolve::{Resolution, Resolver, Via};
use crate::yookassa::READS_AT_ONCE;

/// However old a top-up is, it is looked at this often.
const LOOK_EVERY_MAX: Duration = Duration::from_secs(600);
/// A look that found nothing out is repeated sooner than that.
const RETRY_EVERY_MAX: Duration = Duration::from_secs(60);
/// A refused payment waits for a person, and is reported at each look.
const REFUSED_EVERY: Duration = Duration::from_secs(3600);
/// Fewer than the client lets through, so that nobody waits for the reconciler.
const LOOKS_AT_ONCE: usize = READS_AT_ONCE / 4;
/// A payment that is being made goes on without us, and is found made at the next look.
const LOOK_WITHIN: Duration = Duration::from_secs(15);

/// Looks after the open top-ups of one provider.
#[derive(Debug)]
pub struct Reconciler<P> {
    billing: Billing,
    provider: Arc<P>,
    every: Duration,
}

impl<P: Provider> Reconciler<P> {
    /// Puts it together; `every` is the pause between two runs, and the age of the first look if
    /// the provider wants none later.
    pub fn new(billing: &Billing, provider: Arc<P>, every: Duration) -> Self {
        Self { billing: billing.of(provider.name()), provider, every }
    }

    /// Looks again and again until `shutdown`.
    pub async fn run(&self, shutdown: &Shutdown) {
        let mut due = HashMap::new();
        let mut ticks = interval(self.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let round = async {
                ticks.tick().await;
                self.round(&mut due).await
            };
            match shutdown.until(round).await {
                None => return,
                Some(Ok(())) => {}
                Some(Err(error)) => {
                    tracing::warn!(
                        provider = self.provider.name(),
                        error.cause = %error,
                        "open top-ups cannot be listed"
                    );
                }
            }
        }
    }

    /// Looks at each open top-up whose time has come.
    async fn round(&self, due: &mut HashMap<TopUpId, Instant>) -> Result<(), BillingError> {
        let mut next = HashMap::new();
        let mut page_token = String::new();
        let opened_before = SystemTime::now() - self.provider.first_look().max(self.every);
        loop {
            let (top_ups, token) = self.billing.list_open(opened_before, page_token).await?;
            let looks = futures_util::stream::iter(top_ups)
                .map(|top_up| self.look_when_due(top_up, due))
                .buffer_unordered(LOOKS_AT_ONCE);
            next.extend(looks.collect::<Vec<_>>().await);
            if token.is_empty() {
                break;
            }
            page_token = token;
        }
        // What is no longer open is forgotten.
        *due = next;
        Ok(())
    }

    /// Answers with the moment of the next look.
    async fn look_when_due(
        &self,
        top_up: TopUp,
        due: &HashMap<TopUpId, Instant>,
    ) -> (TopUpId, Instant) {
        let id = top_up.id;
        if let Some(&moment) = due.get(&id)
            && moment > Instant::now()
        {
            return (id, moment);
        }
        let age = age(&top_up);
        let look = self.provider.look(top_up).await;
        (id, Instant::now() + self.pause(age, look))
    }

    /// How long until the next look: as long again as the top-up is old, so that looks become
    /// rarer.
    fn pause(&self, age: Duration, look: Look) -> Duration {
        let at_most = match look {
            Look::Ended | Look::Unknown => RETRY_EVERY_MAX,
            Look::Waits => LOOK_EVERY_MAX,
            // As soon as it is asked again: what is open goes on when it is back.
            Look::NotAsked(retry_after) => {
                return retry_after.min(RETRY_EVERY_MAX).max(self.every);
            }
            Look::Refused => return REFUSED_EVERY,
        };
        age.min(at_most).max(self.every)
    }
}

/// YooKassa as a way to pay: what is open is asked for there.
#[derive(Debug)]
pub struct YooKassa {
    /// Makes payments.
    pub creator: Arc<Creator>,
    /// Finds out what became of them.
    pub resolver: Arc<Resolver>,
    /// The shop's currency.
    pub currency: String,
}

impl Provider for YooKassa {
    fn name(&self) -> &'static str {
        YOOKASSA
    }

    fn quote(&self, wanted: Kopecks) -> Result<Quote, QuoteError> {
        if !(PAYMENT_MIN..=PAYMENT_MAX).contains(&wanted) {
            return Err(QuoteError::OutOfBounds { min: PAYMENT_MIN, max: PAYMENT_MAX });
        }
        let paid = Paid { amount: wanted, currency: self.currency.clone() };
        Ok(Quote { paid, credited: wanted })
    }

    fn first_look(&self) -> Duration {
        Duration::ZERO
    }

    async fn look(&self, top_up: TopUp) -> Look {
        let (user_id, id) = (top_up.user_id, top_up.id);
        let looked = async {
            let top_up = match &top_up.payment_id {
                Some(_) => top_up,
                None => self.creator.start(top_up).await?,
            };
            match &top_up.payment_id {
                Some(id) => {
                    self.resolver.resolve(id, Some((&top_up).into()), Via::Reconciler).await
                }
                None => Ok(Resolution::Cancelled),
            }
        };
        match timeout(LOOK_WITHIN, looked).await.unwrap_or(Err(PaymentError::ProviderUnavailable)) {
            Ok(Resolution::Settled | Resolution::Cancelled) => Look::Ended,
            Err(PaymentError::ProviderRefused(_) | PaymentError::ShopNotReady(_)) => Look::Ended,
            Ok(Resolution::Pending) => Look::Waits,
            Ok(Resolution::NotOurs | Resolution::Refused(_)) => Look::Refused,
            // Logged where it was met.
            Err(PaymentError::ProviderUnavailable | PaymentError::ReceiptEmailRequired) => {
                Look::Unknown
            }
            Err(PaymentError::ProviderDown(retry_after)) => Look::NotAsked(retry_after),
            Err(PaymentError::Billing(error)) => {
                tracing::warn!(
                    user.id = %user_id,
                    top_up.id = %id,
                    error.cause = %error,
                    "yookassa: open top-up could not be looked at"
                );
                Look::Unknown
            }
        }
    }
}
