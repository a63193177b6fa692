//! /terms and /paysupport, which Telegram asks of who sells; /refund_stars, for operators.

use proto::payments::v1::{
    FindStarsPaymentRequest, FindStarsPaymentResponse, ReverseStarsPaymentRequest,
};
use proto::reason;

use crate::money::Kopecks;
use crate::talk::Talk;
use crate::telegram::STARS_CURRENCY;
use crate::text;

use super::error::HandlerError;
use super::other;

/// Says on what terms is sold. The dialogue goes on afterwards.
pub async fn terms(talk: Talk) -> Result<(), HandlerError> {
    talk.say(text::stars::TERMS, None).await?;
    Ok(())
}

/// Says where to ask about payments.
pub async fn pay_support(talk: Talk) -> Result<(), HandlerError> {
    let contact = talk.app.support.as_deref();
    talk.say(&text::stars::pay_support(contact, talk.user_id), None).await?;
    Ok(())
}

/// Gives the Stars of a payment back and takes its credit. Each step can be repeated: Telegram says
/// that they went back before, and billing knows each refund by its charge.
pub async fn refund_stars(talk: Talk, arguments: String) -> Result<(), HandlerError> {
    if !talk.app.admins.contains(talk.user_id) {
        return other::unknown_command(talk).await;
    }
    let Some((user_id, charge)) = read(&arguments) else {
        talk.say(text::stars::REFUND_USAGE, None).await?;
        return Ok(());
    };
    let Some(payment) = find(&talk, user_id, charge).await? else {
        talk.say(text::stars::REFUND_UNKNOWN, None).await?;
        return Ok(());
    };
    tracing::info!(operator.id = talk.user_id, user.id = user_id, payment.id = %charge,
        top_up.id = %payment.top_up_id, stars = payment.stars, "operator gives stars back");
    match talk.app.telegram.refund_stars(user_id, charge).await {
        Ok(()) => {}
        Err(error) if error.is_final() => {
            talk.say(&text::stars::refund_refused(&error.to_string()), None).await?;
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    }
    // Telegram tells of it too, in an update; whoever comes second finds it done.
    let request = ReverseStarsPaymentRequest {
        user_id,
        payload: payment.payload,
        currency: STARS_CURRENCY.to_owned(),
        total_amount: payment.stars,
        telegram_payment_charge_id: charge.to_owned(),
    };
    let reversed = talk.app.payments.reverse_stars_payment(request).await;
    reversed.map_err(HandlerError::of("ReverseStarsPayment"))?;
    let credited = Kopecks::new(payment.credited_kopecks);
    talk.say(&text::stars::refunded(user_id, payment.stars, credited), None).await?;
    Ok(())
}

async fn find(
    talk: &Talk,
    user_id: i64,
    charge: &str,
) -> Result<Option<FindStarsPaymentResponse>, HandlerError> {
    let telegram_payment_charge_id = charge.to_owned();
    let request = FindStarsPaymentRequest { user_id, telegram_payment_charge_id };
    match talk.app.payments.find_stars_payment(request).await {
        Ok(payment) => Ok(Some(payment)),
        Err(status) => match reason::of(&status).as_deref() {
            Some(reason::TOP_UP_NOT_FOUND | reason::INVALID_FIELD) => Ok(None),
            _ => Err(HandlerError::of("FindStarsPayment")(status)),
        },
    }
}

/// Reads `<user> <charge>`.
fn read(arguments: &str) -> Option<(i64, &str)> {
    let mut words = arguments.split_whitespace();
    let (user_id, charge) = (words.next()?.parse().ok()?, words.next()?);
    words.next().is_none().then_some((user_id, charge))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refund_names_a_user_and_a_charge() {
        assert_eq!(read(" 7  stx-1 "), Some((7, "stx-1")));
        for wrong in ["", "7", "stx-1", "stx-1 7", "7 stx-1 more"] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
    }
}
