//! What operators read. English beside each.

use proto::billing::v1::{Account, PromoCode, StatsRow};
use teloxide::utils::html::escape;

use crate::mode::Mode;
use crate::money::Kopecks;
use crate::moscow;
use crate::promo::Gift;

use super::{plural, promo};

/// What an operator can do: find a user; their ledger as a file; give or take money; give free
/// operations; refund an operation; promo codes: new, stop, list; sales of the last days, as a
/// file; give Stars back.
pub const HELP: &str = "\
<b>Для операторов</b>

/user 123456 – счёт и последние записи (или e-mail, или yookassa:номер платежа)
/ledger 123456 – все записи за год файлом
/adjust 123456 +100 причина – начислить; −100 – списать
/grant 123456 5 причина – дать бесплатные операции
/refund 123456 операция причина – вернуть то, что за неё взято
/promo_new КОД discount 20 30 100 причина – скидка 20 %, 30 дней, 100 раз (0 – сколько угодно). \
Ещё: bonus 20 (процент к пополнению), free 5 (операции), access 7 (дней бесплатно)
/promo_stop КОД причина
/promo_list – промокоды
/stats 7 – продажи за дни, /stats_file 30 – файлом
/refund_stars 123456 номер – вернуть звёзды";

/// "Not understood. /admin shows how it is written."
pub const USAGE: &str = "Не понял. Как писать команды: /admin";
/// "There is no such user."
pub const NO_USER: &str = "Такого пользователя нет.";
/// "Nothing was sold in that time."
pub const NO_SALES: &str = "За это время продаж не было.";
/// "There are no promo codes."
pub const NO_CODES: &str = "Промокодов нет.";
/// "Too much for one answer: ask for fewer days."
pub const TOO_MUCH: &str = "Слишком много данных: возьмите меньше дней.";

/// "billing-svc refuses: …"
pub fn refused(why: &str) -> String {
    format!("Отказано: {}", escape(why))
}

/// An account: since when, balance, held, free operations, where receipts go.
pub fn account(account: &Account) -> String {
    let since = account.created_at.as_ref().and_then(moscow::time).map(moscow::date);
    let mut lines = vec![
        format!("👤 <b>{}</b>, с {}", account.user_id, since.unwrap_or_default()),
        standing(account),
    ];
    if let Some(profile) = &account.profile {
        lines.extend(
            profile.language.as_ref().map(|language| format!("Язык: {}", escape(language))),
        );
        lines
            .extend(profile.receipt_email.as_ref().map(|email| format!("Чеки: {}", escape(email))));
    }
    lines.extend(Gift::active(account).into_iter().filter_map(promo::active));
    lines.join("\n")
}

/// "Balance 100 ₽ (held 10 ₽), 3 free operations (held 1)."
pub fn standing(account: &Account) -> String {
    format!(
        "Баланс {} (отложено {}), {} (занято {})",
        Kopecks::new(account.balance_kopecks),
        Kopecks::new(account.held_kopecks),
        plural::free_operations(account.free_operations),
        account.held_free_operations
    )
}

/// A write that was done, with what the user has now.
pub fn done(account: Option<&Account>) -> String {
    match account {
        Some(now) => format!("✅ Сделано. {}.", standing(now)),
        None => "✅ Сделано.".to_owned(),
    }
}

/// "Given back: 10 ₽ of 10 ₽, or the free operation."
pub fn refunded(refunded: Kopecks, price: Kopecks) -> String {
    match refunded.is_zero() {
        true => "✅ Возвращено: бесплатная операция.".to_owned(),
        false => format!("✅ Возвращено: {refunded} из {price}."),
    }
}

/// A promo code: what it gives, how often it was used, until when, whether it was stopped.
pub fn code(code: &PromoCode) -> String {
    let gift = code.effect.as_ref().and_then(Gift::of);
    let of = match code.redemptions_max {
        0 => String::new(),
        max => format!(" из {max}"),
    };
    let until = code.valid_until.as_ref().and_then(moscow::time).map(moscow::date);
    let until = until.map(|until| format!(", до {until}")).unwrap_or_default();
    let stopped = if code.stopped_at.is_some() { " ⛔ остановлен" } else { "" };
    format!(
        "🎟 <b>{}</b>{stopped}: {}. Использован {}{of}{until}. {}",
        escape(&code.code),
        gift.map(promo::described).unwrap_or_default(),
        code.redemptions,
        escape(&code.create_reason),
    )
}

/// More days than this are left to the file: no message is longer than Telegram takes.
const DAYS_SHOWN: usize = 14;

/// Sales in all, by day where these are few, and by mode.
pub fn stats(rows: &[StatsRow]) -> String {
    let by_day = summed(rows, |row| row.day.clone());
    let by_mode = summed(rows, |row| {
        let mode = Mode::by_name(&row.operation_type).map(super::menu::mode_button);
        mode.unwrap_or(&row.operation_type).to_owned()
    });
    let all = summed(rows, |_| "Всего".to_owned());
    let mut parts = vec![all];
    parts.extend(Some(by_day).filter(|days| days.len() <= DAYS_SHOWN));
    parts.push(by_mode);
    let lines = |sums: &Vec<(String, Sum)>| {
        let line = |(what, sum): &(String, Sum)| format!("{}: {sum}", escape(what));
        sums.iter().map(line).collect::<Vec<_>>().join("\n")
    };
    parts.iter().map(lines).collect::<Vec<_>>().join("\n\n")
}

#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    committed: i64,
    free: i64,
    revenue: i64,
    refunds: i64,
    refunded: i64,
    released: i64,
    cost_micro_usd: i64,
}

impl std::fmt::Display for Sum {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "{} работ (бесплатно {}), {}, возвратов {} на {}, не вышло {}, себестоимость ${}.{:02}",
            self.committed,
            self.free,
            Kopecks::new(self.revenue),
            self.refunds,
            Kopecks::new(self.refunded),
            self.released,
            self.cost_micro_usd / 1_000_000,
            self.cost_micro_usd / 10_000 % 100,
        )
    }
}

/// In the order in which they are met.
fn summed(rows: &[StatsRow], key: impl Fn(&StatsRow) -> String) -> Vec<(String, Sum)> {
    let mut sums: Vec<(String, Sum)> = Vec::new();
    for row in rows {
        let name = key(row);
        let at = sums.iter().position(|(known, _)| *known == name).unwrap_or_else(|| {
            sums.push((name, Sum::default()));
            sums.len() - 1
        });
        let sum = &mut sums[at].1;
        sum.committed += row.committed;
        sum.free += row.committed_free;
        sum.revenue += row.revenue_kopecks;
        sum.refunds += row.refunds;
        sum.refunded += row.refunded_kopecks;
        sum.released += row.released;
        sum.cost_micro_usd += row.cost_micro_usd;
    }
    sums
}

/// The sheet of sales: day, type, model, done, of these free, revenue, refunds, given back,
/// released, cost.
pub const SHEET: &str = "Продажи";
pub const COLUMNS: [&str; 10] = [
    "День (МСК)",
    "Тип",
    "Модель",
    "Выполнено",
    "Из них бесплатно",
    "Выручка, ₽",
    "Возвратов",
    "Возвращено, ₽",
    "Не вышло",
    "Себестоимость, $",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_of_sales_fits_into_one_message() {
        let row = |day: usize| StatsRow {
            day: format!("day {day}"),
            operation_type: "generate".to_owned(),
            committed: 1_000_000,
            revenue_kopecks: 1_000_000_000,
            ..StatsRow::default()
        };
        let few: Vec<_> = (0..DAYS_SHOWN).map(row).collect();
        let many: Vec<_> = (0..92).map(row).collect();

        assert!(stats(&few).contains("day 13") && stats(&few).chars().count() < 4_096);
        assert!(!stats(&many).contains("day 13") && stats(&many).contains("Всего: 92000000 работ"));
    }
}
