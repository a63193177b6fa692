//! Asking fal.ai what it was sent: for a submit whose answer was lost.

use std::time::Instant;

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::domain::Submission;

use super::client::{BODY_MAX, Fal, READ_TIMEOUT, below, cause, count, read_body};
use super::wire::History;

/// Clocks differ: the search begins this much before the submit.
const CLOCK_SLACK_SECONDS: i64 = 300;
const PAGES_MAX: usize = 10;

/// What the history says about a submit.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Found {
    /// The request that it became.
    Request(String),
    /// It is not there; it may still come.
    NotThere,
    /// fal does not answer at the moment.
    NoAnswer(String),
    /// fal cannot be asked with this key, or at this address.
    CannotAsk(u16),
}

impl Fal {
    /// Looks for the request that a submit became. It is told from others by its body, which
    /// holds a random seed or the addresses of fresh uploads.
    pub async fn find(&self, submission: &Submission) -> Found {
        let since = Instant::now();
        let found = self.find_uncounted(submission).await;
        let outcome = match &found {
            Found::Request(_) => "ok",
            Found::NotThere => "not_there",
            Found::NoAnswer(_) => "retry",
            Found::CannotAsk(_) => "refused",
        };
        count("find", outcome, since);
        found
    }

    async fn find_uncounted(&self, submission: &Submission) -> Found {
        let sent: Value = serde_json::from_str(&submission.body).unwrap_or_default();
        let start = OffsetDateTime::from_unix_timestamp(submission.at / 1000 - CLOCK_SLACK_SECONDS);
        let start = start.ok().and_then(|start| start.format(&Rfc3339).ok()).unwrap_or_default();
        let mut cursor: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let mut query = vec![
                ("endpoint_id", submission.endpoint.as_str()),
                ("start", start.as_str()),
                ("expand", "payloads"),
                ("limit", "100"),
            ];
            if let Some(cursor) = &cursor {
                query.push(("cursor", cursor));
            }
            let call = self
                .http
                .get(below(&self.urls.api, "models/requests/by-endpoint"))
                .query(&query)
                .timeout(READ_TIMEOUT);
            let response = match self.with_key(call, submission.key_index).send().await {
                Ok(response) => response,
                Err(error) => return Found::NoAnswer(cause(error)),
            };
            match response.status().as_u16() {
                200..=299 => {}
                code @ (408 | 429 | 500..=599) => return Found::NoAnswer(format!("HTTP {code}")),
                code => return Found::CannotAsk(code),
            }
            let page = match read_body(response, BODY_MAX).await {
                Ok(body) => serde_json::from_slice::<History>(&body),
                Err(error) => return Found::NoAnswer(error.to_string()),
            };
            let Ok(page) = page else {
                return Found::NoAnswer("the history cannot be read".to_owned());
            };
            if let Some(item) = page.items.iter().find(|item| holds(&item.json_input, &sent)) {
                return Found::Request(item.request_id.clone());
            }
            match page.next_cursor {
                Some(next) if page.has_more => cursor = Some(next),
                _ => break,
            }
        }
        Found::NotThere
    }
}

/// Whether a stored input holds everything that was sent; fal may have added defaults.
fn holds(stored: &Value, sent: &Value) -> bool {
    match (stored, sent) {
        (Value::Object(stored), Value::Object(sent)) if !sent.is_empty() => {
            sent.iter().all(|(key, value)| stored.get(key) == Some(value))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_request_is_known_by_everything_that_was_sent() {
        let sent = json!({"prompt": "a cat", "seed": 7});
        assert!(holds(&json!({"prompt": "a cat", "seed": 7, "num_images": 1}), &sent));
        assert!(!holds(&json!({"prompt": "a cat", "seed": 8}), &sent));
        assert!(!holds(&json!({"prompt": "a cat"}), &sent));
        assert!(!holds(&Value::Null, &sent));
        assert!(!holds(&json!({}), &json!({})));
    }
}
