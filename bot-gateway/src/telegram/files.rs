//! Pictures from and to Telegram.

use bytes::Bytes;
use futures_util::StreamExt as _;
use teloxide::ApiError;
use teloxide::net::Download as _;
use teloxide::prelude::Requester as _;
use teloxide::types::{FileId, InputFile};

use super::calls::Telegram;
use super::error::TelegramError;

/// Telegram gives bots no larger files.
pub const FILE_BYTES_MAX: usize = 20 * 1024 * 1024;

/// Telegram takes no larger photos.
const PHOTO_BYTES_MAX: usize = 10 * 1024 * 1024;
const PHOTO_SIDES_SUM_MAX: i64 = 10_000;
const PHOTO_RATIO_MAX: i64 = 20;

/// Why a file was not downloaded.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DownloadError {
    #[error("the file is too large")]
    TooLarge,
    /// Telegram no longer has it, or will not give it.
    #[error("telegram does not give the file: {0}")]
    Refused(ApiError),
    #[error("the file could not be downloaded: {0}")]
    Unknown(String),
}

impl Telegram {
    /// Downloads a file of at most [`FILE_BYTES_MAX`].
    pub async fn download(&self, file_id: &str) -> Result<Vec<u8>, DownloadError> {
        let file = match self.call(|| self.quick.get_file(FileId(file_id.to_owned()))).await {
            Ok(answer) => answer.done.ok_or_else(|| unknown("the answer cannot be read"))?,
            Err(TelegramError::Refused(ApiError::Unknown(text)))
                if text.contains("file is too big") =>
            {
                return Err(DownloadError::TooLarge);
            }
            Err(TelegramError::Refused(error)) => return Err(DownloadError::Refused(error)),
            Err(error) => return Err(unknown(&error.to_string())),
        };
        let mut pieces = Box::pin(self.transfer.download_file_stream(&file.path));
        let mut bytes = Vec::new();
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|error| unknown(&self.redacted(&error)))?;
            if bytes.len() + piece.len() > FILE_BYTES_MAX {
                return Err(DownloadError::TooLarge);
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }
}

fn unknown(cause: &str) -> DownloadError {
    DownloadError::Unknown(cause.to_owned())
}

/// A picture to be sent.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// The picture.
    pub bytes: Bytes,
    /// `image/jpeg`, `image/png` or `image/webp`.
    pub content_type: String,
    /// In pixels.
    pub width: i32,
    /// In pixels.
    pub height: i32,
    /// Every pixel matters: Telegram must not make a JPEG of it.
    pub is_original_wanted: bool,
}

impl Outgoing {
    /// Whether it should be sent as a photo, which Telegram shows at once and recompresses.
    pub(super) fn is_photo(&self) -> bool {
        let (width, height) = (i64::from(self.width.max(1)), i64::from(self.height.max(1)));
        !self.is_original_wanted
            && !self.has_transparency()
            && self.bytes.len() <= PHOTO_BYTES_MAX
            && width + height <= PHOTO_SIDES_SUM_MAX
            && width.max(height) <= PHOTO_RATIO_MAX * width.min(height)
    }

    /// Whether it is a PNG with an alpha channel, as its header says.
    fn has_transparency(&self) -> bool {
        const COLOUR_TYPE_AT: usize = 25;
        self.content_type == "image/png"
            && self.bytes.get(COLOUR_TYPE_AT).is_some_and(|colour| matches!(colour, 4 | 6))
    }

    pub(super) fn input_file(&self) -> InputFile {
        let name = match self.content_type.as_str() {
            "image/png" => "media-lab.png",
            "image/webp" => "media-lab.webp",
            _ => "media-lab.jpg",
        };
        InputFile::memory(self.bytes.clone()).file_name(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(content_type: &str, width: i32, height: i32) -> Outgoing {
        Outgoing {
            bytes: Bytes::from(vec![0; 64]),
            content_type: content_type.to_owned(),
            width,
            height,
            is_original_wanted: false,
        }
    }

    #[test]
    fn what_telegram_shows_badly_is_sent_as_a_file() {
        assert!(picture("image/jpeg", 1024, 768).is_photo());
        assert!(!picture("image/jpeg", 6000, 4001).is_photo(), "too many pixels");
        assert!(!picture("image/jpeg", 2100, 100).is_photo(), "too long");
        assert!(!Outgoing { is_original_wanted: true, ..picture("image/jpeg", 9, 9) }.is_photo());

        let mut png = vec![0; 64];
        png[25] = 6;
        let png = Outgoing { bytes: png.into(), ..picture("image/png", 9, 9) };
        assert!(!png.is_photo(), "transparent");
        let large = vec![0; PHOTO_BYTES_MAX + 1];
        assert!(!Outgoing { bytes: large.into(), ..picture("image/jpeg", 9, 9) }.is_photo());
    }
}
