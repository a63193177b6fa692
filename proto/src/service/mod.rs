//! What our four processes share: settings, logs, signals, probes and serving gRPC.
//!
//! Read in the order of a process's life: [`config`], [`telemetry`], [`shutdown`], [`tls`],
//! [`listen`], [`admin`], [`grpc`] with its connections and [`callers`]. Beside it [`email`], which
//! the bot asks for and payments need.

pub mod config;
pub mod telemetry;
pub mod shutdown;
pub mod tls;
pub mod listen;
pub mod admin;
mod incoming;
pub mod callers;
pub mod grpc;
pub mod email;
