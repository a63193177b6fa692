//! Stars, as payment-gateway's contract has them.

use proto::payments::v1::{
    CheckPreCheckoutRequest, CheckPreCheckoutResponse, ConfirmStarsPaymentRequest,
    ConfirmStarsPaymentResponse, CreateStarsInvoiceRequest, CreateStarsInvoiceResponse,
    FindStarsPaymentRequest, FindStarsPaymentResponse, ListStarsOffersRequest,
    ListStarsOffersResponse, PaymentState, ReverseStarsPaymentRequest, ReverseStarsPaymentResponse,
    StarsOffer, StarsPaymentOutcome, StarsReversalOutcome,
};
use proto::reason::{self, PAYMENTS_DOMAIN, refusal};
use tonic::{Code, Status};
use uuid::Uuid;

use super::{Fakes, Fault, Model, Strike};

/// An invoice, and what became of it.
#[derive(Clone, Debug)]
pub(crate) struct StarsInvoice {
    pub(crate) user_id: i64,
    pub(crate) key: String,
    pub(crate) top_up_id: String,
    pub(crate) stars: i64,
    pub(crate) credited: i64,
    /// The charge that was credited.
    pub(crate) charge: Option<String>,
    pub(crate) is_reversed: bool,
}

impl StarsInvoice {
    fn payload(&self) -> String {
        format!("top_up:{}", self.top_up_id)
    }
}

impl Fakes {
    /// Lets a fault strike a call.
    pub(super) async fn struck(&self, fault: fn(&mut Model) -> &mut Fault) -> Result<(), Status> {
        match self.strike(fault, PAYMENTS_DOMAIN) {
            Strike::Before(status) | Strike::After(status) => Err(status),
            Strike::Hang => std::future::pending().await,
            Strike::Nothing => Ok(()),
        }
    }
}

fn refused(code: Code, reason: &str) -> Status {
    refusal(code, (PAYMENTS_DOMAIN, reason), "the fake refuses it", [])
}

impl Model {
    fn rate(&self) -> Result<i64, Status> {
        self.stars_rate.ok_or_else(|| refused(Code::FailedPrecondition, reason::STARS_NOT_OFFERED))
    }

    fn invoice(&mut self, user_id: i64, payload: &str) -> Option<&mut StarsInvoice> {
        let mut invoices = self.invoices.iter_mut();
        invoices.find(|invoice| invoice.user_id == user_id && invoice.payload() == payload)
    }

    pub(super) fn stars_offers(
        &self,
        request: &ListStarsOffersRequest,
    ) -> Result<ListStarsOffersResponse, Status> {
        let rate = self.rate()?;
        let offer = |&amount_kopecks: &i64| {
            let stars = (amount_kopecks + rate - 1) / rate;
            StarsOffer { amount_kopecks, stars, credited_kopecks: stars * rate }
        };
        let offers = request.amounts_kopecks.iter().map(offer).collect();
        Ok(ListStarsOffersResponse { offers })
    }

    pub(super) fn create_stars_invoice(
        &mut self,
        request: CreateStarsInvoiceRequest,
    ) -> Result<CreateStarsInvoiceResponse, Status> {
        let rate = self.rate()?;
        let key = request.idempotency_key;
        if !self.invoices.iter().any(|known| known.key == key) {
            let stars = (request.amount_kopecks + rate - 1) / rate;
            self.invoices.push(StarsInvoice {
                user_id: request.user_id,
                key: key.clone(),
                top_up_id: Uuid::now_v7().to_string(),
                stars,
                credited: stars * rate,
                charge: None,
                is_reversed: false,
            });
        }
        let invoice = self.invoices.iter().find(|known| known.key == key).unwrap();
        Ok(CreateStarsInvoiceResponse {
            top_up_id: invoice.top_up_id.clone(),
            payload: invoice.payload(),
            stars: invoice.stars,
            credited_kopecks: invoice.credited,
            state: PaymentState::Pending.into(),
        })
    }

    pub(super) fn check_pre_checkout(
        &mut self,
        request: &CheckPreCheckoutRequest,
    ) -> Result<CheckPreCheckoutResponse, Status> {
        let Some(invoice) = self.invoice(request.user_id, &request.payload) else {
            return Err(refused(Code::NotFound, reason::TOP_UP_NOT_FOUND));
        };
        if invoice.charge.is_some() {
            return Err(refused(Code::FailedPrecondition, reason::TOP_UP_SETTLED));
        }
        Ok(CheckPreCheckoutResponse {})
    }

    pub(super) fn confirm_stars_payment(
        &mut self,
        request: &ConfirmStarsPaymentRequest,
    ) -> ConfirmStarsPaymentResponse {
        let refuse = |reason: &str| ConfirmStarsPaymentResponse {
            outcome: StarsPaymentOutcome::GiveBack.into(),
            refusal: reason.to_owned(),
            ..ConfirmStarsPaymentResponse::default()
        };
        let charge = &request.telegram_payment_charge_id;
        let Some(invoice) = self.invoice(request.user_id, &request.payload) else {
            return refuse(reason::TOP_UP_NOT_FOUND);
        };
        if invoice.charge.as_ref().is_some_and(|known| known != charge) {
            return refuse(reason::TOP_UP_PAYMENT_MISMATCH);
        }
        let is_new = invoice.charge.replace(charge.clone()).is_none();
        let (top_up_id, credited) = (invoice.top_up_id.clone(), invoice.credited);
        if is_new {
            self.accounts.get_mut(&request.user_id).unwrap().balance_kopecks += credited;
        }
        ConfirmStarsPaymentResponse {
            outcome: StarsPaymentOutcome::Settled.into(),
            top_up_id,
            credited_kopecks: credited,
            refusal: String::new(),
        }
    }

    pub(super) fn find_stars_payment(
        &self,
        request: &FindStarsPaymentRequest,
    ) -> Result<FindStarsPaymentResponse, Status> {
        let charge = Some(&request.telegram_payment_charge_id);
        let mut invoices = self.invoices.iter();
        let found = invoices.find(|known| known.charge.as_ref() == charge);
        let invoice = found.ok_or_else(|| refused(Code::NotFound, reason::TOP_UP_NOT_FOUND))?;
        Ok(FindStarsPaymentResponse {
            top_up_id: invoice.top_up_id.clone(),
            payload: invoice.payload(),
            stars: invoice.stars,
            credited_kopecks: invoice.credited,
            reversed_kopecks: 0,
        })
    }

    pub(super) fn reverse_stars_payment(
        &mut self,
        request: &ReverseStarsPaymentRequest,
    ) -> ReverseStarsPaymentResponse {
        let charge = Some(&request.telegram_payment_charge_id);
        let invoice = self.invoice(request.user_id, &request.payload);
        let Some(invoice) = invoice.filter(|known| known.charge.as_ref() == charge) else {
            let outcome = StarsReversalOutcome::NothingCredited.into();
            return ReverseStarsPaymentResponse { outcome };
        };
        if !std::mem::replace(&mut invoice.is_reversed, true) {
            let credited = invoice.credited;
            self.accounts.get_mut(&request.user_id).unwrap().balance_kopecks -= credited;
        }
        ReverseStarsPaymentResponse { outcome: StarsReversalOutcome::Reversed.into() }
    }
}
