//! Identifiers that others gave: each kind is a type of its own, checked where it comes in.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

/// A text that cannot be the identifier it should be.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not an identifier of this kind")]
pub struct BadId;

/// A person, as Telegram numbers people.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct UserId(i64);

impl UserId {
    /// Accepts a number greater than 0.
    pub fn new(value: i64) -> Result<Self, BadId> {
        if value > 0 { Ok(Self(value)) } else { Err(BadId) }
    }

    /// The number.
    pub fn get(self) -> i64 {
        self.0
    }
}

impl FromStr for UserId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        text.parse().map_err(|_| BadId).and_then(Self::new)
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A top-up, as billing-svc names it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct TopUpId(Uuid);

impl TopUpId {
    /// An id that follows from this one and a name, and from nothing else.
    pub fn derive(self, name: &str) -> Uuid {
        Uuid::new_v5(&self.0, name.as_bytes())
    }
}

impl FromStr for TopUpId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        Uuid::try_parse(text).map(Self).map_err(|_| BadId)
    }
}

impl fmt::Display for TopUpId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// YooKassa's own ids have 36 characters.
const PROVIDER_ID_LENGTH_MAX: usize = 64;

macro_rules! provider_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Eq, Hash, PartialEq)]
        pub struct $name(String);

        impl FromStr for $name {
            type Err = BadId;

            /// Letters, digits, `-` and `_` only: it comes from strangers and becomes part of a
            /// path.
            fn from_str(text: &str) -> Result<Self, BadId> {
                let fits = (1..=PROVIDER_ID_LENGTH_MAX).contains(&text.len())
                    && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
                if fits { Ok(Self(text.to_owned())) } else { Err(BadId) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

provider_id! {
    /// A payment, as YooKassa names it. Safe to stand in a path.
    PaymentId
}

provider_id! {
    /// A refund, as YooKassa names it. Safe to stand in a path.
    RefundId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payment_id_cannot_leave_its_place_in_a_path() {
        assert!(PaymentId::from_str("30a1c2d4-000f-5000-8000-1c2d3e4f5a6b").is_ok());
        for wrong in ["", ".", "..", "a/b", "a?b", "a%2Fb", "a b", "ё", &"a".repeat(65)] {
            assert_eq!(PaymentId::from_str(wrong), Err(BadId), "{wrong:?}");
        }
    }

    #[test]
    fn a_user_id_is_a_positive_number() {
        assert_eq!(UserId::from_str("42").map(UserId::get), Ok(42));
        for wrong in ["", "0", "-1", "4.2", "99999999999999999999", "x"] {
            assert_eq!(UserId::from_str(wrong), Err(BadId), "{wrong:?}");
        }
    }
}
