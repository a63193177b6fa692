//! The same promises beside the real billing-svc, on a database of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use billing_svc::clock::SystemClock;
use billing_svc::domain::{Grant, Kopecks, PriceList};
use billing_svc::ledger::Rules;
use billing_svc::server::{self, Database, Listeners, QUEUE_MAX, Settings};
use proto::billing::v1::{
    GetAccountRequest, GetTopUpRequest, ListOpenTopUpsRequest, RegisterUserRequest, TopUp,
    TopUpState,
};
use proto::client;
use proto::payments::v1::PaymentState;
use proto::reason;
use proto::service::listen::GrpcListener;
use proto::service::shutdown::Shutdown;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::app::{AMOUNT, App, USER, reason, until};

const SUCCEEDED: &str = "payment.succeeded";
const HOUR: Duration = Duration::from_secs(3600);

/// Where billing keeps its books.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

/// A running billing-svc.
pub(crate) struct Billing {
    _folder: TempDir,
    database_url: String,
    /// The server and the database on it that is to be dropped.
    postgres: Option<(String, String)>,
    address: SocketAddr,
    shutdown: Shutdown,
    serving: JoinHandle<anyhow::Result<()>>,
}

impl Billing {
    pub(crate) async fn start() -> Self {
        Self::start_on(Engine::Sqlite).await
    }

    pub(crate) async fn start_on(engine: Engine) -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (database_url, postgres) = match engine {
            Engine::Sqlite => {
                (format!("sqlite://{}", folder.path().join("billing.db").display()), None)
            }
            Engine::Postgres => new_database().await,
        };
        let (shutdown, serving) = serve(&database_url, listener).await;
        let billing = Self { _folder: folder, database_url, postgres, address, shutdown, serving };
        let request = RegisterUserRequest { user_id: USER, profile: None };
        billing.client().register_user(request).await.unwrap();
        billing
    }

    pub(crate) async fn stop(&mut self) {
        self.shutdown.request();
        (&mut self.serving).await.unwrap().unwrap();
    }

    /// The same database at the same address.
    pub(crate) async fn start_again(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        (self.shutdown, self.serving) = serve(&self.database_url, listener).await;
    }

    /// Ends it for good.
    pub(crate) async fn finish(mut self) {
        self.stop().await;
        if let Some((server, name)) = self.postgres.take() {
            let mut server = PgConnection::connect(&server).await.unwrap();
            server
                .execute(AssertSqlSafe(format!("drop database {name} with (force)")))
                .await
                .unwrap();
        }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn client(&self) -> client::Billing {
        client::Billing::new(client::channel(&self.url()).unwrap())
    }

    pub(crate) async fn balance(&self) -> i64 {
        self.balance_of(USER).await
    }

    pub(crate) async fn register(&self, request: RegisterUserRequest) {
        self.client().register_user(request).await.unwrap();
    }

    pub(crate) async fn balance_of(&self, user_id: i64) -> i64 {
        let request = GetAccountRequest { user_id };
        let answer = self.client().get_account(request).await.unwrap();
        answer.account.unwrap().balance_kopecks
    }

    pub(crate) async fn top_up(&self, id: &str) -> TopUp {
        let request = GetTopUpRequest { user_id: USER, top_up_id: id.to_owned() };
        self.client().get_top_up(request).await.unwrap().top_up.unwrap()
    }

    async fn open_top_ups(&self) -> usize {
        let provider = "yookassa".to_owned();
        let request = ListOpenTopUpsRequest { provider, ..ListOpenTopUpsRequest::default() };
        self.client().list_open_top_ups(request).await.unwrap().top_ups.len()
    }
}

async fn new_database() -> (String, Option<(String, String)>) {
    let server = postgres_url();
    let name = format!("payments_{}", uuid::Uuid::new_v4().simple());
    let mut connection = PgConnection::connect(&server).await.expect("TEST_POSTGRES_URL");
    connection.execute(AssertSqlSafe(format!("create database {name}"))).await.unwrap();
    let (before, _) = server.rsplit_once('/').expect("TEST_POSTGRES_URL names a database");
    let url = format!("{before}/{name}");
    Database::migrate(&url).await.unwrap();
    (url, Some((server, name)))
}

#[expect(clippy::disallowed_methods, reason = "the tests are told where PostgreSQL is")]
fn postgres_url() -> String {
    std::env::var("TEST_POSTGRES_URL").expect("TEST_POSTGRES_URL is the URL of a PostgreSQL")
}

async fn serve(url: &str, grpc: TcpListener) -> (Shutdown, JoinHandle<anyhow::Result<()>>) {
    let database = Database::open(url).await.unwrap();
    let admin = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = Settings {
        rules: Rules {
            prices: PriceList::flat(Kopecks::new(1_000).unwrap()),
            welcome: Grant::new(4).unwrap(),
            hold_ttl: HOUR / 2,
        },
        clock: Arc::new(SystemClock),
        sweep_every: HOUR,
        queue_max: QUEUE_MAX,
        verify_every: None,
        chain_every: None,
    };
    let shutdown = Shutdown::new();
    let grpc = GrpcListener::plain_text(grpc).unwrap();
    let serving = server::serve(Listeners { grpc, admin }, database, settings, shutdown.clone());
    (shutdown, tokio::spawn(serving))
}

pub(crate) async fn beside(billing: &Billing, more: &[&str]) -> App {
    let url = format!("--billing-url={}", billing.url());
    App::with(&[[url.as_str()].as_slice(), more].concat()).await
}

#[tokio::test]
async fn what_was_paid_is_credited_once() {
    let billing = Billing::start().await;
    let app = beside(&billing, &["--reconcile-every=100ms"]).await;
    let (top_up_id, payment_id) = app.waiting("bot:draft:1").await;
    assert_eq!(app.create("bot:draft:1").await.unwrap().top_up_id, top_up_id);

    app.yookassa.pay(&payment_id);
    let (first, second, third, checked) = tokio::join!(
        app.notify(SUCCEEDED, &payment_id),
        app.notify(SUCCEEDED, &payment_id),
        app.notify(SUCCEEDED, &payment_id),
        app.check(&top_up_id),
    );

    assert_eq!((first, second, third), (200, 200, 200));
    assert_eq!(checked.unwrap().state(), PaymentState::Settled);
    assert_eq!(billing.balance().await, AMOUNT);
    assert_eq!(billing.open_top_ups().await, 0);
    app.finish();
}

#[tokio::test]
async fn declined_payments_end_and_unrecorded_ones_are_found() {
    let billing = Billing::start().await;
    let app = beside(&billing, &["--reconcile-every=100ms"]).await;
    let (declined, payment_id) = app.waiting("bot:draft:1").await;
    app.yookassa.set_down(true);
    assert_eq!(reason(app.create("bot:draft:2").await), reason::PROVIDER_DOWN);

    app.yookassa.decline(&payment_id, "expired_on_confirmation");
    app.yookassa.set_down(false);

    until("the declined one has ended", || async {
        billing.top_up(&declined).await.state() == TopUpState::Cancelled
    })
    .await;
    assert_eq!(billing.top_up(&declined).await.cancel_reason, "expired_on_confirmation");
    until("the other one is made", || async {
        app.create("bot:draft:2").await.is_ok_and(|created| !created.confirmation_url.is_empty())
    })
    .await;
    assert_eq!(app.yookassa.count(), 2);
    assert_eq!(billing.balance().await, 0);
    app.finish();
}

#[tokio::test]
async fn a_notification_waits_for_billing_to_come_back() {
    let mut billing = Billing::start().await;
    let app = beside(&billing, &[]).await;
    let (_, payment_id) = app.waiting("bot:draft:1").await;
    app.yookassa.pay(&payment_id);

    billing.stop().await;
    assert_eq!(app.notify(SUCCEEDED, &payment_id).await, 503);
    billing.start_again().await;
    until("the notification is taken", || async {
        app.notify(SUCCEEDED, &payment_id).await == 200
    })
    .await;

    assert_eq!(billing.balance().await, AMOUNT);
    app.finish();
}

#[tokio::test]
async fn refusals_of_billing_reach_the_caller() {
    let billing = Billing::start().await;
    let app = beside(&billing, &[]).await;
    app.create("bot:draft:1").await.unwrap();

    let reused = app.create_for(USER, AMOUNT + 1, "bot:draft:1").await;
    assert_eq!(reason(reused), reason::IDEMPOTENCY_KEY_REUSED);
    let stranger = app.create_for(USER + 1, AMOUNT, "bot:draft:1").await;
    assert_eq!(reason(stranger), reason::USER_NOT_FOUND);
    let nobodys = "018e5f0a-1b2c-7d4e-9f0a-1b2c3d4e5f6a";
    assert_eq!(reason(app.check(nobodys).await), reason::TOP_UP_NOT_FOUND);
    assert_eq!(app.yookassa.count(), 1);
    app.finish();
}
