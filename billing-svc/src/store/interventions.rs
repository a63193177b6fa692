//! What persons did to accounts.

use std::future::Future;

use super::{Answer, Engine};
use crate::domain::{IdempotencyKey, Intervention, InterventionKind, UserId};

/// The table `interventions`.
pub trait Interventions: Engine {
    fn interventions(
        &self,
        tx: &mut Self::Tx,
        wanted: &[(UserId, InterventionKind, IdempotencyKey)],
    ) -> impl Future<Output = Answer<Vec<Intervention>>> + Send;

    fn insert_interventions(
        &self,
        tx: &mut Self::Tx,
        interventions: &[&Intervention],
    ) -> impl Future<Output = Answer<()>> + Send;
}
