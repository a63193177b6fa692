//! What a promo code gives, as the bot tells it.

use proto::billing::v1::{Account, PromoEffect, promo_effect::Effect};
use time::OffsetDateTime;

use crate::money::Kopecks;
use crate::moscow;

/// What one redemption gives.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Gift {
    /// Operations cost less.
    Discount {
        /// So much less, in percent.
        percent: i32,
        /// Up to this moment; `None`: for ever.
        until: Option<OffsetDateTime>,
    },
    /// The next top-up brings more.
    Bonus {
        /// So much more, in percent.
        percent: i32,
        /// But no more than this; `None`: without a limit.
        at_most: Option<Kopecks>,
        /// Up to this moment; `None`: for ever.
        until: Option<OffsetDateTime>,
    },
    /// Free operations.
    FreeOperations(i64),
    /// Operations cost nothing.
    FreeAccess {
        /// Up to this moment; `None`: for ever.
        until: Option<OffsetDateTime>,
    },
}

impl Gift {
    /// What billing says that a code gives; `None` for a kind that this version does not know.
    pub fn of(effect: &PromoEffect) -> Option<Self> {
        let until = |until: &Option<prost_types::Timestamp>| until.as_ref().and_then(moscow::time);
        Some(match effect.effect.as_ref()? {
            Effect::OperationDiscount(discount) => {
                Self::Discount { percent: discount.percent, until: until(&discount.until) }
            }
            Effect::TopUpBonus(bonus) => Self::Bonus {
                percent: bonus.percent,
                at_most: Some(Kopecks::new(bonus.bonus_max_kopecks)).filter(|max| !max.is_zero()),
                until: until(&bonus.until),
            },
            Effect::FreeOperations(free) => Self::FreeOperations(free.count),
            Effect::FreeAccess(access) => Self::FreeAccess { until: until(&access.until) },
        })
    }

    /// What an account's redemptions still give.
    pub fn active(account: &Account) -> Vec<Self> {
        let active = account.redemptions.iter().filter(|redemption| redemption.is_active);
        active.filter_map(|redemption| Self::of(redemption.effect.as_ref()?)).collect()
    }
}
