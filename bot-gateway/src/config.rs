//! Every setting of the bot, read once.

use std::net::SocketAddr;
use std::str::FromStr;

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

    /// Telegram ids of the operators, separated by commas; /admin shows them what they can do.
    #[arg(long, env, default_value = "")]
    pub bot_admin_ids: Admins,

    /// Free operations that both get when somebody who was invited has paid in 100 roubles or more at
    /// once for the first time; 0 for none, at most 100.
    #[arg(long, env, default_value_t = 3, value_parser = clap::value_parser!(i64).range(0..=100))]
    pub bot_referral_free_operations: i64,

    /// Whom /paysupport names: @name, or an e-mail address. Unset: whom the bot's profile names.
    #[arg(long, env)]
    pub bot_support: Option<String>,

    /// What every service has.
    #[command(flatten)]
    pub common: CommonConfig,
}

/// Who may do what operators do. May be nobody.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Admins(Vec<i64>);

impl Admins {
    /// Whether a person is one of them.
    pub fn contains(&self, user_id: i64) -> bool {
        self.0.contains(&user_id)
    }
}

/// A text that is not a list of people.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a Telegram id: a number such as 123456789")]
pub struct BadAdmin(String);

impl FromStr for Admins {
    type Err = BadAdmin;

    fn from_str(text: &str) -> Result<Self, BadAdmin> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let id = |part: &str| {
            let id = part.parse().ok().filter(|id| *id > 0);
            id.ok_or_else(|| BadAdmin(part.to_owned()))
        };
        parts.map(id).collect::<Result<_, _>>().map(Self)
    }
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
    fn operators_are_named_by_their_ids() {
        let admins: Admins = "7, 8".parse().unwrap();
        assert!(admins.contains(7) && admins.contains(8) && !admins.contains(9));
        assert_eq!("".parse::<Admins>().unwrap(), Admins::default());
        for wrong in ["@name", "0", "-7", "7;8"] {
            assert!(wrong.parse::<Admins>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_token_that_cannot_be_one_is_refused() {
        assert!(token("4242424242:AAsandboxsandboxsandboxsandboxsand1").is_ok());
        for wrong in ["", " ", "4242:with space", "4242:a/b", "4242:line\n"] {
            assert!(token(wrong).is_err(), "{wrong:?}");
        }
    }
}
