//! Pictures out of pictures: what a person sees shows what was asked for, and of what.

mod files;
mod text;
mod backdrop;
mod paint;

pub(super) use files::{Unreadable, decode, encode};
pub(super) use paint::Painter;
