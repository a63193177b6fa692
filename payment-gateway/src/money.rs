//! Money: whole kopecks inside, exact decimal text at YooKassa's edge.

use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;

/// More digits than any sum has, so that nothing below can overflow.
const ROUBLE_DIGITS_MAX: usize = 12;

/// The smallest payment that YooKassa takes: 1 ₽.
pub const PAYMENT_MIN: Kopecks = Kopecks(100);
/// The largest payment that YooKassa takes by bank card: 350 000 ₽.
pub const PAYMENT_MAX: Kopecks = Kopecks(35_000_000);

/// Why a sum cannot be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AmountError {
    /// Not digits, with at most two more after a dot.
    #[error("not a sum such as 100.00")]
    Malformed,
    /// Zero or less.
    #[error("not a positive sum")]
    NotPositive,
}

/// A strictly positive sum in kopecks.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Kopecks(i64);

impl Kopecks {
    /// The smallest sum there is.
    pub const LEAST: Self = Self(1);

    /// Accepts a positive number of kopecks.
    pub fn new(value: i64) -> Result<Self, AmountError> {
        if value > 0 { Ok(Self(value)) } else { Err(AmountError::NotPositive) }
    }

    /// The number of kopecks.
    pub fn get(self) -> i64 {
        self.0
    }

    /// Reads what YooKassa wrote: roubles, with a dot and one or two digits of kopecks or none.
    pub fn from_roubles(text: &str) -> Result<Self, AmountError> {
        let (roubles, kopecks) = match text.split_once('.') {
            Some((roubles, kopecks)) if matches!(kopecks.len(), 1 | 2) => (roubles, kopecks),
            Some(_) => return Err(AmountError::Malformed),
            None => (text, ""),
        };
        let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        let has_roubles = (1..=ROUBLE_DIGITS_MAX).contains(&roubles.len());
        if !has_roubles || !digits(roubles) || !digits(kopecks) {
            return Err(AmountError::Malformed);
        }
        let value = Decimal::from_str(text).map_err(|_| AmountError::Malformed)?;
        let kopecks = value.checked_mul(Decimal::ONE_HUNDRED).ok_or(AmountError::Malformed)?;
        // No rounding: the text has at most two decimals, so the product is whole.
        i64::try_from(kopecks).map_err(|_| AmountError::Malformed).and_then(Self::new)
    }

    /// The sum as YooKassa reads it: `100.00`.
    pub fn to_roubles(self) -> String {
        format!("{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

impl fmt::Display for Kopecks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<i64, AmountError>) {
        assert_eq!(Kopecks::from_roubles(text).map(Kopecks::get), expected, "{text:?}");
    }

    #[test]
    fn reads_roubles_exactly() {
        check("100.00", Ok(10_000));
        check("100.50", Ok(10_050));
        check("0.01", Ok(1));
        check("350000.00", Ok(35_000_000));
        check("100", Ok(10_000));
        check("1.5", Ok(150));
        check("999999999999.99", Ok(99_999_999_999_999));
    }

    #[test]
    fn refuses_what_is_not_a_sum() {
        for wrong in [
            "", ".", "1.", ".5", "1.500", "1.005", "-1.50", "+1.50", "1e3.00", "1e3", "1,50",
            "1 000.00", " 1.00", "1.00 ", "0x10", "NaN", "1_0.00", "1.0a", "１.00", "1.5.0",
        ] {
            check(wrong, Err(AmountError::Malformed));
        }
        check(&"9".repeat(20), Err(AmountError::Malformed));
        check(&format!("{}.00", "9".repeat(20)), Err(AmountError::Malformed));
    }

    #[test]
    fn refuses_nothing_as_a_sum() {
        check("0.00", Err(AmountError::NotPositive));
        check("0", Err(AmountError::NotPositive));
    }

    #[test]
    fn what_is_written_is_read_back() {
        for kopecks in [1, 10, 99, 100, 101, 10_050, 35_000_000] {
            let sum = Kopecks::new(kopecks).unwrap();
            assert_eq!(Kopecks::from_roubles(&sum.to_roubles()), Ok(sum));
        }
        assert_eq!(PAYMENT_MIN.to_roubles(), "1.00");
        assert_eq!(PAYMENT_MAX.to_roubles(), "350000.00");
    }
}
