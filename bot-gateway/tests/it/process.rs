//! The shipped binary: kills, signals, wrong settings and logs.

use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::app::{App, Engine, TOKEN, picture};
use crate::fakes::Fault;

const DEADLINE: Duration = Duration::from_secs(30);

fn bot(app: &App, settings: &[String]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_bot-gateway"))
        .args(settings)
        .arg("--rust-log=debug")
        .current_dir(app.folder())
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

fn signal(child: &Child, name: &str) {
    let id = child.id().unwrap().to_string();
    let done = std::process::Command::new("kill").args([name, &id]).status().unwrap();
    assert!(done.success());
}

async fn end(child: Child) -> Output {
    timeout(DEADLINE, child.wait_with_output()).await.expect("it ends in time").unwrap()
}

#[tokio::test]
async fn a_kill_in_the_middle_of_a_purchase_leaves_one_purchase() {
    let app = App::without_bot(Engine::Sqlite).await;
    let settings = app.settings();
    let first = bot(&app, &settings);
    let user = app.guest().await;
    user.opens("mode_generate", "Стоимость").await;
    app.model(|model| model.submit = Fault::Hangs);
    user.writes("кот").await;
    let find = |model: &mut crate::fakes::Model| (!model.operations.is_empty()).then_some(());
    app.until("reserved", find).await;
    signal(&first, "-KILL");
    end(first).await;

    app.model(|model| model.submit = Fault::None);
    let second = bot(&app, &settings);
    let operation = app.submitted().await;
    app.succeed(&operation, picture(1));
    app.acknowledged(&operation).await;

    app.model(|model| {
        assert_eq!(model.operations.len(), 1);
        assert!(model.refunds.is_empty());
        assert_eq!(model.accounts[&user.id].free_operations, 3);
    });
    assert_eq!(user.count("Готово!").await, 1);
    signal(&second, "-TERM");
    assert!(end(second).await.status.success());
    app.stop().await;
}

#[tokio::test]
async fn what_waits_at_a_termination_is_handled_after_the_restart() {
    let app = App::without_bot(Engine::Sqlite).await;
    let settings = app.settings();
    let first = bot(&app, &settings);
    let user = app.guest().await;
    user.opens("mode_generate", "Стоимость").await;
    app.model(|model| model.reserve = Fault::LostBefore(u32::MAX));
    user.writes("кот").await;
    app.until("asked", |model| {
        matches!(model.reserve, Fault::LostBefore(left) if left < u32::MAX).then_some(())
    })
    .await;
    signal(&first, "-TERM");
    assert!(end(first).await.status.success());

    app.model(|model| model.reserve = Fault::None);
    let second = bot(&app, &settings);
    app.submitted().await;

    app.model(|model| assert_eq!(model.operations.len(), 1));
    signal(&second, "-INT");
    assert!(end(second).await.status.success());
    app.stop().await;
}

#[tokio::test]
async fn a_kill_between_a_payment_in_stars_and_its_credit_loses_nothing() {
    let app = App::without_bot(Engine::Sqlite).await;
    let settings = app.settings();
    let user = app.user().await;
    let mut bots = vec![bot(&app, &settings)];
    let start = user.writes("/start").await;
    user.reads(start, "Выберите").await;
    let invoice = crate::stars::invoiced(user).await;
    app.model(|model| model.confirm = Fault::Hangs);
    let paid = user.pays(&invoice, user.id).await;
    assert_eq!(paid["paid"], true, "{paid}");

    // More often than an update that is not about money may end the process.
    for kills in 1..=4 {
        let find = |model: &mut crate::fakes::Model| {
            (kills > 3 || model.confirmed.len() >= kills).then_some(())
        };
        app.until("the payment is being confirmed", find).await;
        let last = bots.pop().unwrap();
        signal(&last, "-KILL");
        end(last).await;
        bots.push(bot(&app, &settings));
    }
    app.model(|model| model.confirm = Fault::None);

    app.until("credited", |model| model.invoices[0].charge.clone()).await;
    app.model(|model| assert_eq!(model.accounts[&user.id].balance_kopecks, 10_050));
    let last = bots.pop().unwrap();
    signal(&last, "-TERM");
    assert!(end(last).await.status.success());
    app.stop().await;
}

#[tokio::test]
async fn a_wrong_token_is_said_and_never_shown() {
    let app = App::without_bot(Engine::Sqlite).await;
    let mut settings = app.settings();
    settings[0] = "--telegram-bot-token=4242424242:AAwrongwrongwrongwrongwrongwrongwro".to_owned();

    let output = end(bot(&app, &settings)).await;

    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(said.contains("TELEGRAM_BOT_TOKEN is wrong"), "{said}");
    assert!(!said.contains("AAwrong"), "{said}");
    app.stop().await;
}

#[tokio::test]
async fn logs_have_no_token_no_prompt_and_no_name() {
    let app = App::without_bot(Engine::Sqlite).await;
    let mut child = bot(&app, &app.settings());
    let user = app.guest().await;
    user.opens("mode_generate", "Стоимость").await;
    user.writes("секретный замысел").await;
    let operation = app.submitted().await;
    app.succeed(&operation, picture(1));
    app.acknowledged(&operation).await;
    // Telegram goes away, and its errors carry URLs.
    app.stop_sandbox();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut said = String::new();
    let read = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            said.push_str(&line);
            said.push('\n');
            if line.contains("no updates, trying again") {
                signal(&child, "-TERM");
            }
        }
    };
    timeout(DEADLINE, read).await.expect("it says that telegram is away, and ends");

    assert!(said.contains(&operation), "{said}");
    assert!(said.contains("no updates, trying again"), "{said}");
    assert!(!said.contains(TOKEN) && !said.contains("AAsecret"), "{said}");
    assert!(!said.contains("замысел"), "{said}");
    assert!(!said.contains("Анна"), "{said}");
    app.stop().await;
}
