//! fal.ai's bodies, letter by letter.

use serde::{Deserialize, Serialize};

/// Answer to a submit, and the body of a status.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct QueueStatus {
    pub(super) status: Option<String>,
    pub(super) request_id: Option<String>,
    pub(super) response_url: Option<String>,
    pub(super) status_url: Option<String>,
    pub(super) cancel_url: Option<String>,
    pub(super) queue_position: Option<i64>,
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
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Output {
    pub(super) images: Option<Vec<OutputImage>>,
    pub(super) image: Option<OutputImage>,
    pub(super) has_nsfw_concepts: Option<Vec<Option<bool>>>,
}

impl Output {
    /// Where the first picture lies.
    pub(super) fn first_url(&self) -> Option<&str> {
        self.images.iter().flatten().chain(&self.image).find_map(OutputImage::url)
    }

    /// Whether the safety checker struck: the picture is black then, though the answer is 200.
    pub(super) fn is_unsafe(&self) -> bool {
        self.has_nsfw_concepts.iter().flatten().any(|flag| *flag == Some(true))
    }
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum OutputImage {
    Object { url: String },
    Address(String),
    Other(serde::de::IgnoredAny),
}

impl OutputImage {
    fn url(&self) -> Option<&str> {
        match self {
            Self::Object { url } | Self::Address(url) => Some(url),
            Self::Other(_) => None,
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
        let output: Output = serde_json::from_str(body).unwrap();
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
