//! A client's connections: each is made with the files as they are then.

use std::io;
use std::sync::Arc;

use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;
use tonic::codegen::{Context, Pin, Poll, Service};

use super::identity::Identity;

/// Makes connections on which both sides have proven who they are.
#[derive(Clone, Debug)]
pub(crate) struct Connector {
    identity: Identity,
    name: ServerName<'static>,
}

impl Connector {
    /// For the service that `uri` names, if it names one.
    pub(crate) fn new(identity: Identity, uri: &Uri) -> Option<Self> {
        let name = ServerName::try_from(bare_host(uri)?.to_owned()).ok()?;
        Some(Self { identity, name })
    }
}

/// Without the brackets that an IPv6 address has in a URI.
pub(crate) fn bare_host(uri: &Uri) -> Option<&str> {
    let host = uri.host()?;
    Some(host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host))
}

impl Service<Uri> for Connector {
    type Response = TokioIo<TlsStream<TcpStream>>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let Self { identity, name } = self.clone();
        Box::pin(async move {
            if let Err(error) = identity.refresh().await {
                tracing::warn!(error.cause = %error, "tls: files not used, the old ones stay");
            }
            let host = bare_host(&uri).unwrap_or_default();
            let tcp = TcpStream::connect((host, uri.port_u16().unwrap_or(443))).await?;
            tcp.set_nodelay(true)?;
            let tls = TlsConnector::from(Arc::clone(&identity.configs().client));
            let stream = tls.connect(name, tcp).await.inspect_err(|error| {
                tracing::warn!(service = %uri, error.cause = %error, "tls: no connection");
            })?;
            Ok(TokioIo::new(stream))
        })
    }
}
