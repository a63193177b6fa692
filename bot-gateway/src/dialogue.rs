//! What we wait an answer to, and the answers so far.
//!
//! Invariant: a state holds only navigation. Money is in billing, jobs are in media-worker.

use proto::media::v1 as media;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::mode::Mode;
use crate::money::Kopecks;
use crate::style::Style;

/// The version of [`State`] in the store: a state of another one is forgotten.
pub const VERSION: i64 = 1;

/// The most pictures that one merge takes.
pub const MERGE_MAX: usize = 10;
/// The fewest pictures that one merge takes.
pub const MERGE_MIN: usize = 2;

/// One variant per question that we wait an answer to.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "question", content = "draft", rename_all = "snake_case")]
pub enum State {
    /// Nothing is asked.
    #[default]
    Idle,
    /// Which picture?
    WaitPhoto(Draft),
    /// Whose face?
    WaitFace(Draft),
    /// Which pictures?
    WaitPhotos(Draft),
    /// What should be done?
    WaitPrompt(Draft),
    /// Which text should be drawn?
    WaitText(Draft),
    /// How should it look?
    WaitStyle(Draft),
    /// How much should be paid in? The question before it is asked again afterwards.
    WaitAmount(Box<State>),
    /// Which promo code? The question before it is asked again afterwards.
    WaitPromoCode(Box<State>),
    /// Shall it begin?
    WaitStart(Ready),
    /// Where should the receipt go?
    WaitEmail(EmailQuestion),
}

impl State {
    /// The purchase that the question belongs to.
    pub fn draft(&self) -> Option<&Draft> {
        match self {
            Self::Idle => None,
            Self::WaitAmount(before) | Self::WaitPromoCode(before) => before.draft(),
            Self::WaitEmail(question) => question.before.draft(),
            Self::WaitStart(ready) => Some(&ready.draft),
            Self::WaitPhoto(draft)
            | Self::WaitFace(draft)
            | Self::WaitPhotos(draft)
            | Self::WaitPrompt(draft)
            | Self::WaitText(draft)
            | Self::WaitStyle(draft) => Some(draft),
        }
    }

    /// The first question of a mode.
    pub fn first(draft: Draft) -> Self {
        match draft.mode {
            Mode::Generate => Self::WaitPrompt(draft),
            Mode::Merge => Self::WaitPhotos(draft),
            Mode::Edit | Mode::FaceSwap | Mode::Retouch | Mode::Upscale | Mode::AddText => {
                Self::WaitPhoto(draft)
            }
        }
    }

    /// Changes the purchase that the question belongs to.
    pub fn change_draft(&mut self, change: &dyn Fn(&mut Draft)) {
        match self {
            Self::Idle => {}
            Self::WaitAmount(before) | Self::WaitPromoCode(before) => before.change_draft(change),
            Self::WaitEmail(question) => question.before.change_draft(change),
            Self::WaitStart(ready) => {
                change(&mut ready.draft);
                ready.asked.change_draft(change);
            }
            Self::WaitPhoto(draft)
            | Self::WaitFace(draft)
            | Self::WaitPhotos(draft)
            | Self::WaitPrompt(draft)
            | Self::WaitText(draft)
            | Self::WaitStyle(draft) => change(draft),
        }
    }

    /// The purchase that only waits for the user's word.
    pub fn ready(&self) -> Option<&Ready> {
        match self {
            Self::WaitAmount(before) | Self::WaitPromoCode(before) => before.ready(),
            Self::WaitEmail(question) => question.before.ready(),
            Self::WaitStart(ready) => Some(ready),
            Self::Idle
            | Self::WaitPhoto(_)
            | Self::WaitFace(_)
            | Self::WaitPhotos(_)
            | Self::WaitPrompt(_)
            | Self::WaitText(_)
            | Self::WaitStyle(_) => None,
        }
    }

    /// The question that a message answers: where only a word is awaited, the one before, so that
    /// its answer can be given again.
    #[must_use]
    pub fn answered(self) -> Self {
        match self {
            Self::WaitStart(ready) if *ready.asked != Self::Idle => *ready.asked,
            state => state,
        }
    }

    /// Everything is answered, at the price that the user was told last; `self` was asked last.
    #[must_use]
    pub fn ready_at(self, price: Kopecks, draft: &Draft, prompt: &str) -> Self {
        let asked = match self {
            Self::WaitStart(ready) => ready.asked,
            asked => Box::new(asked),
        };
        let ready = Ready { draft: draft.clone(), prompt: prompt.to_owned(), asked };
        let mut state = Self::WaitStart(ready);
        state.change_draft(&|draft| draft.price = price);
        state
    }
}

/// A purchase of which every question is answered, and nothing is bought yet.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Ready {
    /// What is to be bought.
    pub draft: Draft,
    /// The description; empty where the mode has none.
    pub prompt: String,
    /// What was asked last, and may be answered again; [`State::Idle`] where nothing was.
    pub asked: Box<State>,
}

/// The question where receipts should go, and what goes on with the answer.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct EmailQuestion {
    /// The payment that waits for it; none where an address is only changed.
    pub wish: Option<Wish>,
    /// The question that is asked again afterwards.
    pub before: Box<State>,
}

/// A payment that was asked for and could not be made yet.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Wish {
    /// Names the intent: the key of the payment is made of it.
    pub intent: Uuid,
    /// What to pay in.
    pub amount: Kopecks,
}

/// One purchase on its way: made when the mode is opened, used up by the last answer.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Draft {
    /// Names the intent: billing's key is made of it.
    pub id: Uuid,
    /// What is to be done.
    pub mode: Mode,
    /// What the user was told that it costs.
    pub price: Kopecks,
    /// The pictures so far, in order.
    pub inputs: Vec<Input>,
    /// Words that came with a picture of a merge, before they were asked for.
    pub caption: Option<String>,
    /// The message that counts the pictures of a merge.
    pub counter_message: Option<i32>,
    /// What was chosen of it.
    #[serde(default)]
    pub choices: Choices,
    /// The message with the buttons to choose with: the first question, or the preview of a text.
    #[serde(default)]
    pub question_message: Option<i32>,
    /// The text to draw.
    #[serde(default)]
    pub text: String,
    /// How it looks.
    #[serde(default)]
    pub style: Style,
}

/// What a user chooses of a mode: billing and media-worker are told so.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Choices {
    /// Name of the model; empty for the mode's default.
    #[serde(default)]
    pub model: String,
    /// The shape of the picture; `None` leaves it to the model.
    #[serde(default)]
    pub format: Option<Format>,
    /// How many times larger a side becomes.
    #[serde(default)]
    pub upscale_factor: Option<i32>,
}

/// The shape of a picture.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Higher than wide.
    Vertical,
    /// As high as wide.
    Square,
    /// Wider than high.
    Horizontal,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Vertical, Self::Square, Self::Horizontal];

    /// As buttons carry it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Vertical => "vertical",
            Self::Square => "square",
            Self::Horizontal => "horizontal",
        }
    }

    /// How media-worker calls it.
    pub fn job(self) -> media::Format {
        match self {
            Self::Vertical => media::Format::Vertical,
            Self::Square => media::Format::Square,
            Self::Horizontal => media::Format::Horizontal,
        }
    }

    /// The format that media-worker calls so, if this version knows it.
    pub fn of_job(job: media::Format) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.job() == job)
    }
}

impl Draft {
    /// An empty draft.
    pub fn new(id: Uuid, mode: Mode, price: Kopecks) -> Self {
        Self {
            id,
            mode,
            price,
            inputs: Vec::new(),
            caption: None,
            counter_message: None,
            choices: Choices::default(),
            question_message: None,
            text: String::new(),
            style: Style::default(),
        }
    }

    /// Whether the one picture that its mode works on is there.
    pub fn has_picture(&self) -> bool {
        matches!(self.mode, Mode::Edit | Mode::Upscale) && !self.inputs.is_empty()
    }

    /// Adds a picture; a picture that is there already is not added twice. Those of an album may
    /// come in any order, and are kept in the order in which they are shown.
    pub fn add(&mut self, input: Input) -> bool {
        let is_new = self.inputs.iter().all(|known| known.unique_id != input.unique_id);
        if is_new {
            self.inputs.push(input);
            self.inputs.sort_by_key(|input| input.message_id);
        }
        is_new
    }
}

/// One picture that was received, checked and handed to media-worker.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Input {
    /// How media-worker calls it.
    pub input_id: String,
    /// How Telegram calls it, for another download.
    pub file_id: String,
    /// How Telegram calls its content.
    pub unique_id: String,
    /// The message that brought it.
    #[serde(default)]
    pub message_id: i32,
}

impl Input {
    /// A picture that media-worker has got before; Telegram is not asked for it again.
    pub fn of_job(input_id: String) -> Self {
        let unique_id = input_id.clone();
        Self { input_id, file_id: String::new(), unique_id, message_id: 0 }
    }
}

/// Names an intent by what it came from, so that a repeated update has the same one.
pub fn intent(chat_id: i64, cause: &str) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("medialab:bot:{chat_id}:{cause}").as_bytes())
}

/// A state as the store keeps it.
pub fn encode(state: &State) -> Result<String, serde_json::Error> {
    serde_json::to_string(state)
}

/// The state that the store kept; `None` where this version cannot read it.
pub fn decode(version: i64, text: &str) -> Option<State> {
    if version != VERSION {
        return None;
    }
    serde_json::from_str(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::style::Change;

    fn draft(mode: Mode) -> Draft {
        let mut draft = Draft::new(intent(7, "callback:1"), mode, Kopecks::new(1_000));
        let input = Input {
            input_id: "i".into(),
            file_id: "f".into(),
            unique_id: "u".into(),
            message_id: 5,
        };
        assert!(draft.add(input.clone()));
        assert!(!draft.add(input));
        draft
    }

    #[test]
    fn every_state_comes_back_from_the_store_as_it_was() {
        let states = [
            State::Idle,
            State::WaitAmount(Box::new(State::WaitPrompt(draft(Mode::Generate)))),
            State::WaitEmail(EmailQuestion {
                wish: Some(Wish { intent: intent(7, "callback:2"), amount: Kopecks::new(10_000) }),
                before: Box::new(State::WaitAmount(Box::default())),
            }),
            State::WaitEmail(EmailQuestion { wish: None, before: Box::default() }),
            State::WaitPromoCode(Box::new(State::WaitPhoto(draft(Mode::Edit)))),
            State::WaitPhoto(draft(Mode::Edit)),
            State::WaitPhoto(draft(Mode::Retouch)).ready_at(
                Kopecks::new(1_500),
                &draft(Mode::Retouch),
                "",
            ),
            State::WaitFace(draft(Mode::FaceSwap)),
            State::WaitPhotos(draft(Mode::Merge)),
            State::WaitPrompt(draft(Mode::Generate)),
            State::WaitText(draft(Mode::AddText)),
            State::WaitStyle(Draft {
                text: "С днём рождения!".into(),
                style: Style::default().changed(Change::Plate).changed(Change::Shadow),
                ..draft(Mode::AddText)
            }),
            State::WaitPrompt(Draft {
                choices: Choices {
                    model: "flux-2-pro".into(),
                    format: Some(Format::Vertical),
                    upscale_factor: Some(4),
                },
                question_message: Some(6),
                ..draft(Mode::Merge)
            }),
        ];

        for state in states {
            let text = encode(&state).unwrap();
            assert_eq!(decode(VERSION, &text), Some(state), "{text}");
        }
    }

    #[test]
    fn what_is_ready_keeps_the_question_before_and_one_price() {
        let price = Kopecks::new(2_000);
        let asked = State::WaitPrompt(draft(Mode::Edit));
        let ready = asked.ready_at(Kopecks::new(1_500), &draft(Mode::Edit), "a");
        let again = ready.ready_at(price, &draft(Mode::Edit), "b");
        let nested = State::WaitAmount(Box::new(again.clone()));

        assert_eq!(nested.ready().map(|ready| ready.prompt.as_str()), Some("b"));
        assert_eq!(nested.draft().map(|draft| draft.price), Some(price));
        let answered = again.answered();
        assert!(matches!(&answered, State::WaitPrompt(draft) if draft.price == price));
        let bare = State::Idle.ready_at(price, &draft(Mode::Edit), "");
        assert_eq!(bare.clone().answered(), bare);
    }

    #[test]
    fn pictures_of_an_album_are_kept_in_the_order_in_which_they_are_shown() {
        let mut draft = Draft::new(intent(7, "callback:1"), Mode::Merge, Kopecks::new(1_000));
        for message_id in [12, 10, 11] {
            let id = message_id.to_string();
            let input =
                Input { input_id: id.clone(), file_id: id.clone(), unique_id: id, message_id };
            assert!(draft.add(input));
        }

        let order: Vec<_> = draft.inputs.iter().map(|input| input.message_id).collect();

        assert_eq!(order, [10, 11, 12]);
    }

    #[test]
    fn a_state_of_another_version_is_forgotten() {
        let text = encode(&State::WaitAmount(Box::default())).unwrap();

        assert_eq!(decode(VERSION + 1, &text), None);
        assert_eq!(decode(VERSION, r#"{"question":"wait_miracle"}"#), None);
        assert_eq!(decode(VERSION, "no json"), None);
    }

    #[test]
    fn a_draft_from_before_there_were_choices_is_read() {
        let state = State::WaitPrompt(draft(Mode::Generate));
        let mut old: serde_json::Value = serde_json::from_str(&encode(&state).unwrap()).unwrap();
        let fields = old["draft"].as_object_mut().unwrap();
        assert!(fields.remove("text").is_some() && fields.remove("style").is_some());
        assert!(fields.remove("choices").is_some() && fields.remove("question_message").is_some());

        assert_eq!(decode(VERSION, &old.to_string()), Some(state));
    }

    #[test]
    fn the_same_cause_is_the_same_intent() {
        assert_eq!(intent(7, "callback:1"), intent(7, "callback:1"));
        assert_ne!(intent(7, "callback:1"), intent(7, "callback:2"));
        assert_ne!(intent(7, "callback:1"), intent(8, "callback:1"));
    }
}
