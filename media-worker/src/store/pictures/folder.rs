//! Pictures as files of a folder.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tokio::task::spawn_blocking;
use uuid::Uuid;

use crate::domain::UserId;

use super::{INPUTS, PicturesError, RESULTS};

/// Folder of what is being written.
const PARTS: &str = "parts";

#[derive(Clone, Debug)]
pub(super) struct Folder {
    root: PathBuf,
}

impl Folder {
    pub(super) fn open(path: &str) -> Result<Self, PicturesError> {
        let root = std::path::absolute(path).map_err(|_| PicturesError::BadUrl)?;
        for kind in [INPUTS, RESULTS, PARTS] {
            std::fs::create_dir_all(root.join(kind))
                .map_err(|cause| PicturesError::NotWritable(root.clone(), cause))?;
        }
        Ok(Self { root })
    }

    pub(super) async fn put(&self, path: &str, bytes: Bytes) -> io::Result<()> {
        let path = self.root.join(path);
        let part = self.root.join(PARTS).join(Uuid::new_v4().to_string());
        blocking(move || {
            let folder = path.parent().unwrap_or(Path::new("."));
            std::fs::create_dir_all(folder)?;
            // Written aside and renamed: a file under its own name is whole.
            let mut file = std::fs::File::create(&part)?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            std::fs::rename(&part, &path)?;
            sync(folder)?;
            folder.parent().map_or(Ok(()), sync)
        })
        .await
    }

    pub(super) async fn get(&self, path: &str) -> io::Result<Bytes> {
        tokio::fs::read(self.root.join(path)).await.map(Bytes::from)
    }

    pub(super) async fn remove(&self, path: &str) -> io::Result<()> {
        match tokio::fs::remove_file(self.root.join(path)).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    pub(super) async fn older_than(
        &self,
        kind: &str,
        age: Duration,
    ) -> io::Result<Vec<(UserId, String)>> {
        let kind = self.root.join(kind);
        blocking(move || {
            let mut found = Vec::new();
            for folder in std::fs::read_dir(kind)? {
                let folder = folder?;
                let user = folder.file_name().to_string_lossy().parse().ok().map(UserId::new);
                let Some(Ok(user)) = user else { continue };
                for file in std::fs::read_dir(folder.path())? {
                    let file = file?;
                    if file.metadata()?.modified()? < ago(age) {
                        found.push((user, file.file_name().to_string_lossy().into_owned()));
                    }
                }
            }
            Ok(found)
        })
        .await
    }

    pub(super) async fn remove_parts_older_than(&self, age: Duration) -> io::Result<()> {
        let parts = self.root.join(PARTS);
        blocking(move || {
            for file in std::fs::read_dir(parts)? {
                let file = file?;
                if file.metadata()?.modified()? < ago(age) {
                    std::fs::remove_file(file.path())?;
                }
            }
            Ok(())
        })
        .await
    }
}

/// Makes the names in a folder last.
fn sync(folder: &Path) -> io::Result<()> {
    std::fs::File::open(folder)?.sync_all()
}

fn ago(age: Duration) -> SystemTime {
    SystemTime::now().checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    spawn_blocking(work).await.map_err(io::Error::other)?
}
