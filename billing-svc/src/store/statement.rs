//! Entries of the ledger as a statement shows them.

use std::future::Future;

use super::{Answer, Engine};
use crate::domain::{Balance, OperationId, Timestamp, TopUpId, Unit, UserId};

/// One entry, to be shown. Places and causes stay the texts that were stored: a newer version may
/// write some that this one does not know.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StatementEntry {
    pub number: i64,
    pub at: Timestamp,
    pub unit: Unit,
    pub from: String,
    pub to: String,
    pub amount: i64,
    pub cause: String,
    pub operation: Option<OperationId>,
    pub top_up: Option<TopUpId>,
    pub actor: Option<String>,
    pub balance_after: Balance,
    pub free_operations_after: i64,
}

impl StatementEntry {
    /// By how much it changed what can be spent; below zero if it took something.
    pub fn balance_change(&self) -> i64 {
        match self.unit {
            Unit::Kopecks if self.to == "balance" => self.amount,
            Unit::Kopecks if self.from == "balance" => -self.amount,
            Unit::Kopecks | Unit::FreeOperations => 0,
        }
    }
}

/// What a page of a statement is to hold.
#[derive(Clone, Copy, Debug)]
pub struct StatementPage {
    /// Only entries with a lower number: new ones have higher ones, and move no page.
    pub below: i64,
    pub from: Timestamp,
    /// Only entries before it.
    pub to: Timestamp,
    pub limit: i64,
}

/// The table `entries`, read for people.
pub trait Statements: Engine {
    /// Reads a user's entries, the newest first. In order of the key; the time only leaves some of
    /// this one user's entries out, and needs no index.
    fn statement_page(
        &self,
        user: UserId,
        page: StatementPage,
    ) -> impl Future<Output = Answer<Vec<StatementEntry>>> + Send;
}

/// The statement, for both engines.
pub(super) const STATEMENT: &str = "\
     select e.number, e.created_at, e.unit, e.from_account, e.to_account, e.amount, e.cause,
         e.operation_id, e.top_up_id, e.actor, e.balance_after_kopecks, e.free_operations_after
     from entries e
     where e.user_id = $1
       and e.number < $2
       and e.created_at >= $3
       and e.created_at < $4
     order by e.number desc
     limit $5";

macro_rules! statement_entry {
    ($row:expr) => {{
        use $crate::domain::{Balance, OperationId, Timestamp, TopUpId, Unit};
        use $crate::store::StatementEntry;
        use $crate::store::StoreError::Unreadable;
        let row = $row;
        let unit: String = row.try_get("unit")?;
        let operation: Option<uuid::Uuid> = row.try_get("operation_id")?;
        let top_up: Option<uuid::Uuid> = row.try_get("top_up_id")?;
        Ok(StatementEntry {
            number: row.try_get("number")?,
            at: Timestamp::from_micros(row.try_get("created_at")?),
            unit: Unit::from_stored(&unit).ok_or(Unreadable("unit"))?,
            from: row.try_get("from_account")?,
            to: row.try_get("to_account")?,
            amount: row.try_get("amount")?,
            cause: row.try_get("cause")?,
            operation: operation.map(OperationId::stored),
            top_up: top_up.map(TopUpId::stored),
            actor: row.try_get("actor")?,
            balance_after: Balance::new(row.try_get("balance_after_kopecks")?),
            free_operations_after: row.try_get("free_operations_after")?,
        })
    }};
}

pub(super) use statement_entry;
