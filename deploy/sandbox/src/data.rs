//! The data folder: made, recognised, and forgotten on request.
//!
//! Invariant: nothing is removed from a folder that the sandbox has not marked as its own.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

/// The mark of a folder that is ours to empty.
const MARK: &str = "sandbox-data";

/// Makes the folder if it is not there, empties it if asked to, and answers with its full path.
///
/// # Errors
/// When it cannot be written to, or is to be emptied and holds what is not the sandbox's.
pub fn open(folder: &Path, fresh: bool) -> anyhow::Result<PathBuf> {
    let named = || format!("SANDBOX_DATA: {}", folder.display());
    std::fs::create_dir_all(folder).with_context(named)?;
    let folder = folder.canonicalize().with_context(named)?;
    let mark = folder.join(MARK);
    if fresh {
        let mut inside = std::fs::read_dir(&folder).with_context(named)?.peekable();
        if inside.peek().is_some() && !mark.exists() {
            bail!(
                "SANDBOX_DATA: {} was not made by the sandbox, so --fresh does not empty it; \
                 empty it by hand or choose another folder",
                folder.display()
            );
        }
        for entry in inside {
            let path = entry.with_context(named)?.path();
            let removed = if path.is_dir() && !path.is_symlink() {
                std::fs::remove_dir_all(&path)
            } else {
                std::fs::remove_file(&path)
            };
            removed.with_context(|| format!("remove {}", path.display()))?;
        }
    }
    std::fs::write(&mark, "Data of Media Lab's sandbox; --fresh empties this folder.\n")
        .with_context(named)?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fresh_forgets_our_data_and_never_anothers() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("thesis.txt"), "years of work").unwrap();

        assert!(open(folder.path(), true).is_err());
        assert!(folder.path().join("thesis.txt").exists());

        let ours = folder.path().join("data");
        open(&ours, true).unwrap();
        std::fs::create_dir(ours.join("telegram")).unwrap();
        std::fs::write(ours.join("telegram/state.json"), "{}").unwrap();
        open(&ours, false).unwrap();
        assert!(ours.join("telegram/state.json").exists());
        open(&ours, true).unwrap();
        assert!(!ours.join("telegram").exists());
    }
}
