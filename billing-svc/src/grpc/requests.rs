//! Requests into decisions. After this nothing is checked again.

use std::collections::{BTreeMap, HashMap};
use std::str::FromStr as _;

use prost_types::Timestamp as WireTimestamp;
use proto::billing::v1 as wire;
use tonic::Status;

use super::status::invalid;
use crate::domain::{
    IdempotencyKey, Kopecks, OperationId, PaymentId, Profile, Provider, ProviderAmount,
    ProviderRefundId, Timestamp, TopUpId, UserId, is_model, is_operation_type,
};
use crate::ledger::{
    Cancel, Commit, DryReserve, Extend, OpenTopUp, Part, RecordPayment, RefundBy, RefundOperation,
    Register, Reserve, Reverse, Settle,
};
use crate::store::EventId;

const LANGUAGE_MAX: usize = 35;
pub(super) const EMAIL_MAX: usize = 254;
const METADATA_ENTRIES_MAX: usize = 16;
const METADATA_KEY_MAX: usize = 64;
const METADATA_VALUE_MAX: usize = 512;
pub(super) const REASON_MAX: usize = 256;
pub(super) const ACTOR_MAX: usize = 64;
const COST_MAX: i64 = 1_000_000_000_000;
const MINOR_UNITS_MAX: i64 = 1_000_000_000;
const SNAPSHOT_MAX_BYTES: usize = 16 * 1024;
const URL_MAX: usize = 2048;
const CANCEL_REASON_MAX: usize = 128;
const ACK_MAX: usize = 100;
/// The last moment that the contract's times can name: the end of the year 9999.
const SECONDS_MAX: i64 = 253_402_300_799;

pub(super) type Read<T> = Result<T, Status>;

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

/// A dry run needs no key.
pub(super) fn dry_reserve(mut request: wire::ReserveRequest) -> Read<DryReserve> {
    let is_keyed = !request.idempotency_key.is_empty();
    if !is_keyed {
        "unused".clone_into(&mut request.idempotency_key);
    }
    Ok(DryReserve { reserve: reserve(request)?, is_keyed })
}

pub(super) fn reserve_of_batch(request: wire::ReserveRequest) -> Read<Reserve> {
    if request.dry_run {
        return Err(invalid("dry_run", "must not be set in a batch"));
    }
    reserve(request)
}

pub(super) fn reserve(request: wire::ReserveRequest) -> Read<Reserve> {
    let user = user(request.user_id)?;
    if !is_operation_type(&request.operation_type) {
        return Err(invalid("operation_type", "must be 1 to 64 of a-z, 0-9 and _"));
    }
    if !is_model(&request.model) {
        return Err(invalid("model", "must be at most 128 characters, without NUL"));
    }
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
    required_text("reason", &request.reason, REASON_MAX)?;
    text("actor", &request.actor, ACTOR_MAX)?;
    let by = match (request.amount_kopecks, request.actor) {
        (None, _) if !request.idempotency_key.is_empty() => {
            return Err(invalid("idempotency_key", "must be empty without amount_kopecks"));
        }
        (None, actor) if actor.is_empty() => RefundBy::Nobody,
        (None, actor) => RefundBy::Person(actor),
        (Some(_), actor) if actor.is_empty() => {
            return Err(invalid("actor", "must be present with amount_kopecks"));
        }
        (Some(kopecks), actor) => RefundBy::PersonInPart(Part {
            actor,
            amount: amount("amount_kopecks", kopecks)?,
            key: key(&request.idempotency_key)?,
        }),
    };
    Ok(RefundOperation { user, operation, reason: request.reason, by })
}

pub(super) fn open_top_up(request: wire::OpenTopUpRequest) -> Read<OpenTopUp> {
    let user = user(request.user_id)?;
    let provider = provider("provider", &request.provider)?;
    let paid = provider_amount(PAID, request.paid)?;
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
    let payment = payment("provider_payment_id", &request.provider_payment_id)?;
    text("confirmation_url", &request.confirmation_url, URL_MAX)?;
    Ok(RecordPayment { user, top_up, payment, confirmation_url: request.confirmation_url })
}

pub(super) fn settle(request: wire::SettleTopUpRequest) -> Read<Settle> {
    let user = user(request.user_id)?;
    let top_up = top_up_id(&request.top_up_id)?;
    let payment = payment("provider_payment_id", &request.provider_payment_id)?;
    Ok(Settle { user, top_up, payment, paid: provider_amount(PAID, request.paid)? })
}

pub(super) fn reverse(request: wire::ReverseTopUpRequest) -> Read<Reverse> {
    let user = user(request.user_id)?;
    let top_up = top_up_id(&request.top_up_id)?;
    let refund = ProviderRefundId::new(&request.provider_refund_id).ok_or_else(|| {
        invalid("provider_refund_id", "must be 1 to 128 printable ASCII characters")
    })?;
    let refunded = provider_amount(REFUNDED, request.refunded)?;
    Ok(Reverse { user, top_up, refund, refunded })
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

/// Text of at most `max` characters. Without NUL, which PostgreSQL does not store.
fn text(field: &'static str, value: &str, max: usize) -> Read<()> {
    if value.chars().count() > max {
        return Err(invalid(field, &format!("must be at most {max} characters")));
    }
    if value.contains('\0') {
        return Err(invalid(field, "must not contain NUL"));
    }
    Ok(())
}

pub(super) fn required_text(field: &'static str, value: &str, max: usize) -> Read<()> {
    if value.is_empty() {
        return Err(invalid(field, "must not be empty"));
    }
    text(field, value, max)
}

pub(super) fn key(value: &str) -> Read<IdempotencyKey> {
    IdempotencyKey::new(value)
        .ok_or_else(|| invalid("idempotency_key", "must be 1 to 128 printable ASCII characters"))
}

pub(super) fn payment(field: &'static str, value: &str) -> Read<PaymentId> {
    PaymentId::new(value)
        .ok_or_else(|| invalid(field, "must be 1 to 128 printable ASCII characters"))
}

pub(super) fn provider(field: &'static str, value: &str) -> Read<Provider> {
    Provider::new(value).ok_or_else(|| invalid(field, "must be 1 to 32 of a-z, 0-9 and _"))
}

pub(super) fn amount(field: &'static str, kopecks: i64) -> Read<Kopecks> {
    Kopecks::new(kopecks).map_err(|_| invalid(field, "must be between 1 and 1000000000 kopecks"))
}

/// An amount at a provider: the names of the field, and of the two within it.
type AmountFields = [&'static str; 3];

const PAID: AmountFields = ["paid", "paid.minor_units", "paid.currency"];
const REFUNDED: AmountFields = ["refunded", "refunded.minor_units", "refunded.currency"];

fn provider_amount(
    [whole, minor_units, currency]: AmountFields,
    amount: Option<wire::ProviderAmount>,
) -> Read<ProviderAmount> {
    let amount = amount.ok_or_else(|| invalid(whole, "must be present"))?;
    if !(1..=MINOR_UNITS_MAX).contains(&amount.minor_units) {
        return Err(invalid(minor_units, "must be between 1 and 10^9"));
    }
    if amount.currency.len() != 3 || !amount.currency.bytes().all(|b| b.is_ascii_uppercase()) {
        return Err(invalid(currency, "must be three letters such as RUB"));
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

pub(super) fn moment(field: &'static str, time: &WireTimestamp) -> Read<Timestamp> {
    let refusal = || invalid(field, "must be a time between the years 1970 and 9999");
    if !(0..=SECONDS_MAX).contains(&time.seconds) || !(0..1_000_000_000).contains(&time.nanos) {
        return Err(refusal());
    }
    let micros = time.seconds.checked_mul(1_000_000);
    let micros = micros.and_then(|micros| micros.checked_add(i64::from(time.nanos) / 1_000));
    micros.map(Timestamp::from_micros).ok_or_else(refusal)
}
