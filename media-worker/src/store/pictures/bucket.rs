//! Pictures as objects of an S3 bucket, or of a store that speaks its protocol.

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{ClientOptions, Error, ObjectStore as _, ObjectStoreExt as _, RetryConfig};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::timeout;
use url::Url;

use crate::domain::UserId;

use super::PicturesError;

/// One request, with the whole of a picture.
const REQUEST_MAX: Duration = Duration::from_secs(30);
/// How long the start waits to hear that the bucket is there.
const PROBE_MAX: Duration = Duration::from_secs(5);
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// What failed is tried again here so often and so long; then the job's step is.
const RETRIES_MAX: usize = 3;
const RETRY_MAX: Duration = Duration::from_secs(60);

const PROBE: &str = "probe";

/// How a bucket is reached, in the names that AWS's own tools use.
#[derive(Clone, Debug)]
pub struct BucketAccess {
    /// Where it is served; AWS where unset.
    pub endpoint: Option<Url>,
    /// Its region.
    pub region: String,
    /// Id and secret of the access key. Where unset, the role of the pod or the machine is used.
    pub key: Option<(SecretString, SecretString)>,
}

#[derive(Clone, Debug)]
pub(super) struct Bucket {
    store: Arc<AmazonS3>,
    /// Below which all objects are.
    prefix: Path,
}

impl Bucket {
    /// Opens `<bucket>/<prefix>`.
    pub(super) async fn open(path: &str, access: &BucketAccess) -> Result<Self, PicturesError> {
        let (name, prefix) = path.split_once('/').unwrap_or((path, ""));
        if !is_bucket_name(name) {
            return Err(PicturesError::BadUrl);
        }
        let prefix = Path::parse(prefix).map_err(|_| PicturesError::BadUrl)?;
        let bad = |cause: Error| PicturesError::BadBucket {
            bucket: name.to_owned(),
            cause: cause.to_string(),
        };
        let store = Arc::new(client(name, access).map_err(bad)?);
        let bucket = Self { store, prefix };
        match timeout(PROBE_MAX, bucket.probe()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) if is_for_good(&error) => return Err(bad(error)),
            Ok(Err(error)) => tracing::warn!(error.cause = %error, "the bucket is away"),
            Err(_elapsed) => tracing::warn!("the bucket does not answer yet"),
        }
        Ok(bucket)
    }

    /// Writes nothing under a name of its own, to see that the bucket is there and ours.
    async fn probe(&self) -> Result<(), Error> {
        self.store.put(&self.at(PROBE), Bytes::new().into()).await.map(|_| ())
    }

    pub(super) async fn put(&self, path: &str, bytes: Bytes) -> io::Result<()> {
        self.store.put(&self.at(path), bytes.into()).await.map(|_| ()).map_err(told)
    }

    pub(super) async fn get(&self, path: &str) -> io::Result<Bytes> {
        let found = self.store.get(&self.at(path)).await.map_err(told)?;
        found.bytes().await.map_err(told)
    }

    pub(super) async fn remove(&self, path: &str) -> io::Result<()> {
        match self.store.delete(&self.at(path)).await {
            Err(Error::NotFound { .. }) | Ok(()) => Ok(()),
            Err(error) => Err(told(error)),
        }
    }

    pub(super) async fn older_than(
        &self,
        kind: &str,
        age: Duration,
    ) -> io::Result<Vec<(UserId, String)>> {
        let before = SystemTime::now().checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH);
        let folder = self.at(kind);
        let mut objects = self.store.list(Some(&folder));
        let mut found = Vec::new();
        while let Some(object) = objects.try_next().await.map_err(told)? {
            if SystemTime::from(object.last_modified) >= before {
                continue;
            }
            let Some(parts) = object.location.prefix_match(&folder) else { continue };
            let parts: Vec<_> = parts.collect();
            let [user, name] = parts.as_slice() else { continue };
            let user = user.as_ref().parse().ok().map(UserId::new);
            let Some(Ok(user)) = user else { continue };
            found.push((user, name.as_ref().to_owned()));
        }
        Ok(found)
    }

    fn at(&self, path: &str) -> Path {
        path.split('/').fold(self.prefix.clone(), |path, part| path.join(part))
    }
}

fn client(name: &str, access: &BucketAccess) -> Result<AmazonS3, Error> {
    // Without a key: the role, as AWS's own tools find it.
    let mut builder = AmazonS3Builder::from_env()
        .with_bucket_name(name)
        .with_region(&access.region)
        .with_retry(RetryConfig {
            max_retries: RETRIES_MAX,
            retry_timeout: RETRY_MAX,
            ..RetryConfig::default()
        });
    let mut options =
        ClientOptions::new().with_timeout(REQUEST_MAX).with_connect_timeout(CONNECT_MAX);
    if let Some(endpoint) = &access.endpoint {
        builder = builder.with_endpoint(endpoint.as_str().trim_end_matches('/'));
        options = options.with_allow_http(endpoint.scheme() == "http");
    }
    if let Some((id, secret)) = &access.key {
        builder = builder
            .with_access_key_id(id.expose_secret())
            .with_secret_access_key(secret.expose_secret());
    }
    builder.with_client_options(options).build()
}

/// As S3 has them.
fn is_bucket_name(name: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b);
    (3..=63).contains(&name.len()) && name.bytes().all(is_plain)
}

/// Whether it will not go away by itself.
fn is_for_good(error: &Error) -> bool {
    matches!(
        error,
        Error::NotFound { .. } | Error::PermissionDenied { .. } | Error::Unauthenticated { .. }
    )
}

fn told(error: Error) -> io::Error {
    match error {
        Error::NotFound { .. } => io::Error::new(io::ErrorKind::NotFound, error),
        error => io::Error::other(error),
    }
}
