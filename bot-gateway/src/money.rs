//! Sums of money as the bot shows and reads them. Never a float.

use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde::{Deserialize, Serialize};

/// The least that can be paid in at once.
pub const TOP_UP_MIN: Kopecks = Kopecks(100);
/// The most that can be paid in at once.
pub const TOP_UP_MAX: Kopecks = Kopecks(350_000 * 100);

/// Longer amounts than `350 000,00 руб.` are not read at all.
const AMOUNT_CHARACTERS_MAX: usize = 24;

/// A sum as billing tells it: prices are positive, a balance may be below zero.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Kopecks(i64);

impl Kopecks {
    /// A sum of so many kopecks.
    pub const fn new(kopecks: i64) -> Self {
        Self(kopecks)
    }

    /// The number of kopecks.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// Whether it is nothing at all.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
}

/// As users read it: `10 ₽`, `99,50 ₽`, `−5 ₽`.
impl fmt::Display for Kopecks {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, amount) = (if self.0 < 0 { "−" } else { "" }, self.0.unsigned_abs());
        let (roubles, kopecks) = (amount / 100, amount % 100);
        match kopecks {
            0 => write!(formatter, "{sign}{roubles} ₽"),
            _ => write!(formatter, "{sign}{roubles},{kopecks:02} ₽"),
        }
    }
}

/// Why an amount that a user wrote cannot be paid in.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AmountError {
    #[error("not an amount in roubles")]
    Malformed,
    #[error("less than can be paid in")]
    TooSmall,
    #[error("more than can be paid in")]
    TooLarge,
}

/// Reads an amount in roubles as people write it: `150`, `99.50`, `99,5`, `1 000 ₽`.
///
/// # Errors
/// When it is anything else, or out of the bounds of a top-up.
pub fn read_top_up(text: &str) -> Result<Kopecks, AmountError> {
    let text = text.trim();
    if text.chars().count() > AMOUNT_CHARACTERS_MAX {
        return Err(AmountError::Malformed);
    }
    let text = text.to_lowercase();
    let number = ["рублей", "рубля", "рубль", "руб.", "руб", "р.", "р", "₽"]
        .iter()
        .find_map(|unit| text.strip_suffix(unit))
        .unwrap_or(&text);
    let number: String =
        number.chars().filter(|c| !matches!(c, ' ' | '\u{a0}' | '\u{202f}')).collect();
    let (roubles, kopecks) = match number.split_once(['.', ',']) {
        Some((roubles, kopecks)) => (roubles, Some(kopecks)),
        None => (number.as_str(), None),
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(roubles) || kopecks.is_some_and(|text| !digits(text) || text.len() > 2) {
        return Err(AmountError::Malformed);
    }
    let amount = Decimal::from_str(&format!("{roubles}.{}", kopecks.unwrap_or("0")))
        .map_err(|_| AmountError::TooLarge)?;
    let kopecks = amount
        .checked_mul(Decimal::ONE_HUNDRED)
        .and_then(|kopecks| kopecks.to_i64())
        .ok_or(AmountError::TooLarge)?;
    match Kopecks(kopecks) {
        amount if amount < TOP_UP_MIN => Err(AmountError::TooSmall),
        amount if amount > TOP_UP_MAX => Err(AmountError::TooLarge),
        amount => Ok(amount),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<i64, AmountError>) {
        assert_eq!(read_top_up(text).map(Kopecks::get), expected, "{text:?}");
    }

    #[test]
    fn reads_amounts_as_people_write_them() {
        check("150", Ok(15_000));
        check(" 99.50 ", Ok(9_950));
        check("99,50", Ok(9_950));
        check("99,5", Ok(9_950));
        check("1 000 ₽", Ok(100_000));
        check("250руб", Ok(25_000));
        check("1", Ok(100));
        check("350000", Ok(35_000_000));
        check("007", Ok(700));
    }

    #[test]
    fn refuses_what_is_not_an_amount() {
        for text in
            ["", "сто", "-5", "+5", "1e3", "1.505", "1.2.3", ".5", "5.", "٥٠", "NaN", "100 $", "₽"]
        {
            check(text, Err(AmountError::Malformed));
        }
        check(&"9".repeat(400), Err(AmountError::Malformed));
    }

    #[test]
    fn refuses_what_is_out_of_bounds() {
        check("0", Err(AmountError::TooSmall));
        check("0.99", Err(AmountError::TooSmall));
        check("350000.01", Err(AmountError::TooLarge));
        check("99999999999999999999", Err(AmountError::TooLarge));
    }

    #[test]
    fn shows_roubles_as_people_read_them() {
        for (kopecks, shown) in [
            (1_000, "10 ₽"),
            (9_950, "99,50 ₽"),
            (5, "0,05 ₽"),
            (0, "0 ₽"),
            (-500, "−5 ₽"),
            (i64::MIN, "−92233720368547758,08 ₽"),
        ] {
            assert_eq!(Kopecks::new(kopecks).to_string(), shown);
        }
    }
}
