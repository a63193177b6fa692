//! The RPCs: read the request, do it, write the answer.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use proto::payments::v1::payments_service_server::PaymentsService;
use proto::payments::v1::{
    CheckPaymentRequest, CheckPaymentResponse, CheckPreCheckoutRequest, CheckPreCheckoutResponse,
    ConfirmStarsPaymentRequest, ConfirmStarsPaymentResponse, CreatePaymentRequest,
    CreatePaymentResponse, CreateStarsInvoiceRequest, CreateStarsInvoiceResponse,
    FindStarsPaymentRequest, FindStarsPaymentResponse, ListStarsOffersRequest,
    ListStarsOffersResponse, PaymentState, ReverseStarsPaymentRequest, ReverseStarsPaymentResponse,
};
use proto::reason::{INVALID_FIELD, PAYMENTS_DOMAIN, TOP_UP_NOT_FOUND, refusal};
use tokio::time::{Instant, timeout_at};
use tonic::{Code, Request, Response, Status};

use crate::billing::{Billing, NewTopUp, Paid, TopUp, TopUpState};
use crate::create::{Creator, ReturnAddress, snapshot};
use crate::error::PaymentError;
use crate::ids::{TopUpId, UserId};
use crate::money::Kopecks;
use crate::provider::{Provider, Quote};
use crate::receipt::Receipts;
use crate::reconcile::YooKassa;
use crate::resolve::{Resolver, Via};
use crate::stars::desk::Stars;
use crate::stars::rpcs as stars;
use crate::yookassa::wire::Receipt;

/// Callers give up after ten seconds by default, and should hear from us before that.
const ANSWER_WITHIN: Duration = Duration::from_secs(8);
/// What an answer needs to reach a caller that gives up sooner.
const ANSWER_TRAVELS: Duration = Duration::from_millis(300);
/// Billing's limit for a key, in characters.
const KEY_LENGTH_MAX: usize = 128;

/// What is asked for in each payment.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Where the user's browser goes afterwards.
    pub return_address: ReturnAddress,
    /// The receipt that goes with it, where receipts are on.
    pub receipts: Option<Receipts>,
}

/// Serves `medialab.payments.v1.PaymentsService`.
#[derive(Debug)]
pub struct Payments {
    billing: Billing,
    yookassa: Arc<YooKassa>,
    creator: Arc<Creator>,
    resolver: Arc<Resolver>,
    stars: Arc<Stars>,
    terms: Terms,
}

impl Payments {
    /// Puts it together.
    pub fn new(billing: Billing, yookassa: Arc<YooKassa>, stars: Arc<Stars>, terms: Terms) -> Self {
        let (creator, resolver) = (Arc::clone(&yookassa.creator), Arc::clone(&yookassa.resolver));
        Self { billing, yookassa, creator, resolver, stars, terms }
    }

    /// The receipt that has to go with a payment.
    async fn receipt(&self, user: UserId, paid: &Paid) -> Result<Option<Receipt>, PaymentError> {
        let Some(receipts) = &self.terms.receipts else { return Ok(None) };
        let email = self.billing.receipt_email(user).await?;
        let email = email.ok_or(PaymentError::ReceiptEmailRequired)?;
        Ok(Some(receipts.for_payment(paid, &email)))
    }

    /// The payment of an open top-up, made now if it was not made before.
    async fn made(&self, top_up: TopUp, deadline: Instant) -> Result<TopUp, PaymentError> {
        match timeout_at(deadline, self.creator.start(top_up)).await {
            Ok(made) => made,
            // The making goes on without us; the repeat joins it or finds it done.
            Err(_elapsed) => Err(PaymentError::ProviderUnavailable),
        }
    }

    /// Asks the provider now; answers with the top-up as it is afterwards.
    async fn checked(&self, top_up: TopUp, deadline: Instant) -> Result<TopUp, PaymentError> {
        let (user_id, id, state) = (top_up.user_id, top_up.id, top_up.state);
        let top_up = match state {
            TopUpState::Settled => return Ok(top_up),
            // Money may still come for it, if there was a payment.
            TopUpState::Cancelled if top_up.payment_id.is_none() => return Ok(top_up),
            TopUpState::Cancelled => top_up,
            TopUpState::Open => self.made(top_up, deadline).await?,
        };
        if let Some(payment_id) = &top_up.payment_id {
            let resolving = self.resolver.resolve(payment_id, Some((&top_up).into()), Via::Check);
            timeout_at(deadline, resolving)
                .await
                .unwrap_or(Err(PaymentError::ProviderUnavailable))?;
        }
        Ok(self.billing.get(user_id, id).await?.unwrap_or(top_up))
    }
}

#[tonic::async_trait]
impl PaymentsService for Payments {
    async fn create_payment(
        &self,
        request: Request<CreatePaymentRequest>,
    ) -> Result<Response<CreatePaymentResponse>, Status> {
        let deadline = deadline(&request);
        let request = request.into_inner();
        let user_id = user_id(request.user_id)?;
        let Quote { paid, credited } = quote(&*self.yookassa, request.amount_kopecks)?;
        let key = key(request.idempotency_key)?;

        let receipt = self.receipt(user_id, &paid).await?;
        let snapshot = snapshot(user_id, &paid, &self.terms.return_address, receipt.as_ref());
        let new = NewTopUp { user_id, paid, credited, key, snapshot };
        let opened = self.billing.open(new).await.map_err(PaymentError::from)?;
        let top_up = if opened.state == TopUpState::Open && opened.payment_id.is_none() {
            self.made(opened, deadline).await?
        } else {
            metrics::counter!("payments_created_total", "outcome" => "repeated").increment(1);
            opened
        };
        Ok(Response::new(CreatePaymentResponse {
            top_up_id: top_up.id.to_string(),
            state: state(&top_up).into(),
            confirmation_url: open_link(&top_up),
        }))
    }

    async fn check_payment(
        &self,
        request: Request<CheckPaymentRequest>,
    ) -> Result<Response<CheckPaymentResponse>, Status> {
        let deadline = deadline(&request);
        let request = request.into_inner();
        let user_id = user_id(request.user_id)?;
        let id = TopUpId::from_str(&request.top_up_id)
            .map_err(|_| invalid("top_up_id", "top_up_id is not a UUID"))?;

        let top_up = self.billing.get(user_id, id).await.map_err(PaymentError::from)?;
        let top_up = top_up.ok_or_else(|| {
            let reason = (PAYMENTS_DOMAIN, TOP_UP_NOT_FOUND);
            refusal(Code::NotFound, reason, "the user has no such top-up", [])
        })?;
        let top_up = match self.checked(top_up, deadline).await {
            // The refusal has cancelled it, and that is the answer.
            Err(PaymentError::ProviderRefused(_) | PaymentError::ShopNotReady(_)) => {
                let now = self.billing.get(user_id, id).await.map_err(PaymentError::from)?;
                now.ok_or_else(|| Status::internal("the top-up is gone"))?
            }
            checked => checked?,
        };
        Ok(Response::new(CheckPaymentResponse {
            state: state(&top_up).into(),
            credited_kopecks: top_up.credited.get(),
            confirmation_url: open_link(&top_up),
            cancel_reason: if top_up.state == TopUpState::Cancelled {
                top_up.cancel_reason
            } else {
                String::new()
            },
        }))
    }

    async fn list_stars_offers(
        &self,
        request: Request<ListStarsOffersRequest>,
    ) -> Result<Response<ListStarsOffersResponse>, Status> {
        stars::list_offers(&self.stars, &request.into_inner()).map(Response::new)
    }

    async fn create_stars_invoice(
        &self,
        request: Request<CreateStarsInvoiceRequest>,
    ) -> Result<Response<CreateStarsInvoiceResponse>, Status> {
        stars::create_invoice(&self.stars, request.into_inner()).await.map(Response::new)
    }

    async fn check_pre_checkout(
        &self,
        request: Request<CheckPreCheckoutRequest>,
    ) -> Result<Response<CheckPreCheckoutResponse>, Status> {
        stars::check(&self.stars, request.into_inner()).await.map(Response::new)
    }

    async fn confirm_stars_payment(
        &self,
        request: Request<ConfirmStarsPaymentRequest>,
    ) -> Result<Response<ConfirmStarsPaymentResponse>, Status> {
        stars::confirm(&self.stars, request.into_inner()).await.map(Response::new)
    }

    async fn find_stars_payment(
        &self,
        request: Request<FindStarsPaymentRequest>,
    ) -> Result<Response<FindStarsPaymentResponse>, Status> {
        let deadline = deadline(&request);
        let finding = stars::find(&self.stars, request.into_inner());
        // A statement may be long; whoever has no patience for it asks again.
        let found = timeout_at(deadline, finding).await;
        found.unwrap_or_else(|_| Err(PaymentError::ProviderUnavailable.into())).map(Response::new)
    }

    async fn reverse_stars_payment(
        &self,
        request: Request<ReverseStarsPaymentRequest>,
    ) -> Result<Response<ReverseStarsPaymentResponse>, Status> {
        stars::reverse(&self.stars, request.into_inner()).await.map(Response::new)
    }
}

/// Until when a caller must hear from us: after it gives up, nobody learns the reason.
fn deadline<T>(request: &Request<T>) -> Instant {
    let patience = request.metadata().get("grpc-timeout").and_then(|it| it.to_str().ok());
    let within = patience.and_then(grpc_timeout).map_or(ANSWER_WITHIN, |patience| {
        patience.saturating_sub(ANSWER_TRAVELS).min(ANSWER_WITHIN)
    });
    Instant::now() + within
}

/// Reads a `grpc-timeout`: at most eight digits and a unit.
fn grpc_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number: u32 = digits.parse().ok()?;
    let unit = match unit {
        "H" => Duration::from_secs(3600),
        "M" => Duration::from_secs(60),
        "S" => Duration::from_secs(1),
        "m" => Duration::from_millis(1),
        "u" => Duration::from_micros(1),
        "n" => Duration::from_nanos(1),
        _ => return None,
    };
    unit.checked_mul(number)
}

pub(crate) fn state(top_up: &TopUp) -> PaymentState {
    match top_up.state {
        TopUpState::Open => PaymentState::Pending,
        TopUpState::Settled => PaymentState::Settled,
        TopUpState::Cancelled => PaymentState::Cancelled,
    }
}

fn open_link(top_up: &TopUp) -> String {
    match top_up.state {
        TopUpState::Open => top_up.confirmation_url.clone(),
        TopUpState::Settled | TopUpState::Cancelled => String::new(),
    }
}

pub(crate) fn invalid(field: &str, message: &str) -> Status {
    let reason = (PAYMENTS_DOMAIN, INVALID_FIELD);
    refusal(Code::InvalidArgument, reason, message, [("field", field.to_owned())])
}

pub(crate) fn user_id(value: i64) -> Result<UserId, Status> {
    UserId::new(value).map_err(|_| invalid("user_id", "user_id must be greater than 0"))
}

pub(crate) fn quote(provider: &impl Provider, kopecks: i64) -> Result<Quote, Status> {
    // What is no sum at all is less than any provider takes.
    let wanted = Kopecks::new(kopecks).unwrap_or(Kopecks::LEAST);
    Ok(provider.quote(wanted)?)
}

pub(crate) fn key(text: String) -> Result<String, Status> {
    let fits = (1..=KEY_LENGTH_MAX).contains(&text.len())
        && text.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
    if fits {
        Ok(text)
    } else {
        Err(invalid(
            "idempotency_key",
            "idempotency_key must be 1 to 128 printable ASCII characters",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_that_gives_up_sooner_hears_from_us_sooner() {
        assert_eq!(grpc_timeout("2S"), Some(Duration::from_secs(2)));
        assert_eq!(grpc_timeout("1500m"), Some(Duration::from_millis(1500)));
        assert_eq!(grpc_timeout("99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
        for wrong in ["", "S", "2", "2s", "-2S", "2.5S", "99999999999S", "2ё"] {
            assert_eq!(grpc_timeout(wrong), None, "{wrong:?}");
        }
    }
}
