//! fal.ai: the queue, the storage, the CDN and the platform API, and pictures really made from their inputs.
//!
//! Read [`endpoints`] (what is sold), [`input`] (what a caller may send), [`jobs`] (what is
//! remembered), then [`gate`] (who may come in) with [`queue`], [`storage`] and [`platform`] behind
//! it, and [`runner`], which does the work with [`picture`].
//!
//! Invariant: a job that was accepted is remembered, and ends once, whatever dies in between.

mod endpoints;
mod input;
mod jobs;
mod error;
mod gate;
mod queue;
mod storage;
mod platform;
mod download;
mod picture;
mod runner;
mod webhook;
mod control;
mod emulator;

pub use emulator::Fal;
