//! The Bot API's addresses: which method goes where.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{Request, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::Telegram;
use super::error::Refusal;
use super::params::{BODY_BYTES_MAX, Params};
use super::state::FileKind;
use crate::caller::hang_up;
use crate::faults::TelegramFault;

/// What a bot that is told "too many requests" has to wait.
const RETRY_AFTER_SECONDS: u64 = 1;

/// A method's result, and what is said with it.
struct Answer {
    result: Value,
    said: Option<&'static str>,
}

impl From<Value> for Answer {
    fn from(result: Value) -> Self {
        Self { result, said: None }
    }
}

impl From<(Value, &'static str)> for Answer {
    fn from((result, said): (Value, &'static str)) -> Self {
        Self { result, said: Some(said) }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut body = json!({"ok": true, "result": self.result});
        if let Some(said) = self.said {
            body["description"] = said.into();
        }
        Json(body).into_response()
    }
}

pub(super) fn routes(telegram: &Arc<Telegram>) -> Router {
    Router::new()
        .route("/telegram/{*rest}", any(serve))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(Arc::clone(telegram))
}

/// `bot<token>/<Method>` or `file/bot<token>/<path>`; `%2F` is as good as a slash.
async fn serve(
    State(telegram): State<Arc<Telegram>>,
    Path(rest): Path<String>,
    request: Request<Body>,
) -> Response {
    if let Some(file) = rest.strip_prefix("file/") {
        return telegram.download(file).await.unwrap_or_else(IntoResponse::into_response);
    }
    let (method, answer) = match telegram.method(&rest) {
        Ok(method) => (method, telegram.answer(method, request).await),
        Err(refusal) => {
            (rest.split_once('/').map_or("", |(_, method)| method), refusal.into_response())
        }
    };
    telegram.saw(method, answer.status().as_u16());
    answer
}

impl Telegram {
    /// What follows the token, if it is the bot's.
    fn method<'a>(&self, rest: &'a str) -> Result<&'a str, Refusal> {
        let (token, method) = rest
            .strip_prefix("bot")
            .and_then(|rest| rest.split_once('/'))
            .ok_or_else(Refusal::not_found)?;
        let id = token.split_once(':').map(|(id, _)| id).unwrap_or_default();
        if id.is_empty() || !id.chars().all(|c| c.is_ascii_digit()) {
            return Err(Refusal::not_found());
        }
        if token != self.settings.bot_token {
            return Err(Refusal::unauthorized());
        }
        Ok(method)
    }

    async fn download(&self, rest: &str) -> Result<Response, Refusal> {
        let path = self.method(rest)?;
        let file = self.state.read(|state| {
            let file = state.files.values().find(|file| file.path == path).cloned();
            file.ok_or_else(Refusal::not_found)
        })?;
        let bytes = self.open_file(&file).await.map_err(|_| Refusal::not_found())?;
        let content_type =
            if file.kind == FileKind::Photo { "image/jpeg" } else { "application/octet-stream" };
        Ok(([(header::CONTENT_TYPE, content_type)], bytes).into_response())
    }

    /// Carries a method out, unless a fault switch is on.
    async fn answer(&self, method: &str, request: Request<Body>) -> Response {
        let name = method.to_ascii_lowercase();
        let params = match Params::read(request).await {
            Ok(params) => params,
            Err(refusal) => return refusal.into_response(),
        };
        let fault = self.faults.all().telegram;
        let strikes = |wanted: TelegramFault| {
            fault == Some(wanted) && self.faults.strike_telegram() == Some(wanted)
        };
        if acts_in_a_chat(&name) && strikes(TelegramFault::TooManyRequests) {
            return Refusal::too_many(RETRY_AFTER_SECONDS).into_response();
        }
        match Box::pin(self.call(&name, &params)).await {
            Ok(_) if is_felt(&name) && strikes(TelegramFault::DropAfter) => hang_up(),
            Ok(answer) => answer.into_response(),
            Err(refusal) => refusal.into_response(),
        }
    }

    async fn call(&self, name: &str, params: &Params) -> Result<Answer, Refusal> {
        let result = match name {
            "getme" => self.get_me(),
            "getupdates" => self.get_updates(params).await?,
            "setwebhook" => return self.set_webhook(params).map(Answer::from),
            "deletewebhook" => return Ok(self.delete_webhook(params).into()),
            "getwebhookinfo" => self.webhook_info(),
            "sendmessage" => self.send_message(params)?,
            "sendphoto" => self.send_medium(params, FileKind::Photo).await?,
            "senddocument" => self.send_medium(params, FileKind::Document).await?,
            "sendmediagroup" => self.send_media_group(params).await?,
            "copymessage" => self.copy_message(params)?,
            "sendchataction" => self.send_chat_action(params)?,
            "editmessagetext" => self.edit_text(params)?,
            "editmessagecaption" => self.edit_caption(params)?,
            "editmessagereplymarkup" => self.edit_keyboard(params)?,
            "editmessagemedia" => self.edit_media(params).await?,
            "deletemessage" => self.delete_message(params)?,
            "deletemessages" => self.delete_messages(params)?,
            "answercallbackquery" => self.answer_callback(params)?,
            "getchat" => self.get_chat(params)?,
            "getfile" => self.get_file(params)?,
            "sendinvoice" => self.send_invoice(params)?,
            "createinvoicelink" => self.create_invoice_link(params)?,
            "answerprecheckoutquery" => self.answer_pre_checkout(params)?,
            "refundstarpayment" => self.refund_star_payment(params)?,
            "getmystarbalance" => self.star_balance(),
            "getstartransactions" => self.star_transactions(params),
            _ => self.call_profile(name, params)?,
        };
        Ok(result.into())
    }

    fn call_profile(&self, name: &str, params: &Params) -> Result<Value, Refusal> {
        match name {
            "setmycommands" => self.set_commands(params),
            "getmycommands" => self.get_commands(params),
            "deletemycommands" => self.delete_commands(params),
            "setmyname" => self.set_said(params, "name"),
            "getmyname" => self.get_said(params, "name"),
            "setmydescription" => self.set_said(params, "description"),
            "getmydescription" => self.get_said(params, "description"),
            "setmyshortdescription" => self.set_said(params, "short_description"),
            "getmyshortdescription" => self.get_said(params, "short_description"),
            "setchatmenubutton" => self.set_menu_button(params),
            "getchatmenubutton" => self.get_menu_button(params),
            _ => Err(Refusal::not_found()),
        }
    }
}

/// What a person feels, whether or not the bot hears that it was done.
fn is_felt(name: &str) -> bool {
    makes_a_message(name) || name == "refundstarpayment"
}

fn makes_a_message(name: &str) -> bool {
    (name.starts_with("send") && name != "sendchataction")
        || name.starts_with("edit")
        || name.starts_with("copy")
}

fn acts_in_a_chat(name: &str) -> bool {
    makes_a_message(name) || name.starts_with("delete") && name.contains("message")
}
