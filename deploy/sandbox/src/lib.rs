//! Telegram, YooKassa and fal.ai on this machine, over their real protocols.
//!
//! Read [`settings`] and [`server`] first, then one folder for each of the outside world's three
//! parts; [`faults`] is what can be made to go wrong in them. Everything listens on loopback.
//! [`launch`] starts the four services beside it.

pub mod settings;
pub mod config;
pub mod document;
pub mod data;
pub mod faults;
pub mod faults_api;
pub mod caller;
pub mod seen;
pub mod telegram;
pub mod yookassa;
pub mod fal;
pub mod pages;
pub mod tls;
pub mod server;
pub mod launch;
