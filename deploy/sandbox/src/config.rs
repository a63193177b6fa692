//! The sandbox's settings, read once.

use std::net::SocketAddr;
use std::path::PathBuf;

use proto::service::config::CommonConfig;

/// A token of Telegram's shape; only the sandbox knows it.
const BOT_TOKEN: &str = "4242424242:AAsandboxsandboxsandboxsandboxsandb";
const FAL_KEY: &str = "00000000-0000-4000-8000-000000000000:sandboxsandboxsandboxsandboxsand";

/// Read from the command line and the environment; `--help` lists them all.
#[derive(Clone, Debug, clap::Parser)]
#[command(
    name = "sandbox",
    about = "Media Lab on this machine: the four services, Telegram, YooKassa and fal.ai"
)]
pub struct Config {
    /// Where the pages and the emulators listen. Loopback only.
    #[arg(long, env, default_value = "127.0.0.1:8090")]
    pub sandbox_listen: SocketAddr,

    /// The same over HTTPS; its CA is `ca.pem` in the data folder. Loopback only.
    #[arg(long, env, default_value = "127.0.0.1:8490")]
    pub sandbox_tls_listen: SocketAddr,

    /// The folder of everything that outlives a run.
    #[arg(long, env, default_value = ".sandbox")]
    pub sandbox_data: PathBuf,

    /// Where YooKassa's notifications are sent.
    #[arg(long, env, default_value = "http://127.0.0.1:8080/yookassa/webhook")]
    pub sandbox_webhook_url: String,

    /// Token of the one bot that the sandbox's Telegram knows.
    #[arg(long, env, default_value = BOT_TOKEN, hide_env_values = true)]
    pub sandbox_bot_token: String,

    /// The shop that the sandbox's `YooKassa` knows.
    #[arg(long, env, default_value = "100500")]
    pub sandbox_shop_id: String,

    /// The shop's secret key.
    #[arg(long, env, default_value = "test_sandbox", hide_env_values = true)]
    pub sandbox_secret_key: String,

    /// Keys that the sandbox's fal.ai accepts; several with commas between.
    #[arg(long, env, default_value = FAL_KEY, value_delimiter = ',', hide_env_values = true)]
    pub sandbox_fal_keys: Vec<String>,

    /// Start no services: only the pages and the emulators.
    #[arg(long)]
    pub emulators_only: bool,

    /// The shop requires receipts (54-FZ), and payment-gateway sends them.
    #[arg(long)]
    pub receipts: bool,

    /// Forget what earlier runs left in the data folder.
    #[arg(long)]
    pub fresh: bool,

    #[command(flatten)]
    pub common: CommonConfig,
}
