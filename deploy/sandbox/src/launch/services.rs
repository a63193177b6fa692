//! The four services: their addresses and the whole environment each gets.
//!
//! Invariant: a service sees what stands here and nothing else, so no real token can reach it. An
//! empty `.env` in its folder keeps it from looking for one further up.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use anyhow::{Context as _, bail};
use url::{Host, Url};

use crate::config::Config;
use crate::settings::Settings;

/// Names that a process may need of the machine; none of them is a setting of ours.
const INHERITED: [&str; 7] =
    ["PATH", "HOME", "TMPDIR", "TZ", "LANG", "RUST_BACKTRACE", "LLVM_PROFILE_FILE"];

/// A service that is to be started.
#[derive(Clone, Debug)]
pub(super) struct Service {
    /// The binary.
    pub(super) name: &'static str,
    /// How its lines are marked.
    pub(super) label: &'static str,
    /// Where it says whether it is ready.
    pub(super) admin: SocketAddr,
    /// Addresses that must be free, with the variables that name them.
    pub(super) listens: Vec<(&'static str, SocketAddr)>,
    pub(super) environment: Vec<(String, String)>,
}

/// What a Star is worth here, in kopecks.
const STARS_RATE: &str = "150";
/// The first user of the chat page may do what operators do.
const OPERATOR: &str = "1001";

const fn local(port: u16) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

const BILLING: SocketAddr = local(50051);
const PAYMENTS: SocketAddr = local(50052);
const MEDIA: SocketAddr = local(50053);
const MEDIA_HTTP: SocketAddr = local(8081);

/// All four, in the order in which they are started.
pub(super) fn all(config: &Config, settings: &Settings) -> anyhow::Result<Vec<Service>> {
    let base = &settings.base_url;
    let http = |address: SocketAddr| format!("http://{address}");
    let sqlite = |file: &str| format!("sqlite://{}", settings.data.join(file).display());
    let webhook = webhook_address(&settings.webhook_url)?;
    Ok(vec![
        service(config, "billing-svc", "billing", "BILLING_ADMIN_LISTEN", local(9101))
            .listens("BILLING_LISTEN", BILLING)
            .told("DATABASE_URL", sqlite("billing.db")),
        service(config, "payment-gateway", "payment", "PAYMENTS_ADMIN_LISTEN", local(9102))
            .listens("PAYMENTS_LISTEN", PAYMENTS)
            .listens("PAYMENTS_HTTP_LISTEN", webhook)
            .told("BILLING_URL", http(BILLING))
            .told("YOOKASSA_SHOP_ID", settings.shop_id.clone())
            .told("YOOKASSA_SECRET_KEY", settings.secret_key.clone())
            .told("YOOKASSA_RETURN_URL", format!("{base}/"))
            .told("PAYMENTS_PUBLIC_URL", http(webhook))
            .told("YOOKASSA_API_URL", format!("{base}/yookassa/v3"))
            .told("RECEIPTS", if config.receipts { "on" } else { "off" }.to_owned())
            .told("RECEIPT_VAT_CODE", "1".to_owned())
            // Here the notifications come from this machine.
            .told("YOOKASSA_TRUSTED_NETWORKS", "127.0.0.0/8,::1/128".to_owned())
            .told("STARS_RATE", STARS_RATE.to_owned()),
        service(config, "media-worker", "worker", "MEDIA_ADMIN_LISTEN", local(9103))
            .listens("MEDIA_LISTEN", MEDIA)
            .listens("MEDIA_HTTP_LISTEN", MEDIA_HTTP)
            .told("FAL_WEBHOOK_URL", http(MEDIA_HTTP))
            .told("FAL_JWKS_URL", format!("{base}/fal/.well-known/jwks.json"))
            .told("BILLING_URL", http(BILLING))
            .told("MEDIA_DATABASE_URL", sqlite("jobs.db"))
            .told(
                "MEDIA_RESULTS_URL",
                format!("file://{}", settings.data.join("results").display()),
            )
            .told("FAL_KEY", settings.fal_keys.join(","))
            .told("FAL_QUEUE_URL", format!("{base}/fal"))
            .told("FAL_REST_URL", format!("{base}/fal"))
            .told("FAL_API_URL", format!("{base}/fal/v1")),
        service(config, "bot-gateway", "bot", "BOT_ADMIN_LISTEN", local(9104))
            .told("BILLING_URL", http(BILLING))
            .told("PAYMENTS_URL", http(PAYMENTS))
            .told("MEDIA_URL", http(MEDIA))
            .told("TELEGRAM_BOT_TOKEN", settings.bot_token.clone())
            .told("TELEGRAM_API_URL", format!("{base}/telegram"))
            .told("BOT_DATABASE_URL", sqlite("bot.db"))
            .told("BOT_ADMIN_IDS", OPERATOR.to_owned()),
    ])
}

fn service(
    config: &Config,
    name: &'static str,
    label: &'static str,
    admin_variable: &'static str,
    admin: SocketAddr,
) -> Service {
    let inherited = std::env::vars().filter(|(name, _)| INHERITED.contains(&name.as_str()));
    let service =
        Service { name, label, admin, listens: Vec::new(), environment: inherited.collect() };
    service
        .listens(admin_variable, admin)
        .told("RUST_LOG", config.common.rust_log.clone())
        .told("LOG_FORMAT", "text".to_owned())
}

impl Service {
    fn listens(mut self, variable: &'static str, address: SocketAddr) -> Self {
        self.listens.push((variable, address));
        self.told(variable, address.to_string())
    }

    fn told(mut self, variable: &str, value: String) -> Self {
        self.environment.push((variable.to_owned(), value));
        self
    }
}

/// Where payment-gateway has to listen, so that notifications reach it.
fn webhook_address(url: &str) -> anyhow::Result<SocketAddr> {
    let parsed = Url::parse(url).with_context(|| format!("SANDBOX_WEBHOOK_URL: {url:?}"))?;
    let port = parsed.port_or_known_default();
    let address = match (parsed.host(), port) {
        (Some(Host::Ipv4(ip)), Some(port)) => SocketAddr::from((ip, port)),
        (Some(Host::Ipv6(ip)), Some(port)) => SocketAddr::from((ip, port)),
        (Some(Host::Domain("localhost")), Some(port)) => local(port),
        _ => bail!("SANDBOX_WEBHOOK_URL: {url:?} is not an address of this machine"),
    };
    if parsed.scheme() != "http" || !address.ip().is_loopback() {
        bail!(
            "SANDBOX_WEBHOOK_URL: payment-gateway serves plain HTTP on this machine, and {url:?} \
             leads elsewhere; use http://127.0.0.1:8080/yookassa/webhook, or --emulators-only"
        );
    }
    Ok(address)
}

/// Makes sure that nobody else uses an address that a service needs.
pub(super) async fn check_free(services: &[Service]) -> anyhow::Result<()> {
    for service in services {
        for (variable, address) in &service.listens {
            // Opened and closed again: the service opens it for itself a moment later.
            tokio::net::TcpListener::bind(address).await.with_context(|| {
                format!(
                    "{variable}: {address}, which {} needs, is taken; end what listens there \
                     (another sandbox?)",
                    service.name
                )
            })?;
        }
    }
    Ok(())
}

/// Keeps a service from finding a `.env` in a folder above its own.
pub(super) fn shield(folder: &Path) -> anyhow::Result<()> {
    let path = folder.join(".env");
    std::fs::write(&path, "# Empty on purpose: the sandbox's services read no other .env.\n")
        .with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, expected: Option<&str>) {
        let found = webhook_address(url).ok().map(|address| address.to_string());
        assert_eq!(found.as_deref(), expected, "{url}");
    }

    #[test]
    fn payment_gateway_listens_where_notifications_are_sent() {
        check("http://127.0.0.1:8080/yookassa/webhook", Some("127.0.0.1:8080"));
        check("http://localhost:9000/yookassa/webhook", Some("127.0.0.1:9000"));
        check("http://[::1]:9000/yookassa/webhook", Some("[::1]:9000"));
        check("https://127.0.0.1:8080/yookassa/webhook", None);
        check("http://example.com/yookassa/webhook", None);
        check("webhook", None);
    }
}
