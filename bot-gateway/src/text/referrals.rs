//! Inviting friends.

use crate::money::Kopecks;
use crate::store::Referred;

use super::plural;

// Under the balance and among the commands: "Invite a friend".
pub const BUTTON: &str = "🤝 Пригласить друга";
pub const COMMAND: &str = "Пригласить друга";
/// "Share the link."
pub const SHARE_BUTTON: &str = "📤 Поделиться ссылкой";

/// "Invitations are not rewarded now."
pub const NOT_REWARDED: &str = "Сейчас за приглашения ничего не начисляется.";
/// "This is your own link: send it to a friend."
pub const OWN_LINK: &str = "Это ваша собственная ссылка: отправьте её другу.";
/// "A link works only for those who are new here."
pub const NOT_NEW: &str = "Ссылка-приглашение действует только для новых пользователей.";

/// "You came by invitation: after the first top-up you get …"
pub fn welcomed(each: i64, at_least: Kopecks) -> String {
    format!(
        "🤝 Вы пришли по приглашению: после первого пополнения от {at_least} вы и ваш друг получите \
         по {}.",
        plural::free_operations(each)
    )
}

/// What is given for an invitation, the link, and what it has brought.
pub fn invitation(link: &str, each: i64, at_least: Kopecks, referred: Referred) -> String {
    format!(
        "🤝 <b>Пригласите друга</b>\n\nКогда он впервые пополнит баланс от {at_least}, вы оба получите \
         по {}.\n\nВаша ссылка:\n<code>{link}</code>\n\nПришли: {}. Пополнили: {}. Заработано: {}.",
        plural::free_operations(each),
        referred.came,
        referred.paid,
        plural::free_operations(referred.earned),
    )
}
