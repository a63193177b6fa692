//! The door: read the request, do one thing, write the answer.

mod service;
mod uploads;
mod submit;
mod standing;
mod cancel;
mod watch;
mod style;
mod draw;
mod pieces;
mod convert;
mod status;

pub use service::{Door, MediaGrpc};
