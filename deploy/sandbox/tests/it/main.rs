//! The emulators through their doors.
#![allow(clippy::unwrap_used, reason = "a failed setup is a failed test")]

mod outside;
mod yookassa;
mod yookassa_receipts;
mod fal;
mod platform;
mod bot;
mod telegram;
mod stars;
mod files;
mod webhook;
mod serving;
mod process;
