//! Paying with Telegram Stars: the offers, the invoice, the question before a payment, the payment
//! and its refund. payment-gateway decides; what is carried here comes from Telegram.
//!
//! Invariant: a question before a payment is answered within seconds, with no where nobody
//! answers. A payment is not struck off before it was credited or given back.

use std::time::Duration;

use proto::payments::v1::{
    CheckPreCheckoutRequest, ConfirmStarsPaymentRequest, CreateStarsInvoiceRequest,
    ListStarsOffersRequest, PaymentState, ReverseStarsPaymentRequest, StarsOffer,
    StarsPaymentOutcome,
};
use proto::reason;
use teloxide::types::{
    Message, MessageKind, PreCheckoutQuery, RefundedPayment, SuccessfulPayment, Update, UpdateKind,
};
use tokio::time::timeout;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::account;
use crate::app::App;
use crate::keyboard;
use crate::money::Kopecks;
use crate::talk::Talk;
use crate::telegram::{Invoice, STARS_CURRENCY, TelegramError};
use crate::text;

use super::error::{HandlerError, is_away};

/// The menu of sums does not wait longer for the offers: it is shown without.
const OFFERS_WITHIN: Duration = Duration::from_secs(1);
/// Telegram waits ten seconds for the answer before a payment. So long may payment-gateway take…
const DECIDE_WITHIN: Duration = Duration::from_secs(4);
/// … and so long may Telegram, with all tries.
const ANSWER_WITHIN: Duration = Duration::from_secs(4);
/// A payment whose confirmation takes longer is tried again, and soon set aside: its chat waits.
const CONFIRM_WITHIN: Duration = Duration::from_secs(4);

/// Whether Stars can be paid with; no where nobody answers.
pub async fn are_offered(app: &App) -> bool {
    offers(app).await.is_ok_and(|offers| !offers.is_empty())
}

async fn offers(app: &App) -> Result<Vec<StarsOffer>, Status> {
    let amounts_kopecks = keyboard::AMOUNTS.iter().map(|amount| amount.get()).collect();
    let payments = app.payments.clone().with_deadline(OFFERS_WITHIN);
    let answer = payments.list_stars_offers(ListStarsOffersRequest { amounts_kopecks }).await?;
    Ok(answer.offers)
}

/// Shows what can be paid, and what it brings.
pub async fn menu(talk: Talk) -> Result<(), HandlerError> {
    match offers(&talk.app).await {
        Ok(offers) if !offers.is_empty() => {
            talk.say(text::stars::ASK_AMOUNT, Some(keyboard::stars(&offers))).await?;
        }
        Ok(_none) => not_offered(&talk).await?,
        Err(status) if is_refused(&status, reason::STARS_NOT_OFFERED) => not_offered(&talk).await?,
        Err(status) => return Err(HandlerError::of("ListStarsOffers")(status)),
    }
    Ok(())
}

async fn not_offered(talk: &Talk) -> Result<(), HandlerError> {
    talk.say(text::stars::NOT_OFFERED, Some(keyboard::amounts())).await?;
    Ok(())
}

/// Makes an invoice and sends it. The same intent is the same top-up.
pub async fn open(talk: &Talk, intent: Uuid, amount: Kopecks) -> Result<(), HandlerError> {
    let request = CreateStarsInvoiceRequest {
        user_id: talk.user_id,
        amount_kopecks: amount.get(),
        idempotency_key: format!("bot:stars:{}", intent.simple()),
    };
    let mut answer = talk.app.payments.create_stars_invoice(request.clone()).await;
    if let Err(status) = &answer
        && is_refused(status, reason::USER_NOT_FOUND)
    {
        account::register(&talk.app, talk.user_id, None).await?;
        answer = talk.app.payments.create_stars_invoice(request).await;
    }
    let made = match answer {
        Ok(made) => made,
        Err(status) => return refused(talk, status).await,
    };
    if made.state() != PaymentState::Pending {
        talk.say(text::stars::INVOICE_ENDED, Some(keyboard::amounts())).await?;
        return Ok(());
    }
    let credited = Kopecks::new(made.credited_kopecks);
    let invoice = Invoice {
        title: text::stars::INVOICE_TITLE.to_owned(),
        description: text::stars::invoice_description(credited),
        payload: made.payload,
        label: text::stars::invoice_label(credited),
        stars: made.stars,
    };
    talk.app.telegram.send_invoice(talk.chat, &invoice).await?;
    tracing::info!(user.id = talk.user_id, top_up.id = %made.top_up_id,
        amount_kopecks = made.credited_kopecks, stars = made.stars, "invoice in stars sent");
    Ok(())
}

async fn refused(talk: &Talk, status: Status) -> Result<(), HandlerError> {
    match reason::of(&status).as_deref() {
        Some(reason::STARS_NOT_OFFERED) => not_offered(talk).await,
        Some(reason::IDEMPOTENCY_KEY_REUSED) => {
            talk.say(text::stars::RATE_CHANGED, Some(keyboard::amounts())).await?;
            Ok(())
        }
        Some(reason::AMOUNT_OUT_OF_RANGE) => {
            let bound = |key| reason::value(&status, key)?.parse().ok().map(Kopecks::new);
            let bounds = bound("min_kopecks").zip(bound("max_kopecks"));
            let said = text::payments::amount_out_of_range(bounds);
            talk.say(&said, Some(keyboard::amounts())).await?;
            Ok(())
        }
        _ => Err(HandlerError::of("CreateStarsInvoice")(status)),
    }
}

/// Answers whether a payment may go on. It is not repeated: Telegram does not wait.
pub async fn pre_checkout(talk: Talk, query: PreCheckoutQuery) -> Result<(), HandlerError> {
    let request = CheckPreCheckoutRequest {
        user_id: talk.user_id,
        payload: query.invoice_payload,
        currency: query.currency,
        total_amount: query.total_amount.into(),
    };
    let payments = talk.app.payments.clone().with_deadline(DECIDE_WITHIN);
    // The client's own deadline does not end a connection that hangs while it is made.
    let decided = timeout(DECIDE_WITHIN, payments.check_pre_checkout(request)).await;
    let decided = decided.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer in time")));
    let refusal = decided.as_ref().err().map(refusal);
    let answer = talk.app.telegram.answer_pre_checkout(&query.id, refusal);
    let answered = timeout(ANSWER_WITHIN, answer).await;
    let outcome = match &decided {
        Ok(_) => "allowed",
        Err(status) if is_away(status) => "unavailable",
        Err(_) => "refused",
    };
    metrics::counter!("bot_pre_checkouts_total", "outcome" => outcome).increment(1);
    match (answered, decided) {
        (Ok(Ok(())), Ok(_)) => {
            tracing::info!(user.id = talk.user_id, outcome, "question before a payment answered");
        }
        (Ok(Ok(())), Err(status)) => {
            tracing::warn!(user.id = talk.user_id, outcome, error.cause = ?status,
                "question before a payment answered with no");
        }
        // Telegram stops the payment by itself: nothing was taken.
        (Ok(Err(error)), _) => {
            tracing::warn!(user.id = talk.user_id, outcome, error.cause = %error,
                "question before a payment not answered");
        }
        (Err(_elapsed), _) => {
            tracing::warn!(
                user.id = talk.user_id,
                outcome,
                "question before a payment not answered in time"
            );
        }
    }
    Ok(())
}

/// What the person who cannot pay is told.
fn refusal(status: &Status) -> &'static str {
    match reason::of(status).as_deref() {
        Some(reason::TOP_UP_NOT_FOUND | reason::INVALID_FIELD) => text::stars::FOREIGN_INVOICE,
        Some(reason::TOP_UP_SETTLED) => text::stars::PAID_INVOICE,
        Some(reason::INVOICE_EXPIRED) => text::stars::OLD_INVOICE,
        Some(reason::TOP_UP_AMOUNT_MISMATCH) => text::stars::OTHER_AMOUNT,
        Some(reason::STARS_NOT_OFFERED) => text::stars::SWITCHED_OFF,
        _ => text::stars::TRY_LATER,
    }
}

/// Hands a payment over. That it is credited is told by billing's event; what cannot be credited
/// is given back here.
pub async fn paid(talk: Talk, payment: SuccessfulPayment) -> Result<(), HandlerError> {
    let charge = payment.telegram_payment_charge_id.0;
    let request = ConfirmStarsPaymentRequest {
        user_id: talk.user_id,
        payload: payment.invoice_payload,
        currency: payment.currency.clone(),
        total_amount: payment.total_amount.into(),
        telegram_payment_charge_id: charge.clone(),
    };
    let payments = talk.app.payments.clone().with_deadline(CONFIRM_WITHIN);
    let answer = payments.confirm_stars_payment(request).await;
    let answer = answer.map_err(HandlerError::of("ConfirmStarsPayment"))?;
    match answer.outcome() {
        StarsPaymentOutcome::Settled => {
            tracing::info!(user.id = talk.user_id, top_up.id = %answer.top_up_id,
                payment.id = %charge, amount_kopecks = answer.credited_kopecks,
                stars = payment.total_amount, "payment in stars credited");
            Ok(())
        }
        StarsPaymentOutcome::GiveBack => {
            let stars = (payment.currency == STARS_CURRENCY).then_some(payment.total_amount);
            give_back(&talk, &charge, stars, &answer.refusal).await
        }
        StarsPaymentOutcome::Unspecified => Err(HandlerError::Incomplete("ConfirmStarsPayment")),
    }
}

/// Gives back what will never be credited. `stars` is nothing where it was another currency.
async fn give_back(
    talk: &Talk,
    charge: &str,
    stars: Option<u32>,
    refusal: &str,
) -> Result<(), HandlerError> {
    let returned = match stars {
        Some(_) => talk.app.telegram.refund_stars(talk.user_id, charge).await,
        None => Err(TelegramError::Gone),
    };
    let stars = stars.unwrap_or_default();
    let said = match returned {
        Ok(()) => {
            tracing::warn!(user.id = talk.user_id, payment.id = %charge, stars, reason = refusal,
                "payment in stars given back");
            match refusal {
                reason::TOP_UP_PAYMENT_MISMATCH => text::stars::paid_twice(stars),
                _ => text::stars::given_back(stars),
            }
        }
        Err(error) if error.is_final() => {
            tracing::error!(user.id = talk.user_id, payment.id = %charge, stars, reason = refusal,
                error.cause = %error, "payment can be neither credited nor given back");
            text::stars::not_given_back(stars, charge)
        }
        Err(error) => return Err(error.into()),
    };
    talk.say(&said, None).await?;
    Ok(())
}

/// The refund that a message tells of.
pub fn refund_in(message: Message) -> Option<RefundedPayment> {
    match message.kind {
        MessageKind::RefundedPayment(refunded) => Some(refunded.refunded_payment),
        _ => None,
    }
}

/// Hands a refund over, whoever gave the Stars back. The credit that goes is told by billing's event.
pub async fn refunded(talk: Talk, refund: RefundedPayment) -> Result<(), HandlerError> {
    // The message may be the bot's own; the chat is the person's.
    let user_id = if talk.chat.is_user() { talk.chat.0 } else { talk.user_id };
    let charge = refund.telegram_payment_charge_id.0;
    let request = ReverseStarsPaymentRequest {
        user_id,
        payload: refund.invoice_payload,
        currency: refund.currency,
        total_amount: refund.total_amount.into(),
        telegram_payment_charge_id: charge.clone(),
    };
    let payments = talk.app.payments.clone().with_deadline(CONFIRM_WITHIN);
    let answer = payments.reverse_stars_payment(request).await;
    let answer = answer.map_err(HandlerError::of("ReverseStarsPayment"))?;
    tracing::info!(user.id = user_id, refund.id = %charge, stars = refund.total_amount,
        outcome = answer.outcome().as_str_name(), "refund in stars handed over");
    Ok(())
}

fn is_refused(status: &Status, code: &str) -> bool {
    reason::of(status).as_deref() == Some(code)
}

/// Updates that must not be given up while a service is away: what was paid is owed.
pub fn is_owed(update: &Update) -> bool {
    match &update.kind {
        UpdateKind::Message(message) => matches!(
            message.kind,
            MessageKind::SuccessfulPayment(_) | MessageKind::RefundedPayment(_)
        ),
        _ => false,
    }
}

/// Whether what is owed can be given up: it was refused for good.
pub fn is_settled_with_no(error: &HandlerError) -> bool {
    match error {
        HandlerError::Refused { source, .. } => matches!(
            source.code(),
            Code::InvalidArgument | Code::NotFound | Code::FailedPrecondition | Code::AlreadyExists
        ),
        HandlerError::Telegram(error) => error.is_final(),
        HandlerError::Away { .. }
        | HandlerError::Incomplete(_)
        | HandlerError::Store(_)
        | HandlerError::Panic
        | HandlerError::File(_) => false,
    }
}

/// What a person is told whose payment cannot be credited yet; nothing about a refund.
pub fn told_to_wait(update: &Update) -> Option<&'static str> {
    is_payment(update).then_some(text::stars::WILL_BE_CREDITED)
}

/// What a person is told whose payment was given up.
pub fn told_at_the_end(update: &Update) -> Option<&'static str> {
    is_payment(update).then_some(text::stars::NOT_CREDITED)
}

fn is_payment(update: &Update) -> bool {
    match &update.kind {
        UpdateKind::Message(message) => message.successful_payment().is_some(),
        _ => false,
    }
}
