//! How text on a picture looks.

use teloxide::utils::html::escape;

use crate::style::Change;

pub const DONE_BUTTON: &str = "✅ Готово";
pub const TEXT_BUTTON: &str = "✏️ Другой текст";

/// A change in its button.
pub fn button(change: Change) -> &'static str {
    match change {
        Change::Smaller => "➖ Мельче",
        Change::Larger => "➕ Крупнее",
        Change::Top => "⬆️ Вверх",
        Change::Middle => "↕️ Середина",
        Change::Bottom => "⬇️ Вниз",
        Change::Left => "⬅️ Влево",
        Change::Center => "↔️ Центр",
        Change::Right => "➡️ Вправо",
        Change::White => "⚪️",
        Change::Black => "⚫️",
        Change::Red => "🔴",
        Change::Yellow => "🟡",
        Change::Green => "🟢",
        Change::Blue => "🔵",
        Change::Plate => "Плашка",
        Change::Corners => "Углы плашки",
        Change::Outline => "Обводка",
        Change::Shadow => "Тень",
    }
}

/// Under a preview, with the words of a description that mean nothing.
pub fn preview(not_understood: &[String]) -> String {
    let how = "Так будет выглядеть. Меняйте кнопками или опишите словами, например: «крупный белый \
               текст сверху на чёрной полупрозрачной плашке». Когда всё нравится, нажмите «Готово»: \
               пришлю в полном качестве.";
    if not_understood.is_empty() {
        return how.to_owned();
    }
    format!("⚠️ Не понял: {}.\n\n{how}", listed(not_understood))
}

/// Nothing of a description means anything.
pub fn not_understood(words: &[String]) -> String {
    format!(
        "Не понял: {}. Опишите размер, цвет, место, плашку, обводку или тень, например: «жёлтый, \
         снизу слева, с чёрной обводкой». Чтобы поменять сам текст, нажмите «Другой текст».",
        listed(words)
    )
}

fn listed(words: &[String]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("«{}»", escape(word))).collect();
    quoted.join(", ")
}

pub const DESCRIPTION_TOO_LONG: &str = "Описание слишком длинное: можно не больше 200 символов. Чтобы \
     поменять сам текст, нажмите «Другой текст».";
pub const ASK_OTHER_TEXT: &str = "Какой текст добавить?";
pub const AWAITED: &str = "Жду, как оформить текст: нажмите кнопку под картинкой или опишите словами. \
     /cancel – отменить.";
