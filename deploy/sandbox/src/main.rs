//! The sandbox: everything on one machine, with no account anywhere.

use std::process::ExitCode;

use anyhow::Context as _;
use proto::service::shutdown::Shutdown;
use proto::service::{config, telemetry};
use sandbox::config::Config;
use sandbox::launch;
use sandbox::server::Server;
use sandbox::settings::Settings;

#[tokio::main]
#[expect(clippy::print_stderr, reason = "the last line is for whoever started the sandbox")]
async fn main() -> ExitCode {
    match sandbox_until_end().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sandbox: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn sandbox_until_end() -> anyhow::Result<()> {
    rustls::crypto::ring::default_provider().install_default().ok();
    let config: Config = config::parse();
    telemetry::init(&config.common);
    let asked_to_end = Shutdown::on_signals().context("listen for signals")?;

    // The emulators end last: services that are stopping still talk to them.
    let emulators_end = Shutdown::new();
    let mut server = Server::start(&config, &emulators_end).await?;
    announce(&server);
    let settings = server.settings.clone();
    let lived = tokio::select! {
        ended = server.ended() => ended,
        lived = live(&config, &settings, &asked_to_end) => lived,
    };
    emulators_end.request();
    server.ended().await?;
    server.save()?;
    lived
}

async fn live(config: &Config, settings: &Settings, asked_to_end: &Shutdown) -> anyhow::Result<()> {
    if config.emulators_only {
        asked_to_end.requested().await;
        return Ok(());
    }
    launch::run(config, settings, asked_to_end).await
}

#[expect(clippy::print_stdout, reason = "this line is for whoever started the sandbox")]
fn announce(server: &Server) {
    println!("sandbox: listening on http://{} and https://{}", server.http, server.https);
}
