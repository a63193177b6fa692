//! Pictures from and to Telegram.

use bytes::Bytes;
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use telegram_http::Body;
use telegram_http::multipart::{Form, Part};
use teloxide::ApiError;
use teloxide::types::{ChatId, InlineKeyboardMarkup, MessageId};

use crate::pictures::Picture;

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
        let file = match self.call("getFile", json!({ "file_id": file_id })).await {
            Ok(file) => file,
            Err(TelegramError::Refused(ApiError::Unknown(text)))
                if text.contains("file is too big") =>
            {
                return Err(DownloadError::TooLarge);
            }
            Err(TelegramError::Refused(error)) => return Err(DownloadError::Refused(error)),
            Err(error) => return Err(unknown(&error.to_string())),
        };
        let size = file.get("file_size").and_then(Value::as_u64).unwrap_or(0);
        if usize::try_from(size).map_or(true, |size| size > FILE_BYTES_MAX) {
            return Err(DownloadError::TooLarge);
        }
        let path = file.get("file_path").and_then(Value::as_str);
        let path = path.ok_or_else(|| unknown("the answer names no file"))?;
        let mut pieces = match self.wire.file(path).await {
            Ok(answer) => Box::pin(answer.bytes_stream()),
            Err(TelegramError::Refused(error)) => return Err(DownloadError::Refused(error)),
            Err(error) => return Err(unknown(&error.to_string())),
        };
        let mut bytes = Vec::new();
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|error| unknown(&self.wire.redacted(&error)))?;
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
    /// A picture of media-worker, to be sent with every pixel.
    pub fn original(picture: Picture) -> Self {
        Self {
            bytes: picture.bytes,
            content_type: picture.header.content_type,
            width: picture.header.width,
            height: picture.header.height,
            is_original_wanted: true,
        }
    }

    /// Whether it should be sent as a photo, which Telegram shows at once and recompresses.
    pub fn is_photo(&self) -> bool {
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

    /// The form that puts it into a message, by a name that the rest of the form refers to.
    pub(super) fn edit_form(
        &self,
        (chat, message): (ChatId, MessageId),
        html: &str,
        keyboard: &InlineKeyboardMarkup,
    ) -> Result<Form, TelegramError> {
        let kind = if self.is_photo() { UploadKind::Photo } else { UploadKind::Document };
        let media = json!({
            "type": kind.field(), "media": "attach://picture", "caption": html, "parse_mode": "HTML",
        });
        let form = Form::new()
            .text("chat_id", chat.0.to_string())
            .text("message_id", message.0.to_string())
            .text("media", media.to_string())
            .text("reply_markup", json!(keyboard).to_string());
        Ok(form.part("picture", self.part()?))
    }

    fn part(&self) -> Result<Part, TelegramError> {
        let (name, mime) = match self.content_type.as_str() {
            "image/png" => ("media-lab.png", "image/png"),
            "image/webp" => ("media-lab.webp", "image/webp"),
            _ => ("media-lab.jpg", "image/jpeg"),
        };
        let size = u64::try_from(self.bytes.len()).unwrap_or(u64::MAX);
        // The body shares the picture's memory.
        Part::stream_with_length(Body::from(self.bytes.clone()), size)
            .file_name(name)
            .mime_str(mime)
            .map_err(|error| TelegramError::Unknown(error.to_string()))
    }

    /// The form that sends it; `caption` comes with whether it is HTML.
    pub(super) fn form(
        &self,
        kind: UploadKind,
        chat: ChatId,
        (caption, is_html): (&str, bool),
        keyboard: Option<&InlineKeyboardMarkup>,
    ) -> Result<Form, TelegramError> {
        let file = self.part()?;
        let mut form =
            Form::new().text("chat_id", chat.0.to_string()).text("caption", caption.to_owned());
        if is_html {
            form = form.text("parse_mode", "HTML");
        }
        if let Some(keyboard) = keyboard {
            form = form.text("reply_markup", json!(keyboard).to_string());
        }
        Ok(form.part(kind.field(), file))
    }
}

/// A file to be sent that is no picture.
#[derive(Clone, Debug)]
pub struct Attachment {
    /// As the user sees it.
    pub name: String,
    /// Its media type.
    pub content_type: &'static str,
    /// What it holds.
    pub bytes: Bytes,
}

impl Attachment {
    /// The form that sends it.
    pub(super) fn form(&self, chat: ChatId, html: &str) -> Result<Form, TelegramError> {
        let size = u64::try_from(self.bytes.len()).unwrap_or(u64::MAX);
        let file = Part::stream_with_length(Body::from(self.bytes.clone()), size)
            .file_name(self.name.clone())
            .mime_str(self.content_type)
            .map_err(|error| TelegramError::Unknown(error.to_string()))?;
        Ok(Form::new()
            .text("chat_id", chat.0.to_string())
            .text("caption", html.to_owned())
            .text("parse_mode", "HTML")
            .part("document", file))
    }
}

/// In which form Telegram shows a picture.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum UploadKind {
    Photo,
    Document,
}

impl UploadKind {
    pub(super) fn method(self) -> &'static str {
        match self {
            Self::Photo => "sendPhoto",
            Self::Document => "sendDocument",
        }
    }

    fn field(self) -> &'static str {
        match self {
            Self::Photo => "photo",
            Self::Document => "document",
        }
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
