//! The process: settings, logs, signals, listeners, serve; or one command of an operator.

use std::io;
use std::process::ExitCode;

use payment_gateway::config::{Command, Config, ReconcileOptions, RefundOptions};
use payment_gateway::operator::comparison::reconcile;
use payment_gateway::server::{self, Core, Listeners};
use proto::service::config;
use proto::service::shutdown::Shutdown;
use proto::service::telemetry;

#[tokio::main]
async fn main() -> ExitCode {
    rustls::crypto::ring::default_provider().install_default().ok();
    config::load_dotenv();
    let settings: Config = config::parse();
    if let Err(wrong) = settings.receipts.receipts() {
        config::refuse(wrong.variable, wrong.problem);
    }
    telemetry::init(&settings.common);
    match settings.command.clone() {
        None => match serve(settings).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                // One line, with every cause in it.
                tracing::error!("cannot go on: {error:#}");
                ExitCode::FAILURE
            }
        },
        Some(Command::Refund(order)) => refund(&settings, &order).await,
        Some(Command::Reconcile(days)) => compare(&settings, &days).await,
    }
}

async fn serve(settings: Config) -> anyhow::Result<()> {
    let shutdown = Shutdown::on_signals()?;
    let listeners = Listeners::open(&settings)
        .await
        .unwrap_or_else(|error| config::refuse("payment-gateway", format_args!("{error:#}")));
    server::serve(settings, listeners, shutdown).await
}

/// What a command works with: it calls billing as the service does.
fn core(settings: &Config) -> anyhow::Result<Core> {
    let identity = settings.common.tls.identity()?;
    Core::new(settings, identity.as_ref())
}

/// Whoever runs this has to tell "nothing went back" from "nobody knows yet".
async fn refund(settings: &Config, order: &RefundOptions) -> ExitCode {
    let core = match core(settings) {
        Ok(core) => core,
        Err(error) => return complain(format_args!("{error:#}"), 2),
    };
    match core.refunder().refund(order, &mut io::stdout()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is_certain() => complain(format_args!("{error}"), 1),
        Err(error) => complain(format_args!("{error}"), 2),
    }
}

/// Whoever runs this by a timer has to tell a difference from a side that is away.
async fn compare(settings: &Config, days: &ReconcileOptions) -> ExitCode {
    let core = match core(settings) {
        Ok(core) => core,
        Err(error) => return complain(format_args!("{error:#}"), 2),
    };
    match reconcile(&core.comparison(), days, &mut io::stdout()).await {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(1),
        Err(error) => complain(format_args!("cannot compare: {error}"), 2),
    }
}

#[expect(clippy::print_stderr, reason = "it is the answer to a person, and no event of a service")]
fn complain(problem: std::fmt::Arguments<'_>, code: u8) -> ExitCode {
    eprintln!("payment-gateway: {problem}");
    ExitCode::from(code)
}
