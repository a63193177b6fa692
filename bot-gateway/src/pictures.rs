//! Pictures between Telegram and media-worker: in pieces of 64 KiB, checked on the way.

use std::path::Path;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use proto::client::call;
use proto::media::v1::{
    AddTextHeader, AddTextRequest, FetchResultRequest, PictureHeader, UploadInputHeader,
    UploadInputRequest, add_text_request, add_text_response, fetch_result_response,
    upload_input_request,
};
use proto::reason;
use teloxide::types::Message;
use tokio_stream::StreamExt as _;
use tonic::{Response, Status};

use crate::app::App;
use crate::dialogue::{Draft, Input};
use crate::handlers::error::HandlerError;
use crate::telegram::{DownloadError, FILE_BYTES_MAX, TelegramError};
use crate::text;

/// media-worker takes no larger pieces.
const PIECE_BYTES: usize = 64 * 1024;
/// Long enough for 20 MB, short enough for a user who waits.
const TRANSFER_DEADLINE: Duration = Duration::from_secs(20);
/// What is taken for a picture by its name, where the sender did not say its type.
const EXTENSIONS: [&str; 8] = ["jpg", "jpeg", "png", "webp", "heic", "heif", "bmp", "gif"];

/// A picture that a message brings.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Incoming {
    /// For the download.
    pub file_id: String,
    /// Names the content.
    pub unique_id: String,
    /// The message that brings it.
    pub message_id: i32,
}

/// What a message brings, where a picture is awaited.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Brought {
    /// A picture.
    Picture(Incoming),
    /// A file that is no picture, or too large, and the sentence for the user.
    Unfit(&'static str),
    /// No file at all.
    Nothing,
}

/// Looks for a picture in a message: a photo, or a file that says it is a picture.
pub fn brought(message: &Message) -> Brought {
    let file = if let Some(largest) = message.photo().and_then(|sizes| {
        sizes.iter().max_by_key(|size| u64::from(size.width) * u64::from(size.height))
    }) {
        &largest.file
    } else if let Some(document) = message.document() {
        // A sender that does not say what it is, or says only that it is bytes, may mean a picture:
        // media-worker looks at the bytes.
        let may_be_picture = match &document.mime_type {
            Some(mime) => {
                mime.type_() == "image" || mime.essence_str() == "application/octet-stream"
            }
            None => true,
        };
        if !may_be_picture && !document.file_name.as_deref().is_some_and(has_picture_name) {
            return Brought::Unfit(text::problems::NOT_A_PICTURE);
        }
        &document.file
    } else {
        return Brought::Nothing;
    };
    // Telegram may leave the size out; then it is `u32::MAX`, and the download counts.
    let is_told = file.size != u32::MAX;
    if is_told && usize::try_from(file.size).is_ok_and(|size| size > FILE_BYTES_MAX) {
        return Brought::Unfit(text::problems::FILE_TOO_LARGE);
    }
    Brought::Picture(Incoming {
        file_id: file.id.0.clone(),
        unique_id: file.unique_id.0.clone(),
        message_id: message.id.0,
    })
}

fn has_picture_name(name: &str) -> bool {
    let extension = Path::new(name).extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| EXTENSIONS.contains(&extension.to_lowercase().as_str()))
}

/// A picture, or the sentence that says why there is none.
pub type Fit<T> = Result<T, &'static str>;

/// Downloads a picture from Telegram and hands it to media-worker, which checks it.
pub async fn hand_over(
    app: &App,
    user_id: i64,
    incoming: &Incoming,
) -> Result<Fit<Input>, HandlerError> {
    let _place = app.incoming.acquire().await;
    let bytes = match download(app, &incoming.file_id).await? {
        Ok(bytes) => bytes,
        Err(said) => return Ok(Err(said)),
    };
    Ok(upload(app, user_id, &bytes).await?.map(|input_id| Input {
        input_id,
        file_id: incoming.file_id.clone(),
        unique_id: incoming.unique_id.clone(),
        message_id: incoming.message_id,
    }))
}

/// Hands a picture to media-worker, which checks it; answers with how it is called there.
pub async fn upload(app: &App, user_id: i64, bytes: &Bytes) -> Result<Fit<String>, HandlerError> {
    let header = upload_input_request::Part::Header(UploadInputHeader { user_id });
    let parts = std::iter::once(header)
        .chain(pieces(bytes).map(upload_input_request::Part::Piece))
        .map(|part| UploadInputRequest { part: Some(part) })
        .collect::<Vec<_>>();
    let answer = call(TRANSFER_DEADLINE, parts, |request| {
        let mut media = app.media.streaming();
        async move { media.upload_input(request.map(tokio_stream::iter)).await }
    })
    .await;
    match answer {
        Ok(answer) => Ok(Ok(answer.input_id)),
        Err(status) => unfit(status, "UploadInput"),
    }
}

/// A picture as media-worker gives it out.
#[derive(Clone, Debug)]
pub struct Picture {
    /// What it is.
    pub header: PictureHeader,
    /// Its bytes.
    pub bytes: Bytes,
}

/// Why a text was not drawn, or the picture with it.
pub async fn add_text(
    app: &App,
    user_id: i64,
    draft: &Draft,
    preview_side_max: i32,
) -> Result<Fit<Picture>, HandlerError> {
    let Some(input) = draft.inputs.first() else { return Ok(Err(text::problems::PHOTO_LOST)) };
    let header = AddTextHeader {
        user_id,
        text: draft.text.clone(),
        style: Some(draft.style.0.clone()),
        preview_side_max,
        input_id: input.input_id.clone(),
    };
    match draw(app, header.clone(), &Bytes::new()).await {
        Err(status) if reason::of(&status).as_deref() == Some(reason::INPUT_NOT_FOUND) => {}
        answer => return drawn(answer),
    }
    // media-worker has forgotten it; Telegram keeps it longer.
    let _place = app.incoming.acquire().await;
    let bytes = match download(app, &input.file_id).await? {
        Ok(bytes) => bytes,
        Err(said) => return Ok(Err(said)),
    };
    drawn(draw(app, AddTextHeader { input_id: String::new(), ..header }, &bytes).await)
}

fn drawn(answer: Result<Picture, Status>) -> Result<Fit<Picture>, HandlerError> {
    match answer {
        Ok(picture) => Ok(Ok(picture)),
        Err(status) => unfit(status, "AddText"),
    }
}

async fn draw(app: &App, header: AddTextHeader, bytes: &Bytes) -> Result<Picture, Status> {
    let parts = std::iter::once(add_text_request::Part::Header(header))
        .chain(pieces(bytes).map(add_text_request::Part::Piece))
        .map(|part| AddTextRequest { part: Some(part) })
        .collect::<Vec<_>>();
    call(TRANSFER_DEADLINE, parts, |request| {
        let mut media = app.media.streaming();
        async move {
            let mut stream = media.add_text(request.map(tokio_stream::iter)).await?.into_inner();
            let mut picture = Collected::default();
            while let Some(message) = stream.message().await? {
                match message.part {
                    Some(add_text_response::Part::Header(header)) => picture.header = Some(header),
                    Some(add_text_response::Part::Piece(piece)) => picture.add(&piece)?,
                    None => {}
                }
            }
            picture.whole().map(Response::new)
        }
    })
    .await
}

/// Reads the picture that a job made.
pub async fn fetch_result(app: &App, user_id: i64, operation_id: &str) -> Result<Picture, Status> {
    let request = FetchResultRequest { user_id, operation_id: operation_id.to_owned() };
    call(TRANSFER_DEADLINE, request, |request| {
        let mut media = app.media.streaming();
        async move {
            let mut stream = media.fetch_result(request).await?.into_inner();
            let mut picture = Collected::default();
            while let Some(message) = stream.next().await.transpose()? {
                match message.part {
                    Some(fetch_result_response::Part::Header(header)) => {
                        picture.header = Some(header);
                    }
                    Some(fetch_result_response::Part::Piece(piece)) => picture.add(&piece)?,
                    None => {}
                }
            }
            picture.whole().map(Response::new)
        }
    })
    .await
}

async fn download(app: &App, file_id: &str) -> Result<Fit<Bytes>, HandlerError> {
    match app.telegram.download(file_id).await {
        Ok(bytes) => Ok(Ok(Bytes::from(bytes))),
        Err(DownloadError::TooLarge) => Ok(Err(text::problems::FILE_TOO_LARGE)),
        Err(DownloadError::Refused(error)) => {
            tracing::warn!(error.cause = ?error, "telegram does not give a file");
            Ok(Err(text::problems::DOWNLOAD_FAILED))
        }
        Err(DownloadError::Unknown(cause)) => {
            Err(HandlerError::Telegram(TelegramError::Unknown(cause)))
        }
    }
}

fn unfit<T>(status: Status, name: &'static str) -> Result<Fit<T>, HandlerError> {
    match reason::of(&status).as_deref() {
        Some(reason::NOT_A_PICTURE) => Ok(Err(text::problems::NOT_A_PICTURE)),
        Some(reason::PICTURE_TOO_LARGE) => Ok(Err(text::problems::FILE_TOO_LARGE)),
        Some(reason::PICTURE_DIMENSIONS) => Ok(Err(text::problems::PICTURE_DIMENSIONS)),
        Some(reason::TEXT_MISSING) => Ok(Err(text::modes::TEXT_EMPTY)),
        Some(reason::TEXT_TOO_LONG) => Ok(Err(text::modes::TEXT_TOO_LONG)),
        Some(reason::TEXT_DOES_NOT_FIT) => Ok(Err(text::modes::TEXT_DOES_NOT_FIT)),
        Some(reason::TEXT_CHARACTERS_MISSING) => Ok(Err(text::modes::TEXT_CHARACTERS_MISSING)),
        Some(reason::BUSY) => Ok(Err(text::problems::BUSY)),
        _ => Err(HandlerError::of(name)(status)),
    }
}

fn pieces(bytes: &Bytes) -> impl Iterator<Item = Bytes> {
    (0..bytes.len())
        .step_by(PIECE_BYTES)
        .map(|at| bytes.slice(at..bytes.len().min(at + PIECE_BYTES)))
}

#[derive(Debug, Default)]
struct Collected {
    header: Option<PictureHeader>,
    bytes: BytesMut,
}

impl Collected {
    fn add(&mut self, piece: &[u8]) -> Result<(), Status> {
        if self.bytes.len() + piece.len() > FILE_BYTES_MAX {
            return Err(Status::internal("the picture is larger than it may be"));
        }
        self.bytes.extend_from_slice(piece);
        Ok(())
    }

    /// A stream that ended early is a broken one: the same call again.
    fn whole(self) -> Result<Picture, Status> {
        let header = self.header.ok_or_else(|| Status::internal("no header came"))?;
        if usize::try_from(header.size_bytes) != Ok(self.bytes.len()) {
            return Err(Status::unavailable("the picture ended early"));
        }
        Ok(Picture { header, bytes: self.bytes.freeze() })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn message(mut content: serde_json::Value) -> Message {
        content["message_id"] = 1.into();
        content["date"] = 1.into();
        content["chat"] = json!({"id": 1, "type": "private", "first_name": "А"});
        serde_json::from_value(content).unwrap()
    }

    fn document(name: &str, mime: Option<&str>, size: Option<u32>) -> Brought {
        let mut document = json!({"file_id": "f", "file_unique_id": "u", "file_name": name});
        if let Some(mime) = mime {
            document["mime_type"] = mime.into();
        }
        if let Some(size) = size {
            document["file_size"] = size.into();
        }
        brought(&message(json!({"document": document})))
    }

    #[test]
    fn finds_pictures_sent_as_photos_and_as_files() {
        let picture = Brought::Picture(Incoming {
            file_id: "f".to_owned(),
            unique_id: "u".to_owned(),
            message_id: 1,
        });
        let small = json!({"file_id": "s", "file_unique_id": "s", "width": 1, "height": 1});
        let large = json!({"file_id": "f", "file_unique_id": "u", "width": 9, "height": 9});

        assert_eq!(brought(&message(json!({"photo": [small, large]}))), picture);
        assert_eq!(brought(&message(json!({"photo": [large, small]}))), picture);
        assert_eq!(document("a.bin", Some("image/png"), Some(5)), picture);
        assert_eq!(document("А.JPG", None, None), picture);
        assert_eq!(document("photo", None, None), picture);
        assert_eq!(document("photo.bin", Some("application/octet-stream"), None), picture);
        assert_eq!(document("a.png", Some("text/plain"), None), picture);
        assert_eq!(brought(&message(json!({"text": "привет"}))), Brought::Nothing);
    }

    #[test]
    fn says_at_once_what_cannot_be_used() {
        let thirty_megabytes = Some(30 * 1024 * 1024);

        let large = document("a.jpg", Some("image/jpeg"), thirty_megabytes);
        assert_eq!(large, Brought::Unfit(text::problems::FILE_TOO_LARGE));
        let table = document("a.xlsx", Some("application/vnd.ms-excel"), Some(5));
        assert_eq!(table, Brought::Unfit(text::problems::NOT_A_PICTURE));
    }

    #[test]
    fn pieces_make_the_whole() {
        let bytes = Bytes::from(vec![7; PIECE_BYTES * 2 + 1]);

        let lengths: Vec<_> = pieces(&bytes).map(|piece| piece.len()).collect();

        assert_eq!(lengths, [PIECE_BYTES, PIECE_BYTES, 1]);
    }
}
