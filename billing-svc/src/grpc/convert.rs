//! Wire types ↔ domain types. After this nothing is checked again.

use std::collections::{BTreeMap, HashMap};
use std::str::FromStr as _;

use prost_types::Timestamp as WireTimestamp;
use proto::billing::v1 as wire;
use tonic::Status;

use super::status::invalid;
use crate::domain::{
    Account, Balance, Event, EventKind, IdempotencyKey, Kopecks, Operation, OperationId,
    OperationState, PaymentId, PaymentSource, Price, Profile, Provider, ProviderAmount, Timestamp,
    TopUp, TopUpId, TopUpState, UserId,
};
use crate::ledger::{
    Cancel, Commit, Extend, OpenTopUp, RecordPayment, RefundOperation, Register, Reserve, Settle,
};
use crate::store::{EventId, OpenTopUps, TopUpPlace};

const LANGUAGE_MAX: usize = 35;
const EMAIL_MAX: usize = 254;
const OPERATION_TYPE_MAX: usize = 64;
const MODEL_MAX: usize = 128;
const METADATA_ENTRIES_MAX: usize = 16;
const METADATA_KEY_MAX: usize = 64;
const METADATA_VALUE_MAX: usize = 512;
const REFUND_REASON_MAX: usize = 256;
const ACTOR_MAX: usize = 64;
const COST_MAX: i64 = 1_000_000_000_000;
const MINOR_UNITS_MAX: i64 = 1_000_000_000;
const SNAPSHOT_MAX_BYTES: usize = 16 * 1024;
const URL_MAX: usize = 2048;
const CANCEL_REASON_MAX: usize = 128;
const ACK_MAX: usize = 100;
/// The last moment that the contract's times can name: the end of the year 9999.
const SECONDS_MAX: i64 = 253_402_300_799;

type Read<T> = Result<T, Status>;

// ---- requests -----------------------------------------------------------------------------------

pub(super) fn user(id: i64) -> Read<UserId> {
    UserId::new(id).ok_or_else(|| invalid("user_id", "must be greater than 0"))
}

pub(super) fn operation_id(text: &str) -> Read<OperationId> {
    OperationId::from_str(text).map_err(|_| invalid("operation_id", "must be a UUID"))
}

pub(super) fn top_up_id(text: &str) -> Read<TopUpId> {
    TopUpId::from_str(text).map_err(|_| invalid("top_up_id", "must be a UUID"))
}

pub(super) fn register(request: wire::RegisterUserRequest) -> Read<Register> {
    let user = user(request.user_id)?;
    let profile = request.profile.unwrap_or_default();
    if let Some(language) = &profile.language {
        text("profile.language", language, LANGUAGE_MAX)?;
    }
    if let Some(email) = &profile.receipt_email {
        text("profile.receipt_email", email, EMAIL_MAX)?;
    }
    let profile = Profile { language: profile.language, receipt_email: profile.receipt_email };
    Ok(Register { user, profile })
}

pub(super) fn reserve(request: wire::ReserveRequest) -> Read<Reserve> {
    let user = user(request.user_id)?;
    if !is_name(&request.operation_type, OPERATION_TYPE_MAX) {
        return Err(invalid("operation_type", "must be 1 to 64 of a-z, 0-9 and _"));
    }
    text("model", &request.model, MODEL_MAX)?;
    let key = key(&request.idempotency_key)?;
    let expected_price = request
        .expected_price_kopecks
        .map(|kopecks| amount("expected_price_kopecks", kopecks))
        .transpose()?;
    Ok(Reserve {
        user,
        operation_type: request.operation_type,
        model: request.model,
        key,
        expected_price,
        metadata: metadata(request.metadata)?,
    })
}

pub(super) fn extend(request: &wire::ExtendRequest) -> Read<Extend> {
    let user = user(request.user_id)?;
    Ok(Extend { user, operation: operation_id(&request.operation_id)? })
}

pub(super) fn commit(request: &wire::CommitRequest) -> Read<Commit> {
    let user = user(request.user_id)?;
    let operation = operation_id(&request.operation_id)?;
    if request.cost_micro_usd.is_some_and(|cost| !(0..=COST_MAX).contains(&cost)) {
        return Err(invalid("cost_micro_usd", "must be between 0 and 10^12"));
    }
    Ok(Commit { user, operation, cost_micro_usd: request.cost_micro_usd })
}

pub(super) fn refund(request: wire::RefundRequest) -> Read<RefundOperation> {
    let user = user(request.user_id)?;
    let operation = operation_id(&request.operation_id)?;
    required_text("reason", &request.reason, REFUND_REASON_MAX)?;
    text("actor", &request.actor, ACTOR_MAX)?;
    let actor = Some(request.actor).filter(|actor| !actor.is_empty());
    Ok(RefundOperation { user, operation, reason: request.reason, actor })
}

pub(super) fn open_top_up(request: wire::OpenTopUpRequest) -> Read<OpenTopUp> {
    let user = user(request.user_id)?;
    let provider = provider(&request.provider)?;
    let paid = paid(request.paid)?;
    let credited = amount("credited_kopecks", request.credited_kopecks)?;
    let key = key(&request.idempotency_key)?;
    if request.snapshot.len() > SNAPSHOT_MAX_BYTES {
        return Err(invalid("snapshot", "must be at most 16 KiB"));
    }
    Ok(OpenTopUp { user, provider, paid, credited, key, snapshot: request.snapshot })
}

pub(super) fn record_payment(request: wire::RecordTopUpPaymentRequest) -> Read<RecordPayment> {
    let user = user(request.user_id)?;
    let top_up = top_up_id(&request.top_up_id)?;
    let payment = payment(&request.provider_payment_id)?;
    text("confirmation_url", &request.confirmation_url, URL_MAX)?;
    Ok(RecordPayment { user, top_up, payment, confirmation_url: request.confirmation_url })
}

pub(super) fn settle(request: wire::SettleTopUpRequest) -> Read<Settle> {
    let user = user(request.user_id)?;
    let top_up = top_up_id(&request.top_up_id)?;
    let payment = payment(&request.provider_payment_id)?;
    Ok(Settle { user, top_up, payment, paid: paid(request.paid)? })
}

pub(super) fn cancel(request: wire::CancelTopUpRequest) -> Read<Cancel> {
    let user = user(request.user_id)?;
    let top_up = top_up_id(&request.top_up_id)?;
    required_text("reason", &request.reason, CANCEL_REASON_MAX)?;
    Ok(Cancel { user, top_up, reason: request.reason })
}

pub(super) fn event_ids(events: &[wire::EventId]) -> Read<Vec<EventId>> {
    if !(1..=ACK_MAX).contains(&events.len()) {
        return Err(invalid("events", "must be 1 to 100"));
    }
    let read = |event: &wire::EventId| {
        let user = UserId::new(event.user_id)
            .ok_or_else(|| invalid("events.user_id", "must be greater than 0"))?;
        if event.number < 1 {
            return Err(invalid("events.number", "must be greater than 0"));
        }
        Ok(EventId { user, number: event.number })
    };
    events.iter().map(read).collect()
}

// ---- pages --------------------------------------------------------------------------------------

/// How many items a page may have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit(i32);

impl Limit {
    /// One more than the page holds, which tells whether there is another page.
    pub(super) fn with_one_more(self) -> i64 {
        i64::from(self.0) + 1
    }
}

pub(super) fn operations_limit(page_size: i32) -> Read<Limit> {
    limit(page_size, (20, 100))
}

pub(super) fn top_ups_limit(page_size: i32) -> Read<Limit> {
    limit(page_size, (100, 500))
}

fn limit(page_size: i32, (default, max): (i32, i32)) -> Read<Limit> {
    match page_size {
        0 => Ok(Limit(default)),
        size if (1..=max).contains(&size) => Ok(Limit(size)),
        _ => Err(invalid("page_size", &format!("must be 1 to {max}, or 0 for {default}"))),
    }
}

/// The number below which a page of operations begins.
pub(super) fn operations_place(page_token: &str) -> Read<i64> {
    if page_token.is_empty() {
        return Ok(i64::MAX);
    }
    let number = page_token.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(not_a_token)
}

pub(super) fn open_top_ups(
    request: &wire::ListOpenTopUpsRequest,
    limit: Limit,
) -> Read<OpenTopUps> {
    let provider = provider(&request.provider)?;
    let opened_before = match &request.opened_before {
        None => Timestamp::from_micros(i64::MAX),
        Some(time) => moment("opened_before", time)?,
    };
    let after = match request.page_token.as_str() {
        "" => None,
        token => Some(top_up_place(token).ok_or_else(not_a_token)?),
    };
    Ok(OpenTopUps { provider, opened_before, after, limit: limit.with_one_more() })
}

fn not_a_token() -> Status {
    invalid("page_token", "must be the next_page_token of the page before, or empty")
}

pub(super) fn top_up_place_text(last: &TopUp) -> String {
    format!("{}.{}", last.created_at.as_micros(), last.id)
}

fn top_up_place(token: &str) -> Option<TopUpPlace> {
    let (created_at, id) = token.split_once('.')?;
    let created_at = Timestamp::from_micros(created_at.parse().ok()?);
    Some(TopUpPlace { created_at, id: id.parse().ok()? })
}

/// One page, and where the next one begins.
#[derive(Debug)]
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    /// Empty on the last page.
    pub(super) next: String,
}

impl<T> Page<T> {
    /// Cuts off the one item more that was read.
    pub(super) fn cut(mut items: Vec<T>, limit: Limit, place: impl Fn(&T) -> String) -> Self {
        let size = usize::try_from(limit.0).unwrap_or_default();
        let has_more = items.len() > size;
        items.truncate(size);
        let next = items.last().filter(|_| has_more).map(place).unwrap_or_default();
        Self { items, next }
    }
}

// ---- fields -------------------------------------------------------------------------------------

/// Text of at most `max` characters without control characters: those a database may refuse, and
/// nobody means them.
fn text(field: &'static str, value: &str, max: usize) -> Read<()> {
    if value.chars().count() > max {
        return Err(invalid(field, &format!("must be at most {max} characters")));
    }
    if value.chars().any(char::is_control) {
        return Err(invalid(field, "must not have control characters"));
    }
    Ok(())
}

fn required_text(field: &'static str, value: &str, max: usize) -> Read<()> {
    if value.is_empty() {
        return Err(invalid(field, "must not be empty"));
    }
    text(field, value, max)
}

fn is_name(value: &str, max: usize) -> bool {
    (1..=max).contains(&value.len())
        && value.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

fn key(value: &str) -> Read<IdempotencyKey> {
    IdempotencyKey::new(value)
        .ok_or_else(|| invalid("idempotency_key", "must be 1 to 128 printable ASCII characters"))
}

fn payment(value: &str) -> Read<PaymentId> {
    PaymentId::new(value).ok_or_else(|| {
        invalid("provider_payment_id", "must be 1 to 128 printable ASCII characters")
    })
}

fn provider(value: &str) -> Read<Provider> {
    Provider::new(value).ok_or_else(|| invalid("provider", "must be 1 to 32 of a-z, 0-9 and _"))
}

fn amount(field: &'static str, kopecks: i64) -> Read<Kopecks> {
    Kopecks::new(kopecks).map_err(|_| invalid(field, "must be between 1 and 1000000000 kopecks"))
}

fn paid(amount: Option<wire::ProviderAmount>) -> Read<ProviderAmount> {
    let amount = amount.ok_or_else(|| invalid("paid", "must be present"))?;
    if !(1..=MINOR_UNITS_MAX).contains(&amount.minor_units) {
        return Err(invalid("paid.minor_units", "must be between 1 and 10^9"));
    }
    if amount.currency.len() != 3 || !amount.currency.bytes().all(|b| b.is_ascii_uppercase()) {
        return Err(invalid("paid.currency", "must be three letters such as RUB"));
    }
    Ok(ProviderAmount { minor_units: amount.minor_units, currency: amount.currency })
}

fn metadata(given: HashMap<String, String>) -> Read<BTreeMap<String, String>> {
    if given.len() > METADATA_ENTRIES_MAX {
        return Err(invalid("metadata", "must be at most 16 entries"));
    }
    for (key, value) in &given {
        let is_fit = |text: &str, max: usize| text.chars().count() <= max && !text.contains('\0');
        if !is_fit(key, METADATA_KEY_MAX) || !is_fit(value, METADATA_VALUE_MAX) {
            return Err(invalid(
                "metadata",
                "keys must be up to 64 and values up to 512 characters, without NUL",
            ));
        }
    }
    Ok(given.into_iter().collect())
}

fn moment(field: &'static str, time: &WireTimestamp) -> Read<Timestamp> {
    let refusal = || invalid(field, "must be a time between the years 1970 and 9999");
    if !(0..=SECONDS_MAX).contains(&time.seconds) || !(0..1_000_000_000).contains(&time.nanos) {
        return Err(refusal());
    }
    let micros = time.seconds.checked_mul(1_000_000);
    let micros = micros.and_then(|micros| micros.checked_add(i64::from(time.nanos) / 1_000));
    micros.map(Timestamp::from_micros).ok_or_else(refusal)
}

// ---- answers ------------------------------------------------------------------------------------

pub(super) fn account(account: &Account, profile: Profile) -> wire::Account {
    wire::Account {
        user_id: account.user.get(),
        balance_kopecks: account.balance.get(),
        held_kopecks: account.held.get(),
        free_operations: account.free_operations,
        held_free_operations: account.held_free_operations,
        profile: Some(wire::Profile {
            language: profile.language,
            receipt_email: profile.receipt_email,
        }),
        created_at: Some(time(account.created_at)),
    }
}

pub(super) fn price(price: &Price) -> wire::Price {
    wire::Price {
        operation_type: price.operation_type.clone(),
        model: price.model.clone(),
        price_kopecks: price.price.get(),
        free_operations_allowed: price.free_operations_allowed,
    }
}

pub(super) fn operation(operation: Operation) -> wire::Operation {
    let charged_kopecks = operation.charged_kopecks();
    let refunded_kopecks = operation.refunded_kopecks();
    let (refund_reason, refund_actor) =
        operation.refund.map(|refund| (refund.reason, refund.actor)).unwrap_or_default();
    let state = match operation.state {
        OperationState::Reserved => wire::OperationState::Reserved,
        OperationState::Committed => wire::OperationState::Committed,
        OperationState::Refunded => wire::OperationState::Refunded,
        OperationState::Expired => wire::OperationState::Expired,
    };
    let source = match operation.source {
        PaymentSource::FreeOperation => wire::PaymentSource::FreeOperation,
        PaymentSource::Balance => wire::PaymentSource::Balance,
    };
    wire::Operation {
        operation_id: operation.id.to_string(),
        user_id: operation.user.get(),
        operation_type: operation.operation_type,
        model: operation.model,
        state: state.into(),
        source: source.into(),
        price_kopecks: operation.price.get(),
        charged_kopecks,
        refunded_kopecks,
        idempotency_key: operation.key.as_str().to_owned(),
        created_at: Some(time(operation.created_at)),
        expires_at: Some(time(operation.expires_at)),
        ended_at: operation.ended_at.map(time),
        refund_reason,
        refund_actor: refund_actor.unwrap_or_default(),
        cost_micro_usd: operation.cost_micro_usd.unwrap_or_default(),
        metadata: operation.metadata.into_iter().collect(),
    }
}

pub(super) fn top_up(top_up: TopUp) -> wire::TopUp {
    let state = match top_up.state {
        TopUpState::Open => wire::TopUpState::Open,
        TopUpState::Settled => wire::TopUpState::Settled,
        TopUpState::Cancelled => wire::TopUpState::Cancelled,
    };
    wire::TopUp {
        top_up_id: top_up.id.to_string(),
        user_id: top_up.user.get(),
        provider: top_up.provider.as_str().to_owned(),
        state: state.into(),
        paid: Some(wire::ProviderAmount {
            minor_units: top_up.paid.minor_units,
            currency: top_up.paid.currency,
        }),
        credited_kopecks: top_up.credited.get(),
        idempotency_key: top_up.key.as_str().to_owned(),
        snapshot: top_up.snapshot,
        provider_payment_id: top_up.payment.map(|id| id.to_string()).unwrap_or_default(),
        confirmation_url: top_up.confirmation_url,
        cancel_reason: top_up.cancel_reason.unwrap_or_default(),
        created_at: Some(time(top_up.created_at)),
        ended_at: top_up.ended_at.map(time),
    }
}

pub(super) fn event(event: Event) -> wire::Event {
    use wire::event::What;
    let what = match event.kind {
        EventKind::TopUpSettled(settled, balance) => What::TopUpSettled(wire::TopUpSettled {
            top_up: Some(top_up(settled)),
            balance_after_kopecks: Balance::get(balance),
        }),
        EventKind::OperationExpired(expired) => {
            What::OperationExpired(wire::OperationExpired { operation: Some(operation(expired)) })
        }
        EventKind::OperationCommittedLate(committed) => {
            What::OperationCommittedLate(wire::OperationCommittedLate {
                operation: Some(operation(committed)),
            })
        }
        EventKind::OperationRefunded(refunded) => {
            What::OperationRefunded(wire::OperationRefunded {
                operation: Some(operation(refunded)),
            })
        }
    };
    wire::Event {
        user_id: event.user.get(),
        number: event.number,
        created_at: Some(time(event.at)),
        what: Some(what),
    }
}

fn time(at: Timestamp) -> WireTimestamp {
    let micros = at.as_micros();
    let nanos = micros.rem_euclid(1_000_000) * 1_000;
    WireTimestamp {
        seconds: micros.div_euclid(1_000_000),
        nanos: i32::try_from(nanos).unwrap_or_default(),
    }
}
