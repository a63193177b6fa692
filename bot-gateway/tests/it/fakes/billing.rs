//! `BillingService`, as far as the bot calls it.

use proto::billing::v1::billing_service_server::BillingService;
use proto::billing::v1::{
    Account, AckEventsRequest, AckEventsResponse, BatchCommitRequest, BatchCommitResponse,
    BatchRefundRequest, BatchRefundResponse, BatchReserveRequest, BatchReserveResponse,
    CancelTopUpRequest, CancelTopUpResponse, CommitRequest, CommitResponse, ExtendRequest,
    ExtendResponse, GetAccountRequest, GetAccountResponse, GetOperationRequest,
    GetOperationResponse, GetTopUpRequest, GetTopUpResponse, ListOpenTopUpsRequest,
    ListOpenTopUpsResponse, ListOperationsRequest, ListOperationsResponse, ListPricesRequest,
    ListPricesResponse, ListReservedOperationsRequest, ListReservedOperationsResponse,
    ListReversalsRequest, ListReversalsResponse, ListSettledTopUpsRequest,
    ListSettledTopUpsResponse, ListStatementRequest, ListStatementResponse, OpenTopUpRequest,
    OpenTopUpResponse, Operation, OperationState, PaymentSource, Price, RecordTopUpPaymentRequest,
    RecordTopUpPaymentResponse, RedeemPromoCodeRequest, RedeemPromoCodeResponse, Redemption,
    RefundRequest, RefundResponse, RegisterUserRequest, RegisterUserResponse, ReserveRequest,
    ReserveResponse, ReverseTopUpRequest, ReverseTopUpResponse, SettleTopUpRequest,
    SettleTopUpResponse, WatchEventsRequest, WatchEventsResponse,
};
use proto::reason::{self, BILLING_DOMAIN, refusal};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Response, Status};
use uuid::Uuid;

use super::{Fakes, Model, Strike, lendable};

const TYPES: [&str; 6] = ["generate", "edit", "merge", "face_swap", "retouch", "upscale"];

type Answer<T> = Result<Response<T>, Status>;

impl Model {
    fn account(&mut self, user_id: i64) -> Result<&mut Account, Status> {
        self.accounts.get_mut(&user_id).ok_or_else(|| {
            refusal(Code::NotFound, (BILLING_DOMAIN, reason::USER_NOT_FOUND), "unknown", [])
        })
    }

    pub(crate) fn register(&mut self, user_id: i64) -> Account {
        let free_operations = self.free_operations;
        let new = || Account { user_id, free_operations, ..Account::default() };
        self.accounts.entry(user_id).or_insert_with(new).clone()
    }

    /// Where a user's receipts go.
    pub(crate) fn email(&self, user_id: i64) -> Option<String> {
        self.accounts.get(&user_id)?.profile.as_ref()?.receipt_email.clone()
    }

    fn reserve(&mut self, request: &ReserveRequest) -> Result<Operation, Status> {
        self.reserve_keys.push(request.idempotency_key.clone());
        let key = &request.idempotency_key;
        if let Some(known) = self.operations.iter().find(|known| known.idempotency_key == *key) {
            return Ok(known.clone());
        }
        let own = self
            .model_prices
            .iter()
            .find(|(name, model, _)| *name == request.operation_type && *model == request.model);
        let price = own.map_or(self.price, |(_, _, price)| *price);
        if request.expected_price_kopecks.is_some_and(|expected| price > expected) {
            return Err(refusal(
                Code::FailedPrecondition,
                (BILLING_DOMAIN, reason::PRICE_CHANGED),
                "price changed",
                [("price_kopecks", price.to_string())],
            ));
        }
        let account = self.account(request.user_id)?;
        let (source, charged) = if account.free_operations > 0 {
            account.free_operations -= 1;
            (PaymentSource::FreeOperation, 0)
        } else if account.balance_kopecks >= price {
            account.balance_kopecks -= price;
            (PaymentSource::Balance, price)
        } else {
            return Err(refusal(
                Code::FailedPrecondition,
                (BILLING_DOMAIN, reason::INSUFFICIENT_FUNDS),
                "not enough",
                [
                    ("price_kopecks", price.to_string()),
                    ("balance_kopecks", account.balance_kopecks.to_string()),
                    ("free_operations", "0".to_owned()),
                ],
            ));
        };
        let operation = Operation {
            operation_id: Uuid::now_v7().to_string(),
            user_id: request.user_id,
            operation_type: request.operation_type.clone(),
            model: request.model.clone(),
            state: OperationState::Reserved.into(),
            source: source.into(),
            price_kopecks: price,
            charged_kopecks: charged,
            idempotency_key: key.clone(),
            ..Operation::default()
        };
        self.operations.push(operation.clone());
        Ok(operation)
    }

    pub(crate) fn operation(&mut self, operation_id: &str) -> Result<&mut Operation, Status> {
        let mut operations = self.operations.iter_mut();
        operations.find(|known| known.operation_id == operation_id).ok_or_else(|| {
            refusal(Code::NotFound, (BILLING_DOMAIN, reason::OPERATION_NOT_FOUND), "unknown", [])
        })
    }

    pub(crate) fn commit(&mut self, operation_id: &str) {
        self.operation(operation_id).unwrap().set_state(OperationState::Committed);
    }

    pub(crate) fn give_back(&mut self, operation_id: &str) -> Result<Operation, Status> {
        let operation = self.operation(operation_id)?;
        if operation.state() == OperationState::Committed {
            return Err(refusal(
                Code::FailedPrecondition,
                (BILLING_DOMAIN, reason::OPERATION_COMMITTED),
                "committed",
                [],
            ));
        }
        let was_reserved = operation.state() == OperationState::Reserved;
        operation.set_state(OperationState::Refunded);
        let operation = operation.clone();
        if was_reserved {
            let account = self.account(operation.user_id)?;
            account.balance_kopecks += operation.charged_kopecks;
            if operation.source() == PaymentSource::FreeOperation {
                account.free_operations += 1;
            }
        }
        Ok(operation)
    }
}

#[tonic::async_trait]
impl BillingService for Fakes {
    async fn register_user(
        &self,
        request: Request<RegisterUserRequest>,
    ) -> Answer<RegisterUserResponse> {
        let RegisterUserRequest { user_id, profile } = request.into_inner();
        let mut model = self.model();
        model.register(user_id);
        let account = model.account(user_id)?;
        let (given, stored) =
            (profile.unwrap_or_default(), account.profile.get_or_insert_default());
        stored.language = given.language.or(stored.language.take());
        stored.receipt_email = given.receipt_email.or(stored.receipt_email.take());
        let account = Some(account.clone());
        Ok(Response::new(RegisterUserResponse { account, created: false }))
    }

    async fn get_account(&self, request: Request<GetAccountRequest>) -> Answer<GetAccountResponse> {
        match self.strike(|model| &mut model.account, BILLING_DOMAIN) {
            Strike::Before(status) | Strike::After(status) => return Err(status),
            Strike::Hang => std::future::pending().await,
            Strike::Nothing => {}
        }
        let account = self.model().account(request.into_inner().user_id)?.clone();
        Ok(Response::new(GetAccountResponse { account: Some(account) }))
    }

    async fn list_prices(&self, _: Request<ListPricesRequest>) -> Answer<ListPricesResponse> {
        let price_kopecks = self.model().price;
        let price = |name: &str| Price {
            operation_type: name.to_owned(),
            model: String::new(),
            price_kopecks,
            free_operations_allowed: true,
            ..Price::default()
        };
        let mut prices = TYPES.map(price).to_vec();
        prices.extend(self.model().model_prices.iter().map(|(name, model, price_kopecks)| Price {
            model: (*model).to_owned(),
            price_kopecks: *price_kopecks,
            ..price(name)
        }));
        Ok(Response::new(ListPricesResponse { prices }))
    }

    async fn reserve(&self, request: Request<ReserveRequest>) -> Answer<ReserveResponse> {
        let strike = self.strike(|model| &mut model.reserve, BILLING_DOMAIN);
        let request = request.into_inner();
        match strike {
            Strike::Before(status) => Err(status),
            Strike::Hang => {
                self.model().reserve_keys.push(request.idempotency_key);
                std::future::pending().await
            }
            Strike::After(status) => {
                self.model().reserve(&request)?;
                Err(status)
            }
            Strike::Nothing => {
                let operation = Some(self.model().reserve(&request)?);
                Ok(Response::new(ReserveResponse { operation }))
            }
        }
    }

    async fn refund(&self, request: Request<RefundRequest>) -> Answer<RefundResponse> {
        let request = request.into_inner();
        let mut model = self.model();
        let known = model.operation(&request.operation_id)?;
        if !request.actor.is_empty() && known.state() == OperationState::Committed {
            known.set_state(OperationState::Reserved);
        }
        let operation = Some(model.give_back(&request.operation_id)?);
        model.refunds.push(request.operation_id);
        Ok(Response::new(RefundResponse { operation }))
    }

    async fn get_operation(
        &self,
        request: Request<GetOperationRequest>,
    ) -> Answer<GetOperationResponse> {
        let operation = self.model().operation(&request.into_inner().operation_id)?.clone();
        Ok(Response::new(GetOperationResponse { operation: Some(operation) }))
    }

    type WatchEventsStream = ReceiverStream<Result<WatchEventsResponse, Status>>;

    async fn watch_events(
        &self,
        _: Request<WatchEventsRequest>,
    ) -> Answer<Self::WatchEventsStream> {
        Ok(Response::new(self.lend(|model| {
            let events = lendable(&mut model.events, |event| event.user_id);
            events.into_iter().map(|event| WatchEventsResponse { event: Some(event) }).collect()
        })))
    }

    async fn ack_events(&self, request: Request<AckEventsRequest>) -> Answer<AckEventsResponse> {
        let mut model = self.model();
        for id in request.into_inner().events {
            for lent in &mut model.events {
                if (lent.thing.user_id, lent.thing.number) == (id.user_id, id.number) {
                    lent.is_acknowledged = true;
                }
            }
        }
        Ok(Response::new(AckEventsResponse {}))
    }

    async fn extend(&self, _: Request<ExtendRequest>) -> Answer<ExtendResponse> {
        Err(not_called())
    }

    async fn commit(&self, _: Request<CommitRequest>) -> Answer<CommitResponse> {
        Err(not_called())
    }

    async fn list_operations(
        &self,
        _: Request<ListOperationsRequest>,
    ) -> Answer<ListOperationsResponse> {
        Err(not_called())
    }

    async fn list_reserved_operations(
        &self,
        _: Request<ListReservedOperationsRequest>,
    ) -> Answer<ListReservedOperationsResponse> {
        Err(not_called())
    }

    async fn open_top_up(&self, _: Request<OpenTopUpRequest>) -> Answer<OpenTopUpResponse> {
        Err(not_called())
    }

    async fn record_top_up_payment(
        &self,
        _: Request<RecordTopUpPaymentRequest>,
    ) -> Answer<RecordTopUpPaymentResponse> {
        Err(not_called())
    }

    async fn settle_top_up(&self, _: Request<SettleTopUpRequest>) -> Answer<SettleTopUpResponse> {
        Err(not_called())
    }

    async fn cancel_top_up(&self, _: Request<CancelTopUpRequest>) -> Answer<CancelTopUpResponse> {
        Err(not_called())
    }

    async fn get_top_up(&self, _: Request<GetTopUpRequest>) -> Answer<GetTopUpResponse> {
        Err(not_called())
    }

    async fn list_open_top_ups(
        &self,
        _: Request<ListOpenTopUpsRequest>,
    ) -> Answer<ListOpenTopUpsResponse> {
        Err(not_called())
    }

    async fn list_settled_top_ups(
        &self,
        _: Request<ListSettledTopUpsRequest>,
    ) -> Answer<ListSettledTopUpsResponse> {
        Err(not_called())
    }

    async fn list_reversals(
        &self,
        _: Request<ListReversalsRequest>,
    ) -> Answer<ListReversalsResponse> {
        Err(not_called())
    }

    async fn batch_reserve(&self, _: Request<BatchReserveRequest>) -> Answer<BatchReserveResponse> {
        Err(not_called())
    }

    async fn batch_commit(&self, _: Request<BatchCommitRequest>) -> Answer<BatchCommitResponse> {
        Err(not_called())
    }

    async fn batch_refund(&self, _: Request<BatchRefundRequest>) -> Answer<BatchRefundResponse> {
        Err(not_called())
    }

    async fn list_statement(
        &self,
        request: Request<ListStatementRequest>,
    ) -> Answer<ListStatementResponse> {
        let request = request.into_inner();
        let below: i64 = match request.page_token.as_str() {
            "" => i64::MAX,
            token => token.parse().map_err(|_| {
                let told = (BILLING_DOMAIN, reason::INVALID_FIELD);
                refusal(Code::InvalidArgument, told, "page_token", [])
            })?,
        };
        let from = request.from.map_or(i64::MIN, |from| from.seconds);
        let size = usize::try_from(request.page_size).unwrap();
        let model = self.model();
        let mut entries: Vec<_> = model
            .entries
            .iter()
            .rev()
            .filter(|entry| entry.number < below)
            .filter(|entry| entry.created_at.is_none_or(|at| at.seconds >= from))
            .take(size + 1)
            .cloned()
            .collect();
        let is_more = entries.len() > size;
        entries.truncate(size);
        let last = entries.last().map_or(0, |entry| entry.number);
        let next_page_token = if is_more { last.to_string() } else { String::new() };
        Ok(Response::new(ListStatementResponse { entries, next_page_token }))
    }

    async fn reverse_top_up(
        &self,
        _: Request<ReverseTopUpRequest>,
    ) -> Answer<ReverseTopUpResponse> {
        Err(not_called())
    }

    async fn redeem_promo_code(
        &self,
        request: Request<RedeemPromoCodeRequest>,
    ) -> Answer<RedeemPromoCodeResponse> {
        let request = request.into_inner();
        let mut model = self.model();
        model.redeem_keys.push(request.idempotency_key.clone());
        let refused =
            |reason| refusal(Code::FailedPrecondition, (BILLING_DOMAIN, reason), "refused", []);
        let code = request.code.to_uppercase();
        let known = model.promo_codes.get(&code).copied();
        let effect = known.ok_or_else(|| refused(reason::PROMO_CODE_NOT_FOUND))?;
        let account = model.account(request.user_id)?;
        let earlier = account.redemptions.iter().find(|earlier| earlier.code == code);
        let redemption = match earlier {
            Some(earlier) if earlier.idempotency_key == request.idempotency_key => earlier.clone(),
            Some(_) => return Err(refused(reason::PROMO_CODE_ALREADY_REDEEMED)),
            None => Redemption {
                code,
                effect: Some(effect),
                is_active: true,
                idempotency_key: request.idempotency_key,
                ..Redemption::default()
            },
        };
        if earlier.is_none() {
            account.redemptions.push(redemption.clone());
        }
        let account = Some(account.clone());
        Ok(Response::new(RedeemPromoCodeResponse { redemption: Some(redemption), account }))
    }
}

fn not_called() -> Status {
    Status::unimplemented("the bot has no business with this call")
}
