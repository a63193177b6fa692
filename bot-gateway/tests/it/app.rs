//! A running bot between an emulated Telegram and the services in memory.

use std::io::Cursor;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use bot_gateway::config::Config;
use bot_gateway::handlers::error::HandlerError;
use bot_gateway::schema::schema;
use bot_gateway::server;
use clap::Parser as _;
use proto::media::v1::{FailureReason, JobState};
use proto::service::shutdown::Shutdown;
use reqwest::Client;
use sandbox::server::Server;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use teloxide::dispatching::UpdateHandler;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::fakes::{Fakes, Model, to_lend};

pub(crate) const TOKEN: &str = "4242424242:AAsecretsecretsecretsecretsecretsec";
/// The first user of each test may do what operators do.
pub(crate) const OPERATOR: i64 = 1_001;
/// Much longer than anything here takes, so that a failure is one.
const DEADLINE: Duration = Duration::from_secs(30);

/// Where the bot keeps its state.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

pub(crate) struct App {
    pub(crate) fakes: Fakes,
    pub(crate) base: String,
    pub(crate) services: SocketAddr,
    pub(crate) database_url: String,
    /// Another Telegram than the sandbox's.
    pub(crate) telegram_url: Option<String>,
    postgres: Option<(String, String)>,
    http: Client,
    sandbox: Shutdown,
    serving: JoinHandle<()>,
    bot: Option<(Shutdown, JoinHandle<anyhow::Result<()>>)>,
    folder: TempDir,
}

impl App {
    /// Everything but the bot.
    pub(crate) async fn without_bot(engine: Engine) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (database_url, postgres) = match engine {
            Engine::Sqlite => {
                (format!("sqlite://{}", folder.path().join("bot.db").display()), None)
            }
            Engine::Postgres => new_database().await,
        };
        let sandbox = Shutdown::new();
        let data = folder.path().join("sandbox");
        let config = sandbox::config::Config::try_parse_from([
            "sandbox",
            "--sandbox-listen=127.0.0.1:0",
            "--sandbox-tls-listen=127.0.0.1:0",
            &format!("--sandbox-data={}", data.display()),
            &format!("--sandbox-bot-token={TOKEN}"),
        ]);
        let server = Server::start(&config.unwrap(), &sandbox).await.unwrap();
        let fakes = Fakes::default();
        let (services, serving) = fakes.serve().await;
        Self {
            fakes,
            base: format!("http://{}", server.http),
            services,
            database_url,
            telegram_url: None,
            postgres,
            http: Client::builder().no_proxy().build().unwrap(),
            sandbox: keep(sandbox, server),
            serving,
            bot: None,
            folder,
        }
    }

    pub(crate) async fn start() -> Self {
        Self::start_on(Engine::Sqlite).await
    }

    pub(crate) async fn start_on(engine: Engine) -> Self {
        let mut app = Self::without_bot(engine).await;
        app.start_bot(schema()).await;
        app
    }

    /// The settings of a bot here, as its command line has them.
    pub(crate) fn settings(&self) -> Vec<String> {
        let services = format!("http://{}", self.services);
        let sandbox = format!("{}/telegram", self.base);
        let telegram = self.telegram_url.as_ref().unwrap_or(&sandbox);
        vec![
            format!("--telegram-bot-token={TOKEN}"),
            format!("--telegram-api-url={telegram}"),
            format!("--bot-database-url={}", self.database_url),
            "--bot-admin-listen=127.0.0.1:0".to_owned(),
            format!("--bot-admin-ids={OPERATOR}"),
            format!("--billing-url={services}"),
            format!("--payments-url={services}"),
            format!("--media-url={services}"),
        ]
    }

    pub(crate) async fn start_bot(&mut self, schema: UpdateHandler<HandlerError>) {
        let settings = ["bot-gateway".to_owned()].into_iter().chain(self.settings());
        let config = Config::try_parse_from(settings).unwrap();
        let admin = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let shutdown = Shutdown::new();
        let bot = server::serve_schema(config, admin, shutdown.clone(), schema);
        self.bot = Some((shutdown, tokio::spawn(bot)));
    }

    /// Stops the bot in good order.
    pub(crate) async fn stop_bot(&mut self) {
        if let Some((shutdown, bot)) = self.bot.take() {
            shutdown.request();
            bot.await.unwrap().unwrap();
        }
    }

    /// Stops everything. Every test ends with it.
    pub(crate) async fn stop(mut self) {
        self.stop_bot().await;
        self.sandbox.request();
        self.serving.abort();
        if let Some((admin, name)) = self.postgres.take() {
            let mut connection = PgConnection::connect(&admin).await.unwrap();
            let drop = format!("drop database {name} with (force)");
            connection.execute(AssertSqlSafe(drop)).await.unwrap();
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    // The user.

    async fn post(&self, path: &str, body: Vec<u8>) -> Value {
        let answer =
            self.http.post(format!("{}{path}", self.base)).body(body).send().await.unwrap();
        let status = answer.status();
        let body: Value = answer.json().await.unwrap();
        assert!(status.is_success(), "{path}: {status} {body}");
        body
    }

    async fn post_json(&self, path: &str, body: &Value) -> Value {
        let url = format!("{}{path}", self.base);
        let answer = self.http.post(url).json(body).send().await.unwrap();
        let status = answer.status();
        let body: Value = answer.json().await.unwrap();
        assert!(status.is_success(), "{path}: {status} {body}");
        body
    }

    pub(crate) async fn user(&self) -> User<'_> {
        let user = self.post_json("/_sandbox/telegram/users", &json!({})).await;
        User { app: self, id: user["id"].as_i64().unwrap() }
    }

    /// A user that there is already.
    pub(crate) fn known(&self, id: i64) -> User<'_> {
        User { app: self, id }
    }

    /// Whether a button press was acknowledged.
    pub(crate) async fn is_answered(&self, query: &str) -> bool {
        let url = format!("{}/_sandbox/telegram/callbacks/{query}", self.base);
        let query: Value = self.http.get(url).send().await.unwrap().json().await.unwrap();
        query["answered"] == true
    }

    /// The status of each call of one method that Telegram has seen.
    pub(crate) async fn seen(&self, method: &str) -> Vec<i64> {
        let url = format!("{}/_sandbox/telegram/seen?method={method}", self.base);
        let seen: Value = self.http.get(url).send().await.unwrap().json().await.unwrap();
        let calls = seen["calls"].as_array().unwrap();
        calls.iter().map(|call| call["status"].as_i64().unwrap()).collect()
    }

    /// Calls the Bot API as somebody else with the bot's token does.
    pub(crate) async fn calls(&self, method: &str, params: &Value) -> Value {
        self.post_json(&format!("/telegram/bot{TOKEN}/{method}"), params).await
    }

    /// The commands that Telegram's clients offer.
    pub(crate) async fn commands(&self) -> String {
        let url = format!("{}/_sandbox/telegram/bot?language=ru", self.base);
        let bot: Value = self.http.get(url).send().await.unwrap().json().await.unwrap();
        bot["commands"].to_string()
    }

    /// Telegram goes away.
    pub(crate) fn stop_sandbox(&self) {
        self.sandbox.request();
    }

    /// A user with an open menu.
    pub(crate) async fn guest(&self) -> User<'_> {
        let user = self.user().await;
        let start = user.writes("/start").await;
        user.reads(start, "Выберите").await;
        user
    }

    pub(crate) async fn fault(&self, faults: &Value) {
        let url = format!("{}/_sandbox/faults", self.base);
        let answer = self.http.put(url).json(faults).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    }

    // The services.

    pub(crate) fn model<T>(&self, look: impl FnOnce(&mut Model) -> T) -> T {
        look(&mut self.fakes.model())
    }

    /// Waits until the services are as they should be.
    pub(crate) async fn until<T>(&self, what: &str, find: impl Fn(&mut Model) -> Option<T>) -> T {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let found = self.model(&find);
            if let Some(found) = found {
                return found;
            }
            assert!(Instant::now() < deadline, "{what}: {:#?}", self.fakes.model());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits for the job of the last SubmitJob call; answers with its operation.
    pub(crate) async fn submitted(&self) -> String {
        let find = |model: &mut Model| Some(model.jobs.last()?.operation_id.clone());
        self.until("a job is submitted", find).await
    }

    /// A job ends with a picture.
    pub(crate) fn succeed(&self, operation_id: &str, picture: Vec<u8>) {
        self.model(|model| {
            model.commit(operation_id);
            model.pictures.insert(operation_id.to_owned(), picture);
            let mut jobs = model.jobs.iter().filter(|job| job.operation_id == operation_id);
            let mut job = jobs.next().unwrap().clone();
            job.set_state(JobState::Succeeded);
            model.results.push(to_lend(job));
        });
    }

    /// A job ends without a picture.
    pub(crate) fn fail(&self, operation_id: &str, reason: FailureReason) {
        self.model(|model| {
            model.give_back(operation_id).unwrap();
            let mut jobs = model.jobs.iter().filter(|job| job.operation_id == operation_id);
            let mut job = jobs.next().unwrap().clone();
            job.set_state(JobState::Failed);
            job.set_failure_reason(reason);
            model.results.push(to_lend(job));
        });
    }

    /// Waits until the end of a job is acknowledged.
    pub(crate) async fn acknowledged(&self, operation_id: &str) {
        let is_done = |model: &mut Model| {
            let mut results = model.results.iter();
            let result = results.find(|lent| lent.thing.operation_id == operation_id)?;
            result.is_acknowledged.then_some(())
        };
        self.until("the result is acknowledged", is_done).await;
    }

    /// Leaves a user with that much and no free operation.
    pub(crate) fn set_account(&self, user: &User<'_>, free: i64, balance_kopecks: i64) {
        self.model(|model| {
            model.register(user.id);
            let account = model.accounts.get_mut(&user.id).unwrap();
            account.free_operations = free;
            account.balance_kopecks = balance_kopecks;
        });
    }
}

/// Keeps a server until its shutdown.
fn keep(shutdown: Shutdown, mut server: Server) -> Shutdown {
    tokio::spawn(async move { server.ended().await.unwrap() });
    shutdown
}

async fn new_database() -> (String, Option<(String, String)>) {
    let admin = proto_env("TEST_POSTGRES_URL");
    let name = format!("bot_{}", uuid::Uuid::new_v4().simple());
    let mut connection = PgConnection::connect(&admin).await.expect("TEST_POSTGRES_URL");
    connection.execute(AssertSqlSafe(format!("create database {name}"))).await.unwrap();
    let (server, _) = admin.rsplit_once('/').expect("TEST_POSTGRES_URL names a database");
    (format!("{server}/{name}"), Some((admin, name)))
}

#[expect(clippy::disallowed_methods, reason = "tests have no config.rs")]
fn proto_env(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} must be the address of a PostgreSQL"))
}

/// A person who talks to the bot.
#[derive(Clone, Copy)]
pub(crate) struct User<'a> {
    app: &'a App,
    pub(crate) id: i64,
}

impl User<'_> {
    fn path(self, what: &str) -> String {
        format!("/_sandbox/telegram/users/{}/{what}", self.id)
    }

    /// Writes a text; answers with the message's id.
    pub(crate) async fn writes(self, text: &str) -> i64 {
        let sent = self.app.post_json(&self.path("text"), &json!({"text": text})).await;
        sent["message_id"].as_i64().unwrap()
    }

    /// Sends a photo.
    pub(crate) async fn sends_photo(self, picture: Vec<u8>, query: &[(&str, &str)]) -> i64 {
        self.sends("photo", picture, query).await
    }

    /// Sends a file.
    pub(crate) async fn sends_file(self, bytes: Vec<u8>, query: &[(&str, &str)]) -> i64 {
        self.sends("document", bytes, query).await
    }

    async fn sends(self, what: &str, bytes: Vec<u8>, query: &[(&str, &str)]) -> i64 {
        let mut url = url::Url::parse(&format!("{}{}", self.app.base, self.path(what))).unwrap();
        url.query_pairs_mut().extend_pairs(query);
        let path = format!("{}?{}", url.path(), url.query().unwrap_or_default());
        self.app.post(&path, bytes).await["message_id"].as_i64().unwrap()
    }

    /// Presses the button with that text; answers with the id of the message it is on.
    pub(crate) async fn presses(self, message: &Value, text: &str) -> i64 {
        let rows = message["buttons"].as_array().unwrap();
        let mut buttons = rows.iter().flat_map(|row| row.as_array().unwrap());
        let button = buttons
            .find(|button| button["text"].as_str().is_some_and(|label| label.contains(text)))
            .unwrap_or_else(|| panic!("no button {text} on {message:#}"));
        let id = message["message_id"].as_i64().unwrap();
        self.presses_data(id, button["data"].as_str().unwrap()).await;
        self.last().await
    }

    pub(crate) async fn presses_data(self, message_id: i64, data: &str) -> String {
        let body = json!({"message_id": message_id, "data": data});
        let pressed = self.app.post_json(&self.path("press"), &body).await;
        pressed["callback_query_id"].as_str().unwrap().to_owned()
    }

    /// Pays an invoice in Stars, another's too; answers with what Telegram says of it.
    pub(crate) async fn pays(self, invoice: &Value, chat_id: i64) -> Value {
        let body = json!({"message_id": invoice["message_id"], "chat_id": chat_id});
        self.app.post_json(&self.path("pay"), &body).await
    }

    /// Pays an invoice in Stars on two devices at once.
    pub(crate) async fn pays_twice(self, invoice: &Value) -> Value {
        let body = json!({"message_id": invoice["message_id"], "twice": true});
        self.app.post_json(&self.path("pay"), &body).await["payments"].clone()
    }

    /// The Stars that the user has.
    pub(crate) async fn stars(self) -> i64 {
        let url = format!("{}{}", self.app.base, self.path("chat?after=0"));
        let chat: Value = self.app.http.get(url).send().await.unwrap().json().await.unwrap();
        chat["stars"].as_i64().unwrap()
    }

    /// Loads the file of a message.
    pub(crate) async fn downloads(self, message: &Value) -> Vec<u8> {
        let url = message["document"]["url"].as_str().unwrap();
        let answer = self.app.http.get(format!("{}{url}", self.app.base)).send().await.unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
        answer.bytes().await.unwrap().to_vec()
    }

    pub(crate) async fn blocks(self) {
        self.app.post_json(&self.path("block"), &json!({})).await;
    }

    /// All messages of the chat as they are now, deleted ones too.
    pub(crate) async fn chat(self) -> Vec<Value> {
        let url = format!("{}{}", self.app.base, self.path("chat?after=0"));
        let chat: Value = self.app.http.get(url).send().await.unwrap().json().await.unwrap();
        chat["messages"].as_array().unwrap().clone()
    }

    async fn last(self) -> i64 {
        self.chat().await.last().map_or(0, |message| message["message_id"].as_i64().unwrap())
    }

    /// Waits for a message of the bot below another one that has this in its text or caption.
    pub(crate) async fn reads(self, after: i64, words: &str) -> Value {
        self.sees(&format!("«{words}» after {after}"), |message| {
            is_bots(message)
                && message["message_id"].as_i64().unwrap() > after
                && said(message).contains(words)
        })
        .await
    }

    /// Waits for a message of the chat.
    pub(crate) async fn sees(self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let chat = self.chat().await;
            if let Some(found) = chat.iter().rev().find(|message| is_it(message)) {
                return found.clone();
            }
            assert!(Instant::now() < deadline, "{what}: {chat:#?}");
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    /// How many messages of the bot have this in their text or caption, deleted ones not counted.
    pub(crate) async fn count(self, words: &str) -> usize {
        let chat = self.chat().await;
        chat.iter().filter(|message| is_bots(message) && said(message).contains(words)).count()
    }

    /// Opens a mode by its command-like button; answers with the last message's id.
    pub(crate) async fn opens(self, mode: &str, words: &str) -> i64 {
        let before = self.last().await;
        let menu = self.sees("a menu", |message| said(message).contains("Выберите")).await;
        self.presses_data(menu["message_id"].as_i64().unwrap(), mode).await;
        self.reads(before, words).await["message_id"].as_i64().unwrap()
    }
}

fn is_bots(message: &Value) -> bool {
    message["from"] == "bot" && message["deleted"] == false
}

/// What a message says, in its text or caption.
pub(crate) fn said(message: &Value) -> String {
    let text = message["text"].as_str().or_else(|| message["caption"].as_str());
    text.unwrap_or_default().to_owned()
}

/// A small picture of one colour.
pub(crate) fn picture(red: u8) -> Vec<u8> {
    let image = image::RgbImage::from_pixel(64, 48, image::Rgb([red, 120, 200]));
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, image::ImageFormat::Jpeg).unwrap();
    bytes.into_inner()
}
