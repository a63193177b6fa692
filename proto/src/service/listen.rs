//! Opening the addresses that a process serves.

use std::net::SocketAddr;

use anyhow::{Context as _, bail};
use tokio::net::TcpListener;

use crate::tls::identity::Identity;

/// Opens an address; `variable` names the setting it came from.
///
/// # Errors
/// When it is taken, or not an address of this machine.
pub async fn open(variable: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("{variable}: {address} cannot be listened on"))
}

/// Where gRPC is served, and as whom.
///
/// Invariant: without an identity it can be reached from this machine only.
#[derive(Debug)]
pub struct GrpcListener {
    pub(super) tcp: TcpListener,
    pub(super) identity: Option<Identity>,
}

impl GrpcListener {
    /// Opens an address for gRPC: with mutual TLS if there is an identity, in plain text on
    /// loopback if there is none.
    ///
    /// # Errors
    /// When plain text could be reached from elsewhere; and as [`open`].
    pub async fn open(
        variable: &str,
        address: SocketAddr,
        identity: Option<Identity>,
    ) -> anyhow::Result<Self> {
        if identity.is_none() && !address.ip().to_canonical().is_loopback() {
            bail!(
                "{variable}: {address} can be reached from other machines, and plain-text gRPC is \
                 served on loopback only; use 127.0.0.1, or set TLS_CERT_FILE, TLS_KEY_FILE and \
                 TLS_CA_FILE"
            );
        }
        Ok(Self { tcp: open(variable, address).await?, identity })
    }

    /// An address that was opened before, in plain text.
    ///
    /// # Errors
    /// When it can be reached from elsewhere.
    pub fn plain_text(tcp: TcpListener) -> anyhow::Result<Self> {
        let address = tcp.local_addr().context("read the gRPC address")?;
        if !address.ip().to_canonical().is_loopback() {
            bail!("{address} can be reached from other machines");
        }
        Ok(Self { tcp, identity: None })
    }

    /// As whom it is served: the process calls others as the same.
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// The address.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}
