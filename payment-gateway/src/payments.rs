//! The RPCs: read the request, do it, write the answer.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use proto::payments::v1::payments_service_server::PaymentsService;
use proto::payments::v1::{
    CheckPaymentRequest, CheckPaymentResponse, CreatePaymentRequest, CreatePaymentResponse,
    PaymentState,
};
use proto::reason::{
    AMOUNT_OUT_OF_RANGE, INVALID_FIELD, PAYMENTS_DOMAIN, TOP_UP_NOT_FOUND, refusal,
};
use tokio::time::{Instant, timeout_at};
use tonic::{Code, Request, Response, Status};

use crate::billing::{Billing, NewTopUp, Paid, TopUp, TopUpState};
use crate::create::{Creator, ReturnAddress, snapshot};
use crate::error::PaymentError;
use crate::ids::{TopUpId, UserId};
use crate::money::{Kopecks, PAYMENT_MAX, PAYMENT_MIN};
use crate::resolve::{Resolver, Via};

/// Callers give up after ten seconds by default, and should hear from us before that.
const ANSWER_WITHIN: Duration = Duration::from_secs(8);
/// What an answer needs to reach a caller that gives up sooner.
const ANSWER_TRAVELS: Duration = Duration::from_millis(300);
/// Billing's limit for a key, in characters.
const KEY_LENGTH_MAX: usize = 128;

/// What is asked for in each payment.
#[derive(Clone, Debug)]
pub struct Terms {
    /// The shop's currency.
    pub currency: String,
    /// Where the user's browser goes afterwards.
    pub return_address: ReturnAddress,
}

/// Serves `medialab.payments.v1.PaymentsService`.
#[derive(Debug)]
pub struct Payments {
    billing: Billing,
    creator: Arc<Creator>,
    resolver: Arc<Resolver>,
    terms: Terms,
}

impl Payments {
    /// Puts it together.
    pub fn new(
        billing: Billing,
        creator: Arc<Creator>,
        resolver: Arc<Resolver>,
        terms: Terms,
    ) -> Self {
        Self { billing, creator, resolver, terms }
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
        let amount = amount(request.amount_kopecks)?;
        let key = key(request.idempotency_key)?;

        let paid = Paid { amount, currency: self.terms.currency.clone() };
        let snapshot = snapshot(user_id, &paid, &self.terms.return_address);
        let new = NewTopUp { user_id, paid, key, snapshot };
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
            Err(PaymentError::ProviderRefused(_)) => {
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

fn state(top_up: &TopUp) -> PaymentState {
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

fn invalid(field: &str, message: &str) -> Status {
    let reason = (PAYMENTS_DOMAIN, INVALID_FIELD);
    refusal(Code::InvalidArgument, reason, message, [("field", field.to_owned())])
}

fn user_id(value: i64) -> Result<UserId, Status> {
    UserId::new(value).map_err(|_| invalid("user_id", "user_id must be greater than 0"))
}

fn amount(kopecks: i64) -> Result<Kopecks, Status> {
    let amount = Kopecks::new(kopecks).ok();
    amount.filter(|amount| (PAYMENT_MIN..=PAYMENT_MAX).contains(amount)).ok_or_else(|| {
        refusal(
            Code::InvalidArgument,
            (PAYMENTS_DOMAIN, AMOUNT_OUT_OF_RANGE),
            format!("amount_kopecks must be {PAYMENT_MIN} to {PAYMENT_MAX}"),
            [("min_kopecks", PAYMENT_MIN.to_string()), ("max_kopecks", PAYMENT_MAX.to_string())],
        )
    })
}

fn key(text: String) -> Result<String, Status> {
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
