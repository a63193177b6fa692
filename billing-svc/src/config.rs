//! Every setting, read once.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use proto::service::config::{CommonConfig, duration};
use secrecy::SecretString;

use crate::domain::{Grant, Kopecks};
use crate::ledger::verify::KeptHead;

/// A hold never lives longer than a day.
const HOLD_TTL_MAX: Duration = Duration::from_secs(86_400);

/// Owns balances, free operations and the ledger. Without a command it serves.
#[derive(Clone, Debug, Parser)]
#[command(name = "billing-svc", version)]
pub struct Config {
    #[command(subcommand)]
    pub command: Option<Command>,

    /// `sqlite://<file>`, or `postgres://…` in production. Nobody else writes it.
    #[arg(long, env, hide_env_values = true, default_value = "sqlite://media-lab-billing.db")]
    pub database_url: SecretString,

    /// Where gRPC is served.
    #[arg(long, env, default_value = "127.0.0.1:50051")]
    pub billing_listen: SocketAddr,

    /// Where `/livez`, `/readyz` and `/metrics` are served.
    #[arg(long, env, default_value = "127.0.0.1:9101")]
    pub billing_admin_listen: SocketAddr,

    /// What one paid operation costs, in roubles, such as `10` or `10.50`.
    #[arg(long, env, default_value = "10", value_parser = price)]
    pub price_per_operation: Kopecks,

    /// The price list, a TOML file; if unset, each of the six paid modes costs
    /// `PRICE_PER_OPERATION`.
    #[arg(long, env)]
    pub prices_file: Option<PathBuf>,

    /// Free operations that a new user is given: 0 … 10000.
    #[arg(long, env, default_value = "4", value_parser = grant)]
    pub free_operations_count: Grant,

    /// How long a hold lives without being extended, such as `30m`; at most a day.
    #[arg(long, env, default_value = "30m", value_parser = hold_ttl)]
    pub hold_ttl: Duration,

    /// How often the whole ledger is verified beside serving, such as `24h`; `off` for never.
    #[arg(long, env, default_value = "24h")]
    pub verify_every: Every,

    /// How often the hash chains are extended over new entries, such as `1m`; `off` for never.
    #[arg(long, env, default_value = "1m")]
    pub chain_every: Every,

    #[command(flatten)]
    pub common: CommonConfig,
}

/// What to do instead of serving.
#[derive(Clone, Debug, Eq, PartialEq, Subcommand)]
pub enum Command {
    /// Bring the database's schema to this version, and end.
    Migrate,
    /// Prove the ledger from its rows, also beside a service that runs, and end: with 0 if
    /// everything adds up, 1 if something does not, 2 if it could not look.
    Verify(VerifyOptions),
}

/// What is verified, and how it is told.
#[derive(Args, Clone, Debug, Default, Eq, PartialEq)]
pub struct VerifyOptions {
    /// How findings are written: `table`, or `json` with an object a line.
    #[arg(long, default_value = "table")]
    pub format: ReportFormat,

    /// Only this user.
    #[arg(long)]
    pub user: Option<i64>,

    /// A head of a chain that was kept from the log, as `user:number:hash`. May be repeated.
    #[arg(long)]
    pub head: Vec<KeptHead>,
}

/// How findings are written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum ReportFormat {
    /// For a person.
    #[default]
    Table,
    /// A JSON object a line.
    Json,
}

/// How often something is done, if ever.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Every(pub Option<Duration>);

impl FromStr for Every {
    type Err = NotATime;

    fn from_str(text: &str) -> Result<Self, NotATime> {
        match text {
            "off" | "0" => Ok(Self(None)),
            _ => duration(text).map(|every| Self(Some(every))).map_err(|_| NotATime),
        }
    }
}

/// A text that does not say how often.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected a span of time such as 1m, 24h or 7d, or off")]
pub struct NotATime;

fn price(text: &str) -> Result<Kopecks, String> {
    Kopecks::parse_roubles(text).map_err(|error| error.to_string())
}

fn grant(text: &str) -> Result<Grant, String> {
    let count = text.parse().ok().and_then(Grant::new);
    count.ok_or_else(|| "not a number from 0 to 10000".to_owned())
}

fn hold_ttl(text: &str) -> Result<Duration, String> {
    let ttl = duration(text)?;
    if ttl > HOLD_TTL_MAX { Err("a hold lives at most a day".to_owned()) } else { Ok(ttl) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_those_of_the_product() {
        let config = Config::try_parse_from(["billing-svc"]).unwrap();

        assert_eq!(config.price_per_operation, Kopecks::new(1_000).unwrap());
        assert_eq!(config.free_operations_count, Grant::new(4).unwrap());
        assert_eq!(config.hold_ttl, Duration::from_secs(1_800));
        assert_eq!(config.command, None);
        assert_eq!(config.verify_every, Every(Some(Duration::from_secs(86_400))));
        assert_eq!(config.chain_every, Every(Some(Duration::from_secs(60))));
    }

    #[test]
    fn what_is_done_beside_serving_can_be_switched_off() {
        for off in ["off", "0"] {
            let argument = format!("--verify-every={off}");
            let config = Config::try_parse_from(["billing-svc", &argument]).unwrap();
            assert_eq!(config.verify_every, Every(None));
        }
    }

    #[test]
    fn settings_out_of_bounds_are_refused() {
        for [name, value] in [
            ["--price-per-operation", "0"],
            ["--price-per-operation", "10.005"],
            ["--price-per-operation", "-1"],
            ["--free-operations-count", "10001"],
            ["--free-operations-count", "-1"],
            ["--hold-ttl", "25h"],
            ["--hold-ttl", "soon"],
            ["--billing-listen", "localhost"],
            ["--verify-every", "daily"],
            ["--chain-every", "-1m"],
        ] {
            let argument = format!("{name}={value}");
            assert!(Config::try_parse_from(["billing-svc", &argument]).is_err(), "{argument}");
        }
    }
}
