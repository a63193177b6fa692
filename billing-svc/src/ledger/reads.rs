//! Reads. What is overdue is released first, so that nobody sees a hold that is past its end.

use super::decision::count;
use super::touch::Touch;
use super::{BillingError, Ledger, Standing};
use crate::domain::{Account, Operation, OperationId, Profile, TopUp, TopUpId, UserId};
use crate::store::{AccountView, OpenTopUps, StatementEntry, StatementPage, Store};

impl<S: Store> Ledger<S> {
    /// What a user has.
    pub async fn account(&self, user: UserId) -> Result<Standing, BillingError> {
        counted("get_account", self.standing(user).await)
    }

    /// What a user has, for whoever counts it.
    pub(super) async fn standing(&self, user: UserId) -> Result<Standing, BillingError> {
        let (account, profile) = self.touched(user).await?;
        let now = self.clock.now();
        let redemptions = if account.redemptions_until > now {
            self.store.redemptions_of(user, now).await?
        } else {
            Vec::new()
        };
        Ok(Standing { account, profile, redemptions })
    }

    /// One operation.
    pub async fn operation(
        &self,
        user: UserId,
        id: OperationId,
    ) -> Result<Operation, BillingError> {
        let read = async {
            self.touched(user).await?;
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
            self.touched(user).await?;
            Ok(self.store.operations_page(user, below, limit).await?)
        };
        counted("list_operations", read.await)
    }

    /// A user's entries, the newest first.
    pub async fn statement(
        &self,
        user: UserId,
        page: StatementPage,
    ) -> Result<Vec<StatementEntry>, BillingError> {
        let read = async {
            self.touched(user).await?;
            Ok(self.store.statement_page(user, page).await?)
        };
        counted("list_statement", read.await)
    }

    /// One top-up.
    pub async fn top_up(&self, user: UserId, id: TopUpId) -> Result<TopUp, BillingError> {
        let read = async {
            self.touched(user).await?;
            self.store.top_up(user, id).await?.ok_or(BillingError::TopUpNotFound(id))
        };
        counted("get_top_up", read.await)
    }

    /// A provider's open top-ups, the oldest first.
    pub async fn open_top_ups(&self, page: &OpenTopUps) -> Result<Vec<TopUp>, BillingError> {
        let read = self.store.open_top_ups(page).await;
        counted("list_open_top_ups", read.map_err(BillingError::from))
    }

    /// Reads an account whose overdue holds are released.
    async fn touched(&self, user: UserId) -> Result<(Account, Profile), BillingError> {
        let mut view = self.view(user).await?;
        if view.is_overdue {
            self.decide(Touch { user }).await?;
            view = self.view(user).await?;
        }
        Ok((view.account, view.profile))
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
