//! Presses of inline buttons.

use teloxide::types::{CallbackQuery, Me};

use crate::button::Button;
use crate::dialogue::{Choices, State, intent};
use crate::keyboard;
use crate::talk::Talk;
use crate::text;

use super::error::HandlerError;
use super::{
    add_text, afterwards, cancel_job, choices, email, history, merge, modes, promo, referrals,
    stars, start, top_up,
};

/// Tells the user's client that the press was seen, before anything else is done. That it may be
/// too late for that changes nothing.
pub async fn acknowledge(talk: Talk, query: CallbackQuery) {
    if let Err(error) = talk.app.telegram.answer(&query.id).await {
        tracing::debug!(error.cause = %error, "button press not acknowledged");
    }
}

/// Does what the button says; what an older version or a stranger wrote is answered politely.
pub async fn press(
    talk: Talk,
    state: State,
    query: CallbackQuery,
    me: Me,
) -> Result<(), HandlerError> {
    let cause = intent(talk.chat.0, &format!("callback:{}", query.id.0));
    match query.data.as_deref().unwrap_or_default().parse() {
        Ok(Button::Menu) => start::menu(talk).await,
        Ok(Button::Cancel) => start::cancel(talk, state).await,
        Ok(Button::CancelJob { operation_id }) => cancel_job::cancel(talk, operation_id).await,
        Ok(Button::Mode(mode)) => modes::open(talk, mode, cause).await,
        Ok(Button::Model { name }) => {
            choices::choose(talk, state, &query, |choices| choices.model = name).await
        }
        Ok(Button::Format(format)) => {
            choices::choose(talk, state, &query, |choices| choices.format = format).await
        }
        Ok(Button::UpscaleFactor(factor)) => {
            let chosen = |choices: &mut Choices| choices.upscale_factor = Some(factor);
            choices::choose(talk, state, &query, chosen).await
        }
        Ok(Button::Style(change)) => add_text::change(talk, state, &query, change).await,
        Ok(Button::StyleText) => add_text::another_text(talk, state, &query).await,
        Ok(Button::StyleDone) => add_text::done(talk, state, &query).await,
        Ok(Button::PaymentMenu) => top_up::menu(talk).await,
        Ok(Button::History) => history::open(talk).await,
        Ok(Button::HistoryPage { token }) => history::turn(talk, &query, token).await,
        Ok(Button::Statement(period)) => history::statement(talk, period).await,
        Ok(Button::Invite) => referrals::invite(talk, me).await,
        Ok(Button::PromoCode) => promo::ask(talk, state).await,
        Ok(Button::TopUp(amount)) => top_up::open(&talk, state, cause, amount).await,
        Ok(Button::Stars) => stars::menu(talk).await,
        Ok(Button::TopUpInStars(amount)) => stars::open(&talk, cause, amount).await,
        Ok(Button::TopUpOther) => top_up::other(talk, state).await,
        Ok(Button::TopUpAgain { intent, amount }) => {
            top_up::open(&talk, state, intent, amount).await
        }
        Ok(Button::ReceiptEmail) => email::change(talk, state).await,
        Ok(Button::CheckPayment { top_up_id }) => top_up::check(talk, top_up_id).await,
        Ok(Button::Again { operation_id }) => afterwards::again(talk, state, operation_id).await,
        Ok(Button::AnotherPrompt { operation_id }) => {
            afterwards::another_prompt(talk, operation_id, cause).await
        }
        Ok(Button::Original { operation_id }) => afterwards::original(talk, operation_id).await,
        Ok(Button::Use { mode, operation_id }) => {
            afterwards::use_result(talk, mode, operation_id, cause).await
        }
        Ok(Button::Start { draft }) => modes::begin(talk, state, draft).await,
        Ok(Button::MergeDone { draft }) => match of_draft(&state, draft) {
            Some(draft) => merge::done(talk, state.clone(), draft).await,
            None => old(talk).await,
        },
        Ok(Button::MergeClear { draft }) => match of_draft(&state, draft) {
            Some(draft) => merge::clear(talk, draft).await,
            None => old(talk).await,
        },
        Err(_unknown) => old(talk).await,
    }
}

/// The merge that the button belongs to, if it still goes on.
fn of_draft(state: &State, id: uuid::Uuid) -> Option<crate::dialogue::Draft> {
    match state {
        State::WaitPhotos(draft) if draft.id == id => Some(draft.clone()),
        _ => None,
    }
}

pub(super) async fn old(talk: Talk) -> Result<(), HandlerError> {
    talk.say(text::menu::OLD_BUTTON, Some(keyboard::menu())).await?;
    Ok(())
}
