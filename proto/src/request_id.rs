//! The id that ties the log lines of all services for one request together.
//!
//! It comes in at a gateway ([`scope`]), travels in gRPC metadata under [`HEADER`], and is in the
//! span of every service it passes.

use std::future::Future;

use uuid::Uuid;

/// Name of the gRPC metadata and HTTP header that carries it.
pub const HEADER: &str = "x-request-id";

/// Longer or stranger ids than this are replaced, so that no caller can write into our logs.
const LENGTH_MAX: usize = 64;

tokio::task_local! {
    static CURRENT: String;
}

/// Runs `work` with `id` as its request id; what it calls through [`crate::client`] carries it on.
pub async fn scope<F: Future>(id: String, work: F) -> F::Output {
    CURRENT.scope(id, work).await
}

/// The request id of the work that runs now; a fresh one outside of any [`scope`].
pub fn current() -> String {
    CURRENT.try_with(Clone::clone).unwrap_or_else(|_| fresh())
}

/// Makes a fresh id.
pub fn fresh() -> String {
    Uuid::now_v7().simple().to_string()
}

/// Takes an id that came from outside, or makes a fresh one where it is missing or unfit.
pub fn accept(from_outside: Option<&str>) -> String {
    match from_outside {
        Some(id)
            if (1..=LENGTH_MAX).contains(&id.len())
                && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b)) =>
        {
            id.to_owned()
        }
        _ => fresh(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unfit_id_is_replaced() {
        assert_eq!(accept(Some("bot:update:7")), "bot:update:7");
        assert_ne!(accept(Some("line\nbreak")), "line\nbreak");
        assert_eq!(accept(None).len(), 32);
        assert_eq!(accept(Some(&"a".repeat(65))).len(), 32);
    }
}
