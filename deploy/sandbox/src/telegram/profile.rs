//! What the bot says of itself and asks of Telegram: commands, descriptions, menu, chats, files.

use serde_json::{Value, json};

use super::error::Refusal;
use super::files::DOWNLOAD_BYTES_MAX;
use super::params::Params;
use super::send::chat_of;
use super::{Telegram, wire};

const COMMANDS_MAX: usize = 100;
const DESCRIPTION_MAX: usize = 512;
const SHORT_DESCRIPTION_MAX: usize = 120;
const NAME_MAX: usize = 64;

impl Telegram {
    /// `getMe`.
    pub(super) fn get_me(&self) -> Value {
        let mut me = self.bot();
        for no in [
            "can_join_groups",
            "can_read_all_group_messages",
            "supports_inline_queries",
            "can_connect_to_business",
            "has_main_web_app",
        ] {
            me[no] = Value::Bool(false);
        }
        me
    }

    /// `getChat`.
    pub(super) fn get_chat(&self, params: &Params) -> Result<Value, Refusal> {
        self.state.read(|state| {
            let chat_id = chat_of(state, params)?;
            let mut chat = wire::chat(&state.users[&chat_id]);
            chat["accent_color_id"] = 0.into();
            chat["max_reaction_count"] = 11.into();
            chat["accepted_gift_types"] = json!({
                "unlimited_gifts": true, "limited_gifts": true, "unique_gifts": true,
                "premium_subscription": true,
            });
            Ok(chat)
        })
    }

    /// `getFile`.
    pub(super) fn get_file(&self, params: &Params) -> Result<Value, Refusal> {
        let file_id =
            params.text("file_id").ok_or_else(|| Refusal::bad("file_id not specified"))?;
        self.state.read(|state| {
            let file = state.files.get(file_id).ok_or_else(|| Refusal::bad("invalid file_id"))?;
            if file.size > DOWNLOAD_BYTES_MAX {
                return Err(Refusal::bad("file is too big"));
            }
            Ok(json!({
                "file_id": file_id,
                "file_unique_id": file.unique_id,
                "file_size": file.size,
                "file_path": file.path,
            }))
        })
    }

    /// `setMyCommands`.
    pub(super) fn set_commands(&self, params: &Params) -> Result<Value, Refusal> {
        let Some(Value::Array(list)) = params.json("commands", "commands")? else {
            return Err(Refusal::bad("expected an Array of BotCommand"));
        };
        if list.len() > COMMANDS_MAX {
            return Err(Refusal::bad("BOT_COMMANDS_TOO_MUCH"));
        }
        let commands = list.iter().map(command).collect::<Result<Vec<_>, _>>()?;
        let key = commands_key(params)?;
        self.state.write(|state| state.profile.commands.insert(key, Value::Array(commands)));
        self.changes.send_replace(());
        Ok(Value::Bool(true))
    }

    /// `getMyCommands`.
    pub(super) fn get_commands(&self, params: &Params) -> Result<Value, Refusal> {
        let key = commands_key(params)?;
        Ok(self
            .state
            .read(|state| state.profile.commands.get(&key).cloned())
            .unwrap_or_else(|| json!([])))
    }

    /// `deleteMyCommands`.
    pub(super) fn delete_commands(&self, params: &Params) -> Result<Value, Refusal> {
        let key = commands_key(params)?;
        self.state.write(|state| state.profile.commands.remove(&key));
        self.changes.send_replace(());
        Ok(Value::Bool(true))
    }

    /// The commands that a person who speaks `language` sees.
    pub(super) fn commands_for(&self, language: &str) -> Value {
        let keys = [
            format!("all_private_chats/{language}"),
            "all_private_chats/".to_owned(),
            format!("default/{language}"),
            "default/".to_owned(),
        ];
        self.state
            .read(|state| keys.iter().find_map(|key| state.profile.commands.get(key)).cloned())
            .unwrap_or_else(|| json!([]))
    }

    /// `setMyName`, `setMyDescription`, `setMyShortDescription`.
    pub(super) fn set_said(&self, params: &Params, field: &str) -> Result<Value, Refusal> {
        let text = params.text(field).unwrap_or_default().to_owned();
        let (max, problem) = match field {
            "name" => (NAME_MAX, "BOT_TITLE_INVALID"),
            "description" => (DESCRIPTION_MAX, "BOT_DESCRIPTION_INVALID"),
            _ => (SHORT_DESCRIPTION_MAX, "BOT_ABOUT_INVALID"),
        };
        if text.chars().count() > max {
            return Err(Refusal::bad(problem));
        }
        let language = language(params)?;
        self.state.write(|state| {
            let said = match field {
                "name" => &mut state.profile.name,
                "description" => &mut state.profile.description,
                _ => &mut state.profile.short_description,
            };
            if text.is_empty() {
                said.remove(&language);
            } else {
                said.insert(language, text);
            }
        });
        self.changes.send_replace(());
        Ok(Value::Bool(true))
    }

    /// `getMyName`, `getMyDescription`, `getMyShortDescription`.
    pub(super) fn get_said(&self, params: &Params, field: &str) -> Result<Value, Refusal> {
        let language = language(params)?;
        Ok(json!({field: self.said(&language, field)}))
    }

    /// What the bot says of itself to a person who speaks `language`.
    pub(super) fn said(&self, language: &str, field: &str) -> String {
        self.state.read(|state| {
            let said = match field {
                "name" => &state.profile.name,
                "description" => &state.profile.description,
                _ => &state.profile.short_description,
            };
            said.get(language).or_else(|| said.get("")).cloned().unwrap_or_default()
        })
    }

    /// `setChatMenuButton`.
    pub(super) fn set_menu_button(&self, params: &Params) -> Result<Value, Refusal> {
        let button = params.json("menu_button", "menu button")?;
        let button = button.unwrap_or_else(|| json!({"type": "default"}));
        let kind = button.get("type").and_then(Value::as_str).unwrap_or_default();
        if !["default", "commands", "web_app"].contains(&kind) {
            return Err(Refusal::bad("can't parse menu button: unsupported menu button type"));
        }
        let chat_id = self.menu_chat(params)?;
        self.state.write(|state| state.profile.menu_buttons.insert(chat_id, button));
        Ok(Value::Bool(true))
    }

    /// `getChatMenuButton`.
    pub(super) fn get_menu_button(&self, params: &Params) -> Result<Value, Refusal> {
        let chat_id = self.menu_chat(params)?;
        Ok(self.state.read(|state| {
            let buttons = &state.profile.menu_buttons;
            let button = buttons.get(&chat_id).or_else(|| buttons.get(&0)).cloned();
            button.unwrap_or_else(|| json!({"type": "commands"}))
        }))
    }

    fn menu_chat(&self, params: &Params) -> Result<i64, Refusal> {
        match params.text("chat_id") {
            None => Ok(0),
            Some(_) => self.state.read(|state| chat_of(state, params)),
        }
    }
}

fn command(command: &Value) -> Result<Value, Refusal> {
    let text = |name: &str| command.get(name).and_then(Value::as_str).unwrap_or_default();
    let name = text("command").trim_start_matches('/');
    let is_legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if !(1..=32).contains(&name.len()) || !name.chars().all(is_legal) {
        return Err(Refusal::bad("BOT_COMMAND_INVALID"));
    }
    let description = text("description").trim();
    if !(1..=256).contains(&description.chars().count()) {
        return Err(Refusal::bad("BOT_COMMAND_DESCRIPTION_INVALID"));
    }
    Ok(json!({"command": name, "description": description}))
}

fn language(params: &Params) -> Result<String, Refusal> {
    let code = params.text("language_code").unwrap_or_default();
    let is_code =
        code.is_empty() || (code.len() == 2 && code.chars().all(|c| c.is_ascii_lowercase()));
    if !is_code {
        return Err(Refusal::bad("invalid language code specified"));
    }
    Ok(code.to_owned())
}

/// `default/ru`: the scope and the language of a list of commands.
fn commands_key(params: &Params) -> Result<String, Refusal> {
    let scope =
        params.json("scope", "BotCommandScope")?.unwrap_or_else(|| json!({"type": "default"}));
    let kind = scope.get("type").and_then(Value::as_str).unwrap_or_default();
    let chat = scope.get("chat_id").map(ToString::to_string).unwrap_or_default();
    let known = [
        "default",
        "all_private_chats",
        "all_group_chats",
        "all_chat_administrators",
        "chat",
        "chat_administrators",
        "chat_member",
    ];
    if !known.contains(&kind) {
        return Err(Refusal::bad("can't parse BotCommandScope: unsupported type specified"));
    }
    Ok(format!("{kind}{chat}/{}", language(params)?))
}
