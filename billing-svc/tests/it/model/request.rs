//! What can be asked, and how it can end.

use std::collections::BTreeMap;

use proto::billing::v1 as wire;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// One call, in the contract's own messages.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Request {
    Register(wire::RegisterUserRequest),
    GetAccount(wire::GetAccountRequest),
    Reserve(wire::ReserveRequest),
    Extend(wire::ExtendRequest),
    Commit(wire::CommitRequest),
    Refund(wire::RefundRequest),
    BatchReserve(wire::BatchReserveRequest),
    BatchCommit(wire::BatchCommitRequest),
    BatchRefund(wire::BatchRefundRequest),
    GetOperation(wire::GetOperationRequest),
    ListOperations(wire::ListOperationsRequest),
    OpenTopUp(wire::OpenTopUpRequest),
    RecordPayment(wire::RecordTopUpPaymentRequest),
    Settle(wire::SettleTopUpRequest),
    Cancel(wire::CancelTopUpRequest),
    Reverse(wire::ReverseTopUpRequest),
    GetTopUp(wire::GetTopUpRequest),
    Redeem(wire::RedeemPromoCodeRequest),
    Adjust(wire::AdjustBalanceRequest),
    Grant(wire::GrantFreeOperationsRequest),
    CreatePromoCode(wire::CreatePromoCodeRequest),
    StopPromoCode(wire::StopPromoCodeRequest),
}

impl Request {
    /// Whose accounts it is about.
    pub(crate) fn users(&self) -> Vec<i64> {
        match self {
            Self::Register(r) => vec![r.user_id],
            Self::GetAccount(r) => vec![r.user_id],
            Self::Reserve(r) => vec![r.user_id],
            Self::Extend(r) => vec![r.user_id],
            Self::Commit(r) => vec![r.user_id],
            Self::Refund(r) => vec![r.user_id],
            Self::BatchReserve(r) => r.items.iter().map(|item| item.user_id).collect(),
            Self::BatchCommit(r) => r.items.iter().map(|item| item.user_id).collect(),
            Self::BatchRefund(r) => r.items.iter().map(|item| item.user_id).collect(),
            Self::GetOperation(r) => vec![r.user_id],
            Self::ListOperations(r) => vec![r.user_id],
            Self::OpenTopUp(r) => vec![r.user_id],
            Self::RecordPayment(r) => vec![r.user_id],
            Self::Settle(r) => vec![r.user_id],
            Self::Cancel(r) => vec![r.user_id],
            Self::Reverse(r) => vec![r.user_id],
            Self::GetTopUp(r) => vec![r.user_id],
            Self::Redeem(r) => vec![r.user_id],
            Self::Adjust(r) => vec![r.user_id],
            Self::Grant(r) => vec![r.user_id],
            Self::CreatePromoCode(_) | Self::StopPromoCode(_) => Vec::new(),
        }
    }

    /// Which operations (`o`) and top-ups (`t`) it is about, by user and key.
    pub(super) fn names(&self) -> Vec<(char, i64, String)> {
        match self {
            Self::Extend(r) => vec![('o', r.user_id, r.operation_id.clone())],
            Self::Commit(r) => vec![('o', r.user_id, r.operation_id.clone())],
            Self::Refund(r) => vec![('o', r.user_id, r.operation_id.clone())],
            Self::GetOperation(r) => vec![('o', r.user_id, r.operation_id.clone())],
            Self::BatchCommit(r) => {
                r.items.iter().map(|item| ('o', item.user_id, item.operation_id.clone())).collect()
            }
            Self::BatchRefund(r) => {
                r.items.iter().map(|item| ('o', item.user_id, item.operation_id.clone())).collect()
            }
            Self::RecordPayment(r) => vec![('t', r.user_id, r.top_up_id.clone())],
            Self::Settle(r) => vec![('t', r.user_id, r.top_up_id.clone())],
            Self::Cancel(r) => vec![('t', r.user_id, r.top_up_id.clone())],
            Self::Reverse(r) => vec![('t', r.user_id, r.top_up_id.clone())],
            Self::GetTopUp(r) => vec![('t', r.user_id, r.top_up_id.clone())],
            Self::Register(_)
            | Self::GetAccount(_)
            | Self::Reserve(_)
            | Self::BatchReserve(_)
            | Self::ListOperations(_)
            | Self::OpenTopUp(_)
            | Self::Redeem(_)
            | Self::Adjust(_)
            | Self::Grant(_)
            | Self::CreatePromoCode(_)
            | Self::StopPromoCode(_) => Vec::new(),
        }
    }

    /// How many operations of the service it asks for.
    pub(crate) fn count(&self) -> usize {
        self.users().len().max(1)
    }
}

/// What was answered: the parts that the answer to this call has.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Answer {
    pub(crate) account: Option<wire::Account>,
    pub(crate) created: bool,
    pub(crate) operation: Option<wire::Operation>,
    pub(crate) operations: Vec<wire::Operation>,
    pub(crate) results: Vec<Result<wire::Operation, Refusal>>,
    pub(crate) top_up: Option<wire::TopUp>,
    pub(crate) redemption: Option<wire::Redemption>,
    pub(crate) promo_code: Option<wire::PromoCode>,
    pub(crate) entry_number: i64,
}

impl Answer {
    pub(super) fn operation(operation: Option<wire::Operation>) -> Self {
        Self { operation, ..Self::default() }
    }

    pub(super) fn top_up(top_up: Option<wire::TopUp>) -> Self {
        Self { top_up, ..Self::default() }
    }

    /// Whether it says of an item of a batch that nobody knows.
    pub(crate) fn is_to_be_repeated(&self) -> bool {
        self.results.iter().any(|r| r.as_ref().is_err_and(Refusal::is_to_be_repeated))
    }
}

/// What callers can tell refusals apart by.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) code: Code,
    pub(crate) reason: String,
    pub(crate) metadata: BTreeMap<String, String>,
}

impl Refusal {
    pub(super) fn new<const N: usize>(reason: &str, values: [(&str, i64); N]) -> Self {
        let code = match reason {
            "IDEMPOTENCY_KEY_REUSED" => Code::AlreadyExists,
            "OPERATION_TYPE_NOT_SOLD" => Code::InvalidArgument,
            reason if reason.ends_with("_NOT_FOUND") => Code::NotFound,
            _ => Code::FailedPrecondition,
        };
        let value = |(name, value): (&str, i64)| (name.to_owned(), value.to_string());
        Self { code, reason: reason.to_owned(), metadata: values.into_iter().map(value).collect() }
    }

    pub(super) fn of_status(status: &Status) -> Self {
        let info = status.get_details_error_info();
        let (reason, metadata) = info.map(|i| (i.reason, i.metadata)).unwrap_or_default();
        Self { code: status.code(), reason, metadata: metadata.into_iter().collect() }
    }

    /// Whether nobody knows what has happened, or nothing has and it is to be asked again.
    pub(crate) fn is_to_be_repeated(&self) -> bool {
        match self.code {
            Code::Unavailable | Code::Cancelled | Code::DeadlineExceeded => true,
            // Of a connection that broke, and may have any code; the service's own have reasons.
            Code::Unknown | Code::Internal | Code::ResourceExhausted => {
                self.reason.is_empty() || self.reason == "BUSY"
            }
            _ => false,
        }
    }
}

/// How a call ended.
pub(crate) type Ended = Result<Answer, Refusal>;
