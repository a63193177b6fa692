//! The services' binaries: built first when cargo runs the sandbox, and found beside it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use proto::service::shutdown::Shutdown;
use tokio::process::Command;

/// What `cargo run` sets for the program that it runs. Build scripts look at some of it, and would
/// take the change for a reason to compile ring and all that uses it again.
const SET_BY_CARGO_RUN: [&str; 5] = [
    "CARGO_BIN_NAME",
    "CARGO_CRATE_NAME",
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_PATH",
    "CARGO_PRIMARY_PACKAGE",
];

/// The folder of the services' binaries, up to date if cargo runs us.
pub(super) async fn binaries(shutdown: &Shutdown) -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("find the sandbox's own binary")?;
    let folder = own.parent().context("the sandbox's binary lies in a folder")?.to_path_buf();
    // Cargo sets it for what it runs.
    if let Some(cargo) = std::env::var_os("CARGO") {
        build(cargo, &folder, shutdown).await?;
    }
    Ok(folder)
}

async fn build(cargo: OsString, folder: &Path, shutdown: &Shutdown) -> anyhow::Result<()> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .context("the sandbox lies two folders below its workspace")?;
    let mut command = Command::new(cargo);
    command
        .args(["build", "--workspace", "--bins", "--locked"])
        .args(["--profile", profile(folder)])
        .current_dir(workspace)
        .kill_on_drop(true);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || SET_BY_CARGO_RUN.contains(&text.as_ref()) {
            command.env_remove(name);
        }
    }
    tracing::info!("building the services");
    let built = shutdown.until(async { command.status().await }).await;
    let Some(status) = built else { bail!("stopped while building the services") };
    let status = status.context("start cargo")?;
    if !status.success() {
        bail!("the services could not be built; cargo says above why");
    }
    Ok(())
}

/// The profile that the sandbox itself was built with: its folder below `target` says so.
fn profile(folder: &Path) -> &str {
    match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(other) => other,
    }
}

/// A service's binary.
pub(super) fn binary(folder: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let path = folder.join(name);
    if !path.is_file() {
        bail!(
            "{} is not there: build the workspace (cargo build --workspace --bins), or start the \
             sandbox with `cargo run -p sandbox`, which does",
            path.display()
        );
    }
    Ok(path)
}
