//! Which users something that a support case knows belongs to.

use std::future::Future;

use super::{Answer, Engine};
use crate::domain::{PaymentId, Provider, UserId};

/// The tables `profiles` and `payment_claims`, searched for a user. Of the statements that name no
/// user.
pub trait Search: Engine {
    /// Users whose receipts go to `email`, in order of user. Case does not matter, as far as the
    /// engine knows of it: SQLite of ASCII alone.
    fn users_by_email(
        &self,
        email: &str,
        limit: i64,
    ) -> impl Future<Output = Answer<Vec<UserId>>> + Send;

    /// Whom a payment was credited to.
    fn user_by_payment(
        &self,
        provider: &Provider,
        payment: &PaymentId,
    ) -> impl Future<Output = Answer<Option<UserId>>> + Send;
}
