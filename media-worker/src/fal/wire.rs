//! fal.ai's bodies, letter by letter.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Answer to a submit, and the body of a status. What is not of the documented type counts as
/// not said: a work that was taken must not be lost over a number that came as text.
#[derive(Debug, Default)]
pub(super) struct QueueStatus {
    pub(super) status: Option<String>,
    pub(super) request_id: Option<String>,
    pub(super) response_url: Option<String>,
    pub(super) status_url: Option<String>,
    pub(super) cancel_url: Option<String>,
    pub(super) queue_position: Option<i64>,
    pub(super) error_type: Option<String>,
    /// Whether it says that something went wrong.
    pub(super) has_error: bool,
}

impl QueueStatus {
    /// Reads a body; `None` where it is no JSON object.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let body: Map<String, Value> = serde_json::from_slice(body).ok()?;
        let text = |key: &str| body.get(key)?.as_str().map(str::to_owned);
        let error_type = text("error_type").filter(|kind| !kind.is_empty());
        let error = body.get("error").filter(|error| !error.is_null());
        Some(Self {
            status: text("status"),
            request_id: text("request_id"),
            response_url: text("response_url"),
            status_url: text("status_url"),
            cancel_url: text("cancel_url"),
            queue_position: body.get("queue_position").and_then(Value::as_i64),
            has_error: error_type.is_some() || error.is_some_and(|error| error != ""),
            error_type,
        })
    }
}

/// What went wrong, in either of the two shapes.
#[derive(Debug, Deserialize)]
pub(super) struct ErrorBody {
    pub(super) detail: Option<Detail>,
    pub(super) error_type: Option<String>,
}

/// The models' list, or the platform's text, which says nothing that can be branched on.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Detail {
    List(Vec<DetailItem>),
    Text(serde::de::IgnoredAny),
}

#[derive(Debug, Deserialize)]
pub(super) struct DetailItem {
    #[serde(default, rename = "type")]
    pub(super) kind: String,
}

/// What a model made: `images` or `image`, of objects or bare addresses.
#[derive(Debug)]
pub(super) struct Output(Map<String, Value>);

impl Output {
    /// Reads a body; `None` where it is no JSON object.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok().map(Self)
    }

    /// Where the first picture lies.
    pub(super) fn first_url(&self) -> Option<&str> {
        let listed = self.0.get("images").and_then(Value::as_array).into_iter().flatten();
        let mut all = listed.chain(self.0.get("image"));
        all.find_map(|image| image.get("url").unwrap_or(image).as_str())
    }

    /// Whether the safety checker struck: the picture is black then, though the answer is 200.
    pub(super) fn is_unsafe(&self) -> bool {
        match self.0.get("has_nsfw_concepts") {
            Some(Value::Array(flags)) => flags.contains(&Value::Bool(true)),
            flag => flag == Some(&Value::Bool(true)),
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct InitiateUpload<'a> {
    pub(super) content_type: &'a str,
    pub(super) file_name: &'a str,
}

#[derive(Debug, Deserialize)]
pub(super) struct InitiatedUpload {
    pub(super) file_url: String,
    pub(super) upload_url: String,
}

/// A page of the requests that an endpoint got.
#[derive(Debug, Deserialize)]
pub(super) struct History {
    #[serde(default)]
    pub(super) items: Vec<HistoryItem>,
    #[serde(default)]
    pub(super) next_cursor: Option<String>,
    #[serde(default)]
    pub(super) has_more: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct HistoryItem {
    pub(super) request_id: String,
    #[serde(default)]
    pub(super) json_input: serde_json::Value,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, url: Option<&str>, is_unsafe: bool) {
        let output = Output::read(body.as_bytes()).unwrap();
        assert_eq!((output.first_url(), output.is_unsafe()), (url, is_unsafe), "{body}");
    }

    #[test]
    fn outputs_are_read_in_all_their_shapes() {
        check(
            r#"{"images":[{"url":"https://x/a.png","content_type":null,"width":1}],"seed":15860307465884635512}"#,
            Some("https://x/a.png"),
            false,
        );
        check(
            r#"{"image":{"url":"https://x/b.jpg"},"timings":{}}"#,
            Some("https://x/b.jpg"),
            false,
        );
        check(r#"{"images":["https://x/c.png"],"image":null}"#, Some("https://x/c.png"), false);
        check(r#"{"description":"nothing"}"#, None, false);
        check(r#"{"images":[{"content_type":"image/png"}]}"#, None, false);
        check(
            r#"{"images":["https://x/d"],"has_nsfw_concepts":[false]}"#,
            Some("https://x/d"),
            false,
        );
        check(
            r#"{"images":["https://x/e"],"has_nsfw_concepts":[true]}"#,
            Some("https://x/e"),
            true,
        );
        check(r#"{"images":null,"has_nsfw_concepts":[null]}"#, None, false);
        check(r#"{"images":{"a":1},"has_nsfw_concepts":false,"image":5}"#, None, false);
        assert!(Output::read(b"<html>").is_none());
    }

    #[test]
    fn a_status_says_what_it_can() {
        let read = |body: &str| QueueStatus::read(body.as_bytes()).unwrap();

        let odd = read(r#"{"status":"IN_QUEUE","request_id":"r","queue_position":"3","logs":7}"#);
        assert_eq!(
            (odd.status.as_deref(), odd.request_id.as_deref()),
            (Some("IN_QUEUE"), Some("r"))
        );
        assert_eq!((odd.queue_position, odd.has_error), (None, false));
        assert!(!read(r#"{"status":"COMPLETED","error":null,"error_type":null}"#).has_error);
        let failed = read(r#"{"status":"COMPLETED","error":"x","error_type":"request_timeout"}"#);
        assert_eq!(
            (failed.has_error, failed.error_type.as_deref()),
            (true, Some("request_timeout"))
        );
        assert!(QueueStatus::read(b"[]").is_none());
    }

    #[test]
    fn errors_are_read_in_all_their_shapes() {
        let read = |body: &str| serde_json::from_str::<ErrorBody>(body).unwrap();

        let list = read(r#"{"detail":[{"loc":["body",0],"msg":"m","type":"image_too_small"}]}"#);
        assert!(
            matches!(list.detail, Some(Detail::List(items)) if items[0].kind == "image_too_small")
        );

        let text = read(r#"{"detail":"Request timed out","error_type":"request_timeout"}"#);
        assert!(matches!(text.detail, Some(Detail::Text(_))));
        assert_eq!(text.error_type.as_deref(), Some("request_timeout"));

        let odd = read(r#"{"detail":{"a":1}}"#);
        assert!(matches!(odd.detail, Some(Detail::Text(_))));
    }
}
