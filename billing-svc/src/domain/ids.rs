//! What things are called by: each kind of id is a type of its own.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

/// Longest key and payment id that is taken, in characters.
const NAME_MAX: usize = 128;
const PROVIDER_MAX: usize = 32;
const PROMO_CODE_MAX: usize = 32;

/// A user: the id that Telegram gave.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct UserId(i64);

impl UserId {
    /// Accepts a positive number.
    pub fn new(value: i64) -> Option<Self> {
        (value > 0).then_some(Self(value))
    }

    /// As it is stored and sent.
    pub fn get(self) -> i64 {
        self.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $name(Uuid);

        impl $name {
            /// Makes a fresh, time-ordered id.
            #[expect(clippy::new_without_default, reason = "two calls never give equal values")]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }

            /// An id that was stored before.
            pub(crate) fn stored(id: Uuid) -> Self {
                Self(id)
            }

            pub(crate) fn as_uuid(self) -> Uuid {
                self.0
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::try_parse(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

uuid_id! {
    /// One use of a paid mode. Made by this service; callers make idempotency keys, never ids.
    OperationId
}

uuid_id! {
    /// Money on its way in. Made by this service.
    TopUpId
}

/// What a caller names an intent by; unique per user and call, for ever.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// Accepts 1 … 128 printable ASCII characters.
    pub fn new(text: &str) -> Option<Self> {
        is_printable(text).then(|| Self(text.to_owned()))
    }

    /// As it is stored and sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a provider calls a payment.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PaymentId(String);

impl PaymentId {
    /// Accepts 1 … 128 printable ASCII characters.
    pub fn new(text: &str) -> Option<Self> {
        is_printable(text).then(|| Self(text.to_owned()))
    }

    /// As it is stored and sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PaymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Who takes money for us, such as `yookassa`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Provider(String);

impl Provider {
    /// Accepts 1 … 32 of `a-z`, `0-9`, `_`.
    pub fn new(text: &str) -> Option<Self> {
        let fits = (1..=PROVIDER_MAX).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        fits.then(|| Self(text.to_owned()))
    }

    /// As it is stored and sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a promo code is called: letters are capitals, however they were typed.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PromoCodeName(String);

impl PromoCodeName {
    /// Accepts 1 … 32 letters of ASCII, digits, `-` and `_`.
    pub fn new(text: &str) -> Option<Self> {
        let fits = (1..=PROMO_CODE_MAX).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        fits.then(|| Self(text.to_ascii_uppercase()))
    }

    /// As it is stored and sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PromoCodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a provider calls a refund.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ProviderRefundId(String);

impl ProviderRefundId {
    /// Accepts 1 … 128 printable ASCII characters.
    pub fn new(text: &str) -> Option<Self> {
        is_printable(text).then(|| Self(text.to_owned()))
    }

    /// As it is stored and sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_printable(text: &str) -> bool {
    (1..=NAME_MAX).contains(&text.len()) && text.bytes().all(|b| matches!(b, b' '..=b'~'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_printable_ascii_of_a_bounded_length() {
        for good in ["a", "bot:draft:7", &"k".repeat(128), "with space ~"] {
            assert!(IdempotencyKey::new(good).is_some(), "{good:?}");
            assert!(PaymentId::new(good).is_some(), "{good:?}");
        }
        for bad in ["", "nul\0", "line\n", "ключ", &"k".repeat(129), "\u{7f}"] {
            assert!(IdempotencyKey::new(bad).is_none(), "{bad:?}");
            assert!(PaymentId::new(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn a_provider_is_a_short_lower_case_name() {
        assert!(Provider::new("yookassa").is_some());
        for bad in ["", "YooKassa", "a b", "a:b", &"p".repeat(33)] {
            assert!(Provider::new(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn a_promo_code_is_the_same_in_capitals_and_small_letters() {
        assert_eq!(PromoCodeName::new("spring-26"), PromoCodeName::new("SPRING-26"));
        for bad in ["", "two words", "весна", &"P".repeat(33), "a\0"] {
            assert!(PromoCodeName::new(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn a_user_is_a_positive_number() {
        assert_eq!(UserId::new(0), None);
        assert_eq!(UserId::new(-1), None);
        assert_eq!(UserId::new(42).map(UserId::get), Some(42));
    }
}
