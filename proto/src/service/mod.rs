//! What our four processes share: settings, logs, signals, probes and serving gRPC.
//!
//! Read in the order of a process's life: [`config`], [`telemetry`], [`shutdown`], [`listen`],
//! [`admin`], [`grpc`]. Beside it [`email`], which the bot asks for and payments need.

pub mod config;
pub mod telemetry;
pub mod shutdown;
pub mod listen;
pub mod admin;
pub mod grpc;
pub mod email;
