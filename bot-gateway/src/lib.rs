//! Talks to Telegram; owns the conversation and no money.
//!
//! Read [`schema`] first: the whole bot on one screen. An update comes in by [`intake`], which
//! stores it before Telegram may forget it; [`executor`] runs it through the schema; a handler in
//! [`handlers`] answers, [`dialogue`] is what it waits for next. [`paid`] is the wrapper of the six
//! paid modes. What comes back later is told by [`results`] and [`events`].

pub mod config;
pub mod server;
pub mod schema;
pub mod intake;
pub mod executor;
pub mod talk;
pub mod dialogue;
pub mod button;
pub mod keyboard;
pub mod handlers;
pub mod mode;
pub mod money;
pub mod moscow;
pub mod promo;
pub mod operators;
pub mod statement;
pub mod xlsx;
pub mod account;
pub mod models;
pub mod style;
pub mod paid;
pub mod purchases;
pub mod pictures;
pub mod results;
pub mod events;
pub mod lent;
pub mod status;
pub mod told;
pub mod app;
pub mod telegram;
pub mod store;
pub mod text;
