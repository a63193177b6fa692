//! The sandbox: everything on one machine, with no account anywhere.

use std::time::Duration;

use anyhow::Context as _;
use proto::service::shutdown::Shutdown;
use proto::service::{config, telemetry};
use sandbox::config::Config;
use sandbox::document;
use sandbox::server::Server;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    rustls::crypto::ring::default_provider().install_default().ok();
    let config: Config = config::parse();
    telemetry::init(&config.common);
    let shutdown = Shutdown::on_signals().context("listen for signals")?;

    let mut server = Server::start(&config, &shutdown).await?;
    announce(&server);
    server.ended().await?;
    // What changed last is written by then.
    tokio::time::sleep(document::WRITE_EVERY + Duration::from_millis(100)).await;
    Ok(())
}

#[expect(clippy::print_stdout, reason = "this line is for whoever started the sandbox")]
fn announce(server: &Server) {
    println!("sandbox: listening on http://{} and https://{}", server.http, server.https);
}
