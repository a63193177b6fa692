//! The e-mail for receipts (54-FZ).

use proto::service::email::EmailError;
use teloxide::utils::html::escape;

use crate::money::Kopecks;

/// Change the e-mail for receipts.
pub const CHANGE_BUTTON: &str = "🧾 Сменить e-mail для чеков";

/// Which e-mail should the receipt go to? It is asked once, and the payment goes on afterwards.
pub fn ask(amount: Kopecks) -> String {
    format!(
        "🧾 На какой e-mail прислать чек?\n\nПо закону чек об оплате приходит на почту. Напишите \
         адрес, например name@mail.ru: я запомню его и больше не спрошу. Сразу после этого \
         продолжим пополнение на <b>{amount}</b>."
    )
}

/// Which e-mail should receipts go to from now on?
pub fn ask_another(now: Option<&str>) -> String {
    const QUESTION: &str = "Напишите адрес, на который присылать чеки, например name@mail.ru.";
    match now {
        Some(email) => format!("🧾 Сейчас чеки приходят на {}.\n\n{QUESTION}", escape(email)),
        None => format!("🧾 {QUESTION}"),
    }
}

/// Why an address cannot be taken, and what to write instead.
pub fn refused(error: EmailError) -> &'static str {
    match error {
        // One address, please, without other words.
        EmailError::NotOne => {
            "Не вижу здесь адреса. Напишите только его, одним сообщением: например name@mail.ru. \
             /cancel – отменить."
        }
        // Latin letters only.
        EmailError::NotLatin => {
            "В адресе есть буквы, которые касса не примет. Напишите адрес латинскими буквами, \
             например name@mail.ru. /cancel – отменить."
        }
        // Too long.
        EmailError::TooLong => {
            "Адрес слишком длинный: можно не больше 254 символов. Напишите другой. \
             /cancel – отменить."
        }
        // There is a mistake in it.
        EmailError::Malformed => {
            "В адресе ошибка. Проверьте его и напишите ещё раз, например name@mail.ru. \
             /cancel – отменить."
        }
    }
}

/// The address is kept.
pub fn kept(email: &str) -> String {
    format!(
        "✅ Чеки будут приходить на {}. Сменить адрес можно в разделе «Оплатить / Баланс».",
        escape(email)
    )
}

/// Where receipts go, as the balance shows it.
pub fn line(email: &str) -> String {
    format!("🧾 Чеки: {}", escape(email))
}

/// What is awaited, when something else came: the e-mail.
pub const AWAITED: &str = "Жду e-mail для чека, например name@mail.ru. /cancel – отменить.";
