//! `GET /payments`, `GET /refunds` and `GET /receipts`: newest first, in pages.

use serde_json::{Value, json};

use super::books::{Books, StoredPayment};
use super::error::ApiError;
use crate::seen::parse_timestamp;

/// The query, in its order.
pub(super) type Query = Vec<(String, String)>;

const DEFAULT_LIMIT: usize = 10;

/// What a row is filtered by.
struct Row<'a> {
    id: &'a str,
    status: &'static str,
    created_ms: i64,
    captured_ms: Option<i64>,
    payment_method: Option<&'a str>,
    payment_id: Option<&'a str>,
    refund_id: Option<&'a str>,
}

/// `GET /payments`.
pub(super) fn payments(books: &Books, query: &Query) -> Result<Value, ApiError> {
    let rows = books.payments.values().rev().map(|stored| (row(stored), json!(stored.payment)));
    page(rows, query)
}

/// `GET /refunds`.
pub(super) fn refunds(books: &Books, query: &Query) -> Result<Value, ApiError> {
    let rows = books.refunds.values().rev().map(|refund| {
        let row = Row {
            id: &refund.id,
            status: refund.status.as_str(),
            created_ms: parse_timestamp(&refund.created_at).unwrap_or_default(),
            captured_ms: None,
            payment_method: None,
            payment_id: Some(&refund.payment_id),
            refund_id: None,
        };
        (row, json!(refund))
    });
    page(rows, query)
}

/// `GET /receipts`. One payment's have a filter, as those of one refund do.
pub(super) fn receipts(books: &Books, query: &Query) -> Result<Value, ApiError> {
    let rows = books.receipts.values().rev().map(|kept| {
        let row = Row {
            id: &kept.id,
            status: books.receipt_status(kept),
            created_ms: kept.created_ms,
            captured_ms: None,
            payment_method: None,
            payment_id: Some(&kept.payment_id),
            refund_id: kept.refund_id.as_deref(),
        };
        (row, books.receipt(kept))
    });
    page(rows, query)
}

fn row(stored: &StoredPayment) -> Row<'_> {
    Row {
        id: &stored.payment.id,
        status: stored.payment.status.as_str(),
        created_ms: stored.created_ms,
        captured_ms: stored.captured_ms,
        payment_method: stored.payment.payment_method.as_ref().map(|method| method.kind.as_str()),
        payment_id: None,
        refund_id: None,
    }
}

fn page<'a>(
    rows: impl Iterator<Item = (Row<'a>, Value)>,
    query: &Query,
) -> Result<Value, ApiError> {
    let mut limit = DEFAULT_LIMIT;
    let mut cursor = None;
    for (name, value) in query {
        match name.as_str() {
            "limit" => {
                limit = value
                    .parse()
                    .ok()
                    .filter(|limit| (1..=100).contains(limit))
                    .ok_or_else(|| ApiError::invalid("limit", "Send a limit of 1 to 100"))?;
            }
            "cursor" => cursor = Some(value.as_str()),
            _ => {}
        }
    }
    let mut items = Vec::new();
    let mut next_cursor = None;
    for (row, item) in rows {
        // The cursor is the id of the first row of the next page; rows go down by id.
        if cursor.is_some_and(|cursor| row.id > cursor) || !row.matches(query)? {
            continue;
        }
        if items.len() == limit {
            next_cursor = Some(row.id.to_owned());
            break;
        }
        items.push(item);
    }
    let mut list = json!({ "type": "list", "items": items });
    if let Some(next) = next_cursor {
        list["next_cursor"] = next.into();
    }
    Ok(list)
}

impl Row<'_> {
    fn matches(&self, query: &Query) -> Result<bool, ApiError> {
        for (name, value) in query {
            let keep = match name.as_str() {
                "status" => self.status == value,
                "payment_method" => self.payment_method == Some(value),
                "payment_id" => self.payment_id == Some(value),
                "refund_id" => self.refund_id == Some(value),
                name => match name.split_once('.') {
                    Some(("created_at", bound)) => within(Some(self.created_ms), bound, value),
                    Some(("captured_at", bound)) => within(self.captured_ms, bound, value),
                    _ => Ok(true),
                }
                .map_err(|description| ApiError::invalid(name, description))?,
            };
            if !keep {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn within(moment: Option<i64>, bound: &str, value: &str) -> Result<bool, &'static str> {
    let limit = parse_timestamp(value).ok_or("Send a time as in RFC 3339")?;
    let Some(moment) = moment else { return Ok(false) };
    match bound {
        "gte" => Ok(moment >= limit),
        "gt" => Ok(moment > limit),
        "lte" => Ok(moment <= limit),
        "lt" => Ok(moment < limit),
        _ => Err("A bound is gte, gt, lte or lt"),
    }
}
