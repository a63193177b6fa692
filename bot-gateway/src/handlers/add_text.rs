//! Text onto a picture: free, and answered at once.

use teloxide::types::Message;

use crate::dialogue::{Draft, State};
use crate::keyboard;
use crate::mode::Mode;
use crate::pictures;
use crate::talk::Talk;
use crate::telegram::Outgoing;
use crate::text;

use super::error::HandlerError;
use super::other;

/// media-worker draws no longer texts.
const TEXT_CHARACTERS_MAX: usize = 500;

/// Takes the text.
pub async fn text(
    talk: Talk,
    state: State,
    draft: Draft,
    message: Message,
) -> Result<(), HandlerError> {
    match message.text() {
        Some(text) => draw(&talk, &draft, text).await,
        None => other::unexpected(talk, state).await,
    }
}

/// Draws the text and sends the picture. The question stays where the text cannot be drawn.
pub(super) async fn draw(talk: &Talk, draft: &Draft, drawn: &str) -> Result<(), HandlerError> {
    let drawn = drawn.trim();
    if drawn.is_empty() {
        talk.say(text::modes::TEXT_EMPTY, None).await?;
        return Ok(());
    }
    if drawn.chars().count() > TEXT_CHARACTERS_MAX {
        talk.say(text::modes::TEXT_TOO_LONG, None).await?;
        return Ok(());
    }
    let Some(input) = draft.inputs.first() else {
        return other::unexpected(talk.clone(), State::Idle).await;
    };
    // Held until the picture is sent: few are in memory at once.
    let _place = talk.app.outgoing.acquire().await;
    let picture = pictures::add_text(&talk.app, talk.user_id, &input.file_id, drawn).await?;
    let picture = match picture {
        Ok(picture) => picture,
        Err(said) => {
            talk.say(said, None).await?;
            return Ok(());
        }
    };
    let picture = Outgoing {
        bytes: picture.bytes,
        content_type: picture.header.content_type,
        width: picture.header.width,
        height: picture.header.height,
        is_original_wanted: false,
    };
    let keyboard = keyboard::after_result(Mode::AddText);
    let said = text::modes::DRAWING_TEXT_DONE;
    talk.app.telegram.send_picture(talk.chat, &picture, said, Some(keyboard)).await?;
    tracing::info!(user.id = talk.user_id, "text added to a picture");
    talk.go(State::Idle);
    Ok(())
}
