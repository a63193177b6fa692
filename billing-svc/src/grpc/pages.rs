//! Lists by pages: how long one is, and where it begins.

use prost_types::Timestamp as WireTimestamp;
use proto::billing::v1 as wire;
use tonic::Status;

use super::requests;
use super::status::invalid;
use crate::domain::{
    Operation, OperationId, PromoCode, PromoCodeName, ProviderRefundId, Timestamp, TopUp, UserId,
};
use crate::ledger::verify;
use crate::store::{
    OpenTopUps, Reversal, ReversalPlace, Reversals, SettledTopUps, StatementEntry, StatementPage,
    TopUpPlace,
};

/// No message is larger than 1 MiB; pages end before.
const PAGE_MAX_BYTES: usize = 1_000_000;
/// More than everything of an operation but its metadata, and of a top-up but its snapshot and
/// address, can come to.
const REST_MAX_BYTES: usize = 3_000;
/// More than an entry with the longest names can come to.
const ENTRY_MAX_BYTES: usize = 1_000;

type Read<T> = Result<T, Status>;

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

pub(super) fn statement_limit(page_size: i32) -> Read<Limit> {
    limit(page_size, (100, 500))
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

/// Users of a page of the proof.
pub(super) fn verify_limit(page_size: i32) -> Read<i64> {
    limit(page_size, (100, 1_000)).map(|limit| i64::from(limit.0))
}

/// Where a page of the proof begins.
pub(super) fn verify_place(page_token: &str) -> Read<verify::Place> {
    if page_token.is_empty() {
        return Ok(verify::Place::START);
    }
    page_token.parse().map_err(|_| not_a_token())
}

pub(super) fn promo_codes_limit(page_size: i32) -> Read<Limit> {
    limit(page_size, (50, 100))
}

pub(super) fn promo_code_weight(code: &PromoCode) -> usize {
    code.created.reason.len() + REST_MAX_BYTES
}

pub(super) fn promo_code_place_text(last: &PromoCode) -> String {
    last.name.to_string()
}

/// The name after which a page of promo codes begins.
pub(super) fn promo_codes_place(page_token: &str) -> Read<String> {
    if page_token.is_empty() {
        return Ok(String::new());
    }
    let name = PromoCodeName::new(page_token).ok_or_else(not_a_token)?;
    Ok(name.to_string())
}

pub(super) fn statement(request: &wire::ListStatementRequest, limit: Limit) -> Read<StatementPage> {
    let (from, to) = span(request.from.as_ref(), request.to.as_ref())?;
    let below = number_below(&request.page_token)?;
    Ok(StatementPage { below, from, to, limit: limit.with_one_more() })
}

/// From when to when; what is absent bounds nothing.
fn span(from: Option<&WireTimestamp>, to: Option<&WireTimestamp>) -> Read<(Timestamp, Timestamp)> {
    let bound = |field, time: Option<&WireTimestamp>| {
        time.map(|time| requests::moment(field, time)).transpose()
    };
    let from = bound("from", from)?.unwrap_or(Timestamp::from_micros(0));
    let to = bound("to", to)?.unwrap_or(Timestamp::MAX);
    if from >= to {
        return Err(invalid("to", "must be later than from"));
    }
    Ok((from, to))
}

pub(super) fn statement_weight(_entry: &StatementEntry) -> usize {
    ENTRY_MAX_BYTES
}

pub(super) fn statement_place_text(last: &StatementEntry) -> String {
    last.number.to_string()
}

pub(super) fn operation_place_text(last: &Operation) -> String {
    last.number.to_string()
}

pub(super) fn reserved_place_text(last: &Operation) -> String {
    format!("{}.{}", last.user.get(), last.id)
}

/// The operation after which a page of reserved ones begins.
pub(super) fn reserved_after(page_token: &str) -> Read<Option<(UserId, OperationId)>> {
    place(page_token, |token| {
        let (user, id) = token.split_once('.')?;
        Some((UserId::new(user.parse().ok()?)?, id.parse().ok()?))
    })
}

/// The number below which a page of operations or entries begins.
pub(super) fn number_below(page_token: &str) -> Read<i64> {
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
    let provider = requests::provider("provider", &request.provider)?;
    let opened_before = match &request.opened_before {
        None => Timestamp::from_micros(i64::MAX),
        Some(time) => requests::moment("opened_before", time)?,
    };
    let after = place(&request.page_token, top_up_place)?;
    Ok(OpenTopUps { provider, opened_before, after, limit: limit.with_one_more() })
}

pub(super) fn settled_top_ups(
    request: &wire::ListSettledTopUpsRequest,
    limit: Limit,
) -> Read<SettledTopUps> {
    let provider = requests::provider("provider", &request.provider)?;
    let (from, to) = span(request.from.as_ref(), request.to.as_ref())?;
    let after = place(&request.page_token, top_up_place)?;
    Ok(SettledTopUps { provider, from, to, after, limit: limit.with_one_more() })
}

pub(super) fn reversals(request: &wire::ListReversalsRequest, limit: Limit) -> Read<Reversals> {
    let provider = requests::provider("provider", &request.provider)?;
    let (from, to) = span(request.from.as_ref(), request.to.as_ref())?;
    let after = place(&request.page_token, reversal_place)?;
    Ok(Reversals { provider, from, to, after, limit: limit.with_one_more() })
}

/// The place that a token names; `None` for the first page.
fn place<P>(page_token: &str, read: fn(&str) -> Option<P>) -> Read<Option<P>> {
    if page_token.is_empty() {
        return Ok(None);
    }
    read(page_token).map(Some).ok_or_else(not_a_token)
}

fn not_a_token() -> Status {
    invalid("page_token", "must be the next_page_token of the page before, or empty")
}

pub(super) fn top_up_place_text(last: &TopUp) -> String {
    format!("{}.{}", last.created_at.as_micros(), last.id)
}

pub(super) fn settled_place_text(last: &TopUp) -> String {
    let at = last.ended_at.unwrap_or(last.created_at);
    format!("{}.{}", at.as_micros(), last.id)
}

fn top_up_place(token: &str) -> Option<TopUpPlace> {
    let (at, id) = token.split_once('.')?;
    let at = Timestamp::from_micros(at.parse().ok()?);
    Some(TopUpPlace { at, id: id.parse().ok()? })
}

pub(super) fn reversal_place_text(last: &Reversal) -> String {
    format!("{}.{}.{}", last.at.as_micros(), last.user.get(), last.refund.as_str())
}

fn reversal_place(token: &str) -> Option<ReversalPlace> {
    // The provider's id stands last: it may have dots.
    let mut parts = token.splitn(3, '.');
    let at = Timestamp::from_micros(parts.next()?.parse().ok()?);
    let user = UserId::new(parts.next()?.parse().ok()?)?;
    Some(ReversalPlace { at, user, refund: ProviderRefundId::new(parts.next()?)? })
}

/// What an item takes up at most, in bytes.
type Weight<T> = fn(&T) -> usize;
/// Where the page after an item begins.
type Place<T> = fn(&T) -> String;

pub(super) fn operation_weight(operation: &Operation) -> usize {
    // Each pair has some bytes of its own.
    let metadata = operation.metadata.iter().map(|(key, value)| key.len() + value.len() + 16);
    metadata.sum::<usize>() + REST_MAX_BYTES
}

pub(super) fn top_up_weight(top_up: &TopUp) -> usize {
    top_up.snapshot.len() + top_up.confirmation_url.len() + REST_MAX_BYTES
}

pub(super) fn reversal_weight(_reversal: &Reversal) -> usize {
    ENTRY_MAX_BYTES
}

/// One page, and where the next one begins.
#[derive(Debug)]
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    /// Empty on the last page.
    pub(super) next: String,
}

impl<T> Page<T> {
    /// Cuts off the one item more that was read, and what a message has no room for.
    pub(super) fn cut(mut items: Vec<T>, limit: Limit, of: (Weight<T>, Place<T>)) -> Self {
        let (weight, place) = of;
        let size = usize::try_from(limit.0).unwrap_or_default();
        let mut bytes = 0;
        let has_room = |item: &&T| {
            bytes += weight(item);
            bytes <= PAGE_MAX_BYTES
        };
        // One has room always; that it is at least one lets a reader go on.
        let size = items.iter().take(size).take_while(has_room).count().max(1);
        let has_more = items.len() > size;
        items.truncate(size);
        let next = items.last().filter(|_| has_more).map(place).unwrap_or_default();
        Self { items, next }
    }
}
