//! The addresses, the certificate, and what is not served.

use proto::service::shutdown::Shutdown;
use reqwest::Certificate;
use sandbox::server::Server;
use serde_json::{Value, json};

use crate::bot::{Sandbox, TOKEN, config};

fn trusting(sandbox: &Sandbox) -> reqwest::ClientBuilder {
    let ca = Certificate::from_pem(&sandbox.ca()).unwrap();
    reqwest::Client::builder().no_proxy().tls_certs_only([ca])
}

#[tokio::test]
async fn https_is_the_same_sandbox_to_whoever_trusts_its_ca() {
    let sandbox = Sandbox::start().await;
    let port = sandbox.server.https.port();
    let url = format!("https://localhost:{port}/telegram/bot{TOKEN}/getMe");

    let trusted = trusting(&sandbox).build().unwrap();
    assert_eq!(trusted.get(&url).send().await.unwrap().status(), 200);
    assert!(sandbox.http.get(&url).send().await.is_err(), "nobody else trusts it");

    let ca = sandbox.ca();
    let sandbox = sandbox.restarted().await;
    assert_eq!(sandbox.ca(), ca, "a CA that was trusted once is trusted still");
}

#[tokio::test]
async fn real_host_names_lead_to_their_emulators() {
    let sandbox = Sandbox::start().await;
    let address = sandbox.server.https;
    let client = ["api.telegram.org", "queue.fal.run", "api.fal.ai", "api.yookassa.ru"]
        .into_iter()
        .fold(trusting(&sandbox), |client, host| client.resolve(host, address))
        .build()
        .unwrap();
    let port = address.port();
    let get = async |url: String| {
        let answer = client.get(url).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };

    let (status, me) = get(format!("https://api.telegram.org:{port}/bot{TOKEN}/getMe")).await;
    assert_eq!((status, &me["ok"]), (200, &json!(true)));
    let (status, error) = get(format!("https://api.yookassa.ru:{port}/v3/payments/1")).await;
    assert_eq!((status, &error["type"]), (401, &json!("error")), "{error}");
    let fal = format!("https://queue.fal.run:{port}/fal-ai/flux/dev/requests/1/status");
    let (status, error) = get(fal).await;
    assert!(error.get("detail").is_some(), "{status} {error}");
    let (status, models) =
        get(format!("https://api.fal.ai:{port}/v1/models?endpoint_id=fal-ai/esrgan")).await;
    assert_eq!((status, &models["models"][0]["endpoint_id"]), (200, &json!("fal-ai/esrgan")));
    let (_, error) =
        get(format!("https://localhost:{port}/fal-ai/flux/dev/requests/1/status")).await;
    assert!(error.get("detail").is_some(), "fal's paths are at the root over TLS: {error}");
}

#[tokio::test]
async fn only_this_machine_is_let_in_and_a_taken_port_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let shutdown = Shutdown::new();
    let open = config(folder.path(), &["--sandbox-listen", "0.0.0.0:0"]);
    let error = Server::start(&open, &shutdown).await.unwrap_err();
    assert!(error.to_string().starts_with("SANDBOX_LISTEN: 0.0.0.0:0 can be reached"), "{error}");

    let sandbox = Sandbox::start().await;
    let taken = sandbox.server.https.to_string();
    let config = config(folder.path(), &["--sandbox-tls-listen", &taken]);
    let error = Server::start(&config, &shutdown).await.unwrap_err();
    assert!(error.to_string().contains(&format!("SANDBOX_TLS_LISTEN: {taken}")), "{error}");
}

#[tokio::test]
async fn the_page_loads_nothing_from_elsewhere() {
    let sandbox = Sandbox::start().await;
    for path in ["/", "/chat.css", "/chat.js", "/icon.svg"] {
        let answer = sandbox.http.get(sandbox.url(path)).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.starts_with("default-src 'self'"), "{policy}");
        let text = answer.text().await.unwrap();
        assert!(!text.contains("innerHTML"), "{path} inserts HTML");
    }
    let health = sandbox.http.get(sandbox.url("/_sandbox/health")).send().await.unwrap();
    assert_eq!(health.json::<Value>().await.unwrap(), json!({"ok": true}));
}

#[tokio::test]
async fn a_mistake_of_a_test_is_explained_to_it() {
    let sandbox = Sandbox::start().await;
    let url = |path: &str| sandbox.url(&format!("/_sandbox/telegram{path}"));
    for (request, status, said) in [
        (
            sandbox.http.post(url("/users/5/text")).json(&json!({"text": "a"})),
            404,
            "no user 5: POST /_sandbox/telegram/users",
        ),
        (sandbox.http.get(url("/users/5/chat")), 404, "no user 5"),
        (sandbox.http.post(url("/users/5/text")).json(&json!({})), 400, "missing field `text`"),
        (sandbox.http.post(url("/users")).json(&json!({"name": "a"})), 400, "unknown field `name`"),
        (sandbox.http.get(url("/callbacks/5")), 404, "no button was pressed so"),
        (sandbox.http.get(url("/files/5")), 404, "no such file"),
    ] {
        let answer = Sandbox::answer(request).await;
        let error = answer.body["error"].as_str().unwrap();
        assert!(error.contains(said), "{error}");
        assert_eq!(answer.status, status, "{error}");
    }
}
