//! The hash chain over one user's entries: what exactly is hashed.
//!
//! Invariant: the encoding never changes. A change is a new version beside this one, because heads
//! that were written down years ago must still compare.
//!
//! A hash is SHA-256 over fields, one after the other; the first names what it is and its version.
//! A field is one byte that says its kind, and its value:
//!
//! | kind | value |
//! |---|---|
//! | `n` number | 8 bytes, two's complement, most significant first |
//! | `t` text | its length in bytes (8 bytes, most significant first), its bytes in UTF-8 |
//! | `i` id | the 16 bytes of the UUID |
//! | `h` hash | 32 bytes |
//! | `-` absent | nothing |
//!
//! The hash of an entry has in it the hash of the entry before (32 zero bytes before the first),
//! every column of the entry, and the hash of what came into being with it and cannot change: the
//! operation that it reserves, the top-up that it credits, what a person did, or the redemption.
//! Nothing that may be erased is in it.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// One hash of a chain.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct ChainHash([u8; 32]);

impl ChainHash {
    /// What stands before a user's first entry.
    pub const START: Self = Self([0; 32]);

    /// A hash that was stored before.
    pub fn stored(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// As it is stored.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no hash.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a hash: 64 hexadecimal digits")]
pub struct NotAHash;

impl FromStr for ChainHash {
    type Err = NotAHash;

    fn from_str(text: &str) -> Result<Self, NotAHash> {
        let bytes = hex::decode(text).map_err(|_| NotAHash)?;
        Self::stored(&bytes).ok_or(NotAHash)
    }
}

/// Every column of an entry.
#[derive(Clone, Copy, Debug)]
pub struct EntryLink<'a> {
    pub user: i64,
    pub number: i64,
    pub unit: &'a str,
    pub from: &'a str,
    pub to: &'a str,
    pub amount: i64,
    pub cause: &'a str,
    pub operation: Option<Uuid>,
    pub top_up: Option<Uuid>,
    pub actor: Option<&'a str>,
    pub created_at: i64,
    pub balance_after_kopecks: i64,
    pub free_operations_after: i64,
}

impl EntryLink<'_> {
    /// The hash of this entry, after `previous`, with what came into being with it.
    pub fn hash(&self, previous: ChainHash, born: Option<ChainHash>) -> ChainHash {
        let mut fields = Fields::named("medialab.billing.entry.v1");
        fields
            .hash(Some(previous))
            .number(self.user)
            .number(self.number)
            .text(self.unit)
            .text(self.from)
            .text(self.to)
            .number(self.amount)
            .text(self.cause)
            .maybe_id(self.operation)
            .maybe_id(self.top_up)
            .maybe_text(self.actor)
            .number(self.created_at)
            .number(self.balance_after_kopecks)
            .number(self.free_operations_after)
            .hash(born);
        fields.end()
    }
}

/// What of an operation cannot change.
#[derive(Clone, Copy, Debug)]
pub struct OperationLink<'a> {
    pub id: Uuid,
    pub operation_type: &'a str,
    pub model: &'a str,
    pub price_kopecks: i64,
    pub list_price_kopecks: i64,
    pub source: &'a str,
    pub promo_code: Option<&'a str>,
    pub key: &'a str,
    pub created_at: i64,
}

impl OperationLink<'_> {
    /// The hash of these fields.
    pub fn hash(&self) -> ChainHash {
        let mut fields = Fields::named("medialab.billing.operation.v1");
        fields
            .maybe_id(Some(self.id))
            .text(self.operation_type)
            .text(self.model)
            .number(self.price_kopecks)
            .number(self.list_price_kopecks)
            .text(self.source)
            .maybe_text(self.promo_code)
            .text(self.key)
            .number(self.created_at);
        fields.end()
    }
}

/// What of a settled top-up cannot change.
#[derive(Clone, Copy, Debug)]
pub struct TopUpLink<'a> {
    pub id: Uuid,
    pub provider: &'a str,
    pub paid_minor_units: i64,
    pub paid_currency: &'a str,
    pub credited_kopecks: i64,
    pub key: &'a str,
    pub payment: Option<&'a str>,
}

impl TopUpLink<'_> {
    /// The hash of these fields.
    pub fn hash(&self) -> ChainHash {
        let mut fields = Fields::named("medialab.billing.top_up.v1");
        fields
            .maybe_id(Some(self.id))
            .text(self.provider)
            .number(self.paid_minor_units)
            .text(self.paid_currency)
            .number(self.credited_kopecks)
            .text(self.key)
            .maybe_text(self.payment);
        fields.end()
    }
}

/// What a person did to an account.
#[derive(Clone, Copy, Debug)]
pub struct InterventionLink<'a> {
    pub kind: &'a str,
    pub key: &'a str,
    pub amount: i64,
    pub operation: Option<Uuid>,
    pub actor: &'a str,
    pub reason: &'a str,
    pub created_at: i64,
}

impl InterventionLink<'_> {
    /// The hash of these fields.
    pub fn hash(&self) -> ChainHash {
        let mut fields = Fields::named("medialab.billing.intervention.v1");
        fields
            .text(self.kind)
            .text(self.key)
            .number(self.amount)
            .maybe_id(self.operation)
            .text(self.actor)
            .text(self.reason)
            .number(self.created_at);
        fields.end()
    }
}

/// A redemption that gave free operations.
#[derive(Clone, Copy, Debug)]
pub struct RedemptionLink<'a> {
    pub code: &'a str,
    pub key: &'a str,
    pub kind: &'a str,
    pub value: i64,
    pub redeemed_at: i64,
}

impl RedemptionLink<'_> {
    /// The hash of these fields.
    pub fn hash(&self) -> ChainHash {
        let mut fields = Fields::named("medialab.billing.redemption.v1");
        fields
            .text(self.code)
            .text(self.key)
            .text(self.kind)
            .number(self.value)
            .number(self.redeemed_at);
        fields.end()
    }
}

/// Fields on their way into a hash.
struct Fields(Sha256);

impl Fields {
    fn named(name: &str) -> Self {
        let mut fields = Self(Sha256::new());
        fields.text(name);
        fields
    }

    fn number(&mut self, value: i64) -> &mut Self {
        self.0.update(b"n");
        self.0.update(value.to_be_bytes());
        self
    }

    fn text(&mut self, value: &str) -> &mut Self {
        let length = u64::try_from(value.len()).expect("a text is shorter than 2^64 bytes");
        self.0.update(b"t");
        self.0.update(length.to_be_bytes());
        self.0.update(value.as_bytes());
        self
    }

    fn maybe_text(&mut self, value: Option<&str>) -> &mut Self {
        match value {
            Some(text) => self.text(text),
            None => self.absent(),
        }
    }

    fn maybe_id(&mut self, value: Option<Uuid>) -> &mut Self {
        match value {
            Some(id) => {
                self.0.update(b"i");
                self.0.update(id.as_bytes());
                self
            }
            None => self.absent(),
        }
    }

    fn hash(&mut self, value: Option<ChainHash>) -> &mut Self {
        match value {
            Some(hash) => {
                self.0.update(b"h");
                self.0.update(hash.0);
                self
            }
            None => self.absent(),
        }
    }

    fn absent(&mut self) -> &mut Self {
        self.0.update(b"-");
        self
    }

    fn end(self) -> ChainHash {
        ChainHash(self.0.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(byte: u8) -> Uuid {
        Uuid::from_bytes([byte; 16])
    }

    fn entry() -> EntryLink<'static> {
        EntryLink {
            user: 42,
            number: 2,
            unit: "kopecks",
            from: "balance",
            to: "held",
            amount: 1_000,
            cause: "reserve",
            operation: Some(id(7)),
            top_up: None,
            actor: None,
            created_at: 1_800_000_000_000_000,
            balance_after_kopecks: 9_000,
            free_operations_after: 0,
        }
    }

    fn operation() -> OperationLink<'static> {
        OperationLink {
            id: id(7),
            operation_type: "generate",
            model: "",
            price_kopecks: 1_000,
            list_price_kopecks: 1_000,
            source: "balance",
            promo_code: None,
            key: "bot:draft:1",
            created_at: 1_800_000_000_000_000,
        }
    }

    /// Reckoned once, outside of this program: heads that were written down must compare for ever.
    #[test]
    fn the_encoding_has_not_changed() {
        let hash = entry().hash(ChainHash::START, Some(operation().hash()));

        assert_eq!(
            hash.to_string(),
            "e037d159a5ad1e1d37c088f6fe3c436c59c32de22b9d534c272a94bed47d43e6"
        );
    }

    #[test]
    fn every_column_of_an_entry_changes_its_hash() {
        let entry = entry();
        let hash = |changed: EntryLink<'_>| changed.hash(ChainHash::START, None);
        let original = hash(entry);
        for changed in [
            EntryLink { user: 43, ..entry },
            EntryLink { number: 3, ..entry },
            EntryLink { unit: "free_operations", ..entry },
            EntryLink { from: "promo", ..entry },
            EntryLink { to: "revenue", ..entry },
            EntryLink { amount: 1_001, ..entry },
            EntryLink { cause: "commit", ..entry },
            EntryLink { operation: Some(id(8)), ..entry },
            EntryLink { operation: None, ..entry },
            EntryLink { operation: None, top_up: Some(id(7)), ..entry },
            EntryLink { actor: Some(""), ..entry },
            EntryLink { created_at: 0, ..entry },
            EntryLink { balance_after_kopecks: 9_001, ..entry },
            EntryLink { free_operations_after: 1, ..entry },
        ] {
            assert_ne!(hash(changed), original, "{changed:?}");
        }
        assert_ne!(entry.hash(original, None), original);
        assert_ne!(entry.hash(ChainHash::START, Some(original)), original);
    }

    #[test]
    fn what_an_operation_is_compared_by_changes_its_hash() {
        let operation = operation();
        for changed in [
            OperationLink { id: id(8), ..operation },
            OperationLink { operation_type: "edit", ..operation },
            OperationLink { model: "flux", ..operation },
            OperationLink { price_kopecks: 999, ..operation },
            OperationLink { list_price_kopecks: 1_001, ..operation },
            OperationLink { source: "free_operation", ..operation },
            OperationLink { promo_code: Some("SPRING"), ..operation },
            OperationLink { key: "bot:draft:2", ..operation },
            OperationLink { created_at: 0, ..operation },
        ] {
            assert_ne!(changed.hash(), operation.hash(), "{changed:?}");
        }
    }

    /// Otherwise a letter could move from one field to its neighbour and nobody would see it.
    #[test]
    fn a_letter_that_moves_to_the_next_field_changes_the_hash() {
        let operation = operation();
        let one = OperationLink { operation_type: "ab", model: "c", ..operation };
        let other = OperationLink { operation_type: "a", model: "bc", ..operation };

        assert_ne!(one.hash(), other.hash());
    }

    #[test]
    fn a_hash_is_read_as_it_was_written() {
        let hash = operation().hash();

        assert_eq!(hash.to_string().parse(), Ok(hash));
        assert_eq!(ChainHash::stored(hash.as_bytes()), Some(hash));
        assert_eq!("12ab".parse::<ChainHash>(), Err(NotAHash));
        assert_eq!("x".parse::<ChainHash>(), Err(NotAHash));
    }
}
