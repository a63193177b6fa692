//! Gets the pictures of an input: from our own CDN, from a data URI, or from wherever they are.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::Url;

use super::emulator::Fal;
use super::error::Kind;

/// Largest file that is downloaded.
const FILE_MAX: usize = 50 << 20;
/// Longest data URI and longest URL, in characters.
const DATA_URI_MAX: usize = 10 << 20;
const URL_MAX: usize = 2048;

impl Fal {
    /// The bytes behind a URL.
    pub(super) async fn download(&self, text: &str) -> Result<Vec<u8>, Kind> {
        if let Some(data) = text.strip_prefix("data:") {
            return data_uri(data);
        }
        if text.len() > URL_MAX {
            return Err(Kind::FileDownload);
        }
        let url = Url::parse(text).map_err(|_| Kind::FileDownload)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Kind::FileDownload);
        }
        if let Some(blob) = self.own_file(&url) {
            return tokio::fs::read(blob).await.map_err(|_| Kind::FileDownload);
        }
        if url.host_str().is_some_and(|host| host.ends_with("fal.media")) {
            return Err(Kind::FileDownload);
        }
        self.fetch(url).await
    }

    /// A file of our own CDN lies on this disk, whatever name the caller has for us.
    fn own_file(&self, url: &Url) -> Option<std::path::PathBuf> {
        let host = url.host_str()?;
        let ours = host.ends_with("fal.media")
            || host.ends_with("fal.run")
            || matches!(host, "localhost" | "127.0.0.1" | "[::1]");
        let (_, path) = url.path().split_once("/files/")?;
        self.live_file(path).filter(|_| ours).map(|file| self.blobs.join(file.blob))
    }

    async fn fetch(&self, url: Url) -> Result<Vec<u8>, Kind> {
        let answer = self.http.get(url).send().await.map_err(|_| Kind::FileDownload)?;
        let mut answer = answer.error_for_status().map_err(|_| Kind::FileDownload)?;
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|_| Kind::FileDownload)? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > FILE_MAX {
                return Err(Kind::FileTooLarge);
            }
        }
        Ok(bytes)
    }
}

fn data_uri(data: &str) -> Result<Vec<u8>, Kind> {
    if data.len() > DATA_URI_MAX {
        return Err(Kind::FileTooLarge);
    }
    let encoded = data.split_once(";base64,").ok_or(Kind::FileDownload)?.1;
    STANDARD.decode(encoded).map_err(|_| Kind::FileDownload)
}
