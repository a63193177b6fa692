//! UploadInput: the same bytes of the same user are one input.

use bytes::Bytes;
use proto::media::v1 as wire;
use sha2::{Digest as _, Sha256};
use tokio::task::spawn_blocking;
use tonic::Streaming;
use wire::upload_input_request::Part as UploadPart;

use crate::clock::now_ms;
use crate::domain::{InputId, UserId};
use crate::store::{Input, StoreError};

use super::convert::{number, user};
use super::pieces::{self, Part, Split};
use super::service::Door;
use super::status::MediaError;

impl Part for wire::UploadInputRequest {
    type Header = wire::UploadInputHeader;

    fn split(self) -> Option<Split<Self::Header>> {
        Some(match self.part? {
            UploadPart::Header(header) => Split::Header(header),
            UploadPart::Piece(piece) => Split::Piece(piece),
        })
    }
}

pub(super) async fn upload(
    door: &Door,
    mut stream: Streaming<wire::UploadInputRequest>,
) -> Result<wire::UploadInputResponse, MediaError> {
    let user = user(pieces::header(&mut stream).await?.user_id)?;
    // Bounds the memory that pictures in transit take; the others wait unread.
    let _place = door.uploading.acquire().await.map_err(|_| MediaError::Busy)?;
    let bytes = pieces::collect(&mut stream).await?;
    let picture = door.parts.inspector.inspect(bytes.clone()).await??;
    let hashed = bytes.clone();
    let sha256 = spawn_blocking(move || hex::encode(Sha256::digest(&hashed))).await?;
    let new = Input {
        id: InputId::fresh(),
        content_type: picture.format.content_type().to_owned(),
        size: i64::try_from(bytes.len()).unwrap_or(i64::MAX),
        width: i64::from(picture.width),
        height: i64::from(picture.height),
    };
    let input = keep(door, user, new, &sha256, bytes).await?;
    Ok(wire::UploadInputResponse {
        input_id: input.id.to_string(),
        content_type: input.content_type,
        width: number(input.width),
        height: number(input.height),
    })
}

async fn keep(
    door: &Door,
    user: UserId,
    new: Input,
    sha256: &str,
    bytes: Bytes,
) -> Result<Input, MediaError> {
    let (store, pictures) = (&door.parts.store, &door.parts.pictures);
    if let Some(known) = store.touch_input(user, sha256, now_ms()).await? {
        return Ok(known);
    }
    // The file before the row: a row always has its file.
    pictures.put_input(user, new.id, bytes).await?;
    if store.insert_input(user, sha256, &new, now_ms()).await? {
        tracing::info!(user.id = %user, input.id = %new.id, size_bytes = new.size, "input stored");
        return Ok(new);
    }
    // The same bytes came at the same moment, and the other one was first.
    pictures.remove_input(user, new.id).await?;
    let known = store.touch_input(user, sha256, now_ms()).await?;
    known.ok_or(StoreError::Unreadable("sha256").into())
}
