//! Pictures in a bucket: every promise that holds for a folder, with an S3 server of another make
//! that checks signatures.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use media_worker::settings::Settings;
use media_worker::store::{BucketAccess, PictureStore};
use proto::media::v1::{JobState, Mode};
use proto::reason;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::app::{App, SOON, USER, quick, refused};
use crate::database::Engine;
use crate::fal::OnResult;
use crate::pictures;

const KEY: (&str, &str) = ("lab", "s3cret-of-the-bucket");

/// Serves the folders of `root` as buckets; may be ended and served again at the same address.
async fn serve(root: &Path, at: SocketAddr) -> (SocketAddr, JoinHandle<()>) {
    let mut builder = S3ServiceBuilder::new(s3s_fs::FileSystem::new(root).unwrap());
    builder.set_auth(SimpleAuth::from_single(KEY.0, KEY.1));
    let service = builder.build();
    let listener = TcpListener::bind(at).await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        // Ends with the task, and the connections with it.
        let mut connections = tokio::task::JoinSet::new();
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let service = service.clone();
            connections.spawn(async move {
                let server = Builder::new(TokioExecutor::new());
                server.serve_connection(TokioIo::new(socket), service).await.ok();
            });
        }
    });
    (address, serving)
}

fn access(address: SocketAddr, secret: &str) -> BucketAccess {
    BucketAccess {
        endpoint: Some(format!("http://{address}").parse().unwrap()),
        region: "us-east-1".to_owned(),
        key: Some((KEY.0.into(), secret.into())),
    }
}

struct Bucket {
    root: TempDir,
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Bucket {
    async fn start() -> Self {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("pictures")).unwrap();
        let (address, serving) = serve(root.path(), "127.0.0.1:0".parse().unwrap()).await;
        Self { root, address, serving }
    }

    async fn app(&self, settings: Settings) -> App {
        let mut app = App::prepare(Engine::Sqlite, settings).await;
        app.bucket = Some(("s3://pictures/lab/one".to_owned(), access(self.address, KEY.1)));
        app.restart().await;
        app
    }

    /// Names of the objects of one kind.
    fn names(&self, kind: &str) -> Vec<String> {
        let folder = self.root.path().join("pictures/lab/one").join(kind);
        let Ok(users) = std::fs::read_dir(folder) else { return Vec::new() };
        let files = users.flat_map(|user| std::fs::read_dir(user.unwrap().path()).unwrap());
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
    }

    async fn is_empty_soon(&self, kind: &str) {
        let deadline = Instant::now() + SOON;
        while !self.names(kind).is_empty() {
            assert!(Instant::now() < deadline, "{:?}", self.names(kind));
            sleep(Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_ends_in_a_result_that_lies_in_the_bucket_until_its_time_is_over() {
    let bucket = Bucket::start().await;
    let settings = Settings {
        keep_results: Duration::from_secs(2),
        keep_inputs: Duration::from_secs(2),
        sweep_every: Duration::from_millis(200),
        ..quick()
    };
    let mut app = bucket.app(settings).await;
    app.fal.script(|script| script.result = OnResult::Image);
    let input = app.upload(&pictures::jpeg(40, 30, 1)).await.unwrap().input_id;
    assert_eq!(bucket.names("inputs"), std::slice::from_ref(&input));
    let operation = app.billing.reserve(USER, "upscale");
    app.submit(app.request(Mode::Upscale, &operation, vec![input])).await.unwrap();
    let job = app.ended(&operation).await;
    assert_eq!(job.state(), JobState::Succeeded, "{job:?}");
    assert_eq!(bucket.names("results").len(), 1);
    app.kill();
    app.restart().await;

    let (header, bytes) = app.fetch(&operation).await.unwrap();

    assert_eq!(header.size_bytes, i64::try_from(bytes.len()).unwrap());
    app.ack(&job).await;
    bucket.is_empty_soon("results").await;
    bucket.is_empty_soon("inputs").await;
    assert_eq!(refused(app.fetch(&operation).await), reason::RESULT_NOT_FOUND);
    app.check_books().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_is_away_loses_nothing() {
    let mut bucket = Bucket::start().await;
    let app = bucket.app(quick()).await;
    let operation = app.generate().await;
    app.ended(&operation).await;
    bucket.serving.abort();
    (&mut bucket.serving).await.unwrap_err();

    let status = app.fetch(&operation).await.unwrap_err();
    assert!(proto::client::is_unknown(&status), "{status:?}");
    let made_meanwhile = app.generate().await;
    let photo = pictures::png(30, 30, 1);
    let status = app.upload(&photo).await.unwrap_err();
    assert!(proto::client::is_unknown(&status), "{status:?}");
    assert_eq!(app.job(&made_meanwhile).await.unwrap().state(), JobState::Running);
    let (address, _serving) = serve(bucket.root.path(), bucket.address).await;
    assert_eq!(address, bucket.address);

    app.upload(&photo).await.unwrap();
    app.fetch(&operation).await.unwrap();
    assert_eq!(app.ended(&made_meanwhile).await.state(), JobState::Succeeded);
    assert_eq!(app.fal.taken().len(), 2);
    app.check_books().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_row_names_is_found_by_its_age() {
    let bucket = Bucket::start().await;
    let app = bucket.app(quick()).await;
    let input = app.upload(&pictures::png(30, 30, 1)).await.unwrap().input_id;
    let operation = app.generate().await;
    app.ended(&operation).await;
    let store =
        PictureStore::open("s3://pictures/lab/one", &access(bucket.address, KEY.1)).await.unwrap();

    let inputs = store.inputs_older_than(Duration::ZERO).await.unwrap();
    let results = store.results_older_than(Duration::ZERO).await.unwrap();

    assert_eq!(inputs.len(), 1);
    assert_eq!((inputs[0].0.get(), inputs[0].1.to_string()), (USER, input));
    assert_eq!(results.len(), 1);
    assert_eq!(results[0].0.operation.to_string(), operation);
    let hour = Duration::from_secs(3600);
    assert!(store.inputs_older_than(hour).await.unwrap().is_empty());
    assert!(store.results_older_than(hour).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_is_not_ours_stops_the_start() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let bucket = Bucket::start().await;
    let open = async |url: &str, secret: &str| {
        let opened = PictureStore::open(url, &access(bucket.address, secret)).await;
        assert!(opened.is_err(), "{url} was opened");
        opened.unwrap_err().to_string()
    };

    let error = open("s3://pictures", "another-secret").await;
    assert!(error.starts_with("the bucket pictures cannot be used"), "{error}");
    assert!(!error.contains(KEY.1) && !error.contains("another-secret"), "{error}");
    for wrong in ["s3://", "s3://P/x", "s3://pictures/a//b", "gs://pictures", "pictures", "file://"]
    {
        let error = open(wrong, KEY.1).await;
        assert!(error.starts_with("not the address of a folder or a bucket"), "{wrong}: {error}");
    }
}
