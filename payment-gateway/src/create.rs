//! Makes the payment of a top-up at YooKassa: once, however often it is asked for.
//!
//! The three phases: billing opens the top-up with the snapshot of the request; the request is
//! posted with the top-up's id as its `Idempotence-Key`; billing records what was made. A crash
//! between any two is mended by the next caller: the same key and the same bytes answer with the
//! payment that there is.
//!
//! The snapshot is the body byte for byte, but for one thing that is not known before billing has
//! answered: where the top-up's id stands, it holds [`PLACEHOLDER`]. [`body`] puts the id there.
//! Nothing is serialised a second time, so a newer version of this service sends the same bytes.
//! The token of the return page is part of the snapshot too, which is the only place that keeps it.
//!
//! Invariant: nothing is posted for a top-up older than [`POST_AGE_MAX`]. YooKassa forgets a key
//! after 24 hours and would make a second payment; an older top-up is looked up instead.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use serde_json::Value;
use tokio::time::{Instant, sleep};
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;
use url::Url;
use uuid::Uuid;

use crate::billing::{Billing, Paid, TopUp, TopUpState};
use crate::error::PaymentError;
use crate::ids::{PaymentId, TopUpId, UserId};
use crate::receipt::{self, Receipts};
use crate::resolve::{Owner, Resolver, Via, payment_id};
use crate::yookassa::wire::{
    Amount, NewConfirmation, NewMetadata, NewPayment, Payment, Receipt, Status,
};
use crate::yookassa::{Client, Refusal, Unknown, YookassaError};

/// What the user reads on YooKassa's page.
const DESCRIPTION: &str = "Пополнение баланса Media Lab";
/// Stands in the snapshot where the top-up's id will stand.
const PLACEHOLDER: &str = "{top_up_id}";
/// The place in the address of the return page.
const RETURN_PLACE: &str = "&top_up={top_up_id}&token=";

/// An hour less than YooKassa remembers a key for.
const POST_AGE_MAX: Duration = Duration::from_secs(23 * 3600);
/// A payment that was not found is believed not to exist only when the last POST, which may have
/// begun just before [`POST_AGE_MAX`], is long over.
const ABSENT_AGE_MIN: Duration = Duration::from_secs(23 * 3600 + 600);
/// How far the clocks of billing and YooKassa may be apart in a look-up.
const CLOCK_SLACK: Duration = Duration::from_secs(600);
/// A shop with more payments a day than this many pages hold is not looked through to the end.
const PAGES_MAX: usize = 1000;

/// After this long no further POST begins; the reconciler goes on.
const TRIES_WITHIN: Duration = Duration::from_secs(40);
const PAUSE: Duration = Duration::from_millis(300);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// The making of one payment, which several callers may wait for.
pub type Making = Shared<BoxFuture<'static, Result<TopUp, PaymentError>>>;

/// Where the user's browser goes after paying.
#[derive(Clone, Debug)]
pub enum ReturnAddress {
    /// Straight on: to the bot.
    Elsewhere(Url),
    /// To our own page, at this address without a slash at the end.
    OurPage(String),
}

impl ReturnAddress {
    /// Our page, where it can be reached.
    pub fn new(public_url: Option<Url>, elsewhere: Url) -> Self {
        match public_url {
            Some(url) => Self::OurPage(url.as_str().trim_end_matches('/').to_owned()),
            None => Self::Elsewhere(elsewhere),
        }
    }

    /// The address for one payment, with the place of its top-up's id, and a token that nobody can
    /// guess.
    fn of(&self, user_id: UserId) -> String {
        match self {
            Self::Elsewhere(url) => url.to_string(),
            Self::OurPage(base) => {
                let token = Uuid::new_v4().simple();
                format!("{base}/return?user={user_id}{RETURN_PLACE}{token}")
            }
        }
    }
}

/// The token of the return page that a top-up's payment leads to, if it leads there.
pub fn return_token(top_up: &TopUp) -> Option<String> {
    let request: Value = serde_json::from_slice(&top_up.snapshot).ok()?;
    let (_, token) = request["confirmation"]["return_url"].as_str()?.split_once(RETURN_PLACE)?;
    Some(token.to_owned())
}

/// Makes the snapshot of the request for a top-up that is about to be opened.
pub fn snapshot(
    user_id: UserId,
    paid: &Paid,
    return_address: &ReturnAddress,
    receipt: Option<&Receipt>,
) -> Vec<u8> {
    let return_url = return_address.of(user_id);
    let request = NewPayment {
        amount: Amount { value: paid.amount.to_roubles(), currency: paid.currency.clone() },
        capture: true,
        confirmation: NewConfirmation { kind: "redirect", return_url: &return_url },
        description: DESCRIPTION,
        metadata: NewMetadata { user_id: user_id.to_string(), top_up_id: PLACEHOLDER.to_owned() },
        receipt,
    };
    serde_json::to_vec(&request).expect("texts and a map of them are always JSON")
}

/// The body to post: the snapshot with the top-up's id in its places. `None` if it has none in the
/// metadata.
fn body(snapshot: &[u8], id: TopUpId) -> Option<Bytes> {
    // With the quotes: inside a JSON text they would be escaped, so nothing else can look so.
    let place = format!("\"top_up_id\":\"{PLACEHOLDER}\"");
    let (before, after) = std::str::from_utf8(snapshot).ok()?.split_once(&place)?;
    // Only our own page has a place in the address, which stands before the metadata.
    let before = before.replacen(RETURN_PLACE, &format!("&top_up={id}&token="), 1);
    Some(format!("{before}\"top_up_id\":\"{id}\"{after}").into())
}

/// Makes payments.
#[derive(Debug)]
pub struct Creator {
    billing: Billing,
    yookassa: Arc<Client>,
    resolver: Arc<Resolver>,
    receipts: Option<Receipts>,
    tasks: TaskTracker,
    running: Mutex<HashMap<TopUpId, Making>>,
}

impl Creator {
    /// Puts it together. `tasks` holds the work that goes on after its caller has gone.
    pub fn new(
        billing: Billing,
        yookassa: Arc<Client>,
        resolver: Arc<Resolver>,
        receipts: Option<Receipts>,
        tasks: TaskTracker,
    ) -> Self {
        Self { billing, yookassa, resolver, receipts, tasks, running: Mutex::default() }
    }

    /// Starts making the payment of an open top-up, or joins the making that runs. It goes on when
    /// nobody waits for it any more.
    pub fn start(self: &Arc<Self>, top_up: TopUp) -> Making {
        let id = top_up.id;
        let mut running = self.running();
        if let Some(making) = running.get(&id) {
            return making.clone();
        }
        let creator = Arc::clone(self);
        let request_id = proto::request_id::current();
        let work = async move {
            let _done = Done { creator: &creator, id };
            creator.make(top_up).await
        };
        let work = proto::request_id::scope(request_id, work).in_current_span();
        let task = self.tasks.spawn(work);
        let making =
            task.map(|ended| ended.unwrap_or(Err(PaymentError::ProviderUnavailable))).boxed();
        let making = making.shared();
        running.insert(id, making.clone());
        making
    }

    fn running(&self) -> MutexGuard<'_, HashMap<TopUpId, Making>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn make(&self, top_up: TopUp) -> Result<TopUp, PaymentError> {
        if top_up.state != TopUpState::Open || top_up.payment_id.is_some() {
            return Ok(top_up);
        }
        let made = if age(&top_up) < POST_AGE_MAX {
            self.post(&top_up).await
        } else {
            self.look_up(&top_up).await
        };
        let outcome = match &made {
            Ok(Some(_)) => "created",
            Ok(None) => "absent",
            Err(PaymentError::ProviderRefused(_) | PaymentError::ShopNotReady(_)) => "refused",
            Err(PaymentError::ProviderDown(_)) => "not_asked",
            Err(
                PaymentError::ProviderUnavailable
                | PaymentError::ReceiptEmailRequired
                | PaymentError::Billing(_),
            ) => "unknown",
        };
        metrics::counter!("payments_created_total", "outcome" => outcome).increment(1);
        let Some(payment) = made? else {
            return Ok(self.billing.cancel(&top_up, "payment_not_created").await?);
        };
        self.record(&top_up, payment).await
    }

    /// Posts the request until it is answered.
    async fn post(&self, top_up: &TopUp) -> Result<Option<Payment>, PaymentError> {
        let Some(body) = body(&top_up.snapshot, top_up.id) else {
            log_step(top_up, None, "refused", "yookassa: snapshot cannot be sent");
            self.billing.cancel(top_up, "unreadable_snapshot").await?;
            return Err(PaymentError::ProviderRefused("unreadable_snapshot".to_owned()));
        };
        let key = top_up.id.to_string();
        let give_up = Instant::now() + TRIES_WITHIN;
        let mut pause = PAUSE;
        loop {
            match self.yookassa.create(&key, body.clone()).await {
                Ok(payment) => return Ok(Some(payment)),
                // The key made a payment from other bytes, so there is one to be found.
                Err(YookassaError::Rejected(refusal)) if refusal.is_about_key() => {
                    return self.look_up(top_up).await;
                }
                Err(YookassaError::Rejected(refusal)) => {
                    return Err(self.refused(top_up, &refusal).await?);
                }
                Err(YookassaError::NotFound) => {
                    tracing::error!("yookassa: no such call there, check YOOKASSA_API_URL");
                    break;
                }
                // Nobody is asked now, and whoever waits for this payment need not wait either.
                Err(error @ YookassaError::Unknown(Unknown::Down(_))) => {
                    log_step(top_up, None, "not_asked", "yookassa: payment not asked for yet");
                    return Err(PaymentError::unanswered(&error));
                }
                Err(YookassaError::Unknown(_)) if Instant::now() + pause >= give_up => break,
                Err(YookassaError::Unknown(_)) => {}
            }
            if !self.yookassa.is_down() {
                sleep(jittered(pause)).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
        log_step(top_up, None, "unknown", "yookassa: payment not answered yet");
        Err(PaymentError::ProviderUnavailable)
    }

    async fn refused(
        &self,
        top_up: &TopUp,
        refusal: &Refusal,
    ) -> Result<PaymentError, PaymentError> {
        let reason = refusal.to_string();
        self.billing.cancel(top_up, &reason).await?;
        log_step(top_up, None, "refused", "yookassa: payment refused");
        if receipt::report(self.receipts.as_ref(), refusal) || refusal.is_about_shop() {
            return Ok(PaymentError::ShopNotReady(reason));
        }
        Ok(PaymentError::ProviderRefused(reason))
    }

    /// Looks through the payments of the time in which it can have been made. `None`: there is
    /// none, for sure.
    async fn look_up(&self, top_up: &TopUp) -> Result<Option<Payment>, PaymentError> {
        let span = (top_up.opened_at - CLOCK_SLACK, top_up.opened_at + POST_AGE_MAX + CLOCK_SLACK);
        let owner = Owner::from(top_up);
        let mut cursor = None;
        for _ in 0..PAGES_MAX {
            let page = self.yookassa.list(span, cursor.as_deref()).await;
            let page = page.map_err(|error| PaymentError::unanswered(&error))?;
            if let Some(payment) =
                page.items.into_iter().find(|payment| Owner::of(payment) == Some(owner))
            {
                return Ok(Some(payment));
            }
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        if cursor.is_none() && age(top_up) > ABSENT_AGE_MIN {
            log_step(top_up, None, "cancelled", "yookassa: payment was never created");
            return Ok(None);
        }
        Err(PaymentError::ProviderUnavailable)
    }

    /// Keeps what was made, and acts on it if it has ended already.
    async fn record(&self, top_up: &TopUp, payment: Payment) -> Result<TopUp, PaymentError> {
        let Some(id) = payment_id(&payment) else {
            return Err(PaymentError::ProviderUnavailable);
        };
        if let Err(mismatch) = self.resolver.shop().check(&payment, top_up) {
            tracing::error!(
                user.id = %top_up.user_id,
                top_up.id = %top_up.id,
                payment.id = %id,
                mismatch = %mismatch,
                outcome = "refused",
                "yookassa: the payment made is not the one asked for"
            );
            return Err(PaymentError::ProviderUnavailable);
        }
        let link = payment.confirmation.and_then(|it| it.confirmation_url).unwrap_or_default();
        let waits = matches!(payment.status, Status::Pending | Status::Unknown);
        if waits && link.is_empty() {
            // A payment that nobody can pay; its link comes with a later answer.
            return Err(PaymentError::ProviderUnavailable);
        }
        let recorded = self.billing.record(top_up, &id, &link).await?;
        log_step(top_up, Some(&id), "created", "yookassa: payment created");
        if waits {
            return Ok(recorded);
        }
        // The answer to a repeat may show the payment as it was: what counts is how it is.
        self.resolver.resolve(&id, Some(top_up.into()), Via::Create).await?;
        let now = self.billing.get(top_up.user_id, top_up.id).await?;
        Ok(now.unwrap_or(recorded))
    }
}

/// Takes a making off the list when it ends, however it ends.
struct Done<'a> {
    creator: &'a Creator,
    id: TopUpId,
}

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.creator.running().remove(&self.id);
    }
}

/// Between half of the pause and the whole of it, so that payments do not return in step.
fn jittered(pause: Duration) -> Duration {
    let [random, ..] = Uuid::new_v4().into_bytes();
    pause / 2 + pause / 2 * u32::from(random) / u32::from(u8::MAX)
}

/// How old a top-up is; a clock that is behind makes it new.
pub fn age(top_up: &TopUp) -> Duration {
    SystemTime::now().duration_since(top_up.opened_at).unwrap_or_default()
}

fn log_step(top_up: &TopUp, payment: Option<&PaymentId>, outcome: &str, message: &'static str) {
    tracing::info!(
        user.id = %top_up.user_id,
        top_up.id = %top_up.id,
        payment.id = payment.map(tracing::field::display),
        amount_kopecks = top_up.paid.amount.get(),
        outcome,
        "{message}"
    );
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::money::Kopecks;

    const ID: &str = "018e5f0a-1b2c-7d4e-9f0a-1b2c3d4e5f6a";

    fn taken(return_url: &str) -> Vec<u8> {
        let paid = Paid { amount: Kopecks::new(50_000).unwrap(), currency: "RUB".to_owned() };
        let address = ReturnAddress::Elsewhere(return_url.parse().unwrap());
        snapshot(UserId::new(77).unwrap(), &paid, &address, None)
    }

    #[test]
    fn the_body_is_the_snapshot_with_the_top_up_in_its_place() {
        let snapshot = taken("https://t.me/example_bot");

        let body = body(&snapshot, ID.parse().unwrap()).unwrap();

        let expected = json!({
            "amount": {"value": "500.00", "currency": "RUB"},
            "capture": true,
            "confirmation": {"type": "redirect", "return_url": "https://t.me/example_bot"},
            "description": DESCRIPTION,
            "metadata": {"user_id": "77", "top_up_id": ID},
        });
        assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), expected);
        assert!(DESCRIPTION.chars().count() <= 128);
    }

    #[test]
    fn a_return_url_cannot_pose_as_the_place() {
        let url = r#"https://t.me/?x="top_up_id":"{top_up_id}""#;
        let body = body(&taken(url), ID.parse().unwrap()).unwrap();

        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["metadata"]["top_up_id"], ID);
    }

    #[test]
    fn a_receipt_is_part_of_the_request_and_cannot_pose_as_the_place() {
        let receipts = Receipts {
            tax_system_code: None,
            vat_code: 1,
            subject: "service".to_owned(),
            mode: "full_prepayment".to_owned(),
            description: r#""top_up_id":"{top_up_id}""#.to_owned(),
        };
        let paid = Paid { amount: Kopecks::new(50_000).unwrap(), currency: "RUB".to_owned() };
        let receipt = receipts.for_payment(&paid, &"anna@example.com".parse().unwrap());
        let address = ReturnAddress::Elsewhere("https://t.me/example_bot".parse().unwrap());
        let snapshot = snapshot(UserId::new(77).unwrap(), &paid, &address, Some(&receipt));

        let body: Value =
            serde_json::from_slice(&body(&snapshot, ID.parse().unwrap()).unwrap()).unwrap();

        assert_eq!(body["metadata"]["top_up_id"], ID);
        assert_eq!(body["receipt"], serde_json::to_value(&receipt).unwrap());
    }

    #[test]
    fn our_page_is_told_the_top_up_and_a_token_that_the_snapshot_keeps() {
        let paid = Paid { amount: Kopecks::new(50_000).unwrap(), currency: "RUB".to_owned() };
        let public = Some("https://pay.example.com/shop/".parse().unwrap());
        let address = ReturnAddress::new(public, "https://t.me/bot".parse().unwrap());
        let user = UserId::new(77).unwrap();

        let (first, second) =
            (snapshot(user, &paid, &address, None), snapshot(user, &paid, &address, None));

        assert_ne!(first, second, "each payment has a token of its own");
        let body: Value =
            serde_json::from_slice(&super::body(&first, ID.parse().unwrap()).unwrap()).unwrap();
        let url = body["confirmation"]["return_url"].as_str().unwrap();
        let start = format!("https://pay.example.com/shop/return?user=77&top_up={ID}&token=");
        assert_eq!(url.strip_prefix(&start).unwrap().len(), 32, "{url}");
        assert_eq!(body["metadata"]["top_up_id"], ID);
    }

    #[test]
    fn a_snapshot_that_is_not_ours_is_not_sent() {
        assert_eq!(super::body(b"", ID.parse().unwrap()), None);
        assert_eq!(super::body(b"{\"metadata\":{}}", ID.parse().unwrap()), None);
        assert_eq!(super::body(&[0xff, 0xfe], ID.parse().unwrap()), None);
    }
}
