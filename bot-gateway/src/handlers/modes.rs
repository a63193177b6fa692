//! The seven modes: opening one, and its last answer.

use std::time::Duration;

use proto::billing::v1::Account;
use proto::media::v1::GetLimitsRequest;
use teloxide::types::{ChatId, Message, Update};
use tokio::time::timeout;
use uuid::Uuid;

use crate::account;
use crate::app::App;
use crate::dialogue::{Draft, Input, Ready, State};
use crate::keyboard;
use crate::mode::Mode;
use crate::models::{self, Model};
use crate::money::Kopecks;
use crate::paid::{self, Outcome};
use crate::talk::Talk;
use crate::text;
use crate::text::modes::Terms;

use super::error::HandlerError;
use super::{buttons, other};

/// How long a mode that is opened waits to hear of limits.
const LIMITS_WAIT: Duration = Duration::from_millis(500);
/// media-worker takes no longer prompts.
const PROMPT_CHARACTERS_MAX: usize = 4_000;

/// Opens a mode: shows what it costs and asks the first question. Who cannot pay is told so at
/// once; the real check is made when the work is bought.
pub async fn open(talk: Talk, mode: Mode, intent: Uuid) -> Result<(), HandlerError> {
    open_with(talk, mode, intent, None).await
}

/// The same, with a picture that is there already.
pub(super) async fn open_with(
    talk: Talk,
    mode: Mode,
    intent: Uuid,
    input: Option<Input>,
) -> Result<(), HandlerError> {
    if mode.job().is_none() {
        talk.say(&text::modes::opened(mode, None), Some(keyboard::cancel())).await?;
        talk.go(State::first(Draft::new(intent, mode, Kopecks::new(0))));
        return Ok(());
    }
    let (models, question) =
        tokio::join!(models::read(&talk.app, mode), Question::read(&talk, mode));
    let (models, question) = (models?, question?);
    let Some(cheapest) = models.iter().map(|model| model.price).min() else {
        talk.say(text::payments::NOT_SOLD, Some(keyboard::menu())).await?;
        talk.go(State::Idle);
        return Ok(());
    };
    let Some(model) = models.iter().find(|model| question.can_pay(model)) else {
        let said = text::payments::not_enough(cheapest, question.balance());
        talk.say(&said, Some(keyboard::top_up())).await?;
        talk.go(State::Idle);
        return Ok(());
    };
    let mut draft = Draft::new(intent, mode, model.price);
    draft.choices = model.defaults();
    draft.inputs.extend(input);
    let mut keyboard = keyboard::choices(&models, &draft.choices);
    if draft.has_picture() && mode != Mode::Edit {
        keyboard = keyboard::with_start(keyboard, draft.id, draft.price);
    }
    let sent = talk.say(&question.text(model, draft.has_picture()), Some(keyboard)).await?;
    draft.question_message = sent.map(|message| message.0);
    talk.go(match mode {
        _ if !draft.has_picture() => State::first(draft),
        Mode::Edit => State::WaitPrompt(draft),
        _ => State::Idle.ready_at(draft.price, &draft, ""),
    });
    Ok(())
}

/// The first question of a paid mode, as one user reads it.
pub(super) struct Question {
    mode: Mode,
    account: Account,
    is_warned: bool,
}

impl Question {
    pub(super) async fn read(talk: &Talk, mode: Mode) -> Result<Self, HandlerError> {
        let (account, is_warned) =
            tokio::join!(account::read(&talk.app, talk.user_id), refusals_are_charged(talk));
        Ok(Self { mode, account: account?, is_warned })
    }

    fn balance(&self) -> Kopecks {
        Kopecks::new(self.account.balance_kopecks)
    }

    fn can_pay(&self, model: &Model) -> bool {
        let is_free = model.free_allowed && self.account.free_operations > 0;
        is_free || self.balance() >= model.price
    }

    /// With what a model costs.
    pub(super) fn text(&self, model: &Model, has_picture: bool) -> String {
        let terms = Terms {
            price: model.price,
            free_allowed: model.free_allowed,
            free_operations: self.account.free_operations,
            balance: self.balance(),
            languages: model.languages.clone(),
        };
        let said = match has_picture {
            true => text::modes::opened_with_picture(self.mode, Some(&terms)),
            false => text::modes::opened(self.mode, Some(&terms)),
        };
        if self.is_warned {
            return format!("{said}\n\n{}", text::modes::REFUSALS_CHARGED);
        }
        said
    }
}

/// Whether the user's next refusal of content would be charged. A worker that does not answer at
/// once keeps nobody waiting: then nothing is said before, only after.
async fn refusals_are_charged(talk: &Talk) -> bool {
    let request = GetLimitsRequest { user_id: talk.user_id };
    let asked = timeout(LIMITS_WAIT, talk.app.media.get_limits(request));
    matches!(asked.await, Ok(Ok(limits)) if limits.refusals_left == 0)
}

/// Takes the description.
pub async fn prompt(
    talk: Talk,
    state: State,
    draft: Draft,
    message: Message,
) -> Result<(), HandlerError> {
    let Some(text) = message.text() else { return other::unexpected(talk, state).await };
    match read_prompt(text) {
        Ok(prompt) => start(&talk, state, &draft, prompt).await,
        Err(said) => {
            talk.say(&said, None).await?;
            Ok(())
        }
    }
}

/// Reads a description, or says what is wrong with it.
pub(super) fn read_prompt(text: &str) -> Result<&str, String> {
    let text = text.trim();
    match text.chars().count() {
        0 => Err(text::modes::PROMPT_EMPTY.to_owned()),
        length if length > PROMPT_CHARACTERS_MAX => {
            Err(text::modes::prompt_too_long(length, PROMPT_CHARACTERS_MAX))
        }
        _ => Ok(text),
    }
}

/// Buys the work, now that every question is answered. `asked` is the last question: where nothing
/// was bought the purchase is kept ready, and the last answer can also be given again.
pub(super) async fn start(
    talk: &Talk,
    asked: State,
    draft: &Draft,
    prompt: &str,
) -> Result<(), HandlerError> {
    match paid::run(talk, draft, prompt).await? {
        Outcome::Started | Outcome::Refused => talk.go(State::Idle),
        Outcome::NotEnough { price, balance } => {
            let said = text::payments::not_enough_kept(price, balance);
            talk.say(&said, Some(keyboard::top_up_and_start(draft.id, price))).await?;
            talk.go(asked.ready_at(price, draft, prompt));
        }
        Outcome::PriceChanged { price } => {
            let keyboard = keyboard::start(draft.id, price);
            talk.say(&text::payments::price_changed(price), Some(keyboard)).await?;
            talk.go(asked.ready_at(price, draft, prompt));
        }
        Outcome::NotSold => {
            talk.say(text::payments::NOT_SOLD, Some(keyboard::menu())).await?;
            talk.go(State::Idle);
        }
    }
    Ok(())
}

/// Begins what only waited for the user's word.
pub async fn begin(talk: Talk, state: State, draft: Uuid) -> Result<(), HandlerError> {
    match state.ready() {
        Some(ready) if ready.draft.id == draft => {
            let asked = State::WaitStart(ready.clone());
            start(&talk, asked, &ready.draft, &ready.prompt).await
        }
        _ => buttons::old(talk).await,
    }
}

/// What the user was about to buy when the money did not suffice.
pub async fn interrupted(app: &App, chat: ChatId) -> Option<Ready> {
    match app.store.state(chat.0).await {
        Ok(state) => state.flatten()?.ready().cloned(),
        Err(error) => {
            tracing::warn!(error.cause = ?error, "what was interrupted is not known");
            None
        }
    }
}

/// Whether an update is a text that begins like a command.
pub fn is_command(update: &Update) -> bool {
    match &update.kind {
        teloxide::types::UpdateKind::Message(message) => {
            message.text().is_some_and(|text| text.starts_with('/'))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_has_one_to_four_thousand_characters() {
        let longest = "ё".repeat(PROMPT_CHARACTERS_MAX);
        let too_long = "ё".repeat(10_000);

        assert_eq!(read_prompt("  кот \n"), Ok("кот"));
        assert_eq!(read_prompt(&longest), Ok(longest.as_str()));
        assert!(read_prompt(&too_long).unwrap_err().contains("10000 символов"));
        assert_eq!(read_prompt(" \n ").unwrap_err(), text::modes::PROMPT_EMPTY);
    }
}
