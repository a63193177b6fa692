//! Puts the emulators together and serves them on two addresses, plain and TLS.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Uri, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::serve::Listener;
use axum::{Extension, Json, Router};
use proto::service::listen;
use proto::service::shutdown::Shutdown;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tower::ServiceExt as _;

use crate::config::Config;
use crate::fal::Fal;
use crate::faults::Faults;
use crate::settings::{Scheme, Settings};
use crate::telegram::Telegram;
use crate::tls::{self, TlsListener};
use crate::yookassa::YooKassa;
use crate::{data, faults_api, pages};

/// Hosts of fal.ai, where paths have no prefix.
const FAL_HOSTS: [&str; 5] =
    ["queue.fal.run", "fal.run", "rest.fal.ai", "v3.fal.media", "api.fal.ai"];
/// Hosts whose paths lie below a prefix here.
const PREFIXED_HOSTS: [(&str, &str); 2] =
    [("api.telegram.org", "/telegram"), ("api.yookassa.ru", "/yookassa")];

/// A sandbox that serves.
#[derive(Debug)]
pub struct Server {
    /// The plain address.
    pub http: SocketAddr,
    /// The TLS address.
    pub https: SocketAddr,
    /// What the emulators know.
    pub settings: Arc<Settings>,
    emulators: Emulators,
    serving: JoinSet<std::io::Result<()>>,
}

#[derive(Debug)]
struct Emulators {
    telegram: Arc<Telegram>,
    yookassa: Arc<YooKassa>,
    fal: Arc<Fal>,
}

impl Server {
    /// Opens both addresses and serves until `shutdown`.
    ///
    /// # Errors
    /// When an address is taken or not of this machine, or the data folder cannot be used.
    pub async fn start(config: &Config, shutdown: &Shutdown) -> anyhow::Result<Self> {
        // Already installed by `main`; tests have no `main`.
        rustls::crypto::ring::default_provider().install_default().ok();
        let http = open("SANDBOX_LISTEN", config.sandbox_listen).await?;
        let https = open("SANDBOX_TLS_LISTEN", config.sandbox_tls_listen).await?;
        let folder = data::open(&config.sandbox_data, config.fresh)?;
        let http_address = http.local_addr().context("address of SANDBOX_LISTEN")?;
        let https_address = https.local_addr().context("address of SANDBOX_TLS_LISTEN")?;
        let settings = Arc::new(Settings {
            data: folder,
            base_url: format!("http://{http_address}"),
            bot_token: config.sandbox_bot_token.clone(),
            shop_id: config.sandbox_shop_id.clone(),
            secret_key: config.sandbox_secret_key.clone(),
            webhook_url: config.sandbox_webhook_url.clone(),
            fal_keys: config.sandbox_fal_keys.clone(),
        });
        let https = TlsListener::new(https, tls::server_config(&settings.data)?)?;

        let faults = Faults::default();
        let emulators = Emulators::open(&settings, &faults)?;
        if config.receipts || !config.emulators_only {
            // The services that are started here send them or do not, whatever an earlier run had.
            emulators.yookassa.set_receipts(config.receipts);
        }
        let routes = emulators.routes(faults);
        let mut serving = JoinSet::new();
        serving.spawn(serve(http, routes.plain, Scheme::Http, shutdown.clone()));
        serving.spawn(serve(https, routes.tls, Scheme::Https, shutdown.clone()));
        Ok(Self { http: http_address, https: https_address, settings, emulators, serving })
    }

    /// Waits until it no longer serves.
    ///
    /// # Errors
    /// When a listener fails.
    pub async fn ended(&mut self) -> anyhow::Result<()> {
        while let Some(ended) = self.serving.join_next().await {
            ended.context("the server panicked")?.context("serve HTTP")?;
        }
        Ok(())
    }

    /// Writes what changed last, for a clean end.
    ///
    /// # Errors
    /// When the data folder cannot be written to.
    pub fn save(&self) -> anyhow::Result<()> {
        self.emulators.telegram.save()?;
        self.emulators.yookassa.save()?;
        self.emulators.fal.save()
    }
}

async fn open(variable: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    if !address.ip().is_loopback() {
        bail!(
            "{variable}: {address} can be reached from other machines, and the sandbox lets \
             everyone in; use 127.0.0.1"
        );
    }
    listen::open(variable, address).await
}

struct Routes {
    plain: Router,
    tls: Router,
}

impl Emulators {
    fn open(settings: &Arc<Settings>, faults: &Faults) -> anyhow::Result<Self> {
        Ok(Self {
            telegram: Telegram::open(Arc::clone(settings), faults.clone())?,
            yookassa: YooKassa::open(Arc::clone(settings), faults.clone())?,
            fal: Fal::open(Arc::clone(settings), faults.clone())?,
        })
    }

    fn routes(&self, faults: Faults) -> Routes {
        let main = Router::new()
            .merge(pages::routes())
            .route("/_sandbox/health", get(|| async { Json(json!({"ok": true})) }))
            .merge(faults_api::routes(faults))
            .merge(self.telegram.routes())
            .merge(self.yookassa.routes())
            .merge(self.fal.routes());
        let fal = self.fal.root_routes();
        Routes {
            plain: by_host(main.clone(), fal.clone()),
            // fal.ai's own client cannot be given a path, so over TLS its paths are at the root
            // too.
            tls: by_host(main.fallback_service(fal.clone()), fal),
        }
    }
}

#[derive(Clone)]
struct Hosts {
    main: Router,
    fal: Router,
}

/// Sends a request where the host that it names leads.
fn by_host(main: Router, fal: Router) -> Router {
    Router::new().fallback(choose).with_state(Hosts { main, fal })
}

async fn choose(State(hosts): State<Hosts>, mut request: Request) -> Response {
    let host = host(&request).to_ascii_lowercase();
    let router = if FAL_HOSTS.contains(&host.as_str()) {
        hosts.fal
    } else {
        if let Some((_, prefix)) = PREFIXED_HOSTS.iter().find(|(name, _)| *name == host)
            && let Ok(uri) = below(prefix, request.uri())
        {
            *request.uri_mut() = uri;
        }
        hosts.main
    };
    router.oneshot(request).await.into_response()
}

fn host(request: &Request<Body>) -> &str {
    let named = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let host = named.or_else(|| request.uri().host()).unwrap_or_default();
    host.rsplit_once(':').map_or(host, |(name, _)| name)
}

fn below(prefix: &str, uri: &Uri) -> Result<Uri, axum::http::Error> {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    Uri::builder().path_and_query(format!("{prefix}{path}")).build()
}

async fn serve<L>(
    listener: L,
    routes: Router,
    scheme: Scheme,
    shutdown: Shutdown,
) -> std::io::Result<()>
where
    L: Listener<Addr = SocketAddr>,
{
    // Long polls have no end of their own, so nothing is waited for.
    let serving = axum::serve(listener, routes.layer(Extension(scheme)));
    shutdown.until(async { serving.await }).await.unwrap_or(Ok(()))
}
