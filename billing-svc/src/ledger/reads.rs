//! Reads. What is overdue is released first, so that nobody sees a hold that is past its end.

use super::decision::count;
use super::touch::Touch;
use super::{BillingError, Ledger, Standing};
use crate::domain::{Operation, OperationId, TopUp, TopUpId, UserId};
use crate::store::{
    AccountView, OpenTopUps, ReservedPage, Reversal, Reversals, SettledTopUps, StatementEntry,
    StatementPage, Store,
};

impl<S: Store> Ledger<S> {
    /// What a user has.
    pub async fn account(&self, user: UserId) -> Result<Standing, BillingError> {
        counted("get_account", self.standing(user).await)
    }

    /// What a user has, in one consistent read, for whoever counts it.
    ///
    /// What promo codes still give lies in rows of its own: read after the account, it could be of
    /// a later moment (a bonus that is used up, and not in the balance). Few users have any, so
    /// theirs is read under the account's lock.
    pub(super) async fn standing(&self, user: UserId) -> Result<Standing, BillingError> {
        let AccountView { account, profile, is_overdue } = self.view(user).await?;
        if is_overdue || account.redemptions_until > self.clock.now() {
            return self.decide(Touch { user }).await;
        }
        Ok(Standing { account, profile, redemptions: Vec::new() })
    }

    /// One operation.
    pub async fn operation(
        &self,
        user: UserId,
        id: OperationId,
    ) -> Result<Operation, BillingError> {
        let read = async {
            self.touch(user).await?;
            let found = self.store.operation(user, id).await?;
            found.ok_or(BillingError::OperationNotFound(id))
        };
        counted("get_operation", read.await)
    }

    /// A user's operations below a number, the newest first.
    pub async fn operations(
        &self,
        user: UserId,
        below: i64,
        limit: i64,
    ) -> Result<Vec<Operation>, BillingError> {
        let read = async {
            self.touch(user).await?;
            Ok(self.store.operations_page(user, below, limit).await?)
        };
        counted("list_operations", read.await)
    }

    /// Reserved operations of all users after one of them, in order of user and operation.
    pub async fn reserved_operations(
        &self,
        after: Option<(UserId, OperationId)>,
        limit: i64,
    ) -> Result<Vec<Operation>, BillingError> {
        let page = ReservedPage { after, now: self.clock.now(), limit };
        let read = self.store.reserved_page(page).await;
        counted("list_reserved_operations", read.map_err(BillingError::from))
    }

    /// A user's entries, the newest first.
    pub async fn statement(
        &self,
        user: UserId,
        page: StatementPage,
    ) -> Result<Vec<StatementEntry>, BillingError> {
        let read = async {
            self.touch(user).await?;
            Ok(self.store.statement_page(user, page).await?)
        };
        counted("list_statement", read.await)
    }

    /// One top-up.
    pub async fn top_up(&self, user: UserId, id: TopUpId) -> Result<TopUp, BillingError> {
        let read = async {
            self.touch(user).await?;
            self.store.top_up(user, id).await?.ok_or(BillingError::TopUpNotFound(id))
        };
        counted("get_top_up", read.await)
    }

    /// A provider's open top-ups, the oldest first.
    pub async fn open_top_ups(&self, page: &OpenTopUps) -> Result<Vec<TopUp>, BillingError> {
        let read = self.store.open_top_ups(page).await;
        counted("list_open_top_ups", read.map_err(BillingError::from))
    }

    /// A provider's top-ups of a span of time, in the order in which they were settled.
    pub async fn settled_top_ups(&self, page: &SettledTopUps) -> Result<Vec<TopUp>, BillingError> {
        let read = self.store.settled_top_ups(page).await;
        counted("list_settled_top_ups", read.map_err(BillingError::from))
    }

    /// A provider's reversals of a span of time, the oldest first.
    pub async fn reversals(&self, page: &Reversals) -> Result<Vec<Reversal>, BillingError> {
        let read = self.store.reversals_page(page).await;
        counted("list_reversals", read.map_err(BillingError::from))
    }

    /// Releases what is overdue of an account that there must be.
    async fn touch(&self, user: UserId) -> Result<(), BillingError> {
        if self.view(user).await?.is_overdue {
            self.decide(Touch { user }).await?;
        }
        Ok(())
    }

    async fn view(&self, user: UserId) -> Result<AccountView, BillingError> {
        let found = self.store.account(user, self.clock.now()).await?;
        found.ok_or(BillingError::UserNotFound(user))
    }
}

pub(super) fn counted<T>(
    name: &'static str,
    read: Result<T, BillingError>,
) -> Result<T, BillingError> {
    match &read {
        Ok(_) => count(name, "done"),
        Err(error) => count(name, error.outcome()),
    }
    read
}
