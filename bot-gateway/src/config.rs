//! Every setting of the bot, read once.

use std::net::SocketAddr;

use proto::service::config::CommonConfig;
use secrecy::SecretString;
use url::Url;

/// Read from the environment; `--help` lists them all.
#[derive(Clone, Debug, clap::Parser)]
#[command(
    name = "bot-gateway",
    version,
    about = "Talks to Telegram; owns the conversation and no money"
)]
pub struct Config {
    /// Token of the bot, from @BotFather.
    #[arg(long, env, hide_env_values = true, value_parser = token)]
    pub telegram_bot_token: SecretString,

    /// Where Telegram's Bot API is; a path prefix is kept.
    #[arg(long, env, default_value = "https://api.telegram.org")]
    pub telegram_api_url: Url,

    /// Database of this service (`sqlite://…` or `postgres://…`). Nobody else reads or writes it.
    #[arg(long, env, default_value = "sqlite://media-lab-bot.db", hide_env_values = true)]
    pub bot_database_url: SecretString,

    /// Where probes and metrics are served.
    #[arg(long, env, default_value = "127.0.0.1:9104")]
    pub bot_admin_listen: SocketAddr,

    /// Where billing-svc is.
    #[arg(long, env, default_value = "http://127.0.0.1:50051")]
    pub billing_url: Url,

    /// Where payment-gateway is.
    #[arg(long, env, default_value = "http://127.0.0.1:50052")]
    pub payments_url: Url,

    /// Where media-worker is.
    #[arg(long, env, default_value = "http://127.0.0.1:50053")]
    pub media_url: Url,

    /// What every service has.
    #[command(flatten)]
    pub common: CommonConfig,
}

/// The value is in no message: it is a secret even when it is wrong.
fn token(text: &str) -> Result<SecretString, String> {
    // It becomes a part of each request's path.
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && b != b'/') {
        Ok(text.to_owned().into())
    } else {
        Err("expected a token such as @BotFather gives, without spaces".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_cannot_be_one_is_refused() {
        assert!(token("4242424242:AAsandboxsandboxsandboxsandboxsand1").is_ok());
        for wrong in ["", " ", "4242:with space", "4242:a/b", "4242:line\n"] {
            assert!(token(wrong).is_err(), "{wrong:?}");
        }
    }
}
