//! What Stars are worth, how an invoice names its top-up, and how a charge is named.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

use crate::billing::Paid;
use crate::ids::{BadId, TopUpId};
use crate::money::{Kopecks, PAYMENT_MIN};
use crate::provider::{Quote, QuoteError};

/// What Telegram calls Stars.
pub const CURRENCY: &str = "XTR";
/// The most that one invoice asks for.
const STARS_MAX: i64 = 10_000;
/// The highest rate: with it, the largest invoice is still one amount of billing's.
pub const RATE_MAX: i64 = 100_000;
/// Stands before the top-up's id, so that a payload of another bot is not taken for one of ours.
const PAYLOAD_PREFIX: &str = "top_up:";
/// Longer than any that Telegram gives; they have grown before.
const CHARGE_LENGTH_MAX: usize = 512;
/// Billing's limit for the id of a payment, in characters.
const KEPT_LENGTH_MAX: usize = 128;

/// What a Star is worth.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rate(Kopecks);

/// A text that is not a rate.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected what a Star is worth in whole kopecks, 1 to {RATE_MAX}, such as 150")]
pub struct BadRate;

impl FromStr for Rate {
    type Err = BadRate;

    fn from_str(text: &str) -> Result<Self, BadRate> {
        let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let rate = text.parse().ok().filter(|rate| is_number && *rate <= RATE_MAX);
        rate.and_then(|rate| Kopecks::new(rate).ok()).map(Self).ok_or(BadRate)
    }
}

impl Rate {
    /// The least number of whole Stars that brings `wanted`, and all that they bring.
    ///
    /// # Errors
    /// When it is more than one invoice may ask for.
    pub fn quote(self, wanted: Kopecks) -> Result<Quote, QuoteError> {
        let rate = self.0.get();
        let max = rate.checked_mul(STARS_MAX).and_then(|most| Kopecks::new(most).ok());
        let max = max.unwrap_or(PAYMENT_MIN);
        let refused = QuoteError::OutOfBounds { min: PAYMENT_MIN, max };
        if !(PAYMENT_MIN..=max).contains(&wanted) {
            return Err(refused);
        }
        let stars = wanted.get() / rate + i64::from(wanted.get() % rate != 0);
        let credited = stars.checked_mul(rate).and_then(|sum| Kopecks::new(sum).ok());
        let (Ok(amount), Some(credited)) = (Kopecks::new(stars), credited) else {
            return Err(refused);
        };
        let paid = Paid { amount, currency: CURRENCY.to_owned() };
        Ok(Quote { paid, credited })
    }
}

/// What an invoice carries.
pub fn payload(id: TopUpId) -> String {
    format!("{PAYLOAD_PREFIX}{id}")
}

/// The top-up of an invoice; `None` if the invoice is not one of ours.
pub fn top_up_of(payload: &str) -> Option<TopUpId> {
    payload.strip_prefix(PAYLOAD_PREFIX)?.parse().ok()
}

/// A payment in Stars, as Telegram names it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ChargeId(String);

impl FromStr for ChargeId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let fits = (1..=CHARGE_LENGTH_MAX).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_graphic());
        if fits { Ok(Self(text.to_owned())) } else { Err(BadId) }
    }
}

/// As billing keeps it: as it is, or, if it is too long for that, its hash. Real ones are about as
/// long as billing's limit, and some are longer.
impl fmt::Display for ChargeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.len() <= KEPT_LENGTH_MAX {
            return f.write_str(&self.0);
        }
        f.write_str("sha256:")?;
        Sha256::digest(self.0.as_bytes()).iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rate: &str, wanted: i64, expected: Option<(i64, i64)>) {
        let quote = rate.parse::<Rate>().unwrap().quote(Kopecks::new(wanted).unwrap());
        let quote = quote.ok().map(|quote| (quote.paid.amount.get(), quote.credited.get()));
        assert_eq!(quote, expected, "{wanted} at {rate}");
    }

    #[test]
    fn whole_stars_bring_no_less_than_was_wanted() {
        check("150", 10_000, Some((67, 10_050)));
        check("150", 150, Some((1, 150)));
        check("150", 151, Some((2, 300)));
        check("150", 100, Some((1, 150)));
        check("1", 10_000, Some((10_000, 10_000)));
        check("100000", 1_000_000_000, Some((10_000, 1_000_000_000)));
    }

    #[test]
    fn more_than_one_invoice_may_ask_for_and_less_than_a_rouble_are_refused() {
        check("1", 10_001, None);
        check("150", 1_500_001, None);
        check("150", 99, None);
        check("100000", 1_000_000_001, None);
    }

    #[test]
    fn a_rate_is_a_number_of_kopecks() {
        for wrong in ["", "0", "-1", "+150", "1.5", "100001", "99999999999999999999", "x", " 1"] {
            assert_eq!(wrong.parse::<Rate>(), Err(BadRate), "{wrong:?}");
        }
    }

    #[test]
    fn a_payload_leads_back_to_its_top_up() {
        let id: TopUpId = "018e5f0a-1b2c-7d4e-9f0a-1b2c3d4e5f6a".parse().unwrap();
        assert_eq!(top_up_of(&payload(id)), Some(id));
        assert!(payload(id).len() <= 128);
        for foreign in ["", "top_up:", "top_up:7", "018e5f0a-1b2c-7d4e-9f0a-1b2c3d4e5f6a"] {
            assert_eq!(top_up_of(foreign), None, "{foreign:?}");
        }
    }

    #[test]
    fn a_charge_that_is_too_long_for_billing_is_kept_by_its_hash() {
        let kept = |length: usize| ChargeId::from_str(&"a".repeat(length)).unwrap().to_string();
        assert_eq!(kept(128), "a".repeat(128));
        assert_eq!(kept(129).len(), "sha256:".len() + 64);
        assert_ne!(kept(129), kept(130));
        for wrong in ["", "a b", "ё", "a\0", &"a".repeat(513)] {
            assert_eq!(ChargeId::from_str(wrong), Err(BadId), "{wrong:?}");
        }
    }
}
