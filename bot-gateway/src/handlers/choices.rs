//! What can be chosen of a mode that is open: model, shape of the picture, how much larger.

use teloxide::types::{CallbackQuery, MessageId};

use crate::dialogue::{Choices, State};
use crate::keyboard;
use crate::models;
use crate::talk::Talk;
use crate::telegram::TelegramError;

use super::buttons;
use super::error::HandlerError;
use super::modes::Question;

/// Takes a choice, and shows it in the question that it belongs to. `choose` changes the choices
/// that were made so far.
pub(super) async fn choose(
    talk: Talk,
    mut state: State,
    query: &CallbackQuery,
    choose: impl FnOnce(&mut Choices),
) -> Result<(), HandlerError> {
    let pressed = query.message.as_ref().map(|message| message.id().0);
    let draft = state.draft().filter(|draft| draft.question_message == pressed);
    let (Some(draft), Some(message)) = (draft, pressed) else { return buttons::old(talk).await };
    let mut choices = draft.choices.clone();
    choose(&mut choices);
    let (models, question) =
        tokio::join!(models::read(&talk.app, draft.mode), Question::read(&talk, draft.mode));
    let (models, question) = (models?, question?);
    let Some(model) = models.iter().find(|model| model.name == choices.model) else {
        return buttons::old(talk).await;
    };
    let choices = model.fit(&choices);
    if choices == draft.choices && model.price == draft.price {
        return Ok(());
    }
    let (id, has_picture) = (draft.id, draft.has_picture());
    let mut keyboard = keyboard::choices(&models, &choices);
    if state.ready().is_some() {
        keyboard = keyboard::with_start(keyboard, id, model.price);
    }
    match talk.change(MessageId(message), &question.text(model, has_picture), Some(keyboard)).await
    {
        Ok(()) => {}
        Err(TelegramError::Refused(error)) => {
            tracing::warn!(error.cause = %error, "a choice is not shown");
        }
        Err(error) => return Err(error.into()),
    }
    state.change_draft(&|draft| {
        draft.price = model.price;
        draft.choices.clone_from(&choices);
    });
    talk.go(state);
    Ok(())
}
