//! The shipped binary: killed and started again, told to end, and started with wrong settings.

use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use proto::media::v1::JobState;
use rstest::rstest;
use tokio::time::{Instant, sleep};

use crate::app::{App, SOON, USER, quick};
use crate::database::Engine;
use crate::fal::OnSubmit;

/// The binary with the settings of a test; killed when it is dropped.
struct Process {
    child: Child,
    url: String,
    admin: String,
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn command(app: &App) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_media-worker"));
    command
        .env_clear()
        .current_dir(app.folder.path())
        .env("MEDIA_DATABASE_URL", &app.database.url)
        .env("MEDIA_LISTEN", "127.0.0.1:0")
        .env("MEDIA_ADMIN_LISTEN", "127.0.0.1:0")
        .env("BILLING_URL", &app.billing_url)
        .env("FAL_KEY", "test:key")
        .env("FAL_QUEUE_URL", &app.fal.url)
        .env("FAL_REST_URL", &app.fal.url)
        .env("FAL_API_URL", format!("{}/v1", app.fal.url))
        .stderr(Stdio::piped());
    command
}

/// Starts the binary, and waits until it serves.
async fn start(app: &mut App) -> Process {
    start_with(app, &[]).await
}

async fn start_with(app: &mut App, settings: &[(&str, &str)]) -> Process {
    let (grpc, admin) = (free_address(), free_address());
    let child = command(app)
        .envs(settings.iter().copied())
        .env("MEDIA_LISTEN", grpc.to_string())
        .env("MEDIA_ADMIN_LISTEN", admin.to_string())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let process =
        Process { child, url: format!("http://{grpc}"), admin: format!("http://{admin}") };
    let deadline = Instant::now() + SOON;
    while get(&format!("{}/readyz", process.admin)).await.as_deref() != Some("ready\n") {
        assert!(Instant::now() < deadline, "never ready");
        sleep(Duration::from_millis(20)).await;
    }
    app.worker_at(&process.url);
    process
}

async fn get(url: &str) -> Option<String> {
    reqwest::get(url).await.ok()?.text().await.ok()
}

fn refusal(command: &mut Command) -> String {
    let Output { status, stderr, .. } = command.output().unwrap();
    assert_eq!(status.code(), Some(78), "{}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stderr).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_polling_the_next_process_delivers() {
    let mut app = App::prepare(Engine::Sqlite, quick()).await;
    app.fal.script(|script| script.hang = true);
    let mut first = start(&mut app).await;
    let polled = app.generate().await;
    app.fal.until_looked_at().await;
    app.fal.script(|script| script.submit = OnSubmit::TakeAndHang);
    let submitting = app.generate().await;
    app.fal.until_taken(2).await;

    first.child.kill().unwrap();
    drop(first);
    app.fal.script(|script| {
        script.hang = false;
        script.submit = OnSubmit::Take;
    });
    let _second = start(&mut app).await;

    assert_eq!(app.ended(&polled).await.state(), JobState::Succeeded);
    assert_eq!(app.ended(&submitting).await.state(), JobState::Failed);
    assert_eq!(app.fal.taken().len(), 2);
    let metrics = get(&format!("{}/metrics", _second.admin)).await.unwrap();
    assert!(metrics.contains("jobs_total{mode=\"generate\",outcome=\"succeeded\"} 1"), "{metrics}");
    assert!(metrics.contains("outcome=\"outcome_unknown\"} 1"), "{metrics}");
    app.check_books().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_end_it_ends_in_time_and_in_good_order() {
    let mut app = App::prepare(Engine::Sqlite, quick()).await;
    app.fal.script(|script| script.hang = true);
    let mut process = start(&mut app).await;
    app.generate().await;
    app.fal.until_looked_at().await;
    let mut watch = app.watch().await;

    let since = Instant::now();
    let told = Command::new("kill").args(["-TERM", &process.child.id().to_string()]).status();
    assert!(told.unwrap().success());
    while watch.next().await.is_some() {}
    let status = loop {
        if let Some(status) = process.child.try_wait().unwrap() {
            break status;
        }
        assert!(since.elapsed() < Duration::from_secs(10), "still running");
        sleep(Duration::from_millis(20)).await;
    };

    assert!(status.success(), "{status}");
}

/// Waits until the metrics have this line.
async fn until_measured(process: &Process, line: &str) {
    let deadline = Instant::now() + SOON;
    loop {
        let metrics = get(&format!("{}/metrics", process.admin)).await.unwrap();
        if metrics.lines().any(|one| one == line) {
            return;
        }
        assert!(Instant::now() < deadline, "{line}: {metrics}");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_without_a_job_and_a_job_without_an_operation_are_counted() {
    let mut app = App::prepare(Engine::Sqlite, quick()).await;
    app.fal.script(|script| script.hang = true);
    let process = start_with(&mut app, &[("JOBS_COMPARE_EVERY", "50ms")]).await;
    let at_work = app.generate().await;
    app.fal.until_looked_at().await;
    until_measured(&process, "operations_without_job 0").await;
    until_measured(&process, "jobs_without_operation 0").await;

    let forgotten = app.billing.reserve(USER, "edit");
    app.billing.reserve(USER, "poem");
    until_measured(&process, "operations_without_job 1").await;
    app.billing.expire(&forgotten);
    until_measured(&process, "operations_without_job 0").await;

    app.billing.expire(&at_work);
    until_measured(&process, "jobs_without_operation 1").await;
    app.fal.script(|script| script.hang = false);
    app.ended(&at_work).await;
    until_measured(&process, "jobs_without_operation 0").await;
}

#[rstest]
#[case("FAL_KEY", "")]
#[case("FAL_KEY", "two words")]
#[case("FAL_QUEUE_URL", "queue.fal.run")]
#[case("FAL_MAX_CONCURRENT", "0")]
#[case("JOB_DEADLINE", "soon")]
#[case("MEDIA_LISTEN", "here")]
#[case("MEDIA_DATABASE_URL", "mysql://root:s3cret@localhost/x")]
#[case("MEDIA_DATABASE_URL", "sqlite:///no/such/folder/s3cret.db")]
#[case("MEDIA_RESULTS_URL", "gs://bucket")]
#[case("MEDIA_RESULTS_RETENTION", "1m")]
#[case("AWS_ACCESS_KEY_ID", "only-half")]
#[case("MEDIA_RESULTS_URL", "file:///proc/none")]
#[case("MEDIA_FONTS_DIR", "/no/such/folder")]
#[case("BILLING_URL", "not an address")]
#[tokio::test(flavor = "multi_thread")]
async fn a_setting_that_cannot_be_used_is_one_line_that_names_it(
    #[case] variable: &str,
    #[case] value: &str,
) {
    let app = App::prepare(Engine::Sqlite, quick()).await;

    let said = refusal(command(&app).env(variable, value));

    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains(variable), "{said}");
    assert!(!said.contains("root:s3cret"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_required_and_plain_text_stays_on_this_machine() {
    let app = App::prepare(Engine::Sqlite, quick()).await;

    let said = refusal(command(&app).env_remove("FAL_KEY"));
    assert!(said.contains("FAL_KEY is missing"), "{said}");

    let Output { status, stderr, .. } =
        command(&app).env("MEDIA_LISTEN", "0.0.0.0:0").output().unwrap();
    assert!(!status.success());
    assert!(String::from_utf8(stderr).unwrap().contains("MEDIA_LISTEN"), "names the setting");
}
