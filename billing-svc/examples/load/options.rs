//! What is to be measured, and how long.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};

/// The load generator and benchmark of billing-svc. Starts everything that it measures, on
/// 127.0.0.1, and stops it at the end.
#[derive(Clone, Debug, Parser)]
#[command(name = "load")]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(crate) role: Option<Role>,

    /// How often everything is measured, in turn; figures are medians over the rounds.
    #[arg(long, default_value_t = 5)]
    pub(crate) rounds: usize,

    /// How long each measurement takes.
    #[arg(long, default_value_t = 3.0)]
    pub(crate) seconds: f64,

    /// How long work goes on before each measurement begins.
    #[arg(long, default_value_t = 0.5)]
    pub(crate) warm_up_seconds: f64,

    /// Users in the store: half with money, half with free operations.
    #[arg(long, default_value_t = 100_000)]
    pub(crate) users: i64,

    /// Measure only these; all by default.
    #[arg(long, value_delimiter = ',')]
    pub(crate) only: Vec<Kind>,

    /// Measure only these engines; both by default.
    #[arg(long, value_delimiter = ',')]
    pub(crate) engine: Vec<Engine>,

    /// Measure only with so many callers (those kinds that are measured with several numbers).
    #[arg(long, value_delimiter = ',')]
    pub(crate) callers: Vec<usize>,

    /// Connections of the client, over which its calls are spread.
    #[arg(long, default_value_t = 4)]
    pub(crate) connections: usize,

    /// Pairs a second that are offered by `paced`.
    #[arg(long, default_value_t = 1_000)]
    pub(crate) offered: u32,

    /// Operations stored before `large` is measured, made by SQL; 0: `large` is left out.
    #[arg(long, default_value_t = 0)]
    pub(crate) large_operations: i64,

    /// Users of the large store.
    #[arg(long, default_value_t = 2_000_000)]
    pub(crate) large_users: i64,

    /// Where databases lie while they are measured; the system's temporary folder by default.
    #[arg(long)]
    pub(crate) folder: Option<PathBuf>,

    /// Where the service's log goes; thrown away by default, after it was formatted.
    #[arg(long)]
    pub(crate) log: Option<PathBuf>,

    /// A PostgreSQL that runs already, with rights to make databases, instead of a fresh one.
    #[arg(long)]
    pub(crate) postgres_url: Option<String>,
}

impl Options {
    pub(crate) fn seconds(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }

    pub(crate) fn warm_up(&self) -> Duration {
        Duration::from_secs_f64(self.warm_up_seconds)
    }

    pub(crate) fn wants_kind(&self, kind: Kind) -> bool {
        self.only.is_empty() || self.only.contains(&kind)
    }

    pub(crate) fn wants_engine(&self, engine: Engine) -> bool {
        self.engine.is_empty() || self.engine.contains(&engine)
    }

    pub(crate) fn wants_callers(&self, callers: usize) -> bool {
        self.callers.is_empty() || self.callers.contains(&callers)
    }
}

/// What the benchmark starts itself as. The settings come from the environment, as the service's.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Subcommand)]
pub(crate) enum Role {
    /// The service as it is shipped.
    #[command(hide = true)]
    Serve,
    /// The yardstick: one transaction a request.
    #[command(hide = true)]
    Plain,
}

#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, ValueEnum)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

impl Engine {
    pub(crate) const ALL: [Self; 2] = [Self::Postgres, Self::Sqlite];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }
}

/// What is measured.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, ValueEnum)]
pub(crate) enum Kind {
    /// An RPC that writes nothing: `ListPrices` of the same service.
    Echo,
    /// Reserve and Commit, a call each.
    Unary,
    /// The same, a hundred in a call.
    Batch,
    /// Pairs for one user, by all callers.
    Hot,
    /// Reserve and Commit at a fixed rate, whatever the answers take.
    Paced,
    /// The ledger and the store without gRPC.
    Raw,
    /// The yardstick: a plain transaction for each request, over the same gRPC.
    Plain,
    /// The same, all callers on one user.
    PlainHot,
    /// The way of the seed: SQLAlchemy in threads, without a service.
    Seed,
    /// A store that was empty a moment ago.
    Fresh,
    /// A store that has grown large.
    Large,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Unary => "unary",
            Self::Batch => "batch",
            Self::Hot => "hot",
            Self::Paced => "paced",
            Self::Raw => "raw",
            Self::Plain => "plain",
            Self::PlainHot => "plain-hot",
            Self::Seed => "seed",
            Self::Fresh => "fresh",
            Self::Large => "large",
        }
    }
}
