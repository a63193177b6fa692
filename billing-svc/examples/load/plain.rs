//! The yardstick: the same contract and the same rows, a plain transaction for each request.
//!
//! It is what a good engineer writes first: begin, lock the account, look the key up, insert the
//! operation and its entry, update the account, commit; over the same gRPC stack, with a pool of
//! 16 connections. It answers Reserve and Commit, and does not look for overdue holds.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use anyhow::Context as _;
use billing_svc::config::Config;
use clap::Parser as _;
use proto::billing::v1 as wire;
use proto::service::listen::GrpcListener;
use proto::service::shutdown::Shutdown;
use proto::service::{grpc, telemetry};
use secrecy::ExposeSecret as _;
use sqlx::postgres::PgPoolOptions;
use tokio::net::TcpListener;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::service::Routes;
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

use crate::plain_store::PlainStore;

const CONNECTIONS: u32 = 16;

/// Serves until a signal says that it is over.
pub(crate) async fn serve() -> anyhow::Result<()> {
    let config = Config::try_parse_from(["load"])?;
    telemetry::init(&config.common);
    let shutdown = Shutdown::on_signals().context("listen for signals")?;
    let pool = PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .connect(config.database_url.expose_secret())
        .await?;
    let listener = GrpcListener::plain_text(TcpListener::bind(config.billing_listen).await?)?;
    let price_kopecks = config.price_per_operation.get();
    let store = Arc::new(PlainStore { pool, price_kopecks, hold_ttl: config.hold_ttl });
    grpc::serve(listener, Routes::new(Plain { store }), &[Plain::NAME], shutdown).await
}

#[derive(Clone)]
struct Plain {
    store: Arc<PlainStore>,
}

impl NamedService for Plain {
    const NAME: &'static str = "medialab.billing.v1.BillingService";
}

/// Which of the two it is is decided by the path, as in generated code.
impl Service<http::Request<Body>> for Plain {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let store = Arc::clone(&self.store);
        Box::pin(async move {
            Ok(match request.uri().path() {
                "/medialab.billing.v1.BillingService/Reserve" => {
                    Grpc::new(ProstCodec::default()).unary(Reserve(store), request).await
                }
                "/medialab.billing.v1.BillingService/Commit" => {
                    Grpc::new(ProstCodec::default()).unary(Commit(store), request).await
                }
                _ => Status::unimplemented("the yardstick has only Reserve and Commit").into_http(),
            })
        })
    }
}

struct Reserve(Arc<PlainStore>);

impl UnaryService<wire::ReserveRequest> for Reserve {
    type Response = wire::ReserveResponse;
    type Future = BoxFuture<Response<Self::Response>, Status>;

    fn call(&mut self, request: Request<wire::ReserveRequest>) -> Self::Future {
        let store = Arc::clone(&self.0);
        Box::pin(async move {
            let operation = store.reserve(request.into_inner()).await.map_err(status)?;
            log("reserved", &operation);
            Ok(Response::new(wire::ReserveResponse { operation: Some(operation) }))
        })
    }
}

struct Commit(Arc<PlainStore>);

impl UnaryService<wire::CommitRequest> for Commit {
    type Response = wire::CommitResponse;
    type Future = BoxFuture<Response<Self::Response>, Status>;

    fn call(&mut self, request: Request<wire::CommitRequest>) -> Self::Future {
        let store = Arc::clone(&self.0);
        Box::pin(async move {
            let operation = store.commit(request.into_inner()).await.map_err(status)?;
            log("committed", &operation);
            Ok(Response::new(wire::CommitResponse { operation: Some(operation) }))
        })
    }
}

fn status(error: anyhow::Error) -> Status {
    Status::unavailable(format!("{error:#}"))
}

fn log(what: &str, operation: &wire::Operation) {
    tracing::info!(
        user.id = operation.user_id,
        operation.id = operation.operation_id,
        amount_kopecks = operation.charged_kopecks,
        outcome = "done",
        "billing: {what}"
    );
}
