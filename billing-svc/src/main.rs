//! The process: settings, logs, serve.

use std::process::ExitCode;

use billing_svc::config::{Command, Config};
use billing_svc::process;
use proto::service::{config, telemetry};

#[tokio::main]
async fn main() -> ExitCode {
    config::load_dotenv();
    let config: Config = config::parse();
    telemetry::init(&config.common);
    let ended = match config.command {
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
