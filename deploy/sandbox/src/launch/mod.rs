//! Starts the four services as they are shipped, against the sandbox, and stops them with it.
//!
//! Read [`services`] (what each is told), [`build`], then [`run`] (their life) and [`process`].

mod services;
mod build;
mod process;
mod console;
mod run;

pub use run::run;
