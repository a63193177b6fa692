//! What can be done with a result: again, with another description, as the input of another mode,
//! and the file itself.

use proto::reason;
use teloxide::types::InlineKeyboardMarkup;
use tonic::Status;
use uuid::Uuid;

use crate::dialogue::{Draft, Input, State, intent};
use crate::keyboard;
use crate::mode::Mode;
use crate::paid;
use crate::pictures::{self, Picture};
use crate::store::Job;
use crate::talk::Talk;
use crate::telegram::Outgoing;
use crate::text;
use crate::told;

use super::error::HandlerError;
use super::modes;

/// Buys the same work once more. One result is repeated once, however often the button is pressed:
/// what comes of it has a button of its own.
pub async fn again(talk: Talk, state: State, operation_id: String) -> Result<(), HandlerError> {
    let key = told::again(&operation_id);
    if talk.app.store.was_told(&key).await? {
        return say(&talk, text::jobs::AGAIN_BEFORE, None).await;
    }
    let id = intent(talk.chat.0, &format!("again:{operation_id}"));
    let Some((draft, prompt)) = repeated(&talk, &operation_id, id).await? else {
        return say(&talk, text::jobs::FORGOTTEN, Some(keyboard::menu())).await;
    };
    modes::start(&talk, State::Idle, &draft, &prompt).await?;
    if talk.next() == Some(State::Idle) {
        talk.app.store.keep_told(&key).await?;
        // What was being asked goes on.
        talk.go(state);
    }
    Ok(())
}

/// Asks for another description of the same work.
pub async fn another_prompt(
    talk: Talk,
    operation_id: String,
    intent: Uuid,
) -> Result<(), HandlerError> {
    let Some((draft, prompt)) = repeated(&talk, &operation_id, intent).await? else {
        return say(&talk, text::jobs::FORGOTTEN, Some(keyboard::menu())).await;
    };
    let said = text::modes::ask_another_prompt(&prompt, draft.price);
    talk.say(&said, Some(keyboard::cancel())).await?;
    talk.go(State::WaitPrompt(draft));
    Ok(())
}

/// The purchase that made a result, as a new draft, while it is remembered.
async fn repeated(
    talk: &Talk,
    operation_id: &str,
    id: Uuid,
) -> Result<Option<(Draft, String)>, HandlerError> {
    let job = talk.app.store.job(operation_id).await?;
    let own = |job: &Job| job.user_id == talk.user_id && job.chat_id == talk.chat.0;
    Ok(job.filter(own).and_then(|job| paid::repeated(&job, id)))
}

/// Opens a mode with a result as its picture.
pub async fn use_result(
    talk: Talk,
    mode: Mode,
    operation_id: String,
    intent: Uuid,
) -> Result<(), HandlerError> {
    let Some(picture) = fetch(&talk, &operation_id).await? else {
        return say(&talk, text::jobs::NOT_KEPT, None).await;
    };
    match pictures::upload(&talk.app, talk.user_id, &picture.bytes).await? {
        Ok(input_id) => modes::open_with(talk, mode, intent, Some(Input::of_job(input_id))).await,
        Err(said) => say(&talk, said, None).await,
    }
}

/// Sends a result as it came from the model, as a file.
pub async fn original(talk: Talk, operation_id: String) -> Result<(), HandlerError> {
    let _place = talk.app.outgoing.acquire().await;
    let Some(picture) = fetch(&talk, &operation_id).await? else {
        return say(&talk, text::jobs::NOT_KEPT, None).await;
    };
    let picture = Outgoing::original(picture);
    talk.app.telegram.send_picture(talk.chat, &picture, text::jobs::ORIGINAL, None).await?;
    Ok(())
}

async fn fetch(talk: &Talk, operation_id: &str) -> Result<Option<Picture>, HandlerError> {
    match pictures::fetch_result(&talk.app, talk.user_id, operation_id).await {
        Ok(picture) => Ok(Some(picture)),
        Err(status) if is_not_kept(&status) => Ok(None),
        Err(status) => Err(HandlerError::of("FetchResult")(status)),
    }
}

fn is_not_kept(status: &Status) -> bool {
    matches!(
        reason::of(status).as_deref(),
        Some(reason::RESULT_NOT_FOUND | reason::JOB_NOT_FOUND | reason::INVALID_FIELD)
    )
}

async fn say(
    talk: &Talk,
    said: &str,
    keyboard: Option<InlineKeyboardMarkup>,
) -> Result<(), HandlerError> {
    talk.say(said, keyboard).await?;
    Ok(())
}
