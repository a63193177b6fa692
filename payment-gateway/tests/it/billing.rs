//! The top-ups of billing-svc, in memory, over gRPC: each call does what its contract says.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::SystemTime;

use futures_util::Stream;
use proto::billing::v1 as wire;
use proto::billing::v1::billing_service_server::{BillingService, BillingServiceServer};
use proto::reason::{
    BILLING_DOMAIN, IDEMPOTENCY_KEY_REUSED, PAYMENT_ALREADY_CLAIMED, TOP_UP_AMOUNT_MISMATCH,
    TOP_UP_NOT_FOUND, TOP_UP_PAYMENT_MISMATCH, TOP_UP_SETTLED, USER_NOT_FOUND, refusal,
};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Code, Request, Response, Status};
use uuid::Uuid;
use wire::TopUpState;

/// Users that billing does not know.
pub(crate) const STRANGER: i64 = 404;

/// Billing's memory, and the switch that takes it away.
#[derive(Clone, Debug, Default)]
pub(crate) struct Billing {
    books: Arc<Mutex<Books>>,
    away: Arc<AtomicBool>,
}

#[derive(Debug, Default)]
struct Books {
    top_ups: Vec<wire::TopUp>,
    claims: HashMap<String, String>,
    balances: HashMap<i64, i64>,
    emails: HashMap<i64, String>,
    settle_calls: usize,
}

impl Billing {
    /// Serves on a free port; answers with the address.
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

    /// From now on every call fails with UNAVAILABLE, or works again.
    pub(crate) fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }

    /// What the user can spend.
    pub(crate) fn balance(&self, user_id: i64) -> i64 {
        self.books().balances.get(&user_id).copied().unwrap_or_default()
    }

    /// Sets where a user's receipts go.
    pub(crate) fn set_email(&self, user_id: i64, email: &str) {
        self.books().emails.insert(user_id, email.to_owned());
    }

    /// How many top-ups there are.
    pub(crate) fn count(&self) -> usize {
        self.books().top_ups.len()
    }

    /// How often a top-up was asked to be settled.
    pub(crate) fn settle_calls(&self) -> usize {
        self.books().settle_calls
    }

    /// A top-up as it is now.
    pub(crate) fn top_up(&self, id: &str) -> wire::TopUp {
        self.books().find(id).clone()
    }

    /// The only top-up there is.
    pub(crate) fn only_top_up(&self) -> wire::TopUp {
        let books = self.books();
        assert_eq!(books.top_ups.len(), 1, "{:?}", books.top_ups);
        books.top_ups[0].clone()
    }

    /// Makes a top-up as old as a test needs it.
    pub(crate) fn set_opened_at(&self, id: &str, moment: SystemTime) {
        self.books().find(id).created_at = Some(moment.into());
    }

    /// As if recording the payment had never happened.
    pub(crate) fn forget_payment(&self, id: &str) {
        let mut books = self.books();
        let top_up = books.find(id);
        top_up.provider_payment_id.clear();
        top_up.confirmation_url.clear();
    }

    /// Ends a top-up as a person at billing would.
    pub(crate) fn cancel_by_hand(&self, id: &str) {
        let mut books = self.books();
        let top_up = books.find(id);
        top_up.set_state(TopUpState::Cancelled);
        "by_hand".clone_into(&mut top_up.cancel_reason);
    }

    /// Every balance is what its settled top-ups brought, and each was brought by one payment.
    pub(crate) fn check_books(&self) {
        let books = self.books();
        let mut sums: HashMap<i64, i64> = HashMap::new();
        let settled = books.top_ups.iter().filter(|it| it.state() == TopUpState::Settled);
        for top_up in settled {
            *sums.entry(top_up.user_id).or_default() += top_up.credited_kopecks;
            assert_eq!(books.claims.get(&top_up.provider_payment_id), Some(&top_up.top_up_id));
        }
        assert_eq!(books.balances, sums);
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap()
    }

    /// The books, if billing is there.
    fn open(&self) -> Result<MutexGuard<'_, Books>, Status> {
        if self.away.load(Ordering::SeqCst) {
            return Err(Status::unavailable("the database is away"));
        }
        Ok(self.books())
    }
}

impl Books {
    fn find(&mut self, id: &str) -> &mut wire::TopUp {
        self.top_ups.iter_mut().find(|it| it.top_up_id == id).unwrap()
    }

    fn of_user(&mut self, user_id: i64, id: &str) -> Result<&mut wire::TopUp, Status> {
        self.top_ups
            .iter_mut()
            .find(|it| it.user_id == user_id && it.top_up_id == id)
            .ok_or_else(|| refuse(Code::NotFound, TOP_UP_NOT_FOUND))
    }
}

fn refuse(code: Code, reason: &str) -> Status {
    refusal(code, (BILLING_DOMAIN, reason), reason.to_lowercase(), [])
}

fn precondition(reason: &str) -> Status {
    refuse(Code::FailedPrecondition, reason)
}

macro_rules! not_asked {
    ($($method:ident($request:ident) -> $response:ident;)*) => {
        // Written as the trait has it: its attribute does not see through a macro.
        $(fn $method<'a, 'b>(
            &'a self,
            _request: Request<wire::$request>,
        ) -> Pin<Box<dyn Future<Output = Result<Response<wire::$response>, Status>> + Send + 'b>>
        where
            'a: 'b,
            Self: 'b,
        {
            Box::pin(async {
                Err(Status::unimplemented("payment-gateway does not call this"))
            })
        })*
    };
}

#[tonic::async_trait]
impl BillingService for Billing {
    async fn open_top_up(
        &self,
        request: Request<wire::OpenTopUpRequest>,
    ) -> Result<Response<wire::OpenTopUpResponse>, Status> {
        let request = request.into_inner();
        let mut books = self.open()?;
        if request.user_id == STRANGER {
            return Err(refuse(Code::NotFound, USER_NOT_FOUND));
        }
        let known = books.top_ups.iter().find(|it| {
            (it.user_id, &it.idempotency_key) == (request.user_id, &request.idempotency_key)
        });
        if let Some(top_up) = known {
            if (&top_up.paid, top_up.credited_kopecks) != (&request.paid, request.credited_kopecks)
            {
                return Err(refuse(Code::AlreadyExists, IDEMPOTENCY_KEY_REUSED));
            }
            return Ok(Response::new(wire::OpenTopUpResponse { top_up: Some(top_up.clone()) }));
        }
        let top_up = wire::TopUp {
            top_up_id: Uuid::now_v7().to_string(),
            user_id: request.user_id,
            provider: request.provider,
            state: TopUpState::Open.into(),
            paid: request.paid,
            credited_kopecks: request.credited_kopecks,
            idempotency_key: request.idempotency_key,
            snapshot: request.snapshot,
            created_at: Some(SystemTime::now().into()),
            ..wire::TopUp::default()
        };
        books.top_ups.push(top_up.clone());
        Ok(Response::new(wire::OpenTopUpResponse { top_up: Some(top_up) }))
    }

    async fn get_account(
        &self,
        request: Request<wire::GetAccountRequest>,
    ) -> Result<Response<wire::GetAccountResponse>, Status> {
        let user_id = request.into_inner().user_id;
        let books = self.open()?;
        if user_id == STRANGER {
            return Err(refuse(Code::NotFound, USER_NOT_FOUND));
        }
        let receipt_email = books.emails.get(&user_id).cloned();
        let profile = Some(wire::Profile { language: None, receipt_email });
        let account = Some(wire::Account { user_id, profile, ..wire::Account::default() });
        Ok(Response::new(wire::GetAccountResponse { account }))
    }

    async fn record_top_up_payment(
        &self,
        request: Request<wire::RecordTopUpPaymentRequest>,
    ) -> Result<Response<wire::RecordTopUpPaymentResponse>, Status> {
        let request = request.into_inner();
        let mut books = self.open()?;
        let top_up = books.of_user(request.user_id, &request.top_up_id)?;
        if top_up.provider_payment_id.is_empty() {
            top_up.provider_payment_id = request.provider_payment_id;
            top_up.confirmation_url = request.confirmation_url;
        } else if top_up.provider_payment_id != request.provider_payment_id {
            return Err(precondition(TOP_UP_PAYMENT_MISMATCH));
        }
        let top_up = Some(top_up.clone());
        Ok(Response::new(wire::RecordTopUpPaymentResponse { top_up }))
    }

    async fn settle_top_up(
        &self,
        request: Request<wire::SettleTopUpRequest>,
    ) -> Result<Response<wire::SettleTopUpResponse>, Status> {
        let request = request.into_inner();
        let mut books = self.open()?;
        books.settle_calls += 1;
        let top_up = books.of_user(request.user_id, &request.top_up_id)?.clone();
        if top_up.paid != request.paid {
            return Err(precondition(TOP_UP_AMOUNT_MISMATCH));
        }
        let recorded = &top_up.provider_payment_id;
        if !recorded.is_empty() && *recorded != request.provider_payment_id {
            return Err(precondition(TOP_UP_PAYMENT_MISMATCH));
        }
        let payment_id = request.provider_payment_id;
        match books.claims.get(&payment_id) {
            Some(claimed) if *claimed != top_up.top_up_id => {
                return Err(precondition(PAYMENT_ALREADY_CLAIMED));
            }
            Some(_) => {}
            None => {
                books.claims.insert(payment_id.clone(), top_up.top_up_id.clone());
                *books.balances.entry(top_up.user_id).or_default() += top_up.credited_kopecks;
                let settled = books.find(&top_up.top_up_id);
                settled.set_state(TopUpState::Settled);
                settled.provider_payment_id = payment_id;
            }
        }
        let account = wire::Account {
            user_id: request.user_id,
            balance_kopecks: books.balances[&request.user_id],
            ..wire::Account::default()
        };
        let top_up = books.find(&top_up.top_up_id).clone();
        let answer = wire::SettleTopUpResponse { top_up: Some(top_up), account: Some(account) };
        Ok(Response::new(answer))
    }

    async fn cancel_top_up(
        &self,
        request: Request<wire::CancelTopUpRequest>,
    ) -> Result<Response<wire::CancelTopUpResponse>, Status> {
        let request = request.into_inner();
        let mut books = self.open()?;
        let top_up = books.of_user(request.user_id, &request.top_up_id)?;
        match top_up.state() {
            TopUpState::Settled => return Err(precondition(TOP_UP_SETTLED)),
            TopUpState::Cancelled => {}
            TopUpState::Open | TopUpState::Unspecified => {
                top_up.set_state(TopUpState::Cancelled);
                top_up.cancel_reason = request.reason;
            }
        }
        Ok(Response::new(wire::CancelTopUpResponse { top_up: Some(top_up.clone()) }))
    }

    async fn get_top_up(
        &self,
        request: Request<wire::GetTopUpRequest>,
    ) -> Result<Response<wire::GetTopUpResponse>, Status> {
        let request = request.into_inner();
        let mut books = self.open()?;
        let top_up = books.of_user(request.user_id, &request.top_up_id)?.clone();
        Ok(Response::new(wire::GetTopUpResponse { top_up: Some(top_up) }))
    }

    async fn list_open_top_ups(
        &self,
        request: Request<wire::ListOpenTopUpsRequest>,
    ) -> Result<Response<wire::ListOpenTopUpsResponse>, Status> {
        let request = request.into_inner();
        let books = self.open()?;
        let before = request.opened_before.map(|it| (it.seconds, it.nanos));
        let open = books.top_ups.iter().filter(|it| {
            let opened = it.created_at.as_ref().map(|it| (it.seconds, it.nanos));
            it.state() == TopUpState::Open
                && it.provider == request.provider
                && (before.is_none() || opened < before)
                && it.top_up_id > request.page_token
        });
        // Pages of one, so that every test of the reconciler turns pages.
        let top_ups: Vec<_> = open.take(1).cloned().collect();
        let next_page_token = top_ups.last().map(|it| it.top_up_id.clone()).unwrap_or_default();
        Ok(Response::new(wire::ListOpenTopUpsResponse { top_ups, next_page_token }))
    }

    type WatchEventsStream =
        Pin<Box<dyn Stream<Item = Result<wire::WatchEventsResponse, Status>> + Send>>;

    async fn watch_events(
        &self,
        _request: Request<wire::WatchEventsRequest>,
    ) -> Result<Response<Self::WatchEventsStream>, Status> {
        Err(Status::unimplemented("payment-gateway does not call this"))
    }

    not_asked! {
        register_user(RegisterUserRequest) -> RegisterUserResponse;
        list_prices(ListPricesRequest) -> ListPricesResponse;
        reserve(ReserveRequest) -> ReserveResponse;
        extend(ExtendRequest) -> ExtendResponse;
        commit(CommitRequest) -> CommitResponse;
        refund(RefundRequest) -> RefundResponse;
        get_operation(GetOperationRequest) -> GetOperationResponse;
        list_operations(ListOperationsRequest) -> ListOperationsResponse;
        list_reserved_operations(ListReservedOperationsRequest) -> ListReservedOperationsResponse;
        ack_events(AckEventsRequest) -> AckEventsResponse;
        batch_reserve(BatchReserveRequest) -> BatchReserveResponse;
        batch_commit(BatchCommitRequest) -> BatchCommitResponse;
        batch_refund(BatchRefundRequest) -> BatchRefundResponse;
        list_statement(ListStatementRequest) -> ListStatementResponse;
        reverse_top_up(ReverseTopUpRequest) -> ReverseTopUpResponse;
        list_settled_top_ups(ListSettledTopUpsRequest) -> ListSettledTopUpsResponse;
        list_reversals(ListReversalsRequest) -> ListReversalsResponse;
        redeem_promo_code(RedeemPromoCodeRequest) -> RedeemPromoCodeResponse;
    }
}
