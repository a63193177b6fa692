//! fal.ai: the queue's protocol, the storage's strictness, and pictures made of their inputs.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use image::{DynamicImage, GenericImageView as _, ImageFormat, Rgb, RgbImage};
use ring::signature::{ED25519, UnparsedPublicKey};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::outside::{KEY, Outside, until};

const NOWHERE: &str = "http://127.0.0.1:1/";

fn png(width: u32, height: u32, colour: [u8; 3]) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let picture = DynamicImage::from(RgbImage::from_pixel(width, height, Rgb(colour)));
    picture.write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// A colour that is near, whatever the file format lost.
#[track_caller]
fn is_near(picture: &DynamicImage, (x, y): (u32, u32), colour: [u8; 3]) {
    let pixel = picture.get_pixel(x, y).0;
    let far = pixel.iter().zip(colour).any(|(is, should)| is.abs_diff(should) > 24);
    assert!(!far, "at {x},{y}: {pixel:?} instead of {colour:?}");
}

impl Outside {
    pub(crate) async fn fal(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> reqwest::Response {
        let method = method.parse().unwrap();
        let request = self
            .http
            .request(method, format!("{}/fal/{path}", self.url))
            .header("Authorization", format!("Key {KEY}"));
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        request.send().await.unwrap()
    }

    pub(crate) async fn submitted(&self, endpoint: &str, input: Value) -> Value {
        let answer = self.fal("POST", endpoint, Some(input)).await;
        assert_eq!(answer.status(), StatusCode::OK);
        answer.json().await.unwrap()
    }

    async fn get(&self, url: &str) -> reqwest::Response {
        let key = format!("Key {KEY}");
        self.http.get(url).header("Authorization", key).send().await.unwrap()
    }

    /// Follows a job by the URLs of its submit, to its result.
    pub(crate) async fn ended(&self, submitted: &Value) -> reqwest::Response {
        let status_url = submitted["status_url"].as_str().unwrap();
        until("the job ends", || async {
            self.get(status_url).await.json::<Value>().await.unwrap()["status"] == "COMPLETED"
        })
        .await;
        self.get(submitted["response_url"].as_str().unwrap()).await
    }

    async fn run(&self, endpoint: &str, input: Value) -> (StatusCode, Value) {
        let submitted = self.submitted(endpoint, input).await;
        let result = self.ended(&submitted).await;
        (result.status(), result.json().await.unwrap())
    }

    /// Uploads a file as the official JavaScript client does.
    async fn uploaded(&self, bytes: Vec<u8>, content_type: &str) -> String {
        let begin = json!({ "content_type": content_type, "file_name": "a b/ё.png" });
        let path = "storage/upload/initiate?storage_type=fal-cdn-v3";
        let urls: Value = self.fal("POST", path, Some(begin)).await.json().await.unwrap();
        let put = self
            .http
            .put(urls["upload_url"].as_str().unwrap())
            .header("Content-Type", content_type)
            .body(bytes);
        assert_eq!(put.send().await.unwrap().status(), StatusCode::OK);
        urls["file_url"].as_str().unwrap().to_owned()
    }

    async fn picture(&self, image: &Value) -> DynamicImage {
        let answer = self.http.get(image["url"].as_str().unwrap()).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["content-type"], image["content_type"].as_str().unwrap());
        let bytes = answer.bytes().await.unwrap();
        assert_eq!(json!(bytes.len()), image["file_size"]);
        let picture = image::load_from_memory(&bytes).unwrap();
        assert_eq!(json!(picture.width()), image["width"]);
        assert_eq!(json!(picture.height()), image["height"]);
        picture
    }
}

#[tokio::test]
async fn a_job_goes_through_the_queue_with_the_codes_that_clients_read() {
    let folder = tempfile::tempdir().unwrap();
    let outside = Outside::start(folder.path(), NOWHERE).await;
    outside.switch(json!({ "fal_work_ms": 2000 })).await;

    let submitted = outside.submitted("fal-ai/nano-banana-2", json!({ "prompt": "кот" })).await;
    let status_url = submitted["status_url"].as_str().unwrap();
    let queued = outside.get(status_url).await;
    let early = outside.get(submitted["response_url"].as_str().unwrap()).await;

    assert_eq!(
        (&submitted["status"], &submitted["queue_position"]),
        (&json!("IN_QUEUE"), &json!(0))
    );
    let id = submitted["request_id"].as_str().unwrap();
    assert_eq!(
        status_url,
        format!("{}/fal/fal-ai/nano-banana-2/requests/{id}/status", outside.url)
    );
    assert_eq!(queued.status(), StatusCode::ACCEPTED);
    assert_eq!(queued.headers()["x-fal-request-id"], id);
    assert_eq!(queued.json::<Value>().await.unwrap()["queue_position"], 0);
    assert_eq!(early.status(), StatusCode::BAD_REQUEST);
    assert_eq!(early.json::<Value>().await.unwrap()["detail"], "Request is still in progress");

    until("it is worked on", || async {
        let status = outside.get(&format!("{status_url}?logs=1")).await;
        let code = status.status();
        let body: Value = status.json().await.unwrap();
        body["status"] == "IN_PROGRESS"
            && code == StatusCode::ACCEPTED
            && body["logs"][0]["message"].is_string()
    })
    .await;
    let result = outside.ended(&submitted).await;
    assert_eq!(result.headers()["x-fal-billable-units"], "1");
    assert_eq!(result.headers()["x-fal-request-id"], id);
    let body: Value = result.json().await.unwrap();
    assert!(body["images"][0]["url"].is_string() && body["description"].is_string(), "{body}");
    let done = outside.get(status_url).await;
    assert_eq!(done.status(), StatusCode::OK);
    let done: Value = done.json().await.unwrap();
    assert!(done.as_object().unwrap().contains_key("logs") && done["logs"].is_null(), "{done}");
    assert!(done["metrics"]["inference_time"].is_number(), "{done}");
}

#[tokio::test]
async fn a_job_is_followed_by_its_app_and_by_the_forms_that_clients_use() {
    let folder = tempfile::tempdir().unwrap();
    let outside = Outside::start(folder.path(), NOWHERE).await;
    let endpoint = "fal-ai/bytedance/seedream/v4.5/text-to-image";
    let size = json!({ "width": 320, "height": 200 });
    let submitted = outside.submitted(endpoint, json!({ "prompt": "x", "image_size": size })).await;
    let id = submitted["request_id"].as_str().unwrap();
    outside.ended(&submitted).await;

    let response_url = submitted["response_url"].as_str().unwrap();
    assert!(
        response_url.ends_with(&format!("/fal/fal-ai/bytedance/requests/{id}")),
        "{response_url}"
    );
    for path in [
        format!("fal-ai/bytedance/requests/{id}/"),
        format!("fal-ai/bytedance/requests/{id}/response"),
        format!("{endpoint}/requests/{id}"),
        format!("{endpoint}/requests/{id}/status/"),
    ] {
        assert_eq!(outside.fal("GET", &path, None).await.status(), StatusCode::OK, "{path}");
    }
    for path in [
        format!("fal-ai/flux-2-pro/requests/{id}"),
        "fal-ai/bytedance/requests/00000000-0000-0000-0000-000000000000/status".to_owned(),
    ] {
        let answer = outside.fal("GET", &path, None).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
        assert_eq!(answer.json::<Value>().await.unwrap(), json!({ "status": "NOT_FOUND" }));
    }
    let stream = outside
        .fal("GET", &format!("fal-ai/bytedance/requests/{id}/status/stream?logs=1"), None)
        .await;
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let events = stream.text().await.unwrap();
    let last: Value = serde_json::from_str(events.trim().strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!(last["status"], "COMPLETED");
    assert_eq!(last["logs"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn only_known_keys_come_in_and_only_known_apps_are_there() {
    let folder = tempfile::tempdir().unwrap();
    let outside = Outside::start(folder.path(), NOWHERE).await;
    let url = format!("{}/fal/fal-ai/flux-2-pro", outside.url);
    let body = json!({ "prompt": "x" });
    let with =
        |value: &str| outside.http.post(&url).header("Authorization", value).json(&body).send();

    let nobody = outside.http.post(&url).json(&body).send().await.unwrap();
    let stranger = with("Key kid:secret").await.unwrap();
    let malformed = with("Key secret").await.unwrap();
    let bearer = with(&format!("Bearer {KEY}")).await.unwrap();
    let app = outside.fal("POST", "fal-ai/gfpgan", Some(body.clone())).await;
    let (path, missing) = outside.run("fal-ai/flux-2-pro/turbo", body.clone()).await;

    for answer in [nobody, stranger, malformed, bearer] {
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
        assert!(answer.json::<Value>().await.unwrap()["detail"].is_string());
    }
    assert_eq!(app.status(), StatusCode::NOT_FOUND);
    assert_eq!(
        (path, &missing["detail"]),
        (StatusCode::NOT_FOUND, &json!("Path /turbo not found"))
    );
    assert_eq!(
        outside.control("/_sandbox/fal/requests").await["requests"].as_array().unwrap().len(),
        1
    );
}

#[tokio::test]
async fn wrong_input_is_accepted_and_refused_by_the_result() {
    let folder = tempfile::tempdir().unwrap();
    let outside = Outside::start(folder.path(), NOWHERE).await;
    let text = outside.uploaded(b"this is no picture".to_vec(), "image/jpeg").await;
    let gif = outside.uploaded(b"GIF89a\x01\x00\x01\x00\x00\x00\x00;".to_vec(), "image/gif").await;
    let edit = "fal-ai/nano-banana-2/edit";
    let cases = [
        ("fal-ai/nano-banana-2", json!({}), "missing", json!(["body", "prompt"])),
        (edit, json!({ "prompt": "x" }), "missing", json!(["body", "image_urls"])),
        (
            edit,
            json!({ "prompt": "x", "image_urls": [text] }),
            "image_load_error",
            json!(["body", "image_urls", 0]),
        ),
        (
            edit,
            json!({ "prompt": "x", "image_urls": [gif] }),
            "unsupported_image_format",
            json!(["body", "image_urls", 0]),
        ),
        (
            edit,
            json!({ "prompt": "x", "image_urls": ["https://v3.fal.media/files/b/0/no.png"] }),
            "file_download_error",
            json!(["body", "image_urls", 0]),
        ),
        (
            "fal-ai/esrgan",
            json!({ "image_url": "data:image/png;base64,AAAA" }),
            "image_load_error",
            json!(["body", "image_url"]),
        ),
    ];

    for (endpoint, input, kind, place) in cases {
        let (status, body) = outside.run(endpoint, input).await;

        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        assert_eq!((&body["detail"][0]["type"], &body["detail"][0]["loc"]), (&json!(kind), &place));
    }
}

#[tokio::test]
async fn a_generated_picture_has_the_size_and_format_that_were_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let outside = Outside::start(folder.path(), NOWHERE).await;
    let input = json!({ "prompt": "Рыжий кот на крыше", "image_size": { "width": 400, "height": 240 }, "output_format": "png" });

    let (_, first) = outside.run("fal-ai/flux-2-pro", input.clone()).await;
    let mut other = input.clone();
    other["prompt"] = json!("Синий кит");
    other["seed"] = first["seed"].clone();
    let (_, other) = outside.run("fal-ai/flux-2-pro", other).await;
    let mut same = input;
    same["seed"] = first["seed"].clone();
    let (_, same) = outside.run("fal-ai/flux-2-pro", same).await;
    let wide = json!({ "prompt": "x", "aspect_ratio": "16:9", "resolution": "0.5K", "output_format": "webp", "num_images": 2 });
    let (_, wide) = outside.run("fal-ai/nano-banana-2", wide).await;

    let picture = outside.picture(&first["images"][0]).await;
    assert_eq!((picture.width(), picture.height()), (400, 240));
    assert_eq!(first["images"][0]["content_type"], "image/png");
    assert_eq!(picture, outside.picture(&same["images"][0]).await);
    assert_ne!(picture, outside.picture(&other["images"][0]).await);
    // The prompt stands on it, in white.
    assert!(picture.to_rgb8().pixels().any(|pixel| pixel.0 == [255, 255, 255]));
    assert_eq!(wide["images"].as_array().unwrap().len(), 2);
    assert_eq!(wide["images"][0]["content_type"], "image/webp");
    let wide = outside.picture(&wide["images"][0]).await;
    assert_eq!((wide.width(), wide.height()), (680, 384));
}

#[tokio::test]
async fn an_upscale_is_larger_by_the_factor() {
    let folder = tempfile::tempdir().unwrap();
    let outside = Outside::start(folder.path(), NOWHERE).await;
    let url = outside.uploaded(png(60, 40, [200, 30, 30]), "image/png").await;

    for (endpoint, input, size) in [
        ("fal-ai/seedvr/upscale/image", json!({ "upscale_factor": 2.5 }), (150, 100)),
        ("fal-ai/esrgan", json!({ "scale": 4 }), (240, 160)),
        ("fal-ai/aura-sr", json!({}), (240, 160)),
        ("fal-ai/clarity-upscaler", json!({}), (120, 80)),
    ] {
        let mut input = input;
        input["image_url"] = json!(url);
        let (status, result) = outside.run(endpoint, input).await;

        assert_eq!(status, StatusCode::OK, "{result}");
        let picture = outside.picture(&result["image"]).await;
        assert_eq!((picture.width(), picture.height()), size, "{endpoint}");
        is_near(&picture, (10, 10), [200, 30, 30]);
    }
    let (status, refused) =
        outside.run("fal-ai/aura-sr", json!({ "image_url": url, "upscale_factor": 2 })).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{refused}");
}

#[tokio::test]
async fn a_merge_shows_every_picture() {
    let folder = tempfile::tempdir().unwrap();
    let outside = Outside::start(folder.path(), NOWHERE).await;
    let red = outside.uploaded(png(300, 300, [220, 20, 20]), "image/png").await;
    let green = outside.uploaded(png(300, 300, [20, 200, 20]), "image/png").await;
    let input = json!({ "prompt": "Вместе", "image_urls": [red, green], "output_format": "png" });

    let (_, result) = outside.run("fal-ai/nano-banana-pro/edit", input).await;

    let picture = outside.picture(&result["images"][0]).await;
    let (width, height) = picture.dimensions();
    is_near(&picture, (width / 4, height * 2 / 5), [220, 20, 20]);
    is_near(&picture, (width * 3 / 4, height * 2 / 5), [20, 200, 20]);
}

#[tokio::test]
async fn an_edit_a_retouch_and_a_face_swap_show_their_input() {
    let folder = tempfile::tempdir().unwrap();
    let outside = Outside::start(folder.path(), NOWHERE).await;
    let grey = outside.uploaded(png(300, 200, [100, 100, 100]), "image/png").await;
    let blue = outside.uploaded(png(80, 80, [20, 40, 220]), "image/png").await;

    let edit = json!({ "prompt": "x", "image_urls": [blue], "image_size": "auto" });
    let (_, edited) = outside.run("fal-ai/flux-2-pro/edit", edit).await;
    let (_, touched) =
        outside.run("fal-ai/image-editing/retouch", json!({ "image_url": grey })).await;
    let (_, restored) = outside.run("fal-ai/codeformer", json!({ "image_url": grey })).await;
    let swap = json!({ "base_image_url": grey, "swap_image_url": blue });
    let (_, swapped) = outside.run("fal-ai/face-swap", swap).await;
    let swap = json!({ "target_image_url": grey, "source_face_url": blue });
    let (_, other) = outside.run("half-moon-ai/ai-face-swap/faceswapimage", swap).await;

    let edited = outside.picture(&edited["images"][0]).await;
    assert_eq!((edited.width(), edited.height()), (1024, 1024));
    assert_ne!(edited.get_pixel(5, 5).0[..3], [20, 40, 220]);
    let touched = outside.picture(&touched["images"][0]).await;
    assert_eq!((touched.width(), touched.height()), (300, 200));
    is_near(&touched, (150, 100), [122, 122, 122]);
    let restored = outside.picture(&restored["image"]).await;
    assert_eq!((restored.width(), restored.height()), (600, 400));
    for result in [swapped, other] {
        let picture = outside.picture(&result["image"]).await;
        assert_eq!((picture.width(), picture.height()), (300, 200));
        is_near(&picture, (150, 75), [20, 40, 220]);
        is_near(&picture, (5, 195), [100, 100, 100]);
    }
}

#[tokio::test]
async fn a_key_never_goes_to_an_upload_or_to_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let outside = Outside::start(folder.path(), NOWHERE).await;
    let begin = json!({ "content_type": "image/png", "file_name": "a.png" });
    let urls: Value =
        outside.fal("POST", "storage/upload/initiate", Some(begin)).await.json().await.unwrap();
    let (upload, file) = (urls["upload_url"].as_str().unwrap(), urls["file_url"].as_str().unwrap());
    let bytes = png(4, 4, [1, 2, 3]);

    let missing = outside.http.get(file).send().await.unwrap();
    let leaking = outside.http.put(upload).header("Authorization", format!("Key {KEY}"));
    let leaking = leaking.body(bytes.clone()).send().await.unwrap();
    let wrong_type = outside.http.put(upload).header("Content-Type", "text/plain").body("x");
    let wrong_type = wrong_type.send().await.unwrap();
    let put = outside.http.put(upload).header("Content-Type", "image/png").body(bytes.clone());
    let put = put.send().await.unwrap();
    let with_key = outside.get(file).await;
    let public = outside.http.get(file).send().await.unwrap();

    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
    assert_eq!(leaking.status(), StatusCode::BAD_REQUEST);
    assert_eq!(wrong_type.status(), StatusCode::FORBIDDEN);
    assert_eq!(put.status(), StatusCode::OK);
    assert_eq!(with_key.status(), StatusCode::BAD_REQUEST);
    assert_eq!(public.headers()["content-type"], "image/png");
    assert_eq!(public.bytes().await.unwrap(), bytes);
}

#[tokio::test]
async fn a_file_lives_as_long_as_its_owner_says() {
    let folder = tempfile::tempdir().unwrap();
    let outside = Outside::start(folder.path(), NOWHERE).await;
    let token: Value =
        outside.fal("POST", "storage/auth/token", Some(json!({}))).await.json().await.unwrap();
    let upload = |token: &str| {
        let url = format!("{}/files/upload", outside.url.clone() + "/fal");
        outside
            .http
            .post(url)
            .bearer_auth(token)
            .header("Content-Type", "image/png")
            .header("X-Fal-File-Name", "a.png")
            .header("X-Fal-Object-Lifecycle", r#"{"expiration_duration_seconds":1}"#)
            .body(png(4, 4, [1, 2, 3]))
            .send()
    };

    let stranger = upload("forged").await.unwrap();
    let stored: Value =
        upload(token["token"].as_str().unwrap()).await.unwrap().json().await.unwrap();
    let url = stored["access_url"].as_str().unwrap();

    assert_eq!(stranger.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(token["token_type"], "Bearer");
    assert_eq!(outside.http.get(url).send().await.unwrap().status(), StatusCode::OK);
    until("the file is gone", || async {
        outside.http.get(url).send().await.unwrap().status() == StatusCode::NOT_FOUND
    })
    .await;
}

#[tokio::test]
async fn a_file_comes_up_in_parts_both_ways() {
    let folder = tempfile::tempdir().unwrap();
    let outside = Outside::start(folder.path(), NOWHERE).await;
    let begin = json!({ "content_type": "image/png", "file_name": "a.png" });
    let path = "storage/upload/initiate-multipart";
    let urls: Value = outside.fal("POST", path, Some(begin)).await.json().await.unwrap();
    let upload = urls["upload_url"].as_str().unwrap();
    let mut parts = Vec::new();
    for (number, body) in [(1, "first "), (2, "second")] {
        let put = outside.http.put(format!("{upload}/{number}")).body(body).send().await.unwrap();
        assert!(put.headers().contains_key("etag"));
        parts.push(put.json::<Value>().await.unwrap());
    }

    let complete = |parts: Value| {
        outside.http.post(format!("{upload}/complete")).json(&json!({ "parts": parts })).send()
    };
    let short = complete(json!([parts[0]])).await.unwrap();
    let whole = complete(json!(parts)).await.unwrap();

    assert_eq!(short.status(), StatusCode::BAD_REQUEST);
    assert_eq!(whole.status(), StatusCode::OK);
    let file = outside.http.get(urls["file_url"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(file.text().await.unwrap(), "first second");
}

#[tokio::test]
async fn faults_of_a_job_show_where_the_real_ones_do() {
    let folder = tempfile::tempdir().unwrap();
    let outside = Outside::start(folder.path(), NOWHERE).await;
    let input = json!({ "prompt": "x", "image_size": "square" });
    let endpoint = "fal-ai/flux-2-pro";

    for (fault, status, kind) in [
        ("refuse", StatusCode::UNPROCESSABLE_ENTITY, "content_policy_violation"),
        ("no_face", StatusCode::UNPROCESSABLE_ENTITY, "face_detection_error"),
        ("fail", StatusCode::INTERNAL_SERVER_ERROR, "internal_server_error"),
    ] {
        outside.switch(json!({ "fal": fault, "fal_count": 1 })).await;
        let (code, body) = outside.run(endpoint, input.clone()).await;
        assert_eq!((code, &body["detail"][0]["type"]), (status, &json!(kind)), "{fault}");
    }
    outside.switch(json!({ "fal": "locked", "fal_count": 1 })).await;
    let locked = outside.fal("POST", endpoint, Some(input.clone())).await;
    outside.switch(json!({ "fal": "nsfw", "fal_count": 1 })).await;
    let (nsfw_code, nsfw) = outside.run(endpoint, input.clone()).await;
    outside.switch(json!({ "fal": "file_gone", "fal_count": 1 })).await;
    let (gone_code, gone) = outside.run(endpoint, input.clone()).await;
    let (fine, _) = outside.run(endpoint, input).await;

    assert_eq!(locked.status(), StatusCode::FORBIDDEN);
    assert!(locked.text().await.unwrap().contains("Exhausted balance"));
    assert_eq!((nsfw_code, &nsfw["has_nsfw_concepts"]), (StatusCode::OK, &json!([true])));
    assert_eq!(gone_code, StatusCode::OK);
    let file = outside.http.get(gone["images"][0]["url"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(file.status(), StatusCode::NOT_FOUND);
    assert_eq!(fine, StatusCode::OK);
}

#[tokio::test]
async fn a_submit_whose_answer_is_lost_was_accepted_once() {
    let folder = tempfile::tempdir().unwrap();
    let outside = Outside::start(folder.path(), NOWHERE).await;
    outside.switch(json!({ "fal": "drop_submit", "fal_count": 1 })).await;

    let lost = outside
        .http
        .post(format!("{}/fal/fal-ai/flux-2-pro", outside.url))
        .header("Authorization", format!("Key {KEY}"))
        .json(&json!({ "prompt": "потерянный" }))
        .send()
        .await;

    assert!(lost.is_err(), "an answer came");
    let requests = outside.control("/_sandbox/fal/requests").await;
    assert_eq!(requests["requests"].as_array().unwrap().len(), 1);
    assert_eq!(requests["requests"][0]["input"]["prompt"], "потерянный");
    let seen = outside.control("/_sandbox/fal/seen").await;
    assert_eq!(seen["calls"][0]["status"], 0);
}

#[tokio::test]
async fn a_hanging_job_is_canceled_and_one_that_waits_too_long_never_starts() {
    let folder = tempfile::tempdir().unwrap();
    let outside = Outside::start(folder.path(), NOWHERE).await;
    outside.switch(json!({ "fal": "hang", "fal_count": 1 })).await;
    let hanging = outside.submitted("fal-ai/flux-2-pro", json!({ "prompt": "x" })).await;
    let status_url = hanging["status_url"].as_str().unwrap();
    until("it is worked on", || async {
        outside.get(status_url).await.json::<Value>().await.unwrap()["status"] == "IN_PROGRESS"
    })
    .await;

    let id = hanging["request_id"].as_str().unwrap();
    let cancel = format!("fal-ai/flux-2-pro/requests/{id}/cancel");
    let canceled = outside.fal("PUT", &cancel, None).await;
    let result = outside.ended(&hanging).await;
    let again = outside.fal("PUT", &cancel, None).await;
    let unknown = outside.fal("PUT", "fal-ai/flux-2-pro/requests/nothing/cancel", None).await;

    assert_eq!(canceled.status(), StatusCode::ACCEPTED);
    assert_eq!(result.status().as_u16(), 499);
    assert_eq!(result.json::<Value>().await.unwrap()["error_type"], "client_cancelled");
    assert_eq!(again.status(), StatusCode::BAD_REQUEST);
    assert_eq!(again.json::<Value>().await.unwrap()["status"], "ALREADY_COMPLETED");
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);

    outside.switch(json!({ "fal_work_ms": 60_000 })).await;
    let late = outside
        .http
        .post(format!("{}/fal/fal-ai/flux-2-pro", outside.url))
        .header("Authorization", format!("Key {KEY}"))
        .header("X-Fal-Request-Timeout", "0.5")
        .json(&json!({ "prompt": "x" }));
    let late: Value = late.send().await.unwrap().json().await.unwrap();
    let result = outside.ended(&late).await;
    assert_eq!(result.status(), StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(result.headers()["x-fal-request-timeout-type"], "user");
    assert_eq!(result.json::<Value>().await.unwrap()["error_type"], "request_timeout");
}

#[tokio::test]
async fn ten_jobs_run_at_once_and_the_others_wait_in_line() {
    let folder = tempfile::tempdir().unwrap();
    let outside = Outside::start(folder.path(), NOWHERE).await;
    outside.switch(json!({ "fal": "hang" })).await;
    let mut jobs = Vec::new();
    for _ in 0..12 {
        jobs.push(
            outside
                .submitted("fal-ai/flux-2-pro", json!({ "prompt": "x", "image_size": "square" }))
                .await,
        );
    }

    until("ten are worked on", || async {
        let all = outside.control("/_sandbox/fal/requests").await;
        let running =
            all["requests"].as_array().unwrap().iter().filter(|r| r["status"] == "IN_PROGRESS");
        running.count() == 10
    })
    .await;
    let all = outside.control("/_sandbox/fal/requests").await;
    let waiting: Vec<_> =
        all["requests"].as_array().unwrap().iter().filter(|r| r["status"] == "IN_QUEUE").collect();
    assert_eq!(waiting.len(), 2);
    let mut positions = Vec::new();
    for one in &waiting {
        let path =
            format!("fal-ai/flux-2-pro/requests/{}/status", one["request_id"].as_str().unwrap());
        let status: Value = outside.fal("GET", &path, None).await.json().await.unwrap();
        positions.push(status["queue_position"].as_u64().unwrap());
    }
    let full = outside
        .fal("POST", "fal-ai/flux-2-pro?fal_max_queue_length=1", Some(json!({ "prompt": "x" })))
        .await;
    outside.switch(json!({ "fal": null })).await;

    positions.sort_unstable();
    assert_eq!(positions, [0, 1]);
    assert_eq!(full.status(), StatusCode::TOO_MANY_REQUESTS);
    for job in &jobs {
        assert_eq!(outside.ended(job).await.status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn a_restart_goes_on_with_the_job_and_keeps_results() {
    let folder = tempfile::tempdir().unwrap();
    let outside = Outside::start(folder.path(), NOWHERE).await;
    let url = outside.uploaded(png(30, 20, [9, 9, 200]), "image/png").await;
    let (_, done) = outside.run("fal-ai/esrgan", json!({ "image_url": url })).await;
    outside.switch(json!({ "fal_work_ms": 60_000 })).await;
    let open = outside.submitted("fal-ai/esrgan", json!({ "image_url": url, "scale": 3 })).await;
    let id = open["request_id"].as_str().unwrap().to_owned();
    outside.stop();

    let outside = Outside::start(folder.path(), NOWHERE).await;
    let status = format!("fal-ai/esrgan/requests/{id}/status");
    until("the job ends", || async {
        outside.fal("GET", &status, None).await.json::<Value>().await.unwrap()["status"]
            == "COMPLETED"
    })
    .await;
    let result = outside.fal("GET", &format!("fal-ai/esrgan/requests/{id}"), None).await;

    let result: Value = result.json().await.unwrap();
    assert_eq!((&result["image"]["width"], &result["image"]["height"]), (&json!(90), &json!(60)));
    let (_, path) = done["image"]["url"].as_str().unwrap().split_once("/fal/").unwrap();
    let file = outside.http.get(format!("{}/fal/{path}", outside.url)).send().await.unwrap();
    assert_eq!(file.status(), StatusCode::OK);
    assert_eq!(
        outside.control("/_sandbox/fal/requests").await["requests"].as_array().unwrap().len(),
        2
    );
}

#[tokio::test]
async fn a_call_on_fal_run_waits_for_its_result_and_links_lead_to_fals_own_hosts() {
    let folder = tempfile::tempdir().unwrap();
    let outside = Outside::start(folder.path(), NOWHERE).await;
    let call = |host: &str| {
        outside
            .http
            .post(format!("{}/fal-ai/flux-2-pro", outside.url))
            .header("Host", host)
            .header("Authorization", format!("Key {KEY}"))
            .json(&json!({ "prompt": "x", "image_size": "square" }))
            .send()
    };

    let ran = call("fal.run").await.unwrap();
    let queued: Value = call("queue.fal.run").await.unwrap().json().await.unwrap();

    assert!(ran.headers().contains_key("x-fal-request-id"));
    let ran: Value = ran.json().await.unwrap();
    assert!(ran["images"][0]["url"].as_str().unwrap().starts_with("https://v3.fal.media/files/b/"));
    let link = queued["status_url"].as_str().unwrap();
    assert!(link.starts_with("http://queue.fal.run/fal-ai/flux-2-pro/requests/"), "{link}");
}

#[tokio::test]
async fn a_webhook_is_signed_and_sent_again_until_it_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let outside = Outside::start(folder.path(), NOWHERE).await;
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/fal/webhook/x", listener.local_addr().unwrap());
    let take = move |headers: http::HeaderMap, body: axum::body::Bytes| async move {
        told.send((headers, body)).ok();
        StatusCode::SERVICE_UNAVAILABLE
    };
    let routes = axum::Router::new().route("/fal/webhook/x", axum::routing::post(take));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let endpoint = format!("fal-ai/flux-2-pro?fal_webhook={url}");
    let submitted = outside.submitted(&endpoint, json!({"prompt": "кот"})).await;

    let (headers, body) = heard.recv().await.unwrap();
    let (_, again) = heard.recv().await.unwrap();

    assert_eq!(body, again);
    let told: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(told["request_id"], submitted["request_id"]);
    assert_eq!(told["status"], "OK");
    assert!(told["payload"]["images"][0]["url"].is_string(), "{told:#}");
    let text = |name: &str| headers[name].to_str().unwrap().to_owned();
    let keys: Value = outside.fal("GET", ".well-known/jwks.json", None).await.json().await.unwrap();
    let key = URL_SAFE_NO_PAD.decode(keys["keys"][0]["x"].as_str().unwrap()).unwrap();
    let message = [
        text("x-fal-webhook-request-id"),
        text("x-fal-webhook-user-id"),
        text("x-fal-webhook-timestamp"),
        hex::encode(Sha256::digest(&body)),
    ];
    let signature = hex::decode(text("x-fal-webhook-signature")).unwrap();
    let verified =
        UnparsedPublicKey::new(&ED25519, key).verify(message.join("\n").as_bytes(), &signature);
    assert!(verified.is_ok());
}
