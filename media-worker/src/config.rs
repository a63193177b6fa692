//! Every setting, read once.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use proto::service::config::{CommonConfig, duration};
use secrecy::SecretString;
use url::Url;

use crate::settings::Settings;
use crate::store::BucketAccess;

/// Inputs are kept for a day after the submit, so a job must be over well before.
const JOB_DEADLINE_MAX: Duration = Duration::from_secs(12 * 60 * 60);
/// A delivered result must outlive another delivery of it.
const RETENTION_MIN: Duration = Duration::from_secs(10 * 60);
const RETENTION_MAX: Duration = Duration::from_secs(366 * 24 * 60 * 60);
const CONCURRENT_MAX: usize = 1000;

/// Runs jobs at fal.ai and settles their operations; draws text onto pictures.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "media-worker", version)]
pub struct Config {
    /// Where gRPC is served.
    #[arg(long, env, default_value = "127.0.0.1:50053")]
    pub media_listen: SocketAddr,

    /// Where `/livez`, `/readyz` and `/metrics` are.
    #[arg(long, env, default_value = "127.0.0.1:9103")]
    pub media_admin_listen: SocketAddr,

    /// The worker's own database: `sqlite://<file>` or `postgres://…`. Nobody else reads it.
    #[arg(long, env, hide_env_values = true, default_value = "sqlite://media-lab-jobs.db")]
    pub media_database_url: SecretString,

    /// Where pictures that go in and come out lie: `file://<folder>` or `s3://<bucket>/<prefix>`.
    #[arg(long, env, default_value = "file://media-lab-results")]
    pub media_results_url: String,

    /// How long a result is kept after it was delivered: `24h`, `30m`.
    #[arg(long, env, default_value = "24h", value_parser = retention)]
    pub media_results_retention: Duration,

    /// Where the bucket is served; AWS where unset.
    #[arg(long, env, value_parser = web_url)]
    pub aws_endpoint_url: Option<Url>,

    /// Region of the bucket.
    #[arg(long, env, default_value = "us-east-1")]
    pub aws_region: String,

    /// Access key of the bucket, with `AWS_SECRET_ACCESS_KEY`; the role of the pod or the machine
    /// where both are unset.
    #[arg(long, env, hide_env_values = true)]
    pub aws_access_key_id: Option<SecretString>,

    /// Its secret.
    #[arg(long, env, hide_env_values = true)]
    pub aws_secret_access_key: Option<SecretString>,

    /// Folder of fonts for text on pictures; the built-in ones where unset.
    #[arg(long, env)]
    pub media_fonts_dir: Option<PathBuf>,

    /// Where billing-svc is.
    #[arg(long, env, default_value = "http://127.0.0.1:50051")]
    pub billing_url: String,

    /// The endpoints that do each mode, a TOML file (README has its form); built in where unset.
    #[arg(long, env)]
    pub models_file: Option<PathBuf>,

    /// Key of fal.ai; several, separated by commas, each have their own places.
    #[arg(long, env, hide_env_values = true)]
    pub fal_key: SecretString,

    /// fal.ai's queue.
    #[arg(long, env, default_value = "https://queue.fal.run", value_parser = web_url)]
    pub fal_queue_url: Url,

    /// fal.ai's storage.
    #[arg(long, env, default_value = "https://rest.fal.ai", value_parser = web_url)]
    pub fal_rest_url: Url,

    /// fal.ai's platform API, which knows what became of a submit whose answer was lost.
    #[arg(long, env, default_value = "https://api.fal.ai/v1", value_parser = web_url)]
    pub fal_api_url: Url,

    /// Where fal.ai's webhooks reach this service, such as `https://media.example.com`; unset: fal.ai
    /// is asked again and again instead.
    #[arg(long, env, value_parser = webhook_url)]
    pub fal_webhook_url: Option<Url>,

    /// Where fal.ai publishes the keys that it signs webhooks with.
    #[arg(long, env, default_value = "https://rest.fal.ai/.well-known/jwks.json", value_parser = web_url)]
    pub fal_jwks_url: Url,

    /// Where webhooks are received, below `/fal/webhook/`; opened with `FAL_WEBHOOK_URL` only.
    #[arg(long, env, default_value = "127.0.0.1:8081")]
    pub media_http_listen: SocketAddr,

    /// Jobs at fal.ai at once, of each key, over all processes that share the database.
    #[arg(long, env, default_value = "10", value_parser = concurrent)]
    pub fal_max_concurrent: usize,

    /// Of them, jobs of one user; the user's others wait, and nobody else does for them.
    #[arg(long, env, default_value = "3", value_parser = concurrent)]
    pub jobs_per_user: usize,

    /// Refusals of content that are given back to a user in a day of Moscow's; beyond them a refusal
    /// is charged. 0: each is charged.
    #[arg(long, env, default_value = "5", value_parser = clap::value_parser!(i64).range(0..=1000))]
    pub refusals_per_day: i64,

    /// A job that is older is given up and refunded: `10m`, `90s`.
    #[arg(long, env, default_value = "10m", value_parser = deadline)]
    pub job_deadline: Duration,

    /// How often jobs are compared with the operations that are reserved for them: `60s`, `10m`.
    #[arg(long, env, default_value = "60s", value_parser = duration)]
    pub jobs_compare_every: Duration,

    /// What every service has.
    #[command(flatten)]
    pub common: CommonConfig,
}

impl Config {
    /// The bounds of the work, as these settings say.
    pub fn settings(&self) -> Settings {
        Settings {
            concurrent_max: self.fal_max_concurrent,
            jobs_per_user: self.jobs_per_user,
            refusals_per_day: self.refusals_per_day,
            job_deadline: self.job_deadline,
            compare_every: self.jobs_compare_every,
            keep_results: self.media_results_retention,
            ..Settings::default()
        }
    }

    /// How the bucket is reached, where pictures lie in one.
    ///
    /// # Errors
    /// When one half of the access key is missing.
    pub fn bucket_access(&self) -> Result<BucketAccess, &'static str> {
        let key = match (&self.aws_access_key_id, &self.aws_secret_access_key) {
            (Some(id), Some(secret)) => Some((id.clone(), secret.clone())),
            (None, None) => None,
            _ => return Err("set it together with AWS_SECRET_ACCESS_KEY, or neither"),
        };
        let (endpoint, region) = (self.aws_endpoint_url.clone(), self.aws_region.clone());
        Ok(BucketAccess { endpoint, region, key })
    }
}

fn web_url(text: &str) -> Result<Url, String> {
    let expected = || "expected an address that begins with https:// or http://".to_owned();
    let url = Url::parse(text).map_err(|_| expected())?;
    let has_extras = url.query().is_some() || url.fragment().is_some();
    if matches!(url.scheme(), "https" | "http") && !has_extras { Ok(url) } else { Err(expected()) }
}

/// fal.ai calls over TLS; on this machine the sandbox does without.
fn webhook_url(text: &str) -> Result<Url, String> {
    let url = web_url(text)?;
    let is_local = matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
    if url.scheme() == "https" || is_local {
        return Ok(url);
    }
    Err("expected an address that begins with https://".to_owned())
}

fn concurrent(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count @ 1..=CONCURRENT_MAX) => Ok(count),
        _ => Err(format!("expected a number from 1 to {CONCURRENT_MAX}")),
    }
}

fn deadline(text: &str) -> Result<Duration, String> {
    let span = duration(text)?;
    if span <= JOB_DEADLINE_MAX { Ok(span) } else { Err("expected at most 12h".to_owned()) }
}

fn retention(text: &str) -> Result<Duration, String> {
    let span = duration(text)?;
    if (RETENTION_MIN..=RETENTION_MAX).contains(&span) {
        return Ok(span);
    }
    Err("expected 10m to 8784h".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    fn with(more: &str) -> Result<Config, String> {
        Config::try_parse_from(["media-worker", "--fal-key=id:s3cret", more])
            .map_err(|error| error.to_string())
    }

    #[test]
    fn settings_reach_the_work() {
        let config = with("--job-deadline=90s").unwrap();

        assert_eq!(config.settings().job_deadline, Duration::from_secs(90));
        assert_eq!(config.settings().concurrent_max, 10);
        assert!(!format!("{config:?}").contains("s3cret"));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for wrong in [
            "--job-deadline=13h",
            "--job-deadline=0s",
            "--fal-max-concurrent=0",
            "--fal-max-concurrent=ten",
            "--jobs-per-user=0",
            "--media-results-retention=5m",
            "--media-results-retention=9000h",
            "--aws-endpoint-url=minio:9000",
            "--refusals-per-day=-1",
            "--fal-queue-url=queue.fal.run",
            "--fal-api-url=https://x/?a=b",
            "--fal-webhook-url=http://media.example.com",
            "--fal-webhook-url=media.example.com",
        ] {
            assert!(with(wrong).is_err(), "{wrong}");
        }
        assert!(Config::try_parse_from(["media-worker"]).is_err());
        assert!(with("--aws-access-key-id=half").unwrap().bucket_access().is_err());
    }
}
