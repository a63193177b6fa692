//! A person in the bot's chat: says, taps, sends pictures, and waits for what the bot answers.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::world::{PATIENCE, World};

/// One Telegram user.
pub(crate) struct Person {
    pub(crate) id: i64,
    sandbox: String,
    http: reqwest::Client,
}

/// One message of the chat, as the person sees it.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) id: i64,
    pub(crate) text: String,
    pub(crate) picture_url: Option<String>,
    pub(crate) buttons: Vec<(String, Value)>,
}

impl Message {
    fn says(&self, part: &str) -> bool {
        self.text.contains(part) || self.buttons.iter().any(|(label, _)| label.contains(part))
    }
}

impl Person {
    pub(crate) fn new(world: &World, id: i64) -> Self {
        Self { id, sandbox: world.sandbox.clone(), http: world.http.clone() }
    }

    /// Types a message; answers with its number.
    pub(crate) async fn say(&self, text: &str) -> i64 {
        let sent = self.post("text", &json!({ "text": text })).await;
        sent["message_id"].as_i64().unwrap()
    }

    /// Sends a picture as a photo.
    pub(crate) async fn send_photo(&self, picture: Vec<u8>) -> i64 {
        self.post_bytes("photo", picture).await
    }

    /// Sends a picture as a photo, with words below it.
    pub(crate) async fn send_captioned_photo(&self, picture: Vec<u8>, caption: &str) -> i64 {
        let query: String = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("caption", caption)
            .finish();
        self.post_bytes(&format!("photo?{query}"), picture).await
    }

    /// Sends a file.
    pub(crate) async fn send_file(&self, name: &str, bytes: Vec<u8>) -> i64 {
        self.post_bytes(&format!("document?file_name={name}"), bytes).await
    }

    /// Taps the button of which `label` is a part, on the newest message that has it.
    pub(crate) async fn tap(&self, label: &str) {
        let (message_id, data) = self.button(label).await;
        self.press(message_id, &data).await;
    }

    /// The newest message with such a button, and what the button carries.
    pub(crate) async fn button(&self, label: &str) -> (i64, String) {
        self.until(&format!("a button {label:?}"), |messages| {
            messages.iter().rev().find_map(|message| {
                let (_, button) = message.buttons.iter().find(|(text, _)| text.contains(label))?;
                Some((message.id, button["data"].as_str()?.to_owned()))
            })
        })
        .await
    }

    /// Presses a button that carries `data`, whether the message has it or not.
    pub(crate) async fn press(&self, message_id: i64, data: &str) -> String {
        let pressed = self.post("press", &json!({ "message_id": message_id, "data": data })).await;
        pressed["callback_query_id"].as_str().unwrap().to_owned()
    }

    /// Waits for a message of the bot, after message `after`, with `part` in its words or buttons.
    pub(crate) async fn hears(&self, after: i64, part: &str) -> Message {
        self.until(&format!("{part:?} after message {after}"), |messages| {
            messages.iter().find(|m| m.id > after && m.says(part)).cloned()
        })
        .await
    }

    /// Waits for the bot's picture or file after message `after`, and loads it.
    pub(crate) async fn receives(&self, after: i64) -> (Message, Vec<u8>) {
        let message = self
            .until(&format!("a picture after message {after}"), |messages| {
                messages.iter().find(|m| m.id > after && m.picture_url.is_some()).cloned()
            })
            .await;
        let url = message.picture_url.as_ref().unwrap();
        let answer = self.http.get(format!("{}{url}", self.sandbox)).send().await.unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
        let bytes = answer.bytes().await.unwrap().to_vec();
        (message, bytes)
    }

    /// Waits for the payment link, and answers with the payment's id in it.
    pub(crate) async fn payment_link(&self) -> String {
        let link = self
            .until("a payment link", |messages| {
                let buttons = messages.iter().rev().flat_map(|message| &message.buttons);
                buttons.filter_map(|(_, button)| button["url"].as_str()).next().map(str::to_owned)
            })
            .await;
        let (_, id) = link.split_once("orderId=").unwrap_or_else(|| panic!("{link}"));
        id.to_owned()
    }

    /// All that the bot has in the chat now.
    pub(crate) async fn messages(&self) -> Vec<Message> {
        self.chat(0, 0).await.1
    }

    /// Waits until `find` finds what it looks for among the bot's messages.
    pub(crate) async fn until<T>(&self, what: &str, find: impl Fn(&[Message]) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        let mut seq = 0;
        loop {
            let (next, _) = self.chat(seq, 500).await;
            seq = next;
            let messages = self.messages().await;
            if let Some(found) = find(&messages) {
                return found;
            }
            assert!(
                Instant::now() < deadline,
                "user {} waited for {what}; the bot's messages: {messages:#?}",
                self.id
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn chat(&self, after: i64, wait_ms: u64) -> (i64, Vec<Message>) {
        let path = format!("chat?after={after}&wait_ms={wait_ms}");
        let url = format!("{}/_sandbox/telegram/users/{}/{path}", self.sandbox, self.id);
        let answer = self.http.get(url).send().await;
        // The sandbox itself may be down for a moment: some tests kill it.
        let Ok(answer) = answer else { return (after, Vec::new()) };
        let chat: Value = answer.json().await.unwrap();
        let messages = chat["messages"].as_array().unwrap().iter();
        let of_bot = messages.filter(|m| m["from"] == "bot" && m["deleted"] != true).map(message);
        (chat["seq"].as_i64().unwrap(), of_bot.collect())
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        let url = format!("{}/_sandbox/telegram/users/{}/{path}", self.sandbox, self.id);
        let answer = self.http.post(url).json(body).send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{path}: {status}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    async fn post_bytes(&self, path: &str, bytes: Vec<u8>) -> i64 {
        let url = format!("{}/_sandbox/telegram/users/{}/{path}", self.sandbox, self.id);
        let answer = self.http.post(url).body(bytes).send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{path}: {status}: {text}");
        let sent: Value = serde_json::from_str(&text).unwrap();
        sent["message_id"].as_i64().unwrap()
    }
}

fn message(value: &Value) -> Message {
    let text = |field: &str| value[field].as_str().unwrap_or_default().to_owned();
    let url = |field: &str| value[field]["url"].as_str().map(ToOwned::to_owned);
    let rows = value["buttons"].as_array().cloned().unwrap_or_default();
    let buttons = rows.iter().filter_map(Value::as_array).flatten();
    Message {
        id: value["message_id"].as_i64().unwrap(),
        text: text("text") + &text("caption"),
        picture_url: url("photo").or_else(|| url("document")),
        buttons: buttons
            .map(|button| (button["text"].as_str().unwrap_or_default().to_owned(), button.clone()))
            .collect(),
    }
}
