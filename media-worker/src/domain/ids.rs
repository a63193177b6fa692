//! Names of users, operations and inputs.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

/// An id that cannot be one.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not an id")]
pub struct BadId;

/// Telegram id of a user; greater than 0.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct UserId(i64);

impl UserId {
    /// Accepts a positive number.
    ///
    /// # Errors
    /// When it is 0 or less.
    pub fn new(id: i64) -> Result<Self, BadId> {
        if id > 0 { Ok(Self(id)) } else { Err(BadId) }
    }

    /// The number.
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

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = BadId;

            fn from_str(text: &str) -> Result<Self, BadId> {
                Uuid::try_parse(text).map(Self).map_err(|_| BadId)
            }
        }
    };
}

uuid_id! {
    /// One use of a paid mode. Made by billing-svc; it names the job too.
    OperationId
}

uuid_id! {
    /// A picture to work on. Made by this service.
    InputId
}

impl InputId {
    /// Makes a fresh one.
    pub fn fresh() -> Self {
        Self(Uuid::now_v7())
    }
}

/// Names one job: a user's operation.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct JobKey {
    /// Whose job.
    pub user: UserId,
    /// Which operation.
    pub operation: OperationId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_operation_has_one_spelling() {
        let plain: OperationId = "0191D8C0-7B3A-7C11-8F00-0123456789AB".parse().unwrap();

        assert_eq!(plain.to_string(), "0191d8c0-7b3a-7c11-8f00-0123456789ab");
        assert_eq!("0191d8c07b3a7c118f000123456789ab".parse(), Ok(plain));
        assert_eq!("job-1".parse::<OperationId>(), Err(BadId));
    }

    #[test]
    fn users_are_positive() {
        assert_eq!(UserId::new(0), Err(BadId));
        assert_eq!(UserId::new(-7), Err(BadId));
        assert_eq!(UserId::new(42).map(UserId::get), Ok(42));
    }
}
