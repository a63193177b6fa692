//! How far each user's entries are chained by hash.

use std::future::Future;

use super::{Answer, Engine};
use crate::domain::{ChainHash, Timestamp};

/// The end of one user's chain.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ChainHead {
    pub user: i64,
    /// The last entry in it.
    pub number: i64,
    pub hash: ChainHash,
}

/// The table `chain_heads`.
pub trait ChainHeads: Engine {
    /// Stores heads, in order of user, where they go further than what is stored: so two replicas
    /// that chain the same entries cannot harm each other.
    fn put_chain_heads(
        &self,
        tx: &mut Self::Tx,
        heads: &[ChainHead],
        now: Timestamp,
    ) -> impl Future<Output = Answer<()>> + Send;
}
