//! The process: settings, logs, serve.

use std::process::ExitCode;

use billing_svc::config::{Command, Config, VerifyOptions};
use billing_svc::process;
use billing_svc::report::Verdict;
use proto::service::{config, telemetry};

#[tokio::main]
async fn main() -> ExitCode {
    config::load_dotenv();
    let config: Config = config::parse();
    telemetry::init(&config.common);
    let ended = match config.command {
        Some(Command::Verify(ref options)) => return verify(&config, options).await,
        Some(Command::Migrate) => process::migrate(&config).await,
        None => process::serve(config).await,
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One line, with every cause in it.
            tracing::error!("cannot go on: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whoever runs this by a timer has to tell a finding from a database that is away.
async fn verify(config: &Config, options: &VerifyOptions) -> ExitCode {
    match process::verify(config, options).await {
        Ok(Verdict::Clean) => ExitCode::SUCCESS,
        Ok(Verdict::Findings(_)) => ExitCode::from(1),
        Err(error) => {
            tracing::error!("cannot verify: {error:#}");
            ExitCode::from(2)
        }
    }
}
