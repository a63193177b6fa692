//! The e-mail for receipts: asked for once, checked, kept in billing, shown and changed.

use proto::service::email::Email;
use teloxide::types::Message;

use crate::account;
use crate::dialogue::{EmailQuestion, State, Wish};
use crate::keyboard;
use crate::talk::Talk;
use crate::text;

use super::error::HandlerError;
use super::{other, top_up};

/// Asks for the address that a payment needs; the payment goes on with the answer.
pub async fn ask(talk: &Talk, state: State, wish: Wish) -> Result<(), HandlerError> {
    talk.say(&text::receipts::ask(wish.amount), Some(keyboard::cancel())).await?;
    talk.go(State::WaitEmail(EmailQuestion { wish: Some(wish), before: before(state) }));
    Ok(())
}

/// Asks for another address; the question before it is asked again afterwards.
pub async fn change(talk: Talk, state: State) -> Result<(), HandlerError> {
    let account = account::read(&talk.app, talk.user_id).await?;
    let said = text::receipts::ask_another(account::receipt_email(&account));
    talk.say(&said, Some(keyboard::cancel())).await?;
    talk.go(match state {
        // A payment that waits for an address waits on.
        State::WaitEmail(question) => State::WaitEmail(question),
        state => State::WaitEmail(EmailQuestion { wish: None, before: before(state) }),
    });
    Ok(())
}

/// Reads the address, keeps it, and goes on with the payment that needs it.
pub async fn answer(
    talk: Talk,
    state: State,
    question: EmailQuestion,
    message: Message,
) -> Result<(), HandlerError> {
    let Some(text) = message.text() else { return other::unexpected(talk, state).await };
    let email: Email = match text.parse() {
        Ok(email) => email,
        Err(error) => {
            talk.say(text::receipts::refused(error), Some(keyboard::cancel())).await?;
            return Ok(());
        }
    };
    account::keep_email(&talk.app, talk.user_id, &email).await?;
    tracing::info!(user.id = talk.user_id, "e-mail for receipts kept");
    let EmailQuestion { wish, before } = question;
    let keyboard = if wish.is_none() { Some(keyboard::top_up()) } else { None };
    talk.say(&text::receipts::kept(email.as_str()), keyboard).await?;
    talk.go(State::clone(&before));
    match wish {
        Some(Wish { intent, amount }) => top_up::open(&talk, *before, intent, amount).await,
        None => Ok(()),
    }
}

/// The question that is asked again afterwards.
fn before(state: State) -> Box<State> {
    match state {
        State::WaitEmail(question) => question.before,
        state => Box::new(state),
    }
}
