//! Why a text was not drawn.

use crate::picture::{BYTES_MAX, PictureError};

/// Why a text was not drawn. Nothing here gets better by trying again.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AddTextError {
    #[error(transparent)]
    Picture(#[from] PictureError),
    #[error("there is no text to draw")]
    TextMissing,
    #[error("the text is longer than {max} characters")]
    TextTooLong { max: usize },
    /// Drawn so small, it could not be read.
    #[error("the text is too long for this picture: shorten it, or use fewer lines")]
    TextDoesNotFit,
    /// No loaded font has them. The message quotes the user's text: it is answered, and not logged.
    #[error("the fonts have no such characters: {characters}")]
    CharactersMissing { characters: String },
    #[error("the result is larger than {} MiB: use a smaller picture", BYTES_MAX / (1024 * 1024))]
    ResultTooLarge,
    /// Our own mistake, unlike the others.
    #[error("the result could not be written as {0}")]
    Encode(&'static str),
}
