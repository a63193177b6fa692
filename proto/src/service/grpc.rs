//! Serving gRPC: who may call, health, reflection, request ids and limits around a service's
//! routes.

use std::task::{Context, Poll};
use std::time::Duration;

use anyhow::Context as _;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::transport::Server;
use tower::{Layer, Service};
use tracing::Instrument as _;

use super::callers::Callers;
use super::listen::GrpcListener;
use super::shutdown::Shutdown;
use super::{incoming, tls};
use crate::request_id;

/// Each process ends this long after it was told to, whatever still runs: shorter than the 30 s
/// that Kubernetes waits before it kills.
const DRAIN_MAX: Duration = Duration::from_secs(20);
const KEEPALIVE: Duration = Duration::from_secs(20);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// More than a well-behaved caller has open at once; beyond it new streams wait at the client.
const STREAMS_MAX: u32 = 1024;

/// Serves `routes` until `shutdown`, then lets running calls end, for at most [`DRAIN_MAX`].
///
/// `names` are the full names of the services in `routes`, for the health service. Streams that
/// have no end of their own must end by themselves at shutdown.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: GrpcListener,
    routes: Routes,
    names: &[&str],
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let (health, health_service) = tonic_health::server::health_reporter();
    for name in names {
        health.set_service_status(*name, tonic_health::ServingStatus::Serving).await;
    }
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(crate::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let routes = routes
        .add_service(health_service)
        .add_service(reflection().build_v1().context("read the compiled contract")?)
        // Python's official client and older tools know only this one.
        .add_service(reflection().build_v1alpha().context("read the compiled contract")?);

    let GrpcListener { tcp, identity } = listener;
    let keeping_current = tls::keep_current(identity.clone(), shutdown.clone());
    let draining = shutdown;
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let serving = Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .max_concurrent_streams(STREAMS_MAX)
        .layer(RequestIds)
        .layer(Callers)
        .add_routes(routes)
        .serve_with_incoming_shutdown(incoming::connections(tcp, identity), async move {
            draining.requested().await;
            for name in &names {
                health.set_service_status(name, tonic_health::ServingStatus::NotServing).await;
            }
        });
    tokio::select! {
        ended = serving => ended.context("serve gRPC"),
        // The files are looked at until the shutdown is requested.
        () = async { keeping_current.await; tokio::time::sleep(DRAIN_MAX).await } => {
            tracing::warn!("calls were still running when time to shut down was over");
            Ok(())
        }
    }
}

/// Gives each call the span and the request id under which it is logged and calls on.
#[derive(Clone, Copy, Debug)]
struct RequestIds;

impl<S> Layer<S> for RequestIds {
    type Service = WithRequestId<S>;

    fn layer(&self, inner: S) -> Self::Service {
        WithRequestId { inner }
    }
}

#[derive(Clone, Debug)]
struct WithRequestId<S> {
    inner: S,
}

impl<S> Service<http::Request<Body>> for WithRequestId<S>
where
    S: Service<http::Request<Body>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = std::pin::Pin<
        Box<dyn std::future::Future<Output = Result<S::Response, S::Error>> + Send + 'static>,
    >;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let outside = request.headers().get(request_id::HEADER);
        let id = request_id::accept(outside.and_then(|value| value.to_str().ok()));
        let span = tracing::info_span!("grpc", rpc = request.uri().path(), request.id = %id);
        let work = self.inner.call(request).instrument(span);
        Box::pin(request_id::scope(id, work))
    }
}
