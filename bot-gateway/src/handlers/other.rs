//! What is no answer to a question: hints, groups, edits, blocks.

use teloxide::types::{ChatMemberUpdated, Update};

use crate::dialogue::State;
use crate::keyboard;
use crate::talk::Talk;
use crate::text;

use super::error::HandlerError;

/// Says what is awaited.
pub async fn unexpected(talk: Talk, state: State) -> Result<(), HandlerError> {
    match state {
        State::Idle => {
            let said =
                if talk.is_forgotten { text::menu::FORGOTTEN } else { text::menu::CHOOSE_FIRST };
            talk.say(said, Some(keyboard::menu())).await?;
            talk.go(State::Idle);
        }
        state => {
            talk.say(text::modes::awaited(&state), None).await?;
        }
    }
    Ok(())
}

/// A command that there is not.
pub async fn unknown_command(talk: Talk) -> Result<(), HandlerError> {
    talk.say(text::menu::UNKNOWN_COMMAND, None).await?;
    Ok(())
}

/// A message that was edited after it was sent.
pub async fn edited(talk: Talk) -> Result<(), HandlerError> {
    talk.say(text::menu::EDITED, None).await?;
    Ok(())
}

/// A command in a group; everything else there is none of our business.
pub async fn group(talk: Talk) -> Result<(), HandlerError> {
    talk.say(text::menu::PRIVATE_ONLY, None).await?;
    Ok(())
}

/// The user blocked or unblocked the bot.
pub async fn membership(change: ChatMemberUpdated) -> Result<(), HandlerError> {
    tracing::info!(
        user.id = change.from.id.0,
        is_reachable = change.new_chat_member.is_present(),
        "the bot was blocked or unblocked"
    );
    Ok(())
}

/// Nothing to do.
pub async fn ignore(_update: Update) -> Result<(), HandlerError> {
    Ok(())
}
