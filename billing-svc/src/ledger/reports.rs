//! What operators ask about all users: whose something is, and what was sold.

use super::reads::counted;
use super::{BillingError, Ledger, Standing};
use crate::domain::{PaymentId, Provider, Sales, UserId};
use crate::store::{StatsPeriod, Store, StoreError};

/// An address that more users share is nobody's.
const FOUND_MAX: i64 = 20;

/// What a support case knows of a user.
#[derive(Clone, Debug)]
pub enum Known {
    Id(UserId),
    /// Where receipts are sent.
    Email(String),
    /// A payment that was credited.
    Payment(Provider, PaymentId),
}

impl<S: Store> Ledger<S> {
    /// The users whom `known` belongs to, in order of user, with what they have.
    pub async fn find_users(&self, known: &Known) -> Result<Vec<Standing>, BillingError> {
        let read = async {
            let users = match known {
                Known::Id(user) => vec![*user],
                Known::Email(email) => self.store.users_by_email(email, FOUND_MAX).await?,
                Known::Payment(provider, payment) => {
                    self.store.user_by_payment(provider, payment).await?.into_iter().collect()
                }
            };
            let mut found = Vec::with_capacity(users.len());
            for user in users {
                match self.standing(user).await {
                    Ok(standing) => found.push(standing),
                    Err(BillingError::UserNotFound(_)) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(found)
        };
        counted("find_user", read.await)
    }

    /// What was sold, ordered by day, type and model.
    pub async fn sales(&self, period: StatsPeriod) -> Result<Vec<Sales>, BillingError> {
        let read = self.store.sales(period).await.map_err(|error| match error {
            // Nobody blocks a read: it was its own length that took too long.
            StoreError::Blocked(cause) => {
                tracing::warn!(error.cause = ?cause, "statistics took too long");
                BillingError::StatsTooLarge
            }
            other => other.into(),
        });
        let sorted = read.map(|mut sales| {
            sales.sort_unstable_by(|a, b| a.place().cmp(&b.place()));
            sales
        });
        counted("get_stats", sorted)
    }
}
