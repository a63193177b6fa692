//! Writes for callers in this process, past the door: what they cost without gRPC.

use super::{
    BillingError, Commit, Ledger, OpenTopUp, Register, Registered, Reserve, Settle, Settled,
};
use crate::domain::{Operation, TopUp};
use crate::store::Store;

macro_rules! writes {
    ($( $name:ident($decision:ty) -> $answer:ty; )*) => {
        impl<S: Store> Ledger<S> {
            $(
                #[doc = concat!("Decides and stores a [`", stringify!($decision), "`].")]
                ///
                /// # Errors
                /// Its refusal; or that its outcome is unknown, and it is to be asked for again.
                pub async fn $name(&self, decision: $decision) -> Result<$answer, BillingError> {
                    self.decide(decision).await
                }
            )*
        }
    };
}

writes! {
    register(Register) -> Registered;
    reserve(Reserve) -> Operation;
    commit(Commit) -> Operation;
    open_top_up(OpenTopUp) -> TopUp;
    settle(Settle) -> Settled;
}
