//! Fills in what teloxide insists on and we do not need: a server that leaves it out is understood.

use serde_json::{Map, Value, json};

/// The kinds of updates that bring a message.
const MESSAGES: [&str; 2] = ["message", "edited_message"];

/// What a message about money carries.
const PAYMENTS: [&str; 2] = ["successful_payment", "refunded_payment"];

/// Whether an update tells of money, readable or not.
pub fn is_about_money(body: &str) -> bool {
    let update: Value = serde_json::from_str(body).unwrap_or_default();
    PAYMENTS.iter().any(|kind| update.pointer(&format!("/message/{kind}")).is_some())
}

/// Completes an update; what is there already stays as it is.
pub fn complete(update: &mut Value) {
    for kind in MESSAGES {
        if let Some(message) = update.get_mut(kind) {
            complete_message(message);
        }
    }
    if let Some(query) = update.get_mut("callback_query") {
        if let Some(id) = query.get_mut("id").filter(|id| id.is_number()) {
            *id = Value::String(id.to_string());
        }
        set(query, "chat_instance", || json!("0"));
        if let Some(user) = query.get_mut("from") {
            complete_user(user);
        }
        if let Some(message) = query.get_mut("message") {
            complete_message(message);
        }
    }
    if let Some(query) = update.get_mut("pre_checkout_query") {
        keep_only(query, &["id", "from", "currency", "total_amount", "invoice_payload"]);
        if let Some(user) = query.get_mut("from") {
            complete_user(user);
        }
    }
}

/// Completes what getMe answered.
pub(super) fn complete_me(me: &mut Value, bot_id: Option<u64>) {
    set(me, "id", || json!(bot_id.unwrap_or(0)));
    set(me, "is_bot", || json!(true));
    set(me, "username", || json!(""));
    set(me, "can_join_groups", || json!(false));
    set(me, "can_read_all_group_messages", || json!(false));
    set(me, "supports_inline_queries", || json!(false));
    set(me, "has_main_web_app", || json!(false));
    complete_user(me);
}

fn complete_message(message: &mut Value) {
    // 0 would say that the message is too old to be shown.
    set(message, "date", || json!(1));
    if let Some(user) = message.get_mut("from") {
        complete_user(user);
    }
    if let Some(chat) = message.get_mut("chat") {
        set(chat, "type", || json!("private"));
    }
    for kind in PAYMENTS {
        if let Some(payment) = message.get_mut(kind) {
            complete_payment(payment);
        }
    }
    if let Some(sizes) = message.get_mut("photo").and_then(Value::as_array_mut) {
        for size in sizes {
            complete_file(size);
            set(size, "width", || json!(0));
            set(size, "height", || json!(0));
        }
    }
    if let Some(document) = message.get_mut("document") {
        complete_file(document);
        // Text that is no media type would make the whole message unreadable.
        let is_type = |value: &Value| value.as_str().is_some_and(|text| text.contains('/'));
        if let Some(fields) = document.as_object_mut()
            && fields.get("mime_type").is_some_and(|value| !is_type(value))
        {
            fields.remove("mime_type");
        }
    }
}

/// Leaves of a payment what is needed to credit it, so that nothing that Telegram may add some day
/// makes it unreadable.
fn complete_payment(payment: &mut Value) {
    keep_only(
        payment,
        &[
            "currency",
            "total_amount",
            "invoice_payload",
            "telegram_payment_charge_id",
            "provider_payment_charge_id",
        ],
    );
    set(payment, "provider_payment_charge_id", || json!(""));
}

fn keep_only(object: &mut Value, kept: &[&str]) {
    if let Some(fields) = object.as_object_mut() {
        fields.retain(|name, _| kept.contains(&name.as_str()));
    }
}

fn complete_user(user: &mut Value) {
    set(user, "is_bot", || json!(false));
    set(user, "first_name", || json!(""));
}

fn complete_file(file: &mut Value) {
    let id = file.get("file_id").cloned().unwrap_or_default();
    set(file, "file_unique_id", || id);
}

fn set(object: &mut Value, key: &str, value: impl FnOnce() -> Value) {
    if let Some(fields) = object.as_object_mut()
        && is_missing(fields, key)
    {
        fields.insert(key.to_owned(), value());
    }
}

fn is_missing(fields: &Map<String, Value>, key: &str) -> bool {
    fields.get(key).is_none_or(Value::is_null)
}

#[cfg(test)]
mod tests {
    use teloxide::types::{Me, Update, UpdateKind};

    use super::*;

    fn read(mut update: Value) -> Update {
        complete(&mut update);
        serde_json::from_str(&update.to_string()).unwrap()
    }

    #[test]
    fn an_update_with_the_least_that_a_server_may_say_is_understood() {
        let (from, chat) = (json!({"id": 7}), json!({"id": 7}));
        let message = |content: Value| {
            let mut message = json!({"message_id": 1, "from": from, "chat": chat});
            message.as_object_mut().unwrap().extend(content.as_object().unwrap().clone());
            message
        };
        let photo = json!({"photo": [{"file_id": "f"}], "caption": "кот"});
        let document = json!({"document": {"file_id": "f", "mime_type": "image"}});
        for content in [json!({"text": "кот"}), photo, document] {
            let update = read(json!({"update_id": 1, "message": message(content)}));
            let UpdateKind::Message(message) = update.kind else { panic!("{update:?}") };
            assert!(
                message.text().is_some()
                    || message.photo().is_some()
                    || message.document().is_some()
            );
        }
        let press = json!({"id": 5, "from": from, "data": "menu", "message": message(json!({}))});
        let update = read(json!({"update_id": 2, "callback_query": press}));
        let UpdateKind::CallbackQuery(query) = update.kind else { panic!("{update:?}") };
        assert_eq!((query.id.0.as_str(), query.data.as_deref()), ("5", Some("menu")));
        let press = json!({"id": "5", "from": from, "data": "menu"});
        let update = read(json!({"update_id": 3, "callback_query": press}));
        assert!(matches!(update.kind, UpdateKind::CallbackQuery(_)), "{update:?}");
    }

    #[test]
    fn a_payment_is_read_whatever_else_telegram_says_of_it() {
        let payment = json!({
            "currency": "XTR", "total_amount": 67, "invoice_payload": "p",
            "telegram_payment_charge_id": "c", "order_info": "new", "is_recurring": "perhaps",
        });
        let message = |kind: &str| json!({"message_id": 1, "from": {"id": 7}, "chat": {"id": 7}, kind: payment});
        let paid = json!({"update_id": 1, "message": message("successful_payment")});
        assert!(is_about_money(&paid.to_string()));
        let UpdateKind::Message(paid) = read(paid).kind else { panic!("not a message") };
        assert_eq!(paid.successful_payment().unwrap().total_amount, 67);
        let refunded = read(json!({"update_id": 2, "message": message("refunded_payment")}));
        assert!(crate::handlers::stars::is_owed(&refunded), "{refunded:?}");
        let query = json!({
            "id": "1", "from": {"id": 7}, "currency": "XTR", "total_amount": 67,
            "invoice_payload": "p", "order_info": 7,
        });
        let query = read(json!({"update_id": 3, "pre_checkout_query": query}));
        assert!(matches!(query.kind, UpdateKind::PreCheckoutQuery(_)), "{query:?}");
        assert!(!is_about_money(r#"{"update_id":1,"message":{"text":"successful_payment"}}"#));
    }

    #[test]
    fn what_was_said_stays_as_it_was() {
        let mut update = json!({"update_id": 1, "message": {
            "message_id": 1, "date": 5, "text": "кот",
            "from": {"id": 7, "is_bot": false, "first_name": "А"},
            "chat": {"id": -7, "type": "group", "title": "Г"},
        }});
        let before = update.clone();
        complete(&mut update);
        assert_eq!(update, before);
    }

    #[test]
    fn the_bot_is_known_by_its_token_alone() {
        let mut me = json!({});
        complete_me(&mut me, Some(42));
        let me: Me = serde_json::from_value(me).unwrap();
        assert_eq!((me.id.0, me.username()), (42, ""));
    }
}
