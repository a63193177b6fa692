//! Pictures in pieces: collecting them from a stream, and cutting them for one.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::time::timeout;
use tonic::Streaming;

use crate::picture::{BYTES_MAX, PictureError};

use super::status::MediaError;

/// The largest piece, in both directions.
pub(super) const PIECE_MAX: usize = 64 * 1024;
/// A caller that sends nothing for so long is gone.
const PIECE_TIMEOUT: Duration = Duration::from_secs(30);

/// One message of a stream: a header first, then pieces.
pub(super) trait Part {
    /// What comes first.
    type Header;

    /// Takes the message apart; `None` is an empty message.
    fn split(self) -> Option<Split<Self::Header>>;
}

/// Either of the two.
pub(super) enum Split<H> {
    Header(H),
    Piece(Bytes),
}

/// The next message, if the stream goes on.
async fn next<P: Part>(stream: &mut Streaming<P>) -> Result<Option<Split<P::Header>>, MediaError> {
    let message = match timeout(PIECE_TIMEOUT, stream.message()).await {
        Ok(message) => message.map_err(MediaError::Stream)?,
        Err(_elapsed) => {
            let late = tonic::Status::deadline_exceeded("no piece for too long");
            return Err(MediaError::Stream(late));
        }
    };
    match message {
        Some(message) => message.split().map(Some).ok_or(MediaError::InvalidField("part")),
        None => Ok(None),
    }
}

/// Reads the header, which is the first message.
pub(super) async fn header<P: Part>(stream: &mut Streaming<P>) -> Result<P::Header, MediaError> {
    match next(stream).await? {
        Some(Split::Header(header)) => Ok(header),
        Some(Split::Piece(_)) | None => Err(MediaError::InvalidField("header")),
    }
}

/// Reads the pieces, and no more than a picture may have.
pub(super) async fn collect<P: Part>(stream: &mut Streaming<P>) -> Result<Bytes, MediaError> {
    let mut whole = BytesMut::new();
    while let Some(part) = next(stream).await? {
        match part {
            Split::Piece(piece) if piece.len() <= PIECE_MAX => {
                if whole.len() + piece.len() > BYTES_MAX {
                    return Err(PictureError::TooLarge.into());
                }
                whole.extend_from_slice(&piece);
            }
            Split::Piece(_) => return Err(MediaError::InvalidField("piece")),
            Split::Header(_) => return Err(MediaError::InvalidField("header")),
        }
    }
    Ok(whole.freeze())
}

/// Cuts a picture into pieces.
pub(super) fn cut(mut whole: Bytes) -> impl Iterator<Item = Bytes> {
    std::iter::from_fn(move || {
        let piece = whole.split_to(whole.len().min(PIECE_MAX));
        if piece.is_empty() { None } else { Some(piece) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_picture_is_whole_again() {
        for length in [0, 1, PIECE_MAX, PIECE_MAX + 1, 3 * PIECE_MAX] {
            let whole = Bytes::from(vec![7; length]);
            let pieces: Vec<Bytes> = cut(whole.clone()).collect();
            assert!(pieces.iter().all(|piece| piece.len() <= PIECE_MAX));
            assert_eq!(pieces.concat(), whole);
        }
    }
}
