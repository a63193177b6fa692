//! The part of the books that is rarely opened: promo codes, what they give, reversals, and what
//! persons did.

use super::BillingError;
use super::books::{Books, Standing};
use super::changes::Row;
use crate::domain::{
    AmountError, IdempotencyKey, Intervention, InterventionKind, PromoCode, PromoCodeName,
    Provider, ProviderRefundId, Redemption, Timestamp, UserId,
};
use crate::store::Reversal;

impl Books<'_> {
    pub(crate) fn load_reversal(&mut self, reversal: Reversal) {
        let place = (reversal.user, reversal.provider.clone(), reversal.refund.clone());
        self.reversals.insert(place, Row::loaded(reversal));
    }

    pub(crate) fn load_promo_code(&mut self, code: PromoCode) {
        self.promo_codes.insert(code.name.clone(), Row::loaded(code));
    }

    pub(crate) fn load_redemption(&mut self, redemption: Redemption) {
        let place = (redemption.user, redemption.code.clone());
        self.redemptions.entry(place).or_insert(Row::loaded(redemption));
    }

    pub(crate) fn load_intervention(&mut self, intervention: Intervention) {
        let place = (intervention.user, intervention.kind, intervention.key.clone());
        self.interventions.insert(place, Row::loaded(intervention));
    }

    pub(crate) fn reversal(
        &self,
        user: UserId,
        provider: &Provider,
        refund: &ProviderRefundId,
    ) -> Option<&Reversal> {
        let row = self.reversals.get(&(user, provider.clone(), refund.clone()))?;
        Some(&row.value)
    }

    pub(crate) fn add_reversal(&mut self, reversal: Reversal) {
        let place = (reversal.user, reversal.provider.clone(), reversal.refund.clone());
        self.reversals.insert(place, Row::new(reversal));
    }

    pub(crate) fn promo_code(&self, name: &PromoCodeName) -> Option<&PromoCode> {
        self.promo_codes.get(name).map(|row| &row.value)
    }

    pub(crate) fn put_promo_code(&mut self, code: PromoCode) {
        if let Some(row) = self.promo_codes.get_mut(&code.name) {
            row.set(code);
        }
    }

    /// The user's redemptions that were loaded, ordered by code.
    pub(crate) fn redemptions_of(&self, user: UserId) -> impl Iterator<Item = &Redemption> {
        self.redemptions.values().map(|row| &row.value).filter(move |r| r.user == user)
    }

    pub(crate) fn redemption(&self, user: UserId, code: &PromoCodeName) -> Option<&Redemption> {
        self.redemptions.get(&(user, code.clone())).map(|row| &row.value)
    }

    /// Adds a redemption; from now on decisions about the account ask for what it gives.
    pub(crate) fn add_redemption(&mut self, redemption: Redemption) -> Result<(), BillingError> {
        let user = redemption.user;
        if redemption.used_at.is_none() {
            let row = self.accounts.get_mut(&user).ok_or(BillingError::UserNotFound(user))?;
            let mut account = row.value.clone();
            account.redemptions_until = account.redemptions_until.max(redemption.effect.until());
            row.set(account);
        }
        self.redemptions.insert((user, redemption.code.clone()), Row::new(redemption));
        Ok(())
    }

    pub(crate) fn put_redemption(&mut self, redemption: Redemption) {
        if let Some(row) = self.redemptions.get_mut(&(redemption.user, redemption.code.clone())) {
            row.set(redemption);
        }
    }

    pub(crate) fn intervention(
        &self,
        user: UserId,
        kind: InterventionKind,
        key: &IdempotencyKey,
    ) -> Option<&Intervention> {
        self.interventions.get(&(user, kind, key.clone())).map(|row| &row.value)
    }

    pub(crate) fn add_intervention(&mut self, intervention: Intervention) {
        let place = (intervention.user, intervention.kind, intervention.key.clone());
        self.interventions.insert(place, Row::new(intervention));
    }

    /// Remembers that a reversal took so much: so far the balance may now be below zero.
    pub(crate) fn note_reversed(&mut self, user: UserId, kopecks: i64) -> Result<(), BillingError> {
        let row = self.accounts.get_mut(&user).ok_or(BillingError::UserNotFound(user))?;
        let mut account = row.value.clone();
        account.reversed_kopecks =
            account.reversed_kopecks.checked_add(kopecks).ok_or(AmountError::Overflow)?;
        row.set(account);
        Ok(())
    }

    /// The account with what belongs to it.
    pub(crate) fn standing(&self, user: UserId) -> Result<Standing, BillingError> {
        let account = self.account(user)?.clone();
        let mut redemptions: Vec<_> =
            self.redemptions_of(user).filter(|r| r.is_active(self.now)).cloned().collect();
        redemptions.sort_by(|a, b| (a.redeemed_at, &a.code).cmp(&(b.redeemed_at, &b.code)));
        Ok(Standing { account, profile: self.profile(user), redemptions })
    }

    /// Users among `users` whose redemptions have to be loaded.
    pub(crate) fn with_redemptions(&self, users: &[UserId]) -> Vec<UserId> {
        let until = |user: &UserId| self.find_account(*user).map(|a| a.redemptions_until);
        users
            .iter()
            .copied()
            .filter(|user| until(user).is_some_and(|until: Timestamp| until > self.now))
            .collect()
    }
}
