//! The three files of an identity, in cert-manager's layout (`tls.crt`, `tls.key`, `ca.crt`).

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::{self, PemObject as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::server::{NoServerSessionStorage, VerifierBuilderError};
use tokio_rustls::rustls::version::TLS13;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};

/// The setting that names the certificate.
pub const CERT_FILE: &str = "TLS_CERT_FILE";
/// The setting that names the key.
pub const KEY_FILE: &str = "TLS_KEY_FILE";
/// The setting that names the authority.
pub const CA_FILE: &str = "TLS_CA_FILE";

/// Where the files are.
#[derive(Clone, Debug)]
pub struct Files {
    /// Our certificate, and those between it and the authority.
    pub cert: PathBuf,
    /// The key of our certificate.
    pub key: PathBuf,
    /// Who must have signed the other side's certificate; several while an authority is replaced.
    pub ca: PathBuf,
}

/// Why the files are no identity. Never shows what is in them.
#[derive(Debug, thiserror::Error)]
#[error("{variable}: {problem}")]
pub struct BadFiles {
    /// The setting that names the file.
    pub variable: &'static str,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// It is not there, or may not be read.
    #[error("cannot be read: {0}")]
    Unreadable(#[from] std::io::Error),
    /// It is not what it should be.
    #[error("is no PEM file of the right kind: {0}")]
    NotPem(#[from] pem::Error),
    /// It has no certificate.
    #[error("has no certificate in it")]
    Empty,
    /// It cannot be used.
    #[error("cannot be used: {0}")]
    Unusable(#[from] tokio_rustls::rustls::Error),
    /// Nobody could be verified with it.
    #[error("cannot be used: {0}")]
    NoVerifier(#[from] VerifierBuilderError),
    /// It is a certificate, but not for us.
    #[error("{0}")]
    NotForUs(&'static str),
}

/// What the files hold, byte for byte.
#[derive(Eq, PartialEq)]
pub(super) struct Contents {
    cert: Vec<u8>,
    key: Vec<u8>,
    ca: Vec<u8>,
}

impl fmt::Debug for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Contents(..)")
    }
}

/// What connections are made with.
#[derive(Debug)]
pub struct Configs {
    /// As a client.
    pub client: Arc<ClientConfig>,
    /// As a server.
    pub server: Arc<ServerConfig>,
    /// Our certificate.
    pub leaf: CertificateDer<'static>,
}

impl Files {
    pub(super) fn read(&self) -> Result<Contents, BadFiles> {
        let read = |variable, file: &Path| {
            std::fs::read(file).map_err(|error| BadFiles { variable, problem: error.into() })
        };
        Ok(Contents {
            cert: read(CERT_FILE, &self.cert)?,
            key: read(KEY_FILE, &self.key)?,
            ca: read(CA_FILE, &self.ca)?,
        })
    }
}

impl Contents {
    /// Fails where the key is not the certificate's: the files may be in the middle of a change.
    pub(super) fn configs(&self) -> Result<Configs, BadFiles> {
        let bad = |variable| move |problem: Problem| BadFiles { variable, problem };
        let chain = certificates(&self.cert).map_err(bad(CERT_FILE))?;
        let leaf = chain.first().cloned().ok_or(Problem::Empty).map_err(bad(CERT_FILE))?;
        let key = PrivateKeyDer::from_pem_slice(&self.key);
        let key = key.map_err(|error| bad(KEY_FILE)(error.into()))?;
        let roots = Arc::new(roots(&self.ca).map_err(bad(CA_FILE))?);

        let provider = Arc::new(ring::default_provider());
        let client = client(&provider, &roots, (chain.clone(), key.clone_key()));
        let client = client.map_err(bad(KEY_FILE))?;
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider));
        let verifier = verifier.build().map_err(|error| bad(CA_FILE)(error.into()))?;
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .map_err(|error| bad(CERT_FILE)(error.into()))?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .map_err(|error| bad(KEY_FILE)(error.into()))?;
        server.alpn_protocols = vec![b"h2".to_vec()];
        // A resumed session is not verified again: a certificate would work on after its end.
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        Ok(Configs { client: Arc::new(client), server: Arc::new(server), leaf })
    }
}

type Pair = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn client(
    provider: &Arc<CryptoProvider>,
    roots: &Arc<RootCertStore>,
    (chain, key): Pair,
) -> Result<ClientConfig, Problem> {
    let mut client = ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(Arc::clone(roots))
        .with_client_auth_cert(chain, key)?;
    client.alpn_protocols = vec![b"h2".to_vec()];
    client.resumption = Resumption::disabled();
    Ok(client)
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Problem> {
    Ok(CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>()?)
}

fn roots(pem: &[u8]) -> Result<RootCertStore, Problem> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem)? {
        roots.add(certificate)?;
    }
    if roots.is_empty() { Err(Problem::Empty) } else { Ok(roots) }
}
