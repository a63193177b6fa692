//! /history: what happened to a user's money, by pages in the chat and as a file.

use proto::reason;
use teloxide::types::CallbackQuery;
use tonic::Status;

use crate::account;
use crate::button::Period;
use crate::keyboard;
use crate::moscow;
use crate::statement::{self, FILE_LINES_MAX};
use crate::talk::Talk;
use crate::telegram::{Attachment, TelegramError};
use crate::text;
use crate::xlsx;

use super::buttons;
use super::error::HandlerError;

/// The media type of an XLSX file.
pub(super) const SPREADSHEET: &str =
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

/// Shows the newest page. The dialogue goes on afterwards.
pub async fn open(talk: Talk) -> Result<(), HandlerError> {
    // Registers who was not.
    account::read(&talk.app, talk.user_id).await?;
    let page = statement::page(&talk.app, talk.user_id, "").await?;
    talk.say(&text::history::page(&page.lines), Some(keyboard::history("", &page.older))).await?;
    Ok(())
}

/// Shows another page in the place of the one that the button is on.
pub async fn turn(talk: Talk, query: &CallbackQuery, token: String) -> Result<(), HandlerError> {
    let page = match statement::page(&talk.app, talk.user_id, &token).await {
        Err(HandlerError::Refused { source, .. }) if is_no_page(&source) => {
            return buttons::old(talk).await;
        }
        page => page?,
    };
    let said = text::history::page(&page.lines);
    let keyboard = keyboard::history(&token, &page.older);
    if let Some(message) = query.message.as_ref().map(|message| message.id()) {
        match talk.change(message, &said, Some(keyboard.clone())).await {
            Err(TelegramError::Refused(error)) => {
                tracing::debug!(error.cause = ?error, "page cannot be shown in its place");
            }
            changed => return Ok(changed?),
        }
    }
    talk.say(&said, Some(keyboard)).await?;
    Ok(())
}

fn is_no_page(status: &Status) -> bool {
    matches!(reason::of(status).as_deref(), Some(reason::INVALID_FIELD | reason::USER_NOT_FOUND))
}

/// Sends the statement of a period as a file.
pub async fn statement(talk: Talk, period: Period) -> Result<(), HandlerError> {
    account::read(&talk.app, talk.user_id).await?;
    send_statement(&talk, talk.user_id, period.days()).await
}

/// Sends somebody's statement of so many days, and of today, as a file.
pub(super) async fn send_statement(
    talk: &Talk,
    user_id: i64,
    days: i64,
) -> Result<(), HandlerError> {
    let now = moscow::now();
    let from = moscow::days_before(now, days);
    let (lines, is_cut) = statement::since(&talk.app, user_id, from).await?;
    if lines.is_empty() {
        talk.say(text::history::NOTHING_IN_PERIOD, None).await?;
        return Ok(());
    }
    let number = lines.len();
    let made = tokio::task::spawn_blocking(move || xlsx::statement(&lines)).await;
    let bytes = made.map_err(|_| HandlerError::Panic)??;
    tracing::info!(user.id = user_id, lines = number, "statement made");
    let (from, to) = (moscow::date(from), moscow::date(now));
    let name = format!("media-lab-{from}-{to}.xlsx");
    let file = Attachment { name, content_type: SPREADSHEET, bytes: bytes.into() };
    let said = text::history::statement(&from, &to, is_cut.then_some(FILE_LINES_MAX));
    talk.app.telegram.send_file(talk.chat, &file, &said).await?;
    Ok(())
}
