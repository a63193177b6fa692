//! Runs jobs at fal.ai and draws text onto pictures.

pub mod picture;
pub mod add_text;
