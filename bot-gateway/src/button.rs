//! What an inline button carries.
//!
//! The texts are stable: buttons of old messages stay in chats for ever.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use crate::dialogue::Format;
use crate::mode::Mode;
use crate::money::Kopecks;
use crate::style::Change;

/// Telegram takes no longer callback data.
pub const BYTES_MAX: usize = 64;

const ANY_FORMAT: &str = "any";

/// What happens when the button is pressed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Button {
    /// Shows the main menu.
    Menu,
    /// Opens a mode.
    Mode(Mode),
    /// Chooses the model of the mode that is open.
    Model {
        /// Its name.
        name: String,
    },
    /// Chooses the shape of the picture; `None` leaves it to the model.
    Format(Option<Format>),
    /// Chooses how many times larger a side becomes.
    UpscaleFactor(i32),
    /// Changes how the text looks.
    Style(Change),
    /// The text looks as it should.
    StyleDone,
    /// Another text is to be drawn.
    StyleText,
    /// Ends the dialogue.
    Cancel,
    /// Ends a job that has not begun.
    CancelJob {
        /// Its operation in billing.
        operation_id: String,
    },
    /// Shows the balance and the sums to pay in.
    PaymentMenu,
    /// Shows what happened to the user's money.
    History,
    /// Shows another page of it.
    HistoryPage {
        /// Names the page; empty for the newest.
        token: String,
    },
    /// Sends a statement as a file.
    Statement(Period),
    /// Shows the link to invite friends with.
    Invite,
    /// Asks for a promo code.
    PromoCode,
    /// Makes a payment link for a sum.
    TopUp(Kopecks),
    /// Shows the sums to pay in Stars.
    Stars,
    /// Makes an invoice in Stars for a sum.
    TopUpInStars(Kopecks),
    /// Asks which sum to pay in.
    TopUpOther,
    /// Asks where receipts should go from now on.
    ReceiptEmail,
    /// Makes the link that could not be made before; the intent is the same.
    TopUpAgain {
        /// Names the intent.
        intent: Uuid,
        /// What to pay in.
        amount: Kopecks,
    },
    /// Asks whether a payment has come.
    CheckPayment {
        /// The top-up in billing.
        top_up_id: String,
    },
    /// Buys the work of a result once more.
    Again {
        /// The operation of the result.
        operation_id: String,
    },
    /// Asks for another description of the same work.
    AnotherPrompt {
        /// The operation of the result.
        operation_id: String,
    },
    /// Sends a result as a file.
    Original {
        /// The operation of the result.
        operation_id: String,
    },
    /// Opens a mode with a result as its picture.
    Use {
        /// The mode.
        mode: Mode,
        /// The operation of the result.
        operation_id: String,
    },
    /// Begins what is ready.
    Start {
        /// The draft that is to be bought.
        draft: Uuid,
    },
    /// All pictures of a merge are there.
    MergeDone {
        /// The draft that collects them.
        draft: Uuid,
    },
    /// Forgets the pictures of a merge.
    MergeClear {
        /// The draft that collects them.
        draft: Uuid,
    },
}

/// What a statement covers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Period {
    Month,
    Year,
}

impl Period {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::Month, Self::Year];

    /// How many days back it goes, besides today.
    pub fn days(self) -> i64 {
        match self {
            Self::Month => 31,
            Self::Year => 366,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Month => "month",
            Self::Year => "year",
        }
    }
}

impl fmt::Display for Button {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Menu => write!(formatter, "menu"),
            Self::Mode(mode) => write!(formatter, "mode_{}", mode.name()),
            Self::Model { name } => write!(formatter, "model:{name}"),
            Self::Format(format) => {
                write!(formatter, "format:{}", format.map_or(ANY_FORMAT, Format::name))
            }
            Self::UpscaleFactor(factor) => write!(formatter, "upscale_factor:{factor}"),
            Self::Style(change) => write!(formatter, "style:{change}"),
            Self::StyleDone => write!(formatter, "style_done"),
            Self::StyleText => write!(formatter, "style_text"),
            Self::Cancel => write!(formatter, "cancel"),
            Self::CancelJob { operation_id } => write!(formatter, "cancel_job:{operation_id}"),
            Self::PaymentMenu => write!(formatter, "payment_menu"),
            Self::History => write!(formatter, "history"),
            Self::HistoryPage { token } => write!(formatter, "history_page:{token}"),
            Self::Statement(period) => write!(formatter, "statement:{}", period.name()),
            Self::Invite => write!(formatter, "invite"),
            Self::PromoCode => write!(formatter, "promo_code"),
            Self::TopUp(amount) => write!(formatter, "top_up:{}", amount.get()),
            Self::Stars => write!(formatter, "stars"),
            Self::TopUpInStars(amount) => write!(formatter, "top_up_in_stars:{}", amount.get()),
            Self::TopUpOther => write!(formatter, "top_up_other"),
            Self::ReceiptEmail => write!(formatter, "receipt_email"),
            Self::TopUpAgain { intent, amount } => {
                write!(formatter, "top_up_again:{}:{}", intent.simple(), amount.get())
            }
            Self::CheckPayment { top_up_id } => write!(formatter, "check_payment:{top_up_id}"),
            Self::Again { operation_id } => write!(formatter, "again:{operation_id}"),
            Self::AnotherPrompt { operation_id } => {
                write!(formatter, "another_prompt:{operation_id}")
            }
            Self::Original { operation_id } => write!(formatter, "original:{operation_id}"),
            Self::Use { mode, operation_id } => {
                write!(formatter, "use_{}:{operation_id}", mode.name())
            }
            Self::Start { draft } => write!(formatter, "start:{draft}"),
            Self::MergeDone { draft } => write!(formatter, "merge_done:{draft}"),
            Self::MergeClear { draft } => write!(formatter, "merge_clear:{draft}"),
        }
    }
}

/// The data is not of this version of the bot, or forged.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("unknown button")]
pub struct UnknownButton;

impl FromStr for Button {
    type Err = UnknownButton;

    fn from_str(data: &str) -> Result<Self, UnknownButton> {
        if data.len() > BYTES_MAX {
            return Err(UnknownButton);
        }
        let (name, value) = data.split_once(':').unwrap_or((data, ""));
        match name {
            "menu" => bare(value, Self::Menu),
            "model" if is_model(value) => Ok(Self::Model { name: value.to_owned() }),
            "format" if value == ANY_FORMAT => Ok(Self::Format(None)),
            "format" => {
                let known = Format::ALL.into_iter().find(|format| format.name() == value);
                known.map(|format| Self::Format(Some(format))).ok_or(UnknownButton)
            }
            "upscale_factor" => value.parse().map(Self::UpscaleFactor).map_err(|_| UnknownButton),
            "style" => value.parse().map(Self::Style).map_err(|_| UnknownButton),
            "style_done" => bare(value, Self::StyleDone),
            "style_text" => bare(value, Self::StyleText),
            "cancel" => bare(value, Self::Cancel),
            "cancel_job" if is_name(value) => {
                Ok(Self::CancelJob { operation_id: value.to_owned() })
            }
            "payment_menu" => bare(value, Self::PaymentMenu),
            "history" => bare(value, Self::History),
            "history_page" if value.is_empty() || is_name(value) => {
                Ok(Self::HistoryPage { token: value.to_owned() })
            }
            "statement" => {
                let known = Period::ALL.into_iter().find(|period| period.name() == value);
                known.map(Self::Statement).ok_or(UnknownButton)
            }
            "invite" => bare(value, Self::Invite),
            "promo_code" => bare(value, Self::PromoCode),
            "stars" => bare(value, Self::Stars),
            "top_up_in_stars" => Ok(Self::TopUpInStars(amount(value)?)),
            "top_up_other" => bare(value, Self::TopUpOther),
            "receipt_email" => bare(value, Self::ReceiptEmail),
            "top_up" => Ok(Self::TopUp(amount(value)?)),
            "top_up_again" => {
                let (intent, kopecks) = value.split_once(':').ok_or(UnknownButton)?;
                Ok(Self::TopUpAgain { intent: id(intent)?, amount: amount(kopecks)? })
            }
            "check_payment" if is_name(value) => {
                Ok(Self::CheckPayment { top_up_id: value.to_owned() })
            }
            "again" | "another_prompt" | "original" if is_name(value) => {
                Ok(of_result(name, value.to_owned()))
            }
            "start" => Ok(Self::Start { draft: id(value)? }),
            "merge_done" => Ok(Self::MergeDone { draft: id(value)? }),
            "merge_clear" => Ok(Self::MergeClear { draft: id(value)? }),
            _ => {
                if let Some(mode) = name.strip_prefix("use_").and_then(Mode::by_name)
                    && is_name(value)
                {
                    return Ok(Self::Use { mode, operation_id: value.to_owned() });
                }
                let mode = name.strip_prefix("mode_").and_then(Mode::by_name);
                bare(value, Self::Mode(mode.ok_or(UnknownButton)?))
            }
        }
    }
}

fn of_result(name: &str, operation_id: String) -> Button {
    match name {
        "again" => Button::Again { operation_id },
        "another_prompt" => Button::AnotherPrompt { operation_id },
        _ => Button::Original { operation_id },
    }
}

fn bare(value: &str, button: Button) -> Result<Button, UnknownButton> {
    if value.is_empty() { Ok(button) } else { Err(UnknownButton) }
}

fn id(text: &str) -> Result<Uuid, UnknownButton> {
    text.parse().map_err(|_| UnknownButton)
}

fn amount(text: &str) -> Result<Kopecks, UnknownButton> {
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(UnknownButton);
    }
    let amount = text.parse().map(Kopecks::new).map_err(|_| UnknownButton)?;
    let range = crate::money::TOP_UP_MIN..=crate::money::TOP_UP_MAX;
    if range.contains(&amount) { Ok(amount) } else { Err(UnknownButton) }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
}

/// As the models file has them.
fn is_model(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_button_comes_back_as_it_was_and_fits() {
        let draft = Uuid::from_u128(u128::MAX);
        let mut buttons: Vec<Button> = Mode::ALL.into_iter().map(Button::Mode).collect();
        buttons.extend([
            Button::Menu,
            Button::Model { name: "x".repeat(48) },
            Button::Format(None),
            Button::Format(Some(Format::Horizontal)),
            Button::UpscaleFactor(10),
            Button::StyleDone,
            Button::StyleText,
            Button::Cancel,
            Button::CancelJob { operation_id: draft.to_string() },
            Button::PaymentMenu,
            Button::History,
            Button::HistoryPage { token: String::new() },
            Button::HistoryPage { token: i64::MAX.to_string() },
            Button::Statement(Period::Month),
            Button::Statement(Period::Year),
            Button::PromoCode,
            Button::Invite,
            Button::TopUp(crate::money::TOP_UP_MAX),
            Button::Stars,
            Button::TopUpInStars(crate::money::TOP_UP_MAX),
            Button::TopUpOther,
            Button::ReceiptEmail,
            Button::TopUpAgain { intent: draft, amount: crate::money::TOP_UP_MAX },
            Button::CheckPayment { top_up_id: draft.to_string() },
            Button::Again { operation_id: draft.to_string() },
            Button::AnotherPrompt { operation_id: draft.to_string() },
            Button::Original { operation_id: draft.to_string() },
            Button::Use { mode: Mode::FaceSwap, operation_id: draft.to_string() },
            Button::Start { draft },
            Button::MergeDone { draft },
            Button::MergeClear { draft },
        ]);

        buttons.extend(Change::ALL.into_iter().map(|(change, _)| Button::Style(change)));
        for button in buttons {
            let data = button.to_string();
            assert!(data.len() <= BYTES_MAX, "{data}");
            assert_eq!(data.parse(), Ok(button), "{data}");
        }
    }

    #[test]
    fn these_texts_are_in_old_messages_and_stay() {
        assert_eq!("mode_generate".parse(), Ok(Button::Mode(Mode::Generate)));
        assert_eq!("mode_face_swap".parse(), Ok(Button::Mode(Mode::FaceSwap)));
        assert_eq!("payment_menu".parse(), Ok(Button::PaymentMenu));
        assert_eq!("top_up:10000".parse(), Ok(Button::TopUp(Kopecks::new(10_000))));
    }

    #[test]
    fn foreign_data_is_no_button() {
        let long = "x".repeat(65);
        for data in [
            "",
            "mode_",
            "mode_conquer",
            "mode_generate:1",
            "top_up:",
            "top_up:-1",
            "top_up:+1000",
            "top_up:99999999999",
            "top_up_again:x:1000",
            "check_payment:",
            "history:1",
            "history_page:1 or 2",
            "statement:",
            "statement:for_ever",
            "cancel_job:",
            "cancel_job:1 or 2",
            "check_payment:../..",
            "merge_done:7",
            "start:",
            "again:",
            "use_edit:",
            "use_conquer:1",
            "generate",
            &long,
        ] {
            assert_eq!(data.parse::<Button>(), Err(UnknownButton), "{data}");
        }
    }
}
