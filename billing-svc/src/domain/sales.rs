//! What was sold of one type and model on one day.

/// Sums of the ledger's entries, each on the day on which its amount moved.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sales {
    /// Days since 1970 began, where the asker's days begin.
    pub day: i64,
    pub operation_type: String,
    pub model: String,
    pub committed: i64,
    /// Of these, how many no money paid for.
    pub committed_free: i64,
    pub revenue_kopecks: i64,
    /// Refunds of committed operations, whole or in part.
    pub refunds: i64,
    pub refunded_kopecks: i64,
    /// What the committed operations cost us.
    pub cost_micro_usd: i64,
    /// Holds that were refunded or ran out of time instead.
    pub released: i64,
}

impl Sales {
    /// What it is the sum of.
    pub fn place(&self) -> (i64, &str, &str) {
        (self.day, &self.operation_type, &self.model)
    }

    /// Revenue less refunds less cost in whole kopecks, where a US dollar costs `usd_kopecks`. A
    /// fraction of a kopeck is not earned; a sum that cannot be stored is the largest or smallest
    /// that can.
    pub fn margin_rounded_down(&self, usd_kopecks: i64) -> i64 {
        const MICROS: i128 = 1_000_000;
        // Each factor is an i64: no product or sum of three comes near the end of an i128.
        let earned = i128::from(self.revenue_kopecks)
            .saturating_sub(i128::from(self.refunded_kopecks))
            .saturating_mul(MICROS);
        let cost = i128::from(self.cost_micro_usd).saturating_mul(i128::from(usd_kopecks));
        let margin = earned.saturating_sub(cost).div_euclid(MICROS);
        let end = if margin < 0 { i64::MIN } else { i64::MAX };
        i64::try_from(margin).unwrap_or(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sales(revenue_kopecks: i64, refunded_kopecks: i64, cost_micro_usd: i64) -> Sales {
        Sales {
            day: 0,
            operation_type: "generate".into(),
            model: String::new(),
            committed: 1,
            committed_free: 0,
            revenue_kopecks,
            refunds: 0,
            refunded_kopecks,
            cost_micro_usd,
            released: 0,
        }
    }

    #[test]
    fn a_margin_is_exact_and_rounded_down() {
        for (revenue, refunded, cost, usd, expected) in [
            (1_000, 0, 0, 9_000, 1_000),
            // 0.039 dollars at 90 roubles are 3.51 roubles.
            (1_000, 0, 39_000, 9_000, 649),
            (1_000, 1_000, 39_000, 9_000, -351),
            // A hair more than nothing costs a whole kopeck.
            (1_000, 0, 1, 1, 999),
            (0, 0, 1, 1, -1),
            (0, 0, 1_000_000, 9_050, -9_050),
            (i64::MAX, 0, 0, 1, i64::MAX),
            (i64::MIN, i64::MAX, i64::MAX, 1_000_000, i64::MIN),
        ] {
            let margin = sales(revenue, refunded, cost).margin_rounded_down(usd);
            assert_eq!(margin, expected, "{revenue} {refunded} {cost} {usd}");
        }
    }
}
