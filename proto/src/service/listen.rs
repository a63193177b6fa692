//! Opening the addresses that a process serves.

use std::net::SocketAddr;

use anyhow::{Context as _, bail};
use tokio::net::TcpListener;

/// Opens an address; `variable` names the setting it came from.
///
/// # Errors
/// When it is taken, or not an address of this machine.
pub async fn open(variable: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("{variable}: {address} cannot be listened on"))
}

/// Opens an address for plain-text gRPC, which is allowed on loopback only.
///
/// # Errors
/// When the address can be reached from elsewhere; and as [`open`].
pub async fn open_plain_text(variable: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    if !address.ip().to_canonical().is_loopback() {
        bail!(
            "{variable}: {address} can be reached from other machines, and plain-text gRPC is \
             served on loopback only; use 127.0.0.1"
        );
    }
    open(variable, address).await
}
