//! YooKassa: what the shop's side may rely on, and what it must be refused.

use http::StatusCode;
use serde_json::{Value, json};

use crate::outside::{Outside, Receiver, SECRET, SHOP, until};

const NOWHERE: &str = "http://127.0.0.1:1/";

pub(crate) fn order(value: &str) -> Value {
    json!({
        "amount": { "value": value, "currency": "RUB" },
        "capture": true,
        "confirmation": { "type": "redirect", "return_url": "https://example.com/back" },
        "description": "Заказ №1",
        "metadata": { "order_id": "A-1" },
        "statements": [], "transfers": [],
    })
}

impl Outside {
    pub(crate) async fn yookassa(
        &self,
        path: &str,
        key: &str,
        body: &Value,
    ) -> (StatusCode, Value) {
        let request = self
            .http
            .post(format!("{}/yookassa/v3/{path}", self.url))
            .basic_auth(SHOP, Some(SECRET))
            .header("Idempotence-Key", key);
        let request = if body.is_null() { request } else { request.json(body) };
        let answer = request.send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }

    pub(crate) async fn asked(&self, path: &str) -> (StatusCode, Value) {
        let url = format!("{}/yookassa/v3/{path}", self.url);
        let answer = self.http.get(url).basic_auth(SHOP, Some(SECRET)).send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }

    pub(crate) async fn created(&self, key: &str, body: &Value) -> String {
        let (status, payment) = self.yookassa("payments", key, body).await;
        assert_eq!(status, StatusCode::OK, "{payment}");
        payment["id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn play(&self, id: &str, action: &str) -> (StatusCode, Value) {
        let url = format!("{}/_sandbox/payments/{id}/{action}", self.url);
        let answer = self.http.post(url).send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }

    /// The bank decides about a refund.
    async fn decide(&self, id: &str, action: &str, body: &Value) -> (StatusCode, Value) {
        let url = format!("{}/_sandbox/refunds/{id}/{action}", self.url);
        let answer = self.http.post(url).json(body).send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }

    async fn later(&self, seconds: i64) {
        let url = format!("{}/_sandbox/yookassa/clock", self.url);
        let body = json!({ "advance_seconds": seconds });
        let answer = self.http.post(url).json(&body).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
    }
}

#[track_caller]
fn holds_no_null(value: &Value) {
    assert!(!value.is_null(), "a null is sent");
    match value {
        Value::Array(items) => items.iter().for_each(holds_no_null),
        Value::Object(fields) => fields.values().for_each(holds_no_null),
        _ => {}
    }
}

#[tokio::test]
async fn a_new_payment_waits_for_its_user() {
    let folder = tempfile::tempdir().unwrap();
    let outside = Outside::start(folder.path(), NOWHERE).await;

    let (status, payment) = outside.yookassa("payments", "k1", &order("100.00")).await;

    assert_eq!(status, StatusCode::OK);
    assert_eq!(payment["id"].as_str().unwrap().len(), 36);
    assert_eq!(payment["status"], "pending");
    assert_eq!(payment["paid"], false);
    assert_eq!(payment["test"], true);
    assert_eq!(payment["recipient"]["account_id"], SHOP);
    assert_eq!(payment["metadata"]["order_id"], "A-1");
    let page = payment["confirmation"]["confirmation_url"].as_str().unwrap();
    assert!(page.starts_with(&outside.url), "{page}");
    assert!(page.contains("/checkout/payments/v2/contract?orderId="), "{page}");
    holds_no_null(&payment);
}

#[tokio::test]
async fn only_the_shop_with_its_key_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let outside = Outside::start(folder.path(), NOWHERE).await;
    let url = format!("{}/yookassa/v3/payments", outside.url);

    let nobody = outside.http.get(&url).send().await.unwrap();
    let stranger = outside.http.get(&url).basic_auth(SHOP, Some("wrong")).send().await.unwrap();
    let bearer = outside.http.get(&url).bearer_auth(SECRET).send().await.unwrap();

    for answer in [nobody, stranger, bearer] {
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
        let body: Value = answer.json().await.unwrap();
        assert_eq!(
            (&body["type"], &body["code"]),
            (&json!("error"), &json!("invalid_credentials"))
        );
    }
}

#[tokio::test]
async fn a_key_means_one_payment_for_a_day() {
    let folder = tempfile::tempdir().unwrap();
    let outside = Outside::start(folder.path(), NOWHERE).await;
    let first = outside.created("k1", &order("100.00")).await;

    let again = outside.created("k1", &order("100.00")).await;
    let (reused, error) = outside.yookassa("payments", "k1", &order("101.00")).await;
    let (elsewhere, _) =
        outside.yookassa(&format!("payments/{first}/cancel"), "k1", &json!({})).await;
    let other = outside.created("k2", &order("100.00")).await;
    outside.later(86_400).await;
    let tomorrow = outside.created("k1", &order("100.00")).await;

    assert_eq!(again, first);
    assert_eq!(reused, StatusCode::BAD_REQUEST);
    assert_eq!(error["parameter"], "Idempotence-Key");
    assert_eq!(error["description"], "Idempotence key duplicated");
    assert_eq!(elsewhere, StatusCode::BAD_REQUEST);
    assert_ne!(other, first);
    assert_ne!(tomorrow, first);
}

#[tokio::test]
async fn requests_at_once_with_one_key_make_one_payment() {
    let folder = tempfile::tempdir().unwrap();
    let outside = Outside::start(folder.path(), NOWHERE).await;
    let body = order("100.00");

    let all = futures_util::future::join_all((0..16).map(|_| outside.created("same", &body))).await;

    assert!(all.iter().all(|id| *id == all[0]), "{all:?}");
    let payments = outside.control("/_sandbox/payments").await;
    assert_eq!(payments["payments"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_wrong_request_is_refused_with_the_name_of_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let outside = Outside::start(folder.path(), NOWHERE).await;
    let with = |field: &str, value: Value| {
        let mut body = order("100.00");
        body[field] = value;
        body
    };
    let many: serde_json::Map<_, _> = (0..17).map(|n| (format!("k{n}"), json!("v"))).collect();
    let rubles = |value: &str| json!({ "value": value, "currency": "RUB" });
    let cases = [
        (with("amount", rubles("100")), "amount.value"),
        (with("amount", rubles("0.00")), "amount.value"),
        (with("amount", rubles("-5.00")), "amount.value"),
        (with("amount", rubles("350000.01")), "amount.value"),
        (with("amount", json!({ "value": 100, "currency": "RUB" })), "amount.value"),
        (with("amount", json!({ "value": "1.00", "currency": "USD" })), "amount.currency"),
        (with("amount", Value::Null), "amount"),
        (with("description", json!("x".repeat(129))), "description"),
        (with("metadata", many.into()), "metadata"),
        (with("metadata", json!({ "k".repeat(33): "v" })), "metadata"),
        (with("metadata", json!({ "k": "v".repeat(513) })), "metadata"),
        (with("metadata", json!({ "k": 1 })), "metadata"),
        (with("confirmation", Value::Null), "confirmation"),
        (with("confirmation", json!({ "type": "redirect" })), "confirmation.return_url"),
        (with("payment_method_data", json!({ "type": "sbp" })), "payment_method_data.type"),
        (with("capture", json!("yes")), "capture"),
    ];

    for (number, (body, parameter)) in cases.into_iter().enumerate() {
        let (status, error) = outside.yookassa("payments", &format!("k{number}"), &body).await;

        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        assert_eq!(error["code"], "invalid_request");
        assert_eq!(error["parameter"], parameter, "{body}");
    }
    for key in ["", &"k".repeat(65)] {
        let (status, error) = outside.yookassa("payments", key, &order("1.00")).await;
        assert_eq!(
            (status, &error["parameter"]),
            (StatusCode::BAD_REQUEST, &json!("Idempotence-Key"))
        );
    }
    assert_eq!(outside.control("/_sandbox/payments").await["payments"], json!([]));
}

#[tokio::test]
async fn the_protocol_itself_is_strict() {
    let folder = tempfile::tempdir().unwrap();
    let outside = Outside::start(folder.path(), NOWHERE).await;
    let id = outside.created("k1", &order("100.00")).await;
    let url = |path: &str| format!("{}/yookassa/v3/{path}", outside.url);

    let form = outside
        .http
        .post(url("payments"))
        .basic_auth(SHOP, Some(SECRET))
        .header("Idempotence-Key", "k2")
        .body("amount=1")
        .header("Content-Type", "application/x-www-form-urlencoded");
    let (wrong_method, _) = outside.asked(&format!("payments/{id}/cancel")).await;
    let (unknown, error) = outside.asked("payments/00000000-0000-0000-0000-000000000000").await;
    let (limit, _) = outside.asked("payments?limit=101").await;
    let (tolerated, _) = outside.asked("/payments").await;

    assert_eq!(form.send().await.unwrap().status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(wrong_method, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!((unknown, &error["code"]), (StatusCode::NOT_FOUND, &json!("not_found")));
    assert_eq!(limit, StatusCode::BAD_REQUEST);
    assert_eq!(tolerated, StatusCode::OK);
}

#[tokio::test]
async fn a_payment_moves_only_as_it_may() {
    let folder = tempfile::tempdir().unwrap();
    let outside = Outside::start(folder.path(), NOWHERE).await;
    let id = outside.created("k1", &order("100.00")).await;
    let step = |id: &str, action: &str| format!("payments/{id}/{action}");

    let (early, _) = outside.yookassa(&step(&id, "cancel"), "k2", &Value::Null).await;
    let (_, paid) = outside.play(&id, "pay").await;
    let (late, _) = outside.yookassa(&step(&id, "capture"), "k3", &Value::Null).await;
    let (declined, _) = outside.play(&id, "decline").await;
    let (_, paid_again) = outside.play(&id, "pay").await;

    assert_eq!(early, StatusCode::BAD_REQUEST);
    assert_eq!((&paid["status"], &paid["paid"]), (&json!("succeeded"), &json!(true)));
    assert_eq!(paid["income_amount"]["value"], "96.50");
    assert!(paid["confirmation"].is_null());
    assert_eq!(late, StatusCode::BAD_REQUEST);
    assert_eq!(declined, StatusCode::CONFLICT);
    assert_eq!(paid_again["captured_at"], paid["captured_at"]);

    let mut two_stage = order("50.00");
    two_stage["capture"] = json!(false);
    let hold = outside.created("k4", &two_stage).await;
    let (_, held) = outside.play(&hold, "pay").await;
    let part = json!({ "amount": { "value": "30.00", "currency": "RUB" } });
    let (_, captured) = outside.yookassa(&step(&hold, "capture"), "k5", &part).await;

    assert_eq!(held["status"], "waiting_for_capture");
    assert!(held["expires_at"].is_string());
    assert_eq!(
        (&captured["status"], &captured["amount"]["value"]),
        (&json!("succeeded"), &json!("30.00"))
    );

    let let_go = outside.created("k6", &two_stage).await;
    outside.play(&let_go, "pay").await;
    let (_, canceled) = outside.yookassa(&step(&let_go, "cancel"), "k7", &Value::Null).await;

    assert_eq!(
        canceled["cancellation_details"],
        json!({ "party": "merchant", "reason": "canceled_by_merchant" })
    );
}

#[tokio::test]
async fn an_unpaid_payment_ends_after_an_hour_and_a_hold_after_seven_days() {
    let folder = tempfile::tempdir().unwrap();
    let outside = Outside::start(folder.path(), NOWHERE).await;
    let unpaid = outside.created("k1", &order("100.00")).await;
    let mut two_stage = order("50.00");
    two_stage["capture"] = json!(false);
    let hold = outside.created("k2", &two_stage).await;
    outside.play(&hold, "pay").await;

    for (id, wait, reason) in
        [(&unpaid, 3600, "expired_on_confirmation"), (&hold, 7 * 86_400, "expired_on_capture")]
    {
        outside.later(wait).await;
        until(reason, || async {
            outside.asked(&format!("payments/{id}")).await.1["cancellation_details"]["reason"]
                == reason
        })
        .await;
    }
}

#[tokio::test]
async fn refunds_add_up_to_the_payment_and_no_further() {
    let folder = tempfile::tempdir().unwrap();
    let (receiver, hook) = Receiver::start(0, StatusCode::OK).await;
    let outside = Outside::start(folder.path(), &hook).await;
    let id = outside.created("k1", &order("100.00")).await;
    let refund = |value: &str| json!({ "payment_id": id, "amount": { "value": value, "currency": "RUB" }, "sources": [] });

    let (unpaid, _) = outside.yookassa("refunds", "r0", &refund("10.00")).await;
    outside.play(&id, "pay").await;
    let (_, first) = outside.yookassa("refunds", "r1", &refund("40.00")).await;
    let (_, repeat) = outside.yookassa("refunds", "r1", &refund("40.00")).await;
    let (too_much, error) = outside.yookassa("refunds", "r2", &refund("60.01")).await;
    outside.yookassa("refunds", "r3", &refund("60.00")).await;
    let (_, payment) = outside.asked(&format!("payments/{id}")).await;
    let (_, list) = outside.asked(&format!("refunds?payment_id={id}")).await;

    assert_eq!(unpaid, StatusCode::BAD_REQUEST);
    assert_eq!((&first["status"], &first["payment_id"]), (&json!("succeeded"), &json!(id)));
    assert_eq!(repeat["id"], first["id"]);
    assert_eq!((too_much, &error["parameter"]), (StatusCode::BAD_REQUEST, &json!("amount.value")));
    assert_eq!(payment["refunded_amount"]["value"], "100.00");
    assert_eq!((&payment["status"], &payment["refundable"]), (&json!("succeeded"), &json!(false)));
    assert_eq!(list["items"].as_array().unwrap().len(), 2);
    until("three notifications", || async { receiver.events().len() == 3 }).await;
    let refunds = receiver
        .bodies()
        .iter()
        .filter(|body| {
            body["event"] == "refund.succeeded" && body["object"]["payment_id"] == json!(id)
        })
        .count();
    assert_eq!(refunds, 2);
}

/// A payment of 100 ₽ that was paid, and the switch for the refunds that follow.
async fn paid_with(outside: &Outside, refunds: Value) -> String {
    let id = outside.created("k1", &order("100.00")).await;
    outside.play(&id, "pay").await;
    outside.switch(json!({ "refunds": refunds })).await;
    id
}

fn back(payment_id: &str, value: &str) -> Value {
    json!({
        "payment_id": payment_id, "amount": { "value": value, "currency": "RUB" },
        "description": "Оплачено дважды", "metadata": { "refund_key": "1" },
    })
}

#[tokio::test]
async fn a_refund_that_hangs_holds_its_money_and_ends_one_way() {
    let folder = tempfile::tempdir().unwrap();
    let (receiver, hook) = Receiver::start(0, StatusCode::OK).await;
    let outside = Outside::start(folder.path(), &hook).await;
    let id = paid_with(&outside, json!("pending")).await;

    let (_, first) = outside.yookassa("refunds", "r1", &back(&id, "40.00")).await;
    let (too_much, _) = outside.yookassa("refunds", "r2", &back(&id, "60.01")).await;
    let (_, second) = outside.yookassa("refunds", "r3", &back(&id, "60.00")).await;
    let name = |refund: &Value| refund["id"].as_str().unwrap().to_owned();
    let (first, second) = (name(&first), name(&second));
    let (_, waiting) = outside.asked(&format!("payments/{id}")).await;
    let (done, first_now) = outside.decide(&first, "succeed", &Value::Null).await;
    let reason = json!({ "reason": "rejected_by_timeout" });
    let (refused, second_now) = outside.decide(&second, "cancel", &reason).await;
    let (again, _) = outside.decide(&second, "succeed", &Value::Null).await;
    let (unknown, _) = outside.decide(&id, "succeed", &Value::Null).await;
    let (wrong, _) = outside.decide(&first, "cancel", &json!({ "reason": "bad_mood" })).await;
    let (_, after) = outside.asked(&format!("payments/{id}")).await;
    let (_, list) = outside.asked(&format!("refunds?payment_id={id}&status=canceled")).await;

    assert_eq!(too_much, StatusCode::BAD_REQUEST);
    assert_eq!(waiting.get("refunded_amount"), None);
    assert_eq!((done, &first_now["status"]), (StatusCode::OK, &json!("succeeded")));
    assert_eq!(first_now["metadata"]["refund_key"], "1");
    assert_eq!((refused, &second_now["status"]), (StatusCode::OK, &json!("canceled")));
    assert_eq!(
        second_now["cancellation_details"],
        json!({ "party": "refund_network", "reason": "rejected_by_timeout" })
    );
    assert_eq!(
        (again, unknown, wrong),
        (StatusCode::CONFLICT, StatusCode::NOT_FOUND, StatusCode::BAD_REQUEST)
    );
    assert_eq!(after["refunded_amount"]["value"], "40.00");
    assert_eq!(after["refundable"], true);
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    [&first_now, &second_now, &after, &list].into_iter().for_each(holds_no_null);
    until("two notifications", || async { receiver.events().len() == 2 }).await;
    assert_eq!(receiver.bodies().last().unwrap()["event"], "refund.succeeded");
}

#[tokio::test]
async fn a_refund_that_hangs_is_decided_on_the_next_day() {
    let folder = tempfile::tempdir().unwrap();
    let (receiver, hook) = Receiver::start(0, StatusCode::OK).await;
    let outside = Outside::start(folder.path(), &hook).await;
    let id = paid_with(&outside, json!("pending")).await;
    let (_, refund) = outside.yookassa("refunds", "r1", &back(&id, "40.00")).await;
    let refund = refund["id"].as_str().unwrap();

    outside.later(86_400).await;

    until("it went through", || async {
        outside.asked(&format!("refunds/{refund}")).await.1["status"] == "succeeded"
    })
    .await;
    until("the shop is told", || async {
        receiver.bodies().iter().any(|body| body["object"]["id"] == refund)
    })
    .await;
}

#[tokio::test]
async fn a_refused_refund_is_answered_with_200_and_told_by_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let (receiver, hook) = Receiver::start(0, StatusCode::OK).await;
    let outside = Outside::start(folder.path(), &hook).await;
    let id = paid_with(&outside, json!("refuse")).await;

    let (status, refused) = outside.yookassa("refunds", "r1", &back(&id, "40.00")).await;
    outside.switch(json!({ "refunds": null })).await;
    let (_, rest) = outside.yookassa("refunds", "r2", &back(&id, "100.00")).await;

    assert_eq!((status, &refused["status"]), (StatusCode::OK, &json!("canceled")));
    assert_eq!(
        refused["cancellation_details"],
        json!({ "party": "yoo_money", "reason": "insufficient_funds" })
    );
    assert_eq!(rest["status"], "succeeded");
    until("the other is told", || async { receiver.events().len() == 2 }).await;
    let told = receiver.bodies();
    assert!(told.iter().all(|body| body["object"]["id"] != refused["id"]), "{told:?}");
}

#[tokio::test]
async fn a_list_goes_newest_first_in_pages() {
    let folder = tempfile::tempdir().unwrap();
    let outside = Outside::start(folder.path(), NOWHERE).await;
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(outside.created(&format!("k{number}"), &order("10.00")).await);
    }
    outside.play(&ids[1], "pay").await;

    let mut seen = Vec::new();
    let mut path = "payments?limit=2".to_owned();
    loop {
        let (_, page) = outside.asked(&path).await;
        let items = page["items"].as_array().unwrap();
        seen.extend(items.iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("payments?limit=2&cursor={cursor}");
    }
    let (_, paid) = outside.asked("payments?status=succeeded").await;
    let (_, old) = outside.asked("payments?created_at.lt=2020-01-01T00:00:00.000Z").await;

    ids.reverse();
    assert_eq!(seen, ids);
    assert_eq!(paid["items"].as_array().unwrap().len(), 1);
    assert_eq!(old["items"], json!([]));
}

#[tokio::test]
async fn a_notification_comes_until_it_is_answered_with_exactly_200() {
    let folder = tempfile::tempdir().unwrap();
    let (receiver, hook) = Receiver::start(2, StatusCode::NO_CONTENT).await;
    let outside = Outside::start(folder.path(), &hook).await;
    let id = outside.created("k1", &order("100.00")).await;
    outside.play(&id, "pay").await;
    until("the first try", || async { receiver.events().len() == 1 }).await;

    outside.later(1).await;
    until("the second try", || async { receiver.events().len() == 2 }).await;
    outside.later(3).await;
    until("the third try", || async { receiver.events().len() == 3 }).await;
    outside.later(86_400).await;
    let (_, payment) = outside.play(&id, "notify").await;
    until("the notification that was asked for", || async { receiver.events().len() == 4 }).await;

    assert!(receiver.events().iter().all(|event| event == "payment.succeeded"));
    assert_eq!(receiver.bodies()[0]["object"], payment);
    assert_eq!(receiver.bodies()[0]["type"], "notification");
    // A try is noted once its answer is back, a moment after the shop has seen it.
    until("all four are noted", || async {
        let seen = outside.control("/_sandbox/yookassa/seen").await;
        let seen = seen["notifications"].as_array().unwrap().iter();
        seen.map(|one| one["status"].clone()).eq([204, 204, 200, 200].map(|code| json!(code)))
    })
    .await;
}

#[tokio::test]
async fn notifications_are_lost_doubled_and_delayed_by_the_switch() {
    let folder = tempfile::tempdir().unwrap();
    let (receiver, hook) = Receiver::start(0, StatusCode::OK).await;
    let outside = Outside::start(folder.path(), &hook).await;
    let body = order("10.00");
    let lost = outside.created("k1", &body).await;
    let doubled = outside.created("k2", &body).await;
    let delayed = outside.created("k3", &body).await;

    outside.switch(json!({ "notifications": "lose" })).await;
    outside.play(&lost, "pay").await;
    outside.switch(json!({ "notifications": "double", "notifications_count": 1 })).await;
    outside.play(&doubled, "pay").await;
    until("three of the doubled", || async { receiver.events().len() == 3 }).await;
    outside.switch(json!({ "notifications": "delay" })).await;
    outside.play(&delayed, "decline").await;
    outside.switch(json!({ "notifications": null })).await;
    let before = receiver.events().len();
    outside.later(10).await;
    until("the delayed one", || async { receiver.events().len() == 4 }).await;

    assert_eq!(before, 3);
    assert_eq!(receiver.events()[3], "payment.canceled");
    assert!(receiver.bodies().iter().all(|body| body["object"]["id"] != json!(lost)));
}

#[tokio::test]
async fn a_fault_after_the_change_is_mended_by_the_same_key() {
    let folder = tempfile::tempdir().unwrap();
    let outside = Outside::start(folder.path(), NOWHERE).await;

    outside.switch(json!({ "yookassa": "fail_before", "yookassa_count": 1 })).await;
    let (before, _) = outside.yookassa("payments", "k1", &order("10.00")).await;
    let none = outside.control("/_sandbox/payments").await;
    outside.switch(json!({ "yookassa": "fail_after", "yookassa_count": 1 })).await;
    let (after, error) = outside.yookassa("payments", "k1", &order("10.00")).await;
    outside.switch(json!({ "yookassa": "drop_after", "yookassa_count": 1 })).await;
    let dropped = outside
        .http
        .post(format!("{}/yookassa/v3/payments", outside.url))
        .basic_auth(SHOP, Some(SECRET))
        .header("Idempotence-Key", "k2")
        .json(&order("20.00"))
        .send()
        .await;
    let one = outside.created("k1", &order("10.00")).await;
    let two = outside.created("k2", &order("20.00")).await;

    assert_eq!(before, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(none["payments"], json!([]));
    assert_eq!(
        (after, &error["code"]),
        (StatusCode::INTERNAL_SERVER_ERROR, &json!("internal_server_error"))
    );
    assert!(dropped.is_err(), "an answer came");
    let payments = outside.control("/_sandbox/payments").await;
    let ids: Vec<_> =
        payments["payments"].as_array().unwrap().iter().map(|p| p["id"].clone()).collect();
    assert_eq!(ids, [json!(two), json!(one)]);
}

#[tokio::test]
async fn a_shop_with_receipts_takes_only_good_ones() {
    let folder = tempfile::tempdir().unwrap();
    let outside = Outside::start(folder.path(), NOWHERE).await;
    outside.switch(json!({ "yookassa": "receipt_required" })).await;
    let mut good = order("100.00");
    good["receipt"] = json!({
        "customer": { "email": "user@example.com" },
        "items": [{ "description": "Пополнение", "quantity": "1.0", "vat_code": 1,
                    "amount": { "value": "100.00", "currency": "RUB" } }]
    });
    let mut bad = good.clone();
    bad["receipt"]["items"][0]["vat_code"] = json!(13);

    let (missing, error) = outside.yookassa("payments", "k1", &order("100.00")).await;
    let (illegal, _) = outside.yookassa("payments", "k2", &bad).await;
    let (accepted, _) = outside.yookassa("payments", "k3", &good).await;

    assert_eq!((missing, &error["parameter"]), (StatusCode::BAD_REQUEST, &json!("receipt")));
    assert_eq!(illegal, StatusCode::BAD_REQUEST);
    assert_eq!(accepted, StatusCode::OK);
}

#[tokio::test]
async fn the_card_number_decides_on_the_checkout_page() {
    let folder = tempfile::tempdir().unwrap();
    let outside = Outside::start(folder.path(), NOWHERE).await;
    let id = outside.created("k1", &order("10.00")).await;
    let pay = |id: &str, number: &str| {
        let url = format!("{}/checkout/payments/{id}/pay", outside.url);
        outside.http.post(url).json(&json!({ "number": number })).send()
    };

    let page = format!("{}/checkout/payments/v2/contract?orderId={id}", outside.url);
    let html = outside.http.get(page).send().await.unwrap().text().await.unwrap();
    let foreign = pay(&id, "4000000000000002").await.unwrap();
    let poor = pay(&id, "5555 5555 5555 4600").await.unwrap();
    let again = pay(&id, "5555555555554477").await.unwrap();

    assert!(html.contains(&id) && html.contains("Заказ №1"), "{html}");
    assert_eq!(foreign.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(poor.status(), StatusCode::OK);
    let view: Value = poor.json().await.unwrap();
    assert_eq!(
        (&view["status"], &view["reason"]),
        (&json!("canceled"), &json!("insufficient_funds"))
    );
    assert_eq!(view["return_url"], "https://example.com/back");
    assert_eq!(again.status(), StatusCode::CONFLICT);
    let (_, payment) = outside.asked(&format!("payments/{id}")).await;
    assert_eq!(payment["cancellation_details"]["party"], "payment_network");
}

#[tokio::test]
async fn a_description_cannot_break_out_of_the_page() {
    let folder = tempfile::tempdir().unwrap();
    let outside = Outside::start(folder.path(), NOWHERE).await;
    let mut body = order("10.00");
    body["description"] = json!("</script><script>alert(1)</script>");
    let id = outside.created("k1", &body).await;

    let page = format!("{}/checkout/payments/v2/contract?orderId={id}", outside.url);
    let html = outside.http.get(page).send().await.unwrap().text().await.unwrap();

    assert!(!html.contains("alert(1)</script>"), "{html}");
}

#[tokio::test]
async fn a_restart_keeps_payments_keys_and_notifications_on_their_way() {
    let folder = tempfile::tempdir().unwrap();
    let (receiver, hook) = Receiver::start(0, StatusCode::OK).await;
    let outside = Outside::start(folder.path(), NOWHERE).await;
    let id = outside.created("k1", &order("100.00")).await;
    outside.play(&id, "pay").await;
    until("a failed try", || async {
        let seen = outside.control("/_sandbox/yookassa/seen").await;
        seen["notifications"].as_array().is_some_and(|tries| !tries.is_empty())
    })
    .await;
    outside.stop();

    let outside = Outside::start(folder.path(), &hook).await;
    until("the notification", || async { !receiver.events().is_empty() }).await;
    let again = outside.created("k1", &order("100.00")).await;
    let (_, payment) = outside.asked(&format!("payments/{id}")).await;

    assert_eq!(receiver.events(), ["payment.succeeded"]);
    assert_eq!(again, id);
    assert_eq!(payment["status"], "succeeded");
}

#[tokio::test]
async fn switches_are_read_set_and_refused() {
    let folder = tempfile::tempdir().unwrap();
    let outside = Outside::start(folder.path(), NOWHERE).await;
    let url = format!("{}/_sandbox/faults", outside.url);
    let put = |body: Value| outside.http.put(&url).json(&body).send();

    let replaced = put(json!({ "fal": "fail", "fal_count": 2 })).await.unwrap();
    outside.switch(json!({ "notifications": "lose" })).await;
    let all = outside.control("/_sandbox/faults").await;
    let unknown = put(json!({ "fall": "fail" })).await.unwrap();
    let zero = put(json!({ "fal": "fail", "fal_count": 0 })).await.unwrap();
    let wrong = outside.http.patch(&url).json(&json!({ "fal": "explode" })).send().await.unwrap();
    outside.switch(json!({ "fal": null, "fal_count": null })).await;
    let off = outside.control("/_sandbox/faults").await;

    assert_eq!(replaced.status(), StatusCode::OK);
    assert_eq!(
        (&all["fal"], &all["fal_count"], &all["notifications"]),
        (&json!("fail"), &json!(2), &json!("lose"))
    );
    for refused in [unknown, zero, wrong] {
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
        assert!(refused.json::<Value>().await.unwrap()["error"].is_string());
    }
    assert_eq!((&off["fal"], &off["notifications"]), (&Value::Null, &json!("lose")));
}
