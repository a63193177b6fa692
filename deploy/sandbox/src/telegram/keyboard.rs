//! `reply_markup`: inline keyboards are checked as Telegram checks them.

use serde_json::{Value, json};

use super::error::Refusal;
use super::html;
use super::params::Params;

const DATA_BYTES_MAX: usize = 64;
const BUTTONS_MAX: usize = 100;
const COPY_TEXT_MAX: usize = 256;

/// The inline keyboard of a request, if it has one with buttons.
///
/// Keyboards of other kinds are accepted and belong to no message, as in the real API.
pub(super) fn read(params: &Params) -> Result<Option<Value>, Refusal> {
    let Some(markup) = params.json("reply_markup", "reply keyboard markup")? else {
        return Ok(None);
    };
    let Value::Object(fields) = &markup else {
        return Err(Refusal::bad("object expected as reply markup"));
    };
    let Some(rows) = fields.get("inline_keyboard") else { return Ok(None) };
    let Value::Array(rows) = rows else {
        return Err(Refusal::bad("field \"inline_keyboard\" must be of type Array"));
    };
    let mut keyboard = Vec::new();
    for row in rows {
        let Value::Array(row) = row else {
            return Err(Refusal::bad(
                "field \"inline_keyboard\" must be an Array of Arrays of InlineKeyboardButton",
            ));
        };
        let row = row.iter().map(button).collect::<Result<Vec<_>, _>>()?;
        if !row.is_empty() {
            keyboard.push(Value::Array(row));
        }
    }
    let count: usize = keyboard.iter().filter_map(Value::as_array).map(Vec::len).sum();
    if count > BUTTONS_MAX {
        return Err(Refusal::bad("reply markup is too long"));
    }
    Ok((count > 0).then(|| json!({"inline_keyboard": keyboard})))
}

fn button(button: &Value) -> Result<Value, Refusal> {
    let wrong =
        |problem: &str| Refusal::bad(format_args!("can't parse inline keyboard button: {problem}"));
    let Value::Object(fields) = button else {
        return Err(wrong("InlineKeyboardButton must be an Object"));
    };
    let string = |name: &str| match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err(wrong(&format!("Field \"{name}\" must be of type String"))),
    };
    let text = string("text")?.ok_or_else(|| wrong("Can't find field \"text\""))?;
    if text.trim().is_empty() {
        return Err(Refusal::bad("inline keyboard button text must be non-empty"));
    }
    if let Some(url) = string("url")? {
        let url = html::link(url).ok_or_else(|| {
            Refusal::bad(format_args!(
                "inline keyboard button URL '{url}' is invalid: Wrong HTTP URL"
            ))
        })?;
        return Ok(json!({"text": text, "url": url}));
    }
    if let Some(data) = string("callback_data")? {
        if data.is_empty() || data.len() > DATA_BYTES_MAX {
            return Err(Refusal::bad("BUTTON_DATA_INVALID"));
        }
        return Ok(json!({"text": text, "callback_data": data}));
    }
    if let Some(copied) = fields.get("copy_text") {
        let copied = copied.get("text").and_then(Value::as_str).unwrap_or_default();
        if !(1..=COPY_TEXT_MAX).contains(&copied.chars().count()) {
            return Err(Refusal::bad("BUTTON_COPY_TEXT_INVALID"));
        }
        return Ok(json!({"text": text, "copy_text": {"text": copied}}));
    }
    for other in ["web_app", "login_url", "switch_inline_query", "switch_inline_query_current_chat"]
    {
        if let Some(value) = fields.get(other) {
            return Ok(json!({"text": text, other: value}));
        }
    }
    Err(wrong("Text buttons are unallowed in the inline keyboard"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(markup: &str, expected: Result<Option<&str>, &str>) {
        let expected = match expected {
            Ok(keyboard) => Ok(keyboard.map(|text| serde_json::from_str(text).unwrap())),
            Err(problem) => Err(Refusal::bad(problem)),
        };
        assert_eq!(read(&Params::of(&[("reply_markup", markup)])), expected, "{markup}");
    }

    #[test]
    fn keyboards_are_checked() {
        let good = r#"{"inline_keyboard":[[{"text":"a","callback_data":"b"}]]}"#;
        check(good, Ok(Some(good)));
        check(r#"{"inline_keyboard":[]}"#, Ok(None));
        check(r#"{"inline_keyboard":[[]]}"#, Ok(None));
        check(r#"{"remove_keyboard":true}"#, Ok(None));
        check("{", Err("can't parse reply keyboard markup JSON object"));
        check("[]", Err("object expected as reply markup"));
        check(
            r#"{"inline_keyboard":[[{"text":"a"}]]}"#,
            Err(
                "can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard",
            ),
        );
        check(
            r#"{"inline_keyboard":[[{"callback_data":"a"}]]}"#,
            Err("can't parse inline keyboard button: Can't find field \"text\""),
        );
        check(
            r#"{"inline_keyboard":[[{"text":"a","url":"не ссылка"}]]}"#,
            Err("inline keyboard button URL 'не ссылка' is invalid: Wrong HTTP URL"),
        );
    }

    #[test]
    fn callback_data_is_64_bytes_and_not_64_letters() {
        let keyboard =
            |data: &str| json!({"inline_keyboard": [[{"text": "a", "callback_data": data}]]});
        for (data, fits) in
            [("ы".repeat(32), true), ("ы".repeat(33), false), (String::new(), false)]
        {
            let markup = keyboard(&data).to_string();
            let read = read(&Params::of(&[("reply_markup", &markup)]));
            assert_eq!(read.is_ok(), fits, "{data:?}");
        }
    }
}
