//! Paying with Telegram Stars, the terms, and payment support.

use teloxide::utils::html::escape;

use crate::money::Kopecks;

// In the menu of sums: "⭐ Stars".
pub const STARS_BUTTON: &str = "⭐ Stars";

/// "How much will you pay in Stars? On the left what you pay, on the right what is credited."
pub const ASK_AMOUNT: &str = "Пополнение звёздами Telegram.\n\nСлева – сколько звёзд вы заплатите, \
     справа – сколько поступит на баланс:";

/// "67 ⭐ → 100.50 ₽": what is paid, and what is credited.
pub fn offer_button(stars: i64, credited: Kopecks) -> String {
    format!("{stars} ⭐ → {credited}")
}

/// "Stars cannot be taken now. Choose another way." The person sees the sums in roubles.
pub const NOT_OFFERED: &str = "Оплата звёздами сейчас недоступна. Можно пополнить в рублях:";

/// "The price in Stars has changed. Choose again."
pub const RATE_CHANGED: &str =
    "Цена в звёздах изменилась. Звёзды не списаны, выберите сумму снова:";

/// "This invoice has ended already. Choose a sum for a new one."
pub const INVOICE_ENDED: &str = "Этот счёт уже завершён. Выберите сумму для нового:";

/// The invoice's title: "Top-up of the balance". 32 characters at most.
pub const INVOICE_TITLE: &str = "Пополнение баланса";

/// The invoice's text: "100.50 ₽ will be credited. Terms: /terms, questions: /paysupport."
pub fn invoice_description(credited: Kopecks) -> String {
    format!(
        "На баланс поступит {credited}. Счёт действует сутки. Условия: /terms, вопросы об оплате: \
         /paysupport."
    )
}

/// The only line of the invoice: "100.50 ₽ on the balance".
pub fn invoice_label(credited: Kopecks) -> String {
    format!("{credited} на баланс")
}

// What Telegram shows when a payment is stopped before it is made. No markup.

/// "This invoice was made for somebody else or is no longer valid. Get a new one in the bot."
pub const FOREIGN_INVOICE: &str = "Этот счёт выставлен другому человеку или больше не действует. \
     Звёзды не списаны. Получите свой счёт в боте: кнопка «Оплатить / Баланс».";
/// "This invoice is paid already."
pub const PAID_INVOICE: &str =
    "Этот счёт уже оплачен. Звёзды не списаны. Для нового пополнения получите новый счёт в боте.";
/// "The invoice is too old."
pub const OLD_INVOICE: &str = "Счёт устарел. Звёзды не списаны. Получите новый счёт в боте.";
/// "The sum is not that of the invoice."
pub const OTHER_AMOUNT: &str =
    "Сумма не совпадает со счётом. Звёзды не списаны. Получите новый счёт в боте.";
/// "Stars are not taken now."
pub const SWITCHED_OFF: &str =
    "Оплата звёздами сейчас выключена. Звёзды не списаны. Можно пополнить в рублях.";
/// "The payment cannot be taken at the moment. Try again in a minute."
pub const TRY_LATER: &str =
    "Сейчас принять оплату не получается. Звёзды не списаны. Попробуйте ещё раз через минуту.";

/// "The payment has arrived. The service does not answer; it will be credited by itself."
pub const WILL_BE_CREDITED: &str = "⏳ Платёж звёздами получен. Сервис сейчас не отвечает, поэтому \
     баланс пополнится чуть позже, сам. Платить ещё раз не нужно.";
/// "The payment has arrived, but could not be credited. Write to support."
pub const NOT_CREDITED: &str = "😔 Платёж звёздами получен, но зачислить его не получилось. Мы уже \
     знаем об этом. Вопросы: /paysupport.";

/// "This invoice was paid twice; the second payment, 67 ⭐, was given back."
pub fn paid_twice(stars: u32) -> String {
    format!("↩️ Этот счёт был оплачен дважды. Второй платёж ({stars} ⭐) возвращён вам.")
}

/// "The payment of 67 ⭐ could not be credited, so it was given back."
pub fn given_back(stars: u32) -> String {
    format!("↩️ Платёж ({stars} ⭐) не удалось зачислить, поэтому звёзды возвращены вам.")
}

/// "The payment could be neither credited nor given back by itself. Write to support and name its
/// number."
pub fn not_given_back(stars: u32, charge: &str) -> String {
    format!(
        "😔 Платёж ({stars} ⭐) не удалось зачислить и не удалось вернуть автоматически. Напишите в \
         поддержку (/paysupport) и назовите номер платежа: {}",
        escape(charge)
    )
}

pub const COMMAND_TERMS: &str = "Условия";
pub const COMMAND_PAY_SUPPORT: &str = "Вопросы об оплате";

/// The terms. "What is sold; what it costs; what comes back; how a top-up goes back."
pub const TERMS: &str = "\
<b>Условия</b>

• Бот обрабатывает картинки с помощью ИИ. Цена показана до начала работы и берётся с баланса или \
бесплатной операцией.
• Если работа не удалась, взятое возвращается сразу и полностью. Отказы из-за содержания (описание или фото нарушает \
правила сервиса) возвращаются несколько раз в день, о платном отказе бот предупреждает заранее.
• Баланс пополняется в рублях или звёздами Telegram. Сколько поступит на баланс, написано в счёте.
• Пополнение можно вернуть по обращению: /paysupport. Звёзды возвращаются целиком за платёж, \
зачисленное за них списывается с баланса.
• Пополняя баланс, вы соглашаетесь с этими условиями.";

/// Where to ask about payments. "Write to …, with the date, the sum and the number of the payment."
pub fn pay_support(contact: Option<&str>, user_id: i64) -> String {
    let to = match contact {
        Some(contact) => format!("Напишите: {}", escape(contact)),
        None => "Напишите владельцу бота: контакт указан в профиле бота".to_owned(),
    };
    format!(
        "<b>Вопросы об оплате</b>\n\n{to}.\n\nУкажите дату и сумму платежа, для звёзд – номер \
         платежа (в Telegram: Настройки → Мои звёзды → платёж). Ваш номер: {user_id}.\n\nПоддержка \
         Telegram по этим платежам не помогает: продавец – владелец бота."
    )
}

// For operators.

/// "Usage: /refund_stars <user> <charge>"
pub const REFUND_USAGE: &str =
    "Так: /refund_stars &lt;номер пользователя&gt; &lt;номер платежа звёздами&gt;";

/// "No such payment of this user was credited. Nothing was given back."
pub const REFUND_UNKNOWN: &str =
    "У этого пользователя нет зачисленного платежа с таким номером. Ничего не возвращено.";

/// "Given back: 67 ⭐; 100.50 ₽ taken from the balance of user 7."
pub fn refunded(user_id: i64, stars: i64, credited: Kopecks) -> String {
    format!("✅ Возвращено: {stars} ⭐. С баланса пользователя {user_id} списано {credited}.")
}

/// "Telegram did not give the Stars back: …. Nothing was taken from the balance."
pub fn refund_refused(why: &str) -> String {
    format!("Telegram не вернул звёзды: {}. С баланса ничего не списано.", escape(why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invoice_is_as_short_as_telegram_wants_it() {
        let most = crate::money::TOP_UP_MAX;
        assert!(INVOICE_TITLE.chars().count() <= 32);
        assert!(invoice_description(most).chars().count() <= 255);
    }

    #[test]
    fn what_strangers_wrote_is_escaped() {
        assert!(not_given_back(1, "<b>").contains("&lt;b&gt;"));
        assert!(pay_support(Some("<i>"), 7).contains("&lt;i&gt;"));
        assert!(refund_refused("<u>").contains("&lt;u&gt;"));
    }
}
