//! Five processes on ports and stores of their own.
//!
//! Invariant: what a world started ends with it, and its databases are dropped.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use proto::billing::v1::{
    Account, CommitRequest, GetAccountRequest, ListOperationsRequest, OpenTopUpRequest, Operation,
    ProviderAmount, RegisterUserRequest, ReserveRequest, SettleTopUpRequest,
};
use proto::client::{Billing, Media, channel};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::person::Person;

/// Longer than anything takes on a busy machine, and than the minute for which a result stays lent
/// to a bot that was killed; shorter than the runner's own patience.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

const BOT_TOKEN: &str = "4242424242:AAsandboxsandboxsandboxsandboxsand1";
const SHOP_ID: &str = "100500";
const SECRET_KEY: &str = "test_sandbox";
const FAL_KEY: &str = "00000000-0000-4000-8000-000000000000:sandboxsandboxsandboxsandboxsand";

/// Where the services keep what must last.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

/// One of the processes.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Process {
    Sandbox,
    Billing,
    Payments,
    Worker,
    /// More of them on the same store, where a test starts them.
    SecondWorker,
    ThirdWorker,
    Bot,
}

impl Process {
    const SERVICES: [Self; 4] = [Self::Billing, Self::Payments, Self::Worker, Self::Bot];
    const ALL_SERVICES: [Self; 6] = [
        Self::Billing,
        Self::Payments,
        Self::Worker,
        Self::Bot,
        Self::SecondWorker,
        Self::ThirdWorker,
    ];

    fn binary(self) -> &'static str {
        match self {
            Self::Sandbox => "sandbox",
            Self::Billing => "billing-svc",
            Self::Payments => "payment-gateway",
            Self::Worker | Self::SecondWorker | Self::ThirdWorker => "media-worker",
            Self::Bot => "bot-gateway",
        }
    }
}

/// The running system.
pub(crate) struct World {
    folder: TempDir,
    settings: BTreeMap<&'static str, String>,
    admin: BTreeMap<Process, u16>,
    /// Where the further workers are called.
    more_workers: BTreeMap<Process, u16>,
    children: BTreeMap<Process, Child>,
    databases: Vec<String>,
    _ports: Ports,
    pub(crate) sandbox: String,
    pub(crate) http: reqwest::Client,
    pub(crate) billing: Billing,
}

impl World {
    /// Starts everything and waits until it is ready.
    pub(crate) async fn start(engine: Engine) -> Self {
        Self::start_with(engine, &[]).await
    }

    /// The same with other settings.
    pub(crate) async fn start_with(engine: Engine, settings: &[(&'static str, &str)]) -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        let ports = Ports::reserve();
        let mut numbers = ports.first..ports.first + Ports::COUNT;
        let mut port = || numbers.next().unwrap();
        let (sandbox, sandbox_tls) = (port(), port());
        let (billing, payments, payments_http, media) = (port(), port(), port(), port());
        let media_http = port();
        let admin: BTreeMap<_, _> =
            Process::ALL_SERVICES.into_iter().map(|service| (service, port())).collect();
        let more = [Process::SecondWorker, Process::ThirdWorker];
        let local = |port: u16| format!("127.0.0.1:{port}");
        let url = |port: u16| format!("http://127.0.0.1:{port}");

        let mut world = Self {
            folder: TempDir::with_prefix("media-lab-e2e-").unwrap(),
            settings: BTreeMap::from([
                ("SANDBOX_LISTEN", local(sandbox)),
                ("SANDBOX_TLS_LISTEN", local(sandbox_tls)),
                ("SANDBOX_BOT_TOKEN", BOT_TOKEN.to_owned()),
                ("SANDBOX_SHOP_ID", SHOP_ID.to_owned()),
                ("SANDBOX_SECRET_KEY", SECRET_KEY.to_owned()),
                ("SANDBOX_FAL_KEYS", FAL_KEY.to_owned()),
                ("SANDBOX_WEBHOOK_URL", format!("{}/yookassa/webhook", url(payments_http))),
                ("BILLING_LISTEN", local(billing)),
                ("PAYMENTS_LISTEN", local(payments)),
                ("PAYMENTS_HTTP_LISTEN", local(payments_http)),
                ("MEDIA_LISTEN", local(media)),
                ("MEDIA_HTTP_LISTEN", local(media_http)),
                ("FAL_JWKS_URL", format!("{}/fal/.well-known/jwks.json", url(sandbox))),
                ("BILLING_URL", url(billing)),
                ("PAYMENTS_URL", url(payments)),
                ("MEDIA_URL", url(media)),
                ("BILLING_ADMIN_LISTEN", local(admin[&Process::Billing])),
                ("PAYMENTS_ADMIN_LISTEN", local(admin[&Process::Payments])),
                ("MEDIA_ADMIN_LISTEN", local(admin[&Process::Worker])),
                ("BOT_ADMIN_LISTEN", local(admin[&Process::Bot])),
                ("TELEGRAM_BOT_TOKEN", BOT_TOKEN.to_owned()),
                ("TELEGRAM_API_URL", format!("{}/telegram", url(sandbox))),
                ("YOOKASSA_SHOP_ID", SHOP_ID.to_owned()),
                ("YOOKASSA_SECRET_KEY", SECRET_KEY.to_owned()),
                ("YOOKASSA_RETURN_URL", format!("{}/", url(sandbox))),
                ("YOOKASSA_API_URL", format!("{}/yookassa/v3", url(sandbox))),
                ("YOOKASSA_TRUSTED_NETWORKS", "127.0.0.0/8".to_owned()),
                ("RECONCILE_EVERY", "1s".to_owned()),
                ("FAL_KEY", FAL_KEY.to_owned()),
                ("FAL_QUEUE_URL", format!("{}/fal", url(sandbox))),
                ("FAL_REST_URL", format!("{}/fal", url(sandbox))),
                ("FAL_API_URL", format!("{}/fal/v1", url(sandbox))),
            ]),
            admin,
            more_workers: more.into_iter().map(|worker| (worker, port())).collect(),
            children: BTreeMap::new(),
            databases: Vec::new(),
            _ports: ports,
            sandbox: url(sandbox),
            http: reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap(),
            billing: Billing::new(channel(&url(billing)).unwrap()),
        };
        for &(name, value) in settings {
            world.settings.insert(name, value.to_owned());
        }
        world.begin(engine).await;
        world
    }

    async fn begin(&mut self, engine: Engine) {
        self.make_stores(engine).await;
        self.spawn(Process::Sandbox);
        self.answers(&format!("{}/_sandbox/health", self.sandbox), Process::Sandbox).await;
        self.put("/_sandbox/faults", json!({ "fal_work_ms": 200 })).await;
        for service in Process::SERVICES {
            self.spawn(service);
        }
        for service in Process::SERVICES {
            self.ready(service).await;
        }
    }

    /// Starts the worker anew, with fal.ai's webhooks.
    pub(crate) async fn with_webhooks(mut self) -> Self {
        let url = format!("http://{}", self.settings["MEDIA_HTTP_LISTEN"]);
        self.settings.insert("FAL_WEBHOOK_URL", url);
        self.kill(Process::Worker);
        self.restart(Process::Worker).await;
        self
    }

    async fn make_stores(&mut self, engine: Engine) {
        let stores = ["DATABASE_URL", "MEDIA_DATABASE_URL", "BOT_DATABASE_URL"];
        match engine {
            Engine::Sqlite => {
                for (name, file) in stores.into_iter().zip(["billing", "jobs", "bot"]) {
                    self.settings.insert(name, format!("sqlite://{file}.db"));
                }
            }
            Engine::Postgres => {
                let server = postgres_url();
                for (name, kind) in stores.into_iter().zip(["billing", "jobs", "bot"]) {
                    let database = format!("e2e_{kind}_{}", uuid::Uuid::new_v4().simple());
                    administer(&format!("create database {database}")).await;
                    let (before, _) = server.rsplit_once('/').unwrap();
                    self.settings.insert(name, format!("{before}/{database}"));
                    self.databases.push(database);
                }
                let migrated = self.command(Process::Billing).arg("migrate").status().unwrap();
                assert!(migrated.success(), "billing-svc migrate: {migrated}");
            }
        }
    }

    fn command(&self, process: Process) -> Command {
        let mut command = Command::new(binary(process.binary()));
        command.current_dir(self.folder.path()).env_clear();
        command.env("PATH", "/usr/bin:/bin").env("RUST_LOG", "info").envs(&self.settings);
        if let Some(port) = self.more_workers.get(&process) {
            command.env("MEDIA_LISTEN", format!("127.0.0.1:{port}"));
            command.env("MEDIA_ADMIN_LISTEN", format!("127.0.0.1:{}", self.admin[&process]));
        }
        command.stdin(Stdio::null());
        command
    }

    /// Where a worker is called.
    pub(crate) fn media(&self, worker: Process) -> Media {
        let url = match self.more_workers.get(&worker) {
            Some(port) => format!("http://127.0.0.1:{port}"),
            None => self.settings["MEDIA_URL"].clone(),
        };
        Media::new(channel(&url).unwrap())
    }

    fn spawn(&mut self, process: Process) {
        let log = self.log_file(process);
        let log = File::options().create(true).append(true).open(log).unwrap();
        let mut command = self.command(process);
        if process == Process::Sandbox {
            command.arg("--emulators-only");
        }
        let child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        self.children.insert(process, child);
    }

    /// Runs a command of payment-gateway as an operator would; answers with its exit code and what it
    /// said.
    pub(crate) fn payments_command(&self, words: &[&str]) -> (Option<i32>, String) {
        let output = self.command(Process::Payments).args(words).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    }

    fn log_file(&self, process: Process) -> PathBuf {
        let nth = match process {
            Process::SecondWorker => "-2",
            Process::ThirdWorker => "-3",
            _ => "",
        };
        self.folder.path().join(format!("{}{nth}.log", process.binary()))
    }

    /// What a process has logged.
    pub(crate) fn log(&self, process: Process) -> String {
        std::fs::read_to_string(self.log_file(process)).unwrap_or_default()
    }

    /// Waits until a service takes work.
    pub(crate) async fn ready(&mut self, service: Process) {
        let url = format!("http://127.0.0.1:{}/readyz", self.admin[&service]);
        self.answers(&url, service).await;
    }

    async fn answers(&mut self, url: &str, process: Process) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let ended = self.children.get_mut(&process).unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "{process:?} ended by itself: {ended:?}");
            if self.http.get(url).send().await.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            assert!(Instant::now() < deadline, "{process:?} is not ready");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Ends a process at once, as a power cut would.
    pub(crate) fn kill(&mut self, process: Process) {
        let mut child = self.children.remove(&process).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Ends the sandbox in good order: the world outside forgets nothing, and a killed sandbox forgets
    /// what it has not written yet.
    pub(crate) fn stop_sandbox(&mut self) {
        let mut child = self.children.remove(&Process::Sandbox).unwrap();
        let told = Command::new("kill").arg(child.id().to_string()).status().unwrap();
        assert!(told.success());
        child.wait().unwrap();
    }

    /// Starts a killed process again, on what it left.
    pub(crate) async fn restart(&mut self, process: Process) {
        self.spawn(process);
        match process {
            Process::Sandbox => {
                let url = format!("{}/_sandbox/health", self.sandbox);
                self.answers(&url, process).await;
            }
            service => self.ready(service).await,
        }
    }

    /// A new user with the bot's chat open.
    pub(crate) async fn person(&self) -> Person {
        let user = self.post("/_sandbox/telegram/users", json!({ "first_name": "Ада" })).await;
        Person::new(self, user["id"].as_i64().unwrap())
    }

    /// A person before the menu, with money for ten operations and no free ones.
    pub(crate) async fn person_who_pays(&self) -> Person {
        let person = self.person().await;
        let start = person.say("/start").await;
        person.hears(start, "Создать").await;
        self.use_up_free_operations(person.id).await;
        self.top_up(person.id, 10_000).await;
        person.hears(start, "пополнен").await;
        person
    }

    /// Sets the switches that are named, and leaves the others.
    pub(crate) async fn faults(&self, switches: Value) {
        let url = format!("{}/_sandbox/faults", self.sandbox);
        let answer = self.http.patch(url).json(&switches).send().await.unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        read(self.http.get(format!("{}{path}", self.sandbox)).send().await.unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Value {
        let request = self.http.post(format!("{}{path}", self.sandbox)).json(&body);
        read(request.send().await.unwrap()).await
    }

    async fn put(&self, path: &str, body: Value) -> Value {
        let request = self.http.put(format!("{}{path}", self.sandbox)).json(&body);
        read(request.send().await.unwrap()).await
    }

    /// Every submit that fal.ai has accepted: each costs real money.
    pub(crate) async fn submits(&self) -> Vec<Value> {
        let seen = self.get("/_sandbox/fal/requests").await;
        seen["requests"].as_array().unwrap().clone()
    }

    /// Where billing-svc keeps everything, and the folder that a relative path starts from.
    pub(crate) fn billing_store(&self) -> (&str, &Path) {
        (&self.settings["DATABASE_URL"], self.folder.path())
    }

    /// Gives Stars back as Telegram's support does, past the bot.
    pub(crate) async fn refund_at_telegram(&self, person: &Person, charge: &Value) {
        let path = format!("/telegram/bot{BOT_TOKEN}/refundStarPayment");
        let refund = json!({ "user_id": person.id, "telegram_payment_charge_id": charge });
        self.post(&path, refund).await;
    }

    /// Where payment-gateway is called.
    pub(crate) fn payments_url(&self) -> String {
        self.settings["PAYMENTS_URL"].clone()
    }

    /// The address to which YooKassa sends its notifications.
    pub(crate) fn webhook_url(&self) -> &str {
        &self.settings["SANDBOX_WEBHOOK_URL"]
    }
}

impl World {
    /// What a user has.
    pub(crate) async fn account(&self, user_id: i64) -> Account {
        let account = self.billing.get_account(GetAccountRequest { user_id }).await.unwrap();
        account.account.unwrap()
    }

    /// A user's operations, newest first.
    pub(crate) async fn operations(&self, user_id: i64) -> Vec<Operation> {
        let request = ListOperationsRequest { user_id, page_size: 100, ..Default::default() };
        self.billing.list_operations(request).await.unwrap().operations
    }

    /// Reserves and commits, as another team's service would, until nothing free is left.
    pub(crate) async fn use_up_free_operations(&self, user_id: i64) {
        for number in 0..self.account(user_id).await.free_operations {
            let reserved = self.billing.reserve(ReserveRequest {
                user_id,
                operation_type: "generate".to_owned(),
                idempotency_key: format!("test:free:{number}"),
                ..ReserveRequest::default()
            });
            let operation_id = reserved.await.unwrap().operation.unwrap().operation_id;
            let commit = CommitRequest { user_id, operation_id, cost_micro_usd: None };
            self.billing.commit(commit).await.unwrap();
        }
    }

    /// Credits a user as a payment would, without one.
    pub(crate) async fn top_up(&self, user_id: i64, kopecks: i64) {
        let paid = Some(ProviderAmount { minor_units: kopecks, currency: "RUB".to_owned() });
        let key = uuid::Uuid::new_v4().to_string();
        let opened = self.billing.open_top_up(OpenTopUpRequest {
            user_id,
            provider: "test".to_owned(),
            paid: paid.clone(),
            credited_kopecks: kopecks,
            idempotency_key: format!("test:{key}"),
            snapshot: Vec::new(),
        });
        let top_up_id = opened.await.unwrap().top_up.unwrap().top_up_id;
        let settle = SettleTopUpRequest { user_id, top_up_id, provider_payment_id: key, paid };
        self.billing.settle_top_up(settle).await.unwrap();
    }

    /// Registers a user who has not written yet, and credits them.
    pub(crate) async fn top_up_new(&self, user_id: i64, kopecks: i64) {
        let register = RegisterUserRequest { user_id, profile: None };
        self.billing.register_user(register).await.unwrap();
        self.top_up(user_id, kopecks).await;
    }

    /// Pays as a person does on the checkout page.
    pub(crate) async fn pay(&self, payment_id: &str) {
        self.post(&format!("/_sandbox/payments/{payment_id}/pay"), json!({})).await;
    }

    /// Waits until the bot has answered a press, so that the button no longer spins.
    pub(crate) async fn answered(&self, callback_query_id: &str) {
        let path = format!("/_sandbox/telegram/callbacks/{callback_query_id}");
        self.until("the press is answered", async |world| {
            world.get(&path).await["answered"] == true
        })
        .await;
    }

    /// Waits until a user has just so much, and nothing is held.
    pub(crate) async fn balance_becomes(&self, user_id: i64, kopecks: i64) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let account = self.account(user_id).await;
            if account.balance_kopecks == kopecks && account.held_kopecks == 0 {
                return;
            }
            assert!(Instant::now() < deadline, "{kopecks} kopecks were expected: {account:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until something is so.
    pub(crate) async fn until(&self, what: &str, is_so: impl AsyncFn(&Self) -> bool) {
        self.until_within(PATIENCE, what, is_so).await;
    }

    pub(crate) async fn until_within(
        &self,
        patience: Duration,
        what: &str,
        is_so: impl AsyncFn(&Self) -> bool,
    ) {
        let deadline = Instant::now() + patience;
        while !is_so(self).await {
            assert!(Instant::now() < deadline, "waited for: {what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// How many rounds a campaign has: `TEST_ROUNDS`, few by default.
#[expect(clippy::disallowed_methods, reason = "the long run of the tests is told so")]
pub(crate) fn rounds() -> u32 {
    std::env::var("TEST_ROUNDS").map_or(3, |rounds| rounds.parse().unwrap())
}

/// A picture in which no two places look alike.
pub(crate) fn picture(width: u32, height: u32) -> Vec<u8> {
    let shade = |at: u32, of: u32| u8::try_from(at * 255 / of).unwrap();
    let pixels = image::RgbImage::from_fn(width, height, |x, y| {
        image::Rgb([shade(x, width), shade(y, height), 128])
    });
    let mut bytes = std::io::Cursor::new(Vec::new());
    pixels.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for process in [Process::Sandbox].into_iter().chain(Process::ALL_SERVICES) {
                let log = self.log(process);
                let lines: Vec<_> = log.lines().collect();
                eprintln!("--- {process:?}");
                for line in &lines[lines.len().saturating_sub(25)..] {
                    eprintln!("{line}");
                }
            }
        }
        for child in self.children.values_mut() {
            child.kill().ok();
            child.wait().ok();
        }
        let databases = std::mem::take(&mut self.databases);
        if databases.is_empty() {
            return;
        }
        // A drop cannot wait, so the databases are dropped by a runtime on a thread of its own.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                for database in databases {
                    administer(&format!("drop database if exists {database} with (force)")).await;
                }
            });
        });
        dropped.join().ok();
    }
}

async fn read(answer: reqwest::Response) -> Value {
    let (status, url) = (answer.status(), answer.url().clone());
    let body = answer.text().await.unwrap();
    assert!(status.is_success(), "{url}: {status}: {body}");
    serde_json::from_str(&body).unwrap_or_else(|error| panic!("{url}: {error}: {body}"))
}

/// The binaries lie beside the sandbox's own, where `cargo build --workspace` puts them.
pub(crate) fn binary(name: &str) -> PathBuf {
    let sandbox = Path::new(env!("CARGO_BIN_EXE_sandbox"));
    let path = sandbox.with_file_name(name);
    assert!(path.exists(), "{} is missing: cargo build --workspace first", path.display());
    path
}

/// Ports that no other test has for as long as this lives. They lie below those that the system
/// gives to outgoing connections, which could take a port between two starts of a service.
struct Ports {
    first: u16,
    _lock: File,
}

impl Ports {
    const COUNT: u16 = 16;

    fn reserve() -> Self {
        let folder = std::env::temp_dir().join("media-lab-e2e-ports");
        std::fs::create_dir_all(&folder).unwrap();
        for first in (20_000..30_000).step_by(16) {
            let lock = folder.join(first.to_string());
            let lock = File::options().create(true).append(true).open(lock).unwrap();
            let mut ports = first..first + Self::COUNT;
            if lock.try_lock().is_ok()
                && ports.all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok())
            {
                return Self { first, _lock: lock };
            }
        }
        panic!("no ports are free between 20000 and 30000");
    }
}

#[expect(clippy::disallowed_methods, reason = "the tests are told where PostgreSQL is")]
fn postgres_url() -> String {
    std::env::var("TEST_POSTGRES_URL")
        .expect("TEST_POSTGRES_URL is not set: ./deploy/test.sh starts a PostgreSQL and sets it")
}

async fn administer(statement: &str) {
    use sqlx::Connection as _;
    let mut server = sqlx::PgConnection::connect(&postgres_url()).await.unwrap();
    let statement = sqlx::AssertSqlSafe(statement.to_owned());
    sqlx::raw_sql(statement).execute(&mut server).await.unwrap();
    server.close().await.unwrap();
}
