//! Thin clients: the generated ones, with deadlines, retries and request ids.
//!
//! Every unary call can be repeated (the contract says what makes a repeat harmless), so a call
//! whose outcome is unknown is sent again, with the same content, until its deadline.

use std::future::Future;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use http::Uri;
use tokio::time::{Instant, sleep, timeout_at};
use tonic::metadata::AsciiMetadataValue;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_types::StatusExt as _;

use crate::billing::v1 as billing;
use crate::billing::v1::admin_service_client::AdminServiceClient;
use crate::media::v1 as media;
use crate::payments::v1 as payments;
use crate::request_id;
use crate::tls::connector::{Connector, bare_host};
use crate::tls::identity::Identity;

/// How long a call may take, with all its tries, unless the client is told otherwise.
pub const DEADLINE: Duration = Duration::from_secs(10);

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const KEEPALIVE: Duration = Duration::from_secs(10);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);
/// The first pause between two tries; it doubles up to [`PAUSE_MAX`].
const PAUSE: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Why a service's address cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadAddress {
    /// It is none.
    #[error(
        "not an address of a gRPC service, which looks like http://127.0.0.1:50051 or \
         https://billing-svc:50051"
    )]
    NotAnAddress,
    /// Plain text would leave the machine.
    #[error("plain text is spoken on loopback only; elsewhere the address begins with https://")]
    PlainTextElsewhere,
    /// TLS needs a certificate of the caller.
    #[error("https:// needs TLS_CERT_FILE, TLS_KEY_FILE and TLS_CA_FILE")]
    NoIdentity,
}

/// Prepares a connection in plain text, on loopback; it is made at the first call, and again
/// whenever it is lost.
///
/// # Errors
/// When the address is not such a one.
pub fn channel(url: &str) -> Result<Channel, BadAddress> {
    connect(url, None)
}

/// Prepares a connection: an address that begins with `https://` is called as `identity`, and the
/// service there has to prove its name.
///
/// # Errors
/// When the address cannot be used, or not without an identity.
pub fn connect(url: &str, identity: Option<&Identity>) -> Result<Channel, BadAddress> {
    let uri = Uri::from_str(url).map_err(|_| BadAddress::NotAnAddress)?;
    match uri.scheme_str() {
        Some("http") if is_loopback(&uri) => Ok(endpoint(uri).connect_lazy()),
        Some("http") => Err(BadAddress::PlainTextElsewhere),
        Some("https") => {
            let identity = identity.ok_or(BadAddress::NoIdentity)?.clone();
            let connector = Connector::new(identity, &uri).ok_or(BadAddress::NotAnAddress)?;
            Ok(endpoint(uri).connect_with_connector_lazy(connector))
        }
        _ => Err(BadAddress::NotAnAddress),
    }
}

fn is_loopback(uri: &Uri) -> bool {
    let host = bare_host(uri).unwrap_or_default();
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

fn endpoint(uri: Uri) -> Endpoint {
    Endpoint::from(uri)
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
}

/// Dresses a message as a request: with the id of the work that it belongs to.
pub fn request<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    if let Ok(id) = AsciiMetadataValue::try_from(request_id::current()) {
        request.metadata_mut().insert(request_id::HEADER, id);
    }
    request
}

/// Whether the outcome is unknown, so that the same request should be sent again.
///
/// A status that has a source was not sent by the service: it was made here, of a connection that
/// broke, and may have any code.
pub fn is_unknown(status: &Status) -> bool {
    matches!(status.code(), Code::Unavailable | Code::Cancelled | Code::DeadlineExceeded)
        || std::error::Error::source(status).is_some()
}

/// When to send a request again that the service had no room for, where it says so. Nothing of it
/// was done.
pub fn retry_after(status: &Status) -> Option<Duration> {
    status.get_details_retry_info().and_then(|info| info.retry_delay)
}

/// Sends a message until it is answered or refused, for at most `within`. A service that has no
/// room is asked again when it says.
///
/// # Errors
/// The refusal; or, when time is over, the last answer, with `DEADLINE_EXCEEDED` where there was
/// none: then the outcome is unknown.
pub async fn call<T, R, S, F>(within: Duration, message: T, mut send: S) -> Result<R, Status>
where
    T: Clone,
    S: FnMut(Request<T>) -> F,
    F: Future<Output = Result<Response<R>, Status>>,
{
    let deadline = Instant::now() + within;
    let mut pause = PAUSE;
    loop {
        let mut request = request(message.clone());
        request.set_timeout(deadline.saturating_duration_since(Instant::now()));
        let status = match timeout_at(deadline, send(request)).await {
            Ok(Ok(response)) => return Ok(response.into_inner()),
            Ok(Err(status)) => status,
            Err(_elapsed) => return Err(Status::deadline_exceeded("no answer in time")),
        };
        let wait = match retry_after(&status) {
            Some(asked) => asked + jittered(pause),
            None if is_unknown(&status) => jittered(pause),
            None => return Err(status),
        };
        let next = Instant::now() + wait;
        if next >= deadline {
            return Err(status);
        }
        tracing::debug!(code = ?status.code(), "not answered, sending again");
        sleep(next.saturating_duration_since(Instant::now())).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Between half of the pause and the whole of it, so that callers do not return in step.
fn jittered(pause: Duration) -> Duration {
    let [random, ..] = uuid::Uuid::new_v4().into_bytes();
    pause / 2 + pause / 2 * u32::from(random) / u32::from(u8::MAX)
}

macro_rules! thin_client {
    (
        $(#[$doc:meta])*
        $name:ident($inner:ty) {
            $( $method:ident($request:ty) -> $response:ty; )*
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $name {
            inner: $inner,
            deadline: Duration,
        }

        impl $name {
            /// A client of the service behind `channel`.
            pub fn new(channel: Channel) -> Self {
                Self { inner: <$inner>::new(channel), deadline: DEADLINE }
            }

            /// The same client with another deadline for each call.
            #[must_use]
            pub fn with_deadline(mut self, deadline: Duration) -> Self {
                self.deadline = deadline;
                self
            }

            /// The generated client, for calls that stream.
            pub fn streaming(&self) -> $inner {
                self.inner.clone()
            }

            $(
                #[doc = concat!("`", stringify!($method), "`, sent again while its outcome is unknown.")]
                pub async fn $method(&self, message: $request) -> Result<$response, Status> {
                    call(self.deadline, message, |request| {
                        let mut inner = self.inner.clone();
                        async move { inner.$method(request).await }
                    })
                    .await
                }
            )*
        }
    };
}

thin_client! {
    /// Calls billing-svc.
    Billing(billing::billing_service_client::BillingServiceClient<Channel>) {
        register_user(billing::RegisterUserRequest) -> billing::RegisterUserResponse;
        get_account(billing::GetAccountRequest) -> billing::GetAccountResponse;
        list_prices(billing::ListPricesRequest) -> billing::ListPricesResponse;
        reserve(billing::ReserveRequest) -> billing::ReserveResponse;
        extend(billing::ExtendRequest) -> billing::ExtendResponse;
        commit(billing::CommitRequest) -> billing::CommitResponse;
        refund(billing::RefundRequest) -> billing::RefundResponse;
        get_operation(billing::GetOperationRequest) -> billing::GetOperationResponse;
        list_operations(billing::ListOperationsRequest) -> billing::ListOperationsResponse;
        list_reserved_operations(billing::ListReservedOperationsRequest)
            -> billing::ListReservedOperationsResponse;
        open_top_up(billing::OpenTopUpRequest) -> billing::OpenTopUpResponse;
        record_top_up_payment(billing::RecordTopUpPaymentRequest)
            -> billing::RecordTopUpPaymentResponse;
        settle_top_up(billing::SettleTopUpRequest) -> billing::SettleTopUpResponse;
        cancel_top_up(billing::CancelTopUpRequest) -> billing::CancelTopUpResponse;
        get_top_up(billing::GetTopUpRequest) -> billing::GetTopUpResponse;
        list_open_top_ups(billing::ListOpenTopUpsRequest) -> billing::ListOpenTopUpsResponse;
        list_settled_top_ups(billing::ListSettledTopUpsRequest)
            -> billing::ListSettledTopUpsResponse;
        list_reversals(billing::ListReversalsRequest) -> billing::ListReversalsResponse;
        ack_events(billing::AckEventsRequest) -> billing::AckEventsResponse;
        batch_reserve(billing::BatchReserveRequest) -> billing::BatchReserveResponse;
        batch_commit(billing::BatchCommitRequest) -> billing::BatchCommitResponse;
        batch_refund(billing::BatchRefundRequest) -> billing::BatchRefundResponse;
        list_statement(billing::ListStatementRequest) -> billing::ListStatementResponse;
        reverse_top_up(billing::ReverseTopUpRequest) -> billing::ReverseTopUpResponse;
        redeem_promo_code(billing::RedeemPromoCodeRequest) -> billing::RedeemPromoCodeResponse;
    }
}

/// Says which operators' tool calls; see `admin.proto`.
const OPERATOR_HEADER: &str = "x-medialab-operator";

/// Why a name cannot be an operators' tool's.
#[derive(Debug, thiserror::Error)]
#[error("not a name of an operators' tool: 1 to 64 printable ASCII characters")]
pub struct BadOperator;

/// Names the operators' tool on every call.
#[derive(Clone, Debug)]
pub struct NameOperator(AsciiMetadataValue);

impl Interceptor for NameOperator {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert(OPERATOR_HEADER, self.0.clone());
        Ok(request)
    }
}

/// Calls the operators' part of billing-svc.
pub type Admin = AdminServiceClient<InterceptedService<Channel, NameOperator>>;

/// A client of the operators' part behind `channel`, for the tool called `operator`.
///
/// # Errors
/// When `operator` cannot be a tool's name.
pub fn admin(channel: Channel, operator: &str) -> Result<Admin, BadOperator> {
    let name = AsciiMetadataValue::try_from(operator).map_err(|_| BadOperator)?;
    if operator.is_empty() || operator.len() > 64 {
        return Err(BadOperator);
    }
    Ok(AdminServiceClient::with_interceptor(channel, NameOperator(name)))
}

impl Billing {
    /// Opens the stream of events that are lent to `consumer`.
    pub async fn watch_events(
        &self,
        consumer: &str,
    ) -> Result<Streaming<billing::WatchEventsResponse>, Status> {
        let message = billing::WatchEventsRequest { consumer: consumer.to_owned() };
        Ok(self.streaming().watch_events(request(message)).await?.into_inner())
    }
}

thin_client! {
    /// Calls payment-gateway.
    Payments(payments::payments_service_client::PaymentsServiceClient<Channel>) {
        create_payment(payments::CreatePaymentRequest) -> payments::CreatePaymentResponse;
        check_payment(payments::CheckPaymentRequest) -> payments::CheckPaymentResponse;
        list_stars_offers(payments::ListStarsOffersRequest) -> payments::ListStarsOffersResponse;
        create_stars_invoice(payments::CreateStarsInvoiceRequest)
            -> payments::CreateStarsInvoiceResponse;
        check_pre_checkout(payments::CheckPreCheckoutRequest)
            -> payments::CheckPreCheckoutResponse;
        confirm_stars_payment(payments::ConfirmStarsPaymentRequest)
            -> payments::ConfirmStarsPaymentResponse;
        find_stars_payment(payments::FindStarsPaymentRequest)
            -> payments::FindStarsPaymentResponse;
        reverse_stars_payment(payments::ReverseStarsPaymentRequest)
            -> payments::ReverseStarsPaymentResponse;
    }
}

thin_client! {
    /// Calls media-worker.
    Media(media::media_service_client::MediaServiceClient<Channel>) {
        submit_job(media::SubmitJobRequest) -> media::SubmitJobResponse;
        get_job(media::GetJobRequest) -> media::GetJobResponse;
        cancel_job(media::CancelJobRequest) -> media::CancelJobResponse;
        list_models(media::ListModelsRequest) -> media::ListModelsResponse;
        get_limits(media::GetLimitsRequest) -> media::GetLimitsResponse;
        describe_text_style(media::DescribeTextStyleRequest)
            -> media::DescribeTextStyleResponse;
        ack_results(media::AckResultsRequest) -> media::AckResultsResponse;
    }
}

impl Media {
    /// Opens the stream of how jobs go on and how they ended.
    pub async fn watch_results(&self) -> Result<Streaming<media::WatchResultsResponse>, Status> {
        let message = media::WatchResultsRequest {};
        Ok(self.streaming().watch_results(request(message)).await?.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tonic_types::ErrorDetails;

    use super::*;

    async fn answers(codes: &[Option<Code>], within: Duration) -> (Result<u32, Code>, u32) {
        let tries = AtomicU32::new(0);
        let answer = call(within, (), |_request| {
            let nth = tries.fetch_add(1, Ordering::Relaxed);
            let code = codes.get(nth as usize).copied().unwrap_or(Some(Code::Unavailable));
            async move {
                match code {
                    None => Ok(Response::new(nth)),
                    Some(code) => Err(Status::new(code, "as the test says")),
                }
            }
        })
        .await;
        (answer.map_err(|status| status.code()), tries.load(Ordering::Relaxed))
    }

    #[tokio::test]
    async fn plain_text_stays_on_this_machine() {
        for here in ["http://127.0.0.1:1", "http://[::1]:1", "http://localhost:1"] {
            assert!(channel(here).is_ok(), "{here}");
        }
        for elsewhere in ["http://10.0.0.7:1", "http://billing-svc:1", "http://[2001:db8::1]:1"] {
            let refused = channel(elsewhere).unwrap_err();
            assert!(matches!(refused, BadAddress::PlainTextElsewhere), "{elsewhere}: {refused}");
        }
        let refused = channel("https://billing-svc:1").unwrap_err();
        assert!(matches!(refused, BadAddress::NoIdentity), "{refused}");
        for wrong in ["", "billing-svc", "/only/a/path", "ftp://127.0.0.1", "127.0.0.1:50051"] {
            let refused = channel(wrong).unwrap_err();
            assert!(matches!(refused, BadAddress::NotAnAddress), "{wrong}: {refused}");
        }
    }

    #[tokio::test]
    async fn an_unknown_outcome_is_sent_again_and_a_refusal_is_not() {
        let unknown_first = [Some(Code::Unavailable), Some(Code::Cancelled), None];
        assert_eq!(answers(&unknown_first, DEADLINE).await, (Ok(2), 3));

        let refused = [Some(Code::FailedPrecondition), None];
        assert_eq!(answers(&refused, DEADLINE).await, (Err(Code::FailedPrecondition), 1));
    }

    #[tokio::test]
    async fn a_service_without_room_is_asked_again_when_it_says() {
        let tries = AtomicU32::new(0);
        let answer = call(DEADLINE, (), |_request| {
            let nth = tries.fetch_add(1, Ordering::Relaxed);
            async move {
                if nth > 0 {
                    return Ok(Response::new(nth));
                }
                let details = ErrorDetails::with_retry_info(Some(Duration::from_millis(5)));
                Err(Status::with_error_details(Code::ResourceExhausted, "no room", details))
            }
        })
        .await;

        assert_eq!(answer.unwrap(), 1);
        let without_word = [Some(Code::ResourceExhausted), None];
        assert_eq!(answers(&without_word, DEADLINE).await, (Err(Code::ResourceExhausted), 1));
    }

    #[test]
    fn a_connection_that_broke_leaves_the_outcome_unknown() {
        let broken = std::io::Error::from(std::io::ErrorKind::BrokenPipe);

        assert!(is_unknown(&Status::from_error(Box::new(broken))));
        assert!(!is_unknown(&Status::unknown("said by the service")));
        assert!(!is_unknown(&Status::failed_precondition("said by the service")));
    }

    #[tokio::test]
    async fn a_service_that_stays_away_is_given_up_at_the_deadline() {
        let (answer, tries) = answers(&[], Duration::from_millis(300)).await;

        assert_eq!(answer, Err(Code::Unavailable));
        assert!(tries > 1, "{tries} tries");
    }
}
