//! Payments in Stars: asked before, paid once for each yes, given back once.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::bot::{Answer, Sandbox};

fn invoice(id: i64) -> Value {
    json!({
        "chat_id": id, "title": "Пополнение", "description": "На баланс", "payload": "top_up:1",
        "currency": "XTR", "prices": [{"label": "На баланс", "amount": 67}],
        "start_parameter": "stars",
    })
}

/// Sends an invoice; answers with its message.
async fn invoiced(sandbox: &Sandbox, id: i64) -> i64 {
    let sent = sandbox.bot("sendInvoice", invoice(id)).await.result();
    assert_eq!(sent["invoice"]["total_amount"], 67);
    sent["message_id"].as_i64().unwrap()
}

async fn answer(sandbox: &Sandbox, query: &Value, refusal: Option<&str>) -> Answer {
    let answer = json!({
        "pre_checkout_query_id": query["id"], "ok": refusal.is_none(), "error_message": refusal,
    });
    sandbox.bot("answerPreCheckoutQuery", answer).await
}

/// The question before a payment, once it has come.
async fn asked(sandbox: &Sandbox) -> Value {
    loop {
        if let Some(update) = sandbox.updates().await.pop() {
            return update["pre_checkout_query"].clone();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Pays an invoice that the bot lets pass.
async fn paid(sandbox: &Sandbox, id: i64, what: Value) -> String {
    let path = format!("/users/{id}/pay");
    let (paid, query) = tokio::join!(sandbox.play(&path, what), async {
        let query = asked(sandbox).await;
        answer(sandbox, &query, None).await.result();
        query
    });
    assert_eq!((&query["currency"], &query["total_amount"]), (&json!("XTR"), &json!(67)));
    assert_eq!((&query["invoice_payload"], &query["from"]["id"]), (&json!("top_up:1"), &json!(id)));
    assert_eq!(paid["paid"], true);
    paid["charge_id"].as_str().unwrap().to_owned()
}

async fn stars(sandbox: &Sandbox, id: i64) -> i64 {
    sandbox.look(&format!("/users/{id}/chat")).await["stars"].as_i64().unwrap()
}

#[tokio::test]
async fn a_payment_that_the_bot_lets_pass_is_told_and_given_back_once() {
    let sandbox = Sandbox::start().await;
    let id = sandbox.user().await;
    let before = stars(&sandbox, id).await;
    let message_id = invoiced(&sandbox, id).await;

    let charge = paid(&sandbox, id, json!({"message_id": message_id})).await;

    let told = sandbox.updates().await[0]["message"].clone();
    assert_eq!(
        told["successful_payment"],
        json!({
            "currency": "XTR", "total_amount": 67, "invoice_payload": "top_up:1",
            "telegram_payment_charge_id": charge, "provider_payment_charge_id": "",
        })
    );
    assert_eq!((&told["from"]["id"], &told["chat"]["id"]), (&json!(id), &json!(id)));
    assert_eq!(stars(&sandbox, id).await, before - 67);
    assert_eq!(sandbox.bot("getMyStarBalance", json!({})).await.result()["amount"], 67);

    let refund = json!({"user_id": id, "telegram_payment_charge_id": charge});
    assert_eq!(sandbox.bot("refundStarPayment", refund.clone()).await.result(), true);
    let again = sandbox.bot("refundStarPayment", refund).await;
    again.refused(400, "Bad Request: CHARGE_ALREADY_REFUNDED");
    let told = sandbox.updates().await[0]["message"].clone();
    assert_eq!(told["refunded_payment"]["telegram_payment_charge_id"], charge.as_str());
    assert_eq!(stars(&sandbox, id).await, before);
    let transactions = sandbox.bot("getStarTransactions", json!({})).await.result();
    assert_eq!(transactions["transactions"].as_array().unwrap().len(), 2);
    assert_eq!(sandbox.bot("getMyStarBalance", json!({})).await.result()["amount"], 0);
}

#[tokio::test]
async fn a_payment_that_the_bot_stops_or_does_not_answer_takes_nothing() {
    let sandbox = Sandbox::start().await;
    let id = sandbox.user().await;
    let before = stars(&sandbox, id).await;
    let message_id = invoiced(&sandbox, id).await;
    let path = format!("/users/{id}/pay");
    let what = json!({"message_id": message_id});

    let (stopped, _) = tokio::join!(sandbox.play(&path, what.clone()), async {
        let query = asked(&sandbox).await;
        answer(&sandbox, &query, Some("Счёт устарел")).await.result();
    });
    assert_eq!(stopped, json!({"paid": false, "error": "Счёт устарел"}));

    let began = Instant::now();
    let (late, query) = tokio::join!(sandbox.play(&path, what), asked(&sandbox));
    assert_eq!(late, json!({"paid": false, "error": "BOT_PRECHECKOUT_TIMEOUT"}));
    assert!(began.elapsed() >= Duration::from_secs(10));
    let too_late = answer(&sandbox, &query, None).await;
    too_late.refused(
        400,
        "Bad Request: query is too old and response timeout expired or query ID is invalid",
    );
    assert_eq!(stars(&sandbox, id).await, before);
    assert!(sandbox.updates().await.is_empty());
}

#[tokio::test]
async fn an_invoice_that_two_pay_at_once_is_paid_twice_and_then_no_more() {
    let sandbox = Sandbox::start().await;
    let id = sandbox.user().await;
    let friend = sandbox.user().await;
    let message_id = invoiced(&sandbox, id).await;
    let forwarded = json!({"message_id": message_id, "chat_id": id});

    let path = format!("/users/{friend}/pay");
    let pays = sandbox.play(&path, forwarded);
    let path = format!("/users/{id}/pay");
    let (first, second, ()) =
        tokio::join!(sandbox.play(&path, json!({"message_id": message_id})), pays, async {
            let mut queries = Vec::new();
            while queries.len() < 2 {
                queries.extend(sandbox.updates().await);
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            for update in queries {
                answer(&sandbox, &update["pre_checkout_query"], None).await.result();
            }
        });

    assert_eq!((&first["paid"], &second["paid"]), (&json!(true), &json!(true)));
    assert_ne!(first["charge_id"], second["charge_id"]);
    let other = invoiced(&sandbox, id).await;
    let path = format!("/users/{id}/pay");
    let twice = json!({"message_id": other, "twice": true});
    let (both, ()) = tokio::join!(sandbox.play(&path, twice), async {
        let mut answered = 0;
        while answered < 2 {
            for update in sandbox.updates().await {
                let Some(query) = update.get("pre_checkout_query") else { continue };
                answer(&sandbox, query, None).await.result();
                answered += 1;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    assert_eq!(both["payments"][1]["paid"], true, "{both}");
    let url = sandbox.url(&format!("/_sandbox/telegram/users/{id}/pay"));
    let third = sandbox.http.post(url).json(&json!({"message_id": message_id}));
    let third = Sandbox::answer(third).await;
    assert_eq!((third.status, &third.body["error"]), (400, &json!("the invoice is paid")));
}

#[tokio::test]
async fn a_link_is_paid_like_a_message_and_stars_that_are_not_there_are_not_paid() {
    let sandbox = Sandbox::start().await;
    let id = sandbox.user().await;
    let link = sandbox.bot("createInvoiceLink", invoice(id)).await.result();
    paid(&sandbox, id, json!({"link": link})).await;

    let mut dear = invoice(id);
    dear["prices"][0]["amount"] = 9_999.into();
    let message = sandbox.bot("sendInvoice", dear).await.result();
    let url = sandbox.url(&format!("/_sandbox/telegram/users/{id}/pay"));
    let what = json!({"message_id": message["message_id"]});
    let poor = Sandbox::answer(sandbox.http.post(url).json(&what)).await;
    assert_eq!(poor.status, 400);
    assert!(poor.body["error"].as_str().unwrap().starts_with("BALANCE_TOO_LOW"), "{}", poor.body);
    let given = sandbox.play(&format!("/users/{id}/stars"), json!({"amount": 100})).await;
    assert_eq!(given["stars"], stars(&sandbox, id).await);
}

#[tokio::test]
async fn an_invoice_that_telegram_does_not_take_is_refused() {
    let sandbox = Sandbox::start().await;
    let id = sandbox.user().await;

    for (field, value, problem) in [
        ("title", json!("я".repeat(33)), "INVOICE_TITLE_INVALID"),
        ("description", json!(""), "INVOICE_DESCRIPTION_INVALID"),
        ("payload", json!("я".repeat(65)), "INVOICE_PAYLOAD_INVALID"),
        ("currency", json!("RUB"), "PAYMENT_PROVIDER_INVALID"),
        ("prices", json!([]), "STARS_INVOICE_INVALID"),
        ("prices", json!([{"label": "a", "amount": 0}]), "CURRENCY_TOTAL_AMOUNT_INVALID"),
        ("chat_id", json!(5), "chat not found"),
    ] {
        let mut invoice = invoice(id);
        invoice[field] = value;
        let answer = sandbox.bot("sendInvoice", invoice).await;
        answer.refused(400, &format!("Bad Request: {problem}"));
    }
    for (refund, problem) in [
        (json!({"user_id": id}), "CHARGE_ID_EMPTY"),
        (json!({"telegram_payment_charge_id": "x"}), "USER_ID_INVALID"),
        (json!({"user_id": id, "telegram_payment_charge_id": "x"}), "CHARGE_NOT_FOUND"),
    ] {
        let answer = sandbox.bot("refundStarPayment", refund).await;
        answer.refused(400, &format!("Bad Request: {problem}"));
    }
}
