//! Puts the pieces together and serves; tests use it too.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use proto::payments::v1::payments_service_server::PaymentsServiceServer;
use proto::service::admin::Readiness;
use proto::service::listen::GrpcListener;
use proto::service::shutdown::Shutdown;
use proto::service::{admin, grpc, listen};
use proto::tls::identity::Identity;
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;
use tonic::server::NamedService as _;
use tonic::service::Routes;

use crate::billing::Billing;
use crate::compare::comparison::Comparison;
use crate::compare::daily::Daily;
use crate::config::Config;
use crate::create::{Creator, ReturnAddress};
use crate::operator::refund::Refunder;
use crate::payments::{Payments, Terms};
use crate::rate::{Door, Rates};
use crate::receipt::Receipts;
use crate::reconcile::{Reconciler, YooKassa};
use crate::refund::Refunds;
use crate::resolve::{Resolver, Shop};
use crate::return_page::ReturnPage;
use crate::router;
use crate::stars::desk::Stars;
use crate::webhook::Webhook;
use crate::yookassa::{Client, Credentials};

/// A request has three fields of at most a few hundred bytes.
const MESSAGE_BYTES_MAX: usize = 16 * 1024;
/// How long running requests may still take when the process is to end.
const DRAIN_MAX: Duration = Duration::from_secs(20);
/// How long POSTs whose caller has gone may still take then. The reconciler repeats what is cut.
const TASKS_MAX: Duration = Duration::from_secs(5);

/// Return pages a second for one address, behind which many people may be.
const PAGES_PER_SECOND_MAX: NonZeroU32 = NonZeroU32::MIN.saturating_add(19);

/// The addresses, opened.
#[derive(Debug)]
pub struct Listeners {
    /// gRPC.
    pub grpc: GrpcListener,
    /// Notifications.
    pub http: TcpListener,
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
            grpc: GrpcListener::open("PAYMENTS_LISTEN", config.payments_listen, identity).await?,
            http: listen::open("PAYMENTS_HTTP_LISTEN", config.payments_http_listen).await?,
            admin: listen::open("PAYMENTS_ADMIN_LISTEN", config.payments_admin_listen).await?,
        })
    }
}

/// Serves until `shutdown`.
///
/// # Errors
/// When a setting cannot be used or a listener fails.
pub async fn serve(config: Config, listeners: Listeners, shutdown: Shutdown) -> anyhow::Result<()> {
    let tasks = TaskTracker::new();
    let parts = assemble(config, listeners.grpc.identity(), &tasks)?;
    let readiness = Readiness::new();

    tracing::info!(
        grpc.addr = %listeners.grpc.local_addr()?,
        http.addr = %listeners.http.local_addr()?,
        admin.addr = %listeners.admin.local_addr()?,
        "serving"
    );
    readiness.set(true);
    let served = tokio::try_join!(
        // First, because it is what begins to keep metrics.
        async {
            let admin = admin::serve(listeners.admin, readiness, shutdown.clone());
            admin.await.context("serve the admin address")
        },
        async {
            let served = grpc::serve(
                listeners.grpc,
                parts.rpcs,
                &[PaymentsServiceServer::<Payments>::NAME],
                shutdown.clone(),
            );
            served.await
        },
        serve_http(listeners.http, parts.routes, shutdown.clone()),
        async {
            // Boxed, so that the whole is not as large as all its parts together.
            Box::pin(parts.reconciler.run(&shutdown)).await;
            Ok(())
        },
        async {
            Box::pin(parts.stars_reconciler.run(&shutdown)).await;
            Ok(())
        },
        async {
            Box::pin(parts.refunds.run(parts.refunds_every, &shutdown)).await;
            Ok(())
        },
        async {
            Box::pin(parts.daily.run(parts.compare_every, &shutdown)).await;
            Ok(())
        },
    );
    tasks.close();
    if tokio::time::timeout(TASKS_MAX, tasks.wait()).await.is_err() {
        tracing::warn!("payments were still being made when time to shut down was over");
    }
    served.map(|_| ())
}

/// The two that we talk to, and what payments and refunds mean between them: what the service and
/// an operator's command have in common.
#[derive(Debug)]
pub struct Core {
    billing: Billing,
    yookassa: Arc<Client>,
    resolver: Arc<Resolver>,
    refunds: Arc<Refunds>,
    receipts: Option<Receipts>,
}

impl Core {
    /// Puts it together, to call billing as `identity`; nothing is called yet.
    ///
    /// # Errors
    /// Names the setting that cannot be used.
    pub fn new(config: &Config, identity: Option<&Identity>) -> anyhow::Result<Self> {
        let billing = Billing::new(&config.billing_url, identity).context("BILLING_URL")?;
        let credentials = Credentials {
            shop_id: config.yookassa_shop_id.clone(),
            secret_key: config.yookassa_secret_key.clone(),
        };
        let shop = Shop { id: credentials.shop_id.clone(), is_live: credentials.is_live() };
        let client = Client::new(&config.yookassa_api_url, credentials);
        let yookassa = Arc::new(client.context("set up TLS for YOOKASSA_API_URL")?);
        let resolver = Arc::new(Resolver::new(billing.clone(), Arc::clone(&yookassa), shop));
        let refunds = Refunds::new(billing.clone(), Arc::clone(&yookassa), Arc::clone(&resolver));
        let receipts = config.receipts.receipts()?;
        Ok(Self { billing, yookassa, resolver, refunds: Arc::new(refunds), receipts })
    }

    /// What refunds for operators.
    pub fn refunder(&self) -> Refunder {
        Refunder::new(
            self.billing.clone(),
            Arc::clone(&self.yookassa),
            Arc::clone(&self.resolver),
            Arc::clone(&self.refunds),
            self.receipts.clone(),
        )
    }

    /// What compares the two sides.
    pub fn comparison(&self) -> Comparison {
        Comparison::new(
            self.billing.clone(),
            Arc::clone(&self.yookassa),
            Arc::clone(&self.resolver),
        )
    }
}

/// What is served, and what runs beside it.
struct Parts {
    rpcs: Routes,
    routes: Router,
    reconciler: Reconciler<YooKassa>,
    stars_reconciler: Reconciler<Stars>,
    refunds: Arc<Refunds>,
    refunds_every: Duration,
    daily: Daily,
    compare_every: Duration,
}

fn assemble(
    config: Config,
    identity: Option<&Identity>,
    tasks: &TaskTracker,
) -> anyhow::Result<Parts> {
    let core = Core::new(&config, identity)?;
    let comparison = core.comparison();
    let Core { billing, yookassa, resolver, refunds, receipts } = core;
    let creator = Creator::new(
        billing.clone(),
        yookassa,
        Arc::clone(&resolver),
        receipts.clone(),
        tasks.clone(),
    );
    let creator = Arc::new(creator);
    let currency = config.yookassa_currency;
    let yookassa = Arc::new(YooKassa { creator, resolver: Arc::clone(&resolver), currency });
    let stars = Arc::new(Stars::new(&billing, config.stars_rate));

    let page = ReturnPage::new(
        billing.clone(),
        Arc::clone(&resolver),
        config.yookassa_return_url.clone(),
        tasks,
    );
    let return_address = ReturnAddress::new(config.payments_public_url, config.yookassa_return_url);
    let terms = Terms { return_address, receipts };
    let payments = Payments::new(billing.clone(), Arc::clone(&yookassa), Arc::clone(&stars), terms);
    let rpcs = PaymentsServiceServer::new(payments).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let door = |name, per_second| Door {
        name,
        proxies: config.trusted_proxies.clone(),
        rates: Arc::new(Rates::new(per_second)),
    };
    let webhook_door = door("webhook", config.webhook_requests_per_second_max);
    let page_door = door("return_page", PAGES_PER_SECOND_MAX);
    let webhook = Webhook::new(
        (Arc::clone(&resolver), Arc::clone(&refunds)),
        (config.yookassa_trusted_networks, config.trusted_proxies.clone()),
        tasks,
    );
    Ok(Parts {
        rpcs: Routes::new(rpcs),
        routes: router::routes((webhook, webhook_door), (page, page_door)),
        daily: Daily::new(comparison, Arc::clone(&resolver), Arc::clone(&refunds)),
        compare_every: config.compare_every,
        reconciler: Reconciler::new(&billing, yookassa, config.reconcile_every),
        stars_reconciler: Reconciler::new(&billing, stars, config.reconcile_every),
        refunds,
        refunds_every: config.reconcile_every,
    })
}

async fn serve_http(
    listener: TcpListener,
    routes: Router,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let service = routes.into_make_service_with_connect_info::<SocketAddr>();
    let draining = shutdown.clone();
    let serving = axum::serve(listener, service)
        .with_graceful_shutdown(async move { draining.requested().await });
    tokio::select! {
        ended = serving => ended.context("serve notifications"),
        () = async { shutdown.requested().await; tokio::time::sleep(DRAIN_MAX).await } => Ok(()),
    }
}
