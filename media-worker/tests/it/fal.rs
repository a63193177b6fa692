//! fal.ai as a script: its queue, storage, files and history over HTTP, doing what a test says.
//!
//! It refuses a file request that carries a key, and a queue request that carries none.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};

use crate::pictures;

/// What happens to a submit.
#[derive(Clone, Debug)]
pub(crate) enum OnSubmit {
    /// Taken and answered.
    Take,
    /// Taken, and the connection closed without an answer.
    TakeAndDrop,
    /// Taken, and answered with this status.
    TakeAndAnswer(u16),
    /// Taken, and answered only when the script changes.
    TakeAndHang,
    /// Refused with this status; nothing is taken.
    Refuse(u16, Value),
}

/// What a result is.
#[derive(Clone, Debug)]
pub(crate) enum OnResult {
    /// `images` with an object.
    Images,
    /// `image` with an object.
    Image,
    /// `images` with a bare address.
    BareUrl,
    /// The picture inside the answer.
    Inline,
    /// This body.
    Body(Value),
    /// This status and body.
    Status(u16, Value),
    /// A page of the ingress, so many times; then [`OnResult::Images`].
    IngressPage(u32),
    /// Still in progress, so many times; then [`OnResult::Images`].
    NotYet(u32),
}

/// What fal does. Change it at any time.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) submit: OnSubmit,
    /// So many looks at the status say that the job waits, the last one at position 0.
    pub(crate) queue: u32,
    /// This endpoint is not there.
    pub(crate) gone: Option<&'static str>,
    /// The account of this key is locked.
    pub(crate) locked: Option<&'static str>,
    /// This endpoint takes work and ends it with a 500.
    pub(crate) fails: Option<&'static str>,
    /// This endpoint never completes.
    pub(crate) hang_on: Option<&'static str>,
    /// Never completes.
    pub(crate) hang: bool,
    /// A cancel is answered with: it is done already.
    pub(crate) cancel_finds_it_done: bool,
    /// This status instead of a status, if any.
    pub(crate) status_code: Option<u16>,
    pub(crate) result: OnResult,
    /// Bytes of the result's file.
    pub(crate) file: Vec<u8>,
    /// The file is not there so many times.
    pub(crate) file_missing: u32,
    /// The history shows what was taken; else it cannot be asked.
    pub(crate) history: bool,
    /// A status that is over says that this went wrong.
    pub(crate) error_type: Option<&'static str>,
    /// The storage refuses with this status.
    pub(crate) no_storage: Option<u16>,
    /// Uploads never get an answer.
    pub(crate) hang_uploads: bool,
    /// The result's file never comes.
    pub(crate) hang_files: bool,
    pub(crate) billable_units: Option<&'static str>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            submit: OnSubmit::Take,
            queue: 0,
            gone: None,
            locked: None,
            fails: None,
            hang_on: None,
            hang: false,
            cancel_finds_it_done: false,
            status_code: None,
            result: OnResult::Images,
            file: pictures::png(64, 48, 9),
            file_missing: 0,
            history: false,
            error_type: None,
            no_storage: None,
            hang_uploads: false,
            hang_files: false,
            billable_units: Some("1"),
        }
    }
}

/// A submit that was taken.
#[derive(Clone, Debug)]
pub(crate) struct Taken {
    pub(crate) request_id: String,
    pub(crate) endpoint: String,
    pub(crate) body: Value,
    pub(crate) headers: HashMap<String, String>,
    /// Where it is to be told that the work is done.
    pub(crate) webhook: Option<String>,
}

#[derive(Debug, Default)]
struct Seen {
    script: Script,
    taken: Vec<Taken>,
    refused: u32,
    looks: HashMap<String, u32>,
    cancelled: Vec<String>,
    /// Whose result was read.
    done: HashSet<String>,
    /// The most jobs that were here at once.
    peak: usize,
    uploads: HashMap<String, Vec<u8>>,
    upload_starts: u32,
    file_starts: u32,
    leaks: Vec<String>,
    calls: Vec<String>,
}

impl Seen {
    fn is_at(&self, id: &str, endpoint: &str) -> bool {
        self.taken.iter().any(|taken| taken.request_id == id && taken.endpoint == endpoint)
    }

    fn take(&mut self, taken: Taken) {
        self.taken.push(taken);
        self.peak = self.peak.max(self.taken.len() - self.done.len());
    }
}

/// Plays fal.ai. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Fal {
    pub(crate) url: String,
    seen: Arc<Mutex<Seen>>,
}

impl Fal {
    pub(crate) async fn serve() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let fal = Self { url, seen: Arc::default() };
        let routes = Router::new()
            .route("/storage/upload/initiate", post(initiate))
            .route("/put/{name}", put(upload))
            .route("/files/{name}", get(file))
            .route("/v1/models/requests/by-endpoint", get(history))
            .fallback(queue)
            .with_state(fal.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        fal
    }

    pub(crate) fn script(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.seen().script);
    }

    pub(crate) fn taken(&self) -> Vec<Taken> {
        self.seen().taken.clone()
    }

    pub(crate) fn upload_starts(&self) -> u32 {
        self.seen().upload_starts
    }

    pub(crate) fn refused(&self) -> u32 {
        self.seen().refused
    }

    pub(crate) fn cancelled(&self) -> Vec<String> {
        self.seen().cancelled.clone()
    }

    /// The most jobs that were taken and whose result had not been read.
    pub(crate) fn peak(&self) -> usize {
        self.seen().peak
    }

    /// The bytes behind the address of an upload.
    pub(crate) fn uploaded(&self, url: &str) -> Vec<u8> {
        let name = url.rsplit('/').next().unwrap();
        self.seen().uploads[name].clone()
    }

    pub(crate) fn leaks(&self) -> Vec<String> {
        self.seen().leaks.clone()
    }

    /// Waits until something was seen.
    pub(crate) async fn until(&self, what: &str, seen: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !seen(self) {
            assert!(Instant::now() < deadline, "fal never saw: {what}; {:?}", self.seen().calls);
            sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) async fn until_taken(&self, count: usize) {
        self.until("a submit", |fal| fal.taken().len() >= count).await;
    }

    pub(crate) async fn until_looked_at(&self) {
        self.until("a look at the status", |fal| !fal.seen().looks.is_empty()).await;
    }

    /// Waits until so many requests were looked at.
    pub(crate) async fn until_looked_at_all(&self, count: usize) {
        self.until("a look at each", |fal| fal.seen().looks.len() >= count).await;
    }

    pub(crate) async fn until_upload_begins(&self) {
        self.until("an upload", |fal| fal.seen().upload_starts > 0).await;
    }

    pub(crate) async fn until_file_is_asked_for(&self) {
        self.until("a download", |fal| fal.seen().file_starts > 0).await;
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn while_script(&self, holds: impl Fn(&Script) -> bool) {
        while holds(&self.seen().script) {
            sleep(Duration::from_millis(5)).await;
        }
    }
}

fn has_key(headers: &HeaderMap) -> bool {
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    authorization.is_some_and(|value| value.starts_with("Key test:key"))
}

fn json_answer(status: u16, body: &Value) -> Response {
    let status = StatusCode::from_u16(status).unwrap();
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

/// Closes the connection without an answer, as a crash of the other side would.
fn drop_connection() -> ! {
    std::panic::resume_unwind(Box::new("the connection is closed, as the test says"))
}

async fn initiate(State(fal): State<Fal>, headers: HeaderMap) -> Response {
    fal.seen().upload_starts += 1;
    fal.while_script(|script| script.hang_uploads).await;
    if !has_key(&headers) {
        return json_answer(401, &json!({"detail": "no key"}));
    }
    if let Some(status) = fal.seen().script.no_storage {
        return json_answer(status, &json!({"detail": "no storage here"}));
    }
    let name = uuid::Uuid::new_v4().to_string();
    let url = &fal.url;
    json_answer(
        200,
        &json!({"file_url": format!("{url}/files/{name}"), "upload_url": format!("{url}/put/{name}")}),
    )
}

async fn upload(
    State(fal): State<Fal>,
    Path(name): Path<String>,
    headers: HeaderMap,
    bytes: Bytes,
) -> StatusCode {
    let mut seen = fal.seen();
    if headers.contains_key(header::AUTHORIZATION) {
        seen.leaks.push(format!("PUT {name}"));
    }
    seen.uploads.insert(name, bytes.to_vec());
    StatusCode::OK
}

async fn file(State(fal): State<Fal>, Path(name): Path<String>, headers: HeaderMap) -> Response {
    fal.seen().file_starts += 1;
    fal.while_script(|script| script.hang_files).await;
    let mut seen = fal.seen();
    if headers.contains_key(header::AUTHORIZATION) {
        seen.leaks.push(format!("GET {name}"));
    }
    if seen.script.file_missing > 0 {
        seen.script.file_missing -= 1;
        return StatusCode::NOT_FOUND.into_response();
    }
    seen.script.file.clone().into_response()
}

async fn history(State(fal): State<Fal>, request: Request) -> Response {
    let seen = fal.seen();
    if !seen.script.history {
        return json_answer(404, &json!({"detail": "no such API"}));
    }
    let query = request.uri().query().unwrap_or_default().to_owned();
    let wants = |taken: &&Taken| {
        let endpoint = taken.endpoint.replace('/', "%2F");
        query.contains(&format!("endpoint_id={endpoint}")) && query.contains("expand=payloads")
    };
    let items: Vec<Value> = seen
        .taken
        .iter()
        .filter(wants)
        .map(|taken| {
            json!({"request_id": taken.request_id, "endpoint_id": taken.endpoint,
                "sent_at": "2026-10-01T09:00:00Z", "json_input": taken.body})
        })
        .collect();
    json_answer(200, &json!({"items": items, "next_cursor": null, "has_more": false}))
}

/// Submit, status, result and cancel.
async fn queue(State(fal): State<Fal>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let path = head.uri.path().trim_matches('/').to_owned();
    fal.seen().calls.push(format!("{} {path}", head.method));
    if !has_key(&head.headers) {
        return json_answer(401, &json!({"detail": "no key"}));
    }
    if head.method == Method::POST {
        let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        let query = head.uri.query().unwrap_or_default().as_bytes();
        let webhook = url::form_urlencoded::parse(query).find(|(name, _)| name == "fal_webhook");
        let webhook = webhook.map(|(_, url)| url.into_owned());
        return submit(&fal, (&path, webhook), &head.headers, &body).await;
    }
    let Some((app, rest)) = path.split_once("/requests/") else {
        return json_answer(404, &json!({"detail": format!("Path /{path} not found")}));
    };
    let id = rest.split('/').next().unwrap_or_default().to_owned();
    let known = |taken: &Taken| {
        let own_app: Vec<&str> = taken.endpoint.split('/').take(2).collect();
        taken.request_id == id && own_app.join("/") == app
    };
    if !fal.taken().iter().any(known) {
        return json_answer(404, &json!({"status": "NOT_FOUND"}));
    }
    match (&head.method, rest.strip_prefix(&id).unwrap_or_default()) {
        (&Method::GET, "/status") => status(&fal, &id),
        (&Method::GET, "") => result(&fal, &id),
        (&Method::PUT, "/cancel") => {
            let mut seen = fal.seen();
            if seen.script.cancel_finds_it_done {
                return json_answer(400, &json!({"status": "ALREADY_COMPLETED"}));
            }
            seen.cancelled.push(id);
            json_answer(202, &json!({"status": "CANCELLATION_REQUESTED"}))
        }
        _ => json_answer(405, &json!({"detail": "Method Not Allowed"})),
    }
}

async fn submit(
    fal: &Fal,
    (endpoint, webhook): (&str, Option<String>),
    headers: &HeaderMap,
    body: &[u8],
) -> Response {
    let script = fal.seen().script.clone();
    if let OnSubmit::Refuse(status, body) = &script.submit {
        fal.seen().refused += 1;
        return json_answer(*status, body);
    }
    let key = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if script.locked.is_some_and(|locked| key == Some(&format!("Key {locked}"))) {
        fal.seen().refused += 1;
        return json_answer(403, &json!({"detail": "User is locked. Reason: Exhausted balance."}));
    }
    if script.gone == Some(endpoint) {
        fal.seen().refused += 1;
        return json_answer(404, &json!({"detail": format!("Path /{endpoint} not found")}));
    }
    let request_id = uuid::Uuid::new_v4().to_string();
    let text = |value: &axum::http::HeaderValue| value.to_str().unwrap_or_default().to_owned();
    fal.seen().take(Taken {
        request_id: request_id.clone(),
        endpoint: endpoint.to_owned(),
        body: serde_json::from_slice(body).unwrap(),
        headers: headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
        webhook,
    });
    match script.submit {
        OnSubmit::TakeAndDrop => drop_connection(),
        OnSubmit::TakeAndAnswer(status) => return json_answer(status, &json!({"detail": "x"})),
        OnSubmit::TakeAndHang => {
            fal.while_script(|script| matches!(script.submit, OnSubmit::TakeAndHang)).await;
        }
        OnSubmit::Take | OnSubmit::Refuse(..) => {}
    }
    let app: Vec<&str> = endpoint.split('/').take(2).collect();
    let base = format!("{}/{}/requests/{request_id}", fal.url, app.join("/"));
    json_answer(
        200,
        &json!({"status": "IN_QUEUE", "request_id": request_id, "queue_position": 0,
            "response_url": base, "status_url": format!("{base}/status"),
            "cancel_url": format!("{base}/cancel")}),
    )
}

fn status(fal: &Fal, id: &str) -> Response {
    let mut seen = fal.seen();
    let looks = *seen.looks.entry(id.to_owned()).and_modify(|looks| *looks += 1).or_insert(1);
    if let Some(code) = seen.script.status_code {
        return json_answer(code, &json!({"detail": "as the test says"}));
    }
    if looks <= seen.script.queue && seen.cancelled.iter().any(|cancelled| cancelled == id) {
        return json_answer(404, &json!({"status": "NOT_FOUND"}));
    }
    if looks <= seen.script.queue {
        let position = seen.script.queue - looks;
        let body = json!({"status": "IN_QUEUE", "request_id": id, "queue_position": position});
        return json_answer(202, &body);
    }
    if seen.script.hang || seen.script.hang_on.is_some_and(|on| seen.is_at(id, on)) {
        return json_answer(202, &json!({"status": "IN_PROGRESS", "request_id": id, "logs": null}));
    }
    let mut body = json!({"status": "COMPLETED", "request_id": id, "logs": null});
    if let Some(kind) = seen.script.error_type {
        body["error"] = "as the test says".into();
        body["error_type"] = kind.into();
    }
    json_answer(200, &body)
}

fn result(fal: &Fal, id: &str) -> Response {
    let mut seen = fal.seen();
    seen.done.insert(id.to_owned());
    if seen.script.fails.is_some_and(|fails| seen.is_at(id, fails)) {
        let mut response =
            json_answer(500, &json!({"detail": "x", "error_type": "internal_error"}));
        response.headers_mut().insert("x-fal-request-id", id.parse().unwrap());
        return response;
    }
    let url = format!("{}/files/result-{id}", fal.url);
    let body = match &mut seen.script.result {
        OnResult::Images => json!({"images": [{"url": url}], "seed": 1}),
        OnResult::Image => json!({"image": {"url": url, "content_type": "image/png"}}),
        OnResult::BareUrl => json!({"images": [url]}),
        OnResult::Inline => {
            use base64::Engine as _;
            let file = base64::engine::general_purpose::STANDARD.encode(&seen.script.file);
            json!({"images": [{"url": format!("data:image/png;base64,{file}")}]})
        }
        OnResult::Body(body) => body.clone(),
        OnResult::Status(status, body) => {
            let mut response = json_answer(*status, body);
            response.headers_mut().insert("x-fal-request-id", id.parse().unwrap());
            return response;
        }
        OnResult::IngressPage(left) => {
            if *left > 0 {
                *left -= 1;
                return (StatusCode::BAD_GATEWAY, "<html>nginx</html>").into_response();
            }
            json!({"images": [{"url": url}]})
        }
        OnResult::NotYet(left) => {
            if *left > 0 {
                *left -= 1;
                return json_answer(400, &json!({"detail": "Request is still in progress"}));
            }
            json!({"images": [{"url": url}]})
        }
    };
    let mut response = json_answer(200, &body);
    response.headers_mut().insert("x-fal-request-id", id.parse().unwrap());
    if let Some(units) = seen.script.billable_units {
        response.headers_mut().insert("x-fal-billable-units", units.parse().unwrap());
    }
    response
}
