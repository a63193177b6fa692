//! Collecting the pictures of a merge. An album comes as so many messages, with no end: the user
//! says when all are there.

use teloxide::types::{Message, MessageId};

use crate::dialogue::{Draft, MERGE_MAX, MERGE_MIN, State};
use crate::keyboard;
use crate::pictures::{self, Brought};
use crate::talk::Talk;
use crate::telegram::TelegramError;
use crate::text;

use super::error::HandlerError;
use super::{modes, other, photos};

/// Takes one more picture; or the description, when there are enough of them.
pub async fn photo(
    talk: Talk,
    state: State,
    mut draft: Draft,
    message: Message,
) -> Result<(), HandlerError> {
    let incoming = match pictures::brought(&message) {
        Brought::Picture(incoming) => incoming,
        Brought::Nothing if message.text().is_some() && draft.inputs.len() >= MERGE_MIN => {
            return modes::prompt(talk, state, draft, message).await;
        }
        Brought::Nothing | Brought::Unfit(_) => {
            return photos::receive(&talk, &state, &message).await.map(drop);
        }
    };
    let is_known = draft.inputs.iter().any(|input| input.unique_id == incoming.unique_id);
    if !is_known && draft.inputs.len() >= MERGE_MAX {
        talk.say(text::modes::MERGE_FULL, None).await?;
        return Ok(());
    }
    if !is_known {
        let Some(input) = photos::receive(&talk, &state, &message).await? else { return Ok(()) };
        draft.add(input);
    }
    let caption = message.caption().and_then(|caption| modes::read_prompt(caption).ok());
    if let Some(caption) = caption {
        draft.caption = Some(caption.to_owned());
    }
    draft.counter_message = count(&talk, &draft).await?;
    talk.go(State::WaitPhotos(draft));
    Ok(())
}

/// Shows how many pictures there are, in one message that changes.
async fn count(talk: &Talk, draft: &Draft) -> Result<Option<i32>, HandlerError> {
    let number = draft.inputs.len();
    let said = text::modes::merge_counter(number, draft.caption.is_some());
    let keyboard = Some(keyboard::merge(draft.id, number));
    if let Some(id) = draft.counter_message {
        match talk.change(MessageId(id), &said, keyboard.clone()).await {
            // Deleted, or too old to be changed: a new one.
            Err(TelegramError::Refused(_)) => {}
            other => return Ok(other.map(|()| Some(id))?),
        }
    }
    let sent = talk.say(&said, keyboard).await?;
    Ok(sent.map(|id| id.0))
}

/// All pictures are there: asks for the description, or starts where it came with a picture.
pub async fn done(talk: Talk, state: State, draft: Draft) -> Result<(), HandlerError> {
    if draft.inputs.len() < MERGE_MIN {
        talk.say(text::modes::MERGE_TOO_FEW, None).await?;
        return Ok(());
    }
    if let Some(caption) = draft.caption.clone() {
        return modes::start(&talk, state, &draft, &caption).await;
    }
    talk.say(text::modes::ASK_MERGE_PROMPT, Some(keyboard::cancel())).await?;
    if let Some(id) = draft.counter_message
        && let Err(error) = talk.app.telegram.remove_buttons(talk.chat, MessageId(id)).await
    {
        tracing::debug!(error.cause = %error, "buttons of a used message stay");
    }
    talk.go(State::WaitPrompt(draft));
    Ok(())
}

/// Forgets the pictures.
pub async fn clear(talk: Talk, mut draft: Draft) -> Result<(), HandlerError> {
    draft.inputs.clear();
    draft.caption = None;
    if let Some(id) = draft.counter_message.take() {
        match talk.change(MessageId(id), text::modes::MERGE_CLEARED, None).await {
            Ok(()) => {}
            Err(TelegramError::Refused(_)) => {
                talk.say(text::modes::MERGE_CLEARED, None).await?;
            }
            Err(error) => return Err(error.into()),
        }
    } else {
        other::unexpected(talk.clone(), State::WaitPhotos(draft.clone())).await?;
    }
    talk.go(State::WaitPhotos(draft));
    Ok(())
}
