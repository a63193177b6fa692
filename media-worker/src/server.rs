//! Puts the pieces together and serves; tests use it too.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use proto::client::{self, Billing};
use proto::media::v1::media_service_server::MediaServiceServer;
use proto::service::admin::Readiness;
use proto::service::config::refuse;
use proto::service::listen::GrpcListener;
use proto::service::shutdown::Shutdown;
use proto::service::{admin, grpc, listen};
use proto::tls::identity::Identity;
use secrecy::ExposeSecret as _;
use tokio::net::TcpListener;
use tonic::server::NamedService as _;
use tonic::service::Routes;

use crate::add_text::TextRenderer;
use crate::board::Board;
use crate::config::Config;
use crate::fal::{Fal, FalKeys, FalUrls, Models};
use crate::grpc::{Door, MediaGrpc};
use crate::inspector::Inspector;
use crate::prices;
use crate::store::{PictureStore, Store};
use crate::webhook::{self, Keys};
use crate::worker::{Parts, Worker};

/// No message is larger; a piece of a picture is far below.
const MESSAGE_BYTES_MAX: usize = 1024 * 1024;
/// Of one call to billing, with its repeats. Shorter than what a process has to end in.
const BILLING_DEADLINE: Duration = Duration::from_secs(5);
/// When calls still run so long after the shutdown began, they are cut.
const DRAIN_MAX: Duration = Duration::from_secs(9);
const CLOSE_MAX: Duration = Duration::from_millis(500);

/// The addresses, opened.
#[derive(Debug)]
pub struct Listeners {
    /// gRPC.
    pub grpc: GrpcListener,
    /// Webhooks, where they are asked for.
    pub http: Option<TcpListener>,
    /// Probes and metrics.
    pub admin: TcpListener,
}

impl Listeners {
    /// Opens the addresses of the settings.
    ///
    /// # Errors
    /// Names the setting whose address cannot be used.
    pub async fn open(config: &Config) -> anyhow::Result<Self> {
        let identity = config.common.tls.identity()?;
        Ok(Self {
            grpc: GrpcListener::open("MEDIA_LISTEN", config.media_listen, identity).await?,
            http: match config.fal_webhook_url {
                Some(_) => Some(listen::open("MEDIA_HTTP_LISTEN", config.media_http_listen).await?),
                None => None,
            },
            admin: listen::open("MEDIA_ADMIN_LISTEN", config.media_admin_listen).await?,
        })
    }
}

/// What is served.
#[derive(Debug)]
pub struct App {
    parts: Parts,
    renderer: TextRenderer,
    webhook_keys: Keys,
}

impl App {
    /// Puts the pieces together; a setting that cannot be used ends the process with a line that
    /// names it. Billing is called as `identity`.
    pub async fn build(config: &Config, identity: Option<&Identity>) -> Self {
        let store = Store::connect(config.media_database_url.expose_secret()).await;
        let store = store.unwrap_or_else(|error| {
            refuse("MEDIA_DATABASE_URL", format_args!("{:#}", anyhow::Error::new(error)))
        });
        let access = config.bucket_access();
        let access = access.unwrap_or_else(|problem| refuse("AWS_ACCESS_KEY_ID", problem));
        let pictures = PictureStore::open(&config.media_results_url, &access).await;
        let pictures = pictures.unwrap_or_else(|error| refuse("MEDIA_RESULTS_URL", error));
        let keys = FalKeys::parse(&config.fal_key);
        let keys = keys.unwrap_or_else(|error| refuse("FAL_KEY", error));
        let urls = FalUrls {
            queue: config.fal_queue_url.clone(),
            rest: config.fal_rest_url.clone(),
            api: config.fal_api_url.clone(),
            webhook: config.fal_webhook_url.clone(),
        };
        let fal = Fal::new(urls, keys)
            .unwrap_or_else(|error| refuse("FAL_QUEUE_URL", format_args!("{error:#}")));
        let models = Models::load(config.models_file.as_deref())
            .unwrap_or_else(|error| refuse("MODELS_FILE", format_args!("{error:#}")));
        let billing = client::connect(&config.billing_url, identity)
            .unwrap_or_else(|error| refuse("BILLING_URL", error));
        let renderer = TextRenderer::new(config.media_fonts_dir.as_deref())
            .unwrap_or_else(|error| refuse("MEDIA_FONTS_DIR", format_args!("{error:#}")));
        let parts = Parts {
            store,
            pictures,
            fal,
            models: Arc::new(models),
            billing: Billing::new(billing).with_deadline(BILLING_DEADLINE),
            inspector: Inspector::default(),
            board: Arc::new(Board::default()),
            settings: config.settings(),
        };
        let webhook_keys = Keys::new(config.fal_jwks_url.clone())
            .unwrap_or_else(|error| refuse("FAL_JWKS_URL", format_args!("{error:#}")));
        Self::new(parts, renderer, webhook_keys)
    }

    /// Of pieces that are there already.
    pub fn new(parts: Parts, renderer: TextRenderer, webhook_keys: Keys) -> Self {
        Self { parts, renderer, webhook_keys }
    }
}

/// Serves until `shutdown`.
///
/// # Errors
/// When a listener fails.
pub async fn serve(app: App, listeners: Listeners, shutdown: Shutdown) -> anyhow::Result<()> {
    let App { parts, renderer, webhook_keys } = app;
    let store = parts.store.clone();
    let door = Door::new(parts.clone(), renderer, shutdown.clone());
    let media = MediaServiceServer::new(MediaGrpc::new(door))
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX);
    let readiness = Readiness::new();
    readiness.set(true);

    let webhooks = webhook::routes(webhook_keys, parts.store.clone(), Arc::clone(&parts.board));
    let ended = shutdown.clone();
    let served = async {
        tokio::try_join!(
            // Boxed, so that the whole is not as large as all its parts together.
            Box::pin(grpc::serve(
                listeners.grpc,
                Routes::new(media),
                &[MediaServiceServer::<MediaGrpc>::NAME],
                shutdown.clone(),
            )),
            Box::pin(serve_webhooks(listeners.http, webhooks, shutdown.clone())),
            async {
                let admin = admin::serve(listeners.admin, readiness, shutdown.clone());
                admin.await.context("serve the admin address")
            },
            Box::pin(prices::check(parts.clone(), shutdown.clone())),
            async {
                Worker::new(parts).run(shutdown.clone()).await;
                Ok(())
            },
        )
    };
    let served = tokio::select! {
        served = served => served.map(|_| ()),
        () = async { ended.requested().await; tokio::time::sleep(DRAIN_MAX).await } => {
            tracing::warn!("calls were still running when time to shut down was over");
            Ok(())
        }
    };
    // A connection that somebody still holds is not waited for.
    tokio::time::timeout(CLOSE_MAX, store.close()).await.ok();
    served
}

async fn serve_webhooks(
    listener: Option<TcpListener>,
    routes: Router,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let Some(listener) = listener else { return Ok(()) };
    tracing::info!(http.addr = %listener.local_addr()?, "fal.ai's webhooks are received");
    let draining = shutdown.clone();
    let serving = axum::serve(listener, routes)
        .with_graceful_shutdown(async move { draining.requested().await });
    serving.await.context("serve webhooks")
}
