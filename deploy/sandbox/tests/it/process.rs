//! The binary itself, as tests of other parts start it.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// Starts the emulators on free ports; answers with the plain address that they print.
async fn start(folder: &std::path::Path) -> (Child, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_sandbox"))
        .arg("--emulators-only")
        .env("SANDBOX_LISTEN", "127.0.0.1:0")
        .env("SANDBOX_TLS_LISTEN", "127.0.0.1:0")
        .env("SANDBOX_DATA", folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = tokio::time::timeout(Duration::from_secs(30), lines.next_line()).await;
    let line = line.expect("it says where it listens").unwrap().unwrap();
    let (http, https) = line
        .strip_prefix("sandbox: listening on ")
        .and_then(|addresses| addresses.split_once(" and "))
        .expect("the first line has both addresses");
    assert!(https.starts_with("https://127.0.0.1:"), "{line}");
    (child, http.to_owned())
}

#[tokio::test]
async fn it_says_where_it_listens_ends_when_asked_and_remembers() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    rustls::crypto::ring::default_provider().install_default().ok();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();

    let (mut child, url) = start(&data).await;
    let users = format!("{url}/_sandbox/telegram/users");
    let made = http.post(&users).json(&json!({"id": 5, "first_name": "Глеб"})).send().await;
    assert_eq!(made.unwrap().status(), 200);
    let id = child.id().unwrap().to_string();
    let asked = Command::new("sh").args(["-c", "kill -TERM \"$0\"", &id]).status().await;
    assert!(asked.unwrap().success());
    let ended = tokio::time::timeout(Duration::from_secs(10), child.wait()).await;
    assert!(ended.expect("it ends soon").unwrap().success());

    let (_child, url) = start(&data).await;
    let users = http.get(format!("{url}/_sandbox/telegram/users")).send().await.unwrap();
    let users: Value = users.json().await.unwrap();
    assert_eq!(users["users"][0]["first_name"], "Глеб");
}

#[tokio::test]
async fn a_setting_that_cannot_be_used_is_one_line_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_sandbox"))
        .arg("--emulators-only")
        .env("SANDBOX_LISTEN", "192.0.2.1:8090")
        .env("SANDBOX_DATA", folder.path())
        .output()
        .await
        .unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("sandbox: SANDBOX_LISTEN: 192.0.2.1:8090"), "{said}");
    assert_eq!(said.trim_end().lines().count(), 1, "{said}");
}
