//! What YooKassa has beside what billing has: every payment and refund that is missing or differs
//! on either side.
//!
//! Read [`difference`] (what can differ), then [`sides`] (the lists of both), then [`comparison`]
//! (which is held against which), then [`daily`], which mends what is safe to mend.

pub mod difference;
pub mod sides;
pub mod comparison;
pub mod daily;
