//! A whole sandbox on ports of its own, with one hand on the bot and the other on its users.

use std::path::Path;

use clap::Parser as _;
use proto::service::shutdown::Shutdown;
use sandbox::config::Config;
use sandbox::server::Server;
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) const TOKEN: &str = "4242424242:AAsandboxsandboxsandboxsandboxsandb";

/// A sandbox that serves.
pub(crate) struct Sandbox {
    pub(crate) server: Server,
    pub(crate) http: reqwest::Client,
    shutdown: Shutdown,
    folder: TempDir,
}

/// What the Bot API answered.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Answer {
    /// The result of a method that must have been carried out.
    #[track_caller]
    pub(crate) fn result(self) -> Value {
        assert_eq!((self.status, &self.body["ok"]), (200, &json!(true)), "{}", self.body);
        self.body["result"].clone()
    }

    /// Checks that the method was refused, in these words.
    #[track_caller]
    pub(crate) fn refused(&self, code: u16, description: &str) {
        let expected = json!({"ok": false, "error_code": code, "description": description});
        let mut body = self.body.clone();
        body.as_object_mut().unwrap().remove("parameters");
        assert_eq!((self.status, body), (code, expected));
    }
}

pub(crate) fn config(folder: &Path, more: &[&str]) -> Config {
    let mut arguments = vec!["sandbox", "--sandbox-data", folder.to_str().unwrap()];
    for flag in ["--sandbox-listen", "--sandbox-tls-listen"] {
        if !more.contains(&flag) {
            arguments.extend([flag, "127.0.0.1:0"]);
        }
    }
    arguments.extend(more);
    Config::try_parse_from(arguments).unwrap()
}

impl Sandbox {
    pub(crate) async fn start() -> Self {
        Self::on(tempfile::tempdir().unwrap()).await
    }

    async fn on(folder: TempDir) -> Self {
        let shutdown = Shutdown::new();
        let config = config(&folder.path().join("data"), &[]);
        let server = Server::start(&config, &shutdown).await.unwrap();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { server, http, shutdown, folder }
    }

    /// Ends it and starts it again on the same data.
    pub(crate) async fn restarted(mut self) -> Self {
        self.shutdown.request();
        self.server.ended().await.unwrap();
        self.server.save().unwrap();
        Self::on(self.folder).await
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.server.http)
    }

    /// Calls the Bot API with a JSON body.
    pub(crate) async fn bot(&self, method: &str, params: Value) -> Answer {
        let url = self.url(&format!("/telegram/bot{TOKEN}/{method}"));
        Self::answer(self.http.post(url).json(&params)).await
    }

    /// Calls the Bot API with a form that has files.
    pub(crate) async fn upload(&self, method: &str, form: reqwest::multipart::Form) -> Answer {
        let url = self.url(&format!("/telegram/bot{TOKEN}/{method}"));
        Self::answer(self.http.post(url).multipart(form)).await
    }

    pub(crate) async fn answer(request: reqwest::RequestBuilder) -> Answer {
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        Answer { status, body: answer.json().await.unwrap() }
    }

    /// Does something as a user.
    pub(crate) async fn play(&self, path: &str, body: Value) -> Value {
        let url = self.url(&format!("/_sandbox/telegram{path}"));
        let answer = Self::answer(self.http.post(url).json(&body)).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.body
    }

    /// Sends bytes as a user.
    pub(crate) async fn play_bytes(&self, path: &str, bytes: Vec<u8>) -> Answer {
        let url = self.url(&format!("/_sandbox/telegram{path}"));
        Self::answer(self.http.post(url).body(bytes)).await
    }

    /// Looks at something as a user.
    pub(crate) async fn look(&self, path: &str) -> Value {
        let answer =
            Self::answer(self.http.get(self.url(&format!("/_sandbox/telegram{path}")))).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.body
    }

    /// A user who has pressed /start, and whom the bot has seen.
    pub(crate) async fn user(&self) -> i64 {
        let id = self.play("/users", json!({})).await["id"].as_i64().unwrap();
        self.play(&format!("/users/{id}/text"), json!({"text": "/start"})).await;
        self.updates().await;
        id
    }

    /// Takes all updates that are there, and confirms them.
    pub(crate) async fn updates(&self) -> Vec<Value> {
        let updates = self.bot("getUpdates", json!({})).await.result();
        let updates = updates.as_array().unwrap().clone();
        if let Some(last) = updates.last() {
            let next = last["update_id"].as_i64().unwrap() + 1;
            self.bot("getUpdates", json!({"offset": next})).await.result();
        }
        updates
    }

    /// Switches faults on.
    pub(crate) async fn switch(&self, faults: Value) {
        let request = self.http.put(self.url("/_sandbox/faults")).json(&faults);
        assert_eq!(request.send().await.unwrap().status(), 200, "{faults}");
    }

    /// The CA that the data folder holds.
    pub(crate) fn ca(&self) -> Vec<u8> {
        std::fs::read(self.server.settings.data.join("ca.pem")).unwrap()
    }
}

/// A picture of one colour that is not the same everywhere.
pub(crate) fn png(width: u32, height: u32) -> Vec<u8> {
    let picture = image::RgbImage::from_fn(width, height, |x, y| {
        image::Rgb([u8::try_from(x % 256).unwrap(), u8::try_from(y % 256).unwrap(), 90])
    });
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}
