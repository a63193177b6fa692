//! The bytes of pictures: `inputs/<user>/<input>` and `results/<user>/<name>`, in a folder or in a
//! bucket.
//!
//! A picture is there, whole and lasting, before a row names it. Names are never reused, so a file
//! that is there is the one that the row means.

mod bucket;
mod folder;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use uuid::Uuid;

use crate::domain::{InputId, JobKey, UserId};

use bucket::Bucket;
pub use bucket::BucketAccess;
use folder::Folder;

const INPUTS: &str = "inputs";
const RESULTS: &str = "results";

/// Why the address of the picture store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PicturesError {
    /// Neither a folder's address nor a bucket's.
    #[error(
        "not the address of a folder or a bucket, which look like file://media-lab-results and \
         s3://bucket/prefix"
    )]
    BadUrl,
    /// It cannot be written.
    #[error("the folder {0} cannot be written: {1}")]
    NotWritable(PathBuf, #[source] io::Error),
    /// It is not as the settings say.
    #[error("the bucket {bucket} cannot be used, check it and the AWS_… settings: {cause}")]
    BadBucket {
        /// Its name.
        bucket: String,
        /// What the store said.
        cause: String,
    },
}

/// Where pictures lie. Clones are the same place.
#[derive(Clone, Debug)]
pub struct PictureStore {
    place: Place,
}

#[derive(Clone, Debug)]
enum Place {
    Folder(Folder),
    Bucket(Bucket),
}

impl PictureStore {
    /// Opens the folder behind `file://<folder>`, and makes it where it is missing; or the bucket
    /// behind `s3://<bucket>/<prefix>`, which must be there.
    ///
    /// # Errors
    /// When it is no such address, the folder cannot be written, or the bucket is not there or not
    /// ours. A bucket that does not answer is not an error: it is used when it does.
    pub async fn open(url: &str, access: &BucketAccess) -> Result<Self, PicturesError> {
        let place = match url.split_once("://") {
            Some(("file", path)) if !path.is_empty() => Place::Folder(Folder::open(path)?),
            Some(("s3", path)) => Place::Bucket(Bucket::open(path, access).await?),
            _ => return Err(PicturesError::BadUrl),
        };
        Ok(Self { place })
    }

    /// Stores an input.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn put_input(&self, user: UserId, id: InputId, bytes: Bytes) -> io::Result<()> {
        self.put(&path(INPUTS, user, &id.to_string()), bytes).await
    }

    /// Reads an input.
    ///
    /// # Errors
    /// `NotFound` when it is gone; else when the store fails.
    pub async fn input(&self, user: UserId, id: InputId) -> io::Result<Bytes> {
        self.get(&path(INPUTS, user, &id.to_string())).await
    }

    /// Removes an input; does nothing where there is none.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn remove_input(&self, user: UserId, id: InputId) -> io::Result<()> {
        self.remove(&path(INPUTS, user, &id.to_string())).await
    }

    /// Stores a result under a fresh name, which is answered.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn put_result(&self, key: JobKey, bytes: Bytes) -> io::Result<String> {
        let name = format!("{}.{}", key.operation, Uuid::new_v4().simple());
        self.put(&path(RESULTS, key.user, &name), bytes).await?;
        Ok(name)
    }

    /// Reads a result.
    ///
    /// # Errors
    /// `NotFound` when it is gone; else when the store fails.
    pub async fn result(&self, user: UserId, name: &str) -> io::Result<Bytes> {
        self.get(&path(RESULTS, user, name)).await
    }

    /// Removes a result; does nothing where there is none.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn remove_result(&self, user: UserId, name: &str) -> io::Result<()> {
        self.remove(&path(RESULTS, user, name)).await
    }

    /// Names of inputs that were written longer ago than `age`.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn inputs_older_than(&self, age: Duration) -> io::Result<Vec<(UserId, InputId)>> {
        let files = self.older_than(INPUTS, age).await?;
        Ok(files.into_iter().filter_map(|(user, name)| Some((user, name.parse().ok()?))).collect())
    }

    /// Names of results that were written longer ago than `age`.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn results_older_than(&self, age: Duration) -> io::Result<Vec<(JobKey, String)>> {
        let files = self.older_than(RESULTS, age).await?;
        let named = |(user, name): (UserId, String)| {
            let operation = name.split_once('.')?.0.parse().ok()?;
            Some((JobKey { user, operation }, name))
        };
        Ok(files.into_iter().filter_map(named).collect())
    }

    /// Removes what was left half written longer ago than `age`.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn remove_parts_older_than(&self, age: Duration) -> io::Result<()> {
        match &self.place {
            Place::Folder(folder) => folder.remove_parts_older_than(age).await,
            // It takes an object whole or not at all.
            Place::Bucket(_) => Ok(()),
        }
    }

    async fn put(&self, path: &str, bytes: Bytes) -> io::Result<()> {
        match &self.place {
            Place::Folder(folder) => folder.put(path, bytes).await,
            Place::Bucket(bucket) => bucket.put(path, bytes).await,
        }
    }

    async fn get(&self, path: &str) -> io::Result<Bytes> {
        match &self.place {
            Place::Folder(folder) => folder.get(path).await,
            Place::Bucket(bucket) => bucket.get(path).await,
        }
    }

    async fn remove(&self, path: &str) -> io::Result<()> {
        match &self.place {
            Place::Folder(folder) => folder.remove(path).await,
            Place::Bucket(bucket) => bucket.remove(path).await,
        }
    }

    async fn older_than(&self, kind: &str, age: Duration) -> io::Result<Vec<(UserId, String)>> {
        match &self.place {
            Place::Folder(folder) => folder.older_than(kind, age).await,
            Place::Bucket(bucket) => bucket.older_than(kind, age).await,
        }
    }
}

fn path(kind: &str, user: UserId, name: &str) -> String {
    format!("{kind}/{user}/{name}")
}
