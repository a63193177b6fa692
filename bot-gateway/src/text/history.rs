//! What happened to a user's money, line by line.

use crate::moscow;
use crate::statement::{Change, Line, What};

use super::menu::mode_button;
use super::plural;

// Under the balance: "History".
pub const BUTTON: &str = "📜 История";
pub const COMMAND: &str = "История списаний и пополнений";
// "Older", "Newest".
pub const OLDER_BUTTON: &str = "Раньше ➡️";
pub const NEWEST_BUTTON: &str = "⏮ Последние";
// "Statement of a month, of a year".
pub const MONTH_BUTTON: &str = "📄 Выписка за месяц";
pub const YEAR_BUTTON: &str = "📄 Выписка за год";

/// "Nothing has happened yet."
pub const EMPTY: &str = "📜 <b>История</b>\n\nЗдесь пока ничего нет.";
/// "Nothing happened in that time."
pub const NOTHING_IN_PERIOD: &str = "За это время ничего не было.";

/// One page, newest first.
pub fn page(lines: &[Line]) -> String {
    if lines.is_empty() {
        return EMPTY.to_owned();
    }
    let lines: Vec<_> = lines.iter().map(line).collect();
    format!("📜 <b>История</b>, время московское\n\n{}", lines.join("\n\n"))
}

/// The same lines for an operator, with the operations that they are about.
pub fn page_with_operations(lines: &[Line]) -> String {
    let shown = |of: &Line| match of.operation_id.as_str() {
        "" => line(of),
        operation_id => format!("{}\n<code>{operation_id}</code>", line(of)),
    };
    lines.iter().map(shown).collect::<Vec<_>>().join("\n\n")
}

fn line(line: &Line) -> String {
    let at = line.at.map(moscow::minute).unwrap_or_default();
    let change = match line.change {
        Change::Money { amount, left } => format!("<b>{}</b>, баланс {left}", signed(amount)),
        Change::Free { count, left } => format!(
            "<b>{}{}</b>, осталось {left}",
            if count > 0 { "+" } else { "−" },
            plural::free_operations(count.saturating_abs())
        ),
        Change::Nothing => "<b>бесплатно по промокоду</b>".to_owned(),
    };
    format!("{at}  {}\n{change}", what(line))
}

fn signed(amount: crate::money::Kopecks) -> String {
    if amount.get() > 0 { format!("+{amount}") } else { amount.to_string() }
}

/// What a line is about.
pub fn what(line: &Line) -> String {
    let work = line.mode.map_or("Работа", mode_button);
    match line.what {
        What::Welcome => "🎁 Подарок новичку".to_owned(),
        What::Work => work.to_owned(),
        What::LateWork => format!("{work} (с задержкой)"),
        What::GivenBack => format!("↩️ Возврат: {work}"),
        What::TopUp => "💰 Пополнение".to_owned(),
        What::Bonus => "🎟 Бонус к пополнению".to_owned(),
        What::Reversal => "↩️ Платёж возвращён".to_owned(),
        What::PromoCode => "🎟 Промокод".to_owned(),
        What::Adjustment => "ℹ️ Поддержка".to_owned(),
        What::Grant => "🎁 Подарок".to_owned(),
        What::Other => "Другое".to_owned(),
    }
}

/// Under the file. "Statement from … to …; only the last so many lines."
pub fn statement(from: &str, to: &str, cut_at: Option<usize>) -> String {
    let cut = cut_at
        .map(|number| format!("\nЗаписей очень много, здесь последние {number}."))
        .unwrap_or_default();
    format!("📄 Выписка с {from} по {to}, время московское.{cut}")
}

/// The file's sheet and columns: when, what, amount, balance after, free operations, free
/// operations after, number of the operation.
pub const SHEET: &str = "Выписка";
pub const COLUMNS: [&str; 7] = [
    "Дата и время (МСК)",
    "Что",
    "Сумма, ₽",
    "Баланс, ₽",
    "Бесплатные операции",
    "Бесплатных осталось",
    "Номер операции",
];
