//! Pictures and files, both ways.

use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::bot::{Sandbox, TOKEN, png};

fn file(bytes: Vec<u8>, name: &str) -> Part {
    Part::bytes(bytes).file_name(name.to_owned())
}

async fn download(sandbox: &Sandbox, file_id: &Value) -> Vec<u8> {
    let found = sandbox.bot("getFile", json!({"file_id": file_id})).await.result();
    let path = found["file_path"].as_str().unwrap().replace('/', "%2F");
    let url = sandbox.url(&format!("/telegram/file/bot{TOKEN}/{path}"));
    let answer = sandbox.http.get(url).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let bytes = answer.bytes().await.unwrap().to_vec();
    assert_eq!(found["file_size"].as_u64().unwrap(), bytes.len() as u64);
    bytes
}

#[tokio::test]
async fn a_photo_of_the_user_comes_small_and_as_jpeg() {
    let sandbox = Sandbox::start().await;
    let id = sandbox.user().await;
    let answer =
        sandbox.play_bytes(&format!("/users/{id}/photo?caption=Кот"), png(2000, 1000)).await;
    assert_eq!(answer.status, 200, "{}", answer.body);

    let message = sandbox.updates().await[0]["message"].clone();
    assert_eq!(message["caption"], "Кот");
    let sizes = message["photo"].as_array().unwrap();
    let widths: Vec<_> = sizes.iter().map(|size| size["width"].as_u64().unwrap()).collect();
    assert_eq!(widths, [90, 320, 800, 1280]);
    let bytes = download(&sandbox, &sizes[3]["file_id"]).await;
    assert_eq!(image::guess_format(&bytes).unwrap(), image::ImageFormat::Jpeg);
    assert_eq!(image::load_from_memory(&bytes).unwrap().width(), 1280);

    let text = sandbox.play_bytes(&format!("/users/{id}/photo"), b"not a picture".to_vec()).await;
    assert_eq!(text.status, 400);
}

#[tokio::test]
async fn a_file_of_the_user_comes_as_it_is() {
    let sandbox = Sandbox::start().await;
    let id = sandbox.user().await;
    let bytes = b"a text that is called a picture".to_vec();
    sandbox.play_bytes(&format!("/users/{id}/document?file_name=photo.jpg"), bytes.clone()).await;
    sandbox
        .play_bytes(
            &format!("/users/{id}/document?file_name=big.png&pretend_size=31457280"),
            png(8, 8),
        )
        .await;

    let updates = sandbox.updates().await;
    let document = &updates[0]["message"]["document"];
    assert_eq!(
        (&document["file_name"], &document["mime_type"]),
        (&json!("photo.jpg"), &json!("image/jpeg"))
    );
    assert_eq!(download(&sandbox, &document["file_id"]).await, bytes);

    let big = &updates[1]["message"]["document"];
    assert_eq!(big["file_size"], 31_457_280);
    let refused = sandbox.bot("getFile", json!({"file_id": big["file_id"]})).await;
    refused.refused(400, "Bad Request: file is too big");
}

#[tokio::test]
async fn a_photo_of_the_bot_is_made_small_and_can_be_sent_again_by_its_id() {
    let sandbox = Sandbox::start().await;
    let id = sandbox.user().await;
    let form = Form::new()
        .text("chat_id", id.to_string())
        .text("photo", "attach://0123456789abcdef0123456789abcdef")
        .text("caption", "<i>вот</i>")
        .text("parse_mode", "HTML")
        .part("0123456789abcdef0123456789abcdef", file(png(1600, 1600), "result.png"));
    let sent = sandbox.upload("SendPhoto", form).await.result();
    let largest = sent["photo"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&largest["width"], &largest["height"]), (&json!(1280), &json!(1280)));
    assert_eq!(sent["caption_entities"][0]["type"], "italic");

    let again = json!({"chat_id": id, "photo": sent["photo"][0]["file_id"]});
    let again = sandbox.bot("sendPhoto", again).await.result();
    assert_eq!(again["photo"], sent["photo"]);
    let as_document = json!({"chat_id": id, "document": largest["file_id"]});
    let answer = sandbox.bot("sendDocument", as_document).await;
    answer.refused(400, "Bad Request: can't use file of type Photo as Document");

    let shown = sandbox.look(&format!("/users/{id}/chat")).await["messages"][1].clone();
    let url = sandbox.url(shown["photo"]["url"].as_str().unwrap());
    let picture = sandbox.http.get(url).send().await.unwrap();
    assert_eq!(picture.headers()["content-type"], "image/jpeg");
    assert_eq!(picture.headers()["x-content-type-options"], "nosniff");
}

#[tokio::test]
async fn what_is_no_photo_is_refused_and_goes_as_a_file() {
    let sandbox = Sandbox::start().await;
    let id = sandbox.user().await;
    let send = |method: &'static str, field: &'static str, bytes: Vec<u8>| {
        let form = Form::new().text("chat_id", id.to_string()).part(field, file(bytes, "a.png"));
        sandbox.upload(method, form)
    };
    let mut too_heavy = png(100, 100);
    too_heavy.resize(10 * 1024 * 1024 + 1, 0);
    for (bytes, description) in [
        (b"text".to_vec(), "Bad Request: IMAGE_PROCESS_FAILED".to_owned()),
        (png(10, 201), "Bad Request: PHOTO_INVALID_DIMENSIONS".to_owned()),
        (png(9000, 1001), "Bad Request: PHOTO_INVALID_DIMENSIONS".to_owned()),
        (Vec::new(), "Bad Request: file must be non-empty".to_owned()),
        (too_heavy.clone(), "Bad Request: file of size 10485761 bytes is too big for a photo; the maximum size is 10485760 bytes".to_owned()),
    ] {
        send("sendPhoto", "photo", bytes).await.refused(400, &description);
    }
    send("sendPhoto", "photo", png(10, 200)).await.result();

    let sent = send("sendDocument", "document", too_heavy.clone()).await.result();
    assert_eq!(sent["document"]["file_name"], "a.png");
    assert_eq!(download(&sandbox, &sent["document"]["file_id"]).await, too_heavy);
    send("sendDocument", "document", vec![0; 51 * 1024 * 1024])
        .await
        .refused(413, "Request Entity Too Large");
}

#[tokio::test]
async fn an_album_is_so_many_messages_with_one_group() {
    let sandbox = Sandbox::start().await;
    let id = sandbox.user().await;
    let media = json!([
        {"type": "photo", "media": "attach://one", "caption": "первая"},
        {"type": "photo", "media": "attach://two"},
    ]);
    let form = |media: &Value| {
        Form::new()
            .text("chat_id", id.to_string())
            .text("media", media.to_string())
            .part("one", file(png(20, 20), "1.png"))
            .part("two", file(png(30, 20), "2.png"))
    };
    let sent = sandbox.upload("sendMediaGroup", form(&media)).await.result();
    assert_eq!(sent.as_array().unwrap().len(), 2);
    assert_eq!(sent[0]["caption"], "первая");
    assert!(sent[0]["media_group_id"].is_string());
    assert_eq!(sent[0]["media_group_id"], sent[1]["media_group_id"]);

    let mut mixed = media.clone();
    mixed[1]["type"] = json!("document");
    let answer = sandbox.upload("sendMediaGroup", form(&mixed)).await;
    answer.refused(400, "Bad Request: document can't be mixed with other media types");

    for caption in ["a", "b"] {
        sandbox
            .play_bytes(&format!("/users/{id}/photo?media_group_id=7&caption={caption}"), png(9, 9))
            .await;
    }
    let updates = sandbox.updates().await;
    assert!(updates.iter().all(|update| update["message"]["media_group_id"] == "7"));
}

#[tokio::test]
async fn a_status_message_becomes_the_result() {
    let sandbox = Sandbox::start().await;
    let id = sandbox.user().await;
    let form =
        Form::new().text("chat_id", id.to_string()).part("photo", file(png(20, 20), "1.png"));
    let sent = sandbox.upload("sendPhoto", form).await.result();

    let form = Form::new()
        .text("chat_id", id.to_string())
        .text("message_id", sent["message_id"].to_string())
        .text("media", json!({"type": "document", "media": "attach://x", "caption": "<b>готово</b>", "parse_mode": "HTML"}).to_string())
        .part("x", file(png(33, 20), "original.png"));
    let edited = sandbox.upload("editMessageMedia", form).await.result();
    assert_eq!(edited["message_id"], sent["message_id"]);
    assert_eq!(edited["document"]["file_name"], "original.png");
    assert_eq!(edited["caption"], "готово");

    let caption = json!({"chat_id": id, "message_id": sent["message_id"], "caption": "иначе"});
    assert_eq!(sandbox.bot("editMessageCaption", caption).await.result()["caption"], "иначе");
    let copy = json!({"chat_id": id, "from_chat_id": id, "message_id": sent["message_id"]});
    let copied = sandbox.bot("copyMessage", copy).await.result()["message_id"].as_i64().unwrap();
    assert!(copied > sent["message_id"].as_i64().unwrap());
}

#[tokio::test]
async fn a_file_that_could_run_in_the_page_is_only_saved() {
    let sandbox = Sandbox::start().await;
    let id = sandbox.user().await;
    let page = b"<script>alert(1)</script>".to_vec();
    sandbox
        .play_bytes(&format!("/users/{id}/document?file_name=a.html&mime_type=text/html"), page)
        .await;
    let shown = sandbox.look(&format!("/users/{id}/chat")).await["messages"][1].clone();
    let url = sandbox.url(shown["document"]["url"].as_str().unwrap());
    let answer = sandbox.http.get(url).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/octet-stream");
    assert_eq!(answer.headers()["content-disposition"], "attachment");
}
