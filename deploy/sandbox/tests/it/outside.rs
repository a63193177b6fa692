//! The emulated YooKassa and fal.ai, served on a port of their own, and a shop that takes
//! notifications.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use http::StatusCode;
use sandbox::fal::Fal;
use sandbox::faults::{Faults, Switches};
use sandbox::faults_api;
use sandbox::settings::Settings;
use sandbox::yookassa::YooKassa;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

pub(crate) const SHOP: &str = "100500";
pub(crate) const SECRET: &str = "test_sandbox";
pub(crate) const KEY: &str = "sandbox:key";

/// One run of the emulators over a folder of state. Dropping it ends every task of the run, as
/// the end of the process would.
pub(crate) struct Outside {
    runtime: Option<Runtime>,
    yookassa: Arc<YooKassa>,
    fal: Arc<Fal>,
    pub(crate) url: String,
    pub(crate) http: reqwest::Client,
}

impl Outside {
    /// Starts on a folder; notifications go to `webhook_url`.
    pub(crate) async fn start(folder: &Path, webhook_url: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let settings = Arc::new(Settings {
            data: folder.to_owned(),
            base_url: "http://127.0.0.1:8090".to_owned(),
            bot_token: "1:token".to_owned(),
            shop_id: SHOP.to_owned(),
            secret_key: SECRET.to_owned(),
            webhook_url: webhook_url.to_owned(),
            fal_keys: vec![KEY.to_owned()],
        });
        let faults = Faults::default();
        faults.set(Switches { fal_work_ms: Some(200), ..Switches::default() });
        let started = {
            runtime.spawn(async move {
                let yookassa = YooKassa::open(Arc::clone(&settings), faults.clone()).unwrap();
                let fal = Fal::open(settings, faults.clone()).unwrap();
                let app = yookassa
                    .routes()
                    .merge(fal.routes())
                    .merge(faults_api::routes(faults))
                    .fallback_service(fal.root_routes());
                (yookassa, fal, listen(app).await)
            })
        };
        let (yookassa, fal, address) = started.await.unwrap();
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(30))
            .build()
            .unwrap();
        let url = format!("http://{address}");
        Self { runtime: Some(runtime), yookassa, fal, url, http }
    }

    /// Ends the run as a clean stop does: what was answered is on the disk.
    pub(crate) fn stop(self) {
        self.yookassa.save().unwrap();
        self.fal.save().unwrap();
    }

    /// A switch is set by its JSON.
    pub(crate) async fn switch(&self, changes: Value) {
        let url = format!("{}/_sandbox/faults", self.url);
        let answer = self.http.patch(url).json(&changes).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{changes}");
    }

    /// Reads a page of the control API.
    pub(crate) async fn control(&self, path: &str) -> Value {
        let answer = self.http.get(format!("{}{path}", self.url)).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        answer.json().await.unwrap()
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Serves a router on a free port.
pub(crate) async fn listen(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// A shop's endpoint for notifications: refuses some, then accepts, and remembers all.
#[derive(Clone, Default)]
pub(crate) struct Receiver {
    refusals: Arc<AtomicUsize>,
    status: Arc<Mutex<StatusCode>>,
    received: Arc<Mutex<Vec<Value>>>,
}

impl Receiver {
    /// Starts; the first so many notifications are answered with `status`.
    pub(crate) async fn start(refusals: usize, status: StatusCode) -> (Self, String) {
        let receiver = Self::default();
        receiver.refusals.store(refusals, Ordering::SeqCst);
        *receiver.status.lock().unwrap() = status;
        let app = Router::new().route("/hook", post(receive)).with_state(receiver.clone());
        let address = listen(app).await;
        (receiver, format!("http://{address}/hook"))
    }

    /// Names of the events that came, in their order.
    pub(crate) fn events(&self) -> Vec<String> {
        let received = self.received.lock().unwrap();
        received.iter().map(|body| body["event"].as_str().unwrap().to_owned()).collect()
    }

    /// The bodies that came.
    pub(crate) fn bodies(&self) -> Vec<Value> {
        self.received.lock().unwrap().clone()
    }
}

async fn receive(State(receiver): State<Receiver>, body: axum::Json<Value>) -> StatusCode {
    receiver.received.lock().unwrap().push(body.0);
    let refuse = receiver
        .refusals
        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
        .is_ok();
    if refuse { *receiver.status.lock().unwrap() } else { StatusCode::OK }
}

/// Waits until something holds, and says what did not when it does not.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    while !holds().await {
        assert!(tokio::time::Instant::now() < deadline, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
