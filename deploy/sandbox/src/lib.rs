//! Telegram, YooKassa and fal.ai on this machine, over their real protocols.
//!
//! Read [`settings`] and [`server`] first, then one folder for each of the outside world's three
//! parts; [`faults`] is what can be made to go wrong in them. Everything listens on loopback.

pub mod settings;
pub mod document;
pub mod faults;
pub mod faults_api;
pub mod caller;
pub mod seen;
pub mod yookassa;
