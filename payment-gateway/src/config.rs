//! Every setting, read once.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;
use proto::service::config::CommonConfig;
use proto::service::config::duration;
use secrecy::SecretString;
use time::Date;
use time::macros::format_description;
use url::Url;

use crate::ids::{TopUpId, UserId};
use crate::money::Kopecks;
use crate::receipt_settings::ReceiptSettings;
use crate::stars::terms::Rate;

/// The addresses that notifications come from, as YooKassa publishes them.
const PUBLISHED_NETWORKS: &str = "185.71.76.0/27,185.71.77.0/27,77.75.153.0/25,77.75.154.128/25,\
                                  77.75.156.11/32,77.75.156.35/32,2a02:5180::/32";
/// YooKassa's limit, in characters.
const RETURN_URL_LENGTH_MAX: usize = 2048;

/// Turns payments at YooKassa into credit at billing-svc. Without a command it serves.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "payment-gateway", version)]
pub struct Config {
    /// What to do instead of serving.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// Where billing-svc is.
    #[arg(long, env, default_value = "http://127.0.0.1:50051", value_parser = grpc_url)]
    pub billing_url: String,

    /// Where gRPC is served.
    #[arg(long, env, default_value = "127.0.0.1:50052")]
    pub payments_listen: SocketAddr,

    /// Where YooKassa's notifications come in.
    #[arg(long, env, default_value = "127.0.0.1:8080")]
    pub payments_http_listen: SocketAddr,

    /// Where `/livez`, `/readyz` and `/metrics` are.
    #[arg(long, env, default_value = "127.0.0.1:9102")]
    pub payments_admin_listen: SocketAddr,

    /// The shop's id, from YooKassa's merchant profile.
    #[arg(long, env, value_parser = shop_id)]
    pub yookassa_shop_id: String,

    /// The shop's secret key, from YooKassa's merchant profile.
    #[arg(long, env, hide_env_values = true, value_parser = secret)]
    pub yookassa_secret_key: SecretString,

    /// Where the user goes after paying: the bot, for example.
    #[arg(long, env, value_parser = return_url)]
    pub yookassa_return_url: Url,

    /// Where users' browsers reach `PAYMENTS_HTTP_LISTEN`, such as `https://pay.example.com`. With
    /// it, the user sees our own page first, which says what became of the payment and leads on to
    /// `YOOKASSA_RETURN_URL`.
    #[arg(long, env, value_parser = web_url)]
    pub payments_public_url: Option<Url>,

    /// The shop's currency.
    #[arg(long, env, default_value = "RUB", value_parser = currency)]
    pub yookassa_currency: String,

    /// Where YooKassa's API is.
    #[arg(long, env, default_value = "https://api.yookassa.ru/v3", value_parser = web_url)]
    pub yookassa_api_url: Url,

    /// Networks that notifications are accepted from, separated by commas.
    #[arg(long, env, default_value = PUBLISHED_NETWORKS, value_parser = some_networks)]
    pub yookassa_trusted_networks: Networks,

    /// Networks of our own proxies, separated by commas: only their X-Forwarded-For is believed.
    #[arg(long, env, default_value = "")]
    pub trusted_proxies: Networks,

    /// What a Telegram Star is worth, in kopecks. Unset: no Stars are taken.
    #[arg(long, env)]
    pub stars_rate: Option<Rate>,

    /// How many notifications a second are accepted from one address; ten seconds' worth may come
    /// at once. What comes beyond is answered 429, and sent again.
    #[arg(long, env, default_value = "200")]
    pub webhook_requests_per_second_max: NonZeroU32,

    /// How often open top-ups are looked through for payments whose notification never came. A
    /// top-up is first looked at when it is this old, and less and less often afterwards.
    #[arg(long, env, default_value = "15s", value_parser = duration)]
    pub reconcile_every: Duration,

    /// How often the payments and refunds of the last three days are compared with billing's. The
    /// first time is two minutes after the start.
    #[arg(long, env, default_value = "24h", value_parser = duration)]
    pub compare_every: Duration,

    /// Receipts (54-FZ).
    #[command(flatten)]
    pub receipts: ReceiptSettings,

    /// What every service has.
    #[command(flatten)]
    pub common: CommonConfig,
}

/// What to do instead of serving. Both read the same settings.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Command {
    /// Refund a top-up at YooKassa and take it back from the balance, and end: with 0 if that
    /// happened, 1 if no money went back, 2 if that is not known yet: repeat the same command then.
    Refund(RefundOptions),
    /// Print what differs between YooKassa and billing, and end: with 0 if nothing does, 1 if
    /// something does, 2 if it could not look.
    Reconcile(ReconcileOptions),
}

/// What is refunded, why, and who says so.
#[derive(Clone, Debug, clap::Args)]
pub struct RefundOptions {
    /// The user, by Telegram id.
    #[arg(long)]
    pub user: UserId,

    /// The top-up, as billing names it.
    #[arg(long)]
    pub top_up: TopUpId,

    /// How much, in roubles, such as `40` or `40.50`; all that is left unless said.
    #[arg(long, value_parser = Kopecks::from_roubles)]
    pub amount: Option<Kopecks>,

    /// Who decided it.
    #[arg(long, value_parser = actor)]
    pub actor: String,

    /// Why, for the merchant profile.
    #[arg(long, value_parser = reason)]
    pub reason: String,

    /// Tells several refunds of one top-up apart. The same key is the same refund, however often
    /// the command is repeated.
    #[arg(long, default_value = "1", value_parser = refund_key)]
    pub key: String,

    /// How long to wait for YooKassa and the bank, at most an hour.
    #[arg(long, default_value = "2m", value_parser = wait)]
    pub wait: Duration,

    /// Only say what would be refunded.
    #[arg(long)]
    pub dry_run: bool,
}

/// Which days are compared.
#[derive(Clone, Debug, clap::Args)]
pub struct ReconcileOptions {
    /// The first day, UTC, such as 2026-07-01.
    #[arg(long, value_parser = day)]
    pub from: Date,

    /// The last day, UTC; it may be today.
    #[arg(long, value_parser = day)]
    pub to: Date,
}

/// A list of networks. May be empty.
#[derive(Clone, Debug, Default)]
pub struct Networks(Vec<IpNet>);

impl Networks {
    /// Whether an address is in one of them. An IPv4 address that comes as IPv6 counts as IPv4.
    pub fn contain(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// A text that is not a list of networks.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a network such as 185.71.76.0/27 or 2a02:5180::/32, nor an address")]
pub struct BadNetwork(String);

impl FromStr for Networks {
    type Err = BadNetwork;

    fn from_str(text: &str) -> Result<Self, BadNetwork> {
        let network = |part: &str| {
            let lone = || part.parse::<IpAddr>().map(|ip| IpNet::from(ip.to_canonical()));
            part.parse::<IpNet>().or_else(|_| lone()).map_err(|_| BadNetwork(part.to_owned()))
        };
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts.map(network).collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<String> = self.0.iter().map(IpNet::to_string).collect();
        f.write_str(&texts.join(","))
    }
}

fn some_networks(text: &str) -> Result<Networks, String> {
    let networks: Networks = text.parse().map_err(|error: BadNetwork| error.to_string())?;
    if networks.0.is_empty() {
        return Err("an empty list would refuse every notification; leave it unset for the \
                    published networks"
            .to_owned());
    }
    Ok(networks)
}

fn shop_id(text: &str) -> Result<String, String> {
    // A colon would end the user's name in Basic authentication.
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && b != b':') {
        Ok(text.to_owned())
    } else {
        Err("expected the shop's id, as the merchant profile shows it".to_owned())
    }
}

/// The value is in no message: it is a secret even when it is wrong.
fn secret(text: &str) -> Result<SecretString, String> {
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic()) {
        Ok(text.to_owned().into())
    } else {
        Err("expected the shop's secret key: printable characters, no spaces".to_owned())
    }
}

fn grpc_url(text: &str) -> Result<String, String> {
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "https" | "http") && url.has_host() => {
            Ok(text.to_owned())
        }
        _ => Err("expected an address such as http://127.0.0.1:50051".to_owned()),
    }
}

fn web_url(text: &str) -> Result<Url, String> {
    let expected = || "expected an address that begins with https:// or http://".to_owned();
    let url = Url::parse(text).map_err(|_| expected())?;
    let has_extras = url.query().is_some() || url.fragment().is_some();
    if matches!(url.scheme(), "https" | "http") && !has_extras { Ok(url) } else { Err(expected()) }
}

fn return_url(text: &str) -> Result<Url, String> {
    if text.chars().count() > RETURN_URL_LENGTH_MAX {
        return Err(format!("longer than {RETURN_URL_LENGTH_MAX} characters"));
    }
    let expected = || "expected an address that begins with https:// or http://".to_owned();
    let url = Url::parse(text).map_err(|_| expected())?;
    if matches!(url.scheme(), "https" | "http") { Ok(url) } else { Err(expected()) }
}

fn currency(text: &str) -> Result<String, String> {
    if text == "RUB" {
        Ok(text.to_owned())
    } else {
        Err("only RUB: balances are in roubles, and there is no rate to another currency"
            .to_owned())
    }
}

/// How long a command waits: far less than YooKassa remembers a key for.
const WAIT_MAX: Duration = Duration::from_secs(3600);

fn wait(text: &str) -> Result<Duration, String> {
    let wait = duration(text)?;
    if wait > WAIT_MAX { Err("at most an hour".to_owned()) } else { Ok(wait) }
}

/// YooKassa takes a description of 250 characters.
fn reason(text: &str) -> Result<String, String> {
    line(text, 250)
}

fn actor(text: &str) -> Result<String, String> {
    line(text, 128)
}

fn line(text: &str, length_max: usize) -> Result<String, String> {
    let fits = text.chars().count() <= length_max && !text.chars().any(char::is_control);
    if fits && !text.trim().is_empty() {
        Ok(text.to_owned())
    } else {
        Err(format!("expected one line of 1 to {length_max} characters"))
    }
}

fn refund_key(text: &str) -> Result<String, String> {
    if (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()) {
        Ok(text.to_owned())
    } else {
        Err("expected 1 to 128 printable ASCII characters, no spaces".to_owned())
    }
}

fn day(text: &str) -> Result<Date, String> {
    Date::parse(text, format_description!("[year]-[month]-[day]"))
        .map_err(|_| "expected a day such as 2026-07-01".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    const NEEDED: [&str; 4] = [
        "payment-gateway",
        "--yookassa-shop-id=100500",
        "--yookassa-secret-key=test_key",
        "--yookassa-return-url=https://t.me/example_bot",
    ];

    fn with(more: &str) -> Result<Config, String> {
        let all = NEEDED.iter().copied().chain([more]);
        Config::try_parse_from(all).map_err(|error| error.to_string())
    }

    #[test]
    fn the_published_networks_are_the_default() {
        let networks = with("--trusted-proxies=").unwrap().yookassa_trusted_networks;

        for inside in [
            "185.71.76.0",
            "185.71.76.31",
            "77.75.153.127",
            "77.75.154.128",
            "77.75.156.11",
            "::ffff:185.71.77.1",
            "2a02:5180:0:1509::1",
        ] {
            assert!(networks.contain(inside.parse().unwrap()), "{inside}");
        }
        for outside in [
            "185.71.76.32",
            "77.75.153.128",
            "77.75.154.127",
            "77.75.156.12",
            "127.0.0.1",
            "::1",
            "2a02:5181::1",
        ] {
            assert!(!networks.contain(outside.parse().unwrap()), "{outside}");
        }
    }

    #[test]
    fn a_wrong_setting_is_refused_without_its_secret() {
        for wrong in [
            "--yookassa-trusted-networks=",
            "--yookassa-trusted-networks=10.0.0.0/33",
            "--trusted-proxies=all",
            "--yookassa-currency=USD",
            "--yookassa-api-url=api.yookassa.ru",
            "--reconcile-every=0s",
            "--compare-every=never",
            "--webhook-requests-per-second-max=0",
            "--payments-public-url=pay.example.com",
            "--payments-public-url=https://pay.example.com/?a=b",
        ] {
            assert!(with(wrong).is_err(), "{wrong}");
        }
        assert!(shop_id("100500:x").is_err());
        assert!(return_url("t.me/example_bot").is_err());
        assert!(!secret("s3cret key").unwrap_err().contains("s3cret"));
    }

    #[test]
    fn an_order_that_cannot_be_carried_out_is_refused() {
        const TOP_UP: &str = "018e5f0a-1b2c-7d4e-9f0a-1b2c3d4e5f6a";
        let refund = |words: &[&str]| {
            let order = ["refund", "--user=77", "--top-up", TOP_UP, "--actor=anna"];
            let all = NEEDED.iter().chain(&order).chain(words).copied();
            Config::try_parse_from(all).map_err(|error| error.to_string())
        };

        let read = refund(&["--reason=paid twice"]).unwrap().command;
        let Some(Command::Refund(order)) = read else { panic!("a refund was ordered") };
        assert_eq!((order.amount, order.key.as_str()), (None, "1"));
        for wrong in ["--reason=", "--reason=two\nlines"] {
            assert!(refund(&[wrong]).is_err(), "{wrong:?}");
        }
        for wrong in ["--amount=0", "--amount=1.005", "--amount=-1", "--key=two words", "--wait=2h"]
        {
            assert!(refund(&["--reason=paid twice", wrong]).is_err(), "{wrong:?}");
        }
        assert!(refund(&[]).unwrap_err().contains("--reason"));
    }

    #[test]
    fn the_key_is_not_shown() {
        assert!(!format!("{:?}", with("--trusted-proxies=").unwrap()).contains("test_key"));
    }
}
