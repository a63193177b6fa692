//! Paying in: the sums, the payment link, and whether the money has come.

use proto::payments::v1::{
    CheckPaymentRequest, CreatePaymentRequest, CreatePaymentResponse, PaymentState,
};
use proto::reason;
use teloxide::types::Message;
use tonic::Status;
use url::Url;
use uuid::Uuid;

use crate::account;
use crate::dialogue::{State, Wish, intent};
use crate::events::with_interrupted;
use crate::keyboard;
use crate::money::{Kopecks, read_top_up};
use crate::promo::Gift;
use crate::talk::Talk;
use crate::text;
use crate::told;

use super::error::{HandlerError, is_away};
use super::{email, other, stars};

/// Shows the balance and the sums.
pub async fn menu(talk: Talk) -> Result<(), HandlerError> {
    let (account, is_with_stars) =
        tokio::join!(account::read(&talk.app, talk.user_id), stars::are_offered(&talk.app));
    let account = account?;
    let email = account::receipt_email(&account);
    let said = text::payments::menu(account::purse(&account), &Gift::active(&account), email);
    let keyboard = if is_with_stars { keyboard::amounts_or_stars() } else { keyboard::amounts() };
    talk.say(&said, Some(keyboard::with_email(keyboard, email))).await?;
    Ok(())
}

/// Asks which sum to pay in; the question before it is asked again afterwards.
pub async fn other(talk: Talk, state: State) -> Result<(), HandlerError> {
    talk.say(&text::payments::ask_amount(), Some(keyboard::cancel())).await?;
    let before = match state {
        State::WaitAmount(before) => before,
        state => Box::new(state),
    };
    talk.go(State::WaitAmount(before));
    Ok(())
}

/// Reads the sum that was asked for.
pub async fn amount(
    talk: Talk,
    state: State,
    before: Box<State>,
    message: Message,
) -> Result<(), HandlerError> {
    let Some(text) = message.text() else { return other::unexpected(talk, state).await };
    match read_top_up(text) {
        Ok(amount) => {
            let cause = intent(talk.chat.0, &format!("message:{}", message.id.0));
            talk.go(State::clone(&before));
            open(&talk, *before, cause, amount).await?;
        }
        Err(error) => {
            talk.say(&text::payments::amount_refused(error), Some(keyboard::cancel())).await?;
        }
    }
    Ok(())
}

/// Makes a payment link and sends it; asks for an e-mail first where a receipt needs one. The same
/// intent is the same payment. `state` is what is asked meanwhile.
pub async fn open(
    talk: &Talk,
    state: State,
    intent: Uuid,
    amount: Kopecks,
) -> Result<(), HandlerError> {
    let request = CreatePaymentRequest {
        user_id: talk.user_id,
        amount_kopecks: amount.get(),
        idempotency_key: format!("bot:pay:{}", intent.simple()),
    };
    let mut answer = talk.app.payments.create_payment(request.clone()).await;
    if let Err(status) = &answer
        && reason::of(status).as_deref() == Some(reason::USER_NOT_FOUND)
    {
        account::register(&talk.app, talk.user_id, None).await?;
        answer = talk.app.payments.create_payment(request).await;
    }
    match answer {
        Ok(payment) => send_link(talk, payment, amount).await,
        Err(status) if reason::of(&status).as_deref() == Some(reason::RECEIPT_EMAIL_REQUIRED) => {
            email::ask(talk, state, Wish { intent, amount }).await
        }
        Err(status) => refused(talk, intent, amount, status).await,
    }
}

async fn send_link(
    talk: &Talk,
    payment: CreatePaymentResponse,
    amount: Kopecks,
) -> Result<(), HandlerError> {
    let top_up_id = &payment.top_up_id;
    tracing::info!(user.id = talk.user_id, top_up.id = %top_up_id, amount_kopecks = amount.get(),
        "payment link made");
    if payment.confirmation_url.is_empty() {
        talk.say(text::payments::ALREADY_ENDED, Some(keyboard::amounts())).await?;
        return Ok(());
    }
    let link = Url::parse(&payment.confirmation_url)
        .map_err(|_| HandlerError::Incomplete("CreatePayment"))?;
    let keyboard = keyboard::payment(amount, Some(link), top_up_id);
    let sent = talk.say(&text::payments::link(amount), Some(keyboard)).await?;
    if let Some(message) = sent {
        talk.app.store.keep_top_up(top_up_id, talk.chat.0, message.0).await?;
    }
    Ok(())
}

async fn refused(
    talk: &Talk,
    intent: Uuid,
    amount: Kopecks,
    status: Status,
) -> Result<(), HandlerError> {
    if is_away(&status) {
        tracing::warn!(user.id = talk.user_id, error.cause = ?status, "payment link not made yet");
        let keyboard = keyboard::pay_again(intent, amount);
        let said = match reason::of(&status).as_deref() {
            Some(reason::PROVIDER_DOWN) => text::payments::PROVIDER_DOWN,
            _ => text::payments::PROVIDER_AWAY,
        };
        talk.say(said, Some(keyboard)).await?;
        return Ok(());
    }
    let said = match reason::of(&status).as_deref() {
        Some(reason::PROVIDER_REFUSED) => text::payments::provider_refused(amount),
        Some(reason::SHOP_NOT_READY) => text::payments::PAYMENTS_OFF.to_owned(),
        Some(reason::AMOUNT_OUT_OF_RANGE) => {
            let bound = |key| reason::value(&status, key)?.parse().ok().map(Kopecks::new);
            text::payments::amount_out_of_range(bound("min_kopecks").zip(bound("max_kopecks")))
        }
        _ => return Err(HandlerError::of("CreatePayment")(status)),
    };
    tracing::warn!(user.id = talk.user_id, error.cause = ?status, "payment refused");
    talk.say(&said, Some(keyboard::amounts())).await?;
    Ok(())
}

/// Asks whether the money has come, and says so.
pub async fn check(talk: Talk, top_up_id: String) -> Result<(), HandlerError> {
    let request = CheckPaymentRequest { user_id: talk.user_id, top_up_id: top_up_id.clone() };
    let payment = match talk.app.payments.check_payment(request).await {
        Ok(payment) => payment,
        Err(status) if is_away(&status) => {
            let keyboard = keyboard::payment(Kopecks::new(0), None, &top_up_id);
            talk.say(text::payments::CHECK_LATER, Some(keyboard)).await?;
            return Ok(());
        }
        Err(status) => match reason::of(&status).as_deref() {
            Some(reason::TOP_UP_NOT_FOUND | reason::USER_NOT_FOUND | reason::INVALID_FIELD) => {
                talk.say(text::payments::UNKNOWN_TOP_UP, Some(keyboard::amounts())).await?;
                return Ok(());
            }
            _ => return Err(HandlerError::of("CheckPayment")(status)),
        },
    };
    let amount = Kopecks::new(payment.credited_kopecks);
    match payment.state() {
        PaymentState::Settled => {
            let account = account::read(&talk.app, talk.user_id).await?;
            let balance = Kopecks::new(account.balance_kopecks);
            let said = text::payments::settled(amount, Some(balance));
            let (said, keyboard) = with_interrupted(&talk.app, talk.chat, said).await;
            talk.say(&said, Some(keyboard)).await?;
            talk.app.store.keep_told(&told::top_up(&top_up_id)).await?;
        }
        PaymentState::Pending => {
            let link = Url::parse(&payment.confirmation_url).ok();
            let keyboard = keyboard::payment(amount, link, &top_up_id);
            talk.say(&text::payments::pending(amount), Some(keyboard)).await?;
        }
        PaymentState::Cancelled => {
            let said = text::cancellations::declined(amount, &payment.cancel_reason);
            talk.say(&said, Some(keyboard::amounts())).await?;
            talk.app.store.keep_told(&told::declined(&top_up_id)).await?;
        }
        PaymentState::Unspecified => return Err(HandlerError::Incomplete("CheckPayment")),
    }
    Ok(())
}
