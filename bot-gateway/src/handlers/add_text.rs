//! Text onto a picture, for nothing: the text, then a preview that buttons and words change, then
//! the picture in full quality.

use proto::media::v1::DescribeTextStyleRequest;
use proto::reason;
use teloxide::types::{CallbackQuery, Message, MessageId};

use crate::dialogue::{Draft, State};
use crate::keyboard;
use crate::pictures;
use crate::style::{Change, Style};
use crate::talk::Talk;
use crate::telegram::{Outgoing, TelegramError};
use crate::text;

use super::error::HandlerError;
use super::{buttons, other};

/// media-worker draws no longer texts.
const TEXT_CHARACTERS_MAX: usize = 500;
/// Of a preview, in pixels: what a phone shows.
const PREVIEW_SIDE_MAX: i32 = 1280;

/// Takes the text.
pub async fn text(
    talk: Talk,
    state: State,
    draft: Draft,
    message: Message,
) -> Result<(), HandlerError> {
    match message.text() {
        Some(text) => take(&talk, draft, text).await,
        None => other::unexpected(talk, state).await,
    }
}

/// Takes the text and shows what it looks like. The question stays where it cannot be drawn.
pub(super) async fn take(talk: &Talk, mut draft: Draft, drawn: &str) -> Result<(), HandlerError> {
    let drawn = drawn.trim();
    if drawn.is_empty() {
        talk.say(text::modes::TEXT_EMPTY, None).await?;
        return Ok(());
    }
    if drawn.chars().count() > TEXT_CHARACTERS_MAX {
        talk.say(text::modes::TEXT_TOO_LONG, None).await?;
        return Ok(());
    }
    drawn.clone_into(&mut draft.text);
    show_below(talk, draft, &[]).await
}

/// Takes a description of how the text should look.
pub async fn describe(
    talk: Talk,
    state: State,
    mut draft: Draft,
    message: Message,
) -> Result<(), HandlerError> {
    let Some(description) = message.text() else { return other::unexpected(talk, state).await };
    let style = Some(draft.style.0.clone());
    let request = DescribeTextStyleRequest { description: description.to_owned(), style };
    let described = match talk.app.media.describe_text_style(request).await {
        Ok(described) => described,
        Err(status) => {
            let said = match reason::of(&status).as_deref() {
                Some(reason::DESCRIPTION_TOO_LONG) => text::styles::DESCRIPTION_TOO_LONG,
                Some(reason::DESCRIPTION_MISSING) => text::styles::AWAITED,
                _ => return Err(HandlerError::of("DescribeTextStyle")(status)),
            };
            talk.say(said, None).await?;
            return Ok(());
        }
    };
    let words = described.words_not_understood;
    let style = Style(described.style.unwrap_or_default());
    if described.words_understood == 0 {
        talk.say(&text::styles::not_understood(&words), None).await?;
        return Ok(());
    }
    draft.style = style;
    show_below(&talk, draft, &words).await
}

/// Changes what the preview shows.
pub(super) async fn change(
    talk: Talk,
    state: State,
    query: &CallbackQuery,
    change: Change,
) -> Result<(), HandlerError> {
    let Some((mut draft, message)) = of_preview(state, query) else {
        return buttons::old(talk).await;
    };
    let style = draft.style.changed(change);
    if style == draft.style {
        return Ok(());
    }
    draft.style = style;
    let Some(preview) = drawn(&talk, &draft, PREVIEW_SIDE_MAX).await? else { return Ok(()) };
    let keyboard = keyboard::style(&draft.style);
    let said = text::styles::preview(&[]);
    let shown =
        talk.app.telegram.edit_picture((talk.chat, message), &preview, &said, &keyboard).await;
    match shown {
        Ok(()) => {
            talk.go(State::WaitStyle(draft));
            Ok(())
        }
        Err(TelegramError::Refused(error)) => {
            // Too old to be changed, or gone.
            tracing::info!(error.cause = %error, "a preview is sent anew");
            send(&talk, draft, &preview, &said).await
        }
        Err(error) => Err(error.into()),
    }
}

/// Asks for another text; how it looks stays.
pub(super) async fn another_text(
    talk: Talk,
    state: State,
    query: &CallbackQuery,
) -> Result<(), HandlerError> {
    let Some((draft, _)) = of_preview(state, query) else { return buttons::old(talk).await };
    talk.say(text::styles::ASK_OTHER_TEXT, Some(keyboard::cancel())).await?;
    talk.go(State::WaitText(draft));
    Ok(())
}

/// Sends the picture in full quality.
pub(super) async fn done(
    talk: Talk,
    state: State,
    query: &CallbackQuery,
) -> Result<(), HandlerError> {
    let Some((draft, preview)) = of_preview(state, query) else {
        return buttons::old(talk).await;
    };
    // Held until the picture is sent: few are in memory at once.
    let _place = talk.app.outgoing.acquire().await;
    let Some(picture) = drawn(&talk, &draft, 0).await? else { return Ok(()) };
    let keyboard = keyboard::after_text();
    let said = text::modes::DRAWING_TEXT_DONE;
    talk.app.telegram.send_picture(talk.chat, &picture, said, Some(keyboard)).await?;
    tracing::info!(user.id = talk.user_id, "text added to a picture");
    forget(&talk, preview).await;
    talk.go(State::Idle);
    Ok(())
}

/// The draft whose preview has the button that was pressed.
fn of_preview(state: State, query: &CallbackQuery) -> Option<(Draft, MessageId)> {
    let State::WaitStyle(draft) = state else { return None };
    let pressed = query.message.as_ref()?.id();
    (draft.question_message == Some(pressed.0)).then_some((draft, pressed))
}

/// Shows a new preview, and takes the one before away.
async fn show_below(
    talk: &Talk,
    mut draft: Draft,
    not_understood: &[String],
) -> Result<(), HandlerError> {
    let Some(preview) = drawn(talk, &draft, PREVIEW_SIDE_MAX).await? else { return Ok(()) };
    let before = draft.question_message.take();
    send(talk, draft, &preview, &text::styles::preview(not_understood)).await?;
    if let Some(before) = before {
        forget(talk, MessageId(before)).await;
    }
    Ok(())
}

async fn send(
    talk: &Talk,
    mut draft: Draft,
    preview: &Outgoing,
    said: &str,
) -> Result<(), HandlerError> {
    let keyboard = keyboard::style(&draft.style);
    let sent = talk.app.telegram.send_picture(talk.chat, preview, said, Some(keyboard)).await?;
    draft.question_message = sent.map(|message| message.0);
    talk.go(State::WaitStyle(draft));
    Ok(())
}

/// Draws the text; where it cannot be drawn, says so.
async fn drawn(
    talk: &Talk,
    draft: &Draft,
    preview_side_max: i32,
) -> Result<Option<Outgoing>, HandlerError> {
    let picture = pictures::add_text(&talk.app, talk.user_id, draft, preview_side_max).await?;
    let picture = match picture {
        Ok(picture) => picture,
        Err(said) => {
            talk.say(said, None).await?;
            return Ok(None);
        }
    };
    Ok(Some(Outgoing {
        bytes: picture.bytes,
        content_type: picture.header.content_type,
        width: picture.header.width,
        height: picture.header.height,
        is_original_wanted: false,
    }))
}

async fn forget(talk: &Talk, preview: MessageId) {
    if let Err(error) = talk.app.telegram.delete(talk.chat, preview).await {
        tracing::debug!(error.cause = %error, "a preview stays");
    }
}
