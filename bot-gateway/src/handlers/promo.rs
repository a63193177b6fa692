//! Promo codes: asked for, redeemed, and what they give.

use proto::billing::v1::RedeemPromoCodeRequest;
use proto::reason;
use teloxide::types::Message;
use uuid::Uuid;

use crate::account;
use crate::dialogue::{State, intent};
use crate::keyboard;
use crate::promo::Gift;
use crate::talk::Talk;
use crate::text;

use super::error::HandlerError;
use super::other;

/// `/promo` asks for a code, `/promo CODE` redeems it.
pub async fn command(
    talk: Talk,
    state: State,
    code: String,
    message: Message,
) -> Result<(), HandlerError> {
    match code.trim() {
        "" => ask(talk, state).await,
        code => {
            redeem(&talk, code, of_message(&talk, &message)).await?;
            Ok(())
        }
    }
}

/// Asks for a code; the question before it is asked again afterwards.
pub async fn ask(talk: Talk, state: State) -> Result<(), HandlerError> {
    talk.say(text::promo::ASK, Some(keyboard::cancel())).await?;
    let before = match state {
        State::WaitPromoCode(before) => before,
        state => Box::new(state),
    };
    talk.go(State::WaitPromoCode(before));
    Ok(())
}

/// Reads the code that was asked for.
pub async fn answer(
    talk: Talk,
    state: State,
    before: Box<State>,
    message: Message,
) -> Result<(), HandlerError> {
    let Some(text) = message.text() else { return other::unexpected(talk, state).await };
    if redeem(&talk, text.trim(), of_message(&talk, &message)).await? {
        talk.go(*before);
    }
    Ok(())
}

fn of_message(talk: &Talk, message: &Message) -> Uuid {
    intent(talk.chat.0, &format!("message:{}", message.id.0))
}

/// Redeems a code and says what it gives, or why not; whether there is nothing more to ask. The
/// same intent is the same redemption.
pub async fn redeem(talk: &Talk, code: &str, intent: Uuid) -> Result<bool, HandlerError> {
    let request = RedeemPromoCodeRequest {
        user_id: talk.user_id,
        code: code.to_owned(),
        idempotency_key: format!("bot:promo:{}", intent.simple()),
    };
    let mut answer = talk.app.billing.redeem_promo_code(request.clone()).await;
    if let Err(status) = &answer
        && reason::of(status).as_deref() == Some(reason::USER_NOT_FOUND)
    {
        account::register(&talk.app, talk.user_id, None).await?;
        answer = talk.app.billing.redeem_promo_code(request).await;
    }
    let refused = match answer {
        Ok(answer) => {
            let effect = answer.redemption.and_then(|redemption| redemption.effect);
            let said = text::promo::redeemed(effect.as_ref().and_then(Gift::of));
            tracing::info!(user.id = talk.user_id, "promo code redeemed");
            talk.say(&said, Some(keyboard::menu())).await?;
            return Ok(true);
        }
        Err(status) => match reason::of(&status).as_deref() {
            Some(reason::PROMO_CODE_NOT_FOUND | reason::INVALID_FIELD) => text::promo::UNKNOWN,
            Some(reason::PROMO_CODE_NOT_VALID) => text::promo::NOT_VALID,
            Some(reason::PROMO_CODE_USED_UP) => text::promo::USED_UP,
            Some(reason::PROMO_CODE_ALREADY_REDEEMED) => text::promo::ALREADY,
            _ => return Err(HandlerError::of("RedeemPromoCode")(status)),
        },
    };
    let is_typing_error = refused == text::promo::UNKNOWN;
    let keyboard = if is_typing_error { keyboard::cancel() } else { keyboard::menu() };
    talk.say(refused, Some(keyboard)).await?;
    Ok(!is_typing_error)
}
