//! `POST /yookassa/webhook`: YooKassa says that something happened to a payment or refund.
//!
//! Notifications are not signed, so what they say is a hint: only the id is taken, and the payment
//! or refund is read back. The answer is 200 exactly when nothing is left to do; anything else makes YooKassa
//! send it again, for a day.

use std::net::SocketAddr;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::StatusCode;
use futures_util::StreamExt as _;
use proto::request_id;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use crate::client_address::client_address;
use crate::config::Networks;
use crate::error::PaymentError;
use crate::ids::{PaymentId, RefundId};
use crate::looks::{Desk, Full};
use crate::refund::{Refunds, Reversal};
use crate::resolve::{Resolution, Resolver, Via};
use crate::yookassa::READS_AT_ONCE;
use crate::yookassa::wire::Notification;

/// A payment with all its fields is about two kilobytes.
const BODY_BYTES_MAX: usize = 128 * 1024;
/// So much of a body that is too large is still read, and thrown away: a sender that is cut off
/// while it writes does not see the answer.
const DISCARDED_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How long a sender may take over a body that fits one packet or two.
const BODY_WITHIN: Duration = Duration::from_secs(10);
/// A read of the payment and two calls to billing, each with its own limit, fit in.
const RESOLVE_WITHIN: Duration = Duration::from_secs(12);

/// Notifications that are looked at at the same time; the others wait. Fewer than the reads that
/// may run at once, so that people who check their payment never wait for strangers.
const LOOKS_AT_ONCE: usize = READS_AT_ONCE / 2;

/// Objects that are looked at or wait for it: as many as have their turn within
/// [`RESOLVE_WITHIN`] when YooKassa takes a second. The others come again, or are reconciled.
const OBJECTS_MAX: usize = LOOKS_AT_ONCE * 12;

/// What the webhook needs.
#[derive(Clone, Debug)]
pub struct Webhook {
    payment_looks: Desk<PaymentId, Resolution>,
    refund_looks: Desk<RefundId, Reversal>,
    resolver: Arc<Resolver>,
    refunds: Arc<Refunds>,
    trusted_networks: Networks,
    trusted_proxies: Networks,
}

/// What a notification asks for.
#[derive(Debug, Eq, PartialEq)]
enum Hint {
    /// To look at a payment.
    Payment(PaymentId),
    /// To look at a refund.
    Refund(RefundId),
    /// Nothing that concerns us.
    Other,
}

/// Why a body says nothing.
#[derive(Debug, Eq, PartialEq)]
struct Malformed;

/// Answers a notification.
pub async fn receive(
    State(webhook): State<Webhook>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> StatusCode {
    let outside = request.headers().get(request_id::HEADER);
    let id = request_id::accept(outside.and_then(|value| value.to_str().ok()));
    let span = tracing::info_span!("webhook", request.id = %id);
    let work = async {
        match webhook.body(peer, request).await {
            Ok(body) => webhook.handle(&body).await,
            Err(refusal) => refusal,
        }
    };
    let (status, outcome) = request_id::scope(id, work.instrument(span)).await;
    metrics::counter!("payments_webhooks_total", "outcome" => outcome).increment(1);
    status
}

impl Webhook {
    /// Accepts notifications from the first networks, and believes the `X-Forwarded-For` of the
    /// second. `tasks` holds looks whose senders have gone.
    pub fn new(
        (resolver, refunds): (Arc<Resolver>, Arc<Refunds>),
        (trusted_networks, trusted_proxies): (Networks, Networks),
        tasks: &TaskTracker,
    ) -> Self {
        let turns = Arc::new(Semaphore::new(LOOKS_AT_ONCE));
        let payment_looks = Desk::new(Arc::clone(&turns), OBJECTS_MAX, tasks.clone());
        let refund_looks = Desk::new(turns, OBJECTS_MAX, tasks.clone());
        Self { payment_looks, refund_looks, resolver, refunds, trusted_networks, trusted_proxies }
    }

    /// The body, if the sender may send and it is not too large.
    async fn body(
        &self,
        peer: SocketAddr,
        request: Request,
    ) -> Result<Vec<u8>, (StatusCode, &'static str)> {
        let client = client_address(peer.ip(), request.headers(), &self.trusted_proxies);
        if !client.is_some_and(|address| self.trusted_networks.contain(address)) {
            tracing::warn!(
                client.ip = client.map(tracing::field::display),
                peer.ip = %peer.ip(),
                "yookassa: notification from a network that is not in YOOKASSA_TRUSTED_NETWORKS"
            );
            return Err((StatusCode::FORBIDDEN, "forbidden"));
        }
        timeout(BODY_WITHIN, read(request.into_body()))
            .await
            .unwrap_or(Err((StatusCode::REQUEST_TIMEOUT, "unreadable")))
    }

    async fn handle(&self, body: &[u8]) -> (StatusCode, &'static str) {
        match hint(body) {
            Err(Malformed) => {
                tracing::warn!("yookassa: notification cannot be read");
                (StatusCode::BAD_REQUEST, "malformed")
            }
            Ok(Hint::Other) => {
                tracing::info!(outcome = "ignored", "yookassa: notification of another kind");
                (StatusCode::OK, "ignored")
            }
            Ok(Hint::Refund(id)) => self.look_at_refund(&id).await,
            Ok(Hint::Payment(id)) => self.look_at(&id).await,
        }
    }

    async fn look_at(&self, id: &PaymentId) -> (StatusCode, &'static str) {
        let (resolver, payment) = (Arc::clone(&self.resolver), id.clone());
        let look = async move { resolver.resolve(&payment, None, Via::Webhook).await };
        match in_time(self.payment_looks.look(id, look)).await {
            Ok(Resolution::Settled) => (StatusCode::OK, "settled"),
            Ok(Resolution::Cancelled) => (StatusCode::OK, "cancelled"),
            Ok(Resolution::Pending) => {
                tracing::info!(
                    payment.id = %id,
                    outcome = "pending",
                    "yookassa: notification of a payment that has not ended"
                );
                (StatusCode::OK, "pending")
            }
            Ok(Resolution::NotOurs) => {
                tracing::info!(
                    payment.id = %id,
                    outcome = "not_ours",
                    "yookassa: notification of a payment that is not ours"
                );
                (StatusCode::OK, "not_ours")
            }
            // Logged where it was found out. Sending it again would change nothing.
            Ok(Resolution::Refused(_)) => (StatusCode::OK, "refused"),
            Err(error) => unavailable(Some(id), None, &error),
        }
    }

    async fn look_at_refund(&self, id: &RefundId) -> (StatusCode, &'static str) {
        let (refunds, refund) = (Arc::clone(&self.refunds), id.clone());
        let look = async move { refunds.resolve(&refund, Via::Webhook).await };
        match in_time(self.refund_looks.look(id, look)).await {
            Ok(Reversal::Reversed) => (StatusCode::OK, "reversed"),
            Ok(Reversal::Cancelled) => (StatusCode::OK, "refund_cancelled"),
            // The reconciler asks again.
            Ok(Reversal::Pending) => (StatusCode::OK, "refund_pending"),
            Ok(Reversal::NotOurs) => {
                tracing::info!(
                    refund.id = %id,
                    outcome = "not_ours",
                    "yookassa: notification of a refund that is not ours"
                );
                (StatusCode::OK, "not_ours")
            }
            // Logged where it was found out. Sending it again would change nothing.
            Ok(Reversal::Refused) => (StatusCode::OK, "refused"),
            Err(error) => unavailable(None, Some(id), &error),
        }
    }
}

/// Waits for a look, for as long as a sender may wait; it goes on without us.
async fn in_time<T>(
    look: Result<impl Future<Output = Result<T, PaymentError>>, Full>,
) -> Result<T, PaymentError> {
    let Ok(look) = look else {
        metrics::counter!("payments_webhook_looks_refused_total").increment(1);
        return Err(PaymentError::ProviderUnavailable);
    };
    timeout(RESOLVE_WITHIN, look).await.unwrap_or(Err(PaymentError::ProviderUnavailable))
}

fn unavailable(
    payment: Option<&PaymentId>,
    refund: Option<&RefundId>,
    error: &PaymentError,
) -> (StatusCode, &'static str) {
    tracing::warn!(
        payment.id = payment.map(tracing::field::display),
        refund.id = refund.map(tracing::field::display),
        error.cause = %error,
        outcome = "unavailable",
        "yookassa: notification could not be acted on and must be sent again"
    );
    (StatusCode::SERVICE_UNAVAILABLE, "unavailable")
}

/// Reads a body, if it is not too large.
async fn read(body: Body) -> Result<Vec<u8>, (StatusCode, &'static str)> {
    let mut pieces = body.into_data_stream();
    let mut bytes = Vec::new();
    let mut size = 0;
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|_| (StatusCode::BAD_REQUEST, "unreadable"))?;
        size += piece.len();
        if size <= BODY_BYTES_MAX {
            bytes.extend_from_slice(&piece);
        } else if size > DISCARDED_BYTES_MAX {
            break;
        }
    }
    if size > BODY_BYTES_MAX {
        return Err((StatusCode::PAYLOAD_TOO_LARGE, "unreadable"));
    }
    Ok(bytes)
}

/// Takes out of a body what matters.
fn hint(body: &[u8]) -> Result<Hint, Malformed> {
    let notification: Notification = serde_json::from_slice(body).map_err(|_| Malformed)?;
    if notification.kind != "notification" {
        return Ok(Hint::Other);
    }
    let id = notification.object["id"].as_str();
    match notification.event.as_deref().ok_or(Malformed)? {
        "payment.succeeded" | "payment.canceled" | "payment.waiting_for_capture" => {
            let id = id.and_then(|id| PaymentId::from_str(id).ok());
            id.map(Hint::Payment).ok_or(Malformed)
        }
        "refund.succeeded" => {
            let id = id.and_then(|id| RefundId::from_str(id).ok());
            id.map(Hint::Refund).ok_or(Malformed)
        }
        _ => Ok(Hint::Other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "30a1c2d4-000f-5000-8000-1c2d3e4f5a6b";

    #[track_caller]
    fn check(body: &str, expected: Result<Hint, Malformed>) {
        assert_eq!(hint(body.as_bytes()), expected, "{body}");
    }

    #[test]
    fn of_a_notification_only_the_id_is_taken() {
        let payment = || Ok(Hint::Payment(ID.parse().unwrap()));
        for event in ["payment.succeeded", "payment.canceled", "payment.waiting_for_capture"] {
            let body = format!(
                r#"{{"type":"notification","event":"{event}","object":{{"id":"{ID}","status":7}}}}"#
            );
            check(&body, payment());
        }
        let other = r#"{"type":"notification","event":"payout.succeeded","object":{"id":"po-1"}}"#;
        check(other, Ok(Hint::Other));
        let saved = r#"{"type":"notification","event":"payment_method.active","object":{}}"#;
        check(saved, Ok(Hint::Other));
        check(r#"{"type":"greeting","event":"payment.succeeded","object":{}}"#, Ok(Hint::Other));
        check(r#"{"type":"greeting"}"#, Ok(Hint::Other));
        check(r#"{"type":"notification","event":"payout.succeeded"}"#, Ok(Hint::Other));
        let refund = format!(
            r#"{{"type":"notification","event":"refund.succeeded","object":{{"id":"{ID}"}}}}"#
        );
        check(&refund, Ok(Hint::Refund(ID.parse().unwrap())));
    }

    #[test]
    fn what_cannot_be_read_is_malformed() {
        for body in [
            "",
            "hello",
            "[]",
            "{}",
            "null",
            "{\"type\":\"notification\"}",
            r#"{"type":"notification","event":"payment.succeeded"}"#,
            r#"{"type":"notification","event":"payment.succeeded","object":{}}"#,
            r#"{"type":"notification","event":"payment.succeeded","object":{"id":7}}"#,
            r#"{"type":"notification","event":"payment.succeeded","object":{"id":"../me"}}"#,
            r#"{"type":"notification","event":"payment.succeeded","object":{"id":""}}"#,
            r#"{"type":"notification","event":"refund.succeeded","object":{"payment_id":"p"}}"#,
        ] {
            check(body, Err(Malformed));
        }
    }
}
