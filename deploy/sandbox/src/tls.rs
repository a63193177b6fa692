//! HTTPS: a CA of the data folder's own, and a listener that shakes hands beside its queue.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::serve::Listener;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::document;

/// Everything that the sandbox answers as.
const NAMES: [&str; 10] = [
    "localhost",
    "127.0.0.1",
    "::1",
    "fal.run",
    "queue.fal.run",
    "rest.fal.ai",
    "v3.fal.media",
    "api.fal.ai",
    "api.telegram.org",
    "api.yookassa.ru",
];
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections that have shaken hands and wait for the server.
const READY_MAX: usize = 16;

/// The server's side of TLS: a fresh certificate of the CA in the data folder.
///
/// # Errors
/// When the CA cannot be read or written.
pub fn server_config(data: &Path) -> anyhow::Result<Arc<ServerConfig>> {
    let issuer = authority(data)?;
    let key = KeyPair::generate().context("make a key")?;
    let mut params = CertificateParams::new(NAMES.map(str::to_owned)).context("name the server")?;
    params.distinguished_name.push(DnType::CommonName, "Media Lab sandbox");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let certificate = params.signed_by(&key, &issuer).context("sign the certificate")?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .context("set up TLS")?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// The CA: made once, so that who trusts `ca.pem` trusts later runs too.
fn authority(data: &Path) -> anyhow::Result<Issuer<'static, KeyPair>> {
    let (ca_file, key_file) = (data.join("ca.pem"), data.join("ca-key.pem"));
    let params = authority_params()?;
    if ca_file.exists() && key_file.exists() {
        let pem = std::fs::read_to_string(&key_file).context("read the CA's key")?;
        let key = KeyPair::from_pem(&pem).context("read the CA's key; --fresh makes a new one")?;
        return Ok(Issuer::new(params, key));
    }
    let key = KeyPair::generate().context("make the CA's key")?;
    let certificate = params.self_signed(&key).context("sign the CA")?;
    // The key first: a CA without its key would be made again, and trusted in vain.
    document::replace(&key_file, key.serialize_pem().as_bytes())?;
    document::replace(&ca_file, certificate.pem().as_bytes())?;
    Ok(Issuer::new(params, key))
}

fn authority_params() -> anyhow::Result<CertificateParams> {
    let mut params = CertificateParams::new(Vec::new()).context("name the CA")?;
    params.distinguished_name.push(DnType::CommonName, "Media Lab sandbox CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

/// A listener of connections that have shaken hands.
#[derive(Debug)]
pub struct TlsListener {
    ready: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    address: SocketAddr,
}

impl TlsListener {
    /// Begins to accept; a slow or broken handshake holds up nobody else.
    ///
    /// # Errors
    /// When the listener has no address.
    pub fn new(mut listener: TcpListener, config: Arc<ServerConfig>) -> anyhow::Result<Self> {
        let address = listener.local_addr().context("address of the TLS listener")?;
        let (shaken, ready) = mpsc::channel(READY_MAX);
        let acceptor = TlsAcceptor::from(config);
        tokio::spawn(async move {
            loop {
                let accepted = tokio::select! {
                    accepted = Listener::accept(&mut listener) => accepted,
                    () = shaken.closed() => return,
                };
                let (stream, peer) = accepted;
                let (acceptor, shaken) = (acceptor.clone(), shaken.clone());
                tokio::spawn(async move {
                    let handshake = acceptor.accept(stream);
                    match tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake).await {
                        // Nobody takes it any more only when the server has ended.
                        Ok(Ok(stream)) => drop(shaken.send((stream, peer)).await),
                        Ok(Err(error)) => {
                            tracing::debug!(error.cause = %error, "a TLS handshake failed");
                        }
                        Err(_) => tracing::debug!("a TLS handshake took too long"),
                    }
                });
            }
        });
        Ok(Self { ready, address })
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(accepted) => accepted,
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        Ok(self.address)
    }
}
