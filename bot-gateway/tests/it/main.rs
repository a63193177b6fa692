//! The bot through its doors: a user at an emulated Telegram on one side, the three services,
//! in memory, on the other.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod app;
mod fakes;
mod choices;
mod dialogues;
mod purchases;
mod jobs;
mod afterwards;
mod payments;
mod receipts;
mod promo;
mod referrals;
mod history;
mod operators;
mod stars;
mod styles;
mod inbox;
mod input;
mod process;
mod plain;
