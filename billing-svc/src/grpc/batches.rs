//! The batch calls: many items in one message, an answer for each.

use proto::billing::v1 as wire;
use proto::reason;
use tonic::Status;
use tonic_types::StatusExt as _;

use super::status::invalid;
use super::{Service, answers};
use crate::domain::Operation;
use crate::ledger::{BillingError, Decision};
use crate::store::Store;

/// Items in one call: what one batch of the writer's has room for, with others beside it.
const ITEMS_MAX: usize = 100;

impl<S: Store> Service<S> {
    /// Reads each item with `read`, lets them be decided together, and answers for each.
    ///
    /// An item that cannot be read is refused like one that may not be: alone, or with all others
    /// if all or nothing was asked for.
    pub(super) async fn batch<W, D>(
        &self,
        items: Vec<W>,
        read: impl Fn(W) -> Result<D, Status>,
        all_or_nothing: bool,
    ) -> Result<Vec<wire::OperationResult>, Status>
    where
        D: Decision<Answer = Operation>,
    {
        if !(1..=ITEMS_MAX).contains(&items.len()) {
            return Err(invalid("items", "must be 1 to 100"));
        }
        let read: Vec<Result<D, Status>> = items.into_iter().map(read).collect();
        if all_or_nothing { self.all_or_none(read).await } else { Ok(self.each(read).await) }
    }

    async fn each<D>(&self, read: Vec<Result<D, Status>>) -> Vec<wire::OperationResult>
    where
        D: Decision<Answer = Operation>,
    {
        let mut decisions = Vec::with_capacity(read.len());
        let unread: Vec<Option<Status>> = read
            .into_iter()
            .map(|item| item.map(|decision| decisions.push(decision)).err())
            .collect();
        let mut decided = self.ledger.decide_each(decisions).await.into_iter();
        let outcome = |unread: Option<Status>| match unread {
            Some(status) => refused(&status),
            None => decided.next().map_or_else(|| refused(&lost()), answered),
        };
        unread.into_iter().map(outcome).collect()
    }

    async fn all_or_none<D>(
        &self,
        read: Vec<Result<D, Status>>,
    ) -> Result<Vec<wire::OperationResult>, Status>
    where
        D: Decision<Answer = Operation>,
    {
        if read.iter().any(Result::is_err) {
            let outcome = |item: Result<D, Status>| match item {
                Ok(_) => refused(&BillingError::BatchRefused.into()),
                Err(status) => refused(&status),
            };
            return Ok(read.into_iter().map(outcome).collect());
        }
        let decisions = read.into_iter().collect::<Result<Vec<D>, Status>>()?;
        let decided = self.ledger.decide_all_or_none(decisions).await?;
        Ok(decided.into_iter().map(answered).collect())
    }
}

fn answered(decided: Result<Operation, BillingError>) -> wire::OperationResult {
    match decided {
        Ok(mut operation) => {
            // A hundred operations with all their metadata would outgrow a message.
            operation.metadata.clear();
            let outcome = wire::operation_result::Outcome::Operation(answers::operation(operation));
            wire::OperationResult { outcome: Some(outcome) }
        }
        Err(error) => refused(&error.into()),
    }
}

fn refused(status: &Status) -> wire::OperationResult {
    let info = status.get_details_error_info();
    let refusal = wire::Refusal {
        code: status.code().into(),
        reason: reason::of(status).unwrap_or_default(),
        message: status.message().to_owned(),
        metadata: info.map(|info| info.metadata).unwrap_or_default(),
    };
    wire::OperationResult { outcome: Some(wire::operation_result::Outcome::Refusal(refusal)) }
}

fn lost() -> Status {
    BillingError::Unavailable.into()
}
