//! A user's statement: those entries of the ledger that changed what the user has.
//!
//! A hold that becomes final changes nothing for the user any more, so it has no line.

use std::collections::{HashMap, HashSet};

use futures_util::StreamExt as _;
use futures_util::stream;
use prost_types::Timestamp;
use proto::billing::v1::{Entry, GetOperationRequest, ListStatementRequest, Unit};
use time::OffsetDateTime;

use crate::app::App;
use crate::handlers::error::{HandlerError, is_refusal};
use crate::mode::Mode;
use crate::money::Kopecks;
use crate::moscow;

/// Entries that are read for one page of the chat. Each work has two, and shows one.
const PAGE_ENTRIES: i32 = 16;
/// Entries that are read at once for a file.
const FILE_ENTRIES: i32 = 500;
/// A file has no more lines.
pub const FILE_LINES_MAX: usize = 10_000;
/// Operations that are asked about at once.
const ASKED_AT_ONCE: usize = 8;

/// One line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Line {
    /// When, in Moscow.
    pub at: Option<OffsetDateTime>,
    /// Why.
    pub what: What,
    /// What the operation does, if it is about one.
    pub mode: Option<Mode>,
    /// What it changed.
    pub change: Change,
    /// The operation in billing; empty if it is about none.
    pub operation_id: String,
}

/// Why the user has more or less.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum What {
    Welcome,
    Work,
    LateWork,
    GivenBack,
    TopUp,
    Bonus,
    Reversal,
    PromoCode,
    Adjustment,
    Grant,
    /// Something of a later version.
    Other,
}

/// What became more or less, and what was left then.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Change {
    Money {
        amount: Kopecks,
        left: Kopecks,
    },
    Free {
        count: i64,
        left: i64,
    },
    /// A work that cost nothing, by free access.
    Nothing,
}

/// One page of it.
#[derive(Clone, Debug)]
pub struct Page {
    /// Newest first.
    pub lines: Vec<Line>,
    /// Names the next, older page; empty if this is the last.
    pub older: String,
}

/// Reads the page that a token names, the newest for an empty one. It has a line, if there is any.
pub async fn page(app: &App, user_id: i64, token: &str) -> Result<Page, HandlerError> {
    let mut request = ListStatementRequest {
        user_id,
        page_size: PAGE_ENTRIES,
        page_token: token.to_owned(),
        ..ListStatementRequest::default()
    };
    loop {
        let answer = app.billing.list_statement(request.clone()).await;
        let answer = answer.map_err(HandlerError::of("ListStatement"))?;
        let mut lines: Vec<_> = answer.entries.iter().filter_map(line).collect();
        if lines.is_empty() && !answer.next_page_token.is_empty() {
            request.page_token = answer.next_page_token;
            continue;
        }
        name_modes(app, user_id, &mut lines).await?;
        return Ok(Page { lines, older: answer.next_page_token });
    }
}

/// Reads all lines from a moment on, newest first, and whether there were more than a file takes.
pub async fn since(
    app: &App,
    user_id: i64,
    from: OffsetDateTime,
) -> Result<(Vec<Line>, bool), HandlerError> {
    let mut request = ListStatementRequest {
        user_id,
        from: Some(Timestamp { seconds: from.unix_timestamp(), nanos: 0 }),
        page_size: FILE_ENTRIES,
        ..ListStatementRequest::default()
    };
    let mut lines = Vec::new();
    loop {
        let answer = app.billing.list_statement(request.clone()).await;
        let answer = answer.map_err(HandlerError::of("ListStatement"))?;
        lines.extend(answer.entries.iter().filter_map(line));
        request.page_token = answer.next_page_token;
        if request.page_token.is_empty() || lines.len() > FILE_LINES_MAX {
            break;
        }
    }
    let is_cut = lines.len() > FILE_LINES_MAX;
    lines.truncate(FILE_LINES_MAX);
    name_modes(app, user_id, &mut lines).await?;
    Ok((lines, is_cut))
}

/// The line of an entry; `None` where it changed nothing for the user.
fn line(entry: &Entry) -> Option<Line> {
    let change = match entry.unit() {
        Unit::Kopecks if entry.balance_change_kopecks != 0 => Change::Money {
            amount: Kopecks::new(entry.balance_change_kopecks),
            left: Kopecks::new(entry.balance_after_kopecks),
        },
        Unit::FreeOperations => {
            let left = entry.free_operations_after;
            match (entry.from_account.as_str(), entry.to_account.as_str()) {
                ("available", _) => Change::Free { count: -entry.amount, left },
                (_, "available") => Change::Free { count: entry.amount, left },
                ("granted", "held") => Change::Nothing,
                _ => return None,
            }
        }
        Unit::Kopecks | Unit::Unspecified => return None,
    };
    Some(Line {
        at: entry.created_at.as_ref().and_then(moscow::time),
        what: what(&entry.cause),
        mode: None,
        change,
        operation_id: entry.operation_id.clone(),
    })
}

fn what(cause: &str) -> What {
    match cause {
        "welcome" => What::Welcome,
        "reserve" => What::Work,
        "late_commit" => What::LateWork,
        "refund" | "expiry" => What::GivenBack,
        "top_up" => What::TopUp,
        "bonus" => What::Bonus,
        "reversal" => What::Reversal,
        "promo_code" => What::PromoCode,
        "adjustment" => What::Adjustment,
        "grant" => What::Grant,
        _ => What::Other,
    }
}

/// Says of each line which mode it is about: entries know only the operation.
async fn name_modes(app: &App, user_id: i64, lines: &mut [Line]) -> Result<(), HandlerError> {
    let ids: HashSet<String> = lines.iter().map(|line| line.operation_id.clone()).collect();
    let asked = ids.into_iter().filter(|id| !id.is_empty()).map(async |operation_id| {
        let request = GetOperationRequest { user_id, operation_id: operation_id.clone() };
        match app.billing.get_operation(request).await {
            Ok(answer) => {
                let kind = answer.operation.map(|operation| operation.operation_type);
                Ok((operation_id, kind.as_deref().and_then(Mode::by_name)))
            }
            Err(status) if is_refusal(&status) => Ok((operation_id, None)),
            Err(status) => Err(HandlerError::of("GetOperation")(status)),
        }
    });
    let answers: Vec<Result<_, HandlerError>> =
        stream::iter(asked).buffer_unordered(ASKED_AT_ONCE).collect().await;
    let modes: HashMap<_, _> = answers.into_iter().collect::<Result<_, _>>()?;
    for line in lines {
        line.mode = modes.get(&line.operation_id).copied().flatten();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(unit: Unit, from: &str, to: &str, cause: &str) -> Entry {
        let mut entry = Entry {
            from_account: from.to_owned(),
            to_account: to.to_owned(),
            cause: cause.to_owned(),
            amount: 3,
            free_operations_after: 7,
            balance_after_kopecks: 9_000,
            ..Entry::default()
        };
        entry.set_unit(unit);
        entry
    }

    #[test]
    fn only_what_changed_something_for_the_user_has_a_line() {
        let free = |from, to, cause| line(&entry(Unit::FreeOperations, from, to, cause));
        let change = |line: Option<Line>| line.map(|line| (line.what, line.change));

        assert_eq!(
            change(free("available", "held", "reserve")),
            Some((What::Work, Change::Free { count: -3, left: 7 }))
        );
        assert_eq!(
            change(free("held", "available", "refund")),
            Some((What::GivenBack, Change::Free { count: 3, left: 7 }))
        );
        assert_eq!(change(free("granted", "held", "reserve")), Some((What::Work, Change::Nothing)));
        assert_eq!(change(free("held", "used", "commit")), None);
        assert_eq!(change(free("held", "granted", "refund")), None);
        let mut paid = entry(Unit::Kopecks, "balance", "held", "reserve");
        paid.balance_change_kopecks = -1_000;
        let shown = Change::Money { amount: Kopecks::new(-1_000), left: Kopecks::new(9_000) };
        assert_eq!(change(line(&paid)), Some((What::Work, shown)));
        assert_eq!(change(line(&entry(Unit::Kopecks, "held", "revenue", "commit"))), None);
        assert_eq!(what("something_new"), What::Other);
    }
}
