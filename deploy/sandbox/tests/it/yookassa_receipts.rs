//! YooKassa's receipts, its reasons for a payment that fails, and an API that is away.

use http::StatusCode;
use serde_json::{Value, json};

use crate::outside::Outside;
use crate::yookassa::order;

const NOWHERE: &str = "http://127.0.0.1:1/";

fn receipt(value: &str) -> Value {
    json!({
        "customer": { "email": "anna@example.com" },
        "items": [{
            "description": "Пополнение", "quantity": 1, "vat_code": 1, "measure": "piece",
            "payment_subject": "service", "payment_mode": "full_prepayment",
            "amount": { "value": value, "currency": "RUB" }
        }]
    })
}

fn with_receipt(value: &str) -> Value {
    let mut order = order(value);
    order["receipt"] = receipt(value);
    order
}

impl Outside {
    async fn shop(&self, settings: &Value) -> (StatusCode, Value) {
        let url = format!("{}/_sandbox/yookassa/shop", self.url);
        let answer = self.http.patch(url).json(settings).send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }

    async fn declined(&self, id: &str, body: &Value) -> (StatusCode, Value) {
        let url = format!("{}/_sandbox/payments/{id}/decline", self.url);
        let answer = self.http.post(url).json(body).send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }
}

#[tokio::test]
async fn a_shop_that_requires_receipts_takes_no_payment_without_a_good_one() {
    let folder = tempfile::tempdir().unwrap();
    let outside = Outside::start(folder.path(), NOWHERE).await;
    assert_eq!(outside.created("k0", &order("1.00")).await.len(), 36);
    assert_eq!(outside.shop(&json!({ "receipts": true })).await.1, json!({ "receipts": true }));

    let mut by_phone = with_receipt("100.00");
    by_phone["receipt"]["customer"] = json!({ "phone": "79001234567" });
    let mut cheap = with_receipt("100.00");
    cheap["receipt"] = receipt("99.00");
    let bad = [order("100.00"), by_phone, cheap];
    for (number, body) in bad.iter().enumerate() {
        let (status, error) = outside.yookassa("payments", &format!("bad{number}"), body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        assert_eq!(
            (&error["code"], &error["parameter"]),
            (&json!("invalid_request"), &json!("receipt"))
        );
        assert_eq!(error["description"], "Receipt is missing or illegal");
    }
    let (accepted, payment) = outside.yookassa("payments", "k1", &with_receipt("100.00")).await;
    assert_eq!((accepted, &payment["receipt_registration"]), (StatusCode::OK, &json!("pending")));
    let (_, me) = outside.asked("me").await;
    assert_eq!(me["fiscalization"]["enabled"], true);
    let (refused, _) = outside.shop(&json!({ "receipts": "yes" })).await;
    assert_eq!(refused, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn receipts_are_kept_and_shown_and_outlive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let outside = Outside::start(folder.path(), NOWHERE).await;
    outside.shop(&json!({ "receipts": true })).await;
    let id = outside.created("k1", &with_receipt("100.00")).await;
    let other = outside.created("k2", &with_receipt("50.00")).await;
    let path = format!("receipts?payment_id={id}");
    let (_, pending) = outside.asked(&path).await;
    outside.play(&id, "pay").await;
    outside.play(&other, "decline").await;

    let (status, list) = outside.asked(&path).await;

    assert_eq!(pending["items"][0]["status"], "pending");
    assert_eq!((status, list["items"].as_array().unwrap().len()), (StatusCode::OK, 1));
    let shown = &list["items"][0];
    assert_eq!((&shown["type"], &shown["status"]), (&json!("payment"), &json!("succeeded")));
    assert_eq!(shown["items"], receipt("100.00")["items"]);
    assert!(shown.get("customer").is_none(), "the API does not tell whose it is: {shown}");
    let (_, canceled) = outside.asked(&format!("receipts?payment_id={other}")).await;
    assert_eq!(canceled["items"][0]["status"], "canceled");
    let one = format!("receipts/{}", shown["id"].as_str().unwrap());
    assert_eq!(outside.asked(&one).await.1, *shown);
    assert_eq!(outside.asked("receipts/rt_none").await.0, StatusCode::NOT_FOUND);

    outside.stop();
    let outside = Outside::start(folder.path(), NOWHERE).await;
    let kept = outside.control("/_sandbox/yookassa/receipts").await;
    let kept = kept["receipts"].as_array().unwrap();
    assert_eq!(kept.len(), 2);
    assert!(kept.iter().all(|it| it["customer"]["email"] == "anna@example.com"), "{kept:?}");
    assert_eq!(outside.control("/_sandbox/yookassa/shop").await, json!({ "receipts": true }));
}

#[tokio::test]
async fn a_refund_in_part_needs_a_receipt_and_a_whole_one_has_its_payments() {
    let folder = tempfile::tempdir().unwrap();
    let outside = Outside::start(folder.path(), NOWHERE).await;
    outside.shop(&json!({ "receipts": true })).await;
    let paid = |key: &'static str| async {
        let id = outside.created(key, &with_receipt("100.00")).await;
        outside.play(&id, "pay").await;
        id
    };
    let refund = |id: &str, value: &str| json!({ "payment_id": id, "amount": { "value": value, "currency": "RUB" } });
    let (first, second) = (paid("k1").await, paid("k2").await);

    let (missing, error) = outside.yookassa("refunds", "r1", &refund(&first, "40.00")).await;
    let mut part = refund(&first, "40.00");
    part["receipt"] = receipt("40.00");
    let (taken, partial) = outside.yookassa("refunds", "r2", &part).await;
    let (whole, whole_refund) = outside.yookassa("refunds", "r3", &refund(&second, "100.00")).await;

    assert_eq!((missing, &error["parameter"]), (StatusCode::BAD_REQUEST, &json!("receipt")));
    assert_eq!((taken, whole), (StatusCode::OK, StatusCode::OK), "{partial} {whole_refund}");
    for (refund, value) in [(partial, "40.00"), (whole_refund, "100.00")] {
        let id = refund["id"].as_str().unwrap();
        let (_, list) = outside.asked(&format!("receipts?refund_id={id}")).await;
        let shown = &list["items"][0];
        assert_eq!((&shown["type"], &shown["status"]), (&json!("refund"), &json!("succeeded")));
        assert_eq!(shown["items"][0]["amount"]["value"], value);
    }
}

#[tokio::test]
async fn a_payment_fails_for_any_reason_there_is_and_for_new_ones() {
    let folder = tempfile::tempdir().unwrap();
    let outside = Outside::start(folder.path(), NOWHERE).await;
    let reasons = [
        ("3d_secure_failed", "payment_network"),
        ("call_issuer", "payment_network"),
        ("canceled_by_merchant", "merchant"),
        ("card_expired", "payment_network"),
        ("country_forbidden", "yoo_money"),
        ("deal_expired", "yoo_money"),
        ("expired_on_capture", "yoo_money"),
        ("expired_on_confirmation", "yoo_money"),
        ("fraud_suspected", "payment_network"),
        ("general_decline", "payment_network"),
        ("identification_required", "yoo_money"),
        ("insufficient_funds", "payment_network"),
        ("internal_timeout", "yoo_money"),
        ("invalid_card_number", "payment_network"),
        ("invalid_csc", "payment_network"),
        ("issuer_unavailable", "payment_network"),
        ("loan_declined", "payment_network"),
        ("payment_method_limit_exceeded", "payment_network"),
        ("payment_method_restricted", "payment_network"),
        ("permission_revoked", "yoo_money"),
        ("unsupported_mobile_operator", "yoo_money"),
    ];

    for (number, (reason, party)) in reasons.into_iter().enumerate() {
        let id = outside.created(&format!("k{number}"), &order("10.00")).await;
        let (status, payment) = outside.declined(&id, &json!({ "reason": reason })).await;
        assert_eq!(status, StatusCode::OK, "{payment}");
        let expected = json!({ "party": party, "reason": reason });
        assert_eq!(payment["cancellation_details"], expected);
    }
    let id = outside.created("new", &order("10.00")).await;
    let jammed = json!({ "reason": "teleport_jammed" });
    assert_eq!(outside.declined(&id, &jammed).await.0, StatusCode::BAD_REQUEST);
    let stranger = json!({ "reason": "teleport_jammed", "party": "nobody" });
    assert_eq!(outside.declined(&id, &stranger).await.0, StatusCode::BAD_REQUEST);
    let jammed = json!({ "reason": "teleport_jammed", "party": "yoo_money" });
    let (_, payment) = outside.declined(&id, &jammed).await;
    assert_eq!(payment["cancellation_details"]["reason"], "teleport_jammed");
}

#[tokio::test]
async fn an_api_that_is_away_does_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let outside = Outside::start(folder.path(), NOWHERE).await;

    outside.switch(json!({ "yookassa": "too_many_requests", "yookassa_count": 1 })).await;
    let (busy, error) = outside.yookassa("payments", "k1", &order("1.00")).await;
    outside.switch(json!({ "yookassa": "bad_gateway", "yookassa_count": 1 })).await;
    let url = format!("{}/yookassa/v3/payments", outside.url);
    let shop = crate::outside::SHOP;
    let secret = Some(crate::outside::SECRET);
    let page = outside.http.get(url).basic_auth(shop, secret).send().await.unwrap();

    assert_eq!(
        (busy, &error["code"]),
        (StatusCode::TOO_MANY_REQUESTS, &json!("too_many_requests"))
    );
    assert_eq!(page.status(), StatusCode::BAD_GATEWAY);
    assert!(page.text().await.unwrap().starts_with("<html>"));
    assert_eq!(outside.control("/_sandbox/payments").await["payments"], json!([]));
}
