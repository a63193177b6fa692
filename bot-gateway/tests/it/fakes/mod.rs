//! Billing, payments and media as the contract has them, in memory.
//!
//! One [`Model`] is what all three know; tests look into it and set what goes wrong.

mod admin;
mod billing;
mod media;
mod payments;
mod stars;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use proto::billing::v1::admin_service_server::AdminServiceServer;
use proto::billing::v1::billing_service_server::BillingServiceServer;
use proto::billing::v1::{Account, Entry, Event, Operation, PromoCode, PromoEffect, StatsRow};
use proto::media::v1::media_service_server::MediaServiceServer;
use proto::media::v1::{AddTextHeader, Job, Model as OfferedModel, SubmitJobRequest};
use proto::payments::v1::PaymentState;
use proto::payments::v1::payments_service_server::PaymentsServiceServer;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::Status;
use tonic::transport::Server;

pub(crate) use stars::StarsInvoice;

/// How long a thing is lent; a minute in the real services.
pub(crate) const LENT_FOR: Duration = Duration::from_secs(2);

/// What becomes of the next calls of one kind.
#[derive(Clone, Debug, Default)]
pub(crate) enum Fault {
    #[default]
    None,
    /// So many calls are lost before anything is done.
    LostBefore(u32),
    /// So many calls are done, and their answers are lost.
    LostAfter(u32),
    /// The call is refused with this reason.
    Refused(&'static str),
    /// The service is away, and says so with this reason.
    Away(&'static str),
    /// The call is not answered at all.
    Hangs,
}

/// A thing that is lent until it is acknowledged.
#[derive(Clone, Debug)]
pub(crate) struct Lent<T> {
    pub(crate) thing: T,
    pub(crate) lent: Option<Instant>,
    pub(crate) times: u32,
    pub(crate) is_acknowledged: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Payment {
    pub(crate) top_up_id: String,
    pub(crate) key: String,
    pub(crate) amount: i64,
    pub(crate) state: PaymentState,
    pub(crate) reason: String,
    /// Where its receipt goes.
    pub(crate) email: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) free_operations: i64,
    pub(crate) price: i64,
    pub(crate) accounts: HashMap<i64, Account>,
    pub(crate) operations: Vec<Operation>,
    /// Keys of all Reserve calls that arrived.
    pub(crate) reserve_keys: Vec<String>,
    pub(crate) refunds: Vec<String>,
    pub(crate) events: Vec<Lent<Event>>,
    pub(crate) inputs: HashMap<String, Vec<u8>>,
    pub(crate) jobs: Vec<Job>,
    /// All SubmitJob calls that arrived.
    pub(crate) submits: Vec<SubmitJobRequest>,
    pub(crate) results: Vec<Lent<Job>>,
    /// The provider is at work: nothing can be cancelled.
    pub(crate) has_begun: bool,
    /// Operations of all CancelJob calls that were done.
    pub(crate) cancelled: Vec<String>,
    pub(crate) refusals_left: i32,
    /// All descriptions of styles that arrived.
    pub(crate) descriptions: Vec<String>,
    /// Headers of all AddText calls that arrived.
    pub(crate) texts: Vec<AddTextHeader>,
    pub(crate) models: Vec<OfferedModel>,
    /// Prices of models that have their own.
    pub(crate) model_prices: Vec<(&'static str, &'static str, i64)>,
    pub(crate) progress: Vec<Job>,
    pub(crate) pictures: HashMap<String, Vec<u8>>,
    /// The job whose picture cannot be fetched now.
    pub(crate) stuck_picture: String,
    pub(crate) payments: Vec<Payment>,
    /// Whether a payment needs an e-mail for its receipt.
    pub(crate) wants_receipts: bool,
    /// What codes give, by their names in capitals.
    pub(crate) promo_codes: HashMap<String, PromoEffect>,
    /// Keys of all RedeemPromoCode calls that arrived.
    pub(crate) redeem_keys: Vec<String>,
    /// Actors and reasons of all that operators wrote.
    pub(crate) refuses_grants: bool,
    /// Keys of all grants, which count once.
    pub(crate) grant_keys: Vec<String>,
    pub(crate) interventions: Vec<(String, String)>,
    /// What operators offer.
    pub(crate) offers_made: Vec<PromoCode>,
    pub(crate) sales: Vec<StatsRow>,
    /// Everybody's ledger, oldest first.
    pub(crate) entries: Vec<Entry>,
    /// Keys of all CreatePayment calls that arrived.
    pub(crate) payment_keys: Vec<String>,
    pub(crate) reserve: Fault,
    pub(crate) submit: Fault,
    pub(crate) upload: Fault,
    pub(crate) create_payment: Fault,
    pub(crate) account: Fault,
    /// What a Star is worth; none: no Stars.
    pub(crate) stars_rate: Option<i64>,
    pub(crate) invoices: Vec<StarsInvoice>,
    /// Charges of all ConfirmStarsPayment calls that arrived.
    pub(crate) confirmed: Vec<String>,
    /// Charges of all ReverseStarsPayment calls that arrived.
    pub(crate) reversed: Vec<String>,
    pub(crate) pre_checkout: Fault,
    pub(crate) confirm: Fault,
    pub(crate) offers: Fault,
    pub(crate) reverse: Fault,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            free_operations: 4,
            price: 1_000,
            accounts: HashMap::new(),
            operations: Vec::new(),
            reserve_keys: Vec::new(),
            refunds: Vec::new(),
            events: Vec::new(),
            inputs: HashMap::new(),
            jobs: Vec::new(),
            submits: Vec::new(),
            results: Vec::new(),
            has_begun: false,
            cancelled: Vec::new(),
            refusals_left: 5,
            descriptions: Vec::new(),
            texts: Vec::new(),
            models: Vec::new(),
            model_prices: Vec::new(),
            progress: Vec::new(),
            pictures: HashMap::new(),
            stuck_picture: String::new(),
            payments: Vec::new(),
            wants_receipts: false,
            promo_codes: HashMap::new(),
            redeem_keys: Vec::new(),
            refuses_grants: false,
            grant_keys: Vec::new(),
            interventions: Vec::new(),
            offers_made: Vec::new(),
            sales: Vec::new(),
            entries: Vec::new(),
            payment_keys: Vec::new(),
            reserve: Fault::None,
            submit: Fault::None,
            upload: Fault::None,
            create_payment: Fault::None,
            account: Fault::None,
            stars_rate: Some(150),
            invoices: Vec::new(),
            confirmed: Vec::new(),
            reversed: Vec::new(),
            pre_checkout: Fault::None,
            confirm: Fault::None,
            offers: Fault::None,
            reverse: Fault::None,
        }
    }
}

/// The three services. Clones are the same services.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fakes {
    model: Arc<Mutex<Model>>,
}

/// What a fault does to one call.
pub(crate) enum Strike {
    Nothing,
    Before(Status),
    After(Status),
    Hang,
}

impl Fakes {
    pub(crate) fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().unwrap()
    }

    pub(crate) fn strike(&self, fault: impl Fn(&mut Model) -> &mut Fault, domain: &str) -> Strike {
        let mut model = self.model();
        let lost = || Status::unavailable("the test lost it");
        match fault(&mut model) {
            Fault::LostBefore(left) if *left > 0 => {
                *left -= 1;
                Strike::Before(lost())
            }
            Fault::LostAfter(left) if *left > 0 => {
                *left -= 1;
                Strike::After(lost())
            }
            Fault::Refused(reason) => Strike::Before(proto::reason::refusal(
                tonic::Code::FailedPrecondition,
                (domain, reason),
                "the test refuses it",
                [],
            )),
            Fault::Away(reason) => Strike::Before(proto::reason::refusal(
                tonic::Code::Unavailable,
                (domain, reason),
                "the test takes it away",
                [],
            )),
            Fault::Hangs => Strike::Hang,
            Fault::None | Fault::LostBefore(_) | Fault::LostAfter(_) => Strike::Nothing,
        }
    }

    /// Serves all three on one address until the handle is aborted.
    pub(crate) async fn serve(&self) -> (SocketAddr, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = Server::builder()
            .add_service(BillingServiceServer::new(self.clone()))
            .add_service(AdminServiceServer::new(self.clone()))
            .add_service(PaymentsServiceServer::new(self.clone()))
            .add_service(MediaServiceServer::new(self.clone()))
            .serve_with_incoming(TcpListenerStream::new(listener));
        (address, tokio::spawn(async move { server.await.unwrap() }))
    }

    /// A stream of what is lent, looked for again and again.
    pub(crate) fn lend<T: Send + 'static>(
        &self,
        find: impl Fn(&mut Model) -> Vec<T> + Send + 'static,
    ) -> ReceiverStream<Result<T, Status>> {
        let (sender, receiver) = mpsc::channel(16);
        let fakes = self.clone();
        tokio::spawn(async move {
            loop {
                let found = find(&mut fakes.model());
                for thing in found {
                    if sender.send(Ok(thing)).await.is_err() {
                        return;
                    }
                }
                if sender.is_closed() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        ReceiverStream::new(receiver)
    }
}

/// The first unacknowledged thing of each user that is not lent now.
pub(crate) fn lendable<T: Clone>(things: &mut [Lent<T>], user_of: impl Fn(&T) -> i64) -> Vec<T> {
    let mut users = Vec::new();
    let mut found = Vec::new();
    for lent in things.iter_mut().filter(|lent| !lent.is_acknowledged) {
        let user = user_of(&lent.thing);
        if users.contains(&user) {
            continue;
        }
        users.push(user);
        if lent.lent.is_none_or(|since| since.elapsed() > LENT_FOR) {
            lent.lent = Some(Instant::now());
            lent.times += 1;
            found.push(lent.thing.clone());
        }
    }
    found
}

pub(crate) fn to_lend<T>(thing: T) -> Lent<T> {
    Lent { thing, lent: None, times: 0, is_acknowledged: false }
}
