//! How long a test goes on, from the environment: short in every run, long when asked.

/// A number from the environment, or what every run does.
///
/// # Panics
/// When it is set to something else.
#[expect(clippy::disallowed_methods, reason = "tests have no config.rs")]
pub(crate) fn number_from_environment(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} must be a whole number")),
        Err(_) => default,
    }
}
