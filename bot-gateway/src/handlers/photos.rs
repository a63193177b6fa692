//! Pictures that answer a question, but for those of a merge.

use teloxide::types::Message;

use crate::dialogue::{Draft, Input, State};
use crate::keyboard;
use crate::mode::Mode;
use crate::pictures::{self, Brought};
use crate::talk::Talk;
use crate::text;

use super::error::HandlerError;
use super::{add_text, modes, other};

/// Takes the picture to work on.
pub async fn photo(
    talk: Talk,
    state: State,
    mut draft: Draft,
    message: Message,
) -> Result<(), HandlerError> {
    let Some(input) = receive(&talk, &state, &message).await? else { return Ok(()) };
    draft.inputs = vec![input];
    let caption = message.caption().map(str::trim).filter(|caption| !caption.is_empty());
    match (draft.mode, caption) {
        (Mode::Retouch | Mode::Upscale, _) => modes::start(&talk, state, &draft, "").await,
        (Mode::FaceSwap, _) => {
            talk.say(text::modes::ASK_FACE, Some(keyboard::cancel())).await?;
            talk.go(State::WaitFace(draft));
            Ok(())
        }
        (Mode::Edit, Some(caption)) => match modes::read_prompt(caption) {
            Ok(prompt) => modes::start(&talk, state, &draft, prompt).await,
            Err(said) => ask(&talk, &said, State::WaitPrompt(draft)).await,
        },
        (Mode::Edit, None) => {
            ask(&talk, text::modes::ASK_EDIT_PROMPT, State::WaitPrompt(draft)).await
        }
        (Mode::AddText, Some(caption)) => {
            talk.go(State::WaitText(draft.clone()));
            add_text::take(&talk, draft, caption).await
        }
        (Mode::AddText, None) => ask(&talk, text::modes::ASK_TEXT, State::WaitText(draft)).await,
        (Mode::Generate | Mode::Merge, _) => other::unexpected(talk, State::Idle).await,
    }
}

/// Takes the picture with the face.
pub async fn face(
    talk: Talk,
    state: State,
    mut draft: Draft,
    message: Message,
) -> Result<(), HandlerError> {
    let Some(input) = receive(&talk, &state, &message).await? else { return Ok(()) };
    // The same picture may be both the target and the face.
    draft.inputs.push(input);
    modes::start(&talk, state, &draft, "").await
}

async fn ask(talk: &Talk, said: &str, next: State) -> Result<(), HandlerError> {
    talk.say(said, Some(keyboard::cancel())).await?;
    talk.go(next);
    Ok(())
}

/// Takes a picture out of a message; where there is none, says so.
pub(super) async fn receive(
    talk: &Talk,
    state: &State,
    message: &Message,
) -> Result<Option<Input>, HandlerError> {
    let said = match pictures::brought(message) {
        Brought::Picture(incoming) => {
            match pictures::hand_over(&talk.app, talk.user_id, &incoming).await? {
                Ok(input) => return Ok(Some(input)),
                Err(said) => said,
            }
        }
        Brought::Unfit(said) => said,
        Brought::Nothing => text::modes::awaited(state),
    };
    talk.say(said, None).await?;
    Ok(None)
}
