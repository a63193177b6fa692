//! A running service on a database of its own, spoken to in the product's words.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use billing_svc::clock::Clock;
use billing_svc::domain::{Grant, Kopecks, PriceList, Timestamp};
use billing_svc::ledger::Rules;
use billing_svc::price_file;
use billing_svc::server::{self, Database, Listeners, Settings};
use proto::billing::v1 as wire;
use proto::client::{self, Admin, Billing};
use proto::reason;
use proto::service::listen::GrpcListener;
use proto::service::shutdown::Shutdown;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::Status;

use crate::books;
use crate::database::{Engine, Look, TestDatabase};

/// The user whom most tests are about.
pub(crate) const ANNA: i64 = 42;
/// Somebody else.
pub(crate) const BORIS: i64 = 77;
/// What one operation costs, in kopecks.
pub(crate) const PRICE: i64 = 1_000;
pub(crate) const HALF_HOUR: Duration = Duration::from_secs(1_800);
pub(crate) const DAY: Duration = Duration::from_secs(86_400);
/// How long a test waits for something that must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A clock that only tests move.
#[derive(Debug)]
pub(crate) struct TestClock {
    micros: AtomicI64,
}

impl TestClock {
    pub(crate) fn advance(&self, by: Duration) {
        self.micros.fetch_add(i64::try_from(by.as_micros()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.micros.load(Ordering::SeqCst))
    }
}

/// What a test may want otherwise.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) free_operations: u32,
    pub(crate) price_kopecks: i64,
    pub(crate) hold_ttl: Duration,
    pub(crate) sweep_every: Duration,
    pub(crate) queue_max: usize,
    pub(crate) verify_every: Option<Duration>,
    pub(crate) chain_every: Option<Duration>,
    /// The text of a price list; everything at one price without.
    pub(crate) prices: Option<&'static str>,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            free_operations: 4,
            price_kopecks: PRICE,
            hold_ttl: HALF_HOUR,
            // Never, unless a test is about it.
            sweep_every: Duration::from_secs(3_600),
            queue_max: server::QUEUE_MAX,
            verify_every: None,
            // So often that most tests end with chains to be proven.
            chain_every: Some(Duration::from_millis(20)),
            prices: None,
        }
    }
}

impl Terms {
    /// What is sold, read as the process reads it.
    fn price_list(&self, now: Timestamp) -> PriceList {
        let file = self.prices.map(|text| {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(text.as_bytes()).unwrap();
            file
        });
        let path = file.as_ref().map(tempfile::NamedTempFile::path);
        price_file::prices(path, Kopecks::new(self.price_kopecks).unwrap(), now).unwrap()
    }
}

/// One running process, in this one.
#[derive(Debug)]
pub(crate) struct Replica {
    pub(crate) billing: Billing,
    pub(crate) operators: Admin,
    pub(crate) grpc_url: String,
    pub(crate) admin_url: String,
    shutdown: Shutdown,
    serving: JoinHandle<anyhow::Result<()>>,
}

impl Replica {
    pub(crate) async fn start(url: &str, terms: Terms, clock: Arc<dyn Clock>) -> Self {
        let database = Database::open(url).await.unwrap();
        let listeners = Listeners {
            grpc: GrpcListener::plain_text(TcpListener::bind("127.0.0.1:0").await.unwrap())
                .unwrap(),
            admin: TcpListener::bind("127.0.0.1:0").await.unwrap(),
        };
        let grpc_url = format!("http://{}", listeners.grpc.local_addr().unwrap());
        let admin_url = format!("http://{}", listeners.admin.local_addr().unwrap());
        let settings = Settings {
            rules: Rules {
                prices: terms.price_list(clock.now()),
                welcome: Grant::new(terms.free_operations).unwrap(),
                hold_ttl: terms.hold_ttl,
            },
            clock,
            sweep_every: terms.sweep_every,
            queue_max: terms.queue_max,
            verify_every: terms.verify_every,
            chain_every: terms.chain_every,
        };
        let shutdown = Shutdown::new();
        let serving = tokio::spawn(server::serve(listeners, database, settings, shutdown.clone()));
        let billing = Billing::new(client::channel(&grpc_url).unwrap());
        let operators = client::admin(client::channel(&grpc_url).unwrap(), "test").unwrap();
        Self { billing, operators, grpc_url, admin_url, shutdown, serving }
    }

    /// Ends it in good order.
    pub(crate) async fn stop(self) {
        self.shutdown.request();
        let ended = tokio::time::timeout(PATIENCE, self.serving).await;
        ended.expect("the service ends when told to").unwrap().unwrap();
    }
}

/// A service and its database.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) database: TestDatabase,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) replica: Replica,
    terms: Terms,
}

impl App {
    pub(crate) async fn start(engine: Engine) -> Self {
        Self::with(engine, Terms::default()).await
    }

    pub(crate) async fn with(engine: Engine, terms: Terms) -> Self {
        let database = TestDatabase::create(engine).await;
        Database::migrate(&database.url).await.unwrap();
        // Some moment that both engines and the wire can hold.
        let clock = Arc::new(TestClock { micros: AtomicI64::new(1_800_000_000_000_000) });
        let replica = Replica::start(&database.url, terms, clock.clone()).await;
        Self { database, clock, replica, terms }
    }

    /// A user with 4 free operations, as most tests want.
    pub(crate) async fn with_anna(engine: Engine) -> Self {
        let app = Self::start(engine).await;
        app.register(ANNA).await;
        app
    }

    /// A user without free operations and with money.
    pub(crate) async fn with_money(engine: Engine, kopecks: i64) -> Self {
        let terms = Terms { free_operations: 0, ..Terms::default() };
        let app = Self::with(engine, terms).await;
        app.register(ANNA).await;
        if kopecks > 0 {
            app.top_up(ANNA, kopecks).await;
        }
        app
    }

    pub(crate) fn billing(&self) -> &Billing {
        &self.replica.billing
    }

    /// What the clock says, in microseconds.
    pub(crate) fn now(&self) -> i64 {
        self.clock.now().as_micros()
    }

    /// Starts a second process beside the first (PostgreSQL only).
    pub(crate) async fn second_replica(&self) -> Replica {
        Replica::start(&self.database.url, self.terms, self.clock.clone()).await
    }

    /// Ends the process and starts it on the same data, perhaps on other terms.
    pub(crate) async fn restart(self, terms: Terms) -> Self {
        let Self { database, clock, replica, .. } = self;
        replica.stop().await;
        let replica = Replica::start(&database.url, terms, clock.clone()).await;
        Self { database, clock, replica, terms }
    }

    pub(crate) async fn look(&self) -> Look {
        self.database.look().await
    }

    /// Ends the test: the books must add up.
    pub(crate) async fn finish(self) {
        let look = self.database.look().await;
        books::check(&look).await;
        look.close().await;
        books::verify(&self.database).await;
        self.replica.stop().await;
        self.database.drop().await;
    }

    // ---- accounts -------------------------------------------------------------------------------

    pub(crate) async fn register(&self, user_id: i64) -> wire::RegisterUserResponse {
        let request = wire::RegisterUserRequest { user_id, profile: None };
        self.billing().register_user(request).await.unwrap()
    }

    pub(crate) async fn account(&self, user_id: i64) -> wire::Account {
        let request = wire::GetAccountRequest { user_id };
        self.billing().get_account(request).await.unwrap().account.unwrap()
    }

    /// Balance, held, free operations, held free operations.
    pub(crate) async fn has(&self, user_id: i64) -> (i64, i64, i64, i64) {
        let account = self.account(user_id).await;
        (
            account.balance_kopecks,
            account.held_kopecks,
            account.free_operations,
            account.held_free_operations,
        )
    }

    // ---- operations -----------------------------------------------------------------------------

    pub(crate) async fn try_reserve(
        &self,
        user_id: i64,
        key: &str,
    ) -> Result<wire::Operation, Status> {
        let response = self.billing().reserve(reserve(user_id, key)).await?;
        Ok(response.operation.unwrap())
    }

    pub(crate) async fn reserve(&self, user_id: i64, key: &str) -> wire::Operation {
        self.try_reserve(user_id, key).await.unwrap()
    }

    pub(crate) async fn commit(&self, of: &wire::Operation) -> Result<wire::Operation, Status> {
        let request = wire::CommitRequest {
            user_id: of.user_id,
            operation_id: of.operation_id.clone(),
            cost_micro_usd: Some(39_000),
        };
        Ok(self.billing().commit(request).await?.operation.unwrap())
    }

    pub(crate) async fn refund(&self, of: &wire::Operation) -> Result<wire::Operation, Status> {
        self.refund_by(of, "").await
    }

    pub(crate) async fn refund_by(
        &self,
        of: &wire::Operation,
        actor: &str,
    ) -> Result<wire::Operation, Status> {
        let request = wire::RefundRequest {
            user_id: of.user_id,
            operation_id: of.operation_id.clone(),
            reason: "the provider failed".to_owned(),
            actor: actor.to_owned(),
            ..wire::RefundRequest::default()
        };
        Ok(self.billing().refund(request).await?.operation.unwrap())
    }

    pub(crate) async fn extend(&self, of: &wire::Operation) -> Result<wire::Operation, Status> {
        let request =
            wire::ExtendRequest { user_id: of.user_id, operation_id: of.operation_id.clone() };
        Ok(self.billing().extend(request).await?.operation.unwrap())
    }

    pub(crate) async fn operation(&self, of: &wire::Operation) -> wire::Operation {
        let request = wire::GetOperationRequest {
            user_id: of.user_id,
            operation_id: of.operation_id.clone(),
        };
        self.billing().get_operation(request).await.unwrap().operation.unwrap()
    }

    // ---- top-ups --------------------------------------------------------------------------------

    pub(crate) async fn open_top_up(&self, user_id: i64, kopecks: i64, key: &str) -> wire::TopUp {
        let request = open_top_up(user_id, kopecks, key);
        self.billing().open_top_up(request).await.unwrap().top_up.unwrap()
    }

    pub(crate) async fn settle(
        &self,
        of: &wire::TopUp,
        payment: &str,
    ) -> Result<wire::SettleTopUpResponse, Status> {
        let paid = of.paid.clone();
        self.settle_with(of, payment, paid).await
    }

    pub(crate) async fn settle_with(
        &self,
        of: &wire::TopUp,
        payment: &str,
        paid: Option<wire::ProviderAmount>,
    ) -> Result<wire::SettleTopUpResponse, Status> {
        let request = wire::SettleTopUpRequest {
            user_id: of.user_id,
            top_up_id: of.top_up_id.clone(),
            provider_payment_id: payment.to_owned(),
            paid,
        };
        self.billing().settle_top_up(request).await
    }

    pub(crate) async fn cancel(&self, of: &wire::TopUp) -> Result<wire::TopUp, Status> {
        let request = wire::CancelTopUpRequest {
            user_id: of.user_id,
            top_up_id: of.top_up_id.clone(),
            reason: "expired_on_confirmation".to_owned(),
        };
        Ok(self.billing().cancel_top_up(request).await?.top_up.unwrap())
    }

    /// Money that has come.
    pub(crate) async fn top_up(&self, user_id: i64, kopecks: i64) {
        let unique = uuid::Uuid::new_v4();
        let top_up = self.open_top_up(user_id, kopecks, &format!("test:{unique}")).await;
        self.settle(&top_up, &unique.to_string()).await.unwrap();
    }
}

/// A Reserve of the mode that most tests use.
pub(crate) fn reserve(user_id: i64, key: &str) -> wire::ReserveRequest {
    wire::ReserveRequest {
        user_id,
        operation_type: "generate".to_owned(),
        model: String::new(),
        idempotency_key: key.to_owned(),
        expected_price_kopecks: None,
        metadata: [("chat".to_owned(), "42".to_owned())].into(),
        dry_run: false,
    }
}

/// An OpenTopUp of so many kopecks for as many.
pub(crate) fn open_top_up(user_id: i64, kopecks: i64, key: &str) -> wire::OpenTopUpRequest {
    wire::OpenTopUpRequest {
        user_id,
        provider: "yookassa".to_owned(),
        paid: roubles(kopecks),
        credited_kopecks: kopecks,
        idempotency_key: key.to_owned(),
        snapshot: b"{\"amount\":\"as it is sent\"}".to_vec(),
    }
}

/// So many kopecks at the provider.
#[expect(clippy::unnecessary_wraps, reason = "it is a field of a message, which may be absent")]
pub(crate) fn roubles(kopecks: i64) -> Option<wire::ProviderAmount> {
    Some(wire::ProviderAmount { minor_units: kopecks, currency: "RUB".to_owned() })
}

/// Which refusal it is.
pub(crate) fn reason_of<T>(answer: Result<T, Status>) -> String {
    match answer {
        Ok(_) => panic!("expected a refusal"),
        Err(status) => {
            reason::of(&status).unwrap_or_else(|| panic!("no reason code in {status:?}"))
        }
    }
}

/// Seconds and nanoseconds as one number of microseconds.
pub(crate) fn micros(time: Option<prost_types::Timestamp>) -> i64 {
    let time = time.unwrap();
    time.seconds * 1_000_000 + i64::from(time.nanos) / 1_000
}
