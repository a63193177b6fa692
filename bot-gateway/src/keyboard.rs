//! The inline keyboards.

use proto::payments::v1::StarsOffer;
use teloxide::types::{InlineKeyboardButton, InlineKeyboardMarkup};
use url::Url;
use uuid::Uuid;

use crate::button::{BYTES_MAX, Button, Period};
use crate::dialogue::{Choices, MERGE_MIN};
use crate::mode::Mode;
use crate::models::Model;
use crate::money::Kopecks;
use crate::style::{Change, Style};
use crate::text;

/// The sums that can be paid in with one tap.
pub const AMOUNTS: [Kopecks; 4] =
    [Kopecks::new(10_000), Kopecks::new(30_000), Kopecks::new(50_000), Kopecks::new(100_000)];

/// The main menu.
pub fn menu() -> InlineKeyboardMarkup {
    let modes: Vec<_> = Mode::ALL.into_iter().map(mode).collect();
    let mut rows: Vec<Vec<_>> = modes.chunks(2).map(<[_]>::to_vec).collect();
    rows.push(vec![button(text::menu::PAYMENT_BUTTON, &Button::PaymentMenu)]);
    InlineKeyboardMarkup::new(rows)
}

/// What can be chosen of a mode, with the way out; what is chosen is ticked.
pub fn choices(models: &[Model], chosen: &Choices) -> InlineKeyboardMarkup {
    let mut rows: Vec<Vec<InlineKeyboardButton>> = Vec::new();
    if models.len() > 1 {
        rows.extend(models.iter().map(|model| {
            let label = text::modes::model_button(&model.title, model.price);
            let press = Button::Model { name: model.name.clone() };
            vec![choice(label, &press, chosen.model == model.name)]
        }));
    }
    let Some(model) = models.iter().find(|model| model.name == chosen.model) else {
        return cancel();
    };
    if !model.formats.is_empty() {
        let any = [None].into_iter().chain(model.formats.iter().copied().map(Some));
        let formats: Vec<_> = any
            .map(|format| {
                let label = text::modes::format_button(format).to_owned();
                choice(label, &Button::Format(format), chosen.format == format)
            })
            .collect();
        rows.extend(formats.chunks(2).map(<[_]>::to_vec));
    }
    if model.upscale_factors.len() > 1 {
        let factor = |factor: &i32| {
            let label = text::modes::factor_button(*factor, model.price);
            choice(label, &Button::UpscaleFactor(*factor), chosen.upscale_factor == Some(*factor))
        };
        rows.push(model.upscale_factors.iter().map(factor).collect());
    }
    rows.push(vec![button(text::menu::CANCEL_BUTTON, &Button::Cancel)]);
    InlineKeyboardMarkup::new(rows)
}

/// How the text of a preview can be changed; what is there is ticked.
pub fn style(style: &Style) -> InlineKeyboardMarkup {
    let change = |change: Change| {
        choice(text::styles::button(change).to_owned(), &Button::Style(change), style.has(change))
    };
    let mut rows = vec![
        vec![change(Change::Smaller), change(Change::Larger)],
        vec![change(Change::Top), change(Change::Middle), change(Change::Bottom)],
        vec![change(Change::Left), change(Change::Center), change(Change::Right)],
        [Change::White, Change::Black, Change::Red, Change::Yellow, Change::Green, Change::Blue]
            .map(change)
            .to_vec(),
        vec![change(Change::Plate), change(Change::Outline), change(Change::Shadow)],
    ];
    if style.has(Change::Plate) {
        rows.push(vec![change(Change::Corners)]);
    }
    rows.push(vec![
        button(text::styles::TEXT_BUTTON, &Button::StyleText),
        button(text::menu::CANCEL_BUTTON, &Button::Cancel),
    ]);
    rows.push(vec![button(text::styles::DONE_BUTTON, &Button::StyleDone)]);
    InlineKeyboardMarkup::new(rows)
}

/// A way out of a dialogue.
pub fn cancel() -> InlineKeyboardMarkup {
    InlineKeyboardMarkup::new([[button(text::menu::CANCEL_BUTTON, &Button::Cancel)]])
}

/// The way to end a job that has not begun.
pub fn cancel_job(operation_id: &str) -> InlineKeyboardMarkup {
    let cancel = Button::CancelJob { operation_id: operation_id.to_owned() };
    InlineKeyboardMarkup::new([[button(text::jobs::CANCEL_BUTTON, &cancel)]])
}

/// The way to pay in.
pub fn top_up() -> InlineKeyboardMarkup {
    InlineKeyboardMarkup::new([
        [button(text::payments::TOP_UP_BUTTON, &Button::PaymentMenu)],
        [to_menu()],
    ])
}

/// Begins a purchase that is ready.
pub fn start(draft: Uuid, price: Kopecks) -> InlineKeyboardMarkup {
    InlineKeyboardMarkup::new([
        [begin(draft, price)],
        [button(text::menu::CANCEL_BUTTON, &Button::Cancel)],
    ])
}

/// The way to pay in, and to begin afterwards what is ready.
pub fn top_up_and_start(draft: Uuid, price: Kopecks) -> InlineKeyboardMarkup {
    let mut keyboard = top_up();
    keyboard.inline_keyboard.insert(1, vec![begin(draft, price)]);
    keyboard
}

fn begin(draft: Uuid, price: Kopecks) -> InlineKeyboardButton {
    button(text::modes::start_button(price), &Button::Start { draft })
}

/// What can be done below the balance.
pub fn balance() -> InlineKeyboardMarkup {
    InlineKeyboardMarkup::new([
        vec![button(text::payments::TOP_UP_BUTTON, &Button::PaymentMenu)],
        vec![
            button(text::history::BUTTON, &Button::History),
            button(text::promo::BUTTON, &Button::PromoCode),
        ],
        vec![button(text::referrals::BUTTON, &Button::Invite)],
        vec![to_menu()],
    ])
}

/// Sends a link to somebody.
pub fn share(link: &str) -> InlineKeyboardMarkup {
    let share = Url::parse_with_params("https://t.me/share/url", [("url", link)]).ok();
    let share = share.map(|url| InlineKeyboardButton::url(text::referrals::SHARE_BUTTON, url));
    InlineKeyboardMarkup::new([share.into_iter().collect(), vec![to_menu()]])
}

/// Below the page of the history that `token` names: the pages beside it, and files.
pub fn history(token: &str, older: &str) -> InlineKeyboardMarkup {
    let page = |label: &str, token: &str| {
        let press = Button::HistoryPage { token: token.to_owned() };
        (press.to_string().len() <= BYTES_MAX).then(|| button(label, &press))
    };
    let newest = (!token.is_empty()).then(|| page(text::history::NEWEST_BUTTON, "")).flatten();
    let older = (!older.is_empty()).then(|| page(text::history::OLDER_BUTTON, older)).flatten();
    InlineKeyboardMarkup::new([
        newest.into_iter().chain(older).collect::<Vec<_>>(),
        vec![button(text::history::MONTH_BUTTON, &Button::Statement(Period::Month))],
        vec![button(text::history::YEAR_BUTTON, &Button::Statement(Period::Year))],
        vec![to_menu()],
    ])
}

/// The sums to pay in.
pub fn amounts() -> InlineKeyboardMarkup {
    let sums: Vec<_> = AMOUNTS
        .into_iter()
        .map(|amount| button(text::payments::amount_button(amount), &Button::TopUp(amount)))
        .collect();
    let mut rows: Vec<Vec<_>> = sums.chunks(2).map(<[_]>::to_vec).collect();
    rows.push(vec![button(text::payments::OTHER_AMOUNT_BUTTON, &Button::TopUpOther)]);
    rows.push(vec![to_menu()]);
    InlineKeyboardMarkup::new(rows)
}

/// The same, with the way to change where receipts go above the last row, if they go anywhere.
#[must_use]
pub fn with_email(mut keyboard: InlineKeyboardMarkup, email: Option<&str>) -> InlineKeyboardMarkup {
    if email.is_some() {
        let change = button(text::receipts::CHANGE_BUTTON, &Button::ReceiptEmail);
        let last = keyboard.inline_keyboard.len().saturating_sub(1);
        keyboard.inline_keyboard.insert(last, vec![change]);
    }
    keyboard
}

/// The sums to pay in, and the way to pay in Stars.
pub fn amounts_or_stars() -> InlineKeyboardMarkup {
    let mut keyboard = amounts();
    let before_menu = keyboard.inline_keyboard.len().saturating_sub(1);
    let stars = vec![button(text::stars::STARS_BUTTON, &Button::Stars)];
    keyboard.inline_keyboard.insert(before_menu, stars);
    keyboard
}

/// What can be paid in Stars.
pub fn stars(offers: &[StarsOffer]) -> InlineKeyboardMarkup {
    let offer = |offer: &StarsOffer| {
        let label = text::stars::offer_button(offer.stars, Kopecks::new(offer.credited_kopecks));
        button(label, &Button::TopUpInStars(Kopecks::new(offer.amount_kopecks)))
    };
    let offers: Vec<_> = offers.iter().map(offer).collect();
    let mut rows: Vec<Vec<_>> = offers.chunks(2).map(<[_]>::to_vec).collect();
    rows.push(vec![to_menu()]);
    InlineKeyboardMarkup::new(rows)
}

/// A payment link, and the way to ask about it.
pub fn payment(amount: Kopecks, link: Option<Url>, top_up_id: &str) -> InlineKeyboardMarkup {
    let check = Button::CheckPayment { top_up_id: top_up_id.to_owned() };
    let pay =
        link.map(|link| vec![InlineKeyboardButton::url(text::payments::pay_button(amount), link)]);
    let rows = pay.into_iter().chain([vec![button(text::payments::CHECK_BUTTON, &check)]]);
    InlineKeyboardMarkup::new(rows)
}

/// Makes a payment link that could not be made before.
pub fn pay_again(intent: Uuid, amount: Kopecks) -> InlineKeyboardMarkup {
    InlineKeyboardMarkup::new([
        [button(text::payments::AGAIN_BUTTON, &Button::TopUpAgain { intent, amount })],
        [to_menu()],
    ])
}

/// What can be done with the pictures of a merge.
pub fn merge(draft: Uuid, number: usize) -> InlineKeyboardMarkup {
    let clear = button(text::modes::CLEAR_BUTTON, &Button::MergeClear { draft });
    let done = button(text::modes::DONE_BUTTON, &Button::MergeDone { draft });
    InlineKeyboardMarkup::new([if number < MERGE_MIN { vec![clear] } else { vec![done, clear] }])
}

/// A result, as far as its buttons need it.
#[derive(Clone, Debug)]
pub struct AfterResult<'a> {
    pub mode: Mode,
    pub operation_id: &'a str,
    /// The button that buys it once more; none where it is not remembered how it was made.
    pub again: Option<String>,
    /// It was sent as it is.
    pub is_original: bool,
}

/// What can be done after a result.
pub fn after_result(after: &AfterResult<'_>) -> InlineKeyboardMarkup {
    let operation_id = || after.operation_id.to_owned();
    let mut rows = Vec::new();
    if let Some(again) = &after.again {
        let mut row = vec![button(again, &Button::Again { operation_id: operation_id() })];
        if matches!(after.mode, Mode::Generate | Mode::Edit | Mode::Merge) {
            let press = Button::AnotherPrompt { operation_id: operation_id() };
            row.push(button(text::jobs::ANOTHER_PROMPT_BUTTON, &press));
        }
        rows.push(row);
    }
    let edit = Button::Use { mode: Mode::Edit, operation_id: operation_id() };
    let mut row = vec![button(text::jobs::EDIT_BUTTON, &edit)];
    if after.mode != Mode::Upscale {
        let upscale = Button::Use { mode: Mode::Upscale, operation_id: operation_id() };
        row.push(button(text::jobs::UPSCALE_BUTTON, &upscale));
    }
    rows.push(row);
    if !after.is_original {
        let original = Button::Original { operation_id: operation_id() };
        rows.push(vec![button(text::jobs::ORIGINAL_BUTTON, &original)]);
    }
    rows.push(vec![mode(after.mode), to_menu()]);
    InlineKeyboardMarkup::new(rows)
}

/// What can be done after a text was drawn.
pub fn after_text() -> InlineKeyboardMarkup {
    InlineKeyboardMarkup::new([[mode(Mode::AddText)], [to_menu()]])
}

/// The same, with the way to begin above the last row.
#[must_use]
pub fn with_start(
    mut keyboard: InlineKeyboardMarkup,
    draft: Uuid,
    price: Kopecks,
) -> InlineKeyboardMarkup {
    let last = keyboard.inline_keyboard.len().saturating_sub(1);
    keyboard.inline_keyboard.insert(last, vec![begin(draft, price)]);
    keyboard
}

fn choice(label: String, press: &Button, is_chosen: bool) -> InlineKeyboardButton {
    button(if is_chosen { format!("✅ {label}") } else { label }, press)
}

fn mode(mode: Mode) -> InlineKeyboardButton {
    button(text::menu::mode_button(mode), &Button::Mode(mode))
}

fn to_menu() -> InlineKeyboardButton {
    button(text::menu::MENU_BUTTON, &Button::Menu)
}

fn button(text: impl Into<String>, button: &Button) -> InlineKeyboardButton {
    InlineKeyboardButton::callback(text.into(), button.to_string())
}
