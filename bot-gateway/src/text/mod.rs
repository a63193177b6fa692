//! Every sentence a user reads, and nothing else. HTML; what users wrote themselves is escaped.

pub mod plural;
pub mod menu;
pub mod modes;
pub mod payments;
pub mod receipts;
pub mod cancellations;
pub mod stars;
pub mod history;
pub mod promo;
pub mod referrals;
pub mod operators;
pub mod jobs;
pub mod styles;
pub mod problems;
