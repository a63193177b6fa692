//! `PaymentsService`.

use proto::payments::v1::payments_service_server::PaymentsService;
use proto::payments::v1::{
    CheckPaymentRequest, CheckPaymentResponse, CheckPreCheckoutRequest, CheckPreCheckoutResponse,
    ConfirmStarsPaymentRequest, ConfirmStarsPaymentResponse, CreatePaymentRequest,
    CreatePaymentResponse, CreateStarsInvoiceRequest, CreateStarsInvoiceResponse,
    FindStarsPaymentRequest, FindStarsPaymentResponse, ListStarsOffersRequest,
    ListStarsOffersResponse, PaymentState, ReverseStarsPaymentRequest, ReverseStarsPaymentResponse,
};
use proto::reason::{self, PAYMENTS_DOMAIN, refusal};
use tonic::{Code, Request, Response, Status};
use uuid::Uuid;

use super::{Fakes, Payment, Strike};

#[tonic::async_trait]
impl PaymentsService for Fakes {
    async fn create_payment(
        &self,
        request: Request<CreatePaymentRequest>,
    ) -> Result<Response<CreatePaymentResponse>, Status> {
        let request = request.into_inner();
        self.model().payment_keys.push(request.idempotency_key.clone());
        match self.strike(|model| &mut model.create_payment, PAYMENTS_DOMAIN) {
            Strike::Before(status) | Strike::After(status) => return Err(status),
            Strike::Hang => std::future::pending().await,
            Strike::Nothing => {}
        }
        let mut model = self.model();
        let email = model.email(request.user_id);
        if model.wants_receipts && email.is_none() {
            return Err(refusal(
                Code::FailedPrecondition,
                (PAYMENTS_DOMAIN, reason::RECEIPT_EMAIL_REQUIRED),
                "no address",
                [],
            ));
        }
        let known =
            model.payments.iter().find(|known| known.key == request.idempotency_key).cloned();
        let payment = known.unwrap_or_else(|| {
            let payment = Payment {
                top_up_id: Uuid::now_v7().to_string(),
                key: request.idempotency_key,
                amount: request.amount_kopecks,
                state: PaymentState::Pending,
                reason: String::new(),
                email,
            };
            model.payments.push(payment.clone());
            payment
        });
        Ok(Response::new(CreatePaymentResponse {
            confirmation_url: format!("https://pay.example/{}", payment.top_up_id),
            top_up_id: payment.top_up_id,
            state: payment.state.into(),
        }))
    }

    async fn check_payment(
        &self,
        request: Request<CheckPaymentRequest>,
    ) -> Result<Response<CheckPaymentResponse>, Status> {
        let request = request.into_inner();
        let model = self.model();
        let mut payments = model.payments.iter();
        let Some(payment) = payments.find(|known| known.top_up_id == request.top_up_id) else {
            return Err(refusal(
                Code::NotFound,
                (PAYMENTS_DOMAIN, reason::TOP_UP_NOT_FOUND),
                "unknown",
                [],
            ));
        };
        Ok(Response::new(CheckPaymentResponse {
            state: payment.state.into(),
            credited_kopecks: payment.amount,
            cancel_reason: payment.reason.clone(),
            confirmation_url: format!("https://pay.example/{}", payment.top_up_id),
        }))
    }

    async fn list_stars_offers(
        &self,
        request: Request<ListStarsOffersRequest>,
    ) -> Result<Response<ListStarsOffersResponse>, Status> {
        self.struck(|model| &mut model.offers).await?;
        self.model().stars_offers(&request.into_inner()).map(Response::new)
    }

    async fn create_stars_invoice(
        &self,
        request: Request<CreateStarsInvoiceRequest>,
    ) -> Result<Response<CreateStarsInvoiceResponse>, Status> {
        self.model().create_stars_invoice(request.into_inner()).map(Response::new)
    }

    async fn check_pre_checkout(
        &self,
        request: Request<CheckPreCheckoutRequest>,
    ) -> Result<Response<CheckPreCheckoutResponse>, Status> {
        self.struck(|model| &mut model.pre_checkout).await?;
        self.model().check_pre_checkout(&request.into_inner()).map(Response::new)
    }

    async fn confirm_stars_payment(
        &self,
        request: Request<ConfirmStarsPaymentRequest>,
    ) -> Result<Response<ConfirmStarsPaymentResponse>, Status> {
        let charge = &request.get_ref().telegram_payment_charge_id;
        self.model().confirmed.push(charge.clone());
        self.struck(|model| &mut model.confirm).await?;
        Ok(Response::new(self.model().confirm_stars_payment(&request.into_inner())))
    }

    async fn find_stars_payment(
        &self,
        request: Request<FindStarsPaymentRequest>,
    ) -> Result<Response<FindStarsPaymentResponse>, Status> {
        self.model().find_stars_payment(&request.into_inner()).map(Response::new)
    }

    async fn reverse_stars_payment(
        &self,
        request: Request<ReverseStarsPaymentRequest>,
    ) -> Result<Response<ReverseStarsPaymentResponse>, Status> {
        let charge = &request.get_ref().telegram_payment_charge_id;
        self.model().reversed.push(charge.clone());
        self.struck(|model| &mut model.reverse).await?;
        Ok(Response::new(self.model().reverse_stars_payment(&request.into_inner())))
    }
}
