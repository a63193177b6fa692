//! The identity of a process: what its files said last, and notices when they are replaced.
//!
//! Invariant: what is kept has been usable as a whole. Files that are not are left aside.

use std::sync::{Arc, PoisonError, RwLock};

use tokio_rustls::rustls::pki_types::CertificateDer;

use super::files::{BadFiles, CERT_FILE, Configs, Contents, Files, Problem};

/// Whether a certificate is one that the process can use.
pub type Check = fn(&CertificateDer<'_>) -> Result<(), &'static str>;

/// Who a process is to the others. Clones are the same identity.
#[derive(Clone, Debug)]
pub struct Identity {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    files: Files,
    check: Check,
    current: RwLock<Arc<Current>>,
}

#[derive(Debug)]
struct Current {
    contents: Contents,
    configs: Arc<Configs>,
}

impl Identity {
    /// Reads an identity.
    ///
    /// # Errors
    /// Says which file cannot be used, by the name of our setting for it.
    pub fn load(files: Files) -> Result<Self, BadFiles> {
        Self::load_checked(files, |_any| Ok(()))
    }

    /// Reads an identity whose certificate, and each that replaces it, has to pass `check`.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_checked(files: Files, check: Check) -> Result<Self, BadFiles> {
        let current = RwLock::new(Arc::new(usable(files.read()?, check)?));
        Ok(Self { shared: Arc::new(Shared { files, check, current }) })
    }

    /// What new connections are made with.
    pub fn configs(&self) -> Arc<Configs> {
        Arc::clone(&self.current().configs)
    }

    /// Reads the files again; what is new in them is used from now on.
    ///
    /// # Errors
    /// When they cannot be used as they are: what was used before stays in use.
    pub async fn refresh(&self) -> Result<(), BadFiles> {
        let identity = self.clone();
        let read = tokio::task::spawn_blocking(move || identity.refresh_now()).await;
        // The runtime is ending.
        read.unwrap_or(Ok(()))
    }

    fn refresh_now(&self) -> Result<(), BadFiles> {
        let contents = self.shared.files.read()?;
        if contents == self.current().contents {
            return Ok(());
        }
        let new = Arc::new(usable(contents, self.shared.check)?);
        *self.shared.current.write().unwrap_or_else(PoisonError::into_inner) = new;
        tracing::info!("tls: new files are in use");
        Ok(())
    }

    fn current(&self) -> Arc<Current> {
        Arc::clone(&self.shared.current.read().unwrap_or_else(PoisonError::into_inner))
    }
}

fn usable(contents: Contents, check: Check) -> Result<Current, BadFiles> {
    let configs = Arc::new(contents.configs()?);
    check(&configs.leaf)
        .map_err(|why| BadFiles { variable: CERT_FILE, problem: Problem::NotForUs(why) })?;
    Ok(Current { contents, configs })
}
