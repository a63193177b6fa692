//! The Bot API, as strict as Telegram's.

use std::time::Duration;

use serde_json::{Value, json};

use crate::bot::{Sandbox, TOKEN, png};

fn keyboard(data: &str) -> Value {
    json!({"inline_keyboard": [[{"text": "a", "callback_data": data}]]})
}

#[tokio::test]
async fn a_user_and_the_bot_talk() {
    let sandbox = Sandbox::start().await;
    let user = sandbox.play("/users", json!({"first_name": "Вера", "username": "vera"})).await;
    assert_eq!(user["id"], 1001);
    let asked = sandbox.play("/users/1001/text", json!({"text": "/start ref_1"})).await;

    let updates = sandbox.updates().await;
    let message = &updates[0]["message"];
    assert_eq!(message["message_id"], asked["message_id"]);
    assert_eq!(message["text"], "/start ref_1");
    assert_eq!(
        message["chat"],
        json!({"id": 1001, "type": "private", "first_name": "Вера", "username": "vera"})
    );
    assert_eq!(message["from"]["language_code"], "ru");
    assert_eq!(message["entities"], json!([{"type": "bot_command", "offset": 0, "length": 6}]));

    let sent = sandbox
        .bot("SendMessage", json!({"chat_id": 1001, "text": "Привет, <b>Вера</b> &amp; все", "parse_mode": "HTML", "reply_markup": keyboard("menu")}))
        .await
        .result();
    assert_eq!(sent["text"], "Привет, Вера & все");
    assert_eq!(sent["entities"], json!([{"type": "bold", "offset": 8, "length": 4}]));
    assert_eq!(sent["from"]["is_bot"], true);

    let chat = sandbox.look("/users/1001/chat").await;
    let shown = &chat["messages"][1];
    assert_eq!(shown["from"], "bot");
    assert_eq!(shown["text"], "Привет, Вера & все");
    assert_eq!(shown["html"], "Привет, <b>Вера</b> &amp; все");
    assert_eq!(shown["buttons"], json!([[{"text": "a", "data": "menu"}]]));
}

#[tokio::test]
async fn parameters_come_in_every_way_that_telegram_takes() {
    let sandbox = Sandbox::start().await;
    let id = sandbox.user().await;
    let url = sandbox.url(&format!("/telegram/bot{TOKEN}/sendmessage"));
    let form = reqwest::multipart::Form::new().text("chat_id", id.to_string()).text("text", "form");
    let requests = [
        sandbox.http.get(format!("{url}?chat_id={id}&text=query")),
        sandbox
            .http
            .post(&url)
            .query(&[("chat_id", id.to_string())])
            .json(&json!({"text": "json"})),
        sandbox
            .http
            .post(&url)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(format!("chat_id={id}&text=urlencoded")),
        sandbox.http.post(&url).multipart(form),
    ];
    for request in requests {
        Sandbox::answer(request).await.result();
    }
    let chat = sandbox.look(&format!("/users/{id}/chat")).await;
    let texts: Vec<_> =
        chat["messages"].as_array().unwrap().iter().map(|m| m["text"].clone()).collect();
    assert_eq!(texts, ["/start", "query", "json", "urlencoded", "form"]);
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table: one row per refusal")]
async fn what_telegram_refuses_is_refused_in_its_words() {
    let sandbox = Sandbox::start().await;
    let id = sandbox.user().await;
    sandbox.play("/users", json!({"id": 77})).await;
    let text = sandbox
        .bot("sendMessage", json!({"chat_id": id, "text": "a", "reply_markup": keyboard("a")}))
        .await;
    let text = text.result()["message_id"].clone();
    let not_modified = "Bad Request: message is not modified: specified new message content and reply markup are exactly the same as a current content and reply markup of the message";

    for (method, params, description) in [
        ("sendMessage", json!({"text": "a"}), "Bad Request: chat_id is empty"),
        ("sendMessage", json!({"chat_id": 5, "text": "a"}), "Bad Request: chat not found"),
        ("sendMessage", json!({"chat_id": 77, "text": "a"}), "Bad Request: chat not found"),
        ("sendMessage", json!({"chat_id": id}), "Bad Request: message text is empty"),
        (
            "sendMessage",
            json!({"chat_id": id, "text": " \n "}),
            "Bad Request: message text is empty",
        ),
        (
            "sendMessage",
            json!({"chat_id": id, "text": "<b></b>", "parse_mode": "HTML"}),
            "Bad Request: message text is empty",
        ),
        (
            "sendMessage",
            json!({"chat_id": id, "text": "я".repeat(4097)}),
            "Bad Request: message is too long",
        ),
        (
            "sendMessage",
            json!({"chat_id": id, "text": "<b>a", "parse_mode": "HTML"}),
            "Bad Request: can't parse entities: Can't find end tag corresponding to start tag \"b\"",
        ),
        (
            "sendMessage",
            json!({"chat_id": id, "text": "a", "parse_mode": "BBCode"}),
            "Bad Request: unsupported parse_mode",
        ),
        (
            "sendMessage",
            json!({"chat_id": id, "text": "a", "reply_markup": keyboard(&"я".repeat(33))}),
            "Bad Request: BUTTON_DATA_INVALID",
        ),
        (
            "sendMessage",
            json!({"chat_id": id, "text": "a", "reply_markup": {"inline_keyboard": [[{"text": "a"}]]}}),
            "Bad Request: can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard",
        ),
        (
            "sendMessage",
            json!({"chat_id": id, "text": "a", "reply_parameters": {"message_id": 999}}),
            "Bad Request: message to be replied not found",
        ),
        ("sendPhoto", json!({"chat_id": id}), "Bad Request: there is no photo in the request"),
        (
            "sendPhoto",
            json!({"chat_id": id, "photo": "nonsense"}),
            "Bad Request: wrong file identifier/HTTP URL specified",
        ),
        (
            "sendPhoto",
            json!({"chat_id": id, "photo": "a", "caption": "я".repeat(1025)}),
            "Bad Request: message caption is too long",
        ),
        (
            "sendMediaGroup",
            json!({"chat_id": id, "media": vec![json!({}); 11]}),
            "Bad Request: too many messages to send as an album",
        ),
        (
            "editMessageText",
            json!({"chat_id": id, "message_id": text, "text": "a", "reply_markup": keyboard("a")}),
            not_modified,
        ),
        (
            "editMessageReplyMarkup",
            json!({"chat_id": id, "message_id": text, "reply_markup": keyboard("a")}),
            not_modified,
        ),
        (
            "editMessageText",
            json!({"chat_id": id, "message_id": 999, "text": "b"}),
            "Bad Request: message to edit not found",
        ),
        (
            "editMessageText",
            json!({"chat_id": id, "text": "b"}),
            "Bad Request: message identifier is not specified",
        ),
        (
            "editMessageText",
            json!({"chat_id": id, "message_id": 1, "text": "b"}),
            "Bad Request: message can't be edited",
        ),
        (
            "editMessageCaption",
            json!({"chat_id": id, "message_id": text, "caption": "b"}),
            "Bad Request: there is no caption in the message to edit",
        ),
        (
            "deleteMessage",
            json!({"chat_id": id, "message_id": 999}),
            "Bad Request: message to delete not found",
        ),
        (
            "copyMessage",
            json!({"chat_id": id, "from_chat_id": id, "message_id": 999}),
            "Bad Request: message to copy not found",
        ),
        (
            "answerCallbackQuery",
            json!({"callback_query_id": "1"}),
            "Bad Request: query is too old and response timeout expired or query ID is invalid",
        ),
        (
            "answerCallbackQuery",
            json!({"callback_query_id": "1", "text": "я".repeat(201)}),
            "Bad Request: MESSAGE_TOO_LONG",
        ),
        ("getFile", json!({"file_id": "nonsense"}), "Bad Request: invalid file_id"),
        (
            "sendChatAction",
            json!({"chat_id": id, "action": "dance"}),
            "Bad Request: wrong parameter action in request",
        ),
        (
            "setMyCommands",
            json!({"commands": [{"command": "Старт", "description": "a"}]}),
            "Bad Request: BOT_COMMAND_INVALID",
        ),
    ] {
        let answer = sandbox.bot(method, params.clone()).await;
        assert_eq!(answer.body["description"], description, "{method} {params}");
        answer.refused(400, description);
    }
    assert_eq!(
        sandbox.look(&format!("/users/{id}/chat")).await["messages"].as_array().unwrap().len(),
        2
    );
}

#[tokio::test]
async fn a_limit_is_kept_to_the_letter() {
    let sandbox = Sandbox::start().await;
    let id = sandbox.user().await;
    let exactly = format!("<b>{}</b>", "я".repeat(4096));

    sandbox
        .bot("sendMessage", json!({"chat_id": id, "text": exactly, "parse_mode": "HTML", "reply_markup": keyboard(&"я".repeat(32))}))
        .await
        .result();
}

#[tokio::test]
async fn only_the_bot_with_its_methods_is_known() {
    let sandbox = Sandbox::start().await;
    for (path, code, description) in [
        (format!("/telegram/bot{TOKEN}/sendSticker"), 404, "Not Found"),
        (format!("/telegram/bot{TOKEN}/"), 404, "Not Found"),
        ("/telegram/bot4242424242:wrong/getMe".to_owned(), 401, "Unauthorized"),
        ("/telegram/botnonsense/getMe".to_owned(), 404, "Not Found"),
        (format!("/telegram/file/bot{TOKEN}/photos/file_1.jpg"), 404, "Not Found"),
        (format!("/telegram/file/bot{TOKEN}/..%2Fstate.json"), 404, "Not Found"),
        ("/telegram/file/bot4242424242:wrong/photos/file_1.jpg".to_owned(), 401, "Unauthorized"),
    ] {
        Sandbox::answer(sandbox.http.get(sandbox.url(&path))).await.refused(code, description);
    }
    let me = sandbox.bot("GetMe", json!({})).await.result();
    assert_eq!((&me["id"], &me["is_bot"]), (&json!(4_242_424_242_i64), &json!(true)));
}

#[tokio::test]
async fn a_poll_waits_for_an_update_and_an_offset_confirms_it() {
    let sandbox = Sandbox::start().await;
    let id = sandbox.user().await;

    let (polled, ()) = tokio::join!(sandbox.bot("getUpdates", json!({"timeout": 30})), async {
        poll_is_waiting(&sandbox).await;
        sandbox.play(&format!("/users/{id}/text"), json!({"text": "привет"})).await;
    });
    let first = polled.result();
    assert_eq!(first[0]["message"]["text"], "привет");

    let again = sandbox.bot("getUpdates", json!({})).await.result();
    assert_eq!(again, first, "what is not confirmed comes again");
    let next = first[0]["update_id"].as_i64().unwrap() + 1;
    let confirmed = sandbox.bot("getUpdates", json!({"offset": next})).await.result();
    assert_eq!(confirmed, json!([]));
}

#[tokio::test]
async fn a_newer_poll_ends_an_older_one() {
    let sandbox = Sandbox::start().await;
    let (older, newer) = tokio::join!(sandbox.bot("getUpdates", json!({"timeout": 30})), async {
        poll_is_waiting(&sandbox).await;
        sandbox.bot("getUpdates", json!({"timeout": 0})).await
    });
    older.refused(
        409,
        "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running",
    );
    assert_eq!(newer.result(), json!([]));
}

#[tokio::test]
async fn kinds_that_were_not_asked_for_do_not_come() {
    let sandbox = Sandbox::start().await;
    let id = sandbox.user().await;
    sandbox.bot("getUpdates", json!({"allowed_updates": ["callback_query"]})).await.result();

    sandbox.play(&format!("/users/{id}/text"), json!({"text": "a"})).await;
    sandbox.play(&format!("/users/{id}/press"), json!({"message_id": 1, "data": "b"})).await;

    let updates = sandbox.updates().await;
    assert_eq!(updates.len(), 1);
    assert_eq!(updates[0]["callback_query"]["data"], "b");
}

async fn poll_is_waiting(sandbox: &Sandbox) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    // Pages ask the same way whether anybody listens to the user.
    while sandbox.look("/bot").await["waiting"] != json!(true) {
        assert!(tokio::time::Instant::now() < deadline, "nobody polls");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_press_is_answered_once() {
    let sandbox = Sandbox::start().await;
    let id = sandbox.user().await;
    let sent = sandbox
        .bot("sendMessage", json!({"chat_id": id, "text": "меню", "reply_markup": keyboard("go")}))
        .await
        .result();
    let pressed = sandbox
        .play(
            &format!("/users/{id}/press"),
            json!({"message_id": sent["message_id"], "data": "go"}),
        )
        .await;
    let callback_id = pressed["callback_query_id"].as_str().unwrap();

    let query = sandbox.updates().await[0]["callback_query"].clone();
    assert_eq!(query["id"], callback_id);
    assert_eq!(query["from"]["id"], id);
    assert_eq!(query["message"]["text"], "меню");
    assert_eq!(sandbox.look(&format!("/callbacks/{callback_id}")).await["answered"], false);

    let answer = json!({"callback_query_id": callback_id, "text": "готово", "show_alert": true});
    assert_eq!(sandbox.bot("answerCallbackQuery", answer.clone()).await.result(), json!(true));
    sandbox.bot("answerCallbackQuery", answer).await.refused(
        400,
        "Bad Request: query is too old and response timeout expired or query ID is invalid",
    );
    assert_eq!(
        sandbox.look(&format!("/callbacks/{callback_id}")).await,
        json!({"answered": true, "text": "готово", "show_alert": true})
    );
}

#[tokio::test]
async fn a_button_of_a_message_that_is_gone_can_still_be_pressed() {
    let sandbox = Sandbox::start().await;
    let id = sandbox.user().await;
    sandbox.play(&format!("/users/{id}/press"), json!({"message_id": 500, "data": "старое"})).await;

    let query = sandbox.updates().await[0]["callback_query"].clone();
    assert_eq!(query["message"]["date"], 0);
    assert_eq!(query["message"]["message_id"], 500);
}

#[tokio::test]
async fn an_edit_and_a_deletion_reach_who_watches_the_chat() {
    let sandbox = Sandbox::start().await;
    let id = sandbox.user().await;
    let sent = sandbox
        .bot("sendMessage", json!({"chat_id": id, "text": "ждём", "reply_markup": keyboard("a")}))
        .await
        .result();
    let seq = sandbox.look(&format!("/users/{id}/chat")).await["seq"].as_u64().unwrap();

    let watch = format!("/users/{id}/chat?after={seq}&wait_ms=20000");
    let edit = json!({"chat_id": id, "message_id": sent["message_id"], "text": "готово"});
    let (seen, edited) = tokio::join!(sandbox.look(&watch), sandbox.bot("editMessageText", edit));
    let edited = edited.result();
    assert!(edited["edit_date"].is_i64());
    assert!(edited.get("reply_markup").is_none(), "an edit without a keyboard takes it away");
    let message = &seen["messages"][0];
    assert_eq!((&message["text"], &message["edited"]), (&json!("готово"), &json!(true)));
    assert!(message.get("buttons").is_none());

    sandbox
        .bot("deleteMessage", json!({"chat_id": id, "message_id": sent["message_id"]}))
        .await
        .result();
    let seen = sandbox.look(&format!("/users/{id}/chat?after={}", seen["seq"])).await;
    assert_eq!(seen["messages"][0]["deleted"], true);
}

#[tokio::test]
async fn a_user_who_blocked_the_bot_gets_nothing() {
    let sandbox = Sandbox::start().await;
    let id = sandbox.user().await;
    sandbox.play(&format!("/users/{id}/block"), json!({})).await;

    let message = json!({"chat_id": id, "text": "a"});
    sandbox
        .bot("sendMessage", message.clone())
        .await
        .refused(403, "Forbidden: bot was blocked by the user");
    let member = sandbox.updates().await[0]["my_chat_member"].clone();
    assert_eq!(member["new_chat_member"]["status"], "kicked");

    sandbox.play(&format!("/users/{id}/unblock"), json!({})).await;
    sandbox.bot("sendMessage", message).await.result();
    assert_eq!(sandbox.updates().await[0]["my_chat_member"]["new_chat_member"]["status"], "member");
}

#[tokio::test]
async fn a_restart_forgets_nothing() {
    let sandbox = Sandbox::start().await;
    let id = sandbox.user().await;
    sandbox.play_bytes(&format!("/users/{id}/photo?caption=фото"), png(40, 30)).await;
    sandbox
        .bot("setMyCommands", json!({"commands": [{"command": "start", "description": "Меню"}]}))
        .await
        .result();

    let sandbox = sandbox.restarted().await;

    let update = sandbox.updates().await[0].clone();
    assert_eq!(update["message"]["caption"], "фото");
    let file_id = update["message"]["photo"][0]["file_id"].clone();
    let file = sandbox.bot("getFile", json!({"file_id": file_id})).await.result();
    let path = file["file_path"].as_str().unwrap();
    let url = sandbox.url(&format!("/telegram/file/bot{TOKEN}/{path}"));
    let bytes = sandbox.http.get(url).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(bytes.len() as u64, file["file_size"].as_u64().unwrap());
    assert_eq!(sandbox.bot("getMyCommands", json!({})).await.result()[0]["command"], "start");
    let next = sandbox.bot("sendMessage", json!({"chat_id": id, "text": "a"})).await.result();
    assert!(next["message_id"].as_i64() > update["message"]["message_id"].as_i64());
}

#[tokio::test]
async fn faults_strike_as_often_as_they_were_told_to() {
    let sandbox = Sandbox::start().await;
    let id = sandbox.user().await;
    let message = json!({"chat_id": id, "text": "a"});

    sandbox.switch(json!({"telegram": "too_many_requests", "telegram_count": 1})).await;
    let answer = sandbox.bot("sendMessage", message.clone()).await;
    answer.refused(429, "Too Many Requests: retry after 1");
    assert_eq!(answer.body["parameters"], json!({"retry_after": 1}));
    sandbox.bot("sendMessage", message.clone()).await.result();

    sandbox.switch(json!({"telegram": "drop_after", "telegram_count": 1})).await;
    let url = sandbox.url(&format!("/telegram/bot{TOKEN}/sendMessage"));
    let dropped = sandbox.http.post(url).json(&message).send().await;
    assert!(dropped.is_err(), "the connection is closed without an answer");
    let chat = sandbox.look(&format!("/users/{id}/chat")).await;
    assert_eq!(chat["messages"].as_array().unwrap().len(), 3, "but the message is there");

    sandbox.switch(json!({"telegram": "repeat_updates", "telegram_count": 1})).await;
    sandbox.play(&format!("/users/{id}/text"), json!({"text": "дважды"})).await;
    let first = sandbox.bot("getUpdates", json!({})).await.result();
    let next = first[0]["update_id"].as_i64().unwrap() + 1;
    let second = sandbox.bot("getUpdates", json!({"offset": next})).await.result();
    assert_eq!(second, first, "the same update comes once more");
    assert_eq!(sandbox.bot("getUpdates", json!({"offset": next})).await.result(), json!([]));
}

#[tokio::test]
async fn what_was_called_is_remembered_without_its_contents() {
    let sandbox = Sandbox::start().await;
    let id = sandbox.user().await;
    sandbox.bot("SendMessage", json!({"chat_id": id, "text": "тайна"})).await.result();
    sandbox.bot("SendMessage", json!({"chat_id": 5, "text": "тайна"})).await;

    let seen = sandbox.look("/seen?method=sendmessage").await;
    let calls = seen["calls"].as_array().unwrap();
    let calls: Vec<_> = calls
        .iter()
        .map(|call| (call["method"].as_str().unwrap(), call["status"].as_u64().unwrap()))
        .collect();
    assert_eq!(calls, [("SendMessage", 200), ("SendMessage", 400)]);
    assert!(!seen.to_string().contains("тайна"));
}
