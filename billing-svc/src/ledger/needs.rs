//! What a batch has to load of the store.

use crate::domain::{
    IdempotencyKey, InterventionKind, OperationId, PaymentId, PromoCodeName, ProviderRefundId,
    TopUpId, UserId,
};

/// What a batch has to load.
#[derive(Debug, Default)]
pub(crate) struct Needs {
    pub(crate) users: Vec<UserId>,
    pub(crate) profiles: Vec<UserId>,
    pub(crate) operations: Vec<(UserId, OperationId)>,
    pub(crate) operation_keys: Vec<(UserId, IdempotencyKey)>,
    pub(crate) top_ups: Vec<(UserId, TopUpId)>,
    pub(crate) top_up_keys: Vec<(UserId, IdempotencyKey)>,
    /// Payments as the top-ups name their provider.
    pub(crate) payments: Vec<(UserId, TopUpId, PaymentId)>,
    /// Refunds as the top-ups name their provider.
    pub(crate) refunds: Vec<(UserId, TopUpId, ProviderRefundId)>,
    pub(crate) promo_codes: Vec<PromoCodeName>,
    pub(crate) redemptions: Vec<(UserId, IdempotencyKey, PromoCodeName)>,
    pub(crate) interventions: Vec<(UserId, InterventionKind, IdempotencyKey)>,
}

impl Needs {
    /// Names everything once, users in the order in which accounts are locked.
    pub(crate) fn tidy(&mut self) {
        fn once<T: Ord>(list: &mut Vec<T>) {
            list.sort_unstable();
            list.dedup();
        }
        once(&mut self.users);
        once(&mut self.profiles);
        once(&mut self.operations);
        once(&mut self.operation_keys);
        once(&mut self.top_ups);
        once(&mut self.top_up_keys);
        once(&mut self.payments);
        once(&mut self.refunds);
        once(&mut self.promo_codes);
        once(&mut self.redemptions);
        once(&mut self.interventions);
    }
}
