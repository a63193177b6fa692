//! The load generator and benchmark of billing-svc:
//! `cargo run --release -p billing-svc --example load`, with `-- --help` for what it can do.
//!
//! Read [`options`] for what is measured, [`start`] for what is started for it, [`bench`] for how
//! each thing is measured, [`callers`] for the load itself, and [`table`] for what is printed.
//! Only ratios of what was measured in one run mean anything: they were measured in turn, on the
//! same machine, in the same minutes.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::float_arithmetic,
    reason = "figures for people, on their terminal"
)]
#![allow(unreachable_pub, missing_debug_implementations, reason = "a program, not a library")]

mod options;
mod start;
mod bench;
mod callers;
mod pairs;
mod users;
mod world;
mod postgres;
mod plain;
mod plain_store;
mod seed;
mod fresh;
mod large;
mod proc;
mod proof;
mod table;

use anyhow::Context as _;
use billing_svc::config::Config;
use billing_svc::process;
use clap::Parser as _;
use options::{Kind, Options, Role};
use proto::service::telemetry;
use tokio::signal::unix::{SignalKind, signal};

use crate::bench::Bench;
use crate::table::Rounds;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    match options.role {
        Some(Role::Serve) => {
            let config = Config::try_parse_from(["load"])?;
            telemetry::init(&config.common);
            process::serve(config).await
        }
        Some(Role::Plain) => plain::serve().await,
        None => tokio::select! {
            done = benchmark(options) => done,
            // What was started is stopped when it is dropped.
            () = broken_off() => anyhow::bail!("broken off"),
        },
    }
}

/// Waits until somebody has had enough.
async fn broken_off() {
    let mut terminate = signal(SignalKind::terminate()).expect("signals can be listened for");
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

async fn benchmark(options: Options) -> anyhow::Result<()> {
    let folder = match &options.folder {
        Some(folder) => tempfile::tempdir_in(folder),
        None => tempfile::tempdir(),
    };
    let folder = folder.context("make a folder for databases")?;
    let order = Bench::scenarios(&options);
    eprintln!("starting and filling databases, {} users each", options.users);
    let mut bench = Bench::start(&options, folder.path(), &order).await?;
    let mut rounds = Rounds::new();
    for round in 1..=options.rounds {
        eprintln!("round {round} of {}", options.rounds);
        for &scenario in &order {
            let figures = bench.measure(scenario).await?;
            eprintln!(
                "  {} {} {}: {:.0} pairs/s",
                scenario.kind.name(),
                scenario.engine.name(),
                scenario.callers,
                figures.pairs_per_second
            );
            rounds.entry(scenario).or_default().push(figures);
        }
    }
    let wants_fresh =
        options.wants_kind(Kind::Fresh) && options.wants_engine(options::Engine::Postgres);
    let fresh = if wants_fresh { Some(bench.fresh().await?) } else { None };
    let errors: u32 = rounds.values().flatten().map(|figures| figures.errors).sum();
    table::print(&order, &rounds);
    table::print_ratios(&rounds, fresh.as_ref());
    println!();
    let mut is_right = true;
    for (store, findings) in bench.prove().await? {
        println!("books of {store}: {findings} findings");
        is_right &= findings == 0;
    }
    anyhow::ensure!(is_right, "the books do not add up");
    anyhow::ensure!(errors == 0, "{errors} calls have failed");
    Ok(())
}
