//! fal.ai's platform API: what it was sent, and what it has.

use http::StatusCode;
use serde_json::{Value, json};

use crate::outside::{KEY, Outside, until};

const NOWHERE: &str = "http://127.0.0.1:1/";
const ENDPOINT: &str = "fal-ai/flux-2-pro";
const HISTORY: &str = "v1/models/requests/by-endpoint?endpoint_id=fal-ai/flux-2-pro";

impl Outside {
    async fn history(&self, query: &str) -> Value {
        let answer = self.fal("GET", &format!("{HISTORY}{query}"), None).await;
        assert_eq!(answer.status(), StatusCode::OK, "{query}");
        answer.json().await.unwrap()
    }

    async fn finished(&self, prompt: &str) -> String {
        let submitted = self.submitted(ENDPOINT, json!({ "prompt": prompt })).await;
        self.ended(&submitted).await;
        submitted["request_id"].as_str().unwrap().to_owned()
    }
}

fn ids(page: &Value) -> Vec<&str> {
    let items = page["items"].as_array().unwrap();
    items.iter().map(|item| item["request_id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_submit_whose_answer_is_lost_is_found_by_what_was_sent() {
    let folder = tempfile::tempdir().unwrap();
    let outside = Outside::start(folder.path(), NOWHERE).await;
    outside.submitted("fal-ai/nano-banana-2", json!({ "prompt": "другой" })).await;
    outside.switch(json!({ "fal": "drop_submit", "fal_count": 1 })).await;
    let lost = outside
        .http
        .post(format!("{}/fal/{ENDPOINT}", outside.url))
        .header("Authorization", format!("Key {KEY}"))
        .json(&json!({ "prompt": "потерянный", "seed": 7 }))
        .send()
        .await;
    assert!(lost.is_err(), "an answer came");

    until("it has started, and is listed", || async {
        !ids(&outside.history("").await).is_empty()
    })
    .await;
    let page = outside.history("&expand=payloads&limit=100").await;

    assert_eq!(page["items"].as_array().unwrap().len(), 1, "of this endpoint only: {page}");
    assert_eq!((&page["has_more"], &page["next_cursor"]), (&json!(false), &Value::Null));
    let item = &page["items"][0];
    assert_eq!(item["endpoint_id"], ENDPOINT);
    assert_eq!(item["json_input"], json!({ "prompt": "потерянный", "seed": 7 }));
    let id = item["request_id"].as_str().unwrap();
    until("it ends", || async {
        let page = outside.history(&format!("&request_id={id}&status=success")).await;
        let item = &page["items"][0];
        item["status_code"] == 200
            && item["duration"].is_number()
            && ["sent_at", "started_at", "ended_at"].iter().all(|time| item[*time].is_string())
            && item.get("json_input").is_none()
    })
    .await;
    let result = outside.fal("GET", &format!("{ENDPOINT}/requests/{id}"), None).await;
    assert_eq!(result.status(), StatusCode::OK, "the id leads to the picture");
}

#[tokio::test]
async fn requests_are_listed_by_page_by_time_and_by_how_they_ended() {
    let folder = tempfile::tempdir().unwrap();
    let outside = Outside::start(folder.path(), NOWHERE).await;
    outside.switch(json!({ "fal_work_ms": 8 })).await;
    let first = outside.finished("a").await;
    outside.switch(json!({ "fal": "refuse", "fal_count": 1 })).await;
    let refused = outside.finished("b").await;
    outside.switch(json!({ "fal": "fail", "fal_count": 1 })).await;
    let failed = outside.finished("c").await;

    let page = outside.history("&limit=2").await;
    assert_eq!(ids(&page), [failed.as_str(), refused.as_str()], "what ended last comes first");
    assert_eq!(page["has_more"], true);
    let cursor = page["next_cursor"].as_str().unwrap();
    let page = outside.history(&format!("&limit=2&cursor={}", cursor.replace('=', "%3D"))).await;
    assert_eq!(ids(&page), [first.as_str()]);
    assert_eq!((&page["has_more"], &page["next_cursor"]), (&json!(false), &Value::Null));

    for (query, expected) in [
        ("&status=success", vec![first.as_str()]),
        ("&status=user_error", vec![refused.as_str()]),
        ("&status=error", vec![failed.as_str()]),
        (&format!("&request_id={first}"), vec![first.as_str()]),
        ("&start=2999-01-01", vec![]),
        ("&start=2020-01-01T00:00:00Z&end=2021-01-01", vec![]),
        ("&start=2020-01-01&end=2999-01-01T00:00:00Z&status=success", vec![first.as_str()]),
    ] {
        assert_eq!(ids(&outside.history(query).await), expected, "{query}");
    }
}

#[tokio::test]
async fn the_platform_refuses_in_its_own_shape() {
    let folder = tempfile::tempdir().unwrap();
    let outside = Outside::start(folder.path(), NOWHERE).await;
    for query in [
        "&limit=0",
        "&limit=101",
        "&cursor=abc",
        "&status=fine",
        "&request_id=7",
        "&start=yesterday",
        "&expand=everything",
    ] {
        let answer = outside.fal("GET", &format!("{HISTORY}{query}"), None).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{query}");
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["error"]["type"], "validation_error", "{query}");
    }
    let nowhere = outside.fal("GET", "v1/nothing", None).await;
    assert_eq!(nowhere.status(), StatusCode::NOT_FOUND);
    let nothing = outside.fal("GET", "v1/models/requests/by-endpoint", None).await;
    assert_eq!(nothing.status(), StatusCode::BAD_REQUEST, "the endpoint is required");
    let url = format!("{}/fal/{HISTORY}", outside.url);
    for key in ["Key someone:else", "Bearer x", ""] {
        let answer = outside.http.get(&url).header("Authorization", key).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{key:?}");
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["error"]["type"], "authorization_error", "{key:?}");
    }
}

#[tokio::test]
async fn the_platform_knows_the_endpoints_that_are_played() {
    let folder = tempfile::tempdir().unwrap();
    let outside = Outside::start(folder.path(), NOWHERE).await;
    let named = "v1/models?endpoint_id=fal-ai/flux-2-pro,fal-ai/no-such&endpoint_id=fal-ai/esrgan";

    let all: Value = outside.fal("GET", "v1/models", None).await.json().await.unwrap();
    let some: Value = outside.fal("GET", named, None).await.json().await.unwrap();

    assert!(all["models"].as_array().unwrap().len() > 2, "{all}");
    let found: Vec<_> = some["models"].as_array().unwrap().iter().collect();
    assert_eq!(found.len(), 2, "{some}");
    assert_eq!(found[0]["endpoint_id"], "fal-ai/flux-2-pro");
    assert!(found.iter().all(|model| model["metadata"]["status"] == "active"), "{some}");
}
