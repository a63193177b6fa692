//! AddText: draws on this machine, a few pictures at a time.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use proto::media::v1 as wire;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tonic::Streaming;
use wire::add_text_request::Part as AddTextPart;

use crate::add_text::Rendered;
use crate::domain::{InputId, UserId};

use super::convert::user;
use super::pieces::{self, Part, Split};
use super::service::Door;
use super::status::MediaError;
use super::style;

/// How long a picture waits to be drawn before the caller is told to come back.
const DRAW_WAIT: Duration = Duration::from_secs(5);

impl Part for wire::AddTextRequest {
    type Header = wire::AddTextHeader;

    fn split(self) -> Option<Split<Self::Header>> {
        Some(match self.part? {
            AddTextPart::Header(header) => Split::Header(header),
            AddTextPart::Piece(piece) => Split::Piece(piece),
        })
    }
}

pub(super) async fn draw(
    door: &Door,
    mut stream: Streaming<wire::AddTextRequest>,
) -> Result<Rendered, MediaError> {
    let header = pieces::header(&mut stream).await?;
    let user = user(header.user_id)?;
    let style = style::read(header.style)?;
    let preview_side_max = match header.preview_side_max {
        0 => None,
        side => {
            Some(u32::try_from(side).map_err(|_| MediaError::InvalidField("preview_side_max"))?)
        }
    };
    // Those that wait are bounded too: each holds a picture in memory.
    let _waiting = door.drawing_or_waiting.try_acquire().map_err(|_| MediaError::Busy)?;
    let picture = match header.input_id.as_str() {
        "" => pieces::collect(&mut stream).await?,
        id => stored(door, user, id).await?,
    };
    let place = Arc::clone(&door.drawing).acquire_owned();
    let place = match timeout(DRAW_WAIT, place).await {
        Ok(Ok(place)) => place,
        Ok(Err(_)) | Err(_) => return Err(MediaError::Busy),
    };
    let renderer = Arc::clone(&door.renderer);
    let rendered = spawn_blocking(move || {
        // Held until the drawing ends, also where the caller has gone.
        let _place = place;
        renderer.render(&picture, &header.text, &style, preview_side_max)
    })
    .await??;
    tracing::info!(user.id = %user, size_bytes = rendered.bytes.len(), "text drawn");
    Ok(rendered)
}

/// A picture that was uploaded before.
async fn stored(door: &Door, user: UserId, id: &str) -> Result<Bytes, MediaError> {
    let id: InputId = id.parse().map_err(|_| MediaError::InputNotFound)?;
    // What has no row is being removed.
    door.parts.store.input(user, id).await?.ok_or(MediaError::InputNotFound)?;
    match door.parts.pictures.input(user, id).await {
        Err(error) if error.kind() == ErrorKind::NotFound => Err(MediaError::InputNotFound),
        read => Ok(read?),
    }
}

/// The answer: a header, then pieces.
pub(super) fn answer(rendered: Rendered) -> Vec<Result<wire::AddTextResponse, tonic::Status>> {
    use wire::add_text_response::Part as AnswerPart;

    let header = wire::PictureHeader {
        content_type: rendered.content_type.to_owned(),
        size_bytes: i64::try_from(rendered.bytes.len()).unwrap_or(i64::MAX),
        width: i32::try_from(rendered.width).unwrap_or(i32::MAX),
        height: i32::try_from(rendered.height).unwrap_or(i32::MAX),
    };
    let pieces = pieces::cut(Bytes::from(rendered.bytes)).map(AnswerPart::Piece);
    std::iter::once(AnswerPart::Header(header))
        .chain(pieces)
        .map(|part| Ok(wire::AddTextResponse { part: Some(part) }))
        .collect()
}
