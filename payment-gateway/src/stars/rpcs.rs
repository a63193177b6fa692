//! The calls about Stars: read the request, do it, write the answer.

use std::str::FromStr;

use proto::payments::v1::{
    CheckPreCheckoutRequest, CheckPreCheckoutResponse, ConfirmStarsPaymentRequest,
    ConfirmStarsPaymentResponse, CreateStarsInvoiceRequest, CreateStarsInvoiceResponse,
    FindStarsPaymentRequest, FindStarsPaymentResponse, ListStarsOffersRequest,
    ListStarsOffersResponse, ReverseStarsPaymentRequest, ReverseStarsPaymentResponse, StarsOffer,
    StarsPaymentOutcome, StarsReversalOutcome,
};
use tonic::Status;

use super::desk::{Confirmed, Reversed, Stars, Told, payload_of, stars};
use super::terms::ChargeId;
use crate::billing::Paid;
use crate::ids::UserId;
use crate::money::Kopecks;
use crate::payments::{invalid, key, quote, state, user_id};

/// More than a menu has.
const AMOUNTS_MAX: usize = 32;

pub(crate) fn list_offers(
    desk: &Stars,
    request: &ListStarsOffersRequest,
) -> Result<ListStarsOffersResponse, Status> {
    let rate = desk.rate().map_err(Status::from)?;
    if request.amounts_kopecks.len() > AMOUNTS_MAX {
        return Err(invalid("amounts_kopecks", "amounts_kopecks must be 32 at most"));
    }
    let offer = |&amount_kopecks: &i64| {
        let quote = rate.quote(Kopecks::new(amount_kopecks).ok()?).ok()?;
        Some(StarsOffer {
            amount_kopecks,
            stars: quote.paid.amount.get(),
            credited_kopecks: quote.credited.get(),
        })
    };
    let offers = request.amounts_kopecks.iter().filter_map(offer).collect();
    Ok(ListStarsOffersResponse { offers })
}

pub(crate) async fn create_invoice(
    desk: &Stars,
    request: CreateStarsInvoiceRequest,
) -> Result<CreateStarsInvoiceResponse, Status> {
    let user_id = user_id(request.user_id)?;
    let key = key(request.idempotency_key)?;
    let quote = quote(desk, request.amount_kopecks)?;

    let top_up = desk.open(user_id, quote, key).await?;
    Ok(CreateStarsInvoiceResponse {
        top_up_id: top_up.id.to_string(),
        payload: payload_of(&top_up),
        stars: stars(&top_up),
        credited_kopecks: top_up.credited.get(),
        state: state(&top_up).into(),
    })
}

pub(crate) async fn check(
    desk: &Stars,
    request: CheckPreCheckoutRequest,
) -> Result<CheckPreCheckoutResponse, Status> {
    let user_id = user_id(request.user_id)?;
    let paid = paid(request.total_amount, request.currency)?;
    desk.check(user_id, &request.payload, &paid).await?;
    Ok(CheckPreCheckoutResponse {})
}

pub(crate) async fn confirm(
    desk: &Stars,
    request: ConfirmStarsPaymentRequest,
) -> Result<ConfirmStarsPaymentResponse, Status> {
    let told = Told {
        user_id: user_id(request.user_id)?,
        payload: request.payload,
        paid: paid(request.total_amount, request.currency)?,
        charge: charge(&request.telegram_payment_charge_id)?,
    };
    let answer = match desk.confirm(&told).await? {
        Confirmed::Settled(top_up) => ConfirmStarsPaymentResponse {
            outcome: StarsPaymentOutcome::Settled.into(),
            top_up_id: top_up.id.to_string(),
            credited_kopecks: top_up.credited.get(),
            refusal: String::new(),
        },
        Confirmed::GiveBack(reason) => ConfirmStarsPaymentResponse {
            outcome: StarsPaymentOutcome::GiveBack.into(),
            refusal: reason.to_owned(),
            ..ConfirmStarsPaymentResponse::default()
        },
    };
    Ok(answer)
}

pub(crate) async fn find(
    desk: &Stars,
    request: FindStarsPaymentRequest,
) -> Result<FindStarsPaymentResponse, Status> {
    let user_id: UserId = user_id(request.user_id)?;
    let charge = charge(&request.telegram_payment_charge_id)?;
    let top_up = desk.find(user_id, &charge).await?;
    Ok(FindStarsPaymentResponse {
        top_up_id: top_up.id.to_string(),
        payload: payload_of(&top_up),
        stars: stars(&top_up),
        credited_kopecks: top_up.credited.get(),
        reversed_kopecks: top_up.reversed_kopecks,
    })
}

pub(crate) async fn reverse(
    desk: &Stars,
    request: ReverseStarsPaymentRequest,
) -> Result<ReverseStarsPaymentResponse, Status> {
    let told = Told {
        user_id: user_id(request.user_id)?,
        payload: request.payload,
        paid: paid(request.total_amount, request.currency)?,
        charge: charge(&request.telegram_payment_charge_id)?,
    };
    let outcome = match desk.reverse(&told).await? {
        Reversed::Reversed => StarsReversalOutcome::Reversed,
        Reversed::NothingCredited => StarsReversalOutcome::NothingCredited,
    };
    Ok(ReverseStarsPaymentResponse { outcome: outcome.into() })
}

/// What Telegram says was paid. Any currency is read: it is compared with the top-up's.
fn paid(total_amount: i64, currency: String) -> Result<Paid, Status> {
    let amount = Kopecks::new(total_amount)
        .map_err(|_| invalid("total_amount", "total_amount must be greater than 0"))?;
    if currency.len() != 3 || !currency.bytes().all(|b| b.is_ascii_uppercase()) {
        return Err(invalid("currency", "currency must be three letters such as XTR"));
    }
    Ok(Paid { amount, currency })
}

fn charge(text: &str) -> Result<ChargeId, Status> {
    ChargeId::from_str(text).map_err(|_| {
        invalid(
            "telegram_payment_charge_id",
            "telegram_payment_charge_id must be 1 to 512 printable ASCII characters",
        )
    })
}
