//! The door: read the request, call one decision, write the answer.

mod requests;
mod promo_requests;
mod pages;
mod answers;
mod batches;
mod status;
mod watch;
mod admin;
mod stats;

use proto::billing::v1 as wire;
use proto::billing::v1::billing_service_server::BillingService;
use proto::service::shutdown::Shutdown;
use tonic::{Request, Response, Status};

use crate::ledger::{DryReserve, DryReserved, Ledger};
use crate::store::Store;
pub use admin::AdminDoor;
use pages::Page;

/// Answers callers.
#[derive(Debug)]
pub struct Service<S> {
    ledger: Ledger<S>,
    shutdown: Shutdown,
}

impl<S: Store> Service<S> {
    /// Streams end when `shutdown` starts.
    pub fn new(ledger: Ledger<S>, shutdown: Shutdown) -> Self {
        Self { ledger, shutdown }
    }
}

impl<S: Store> Service<S> {
    async fn try_reserve(&self, dry: DryReserve) -> Result<wire::Operation, Status> {
        let (user, operation_type) = (dry.reserve.user, dry.reserve.operation_type.clone());
        let model = dry.reserve.model.clone();
        Ok(match self.ledger.decide(dry).await? {
            DryReserved::Repeat(stored) => answers::operation(*stored),
            DryReserved::Terms(terms) => {
                wire::Operation { model, ..answers::tried(user, &operation_type, terms) }
            }
        })
    }
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl<S: Store> BillingService for Service<S> {
    async fn register_user(
        &self,
        request: Request<wire::RegisterUserRequest>,
    ) -> Answer<wire::RegisterUserResponse> {
        let registered = self.ledger.decide(requests::register(request.into_inner())?).await?;
        let created = registered.created;
        let account = answers::account(registered.standing);
        Ok(Response::new(wire::RegisterUserResponse { account: Some(account), created }))
    }

    async fn get_account(
        &self,
        request: Request<wire::GetAccountRequest>,
    ) -> Answer<wire::GetAccountResponse> {
        let user = requests::user(request.into_inner().user_id)?;
        let account = Some(answers::account(self.ledger.account(user).await?));
        Ok(Response::new(wire::GetAccountResponse { account }))
    }

    async fn list_prices(
        &self,
        _request: Request<wire::ListPricesRequest>,
    ) -> Answer<wire::ListPricesResponse> {
        let prices = self.ledger.prices().into_iter().map(answers::price).collect();
        Ok(Response::new(wire::ListPricesResponse { prices }))
    }

    async fn reserve(
        &self,
        request: Request<wire::ReserveRequest>,
    ) -> Answer<wire::ReserveResponse> {
        let request = request.into_inner();
        let operation = if request.dry_run {
            self.try_reserve(requests::dry_reserve(request)?).await?
        } else {
            answers::operation(self.ledger.decide(requests::reserve(request)?).await?)
        };
        let operation = Some(operation);
        Ok(Response::new(wire::ReserveResponse { operation }))
    }

    async fn extend(&self, request: Request<wire::ExtendRequest>) -> Answer<wire::ExtendResponse> {
        let operation = self.ledger.decide(requests::extend(&request.into_inner())?).await?;
        let operation = Some(answers::operation(operation));
        Ok(Response::new(wire::ExtendResponse { operation }))
    }

    async fn commit(&self, request: Request<wire::CommitRequest>) -> Answer<wire::CommitResponse> {
        let operation = self.ledger.decide(requests::commit(&request.into_inner())?).await?;
        let operation = Some(answers::operation(operation));
        Ok(Response::new(wire::CommitResponse { operation }))
    }

    async fn refund(&self, request: Request<wire::RefundRequest>) -> Answer<wire::RefundResponse> {
        let operation = self.ledger.decide(requests::refund(request.into_inner())?).await?;
        let operation = Some(answers::operation(operation));
        Ok(Response::new(wire::RefundResponse { operation }))
    }

    async fn get_operation(
        &self,
        request: Request<wire::GetOperationRequest>,
    ) -> Answer<wire::GetOperationResponse> {
        let request = request.into_inner();
        let user = requests::user(request.user_id)?;
        let id = requests::operation_id(&request.operation_id)?;
        let operation = Some(answers::operation(self.ledger.operation(user, id).await?));
        Ok(Response::new(wire::GetOperationResponse { operation }))
    }

    async fn list_operations(
        &self,
        request: Request<wire::ListOperationsRequest>,
    ) -> Answer<wire::ListOperationsResponse> {
        let request = request.into_inner();
        let user = requests::user(request.user_id)?;
        let limit = pages::operations_limit(request.page_size)?;
        let below = pages::number_below(&request.page_token)?;
        let read = self.ledger.operations(user, below, limit.with_one_more()).await?;
        let page = Page::cut(read, limit, (pages::operation_weight, pages::operation_place_text));
        Ok(Response::new(wire::ListOperationsResponse {
            operations: page.items.into_iter().map(answers::operation).collect(),
            next_page_token: page.next,
        }))
    }

    async fn list_reserved_operations(
        &self,
        request: Request<wire::ListReservedOperationsRequest>,
    ) -> Answer<wire::ListReservedOperationsResponse> {
        let request = request.into_inner();
        let limit = pages::operations_limit(request.page_size)?;
        let after = pages::reserved_after(&request.page_token)?;
        let read = self.ledger.reserved_operations(after, limit.with_one_more()).await?;
        let page = Page::cut(read, limit, (pages::operation_weight, pages::reserved_place_text));
        Ok(Response::new(wire::ListReservedOperationsResponse {
            operations: page.items.into_iter().map(answers::operation).collect(),
            next_page_token: page.next,
        }))
    }

    async fn open_top_up(
        &self,
        request: Request<wire::OpenTopUpRequest>,
    ) -> Answer<wire::OpenTopUpResponse> {
        let top_up = self.ledger.decide(requests::open_top_up(request.into_inner())?).await?;
        Ok(Response::new(wire::OpenTopUpResponse { top_up: Some(answers::top_up(top_up)) }))
    }

    async fn record_top_up_payment(
        &self,
        request: Request<wire::RecordTopUpPaymentRequest>,
    ) -> Answer<wire::RecordTopUpPaymentResponse> {
        let top_up = self.ledger.decide(requests::record_payment(request.into_inner())?).await?;
        let top_up = Some(answers::top_up(top_up));
        Ok(Response::new(wire::RecordTopUpPaymentResponse { top_up }))
    }

    async fn settle_top_up(
        &self,
        request: Request<wire::SettleTopUpRequest>,
    ) -> Answer<wire::SettleTopUpResponse> {
        let settled = self.ledger.decide(requests::settle(request.into_inner())?).await?;
        Ok(Response::new(wire::SettleTopUpResponse {
            top_up: Some(answers::top_up(settled.top_up)),
            account: Some(answers::account(settled.standing)),
        }))
    }

    async fn reverse_top_up(
        &self,
        request: Request<wire::ReverseTopUpRequest>,
    ) -> Answer<wire::ReverseTopUpResponse> {
        let reversed = self.ledger.decide(requests::reverse(request.into_inner())?).await?;
        Ok(Response::new(wire::ReverseTopUpResponse {
            top_up: Some(answers::top_up(reversed.top_up)),
            account: Some(answers::account(reversed.standing)),
        }))
    }

    async fn redeem_promo_code(
        &self,
        request: Request<wire::RedeemPromoCodeRequest>,
    ) -> Answer<wire::RedeemPromoCodeResponse> {
        let redeemed = self.ledger.decide(promo_requests::redeem(&request.into_inner())?).await?;
        Ok(Response::new(wire::RedeemPromoCodeResponse {
            redemption: Some(answers::redemption(redeemed.redemption, redeemed.is_active)),
            account: Some(answers::account(redeemed.standing)),
        }))
    }

    async fn batch_reserve(
        &self,
        request: Request<wire::BatchReserveRequest>,
    ) -> Answer<wire::BatchReserveResponse> {
        let wire::BatchReserveRequest { items, all_or_nothing } = request.into_inner();
        let results = self.batch(items, requests::reserve_of_batch, all_or_nothing).await?;
        Ok(Response::new(wire::BatchReserveResponse { results }))
    }

    async fn batch_commit(
        &self,
        request: Request<wire::BatchCommitRequest>,
    ) -> Answer<wire::BatchCommitResponse> {
        let wire::BatchCommitRequest { items, all_or_nothing } = request.into_inner();
        let read = |item: wire::CommitRequest| requests::commit(&item);
        let results = self.batch(items, read, all_or_nothing).await?;
        Ok(Response::new(wire::BatchCommitResponse { results }))
    }

    async fn batch_refund(
        &self,
        request: Request<wire::BatchRefundRequest>,
    ) -> Answer<wire::BatchRefundResponse> {
        let wire::BatchRefundRequest { items, all_or_nothing } = request.into_inner();
        let results = self.batch(items, requests::refund, all_or_nothing).await?;
        Ok(Response::new(wire::BatchRefundResponse { results }))
    }

    async fn list_statement(
        &self,
        request: Request<wire::ListStatementRequest>,
    ) -> Answer<wire::ListStatementResponse> {
        let request = request.into_inner();
        let user = requests::user(request.user_id)?;
        let limit = pages::statement_limit(request.page_size)?;
        let read = self.ledger.statement(user, pages::statement(&request, limit)?).await?;
        let page = Page::cut(read, limit, (pages::statement_weight, pages::statement_place_text));
        Ok(Response::new(wire::ListStatementResponse {
            entries: page.items.into_iter().map(answers::entry).collect(),
            next_page_token: page.next,
        }))
    }

    async fn cancel_top_up(
        &self,
        request: Request<wire::CancelTopUpRequest>,
    ) -> Answer<wire::CancelTopUpResponse> {
        let top_up = self.ledger.decide(requests::cancel(request.into_inner())?).await?;
        Ok(Response::new(wire::CancelTopUpResponse { top_up: Some(answers::top_up(top_up)) }))
    }

    async fn get_top_up(
        &self,
        request: Request<wire::GetTopUpRequest>,
    ) -> Answer<wire::GetTopUpResponse> {
        let request = request.into_inner();
        let user = requests::user(request.user_id)?;
        let id = requests::top_up_id(&request.top_up_id)?;
        let top_up = Some(answers::top_up(self.ledger.top_up(user, id).await?));
        Ok(Response::new(wire::GetTopUpResponse { top_up }))
    }

    async fn list_open_top_ups(
        &self,
        request: Request<wire::ListOpenTopUpsRequest>,
    ) -> Answer<wire::ListOpenTopUpsResponse> {
        let request = request.into_inner();
        let limit = pages::top_ups_limit(request.page_size)?;
        let read = self.ledger.open_top_ups(&pages::open_top_ups(&request, limit)?).await?;
        let page = Page::cut(read, limit, (pages::top_up_weight, pages::top_up_place_text));
        Ok(Response::new(wire::ListOpenTopUpsResponse {
            top_ups: page.items.into_iter().map(answers::top_up).collect(),
            next_page_token: page.next,
        }))
    }

    async fn list_settled_top_ups(
        &self,
        request: Request<wire::ListSettledTopUpsRequest>,
    ) -> Answer<wire::ListSettledTopUpsResponse> {
        let request = request.into_inner();
        let limit = pages::top_ups_limit(request.page_size)?;
        let read = self.ledger.settled_top_ups(&pages::settled_top_ups(&request, limit)?).await?;
        let page = Page::cut(read, limit, (pages::top_up_weight, pages::settled_place_text));
        Ok(Response::new(wire::ListSettledTopUpsResponse {
            top_ups: page.items.into_iter().map(answers::top_up).collect(),
            next_page_token: page.next,
        }))
    }

    async fn list_reversals(
        &self,
        request: Request<wire::ListReversalsRequest>,
    ) -> Answer<wire::ListReversalsResponse> {
        let request = request.into_inner();
        let limit = pages::top_ups_limit(request.page_size)?;
        let read = self.ledger.reversals(&pages::reversals(&request, limit)?).await?;
        let page = Page::cut(read, limit, (pages::reversal_weight, pages::reversal_place_text));
        Ok(Response::new(wire::ListReversalsResponse {
            reversals: page.items.into_iter().map(answers::reversal).collect(),
            next_page_token: page.next,
        }))
    }

    type WatchEventsStream = watch::Stream;

    async fn watch_events(
        &self,
        request: Request<wire::WatchEventsRequest>,
    ) -> Answer<Self::WatchEventsStream> {
        let consumer = request.into_inner().consumer;
        self.ledger.check_consumer(&consumer)?;
        let stream = watch::stream(self.ledger.clone(), consumer, self.shutdown.clone());
        Ok(Response::new(stream))
    }

    async fn ack_events(
        &self,
        request: Request<wire::AckEventsRequest>,
    ) -> Answer<wire::AckEventsResponse> {
        let request = request.into_inner();
        let ids = requests::event_ids(&request.events)?;
        self.ledger.ack_events(&request.consumer, ids).await?;
        Ok(Response::new(wire::AckEventsResponse {}))
    }
}
