//! The bytes of pictures, as files: `inputs/<user>/<input>` and `results/<user>/<name>`.
//!
//! A picture is on the disk, whole and synced, before a row names it. Names are never reused, so
//! a file that is there is the one that the row means.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tokio::task::spawn_blocking;
use uuid::Uuid;

use crate::domain::{InputId, JobKey, UserId};

/// Folder of what is being written.
const PARTS: &str = "parts";

/// Why the address of the picture store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PicturesError {
    /// Not a folder's address.
    #[error("not the address of a folder, which looks like file://media-lab-results")]
    BadUrl,
    /// It cannot be written.
    #[error("the folder {0} cannot be written: {1}")]
    NotWritable(PathBuf, #[source] io::Error),
}

/// Where pictures lie. Clones are the same place.
#[derive(Clone, Debug)]
pub struct PictureStore {
    root: PathBuf,
}

impl PictureStore {
    /// Opens the folder behind `file://<folder>`, and makes it where it is missing.
    ///
    /// # Errors
    /// When it is not such an address, or the folder cannot be written.
    pub fn open(url: &str) -> Result<Self, PicturesError> {
        let folder = url.strip_prefix("file://").filter(|folder| !folder.is_empty());
        let root = std::path::absolute(folder.ok_or(PicturesError::BadUrl)?)
            .map_err(|_| PicturesError::BadUrl)?;
        for kind in ["inputs", "results", PARTS] {
            std::fs::create_dir_all(root.join(kind))
                .map_err(|cause| PicturesError::NotWritable(root.clone(), cause))?;
        }
        Ok(Self { root })
    }

    /// Stores an input.
    ///
    /// # Errors
    /// When the disk fails.
    pub async fn put_input(&self, user: UserId, id: InputId, bytes: Bytes) -> io::Result<()> {
        self.write(self.input_path(user, id), bytes).await
    }

    /// Reads an input.
    ///
    /// # Errors
    /// `NotFound` when it is gone; else when the disk fails.
    pub async fn input(&self, user: UserId, id: InputId) -> io::Result<Bytes> {
        tokio::fs::read(self.input_path(user, id)).await.map(Bytes::from)
    }

    /// Removes an input; does nothing where there is none.
    ///
    /// # Errors
    /// When the disk fails.
    pub async fn remove_input(&self, user: UserId, id: InputId) -> io::Result<()> {
        remove(self.input_path(user, id)).await
    }

    /// Stores a result under a fresh name, which is answered.
    ///
    /// # Errors
    /// When the disk fails.
    pub async fn put_result(&self, key: JobKey, bytes: Bytes) -> io::Result<String> {
        let name = format!("{}.{}", key.operation, Uuid::new_v4().simple());
        self.write(self.result_path(key.user, &name), bytes).await?;
        Ok(name)
    }

    /// Reads a result.
    ///
    /// # Errors
    /// `NotFound` when it is gone; else when the disk fails.
    pub async fn result(&self, user: UserId, name: &str) -> io::Result<Bytes> {
        tokio::fs::read(self.result_path(user, name)).await.map(Bytes::from)
    }

    /// Removes a result; does nothing where there is none.
    ///
    /// # Errors
    /// When the disk fails.
    pub async fn remove_result(&self, user: UserId, name: &str) -> io::Result<()> {
        remove(self.result_path(user, name)).await
    }

    /// Names of inputs that were written longer ago than `age`.
    ///
    /// # Errors
    /// When the disk fails.
    pub async fn inputs_older_than(&self, age: Duration) -> io::Result<Vec<(UserId, InputId)>> {
        let files = older_than(self.root.join("inputs"), age).await?;
        Ok(files.into_iter().filter_map(|(user, name)| Some((user, name.parse().ok()?))).collect())
    }

    /// Names of results that were written longer ago than `age`.
    ///
    /// # Errors
    /// When the disk fails.
    pub async fn results_older_than(&self, age: Duration) -> io::Result<Vec<(JobKey, String)>> {
        let files = older_than(self.root.join("results"), age).await?;
        let named = |(user, name): (UserId, String)| {
            let operation = name.split_once('.')?.0.parse().ok()?;
            Some((JobKey { user, operation }, name))
        };
        Ok(files.into_iter().filter_map(named).collect())
    }

    /// Removes what was left half written longer ago than `age`.
    ///
    /// # Errors
    /// When the disk fails.
    pub async fn remove_parts_older_than(&self, age: Duration) -> io::Result<()> {
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

    async fn write(&self, path: PathBuf, bytes: Bytes) -> io::Result<()> {
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

    fn input_path(&self, user: UserId, id: InputId) -> PathBuf {
        self.root.join("inputs").join(user.to_string()).join(id.to_string())
    }

    fn result_path(&self, user: UserId, name: &str) -> PathBuf {
        self.root.join("results").join(user.to_string()).join(name)
    }
}

/// Makes the names in a folder last.
fn sync(folder: &Path) -> io::Result<()> {
    std::fs::File::open(folder)?.sync_all()
}

async fn remove(path: PathBuf) -> io::Result<()> {
    match tokio::fs::remove_file(path).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

async fn older_than(kind: PathBuf, age: Duration) -> io::Result<Vec<(UserId, String)>> {
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

fn ago(age: Duration) -> SystemTime {
    SystemTime::now().checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    spawn_blocking(work).await.map_err(io::Error::other)?
}
