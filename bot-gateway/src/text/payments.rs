//! Balance, top-ups and prices.

use super::{plural, promo, receipts};
use crate::mode::Mode;
use crate::money::{AmountError, Kopecks, TOP_UP_MAX, TOP_UP_MIN};
use crate::promo::Gift;

pub const OTHER_AMOUNT_BUTTON: &str = "Другая сумма";
pub const CHECK_BUTTON: &str = "🔄 Проверить оплату";
pub const AGAIN_BUTTON: &str = "🔁 Попробовать ещё раз";
pub const TOP_UP_BUTTON: &str = "💰 Пополнить баланс";

/// What a user has.
#[derive(Clone, Copy, Debug)]
pub struct Purse {
    /// What can be spent.
    pub balance: Kopecks,
    /// What open operations hold.
    pub held: Kopecks,
    /// Free operations that can be used.
    pub free_operations: i64,
    /// Free operations that open operations hold.
    pub held_free_operations: i64,
}

/// The balance, as /balance shows it, with what promo codes give, and where receipts go if that is
/// known.
pub fn balance(purse: Purse, gifts: &[Gift], receipt_email: Option<&str>) -> String {
    let mut lines = vec![format!("💰 Баланс: <b>{}</b>", purse.balance)];
    if !purse.held.is_zero() {
        lines.push(format!("⏳ Отложено на текущие работы: {}", purse.held));
    }
    lines.push(format!("🎁 Бесплатных операций: <b>{}</b>", purse.free_operations));
    if purse.held_free_operations > 0 {
        lines.push(format!("⏳ Занято текущими работами: {}", purse.held_free_operations));
    }
    lines.extend(gifts.iter().copied().filter_map(promo::active));
    lines.extend(receipt_email.map(receipts::line));
    lines.join("\n")
}

/// The balance with the sums to pay in below it.
pub fn menu(purse: Purse, gifts: &[Gift], receipt_email: Option<&str>) -> String {
    format!("{}\n\nНа сколько пополнить?", balance(purse, gifts, receipt_email))
}

/// The button with a sum.
pub fn amount_button(amount: Kopecks) -> String {
    amount.to_string()
}

/// The button with the payment link.
pub fn pay_button(amount: Kopecks) -> String {
    format!("Оплатить {amount}")
}

/// Asks which sum to pay in.
pub fn ask_amount() -> String {
    format!("Напишите сумму в рублях, от {TOP_UP_MIN} до {TOP_UP_MAX}. Например: 150 или 99,50.")
}

/// Why an amount cannot be paid in.
pub fn amount_refused(error: AmountError) -> String {
    match error {
        AmountError::Malformed => {
            "Не получилось прочитать сумму. Напишите число в рублях, например 150 или 99,50. \
             /cancel – отменить."
                .to_owned()
        }
        AmountError::TooSmall => {
            format!("Слишком мало: минимум {TOP_UP_MIN}. Напишите другую сумму.")
        }
        AmountError::TooLarge => {
            format!("Слишком много: максимум {TOP_UP_MAX}. Напишите другую сумму.")
        }
    }
}

/// The message with the payment link.
pub fn link(amount: Kopecks) -> String {
    format!(
        "Пополнение на <b>{amount}</b>.\n\nНажмите «Оплатить», чтобы перейти к оплате. Когда \
         платёж пройдёт, я напишу сам."
    )
}

pub const ALREADY_ENDED: &str = "Этот платёж уже завершён. Начните новое пополнение:";

/// The provider will not take the payment.
pub fn provider_refused(amount: Kopecks) -> String {
    format!(
        "Платёжная система не приняла платёж на {amount}. Деньги не списаны. Попробуйте другую \
         сумму."
    )
}

/// The amount cannot be paid at the provider.
pub fn amount_out_of_range(bounds: Option<(Kopecks, Kopecks)>) -> String {
    match bounds {
        Some((min, max)) => format!("Пополнить можно на сумму от {min} до {max}."),
        None => "На такую сумму пополнить нельзя. Выберите другую.".to_owned(),
    }
}

/// The shop is not set up as it should be: nobody can pay until an operator has mended it.
pub const PAYMENTS_OFF: &str = "Оплата временно недоступна. Деньги не списаны. Мы уже \
     разбираемся, попробуйте позже.";
/// The provider has not been answering for a while.
pub const PROVIDER_DOWN: &str = "Платёжная система сейчас не работает. Деньги не списаны. \
     Попробуйте ещё раз через несколько минут. То, что уже оплачено, поступит на баланс \
     автоматически.";
pub const PROVIDER_AWAY: &str =
    "Платёжная система сейчас не отвечает. Деньги не списаны, попробуйте ещё раз.";
pub const CHECK_LATER: &str = "Платёжная система сейчас не отвечает, проверить не получилось. \
     Если вы оплатили, деньги поступят автоматически. Попробуйте ещё раз чуть позже.";

/// The payment has come.
pub fn settled(amount: Kopecks, balance: Option<Kopecks>) -> String {
    match balance {
        Some(balance) => format!("✅ Баланс пополнен на {amount}. Баланс: {balance}."),
        None => format!("✅ Баланс пополнен на {amount}."),
    }
}

/// Below [`settled`], where something waits for the money: "The work that was begun is kept."
pub fn interrupted(mode: Mode) -> String {
    format!("Вы начали: {}. Продолжить?", super::menu::mode_button(mode))
}

/// The provider has paid a top-up back.
pub fn reversed(amount: Kopecks, balance: Kopecks) -> String {
    format!("↩️ Платёж возвращён, с баланса списано {amount}. Баланс: {balance}.")
}

/// A person gave or took money.
pub fn adjusted(amount: Kopecks, balance: Kopecks) -> String {
    if amount.get() < 0 {
        format!("ℹ️ Поддержка списала {}. Баланс: {balance}.", Kopecks::new(-amount.get()))
    } else {
        format!("🎁 Поддержка начислила {amount}. Баланс: {balance}.")
    }
}

/// A person gave free operations.
pub fn granted(count: i64) -> String {
    format!("🎁 Вам начислено: {}.", plural::free_operations(count))
}

/// The payment has not come yet.
pub fn pending(amount: Kopecks) -> String {
    format!("⏳ Оплата {amount} ещё не поступила. Если вы уже оплатили, подождите минуту.")
}

pub const UNKNOWN_TOP_UP: &str = "Такого платежа нет. Начните новое пополнение:";

/// Neither a free operation nor enough money.
pub fn not_enough(price: Kopecks, balance: Kopecks) -> String {
    format!(
        "Недостаточно средств. Стоимость: {price}, на балансе: {balance}, бесплатных операций \
         нет.\nНичего не списано. Пополните баланс, чтобы продолжить."
    )
}

/// As [`not_enough`], when every question was answered already: what was begun is kept.
pub fn not_enough_kept(price: Kopecks, balance: Kopecks) -> String {
    format!("{}\nНачатое сохранено: после пополнения нажмите «Начать».", not_enough(price, balance))
}

/// The price rose after it was shown.
pub fn price_changed(price: Kopecks) -> String {
    format!(
        "Цена изменилась: теперь {price}. Ничего не списано. Если согласны, нажмите \
         «Начать». /cancel – отменить."
    )
}

pub const NOT_SOLD: &str = "Этот режим сейчас недоступен. Ничего не списано. Выберите другой:";
