//! Promo codes: what one gives, who may redeem it, and how long it has effect.

use super::{Grant, IdempotencyKey, Kopecks, PromoCodeName, Timestamp, TopUpId, UserId};

/// What a promo code gives.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PromoEffect {
    /// So many percent (1 … 99) off the price of each operation.
    OperationDiscount { percent: u32, until: Timestamp },
    /// So many percent (1 … 1000) more on the next top-up, at most so much.
    TopUpBonus { percent: u32, max: Option<Kopecks>, until: Timestamp },
    /// Free operations, at once.
    FreeOperations(Grant),
    /// Operations cost nothing, wherever free operations may pay.
    FreeAccess { until: Timestamp },
}

impl PromoEffect {
    /// As it is stored.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::OperationDiscount { .. } => "operation_discount",
            Self::TopUpBonus { .. } => "top_up_bonus",
            Self::FreeOperations(_) => "free_operations",
            Self::FreeAccess { .. } => "free_access",
        }
    }

    /// Percent, or number of free operations, as it is stored.
    pub fn value(&self) -> i64 {
        match self {
            Self::OperationDiscount { percent, .. } | Self::TopUpBonus { percent, .. } => {
                i64::from(*percent)
            }
            Self::FreeOperations(grant) => grant.get(),
            Self::FreeAccess { .. } => 0,
        }
    }

    /// The most that a bonus may come to, as it is stored: 0 without limit.
    pub fn bonus_max_kopecks(&self) -> i64 {
        match self {
            Self::TopUpBonus { max, .. } => max.map_or(0, Kopecks::get),
            Self::OperationDiscount { .. } | Self::FreeOperations(_) | Self::FreeAccess { .. } => 0,
        }
    }

    /// When it ends. What is given at once has ended as soon as it was given.
    pub fn until(&self) -> Timestamp {
        match self {
            Self::OperationDiscount { until, .. }
            | Self::TopUpBonus { until, .. }
            | Self::FreeAccess { until } => *until,
            Self::FreeOperations(_) => Timestamp::from_micros(0),
        }
    }

    /// Reads what the functions above wrote.
    pub fn from_stored(
        kind: &str,
        value: i64,
        bonus_max_kopecks: i64,
        until: Timestamp,
    ) -> Option<Self> {
        let number = u32::try_from(value).ok()?;
        match kind {
            "operation_discount" => (1..=99)
                .contains(&number)
                .then_some(Self::OperationDiscount { percent: number, until }),
            "top_up_bonus" => {
                let max = match bonus_max_kopecks {
                    0 => None,
                    limit => Some(Kopecks::new(limit).ok()?),
                };
                (1..=1_000).contains(&number).then_some(Self::TopUpBonus {
                    percent: number,
                    max,
                    until,
                })
            }
            "free_operations" => Grant::new(number).map(Self::FreeOperations),
            "free_access" => Some(Self::FreeAccess { until }),
            _ => None,
        }
    }
}

/// Why a promo code gives nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PromoError {
    /// Nobody has created it.
    #[error("there is no such promo code")]
    NotFound,
    /// Not valid yet, no longer, or stopped.
    #[error("the promo code is not valid now")]
    NotValid,
    /// Redeemed as often as it may be.
    #[error("the promo code was redeemed as often as it may be")]
    UsedUp,
    /// This user has redeemed it before.
    #[error("the user has redeemed the promo code before")]
    AlreadyRedeemed,
}

/// Who did something to a promo code, why and when.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Signature {
    pub actor: String,
    pub reason: String,
    pub at: Timestamp,
}

/// What an operator offers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PromoCode {
    pub name: PromoCodeName,
    pub effect: PromoEffect,
    /// How often all users together may redeem it; `None` without limit.
    pub redemptions_max: Option<i64>,
    pub redemptions: i64,
    pub valid_from: Option<Timestamp>,
    pub valid_until: Option<Timestamp>,
    pub created: Signature,
    pub stopped: Option<Signature>,
}

impl PromoCode {
    /// Whether it can be redeemed once more now.
    pub fn check(&self, now: Timestamp) -> Result<(), PromoError> {
        let is_over = self.valid_until.is_some_and(|until| now >= until)
            || (!matches!(self.effect, PromoEffect::FreeOperations(_))
                && now >= self.effect.until());
        if self.stopped.is_some() || self.valid_from.is_some_and(|from| now < from) || is_over {
            return Err(PromoError::NotValid);
        }
        if self.redemptions_max.is_some_and(|max| self.redemptions >= max) {
            return Err(PromoError::UsedUp);
        }
        Ok(())
    }

    /// Whether `other` offers the same under the same limits.
    pub fn is_same_offer(&self, other: &Self) -> bool {
        self.name == other.name
            && self.effect == other.effect
            && self.redemptions_max == other.redemptions_max
            && self.valid_from == other.valid_from
            && self.valid_until == other.valid_until
    }
}

/// One user's use of a promo code, with what it gave at that moment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Redemption {
    pub user: UserId,
    pub code: PromoCodeName,
    pub key: IdempotencyKey,
    pub effect: PromoEffect,
    pub redeemed_at: Timestamp,
    /// When it was used up.
    pub used_at: Option<Timestamp>,
    /// The entry that gave the free operations.
    pub entry_number: Option<i64>,
    /// The top-up that got the bonus.
    pub top_up: Option<TopUpId>,
}

impl Redemption {
    /// Whether it still gives something.
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.used_at.is_none() && now < self.effect.until()
    }

    /// The discount that it gives now, in percent.
    pub fn discount(&self, now: Timestamp) -> Option<u32> {
        match self.effect {
            PromoEffect::OperationDiscount { percent, .. } if self.is_active(now) => Some(percent),
            PromoEffect::OperationDiscount { .. }
            | PromoEffect::TopUpBonus { .. }
            | PromoEffect::FreeOperations(_)
            | PromoEffect::FreeAccess { .. } => None,
        }
    }

    /// Whether it gives free access now.
    pub fn is_free_access(&self, now: Timestamp) -> bool {
        matches!(self.effect, PromoEffect::FreeAccess { .. }) && self.is_active(now)
    }

    /// The bonus that it would give a top-up settled now: percent and limit.
    pub fn bonus(&self, now: Timestamp) -> Option<(u32, Option<Kopecks>)> {
        match self.effect {
            PromoEffect::TopUpBonus { percent, max, .. } if self.is_active(now) => {
                Some((percent, max))
            }
            PromoEffect::OperationDiscount { .. }
            | PromoEffect::TopUpBonus { .. }
            | PromoEffect::FreeOperations(_)
            | PromoEffect::FreeAccess { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    fn signed(at: Timestamp) -> Signature {
        Signature { actor: "olga".into(), reason: "spring".into(), at }
    }

    fn code() -> PromoCode {
        PromoCode {
            name: PromoCodeName::new("SPRING").unwrap(),
            effect: PromoEffect::OperationDiscount { percent: 10, until: at(100) },
            redemptions_max: Some(2),
            redemptions: 0,
            valid_from: Some(at(10)),
            valid_until: Some(at(50)),
            created: signed(at(0)),
            stopped: None,
        }
    }

    #[test]
    fn a_code_is_redeemed_while_it_is_valid_and_not_used_up() {
        assert_eq!(code().check(at(9)), Err(PromoError::NotValid));
        assert_eq!(code().check(at(10)), Ok(()));
        assert_eq!(code().check(at(50)), Err(PromoError::NotValid));
        assert_eq!(PromoCode { redemptions: 2, ..code() }.check(at(10)), Err(PromoError::UsedUp));
        let stopped = PromoCode { stopped: Some(signed(at(5))), ..code() };
        assert_eq!(stopped.check(at(10)), Err(PromoError::NotValid));
        let ended = PromoEffect::FreeAccess { until: at(20) };
        assert_eq!(PromoCode { effect: ended, ..code() }.check(at(20)), Err(PromoError::NotValid));
        let grant = PromoEffect::FreeOperations(Grant::new(3).unwrap());
        assert_eq!(PromoCode { effect: grant, ..code() }.check(at(20)), Ok(()));
    }

    /// One row per effect: a new one does not compile until it has a row.
    #[test]
    fn every_effect_is_read_as_it_was_stored() {
        let kopecks = Kopecks::new(5_000).unwrap();
        for effect in [
            PromoEffect::OperationDiscount { percent: 99, until: Timestamp::MAX },
            PromoEffect::TopUpBonus { percent: 1_000, max: Some(kopecks), until: at(7) },
            PromoEffect::TopUpBonus { percent: 1, max: None, until: at(7) },
            PromoEffect::FreeOperations(Grant::new(10_000).unwrap()),
            PromoEffect::FreeAccess { until: at(7) },
        ] {
            let stored = (effect.kind(), effect.value(), effect.bonus_max_kopecks());
            let read = PromoEffect::from_stored(stored.0, stored.1, stored.2, effect.until());
            assert_eq!(read, Some(effect));
        }
        assert_eq!(PromoEffect::from_stored("operation_discount", 100, 0, at(7)), None);
        assert_eq!(PromoEffect::from_stored("lottery", 1, 0, at(7)), None);
    }

    #[test]
    fn a_redemption_gives_one_thing_until_it_ends_or_is_used() {
        let redemption = |effect| Redemption {
            user: UserId::new(1).unwrap(),
            code: PromoCodeName::new("SPRING").unwrap(),
            key: IdempotencyKey::new("k").unwrap(),
            effect,
            redeemed_at: at(0),
            used_at: None,
            entry_number: None,
            top_up: None,
        };
        let discount = redemption(PromoEffect::OperationDiscount { percent: 10, until: at(7) });
        assert_eq!((discount.discount(at(6)), discount.discount(at(7))), (Some(10), None));
        assert!(!discount.is_free_access(at(6)));
        let bonus =
            redemption(PromoEffect::TopUpBonus { percent: 20, max: None, until: Timestamp::MAX });
        assert_eq!(bonus.bonus(at(6)), Some((20, None)));
        let used = Redemption { used_at: Some(at(5)), ..bonus };
        assert_eq!((used.bonus(at(6)), used.is_active(at(6))), (None, false));
        let access = redemption(PromoEffect::FreeAccess { until: at(7) });
        assert!(access.is_free_access(at(6)) && !access.is_free_access(at(7)));
    }
}
