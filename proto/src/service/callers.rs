//! Who may call what: the only table of it, and what holds calls against it.
//!
//! Invariant: what has no row is denied. A caller is who its certificate says, by the one name
//! `spiffe://<trust domain>/ns/<namespace>/sa/<service>`, and only from our own trust domain and
//! namespace, which our own certificate tells. In plain text, which stays on this machine, nobody
//! has proven anything, and nothing is denied here.

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio_rustls::rustls::pki_types::CertificateDer;
use tonic::Code;
use tonic::body::Body;
use tower::{Layer, Service};
use webpki::EndEntityCert;

use crate::reason::{self, BILLING_DOMAIN, MEDIA_DOMAIN, PAYMENTS_DOMAIN};

/// Who calls, as far as anything may be allowed to it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Known {
    /// bot-gateway.
    Bot,
    /// payment-gateway.
    Payments,
    /// media-worker.
    Worker,
    /// The operators' tools.
    Operator,
}

use Known::{Bot, Operator, Payments, Worker};

impl Known {
    /// Each of them.
    pub const ALL: [Self; 4] = [Bot, Payments, Worker, Operator];

    /// The last part of its name.
    pub fn name(self) -> &'static str {
        match self {
            Bot => "bot-gateway",
            Payments => "payment-gateway",
            Worker => "media-worker",
            Operator => "operator",
        }
    }
}

/// Each call, and who may make it.
pub const ALLOWED: &[(&str, &[Known])] = &[
    ("/medialab.billing.v1.BillingService/RegisterUser", &[Bot]),
    ("/medialab.billing.v1.BillingService/GetAccount", &[Bot, Payments, Operator]),
    ("/medialab.billing.v1.BillingService/ListPrices", &[Bot, Worker, Operator]),
    ("/medialab.billing.v1.BillingService/Reserve", &[Bot]),
    ("/medialab.billing.v1.BillingService/Extend", &[Worker]),
    ("/medialab.billing.v1.BillingService/Commit", &[Worker]),
    ("/medialab.billing.v1.BillingService/Refund", &[Bot, Worker, Operator]),
    // For teams that sell much at once. None of ours does; such a team becomes a row of its own.
    ("/medialab.billing.v1.BillingService/BatchReserve", &[]),
    ("/medialab.billing.v1.BillingService/BatchCommit", &[]),
    ("/medialab.billing.v1.BillingService/BatchRefund", &[]),
    ("/medialab.billing.v1.BillingService/GetOperation", &[Bot, Worker, Operator]),
    ("/medialab.billing.v1.BillingService/ListOperations", &[Bot, Operator]),
    ("/medialab.billing.v1.BillingService/ListReservedOperations", &[Worker, Operator]),
    ("/medialab.billing.v1.BillingService/ListStatement", &[Bot, Payments, Operator]),
    ("/medialab.billing.v1.BillingService/OpenTopUp", &[Payments]),
    ("/medialab.billing.v1.BillingService/RecordTopUpPayment", &[Payments]),
    ("/medialab.billing.v1.BillingService/SettleTopUp", &[Payments]),
    ("/medialab.billing.v1.BillingService/CancelTopUp", &[Payments]),
    ("/medialab.billing.v1.BillingService/ReverseTopUp", &[Payments]),
    ("/medialab.billing.v1.BillingService/GetTopUp", &[Payments, Operator]),
    ("/medialab.billing.v1.BillingService/ListOpenTopUps", &[Payments, Operator]),
    ("/medialab.billing.v1.BillingService/ListSettledTopUps", &[Payments, Operator]),
    ("/medialab.billing.v1.BillingService/ListReversals", &[Payments, Operator]),
    ("/medialab.billing.v1.BillingService/RedeemPromoCode", &[Bot]),
    ("/medialab.billing.v1.BillingService/WatchEvents", &[Bot]),
    ("/medialab.billing.v1.BillingService/AckEvents", &[Bot]),
    // The bot acts for the operators whom it knows by their Telegram ids, and names them as actors.
    ("/medialab.billing.v1.AdminService/AdjustBalance", &[Bot, Operator]),
    ("/medialab.billing.v1.AdminService/GrantFreeOperations", &[Bot, Operator]),
    ("/medialab.billing.v1.AdminService/FindUser", &[Bot, Operator]),
    ("/medialab.billing.v1.AdminService/GetStats", &[Bot, Operator]),
    ("/medialab.billing.v1.AdminService/CreatePromoCode", &[Bot, Operator]),
    ("/medialab.billing.v1.AdminService/StopPromoCode", &[Bot, Operator]),
    ("/medialab.billing.v1.AdminService/ListPromoCodes", &[Bot, Operator]),
    ("/medialab.billing.v1.AdminService/VerifyLedger", &[Operator]),
    ("/medialab.payments.v1.PaymentsService/CreatePayment", &[Bot]),
    ("/medialab.payments.v1.PaymentsService/CheckPayment", &[Bot]),
    ("/medialab.payments.v1.PaymentsService/ListStarsOffers", &[Bot]),
    ("/medialab.payments.v1.PaymentsService/CreateStarsInvoice", &[Bot]),
    ("/medialab.payments.v1.PaymentsService/CheckPreCheckout", &[Bot]),
    ("/medialab.payments.v1.PaymentsService/ConfirmStarsPayment", &[Bot]),
    ("/medialab.payments.v1.PaymentsService/FindStarsPayment", &[Bot]),
    ("/medialab.payments.v1.PaymentsService/ReverseStarsPayment", &[Bot]),
    ("/medialab.media.v1.MediaService/UploadInput", &[Bot]),
    ("/medialab.media.v1.MediaService/SubmitJob", &[Bot]),
    ("/medialab.media.v1.MediaService/GetJob", &[Bot]),
    ("/medialab.media.v1.MediaService/CancelJob", &[Bot]),
    ("/medialab.media.v1.MediaService/ListModels", &[Bot]),
    ("/medialab.media.v1.MediaService/GetLimits", &[Bot]),
    ("/medialab.media.v1.MediaService/WatchResults", &[Bot]),
    ("/medialab.media.v1.MediaService/AckResults", &[Bot]),
    ("/medialab.media.v1.MediaService/FetchResult", &[Bot]),
    ("/medialab.media.v1.MediaService/AddText", &[Bot]),
    ("/medialab.media.v1.MediaService/DescribeTextStyle", &[Bot]),
];

/// Whoever our authority knows may ask whether we serve.
const HEALTH: &str = "/grpc.health.v1.Health/";
/// The contract itself is for persons.
const REFLECTION: &str = "/grpc.reflection.";

/// The other end of a connection; each request on it has it in its extensions.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Where it is.
    pub address: Option<SocketAddr>,
    /// Who it is.
    pub caller: Caller,
}

/// Who is at the other end.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Caller {
    /// Somebody on this machine, in plain text.
    Unproven,
    /// One whom the table knows.
    Known(Known),
    /// One whom our authority knows, and the table does not; by its names.
    Other(Arc<str>),
}

impl Caller {
    /// Who shows the verified certificate `theirs` to whom has `ours`.
    pub fn of(theirs: &CertificateDer<'_>, ours: &CertificateDer<'_>) -> Self {
        let names = names(theirs);
        let known = match (names.as_slice(), prefix(ours)) {
            ([name], Ok(prefix)) => name
                .strip_prefix(prefix.as_str())
                .and_then(|name| Known::ALL.into_iter().find(|known| known.name() == name)),
            _ => None,
        };
        known.map_or_else(|| Self::Other(names.join(" ").into()), Self::Known)
    }

    /// Whether the table, or plain text, allows it the call at `path`.
    pub fn may_call(&self, path: &str) -> bool {
        let is_health = path.starts_with(HEALTH);
        match self {
            Self::Unproven => true,
            Self::Known(Operator) if path.starts_with(REFLECTION) => true,
            Self::Known(known) => {
                let row = ALLOWED.iter().find(|(call, _)| *call == path);
                is_health || row.is_some_and(|(_, callers)| callers.contains(known))
            }
            Self::Other(_) => is_health,
        }
    }

    fn label(&self) -> &'static str {
        match self {
            Self::Unproven => "unproven",
            Self::Known(known) => known.name(),
            Self::Other(_) => "other",
        }
    }
}

/// Checks that a certificate tells who has it, so that callers can be told by it.
pub(super) fn names_us(ours: &CertificateDer<'_>) -> Result<(), &'static str> {
    prefix(ours).map(drop)
}

/// What the names of all our callers begin with.
fn prefix(ours: &CertificateDer<'_>) -> Result<String, &'static str> {
    let expected = "has to have one URI name, such as spiffe://media-lab/ns/apps/sa/billing-svc";
    let names = names(ours);
    let [name] = names.as_slice() else { return Err(expected) };
    let rest = name.strip_prefix("spiffe://").ok_or(expected)?;
    match rest.split('/').collect::<Vec<_>>().as_slice() {
        [domain, "ns", namespace, "sa", service]
            if ![domain, namespace, service].iter().any(|part| part.is_empty()) =>
        {
            Ok(format!("spiffe://{domain}/ns/{namespace}/sa/"))
        }
        _ => Err(expected),
    }
}

fn names(certificate: &CertificateDer<'_>) -> Vec<String> {
    EndEntityCert::try_from(certificate)
        .map(|certificate| certificate.valid_uri_names().map(str::to_owned).collect())
        .unwrap_or_default()
}

/// Lets through what the table allows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Callers;

impl<S> Layer<S> for Callers {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Guarded { inner }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Guarded<S> {
    inner: S,
}

type Answer<R, E> = std::pin::Pin<Box<dyn Future<Output = Result<R, E>> + Send>>;

impl<S> Service<http::Request<Body>> for Guarded<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Answer<S::Response, S::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let path = request.uri().path();
        let caller = request.extensions().get::<Peer>().map(|peer| &peer.caller);
        if caller.is_some_and(|caller| caller.may_call(path)) {
            return Box::pin(self.inner.call(request));
        }
        let denied = denied(caller, path).into_http();
        Box::pin(std::future::ready(Ok(denied)))
    }
}

fn denied(caller: Option<&Caller>, path: &str) -> tonic::Status {
    let label = caller.map_or("other", Caller::label);
    metrics::counter!("calls_denied_total", "caller" => label).increment(1);
    let name = match caller {
        Some(Caller::Other(names)) => names,
        _ => label,
    };
    tracing::warn!(caller = name, "tls: a call that its caller may not make");
    let domain = if path.starts_with("/medialab.payments.") {
        PAYMENTS_DOMAIN
    } else if path.starts_with("/medialab.media.") {
        MEDIA_DOMAIN
    } else {
        BILLING_DOMAIN
    };
    reason::refusal(
        Code::PermissionDenied,
        (domain, reason::CALLER_NOT_ALLOWED),
        "the caller's certificate does not allow this call",
        [("method", path.to_owned()), ("caller", name.to_owned())],
    )
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use rcgen::{CertificateParams, KeyPair, SanType};

    use super::*;

    fn certificate(names: &[&str]) -> CertificateDer<'static> {
        let mut params = CertificateParams::default();
        params.subject_alt_names =
            names.iter().map(|&name| SanType::URI(name.try_into().unwrap())).collect();
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().into()
    }

    #[test]
    fn each_call_of_the_contract_has_one_row_and_each_row_a_call() {
        let contract = prost_types::FileDescriptorSet::decode(crate::DESCRIPTORS).unwrap();
        let mut calls = Vec::new();
        for file in &contract.file {
            for service in &file.service {
                let path =
                    |method: &str| format!("/{}.{}/{method}", file.package(), service.name());
                calls.extend(service.method.iter().map(|method| path(method.name())));
            }
        }
        let mut rows: Vec<_> = ALLOWED.iter().map(|(call, _)| (*call).to_owned()).collect();
        calls.sort();
        rows.sort();

        assert_eq!(rows, calls);
    }

    #[test]
    fn what_has_no_row_is_denied_to_whoever_has_proven_a_name() {
        let health = "/grpc.health.v1.Health/Check";
        let reflection = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
        let stranger = Caller::Other("spiffe://media-lab/ns/apps/sa/somebody".into());
        for known in Known::ALL {
            let caller = Caller::Known(known);
            assert!(!caller.may_call("/medialab.billing.v1.BillingService/NoSuchCall"));
            assert!(!caller.may_call("/"));
            assert!(caller.may_call(health));
            assert_eq!(caller.may_call(reflection), known == Operator, "{known:?}");
        }
        assert!(stranger.may_call(health));
        assert!(!stranger.may_call(reflection));
        for (call, _) in ALLOWED {
            assert!(!stranger.may_call(call), "{call}");
        }
    }

    #[test]
    fn only_the_exact_name_in_our_own_namespace_is_known() {
        let ours = certificate(&["spiffe://media-lab/ns/apps/sa/billing-svc"]);
        let of = |names: &[&str]| Caller::of(&certificate(names), &ours);
        let bot = "spiffe://media-lab/ns/apps/sa/bot-gateway";

        assert_eq!(of(&[bot]), Caller::Known(Bot));
        for stranger in [
            &["spiffe://media-lab/ns/other/sa/bot-gateway"] as &[_],
            &["spiffe://elsewhere/ns/apps/sa/bot-gateway"],
            &["spiffe://media-lab/ns/apps/sa/bot-gateway/"],
            &["spiffe://media-lab/ns/apps/sa/bot-gateway2"],
            &["spiffe://media-lab/ns/apps/sa/BOT-GATEWAY"],
            &["https://media-lab/ns/apps/sa/bot-gateway"],
            &["spiffe://media-lab/ns/apps/sa/billing-svc"],
            &[bot, "spiffe://media-lab/ns/apps/sa/operator"],
            &[],
        ] {
            assert_eq!(of(stranger), Caller::Other(stranger.join(" ").into()), "{stranger:?}");
        }
    }

    #[test]
    fn a_certificate_of_ours_says_who_we_are() {
        assert_eq!(names_us(&certificate(&["spiffe://media-lab/ns/apps/sa/billing-svc"])), Ok(()));
        for wrong in [
            "spiffe://media-lab/sa/billing-svc",
            "spiffe:///ns//sa/",
            "https://media-lab/ns/a/sa/b",
        ] {
            assert!(names_us(&certificate(&[wrong])).is_err(), "{wrong}");
        }
        assert!(names_us(&certificate(&[])).is_err());
    }
}
