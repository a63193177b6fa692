//! What work costs us at fal.ai: units as they report them, times our table's price of a unit.

/// Decimal places that fal reports of its units.
const PLACES: usize = 8;
const ONE_UNIT: i128 = 100_000_000;
/// The most that billing takes as a cost.
const COST_MAX: i128 = 1_000_000_000_000;

/// Millionths of a US dollar.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct MicroUsd(i64);

impl MicroUsd {
    /// So many millionths.
    pub const fn new(micro_usd: i64) -> Self {
        Self(micro_usd)
    }

    /// The number.
    pub fn get(self) -> i64 {
        self.0
    }
}

/// An amount of an endpoint's own unit (an image, a megapixel, …), never below zero.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Units(i128);

impl Units {
    /// So many whole units.
    pub fn whole(units: u32) -> Self {
        Self(i128::from(units).saturating_mul(ONE_UNIT))
    }

    /// Reads `2` or `0.04194304`; what has another form is not an amount.
    pub fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || whole.len() > 12 || fraction.len() > PLACES {
            return None;
        }
        if !digits(whole) || !digits(fraction) {
            return None;
        }
        let fraction = format!("{fraction:0<PLACES$}");
        let whole: i128 = whole.parse().ok()?;
        let fraction: i128 = fraction.parse().ok()?;
        whole.checked_mul(ONE_UNIT)?.checked_add(fraction).map(Self)
    }

    /// Whether it is nothing.
    pub fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Times the price of one unit, rounded up, and no more than billing takes.
    pub fn cost_rounded_up(self, unit_price: MicroUsd) -> MicroUsd {
        let exact = self.0.saturating_mul(i128::from(unit_price.0));
        let up = exact.saturating_add(ONE_UNIT.saturating_sub(1)).div_euclid(ONE_UNIT);
        MicroUsd(i64::try_from(up.clamp(0, COST_MAX)).unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(units: &str, price: i64, expected: Option<i64>) {
        let cost = Units::parse(units).map(|u| u.cost_rounded_up(MicroUsd::new(price)).get());
        assert_eq!(cost, expected, "{units:?} at {price}");
    }

    #[test]
    fn units_are_read_exactly_and_costs_are_rounded_up() {
        check("1", 80_000, Some(80_000));
        check("0", 80_000, Some(0));
        check("1.50000000", 80_000, Some(120_000));
        check("4.19430400", 1_000, Some(4_195));
        check("0.00000001", 1, Some(1));
        check("999999999999", 80_000, Some(1_000_000_000_000));
        for wrong in ["", ".5", "-1", "1e3", "1.123456789", "1,5", "NaN", "1 2"] {
            check(wrong, 1, None);
        }
    }
}
