//! The shared parts through their doors: real servers, real connections.
#![allow(clippy::unwrap_used, reason = "a failed setup is a failed test")]

mod identity;
