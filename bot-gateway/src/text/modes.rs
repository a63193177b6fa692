//! The dialogues of the seven modes.

use teloxide::utils::html::escape;

use crate::dialogue::{Format, MERGE_MAX, MERGE_MIN, State};
use crate::mode::Mode;
use crate::money::Kopecks;

use super::plural;

pub const DONE_BUTTON: &str = "✅ Готово";
pub const CLEAR_BUTTON: &str = "🗑 Очистить";

/// Said when a mode is opened and refusals do not come back any more today.
pub const REFUSALS_CHARGED: &str = "⚠️ Если сервис откажется от работы из-за содержания, стоимость \
     не вернётся: бесплатных отказов на сегодня больше нет.";

/// What a mode costs and what the user has, as it is shown when the mode is opened.
#[derive(Clone, Debug)]
pub struct Terms {
    /// The price of one operation.
    pub price: Kopecks,
    /// Whether a free operation may pay for it.
    pub free_allowed: bool,
    /// Free operations that the user has.
    pub free_operations: i64,
    /// The user's balance.
    pub balance: Kopecks,
    /// The languages of descriptions that the model understands; empty where it is not limited.
    pub languages: Vec<String>,
}

/// The first question of a mode, with what it costs; the free mode has no terms.
pub fn opened(mode: Mode, terms: Option<&Terms>) -> String {
    asked(mode, terms, &first_question(mode))
}

/// The same, where the picture is there already.
pub fn opened_with_picture(mode: Mode, terms: Option<&Terms>) -> String {
    asked(mode, terms, if mode == Mode::Edit { ASK_EDIT_PROMPT } else { ASK_START })
}

fn asked(mode: Mode, terms: Option<&Terms>, question: &str) -> String {
    let title = super::menu::mode_button(mode);
    let cost = match terms {
        None => "Бесплатно.".to_owned(),
        Some(terms) if terms.free_allowed && terms.free_operations > 0 => format!(
            "Стоимость: {}. Бесплатных операций: {} – будет использована одна из них.",
            terms.price, terms.free_operations
        ),
        Some(terms) => format!("Стоимость: {}. Баланс: {}.", terms.price, terms.balance),
    };
    let languages = terms.map(|terms| languages(&terms.languages)).unwrap_or_default();
    format!("<b>{title}</b>\n{cost}\n\n{question}{languages}")
}

/// Said where the model does not understand Russian.
fn languages(codes: &[String]) -> String {
    if codes.is_empty() || codes.iter().any(|code| code == "ru") {
        return String::new();
    }
    let names: Vec<_> = codes.iter().map(|code| language(code)).collect();
    format!("\n⚠️ Эта модель понимает описания только на языках: {}.", names.join(", "))
}

fn language(code: &str) -> &str {
    match code {
        "en" => "английский",
        "zh" => "китайский",
        other => other,
    }
}

/// Begins a purchase that is ready: "Begin – 10 ₽".
pub fn start_button(price: Kopecks) -> String {
    format!("▶️ Начать – {price}")
}

/// A model in its button.
pub fn model_button(title: &str, price: Kopecks) -> String {
    format!("{title} – {price}")
}

/// A shape in its button.
pub fn format_button(format: Option<Format>) -> &'static str {
    match format {
        None => "Любой формат",
        Some(Format::Vertical) => "↕️ Вертикальный",
        Some(Format::Square) => "⬜ Квадрат",
        Some(Format::Horizontal) => "↔️ Горизонтальный",
    }
}

/// How much larger, in its button.
pub fn factor_button(factor: i32, price: Kopecks) -> String {
    format!("×{factor} – {price}")
}

fn first_question(mode: Mode) -> String {
    match mode {
        Mode::Generate => "Опишите картинку, которую хотите получить.".to_owned(),
        Mode::Edit => "Отправьте фото, которое нужно изменить. Что изменить, можно написать \
                       сразу в подписи к нему."
            .to_owned(),
        Mode::Merge => format!("Отправьте от {MERGE_MIN} до {MERGE_MAX} фото, можно альбомом."),
        Mode::FaceSwap => {
            "Отправьте фото, <b>на котором</b> нужно заменить лицо. Вторым попрошу фото с новым \
             лицом."
                .to_owned()
        }
        Mode::Retouch => "Отправьте фото, и я сразу начну ретушь.".to_owned(),
        Mode::Upscale => {
            "Отправьте фото, и я сразу начну. Лучше файлом, без сжатия. В результате будет \
                          не больше 24 мегапикселей."
                .to_owned()
        }
        Mode::AddText => "Отправьте фото. Текст можно написать сразу в подписи к нему.".to_owned(),
    }
}

/// "The picture is there. Shall it begin?"
pub const ASK_START: &str = "Фото получено. Начать?";

/// "The description was … Write a new one."
pub fn ask_another_prompt(before: &str, price: Kopecks) -> String {
    // Telegram takes no longer messages; enough to know it again.
    const SHOWN_MAX: usize = 600;
    let mut shown: String = before.chars().take(SHOWN_MAX).collect();
    if shown.len() < before.len() {
        shown.push('…');
    }
    format!(
        "Прежнее описание: <code>{}</code>\n\nНапишите новое, остальное останется как было. \
         Стоимость: {price} или бесплатная операция.",
        escape(&shown)
    )
}

pub const ASK_EDIT_PROMPT: &str = "Фото получено. Что изменить?";
pub const ASK_MERGE_PROMPT: &str = "Опишите, что должно получиться из этих фото.";
pub const ASK_FACE: &str = "Фото получено. Теперь отправьте фото с лицом, которое нужно перенести.";
pub const ASK_TEXT: &str = "Фото получено. Какой текст добавить?";

/// How many pictures of a merge have come.
pub fn merge_counter(number: usize, has_caption: bool) -> String {
    let count = format!("Получено {} из {MERGE_MAX}.", plural::photos(number));
    let next = match number {
        0..MERGE_MIN => format!("Нужно хотя бы {MERGE_MIN}."),
        MERGE_MAX => "Больше добавить нельзя. Нажмите «Готово».".to_owned(),
        _ => "Отправьте ещё или нажмите «Готово».".to_owned(),
    };
    let caption = if has_caption {
        "\nПодпись к фото взята как описание."
    } else {
        ""
    };
    format!("{count} {next}{caption}")
}

pub const MERGE_FULL: &str = "Уже 10 фото, больше добавить нельзя. Нажмите «Готово».";
pub const MERGE_CLEARED: &str = "Фото убраны. Отправьте от 2 до 10 фото.";
pub const MERGE_TOO_FEW: &str = "Нужно хотя бы 2 фото. Отправьте ещё.";

/// What we wait for, when something else came.
pub fn awaited(state: &State) -> &'static str {
    match state {
        State::Idle => super::menu::CHOOSE_FIRST,
        State::WaitPhoto(_) => {
            "Жду фото: картинкой или файлом (JPEG, PNG, WebP). /cancel – отменить."
        }
        State::WaitFace(_) => {
            "Жду фото с новым лицом: картинкой или файлом (JPEG, PNG, WebP). /cancel – отменить."
        }
        State::WaitPhotos(_) => {
            "Жду фото: от 2 до 10, картинками или файлами. Когда пришлёте все, нажмите «Готово». \
             /cancel – отменить."
        }
        State::WaitPrompt(_) => "Жду описание текстом. /cancel – отменить.",
        State::WaitText(_) => "Жду текст, который нужно добавить на фото. /cancel – отменить.",
        State::WaitStyle(_) => super::styles::AWAITED,
        State::WaitStart(_) => "Всё готово: нажмите «Начать». /cancel – отменить.",
        State::WaitPromoCode(_) => super::promo::AWAITED,
        State::WaitEmail(_) => super::receipts::AWAITED,
        State::WaitAmount(_) => "Жду сумму в рублях, например 150. /cancel – отменить.",
    }
}

/// The prompt is longer than the models take.
pub fn prompt_too_long(characters: usize, max: usize) -> String {
    format!(
        "Описание слишком длинное: {}, а можно не больше {max}. Сократите и отправьте ещё раз.",
        plural::characters(characters)
    )
}

pub const TEXT_TOO_LONG: &str =
    "Текст слишком длинный: можно не больше 500 символов. Сократите и отправьте ещё раз.";
pub const TEXT_DOES_NOT_FIT: &str = "Текст не поместится на это фото так, чтобы его можно было \
     прочитать. Сократите его, уберите строки или отправьте фото побольше.";
pub const TEXT_CHARACTERS_MISSING: &str = "В тексте есть знаки, которых нет в моём шрифте. Уберите \
     их и отправьте текст ещё раз.";
pub const PROMPT_EMPTY: &str = "Описание пустое. Напишите, что должно получиться.";
pub const TEXT_EMPTY: &str = "Текст пустой. Напишите, что добавить на фото.";

pub const DRAWING_TEXT_DONE: &str = "📝 Готово! Это бесплатно.";
