//! The identity of one of our processes: its settings, and its files while it runs.

use std::path::PathBuf;
use std::time::Duration;

use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, Error, KeyUsage};

use super::callers;
use super::shutdown::Shutdown;
use crate::tls::files::{BadFiles, CA_FILE, CERT_FILE, Files, KEY_FILE};
use crate::tls::identity::Identity;

/// How soon files that were replaced are used.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Where the files are: all three, or plain text on loopback.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct TlsConfig {
    /// Our certificate and those between it and the authority, PEM. With `TLS_KEY_FILE` and
    /// `TLS_CA_FILE`; without them services speak plain text, on loopback only.
    #[arg(long, env)]
    pub tls_cert_file: Option<PathBuf>,

    /// The key of our certificate, PEM.
    #[arg(long, env)]
    pub tls_key_file: Option<PathBuf>,

    /// The authorities that have signed the certificates of those whom we talk to, PEM.
    #[arg(long, env)]
    pub tls_ca_file: Option<PathBuf>,
}

/// Why there is no identity.
#[derive(Debug, thiserror::Error)]
pub enum NoIdentity {
    /// One of the three settings is missing.
    #[error("{0}: is missing: {CERT_FILE}, {KEY_FILE} and {CA_FILE} are set together, or none")]
    Missing(&'static str),
    /// A file cannot be used.
    #[error(transparent)]
    BadFiles(#[from] BadFiles),
}

impl TlsConfig {
    /// Reads our identity, if the settings give us one.
    ///
    /// # Errors
    /// Names the setting that is missing or cannot be used.
    pub fn identity(&self) -> Result<Option<Identity>, NoIdentity> {
        let three = (&self.tls_cert_file, &self.tls_key_file, &self.tls_ca_file);
        let (cert, key, ca) = match three {
            (Some(cert), Some(key), Some(ca)) => (cert, key, ca),
            (None, None, None) => return Ok(None),
            (None, _, _) => return Err(NoIdentity::Missing(CERT_FILE)),
            (_, None, _) => return Err(NoIdentity::Missing(KEY_FILE)),
            (_, _, None) => return Err(NoIdentity::Missing(CA_FILE)),
        };
        let files = Files { cert: cert.clone(), key: key.clone(), ca: ca.clone() };
        Ok(Some(Identity::load_checked(files, callers::names_us)?))
    }
}

/// Uses files that were replaced, until `shutdown`, and tells when our certificate ends. Without
/// an identity there is nothing to do, and this never ends by itself.
pub async fn keep_current(identity: Option<Identity>, shutdown: Shutdown) {
    let Some(identity) = identity else { return shutdown.requested().await };
    let mut said = String::new();
    loop {
        match identity.refresh().await {
            Ok(()) => said.clear(),
            Err(error) => {
                metrics::counter!("tls_reload_failures_total").increment(1);
                let problem = error.to_string();
                // Said once: the files may be wrong for days.
                if problem != said {
                    tracing::error!(
                        error.cause = problem,
                        "tls: files not used, the old ones stay"
                    );
                }
                said = problem;
            }
        }
        if let Some(end) = end_of(&identity.configs().leaf) {
            // Set again and again: what keeps metrics may start after us.
            #[expect(clippy::cast_precision_loss, reason = "seconds fit for millions of years")]
            metrics::gauge!("tls_certificate_expires_at_seconds").set(end.as_secs() as f64);
        }
        if shutdown.until(tokio::time::sleep(LOOK_EVERY)).await.is_none() {
            return;
        }
    }
}

/// When a certificate ends, which the verifier says when it is asked about the end of all time.
fn end_of(certificate: &CertificateDer<'_>) -> Option<UnixTime> {
    let certificate = EndEntityCert::try_from(certificate).ok()?;
    let nobody = RootCertStore::empty();
    let verified = certificate.verify_for_usage(
        ring::default_provider().signature_verification_algorithms.all,
        &nobody.roots,
        &[],
        UnixTime::since_unix_epoch(Duration::from_secs(u64::MAX)),
        KeyUsage::client_auth(),
        None,
        None,
    );
    match verified {
        Err(Error::CertExpired { not_after, .. }) => Some(not_after),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    #[test]
    fn tells_when_a_certificate_ends() {
        let mut params = CertificateParams::default();
        params.not_after = date_time_ymd(2026, 11, 27);
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();

        let end = end_of(certificate.der()).unwrap();

        assert_eq!(end.as_secs(), 1_795_737_600);
    }

    #[test]
    fn the_three_settings_come_together_or_not_at_all() {
        let file = || Some(PathBuf::from("/nowhere"));
        let of = |tls_cert_file, tls_key_file, tls_ca_file| {
            let config = TlsConfig { tls_cert_file, tls_key_file, tls_ca_file };
            config.identity().map(drop).map_err(|error| error.to_string())
        };

        assert_eq!(of(None, None, None), Ok(()));
        let together = "TLS_CERT_FILE, TLS_KEY_FILE and TLS_CA_FILE are set together, or none";
        let missing = |name: &str| Err(format!("{name}: is missing: {together}"));
        assert_eq!(of(None, file(), file()), missing("TLS_CERT_FILE"));
        assert_eq!(of(file(), None, file()), missing("TLS_KEY_FILE"));
        assert_eq!(of(file(), file(), None), missing("TLS_CA_FILE"));
        let unreadable = of(file(), file(), file()).unwrap_err();
        assert!(unreadable.starts_with("TLS_CERT_FILE: cannot be read: "), "{unreadable}");
    }
}
