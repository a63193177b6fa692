//! /start, /help, /cancel and the menu.

use teloxide::types::{Update, User};

use crate::account;
use crate::dialogue::{State, intent};
use crate::keyboard;
use crate::talk::Talk;
use crate::text;

use super::error::HandlerError;
use super::{promo, referrals};

/// A link `https://t.me/<bot>?start=promo_<code>` redeems the code.
const PROMO_PREFIX: &str = "promo_";

/// Registers the user and shows the menu. A billing that is away does not keep the menu away: the
/// user is registered by whatever is asked for first.
pub async fn start(talk: Talk, update: Update, payload: String) -> Result<(), HandlerError> {
    let user = update.from();
    let invited = referrals::come_by(&talk, &payload).await?;
    let language = user.and_then(|user| user.language_code.as_deref());
    let free_operations = match account::register(&talk.app, talk.user_id, language).await {
        Ok(account) => account.free_operations,
        Err(error) if error.is_temporary() => {
            tracing::warn!(error.cause = ?error, "user not registered yet");
            0
        }
        Err(error) => return Err(error),
    };
    let name = user.map_or("", first_name);
    talk.say(&text::menu::greeting(name, free_operations), Some(keyboard::menu())).await?;
    talk.go(State::Idle);
    if let Some(said) = invited {
        talk.say(&said, None).await?;
    }
    if let Some(code) = payload.strip_prefix(PROMO_PREFIX) {
        let cause = intent(talk.chat.0, &format!("update:{}", update.id.0));
        promo::redeem(&talk, code, cause).await?;
    }
    Ok(())
}

fn first_name(user: &User) -> &str {
    &user.first_name
}

/// Says what the bot can do. The dialogue goes on afterwards.
pub async fn help(talk: Talk) -> Result<(), HandlerError> {
    talk.say(text::menu::HELP, Some(keyboard::menu())).await?;
    Ok(())
}

/// Ends the dialogue.
pub async fn cancel(talk: Talk, state: State) -> Result<(), HandlerError> {
    let said = match state {
        State::Idle => text::menu::NOTHING_TO_CANCEL,
        State::WaitPhoto(_)
        | State::WaitFace(_)
        | State::WaitPhotos(_)
        | State::WaitPrompt(_)
        | State::WaitText(_)
        | State::WaitStyle(_)
        | State::WaitStart(_)
        | State::WaitAmount(_)
        | State::WaitPromoCode(_)
        | State::WaitEmail(_) => text::menu::CANCELLED,
    };
    talk.say(said, Some(keyboard::menu())).await?;
    talk.go(State::Idle);
    Ok(())
}

/// Shows the menu, and ends the dialogue.
pub async fn menu(talk: Talk) -> Result<(), HandlerError> {
    talk.say(text::menu::MENU, Some(keyboard::menu())).await?;
    talk.go(State::Idle);
    Ok(())
}
