//! Money in whole kopecks.
//!
//! There is no way in from a float and no `+`: sums are made with checked functions.

use std::fmt;
use std::str::FromStr as _;

use rust_decimal::Decimal;

/// Why a number is not an amount of money.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AmountError {
    /// Zero or less, or more than one call may move.
    #[error("not between 0.01 and 10000000 roubles")]
    OutOfRange,
    /// Not digits with at most two of them after a point.
    #[error("not an amount in roubles such as 10 or 10.50")]
    Malformed,
    /// The sum cannot be stored.
    #[error("the sum is too large to be stored")]
    Overflow,
}

/// One amount of money: 1 … 10⁹ kopecks.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Kopecks(i64);

impl Kopecks {
    /// The most that one call may move.
    pub const MAX: i64 = 1_000_000_000;

    /// Accepts 1 … 10⁹ kopecks.
    pub fn new(value: i64) -> Result<Self, AmountError> {
        if (1..=Self::MAX).contains(&value) {
            Ok(Self(value))
        } else {
            Err(AmountError::OutOfRange)
        }
    }

    /// As it is stored and sent.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// Reads roubles as people write them: `10`, `10.5`, `10.50`. Nothing is rounded.
    pub fn parse_roubles(text: &str) -> Result<Self, AmountError> {
        if !text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
            return Err(AmountError::Malformed);
        }
        let roubles = Decimal::from_str(text).map_err(|_| AmountError::Malformed)?;
        if roubles.scale() > 2 {
            return Err(AmountError::Malformed);
        }
        let kopecks =
            roubles.checked_mul(Decimal::ONE_HUNDRED).ok_or(AmountError::OutOfRange)?.normalize();
        Self::new(i64::try_from(kopecks).map_err(|_| AmountError::OutOfRange)?)
    }
}

/// `price` with so many percent (1 … 99) off. A fraction of a kopeck is paid, not given: so no
/// price becomes 0.
pub fn discounted_rounded_up(price: Kopecks, percent: u32) -> Kopecks {
    let left = i64::from(100_u32.saturating_sub(percent));
    // At most 10⁹ × 100 + 99.
    let hundredths = price.0.saturating_mul(left).saturating_add(99);
    Kopecks(hundredths.checked_div(100).unwrap_or(price.0).clamp(1, price.0))
}

/// So many percent of `paid`, at most `max` and at most one amount: 0 if less than a kopeck.
pub fn bonus_rounded_down(paid: Kopecks, percent: u32, max: Option<Kopecks>) -> i64 {
    let hundredths = paid.0.saturating_mul(i64::from(percent));
    let bonus = hundredths.checked_div(100).unwrap_or_default();
    bonus.min(max.map_or(Kopecks::MAX, Kopecks::get)).min(Kopecks::MAX)
}

/// A sum over time, which may be below zero after a top-up was reversed.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Balance(i64);

impl Balance {
    /// A sum of that many kopecks.
    pub const fn new(kopecks: i64) -> Self {
        Self(kopecks)
    }

    /// As it is stored and sent.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// Whether `amount` can be taken from it without going below zero.
    pub fn covers(self, amount: Kopecks) -> bool {
        self.0 >= amount.get()
    }

    /// Adds without wrapping.
    pub fn checked_add(self, amount: i64) -> Result<Self, AmountError> {
        self.0.checked_add(amount).map(Self).ok_or(AmountError::Overflow)
    }

    /// Takes away without wrapping.
    pub fn checked_sub(self, amount: i64) -> Result<Self, AmountError> {
        self.0.checked_sub(amount).map(Self).ok_or(AmountError::Overflow)
    }
}

impl fmt::Display for Balance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<i64, AmountError>) {
        assert_eq!(Kopecks::parse_roubles(text).map(Kopecks::get), expected, "{text:?}");
    }

    #[test]
    fn reads_roubles_exactly() {
        check("10", Ok(1_000));
        check("10.5", Ok(1_050));
        check("100.50", Ok(10_050));
        check("0.01", Ok(1));
        check("10000000", Ok(Kopecks::MAX));
        check("10000000.01", Err(AmountError::OutOfRange));
        check("0", Err(AmountError::OutOfRange));
        check("99999999999999999999999999", Err(AmountError::OutOfRange));
        for malformed in ["", "-1.50", "+1.50", "1e3", "1.505", "1,50", " 1", "1.5.0", "ten"] {
            check(malformed, Err(AmountError::Malformed));
        }
    }

    #[test]
    fn a_discount_rounds_in_our_favour_and_a_bonus_too() {
        let kopecks = |value| Kopecks::new(value).unwrap();

        for (price, percent, expected) in
            [(1_000, 10, 900), (999, 10, 900), (1, 99, 1), (1_000_000_000, 1, 990_000_000)]
        {
            let price = kopecks(price);
            assert_eq!(discounted_rounded_up(price, percent), kopecks(expected), "{price:?}");
        }
        assert_eq!(bonus_rounded_down(kopecks(999), 10, None), 99);
        assert_eq!(bonus_rounded_down(kopecks(9), 10, None), 0);
        assert_eq!(bonus_rounded_down(kopecks(10_000), 50, Some(kopecks(1_500))), 1_500);
        assert_eq!(bonus_rounded_down(kopecks(Kopecks::MAX), 1_000, None), Kopecks::MAX);
    }

    #[test]
    fn a_sum_never_wraps() {
        assert_eq!(Balance::new(i64::MAX).checked_add(1), Err(AmountError::Overflow));
        assert_eq!(Balance::new(i64::MIN).checked_sub(1), Err(AmountError::Overflow));
        assert!(Balance::new(1).covers(Kopecks(1)));
        assert!(!Balance::new(-5).covers(Kopecks(1)));
    }
}
