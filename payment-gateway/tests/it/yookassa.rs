//! YooKassa, over HTTP: payments with their keys, and the ways in which its answers get lost.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use uuid::Uuid;

pub(crate) const SHOP_ID: &str = "100500";
pub(crate) const SECRET_KEY: &str = "test_sandbox";

/// What happens to one POST /payments instead of its answer.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// 500, and no payment was made.
    ErrorBefore,
    /// 500, and the payment was made.
    ErrorAfter,
    /// The connection ends in the middle of the answer; the payment was made.
    Dropped,
    /// A proxy's page; no payment was made.
    Html,
    /// 200 with something else.
    Unreadable,
    /// Too many requests.
    Busy,
    /// The answer waits until the semaphore gives a permit; the payment was made.
    Held(Arc<Semaphore>),
    /// A refusal.
    Refused(u16, Value),
}

#[derive(Clone, Debug, Default)]
pub(crate) struct YooKassa {
    inner: Arc<Mutex<Inner>>,
}

/// `100500:test_sandbox`
const TEST_SHOP: &str = "Basic MTAwNTAwOnRlc3Rfc2FuZGJveA==";
/// `100500:live_sandbox`
const LIVE_SHOP: &str = "Basic MTAwNTAwOmxpdmVfc2FuZGJveA==";

#[derive(Debug, Default)]
struct Inner {
    payments: Vec<Value>,
    refunds: Vec<Value>,
    /// What a key refunded, and from which bytes.
    refund_keys: HashMap<String, (Bytes, String)>,
    refund_faults: VecDeque<Fault>,
    /// Where the next refunds stand, and why; they succeed otherwise.
    refund_ends: VecDeque<(String, String)>,
    refund_posts: Vec<(String, Bytes)>,
    /// What a key made, and from which bytes.
    keys: HashMap<String, (Bytes, usize)>,
    faults: VecDeque<Fault>,
    down: bool,
    /// Payments without a receipt are refused.
    wants_receipts: bool,
    /// How many requests came.
    requests: usize,
    /// Payments whose reads fail.
    unreadable: HashSet<String>,
    /// How long a read takes.
    slow: Duration,
    posts: Vec<(String, Bytes)>,
    captures: Vec<String>,
    gets: Vec<String>,
    lists: usize,
}

impl YooKassa {
    /// Serves on a free port; answers with the address of the API.
    pub(crate) async fn serve(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v3", listener.local_addr().unwrap());
        let routes = Router::new()
            .route("/v3/payments", post(create).get(list))
            .route("/v3/payments/{id}", get(read))
            .route("/v3/payments/{id}/capture", post(capture))
            .route("/v3/refunds", post(create_refund).get(list_refunds))
            .route("/v3/refunds/{id}", get(read_refund))
            .layer(middleware::from_fn_with_state(self.clone(), door))
            .with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        url
    }

    /// What the next POSTs meet, in turn.
    pub(crate) fn fail_next(&self, faults: impl IntoIterator<Item = Fault>) {
        self.inner().faults.extend(faults);
    }

    /// From now on nothing is answered but a proxy's page, or everything again.
    pub(crate) fn set_down(&self, down: bool) {
        self.inner().down = down;
    }

    /// From now on a payment needs a receipt.
    pub(crate) fn require_receipts(&self) {
        self.inner().wants_receipts = true;
    }

    /// How many requests came, answered or not.
    pub(crate) fn requests(&self) -> usize {
        self.inner().requests
    }

    /// From now on reads of this payment fail.
    pub(crate) fn make_unreadable(&self, id: &str) {
        self.inner().unreadable.insert(id.to_owned());
    }

    /// From now on a read is answered so late.
    pub(crate) fn set_slow(&self, slow: Duration) {
        self.inner().slow = slow;
    }

    /// How many payments there are.
    pub(crate) fn count(&self) -> usize {
        self.inner().payments.len()
    }

    /// The keys and bodies that were posted.
    pub(crate) fn posts(&self) -> Vec<(String, Bytes)> {
        self.inner().posts.clone()
    }

    pub(crate) fn captures(&self) -> Vec<String> {
        self.inner().captures.clone()
    }

    /// How often a payment was read.
    pub(crate) fn gets(&self) -> usize {
        self.inner().gets.len()
    }

    /// How often this payment was read.
    pub(crate) fn gets_of(&self, id: &str) -> usize {
        self.inner().gets.iter().filter(|it| *it == id).count()
    }

    /// How often payments were listed.
    pub(crate) fn lists(&self) -> usize {
        self.inner().lists
    }

    /// The id of the payment that was made for a top-up.
    pub(crate) fn payment_of(&self, top_up_id: &str) -> Option<String> {
        let inner = self.inner();
        let found = inner.payments.iter().find(|it| it["metadata"]["top_up_id"] == top_up_id);
        found.and_then(|it| it["id"].as_str()).map(str::to_owned)
    }

    /// Changes a payment by hand.
    pub(crate) fn change(&self, id: &str, change: impl FnOnce(&mut Value)) {
        let mut inner = self.inner();
        change(inner.payments.iter_mut().find(|it| it["id"] == id).unwrap());
    }

    /// The user pays.
    pub(crate) fn pay(&self, id: &str) {
        self.change(id, |payment| {
            payment["status"] = json!("succeeded");
            payment["paid"] = json!(true);
            payment["income_amount"] = json!({"value": "0.97", "currency": "RUB"});
            payment["captured_at"] = json!(text(SystemTime::now()));
            payment["refundable"] = json!(true);
            payment.as_object_mut().unwrap().remove("confirmation");
        });
    }

    /// The bank declines, or the time to pay is over.
    pub(crate) fn decline(&self, id: &str, reason: &str) {
        let reason = reason.to_owned();
        self.change(id, |payment| {
            payment["status"] = json!("canceled");
            payment["cancellation_details"] = json!({"party": "yoo_money", "reason": reason});
            payment.as_object_mut().unwrap().remove("confirmation");
        });
    }

    /// Somebody gives money back in the merchant profile; answers with the refund's id.
    pub(crate) fn refund(&self, payment_id: &str, roubles: &str, status: &str) -> String {
        let id = Uuid::now_v7().to_string();
        self.inner().refunds.push(json!({
            "id": id, "payment_id": payment_id, "status": status,
            "amount": {"value": roubles, "currency": "RUB"},
            "created_at": text(SystemTime::now()),
        }));
        id
    }

    /// What the next POSTs of refunds meet, in turn.
    pub(crate) fn fail_next_refunds(&self, faults: impl IntoIterator<Item = Fault>) {
        self.inner().refund_faults.extend(faults);
    }

    /// Where the next refund that is asked for stands, and why.
    pub(crate) fn end_next_refund(&self, status: &str, reason: &str) {
        self.inner().refund_ends.push_back((status.to_owned(), reason.to_owned()));
    }

    /// The keys and bodies of refunds that were posted.
    pub(crate) fn refund_posts(&self) -> Vec<(String, Bytes)> {
        self.inner().refund_posts.clone()
    }

    /// All refunds, the oldest first.
    pub(crate) fn all_refunds(&self) -> Vec<Value> {
        self.inner().refunds.clone()
    }

    /// A day has passed since the keys were used.
    pub(crate) fn forget_refund_keys(&self) {
        self.inner().refund_keys.clear();
    }

    /// Changes a refund by hand.
    pub(crate) fn change_refund(&self, id: &str, change: impl FnOnce(&mut Value)) {
        let mut inner = self.inner();
        change(inner.refunds.iter_mut().find(|it| it["id"] == id).unwrap());
    }

    /// As if no refund had ever been made.
    pub(crate) fn forget_refunds(&self) {
        self.inner().refunds.clear();
    }

    /// How a pending refund ends.
    pub(crate) fn end_refund(&self, id: &str, status: &str) {
        let mut inner = self.inner();
        let refund = inner.refunds.iter_mut().find(|it| it["id"] == id).unwrap();
        refund["status"] = json!(status);
    }

    /// Makes a payment as old as a test needs it.
    pub(crate) fn set_created_at(&self, id: &str, moment: SystemTime) {
        self.change(id, |payment| payment["created_at"] = json!(text(moment)));
    }

    /// Makes the payment of money as old as a test needs it.
    pub(crate) fn set_captured_at(&self, id: &str, moment: SystemTime) {
        self.change(id, |payment| payment["captured_at"] = json!(text(moment)));
    }

    /// As if no payment had ever been made.
    pub(crate) fn forget_payments(&self) {
        let mut inner = self.inner();
        inner.payments.clear();
        inner.keys.clear();
    }

    /// A payment that nobody asked this service for.
    pub(crate) fn add(&self, body: &Value) -> String {
        let payment = payment(body, SystemTime::now());
        let id = payment["id"].as_str().unwrap().to_owned();
        self.inner().payments.push(payment);
        id
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }
}

/// A notification, as it is posted to the shop.
pub(crate) fn notification(event: &str, id: &str) -> String {
    let status = event.split('.').next_back().unwrap();
    let object = json!({
        "id": id, "status": status, "paid": true,
        "amount": {"value": "1000000.00", "currency": "RUB"},
        "metadata": {"user_id": "666", "top_up_id": "018e5f0a-1b2c-7d4e-9f0a-1b2c3d4e5f6a"},
    });
    json!({"type": "notification", "event": event, "object": object}).to_string()
}

pub(crate) fn text(moment: SystemTime) -> String {
    OffsetDateTime::from(moment).format(&Rfc3339).unwrap()
}

fn payment(body: &Value, created_at: SystemTime) -> Value {
    let id = Uuid::now_v7().to_string();
    let created_at = text(created_at);
    let mut payment = json!({
        "id": id, "status": "pending", "paid": false, "amount": body["amount"],
        "created_at": created_at, "recipient": {"account_id": SHOP_ID, "gateway_id": "100700"},
        "refundable": false, "test": true, "metadata": body["metadata"],
        "description": body["description"],
    });
    payment["confirmation"] = json!({
        "type": "redirect", "return_url": body["confirmation"]["return_url"],
        "confirmation_url": format!("https://yoomoney.test/checkout?orderId={id}"),
    });
    payment
}

fn error(status: u16, code: &str, parameter: Option<&str>) -> Response {
    let mut body = json!({"type": "error", "id": Uuid::now_v7().to_string(), "code": code,
        "description": "as the test says"});
    if let Some(parameter) = parameter {
        body["parameter"] = json!(parameter);
    }
    answer(status, &body)
}

fn answer(status: u16, body: &Value) -> Response {
    (StatusCode::from_u16(status).unwrap(), axum::Json(body)).into_response()
}

fn html(status: u16) -> Response {
    (StatusCode::from_u16(status).unwrap(), "<html>Bad Gateway</html>").into_response()
}

async fn door(State(yookassa): State<YooKassa>, request: Request, next: Next) -> Response {
    let is_down = {
        let mut inner = yookassa.inner();
        inner.requests += 1;
        inner.down
    };
    if is_down {
        return html(502);
    }
    let authorization = request.headers().get("authorization").and_then(|it| it.to_str().ok());
    if !authorization.is_some_and(|it| [TEST_SHOP, LIVE_SHOP].contains(&it)) {
        return error(401, "invalid_credentials", None);
    }
    next.run(request).await
}

async fn create(State(yookassa): State<YooKassa>, headers: HeaderMap, body: Bytes) -> Response {
    let text = |name| headers.get(name).and_then(|it| it.to_str().ok()).unwrap_or_default();
    if text("content-type") != "application/json" {
        return error(415, "invalid_request", None);
    }
    let key = text("idempotence-key").to_owned();
    if !(1..=64).contains(&key.len()) {
        return error(400, "invalid_request", Some("Idempotence-Key"));
    }
    let fault = {
        let mut inner = yookassa.inner();
        inner.posts.push((key.clone(), body.clone()));
        inner.faults.pop_front()
    };
    match &fault {
        Some(Fault::ErrorBefore) => return error(500, "internal_server_error", None),
        Some(Fault::Html) => return html(502),
        Some(Fault::Busy) => return error(429, "too_many_requests", None),
        Some(Fault::Refused(status, body)) => return answer(*status, body),
        _ => {}
    }
    let made = yookassa.inner().make(&key, &body);
    match fault {
        Some(Fault::ErrorAfter) => error(500, "internal_server_error", None),
        Some(Fault::Unreadable) => answer(200, &json!({"hello": "world"})),
        Some(Fault::Dropped) => {
            let broken =
                futures_util::stream::iter([Err::<Bytes, _>(std::io::Error::other("cut"))]);
            Body::from_stream(broken).into_response()
        }
        Some(Fault::Held(gate)) => {
            gate.acquire().await.unwrap().forget();
            made
        }
        _ => made,
    }
}

impl Inner {
    fn make(&mut self, key: &str, body: &Bytes) -> Response {
        if let Some((bytes, index)) = self.keys.get(key) {
            if bytes != body {
                return error(400, "invalid_request", Some("Idempotence-Key"));
            }
            return answer(200, &self.payments[*index]);
        }
        let request: Value = serde_json::from_slice(body).unwrap();
        let metadata = request["metadata"].as_object().unwrap();
        let is_valid = request["capture"] == true
            && request["amount"]["currency"] == "RUB"
            && request["amount"]["value"].as_str().unwrap().split_once('.').unwrap().1.len() == 2
            && request["confirmation"]["type"] == "redirect"
            && request["description"].as_str().unwrap().chars().count() <= 128
            && metadata.values().all(Value::is_string);
        if !is_valid {
            return error(400, "invalid_request", None);
        }
        if self.wants_receipts && !is_receipt(&request["receipt"], &request["amount"]) {
            return error(400, "invalid_request", Some("receipt"));
        }
        let payment = payment(&request, SystemTime::now());
        self.keys.insert(key.to_owned(), (body.clone(), self.payments.len()));
        self.payments.push(payment.clone());
        answer(200, &payment)
    }
}

/// As «Чеки от ЮKassa» checks it, for the one line that we send.
fn is_receipt(receipt: &Value, amount: &Value) -> bool {
    let item = &receipt["items"][0];
    receipt["customer"]["email"].as_str().is_some_and(|email| email.contains('@'))
        && receipt["items"].as_array().is_some_and(|items| items.len() == 1)
        && item["amount"] == *amount
        && item["quantity"] == 1
        && item["vat_code"].as_i64().is_some_and(|code| (1..=12).contains(&code))
        && item["measure"] == "piece"
        && item["description"].as_str().is_some_and(|text| text.chars().count() <= 128)
        && item["payment_mode"] == "full_prepayment"
        && item["payment_subject"].is_string()
        && !receipt.as_object().unwrap().values().any(Value::is_null)
}

async fn read(State(yookassa): State<YooKassa>, Path(id): Path<String>) -> Response {
    let slow = yookassa.inner().slow;
    tokio::time::sleep(slow).await;
    let mut inner = yookassa.inner();
    inner.gets.push(id.clone());
    if inner.unreadable.contains(&id) {
        return error(500, "internal_server_error", None);
    }
    match inner.payments.iter().find(|it| it["id"] == id.as_str()) {
        Some(payment) => answer(200, payment),
        None => error(404, "not_found", None),
    }
}

async fn read_refund(State(yookassa): State<YooKassa>, Path(id): Path<String>) -> Response {
    match yookassa.inner().refunds.iter().find(|it| it["id"] == id.as_str()) {
        Some(refund) => answer(200, refund),
        None => error(404, "not_found", None),
    }
}

async fn create_refund(
    State(yookassa): State<YooKassa>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let key = headers.get("idempotence-key").and_then(|it| it.to_str().ok()).unwrap_or_default();
    if !(1..=64).contains(&key.len()) {
        return error(400, "invalid_request", Some("Idempotence-Key"));
    }
    let fault = {
        let mut inner = yookassa.inner();
        inner.refund_posts.push((key.to_owned(), body.clone()));
        inner.refund_faults.pop_front()
    };
    match &fault {
        Some(Fault::ErrorBefore) => return error(500, "internal_server_error", None),
        Some(Fault::Refused(status, body)) => return answer(*status, body),
        _ => {}
    }
    let made = yookassa.inner().make_refund(key, &body);
    match fault {
        Some(Fault::ErrorAfter) => error(500, "internal_server_error", None),
        Some(Fault::Held(gate)) => {
            gate.acquire().await.unwrap().forget();
            made
        }
        _ => made,
    }
}

fn kopecks(amount: &Value) -> i64 {
    amount["value"].as_str().unwrap().replace('.', "").parse().unwrap()
}

impl Inner {
    fn make_refund(&mut self, key: &str, body: &Bytes) -> Response {
        if let Some((bytes, id)) = self.refund_keys.get(key) {
            if bytes != body {
                return error(400, "invalid_request", Some("Idempotence-Key"));
            }
            return answer(200, self.refunds.iter().find(|it| it["id"] == id.as_str()).unwrap());
        }
        let request: Value = serde_json::from_slice(body).unwrap();
        assert_eq!(request["payment_id"].as_str().unwrap().len(), 36);
        assert!(request["description"].as_str().unwrap().chars().count() <= 250);
        assert!(request["metadata"].as_object().unwrap().values().all(Value::is_string));
        let payment = self.payments.iter_mut().find(|it| it["id"] == request["payment_id"]);
        let Some(payment) = payment.filter(|it| it["status"] == "succeeded") else {
            return error(400, "invalid_request", Some("payment_id"));
        };
        let gone = self
            .refunds
            .iter()
            .filter(|it| it["payment_id"] == request["payment_id"] && it["status"] != "canceled");
        let gone: i64 = gone.map(|it| kopecks(&it["amount"])).sum();
        let left = kopecks(&payment["amount"]) - gone - kopecks(&request["amount"]);
        if left < 0 {
            return error(400, "invalid_request", Some("amount.value"));
        }
        let end = self.refund_ends.pop_front();
        let (status, reason) = end.unwrap_or_else(|| ("succeeded".to_owned(), String::new()));
        let id = Uuid::now_v7().to_string();
        let mut refund = json!({
            "id": id, "payment_id": request["payment_id"], "status": status,
            "amount": request["amount"], "created_at": text(SystemTime::now()),
            "description": request["description"], "metadata": request["metadata"],
        });
        if !reason.is_empty() {
            refund["cancellation_details"] = json!({"party": "yoo_money", "reason": reason});
        }
        payment["refundable"] = json!(left > 0 || status == "canceled");
        self.refund_keys.insert(key.to_owned(), (body.clone(), id));
        self.refunds.push(refund.clone());
        answer(200, &refund)
    }
}

/// Newest first, one a page, so that every reader turns pages.
async fn list_refunds(
    State(yookassa): State<YooKassa>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let bound = |name| query.get(name).map(|it| OffsetDateTime::parse(it, &Rfc3339).unwrap());
    let (from, to) = (bound("created_at.gte"), bound("created_at.lt"));
    assert_eq!(query["limit"], "100");
    let matches = |it: &&Value| {
        let made = OffsetDateTime::parse(it["created_at"].as_str().unwrap(), &Rfc3339).unwrap();
        from.is_none_or(|from| made >= from)
            && to.is_none_or(|to| made < to)
            && query.get("payment_id").is_none_or(|id| it["payment_id"] == id.as_str())
    };
    let matching: Vec<Value> =
        yookassa.inner().refunds.iter().rev().filter(matches).cloned().collect();
    answer(200, &page(&matching, query.get("cursor"), 1))
}

fn page(matching: &[Value], cursor: Option<&String>, size: usize) -> Value {
    let start: usize = cursor.map_or(0, |it| it.parse().unwrap());
    let items: Vec<_> = matching.iter().skip(start).take(size).collect();
    let mut page = json!({"type": "list", "items": items});
    if start + size < matching.len() {
        page["next_cursor"] = json!((start + size).to_string());
    }
    page
}

async fn capture(
    State(yookassa): State<YooKassa>,
    Path(id): Path<String>,
    headers: HeaderMap,
    axum::Json(body): axum::Json<Value>,
) -> Response {
    let mut inner = yookassa.inner();
    inner.captures.push(headers["idempotence-key"].to_str().unwrap().to_owned());
    let payment = inner.payments.iter_mut().find(|it| it["id"] == id.as_str()).unwrap();
    if payment["status"] != "waiting_for_capture" || body["amount"] != payment["amount"] {
        return error(400, "invalid_request", Some("amount"));
    }
    payment["status"] = json!("succeeded");
    answer(200, payment)
}

/// Newest first, two a page, so that every look-up turns pages.
async fn list(
    State(yookassa): State<YooKassa>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let moment = |text: &str| OffsetDateTime::parse(text, &Rfc3339).unwrap();
    // By when they were made, or by when their money was taken.
    let field = if query.contains_key("captured_at.gte") { "captured_at" } else { "created_at" };
    let bound = |end: &str| moment(&query[&format!("{field}.{end}")]);
    let (from, to) = (bound("gte"), bound("lt"));
    assert_eq!(query["limit"], "100");
    let mut inner = yookassa.inner();
    inner.lists += 1;
    let matches = |it: &&Value| {
        it[field].as_str().is_some_and(|text| (from..to).contains(&moment(text)))
            && query.get("status").is_none_or(|status| it["status"] == status.as_str())
    };
    let matching: Vec<Value> = inner.payments.iter().rev().filter(matches).cloned().collect();
    answer(200, &page(&matching, query.get("cursor"), 2))
}
