//! The proof that an operator asks for, page by page.

use super::pages::{Page, Place, Verifier};
use crate::domain::UserId;
use crate::ledger::{BillingError, Ledger};
use crate::store::Store;

impl<S: Store> Ledger<S> {
    /// Proves a page of the store.
    pub(crate) async fn verify_page(
        &self,
        place: &Place,
        users_max: i64,
    ) -> Result<Page, BillingError> {
        let verifier = Verifier::new(self.store.audit(), Vec::new());
        Ok(verifier.page(place, users_max).await?)
    }

    /// Proves one user.
    pub(crate) async fn verify_user(&self, user: UserId) -> Result<Page, BillingError> {
        let page = Verifier::new(self.store.audit(), Vec::new()).user(user.get()).await?;
        if page.totals.users == 0 && page.findings_count == 0 {
            return Err(BillingError::UserNotFound(user));
        }
        Ok(page)
    }
}
