//! A running payment-gateway between its two neighbours.

use std::future::Future;
use std::time::Duration;

use clap::Parser as _;
use payment_gateway::config::Config;
use payment_gateway::server::{self, Listeners};
use proto::client;
use proto::payments::v1::payments_service_client::PaymentsServiceClient;
use proto::payments::v1::{
    CheckPaymentRequest, CheckPaymentResponse, CreatePaymentRequest, CreatePaymentResponse,
};
use proto::reason;
use proto::service::listen::GrpcListener;
use proto::service::shutdown::Shutdown;
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};
use tonic::Status;
use tonic::transport::Channel;

use crate::billing::Billing;
use crate::yookassa::{SECRET_KEY, SHOP_ID, YooKassa, notification};

pub(crate) const USER: i64 = 77;
/// 100 ₽.
pub(crate) const AMOUNT: i64 = 10_000;
pub(crate) const RETURN_URL: &str = "https://t.me/example_bot";

const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct App {
    pub(crate) billing: Billing,
    pub(crate) yookassa: YooKassa,
    /// Calls with no tries of its own.
    pub(crate) payments: PaymentsServiceClient<Channel>,
    /// Where notifications are posted.
    pub(crate) http: String,
    admin: String,
    /// Where its two neighbours are.
    pub(crate) billing_url: String,
    pub(crate) yookassa_url: String,
    web: reqwest::Client,
    shutdown: Shutdown,
}

impl App {
    /// The reconciler does nothing within an hour.
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    /// The reconciler looks all the time.
    pub(crate) async fn reconciling() -> Self {
        Self::with(&["--reconcile-every=100ms"]).await
    }

    /// With more settings, which replace the usual ones.
    pub(crate) async fn with(settings: &[&str]) -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        let (billing, yookassa) = (Billing::default(), YooKassa::default());
        let (billing_url, yookassa_url) = (billing.serve().await, yookassa.serve().await);
        let config = config(&billing_url, &yookassa_url, settings);
        let billing_url = config.billing_url.clone();
        let shutdown = Shutdown::new();
        let open = || async { TcpListener::bind("127.0.0.1:0").await.unwrap() };
        let listeners = Listeners {
            grpc: GrpcListener::plain_text(open().await).unwrap(),
            http: open().await,
            admin: open().await,
        };
        let grpc = format!("http://{}", listeners.grpc.local_addr().unwrap());
        let http = format!("http://{}", listeners.http.local_addr().unwrap());
        let admin = format!("http://{}", listeners.admin.local_addr().unwrap());
        tokio::spawn(server::serve(config, listeners, shutdown.clone()));
        Self {
            billing,
            yookassa,
            payments: PaymentsServiceClient::new(client::channel(&grpc).unwrap()),
            http,
            admin,
            billing_url,
            yookassa_url,
            web: reqwest::Client::builder().no_proxy().build().unwrap(),
            shutdown,
        }
    }

    pub(crate) async fn create(&self, key: &str) -> Result<CreatePaymentResponse, Status> {
        self.create_for(USER, AMOUNT, key).await
    }

    pub(crate) async fn create_for(
        &self,
        user_id: i64,
        amount_kopecks: i64,
        key: &str,
    ) -> Result<CreatePaymentResponse, Status> {
        let idempotency_key = key.to_owned();
        let request = CreatePaymentRequest { user_id, amount_kopecks, idempotency_key };
        Ok(self.payments.clone().create_payment(request).await?.into_inner())
    }

    pub(crate) async fn check(&self, top_up_id: &str) -> Result<CheckPaymentResponse, Status> {
        let request = CheckPaymentRequest { user_id: USER, top_up_id: top_up_id.to_owned() };
        Ok(self.payments.clone().check_payment(request).await?.into_inner())
    }

    /// A payment that waits for the user: its top-up and its id.
    pub(crate) async fn waiting(&self, key: &str) -> (String, String) {
        let top_up_id = self.create(key).await.unwrap().top_up_id;
        let payment_id = self.yookassa.payment_of(&top_up_id).unwrap();
        (top_up_id, payment_id)
    }

    /// YooKassa says that something happened to a payment; answers with the HTTP status.
    pub(crate) async fn notify(&self, event: &str, payment_id: &str) -> u16 {
        self.post(notification(event, payment_id)).await
    }

    /// Posts a body to the webhook.
    pub(crate) async fn post(&self, body: impl Into<reqwest::Body>) -> u16 {
        self.post_from("", body).await
    }

    /// Posts a body to the webhook with an `X-Forwarded-For`.
    pub(crate) async fn post_from(&self, path: &str, body: impl Into<reqwest::Body>) -> u16 {
        let mut request = self.web.post(format!("{}/yookassa/webhook", self.http));
        if !path.is_empty() {
            request = request.header("X-Forwarded-For", path);
        }
        request.body(body).send().await.unwrap().status().as_u16()
    }

    /// Reads a path; answers with the status and the body.
    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        let response = self.web.get(format!("{}{path}", self.http)).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// What a metric stands at, labels and all; 0 where there is none. Apps of one process share
    /// their metrics.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let url = format!("{}/metrics", self.admin);
        let text = self.web.get(url).send().await.unwrap().text().await.unwrap();
        let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        found.map_or(0.0, |value| value.parse().unwrap())
    }

    pub(crate) fn balance(&self) -> i64 {
        self.billing.balance(USER)
    }

    /// Ends the service, and looks whether the books are right.
    pub(crate) fn finish(self) {
        self.shutdown.request();
        self.billing.check_books();
    }
}

/// The settings of a gateway between two neighbours.
pub(crate) fn config(billing_url: &str, yookassa_url: &str, settings: &[&str]) -> Config {
    let usual = [
        ("billing-url", billing_url),
        ("yookassa-api-url", yookassa_url),
        ("yookassa-shop-id", SHOP_ID),
        ("yookassa-secret-key", SECRET_KEY),
        ("yookassa-return-url", RETURN_URL),
        ("yookassa-trusted-networks", "127.0.0.0/8,::1/128"),
        ("reconcile-every", "1h"),
    ];
    let kept = usual.into_iter().filter(|(name, _)| {
        !settings.iter().any(|setting| setting.starts_with(&format!("--{name}=")))
    });
    let mut words = vec!["payment-gateway".to_owned()];
    words.extend(kept.map(|(name, value)| format!("--{name}={value}")));
    words.extend(settings.iter().map(|&setting| setting.to_owned()));
    Config::try_parse_from(words).unwrap()
}

/// The reason code of a refusal.
pub(crate) fn reason<T: std::fmt::Debug>(answer: Result<T, Status>) -> String {
    reason::of(&answer.unwrap_err()).unwrap()
}

/// Waits until something is so.
#[track_caller]
pub(crate) fn until<F, Fut>(what: &str, mut is_so: F) -> impl Future<Output = ()>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = bool>,
{
    let deadline = Instant::now() + PATIENCE;
    async move {
        while !is_so().await {
            assert!(Instant::now() < deadline, "waited in vain until {what}");
            sleep(Duration::from_millis(10)).await;
        }
    }
}
