//! billing-svc as the worker knows it: operations with states, over the real contract.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use proto::billing::v1 as wire;
use proto::billing::v1::billing_service_server::{BillingService, BillingServiceServer};
use proto::reason;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Code, Request, Response, Status};
use wire::OperationState;

/// One operation, and what was asked for it.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) user: i64,
    pub(crate) operation_type: String,
    pub(crate) model: String,
    pub(crate) state: OperationState,
    pub(crate) commits: u32,
    pub(crate) refunds: u32,
    pub(crate) extends: u32,
    pub(crate) cost_micro_usd: Option<i64>,
    pub(crate) reason: String,
}

#[derive(Debug, Default)]
struct Books {
    operations: HashMap<String, Held>,
    /// A type that has no price.
    not_sold: Option<&'static str>,
    /// No call is answered.
    is_down: bool,
    /// How often a call about each operation was not answered.
    unanswered: HashMap<String, u32>,
    /// An operation whose hold is not extended, for a reason that nobody has thought of.
    not_extended: Option<String>,
    /// Commits are done and then not answered, so many times.
    lost_commits: u32,
}

/// Plays billing-svc. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Billing {
    books: Arc<Mutex<Books>>,
}

impl Billing {
    /// Serves on a free port; answers with its address.
    pub(crate) async fn serve(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let service = BillingServiceServer::new(self.clone());
        tokio::spawn(
            tonic::transport::Server::builder()
                .add_service(service)
                .serve_with_incoming(TcpListenerStream::new(listener)),
        );
        url
    }

    pub(crate) fn reserve(&self, user: i64, operation_type: &str) -> String {
        self.reserve_model(user, operation_type, "")
    }

    pub(crate) fn reserve_model(&self, user: i64, operation_type: &str, model: &str) -> String {
        let id = uuid::Uuid::now_v7().to_string();
        let held = Held {
            user,
            operation_type: operation_type.to_owned(),
            model: model.to_owned(),
            state: OperationState::Reserved,
            commits: 0,
            refunds: 0,
            extends: 0,
            cost_micro_usd: None,
            reason: String::new(),
        };
        self.books().operations.insert(id.clone(), held);
        id
    }

    pub(crate) fn operation(&self, id: &str) -> Held {
        self.books().operations[id].clone()
    }

    /// Whose operation it is.
    pub(crate) fn owner(&self, id: &str) -> Option<i64> {
        self.books().operations.get(id).map(|held| held.user)
    }

    pub(crate) fn operations(&self) -> Vec<(String, Held)> {
        self.books().operations.iter().map(|(id, held)| (id.clone(), held.clone())).collect()
    }

    /// The hold runs out, and its price cannot be taken again.
    pub(crate) fn expire(&self, id: &str) {
        self.books().operations.get_mut(id).unwrap().state = OperationState::Expired;
    }

    pub(crate) fn set_down(&self, is_down: bool) {
        self.books().is_down = is_down;
    }

    pub(crate) fn unanswered(&self, id: &str) -> u32 {
        self.books().unanswered.get(id).copied().unwrap_or_default()
    }

    pub(crate) fn refuse_to_extend(&self, id: &str) {
        self.books().not_extended = Some(id.to_owned());
    }

    pub(crate) fn stop_selling(&self, operation_type: &'static str) {
        self.books().not_sold = Some(operation_type);
    }

    pub(crate) fn lose_commits(&self, count: u32) {
        self.books().lost_commits = count;
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finds the user's operation and changes it.
    fn change<T>(
        &self,
        user: i64,
        id: &str,
        change: impl FnOnce(&mut Held) -> Result<T, Status>,
    ) -> Result<(T, wire::Operation), Status> {
        let mut books = self.books();
        if books.is_down {
            *books.unanswered.entry(id.to_owned()).or_default() += 1;
            return Err(Status::unavailable("down, as the test says"));
        }
        let held = books.operations.get_mut(id).filter(|held| held.user == user);
        let held = held.ok_or_else(|| refusal(Code::NotFound, reason::OPERATION_NOT_FOUND))?;
        let value = change(held)?;
        let operation = wire::Operation {
            operation_id: id.to_owned(),
            user_id: held.user,
            operation_type: held.operation_type.clone(),
            model: held.model.clone(),
            state: held.state.into(),
            expires_at: Some((SystemTime::now() + Duration::from_secs(3)).into()),
            ..wire::Operation::default()
        };
        Ok((value, operation))
    }
}

fn refusal(code: Code, reason: &str) -> Status {
    reason::refusal(code, (reason::BILLING_DOMAIN, reason), "as the test says", [])
}

fn failed(reason: &str) -> Status {
    refusal(Code::FailedPrecondition, reason)
}

/// Calls that the worker never makes.
macro_rules! never_called {
    ($($method:ident($request:ident) -> $response:ident;)*) => {
        /// Implements the four calls that the worker makes, and refuses the others.
        #[tonic::async_trait]
        impl BillingService for Billing {
            async fn list_prices(
        &self,
        _request: Request<wire::ListPricesRequest>,
    ) -> Result<Response<wire::ListPricesResponse>, Status> {
        let books = self.books();
        if books.is_down {
            return Err(Status::unavailable("down, as the test says"));
        }
        let types = ["generate", "edit", "merge", "face_swap", "retouch", "upscale"];
        let sold = types.into_iter().filter(|sold| books.not_sold != Some(*sold));
        let price = |sold: &str| wire::Price {
            operation_type: sold.to_owned(),
            price_kopecks: 1_000,
            ..wire::Price::default()
        };
        Ok(Response::new(wire::ListPricesResponse { prices: sold.map(price).collect() }))
    }

    async fn get_operation(
                &self,
                request: Request<wire::GetOperationRequest>,
            ) -> Result<Response<wire::GetOperationResponse>, Status> {
                let request = request.into_inner();
                let (_, operation) =
                    self.change(request.user_id, &request.operation_id, |_| Ok(()))?;
                Ok(Response::new(wire::GetOperationResponse { operation: Some(operation) }))
            }

            async fn extend(
                &self,
                request: Request<wire::ExtendRequest>,
            ) -> Result<Response<wire::ExtendResponse>, Status> {
                let request = request.into_inner();
                if self.books().not_extended.as_ref() == Some(&request.operation_id) {
                    return Err(Status::internal("not extended, as the test says"));
                }
                let (_, operation) =
                    self.change(request.user_id, &request.operation_id, |held| {
                        match held.state {
                            OperationState::Reserved => {
                                held.extends += 1;
                                Ok(())
                            }
                            OperationState::Committed => Err(failed(reason::OPERATION_COMMITTED)),
                            OperationState::Refunded => Err(failed(reason::OPERATION_REFUNDED)),
                            _ => Err(failed(reason::HOLD_EXPIRED)),
                        }
                    })?;
                Ok(Response::new(wire::ExtendResponse { operation: Some(operation) }))
            }

            async fn commit(
                &self,
                request: Request<wire::CommitRequest>,
            ) -> Result<Response<wire::CommitResponse>, Status> {
                let request = request.into_inner();
                let (_, operation) =
                    self.change(request.user_id, &request.operation_id, |held| {
                        match held.state {
                            OperationState::Reserved | OperationState::Committed => {
                                held.commits += 1;
                                held.state = OperationState::Committed;
                                held.cost_micro_usd =
                                    held.cost_micro_usd.or(request.cost_micro_usd);
                                Ok(())
                            }
                            OperationState::Expired => {
                                held.state = OperationState::Refunded;
                                Err(failed(reason::HOLD_EXPIRED))
                            }
                            _ => Err(failed(reason::OPERATION_REFUNDED)),
                        }
                    })?;
                let mut books = self.books();
                if books.lost_commits > 0 {
                    books.lost_commits -= 1;
                    return Err(Status::unavailable("the answer is lost, as the test says"));
                }
                Ok(Response::new(wire::CommitResponse { operation: Some(operation) }))
            }

            async fn list_reserved_operations(
                &self,
                _: Request<wire::ListReservedOperationsRequest>,
            ) -> Result<Response<wire::ListReservedOperationsResponse>, Status> {
                let operations = self.operations().into_iter();
                let reserved =
                    operations.filter(|(_, held)| held.state == OperationState::Reserved);
                let operations = reserved.map(|(id, held)| wire::Operation {
                    operation_id: id,
                    user_id: held.user,
                    operation_type: held.operation_type,
                    ..wire::Operation::default()
                });
                Ok(Response::new(wire::ListReservedOperationsResponse {
                    operations: operations.collect(),
                    next_page_token: String::new(),
                }))
            }

            async fn refund(
                &self,
                request: Request<wire::RefundRequest>,
            ) -> Result<Response<wire::RefundResponse>, Status> {
                let request = request.into_inner();
                let (_, operation) =
                    self.change(request.user_id, &request.operation_id, |held| {
                        match held.state {
                            OperationState::Committed => Err(failed(reason::OPERATION_COMMITTED)),
                            _ => {
                                held.refunds += 1;
                                held.state = OperationState::Refunded;
                                held.reason = request.reason.clone();
                                Ok(())
                            }
                        }
                    })?;
                Ok(Response::new(wire::RefundResponse { operation: Some(operation) }))
            }

            type WatchEventsStream =
                tokio_stream::Empty<Result<wire::WatchEventsResponse, Status>>;

            async fn watch_events(
                &self,
                _request: Request<wire::WatchEventsRequest>,
            ) -> Result<Response<Self::WatchEventsStream>, Status> {
                Err(Status::unimplemented("not a call of the worker"))
            }

            $(
                async fn $method(
                    &self,
                    _request: Request<wire::$request>,
                ) -> Result<Response<wire::$response>, Status> {
                    Err(Status::unimplemented("not a call of the worker"))
                }
            )*
        }
    };
}

never_called! {
    register_user(RegisterUserRequest) -> RegisterUserResponse;
    get_account(GetAccountRequest) -> GetAccountResponse;
    reserve(ReserveRequest) -> ReserveResponse;
    list_operations(ListOperationsRequest) -> ListOperationsResponse;
    open_top_up(OpenTopUpRequest) -> OpenTopUpResponse;
    record_top_up_payment(RecordTopUpPaymentRequest) -> RecordTopUpPaymentResponse;
    settle_top_up(SettleTopUpRequest) -> SettleTopUpResponse;
    cancel_top_up(CancelTopUpRequest) -> CancelTopUpResponse;
    get_top_up(GetTopUpRequest) -> GetTopUpResponse;
    list_open_top_ups(ListOpenTopUpsRequest) -> ListOpenTopUpsResponse;
    list_settled_top_ups(ListSettledTopUpsRequest) -> ListSettledTopUpsResponse;
    list_reversals(ListReversalsRequest) -> ListReversalsResponse;
    ack_events(AckEventsRequest) -> AckEventsResponse;
    batch_reserve(BatchReserveRequest) -> BatchReserveResponse;
    batch_commit(BatchCommitRequest) -> BatchCommitResponse;
    batch_refund(BatchRefundRequest) -> BatchRefundResponse;
    list_statement(ListStatementRequest) -> ListStatementResponse;
    reverse_top_up(ReverseTopUpRequest) -> ReverseTopUpResponse;
    redeem_promo_code(RedeemPromoCodeRequest) -> RedeemPromoCodeResponse;
}
