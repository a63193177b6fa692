//! The menu, the commands and what is said between the dialogues.

use teloxide::utils::html::escape;

use crate::mode::Mode;

/// The button that opens a mode.
pub fn mode_button(mode: Mode) -> &'static str {
    match mode {
        Mode::Generate => "🎨 Создать",
        Mode::Edit => "✏️ Редактировать",
        Mode::Merge => "🔗 Объединить",
        Mode::FaceSwap => "🔄 Заменить лицо",
        Mode::Retouch => "✨ Ретушь",
        Mode::Upscale => "⬆️ Улучшить",
        Mode::AddText => "📝 Добавить текст",
    }
}

pub const PAYMENT_BUTTON: &str = "💰 Оплатить / Баланс";
pub const MENU_BUTTON: &str = "🏠 Меню";
pub const CANCEL_BUTTON: &str = "✖️ Отмена";

pub const COMMAND_START: &str = "Главное меню";
pub const COMMAND_BALANCE: &str = "Баланс и бесплатные операции";
pub const COMMAND_HELP: &str = "Что умеет бот";
pub const COMMAND_CANCEL: &str = "Отменить и начать сначала";

/// The greeting with the menu.
pub fn greeting(name: &str, free_operations: i64) -> String {
    let name = escape(name);
    let gift = match free_operations {
        0 => String::new(),
        number => format!("\nБесплатных операций: {number}."),
    };
    format!(
        "👋 Здравствуйте, {name}!\n\nЯ создаю и обрабатываю картинки с помощью ИИ. \
         Выберите, что сделать:\n{gift}"
    )
    .trim_end()
    .to_owned()
}

pub const MENU: &str = "Выберите, что сделать:";

pub const HELP: &str = "\
<b>Что я умею</b>

🎨 <b>Создать</b> – картинка по вашему описанию
✏️ <b>Редактировать</b> – изменю фото так, как вы опишете
🔗 <b>Объединить</b> – соберу одну картинку из 2–10 фото
🔄 <b>Заменить лицо</b> – перенесу лицо с одного фото на другое
✨ <b>Ретушь</b> – уберу недостатки
⬆️ <b>Улучшить</b> – увеличу чёткость и размер
📝 <b>Добавить текст</b> – напишу текст на фото, бесплатно

Фото можно присылать и файлом: так качество выше.
Если работа не удалась, бесплатная операция или деньги вернутся сами.

/start – меню
/balance – баланс
/history – история и выписка
/promo – промокод
/invite – пригласить друга
/terms – условия
/paysupport – вопросы об оплате
/cancel – отменить и начать сначала";

pub const CANCELLED: &str = "Отменено. Выберите, что сделать:";
pub const NOTHING_TO_CANCEL: &str = "Отменять нечего. Выберите, что сделать:";
pub const UNKNOWN_COMMAND: &str =
    "Такой команды нет. Есть /start, /balance, /history, /promo, /help и /cancel.";
pub const OLD_BUTTON: &str = "Эта кнопка больше не действует. Выберите, что сделать:";
pub const FORGOTTEN: &str =
    "Бот обновился, и начатое пришлось забыть. Деньги не списаны. Выберите, что сделать:";
pub const CHOOSE_FIRST: &str = "Сначала выберите, что сделать:";
pub const EDITED: &str = "Исправленные сообщения я не вижу. Отправьте новое сообщение.";
pub const PRIVATE_ONLY: &str = "Я работаю только в личных сообщениях. Напишите мне туда.";
