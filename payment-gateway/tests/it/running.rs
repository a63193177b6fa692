//! The shipped binary: its settings, its logs, its end.

use std::process::Stdio;
use std::time::Duration;

use proto::client::{Payments, channel};
use proto::payments::v1::{CreatePaymentRequest, PaymentState};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::timeout;

use crate::app::{AMOUNT, USER, until};
use crate::billing::Billing;
use crate::yookassa::{SECRET_KEY, SHOP_ID, YooKassa, notification};

const PATIENCE: Duration = Duration::from_secs(20);

/// The binary with nothing of this machine's environment and these variables.
pub(crate) fn binary(variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_payment-gateway"));
    // Elsewhere than the repository, where a developer may have a `.env`.
    command.env_clear().current_dir(std::env::temp_dir());
    command.envs(variables.iter().copied()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

pub(crate) const NEEDED: [(&str, &str); 6] = [
    ("YOOKASSA_SHOP_ID", SHOP_ID),
    ("YOOKASSA_SECRET_KEY", SECRET_KEY),
    ("YOOKASSA_RETURN_URL", "https://t.me/example_bot"),
    ("PAYMENTS_LISTEN", "127.0.0.1:0"),
    ("PAYMENTS_HTTP_LISTEN", "127.0.0.1:0"),
    ("PAYMENTS_ADMIN_LISTEN", "127.0.0.1:0"),
];

pub(crate) struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStderr>>,
    /// What was logged so far.
    seen: Vec<String>,
}

impl Running {
    pub(crate) fn start(variables: &[(&str, &str)]) -> Self {
        let mut child = binary(variables).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        Self { child, lines, seen: Vec::new() }
    }

    /// The next line that has this message.
    pub(crate) async fn line(&mut self, message: &str) -> Value {
        timeout(PATIENCE, async {
            while let Some(text) = self.lines.next_line().await.unwrap() {
                self.seen.push(text.clone());
                let line: Value = serde_json::from_str(&text).unwrap();
                if line["message"] == message {
                    return line;
                }
            }
            panic!("it ended without {message:?}: {:#?}", self.seen);
        })
        .await
        .unwrap()
    }
}

#[tokio::test]
async fn each_step_of_a_payment_is_a_line_without_secrets() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let (billing, yookassa) = (Billing::default(), YooKassa::default());
    let (billing_url, yookassa_url) = (billing.serve().await, yookassa.serve().await);
    let more = [
        ("BILLING_URL", billing_url.as_str()),
        ("YOOKASSA_API_URL", yookassa_url.as_str()),
        ("YOOKASSA_TRUSTED_NETWORKS", "127.0.0.0/8,::1/128"),
        ("RECONCILE_EVERY", "1h"),
        ("LOG_FORMAT", "json"),
    ];
    let mut running = Running::start(&[NEEDED.as_slice(), more.as_slice()].concat());
    let serving = running.line("serving").await;
    let address = |name: &str| format!("http://{}", serving[name].as_str().unwrap());

    let payments = Payments::new(channel(&address("grpc.addr")).unwrap());
    let request = CreatePaymentRequest {
        user_id: USER,
        amount_kopecks: AMOUNT,
        idempotency_key: "bot:draft:1".to_owned(),
    };
    let created = payments.create_payment(request).await.unwrap();
    let payment_id = yookassa.payment_of(&created.top_up_id).unwrap();
    let line = running.line("yookassa: payment created").await;
    assert_eq!(line["user.id"], USER.to_string());
    assert_eq!(line["top_up.id"], created.top_up_id.as_str());
    assert_eq!(line["payment.id"], payment_id.as_str());
    assert_eq!(line["amount_kopecks"], AMOUNT);
    assert_eq!(line["outcome"], "created");

    yookassa.pay(&payment_id);
    let web = reqwest::Client::builder().no_proxy().build().unwrap();
    let webhook = web.post(format!("{}/yookassa/webhook", address("http.addr")));
    let answer = webhook.body(notification("payment.succeeded", &payment_id)).send().await;
    assert_eq!(answer.unwrap().status(), 200);
    let line = running.line("yookassa: top-up settled").await;
    assert_eq!(line["payment.id"], payment_id.as_str());
    assert_eq!(line["balance_kopecks"], AMOUNT);
    assert_eq!(line["via"], "webhook");

    let metrics = web.get(format!("{}/metrics", address("admin.addr"))).send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    for counted in [
        r#"payments_created_total{outcome="created"} 1"#,
        r#"payments_settled_total{via="webhook",outcome="settled"} 1"#,
        r#"yookassa_requests_total{method="create_payment",outcome="ok"} 1"#,
        r#"payments_webhooks_total{outcome="settled"} 1"#,
    ] {
        assert!(metrics.contains(counted), "{counted} is not in\n{metrics}");
    }
    let log = running.seen.join("\n");
    for hidden in [SECRET_KEY, created.confirmation_url.as_str(), "1000000.00", "Basic"] {
        assert!(!log.contains(hidden), "{hidden} is in\n{log}");
    }
    billing.check_books();
}

#[tokio::test]
async fn it_ends_in_good_order_when_told_to() {
    let mut running =
        Running::start(&[NEEDED.as_slice(), [("LOG_FORMAT", "json")].as_slice()].concat());
    let serving = running.line("serving").await;
    let web = reqwest::Client::builder().no_proxy();
    rustls::crypto::ring::default_provider().install_default().ok();
    let web = web.build().unwrap();
    let ready = format!("http://{}/readyz", serving["admin.addr"].as_str().unwrap());
    until("it is ready", || async {
        web.get(&ready).send().await.is_ok_and(|answer| answer.status() == 200)
    })
    .await;

    let id = running.child.id().unwrap().to_string();
    let told = Command::new("kill").args(["-TERM", &id]).status().await.unwrap();
    assert!(told.success());

    let ended = timeout(PATIENCE, running.child.wait()).await.unwrap().unwrap();
    assert_eq!(ended.code(), Some(0));
}

#[tokio::test]
async fn a_missing_or_wrong_setting_is_one_line_that_names_it() {
    let without =
        |name: &str| NEEDED.into_iter().filter(|(other, _)| *other != name).collect::<Vec<_>>();
    let cases = [
        ("YOOKASSA_SHOP_ID", without("YOOKASSA_SHOP_ID")),
        ("YOOKASSA_SECRET_KEY", without("YOOKASSA_SECRET_KEY")),
        ("YOOKASSA_RETURN_URL", without("YOOKASSA_RETURN_URL")),
        (
            "YOOKASSA_RETURN_URL",
            [without("YOOKASSA_RETURN_URL"), vec![("YOOKASSA_RETURN_URL", "bot")]].concat(),
        ),
        (
            "YOOKASSA_SECRET_KEY",
            [without("YOOKASSA_SECRET_KEY"), vec![("YOOKASSA_SECRET_KEY", "my s3cret")]].concat(),
        ),
        ("YOOKASSA_CURRENCY", [NEEDED.to_vec(), vec![("YOOKASSA_CURRENCY", "USD")]].concat()),
        ("TRUSTED_PROXIES", [NEEDED.to_vec(), vec![("TRUSTED_PROXIES", "everyone")]].concat()),
        ("BILLING_URL", [NEEDED.to_vec(), vec![("BILLING_URL", "not an address")]].concat()),
        ("RECEIPTS", [NEEDED.to_vec(), vec![("RECEIPTS", "yes")]].concat()),
        ("RECEIPT_VAT_CODE", [NEEDED.to_vec(), vec![("RECEIPTS", "on")]].concat()),
        (
            "RECEIPT_MODE",
            [
                NEEDED.to_vec(),
                vec![("RECEIPTS", "on"), ("RECEIPT_VAT_CODE", "1"), ("RECEIPT_MODE", "advance")],
            ]
            .concat(),
        ),
        ("RECEIPT_SUBJECT", [NEEDED.to_vec(), vec![("RECEIPT_SUBJECT", "goods")]].concat()),
        (
            "PAYMENTS_LISTEN",
            [without("PAYMENTS_LISTEN"), vec![("PAYMENTS_LISTEN", "0.0.0.0:0")]].concat(),
        ),
    ];
    for (name, variables) in cases {
        let output = timeout(PATIENCE, binary(&variables).output()).await.unwrap().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{name}");
        assert!(said.contains(name), "{name}: {said}");
        assert!(!said.contains("s3cret"), "{name}: {said}");
        assert_eq!(said.lines().count(), 1, "{name}: {said}");
    }
}

#[tokio::test]
async fn a_top_up_is_settled_though_the_process_was_killed_in_between() {
    let (billing, yookassa) = (Billing::default(), YooKassa::default());
    let (billing_url, yookassa_url) = (billing.serve().await, yookassa.serve().await);
    let more = [
        ("BILLING_URL", billing_url.as_str()),
        ("YOOKASSA_API_URL", yookassa_url.as_str()),
        ("RECONCILE_EVERY", "100ms"),
        ("LOG_FORMAT", "json"),
    ];
    let variables = [NEEDED.as_slice(), more.as_slice()].concat();
    let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    yookassa.fail_next([crate::yookassa::Fault::Held(gate)]);

    let mut first = Running::start(&variables);
    let serving = first.line("serving").await;
    let url = format!("http://{}", serving["grpc.addr"].as_str().unwrap());
    let payments = Payments::new(channel(&url).unwrap()).with_deadline(PATIENCE);
    let request = CreatePaymentRequest {
        user_id: USER,
        amount_kopecks: AMOUNT,
        idempotency_key: "bot:draft:1".to_owned(),
    };
    let calling = tokio::spawn({
        let request = request.clone();
        async move { payments.create_payment(request).await }
    });
    until("the payment exists", || async { yookassa.count() == 1 }).await;
    first.child.kill().await.unwrap();
    calling.abort();
    let top_up = billing.only_top_up();
    assert_eq!(top_up.provider_payment_id, "");
    yookassa.pay(&yookassa.payment_of(&top_up.top_up_id).unwrap());

    let mut second = Running::start(&variables);
    let serving = second.line("serving").await;
    until("it is credited", || async { billing.balance(USER) == AMOUNT }).await;

    let url = format!("http://{}", serving["grpc.addr"].as_str().unwrap());
    let repeat = Payments::new(channel(&url).unwrap()).create_payment(request).await.unwrap();
    assert_eq!(repeat.state(), PaymentState::Settled);
    assert_eq!(yookassa.count(), 1);
    billing.check_books();
}
