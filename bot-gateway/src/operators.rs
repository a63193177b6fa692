//! What operators ask for in the chat, and the operators' part of billing-svc.

use std::time::Duration;

use prost_types::Timestamp;
use proto::billing::v1 as wire;
use proto::billing::v1::find_user_request::By;
use proto::billing::v1::promo_effect::Effect;
use proto::client::{Admin, BadOperator, admin, call};
use tonic::Status;
use tonic::transport::Channel;

use crate::money::{Kopecks, read_top_up};

/// How billing names this tool in its log.
const TOOL: &str = "bot-gateway";
const DEADLINE: Duration = Duration::from_secs(4);
const DAY_SECONDS: i64 = 24 * 3600;
/// Days of a promo code; more are a typing error.
const DAYS_MAX: i64 = 3_660;

/// Calls the operators' part of billing-svc, again while the outcome is unknown: the key, or the
/// thing itself, makes a repeat harmless.
#[derive(Clone, Debug)]
pub struct Operators {
    admin: Admin,
}

macro_rules! calls {
    ($($method:ident($request:ty) -> $response:ty;)*) => {
        impl Operators {
            /// The operators' part behind `channel`.
            ///
            /// # Errors
            /// Never: the tool's name is a good one.
            pub fn new(channel: Channel) -> Result<Self, BadOperator> {
                Ok(Self { admin: admin(channel, TOOL)? })
            }

            $(
                #[doc = concat!("`", stringify!($method), "`, sent again while its outcome is unknown.")]
                pub async fn $method(&self, message: $request) -> Result<$response, Status> {
                    call(DEADLINE, message, |request| {
                        let mut admin = self.admin.clone();
                        async move { admin.$method(request).await }
                    })
                    .await
                }
            )*
        }
    };
}

calls! {
    find_user(wire::FindUserRequest) -> wire::FindUserResponse;
    adjust_balance(wire::AdjustBalanceRequest) -> wire::AdjustBalanceResponse;
    grant_free_operations(wire::GrantFreeOperationsRequest)
        -> wire::GrantFreeOperationsResponse;
    get_stats(wire::GetStatsRequest) -> wire::GetStatsResponse;
    create_promo_code(wire::CreatePromoCodeRequest) -> wire::CreatePromoCodeResponse;
    stop_promo_code(wire::StopPromoCodeRequest) -> wire::StopPromoCodeResponse;
    list_promo_codes(wire::ListPromoCodesRequest) -> wire::ListPromoCodesResponse;
}

/// Reads who is looked for: a Telegram id, an e-mail, or `provider:payment`.
pub fn read_user(text: &str) -> Option<By> {
    let text = text.trim();
    if text.is_empty() || text.contains(char::is_whitespace) {
        return None;
    }
    if let Ok(id) = text.parse() {
        return Some(By::UserId(id));
    }
    if text.contains('@') {
        return Some(By::ReceiptEmail(text.to_owned()));
    }
    let (provider, payment_id) = text.split_once(':')?;
    let (provider, payment_id) = (provider.to_owned(), payment_id.to_owned());
    Some(By::Payment(wire::ProviderPayment { provider, payment_id }))
}

/// Reads `<user> <±roubles> <reason>`.
pub fn read_adjustment(text: &str) -> Option<(i64, Kopecks, &str)> {
    let ([user, amount], reason) = words(text)?;
    let (is_taken, amount) = match amount.strip_prefix(['-', '−']) {
        Some(amount) => (true, amount),
        None => (false, amount.strip_prefix('+').unwrap_or(amount)),
    };
    let amount = read_top_up(amount).ok()?;
    let amount = if is_taken { Kopecks::new(-amount.get()) } else { amount };
    Some((user.parse().ok()?, amount, reason))
}

/// Reads `<user> <count> <reason>`.
pub fn read_grant(text: &str) -> Option<(i64, i64, &str)> {
    let ([user, count], reason) = words(text)?;
    Some((user.parse().ok()?, count.parse().ok().filter(|count| *count > 0)?, reason))
}

/// Reads `<user> <operation> <reason>`.
pub fn read_refund(text: &str) -> Option<(i64, &str, &str)> {
    let ([user, operation], reason) = words(text)?;
    Some((user.parse().ok()?, operation, reason))
}

/// Reads `<code> <reason>`.
pub fn read_stop(text: &str) -> Option<(&str, &str)> {
    let ([code], reason) = words(text)?;
    Some((code, reason))
}

/// Reads `<code> <kind> <value> <days> <times> <reason>`: what a new promo code gives, for how many
/// days, and how often in all (0: as often as one likes). The kinds are `discount` and `bonus`
/// (percent), `free` (operations) and `access` (days of it).
pub fn read_offer(text: &str, now: i64) -> Option<wire::CreatePromoCodeRequest> {
    let ([code, kind, value, days, times], reason) = words(text)?;
    let number = |text: &str| text.parse::<i64>().ok().filter(|number| *number >= 0);
    let in_days = |days: i64| {
        let seconds = now + days * DAY_SECONDS;
        (1..=DAYS_MAX).contains(&days).then_some(Timestamp { seconds, nanos: 0 })
    };
    let until = in_days(number(days)?)?;
    let percent = || i32::try_from(number(value)?).ok();
    let effect = match kind {
        "discount" => Effect::OperationDiscount(wire::OperationDiscount {
            percent: percent()?,
            until: Some(until),
        }),
        "bonus" => Effect::TopUpBonus(wire::TopUpBonus {
            percent: percent()?,
            bonus_max_kopecks: 0,
            until: Some(until),
        }),
        "free" => Effect::FreeOperations(wire::FreeOperations { count: number(value)? }),
        "access" => Effect::FreeAccess(wire::FreeAccess { until: Some(in_days(number(value)?)?) }),
        _ => return None,
    };
    Some(wire::CreatePromoCodeRequest {
        code: code.to_owned(),
        effect: Some(wire::PromoEffect { effect: Some(effect) }),
        redemptions_max: number(times)?,
        valid_until: Some(until),
        reason: reason.to_owned(),
        ..wire::CreatePromoCodeRequest::default()
    })
}

/// So many words, and the rest, which is not empty.
fn words<const N: usize>(text: &str) -> Option<([&str; N], &str)> {
    let mut rest = text.trim();
    let mut found = [""; N];
    for word in &mut found {
        let (next, after) = rest.split_once(char::is_whitespace)?;
        (*word, rest) = (next, after.trim_start());
    }
    (!rest.is_empty()).then_some((found, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_read_with_their_reasons() {
        let taken = Some((7, Kopecks::new(-5_050), "ошибка в счёте"));
        assert_eq!(read_adjustment("7 -50,50 ошибка в счёте"), taken);
        assert_eq!(read_adjustment(" 7  +100  за баг "), Some((7, Kopecks::new(10_000), "за баг")));
        assert_eq!(read_grant("7 5 подарок"), Some((7, 5, "подарок")));
        assert_eq!(read_refund("7 abc не то"), Some((7, "abc", "не то")));
        assert_eq!(read_stop("AUTUMN утёк"), Some(("AUTUMN", "утёк")));
        for wrong in ["", "7", "7 5", "7 пять причина", "x 5 причина", "7 0 причина"]
        {
            assert_eq!(read_adjustment(wrong), None, "{wrong:?}");
            assert_eq!(read_grant(wrong), None, "{wrong:?}");
        }
        assert_eq!(read_refund("7 abc"), None, "a refund has a reason");
    }

    #[test]
    fn a_user_is_found_by_what_is_known() {
        assert_eq!(read_user("7"), Some(By::UserId(7)));
        assert_eq!(read_user("a@b.ru"), Some(By::ReceiptEmail("a@b.ru".into())));
        assert!(matches!(read_user("yookassa:2e-1"), Some(By::Payment(_))));
        assert_eq!(read_user("7 8"), None);
        assert_eq!(read_user("кто-то"), None);
    }

    #[test]
    fn a_promo_code_says_what_it_gives_and_until_when() {
        let offer = read_offer("AUTUMN discount 20 30 100 осень", 1_000).unwrap();
        assert_eq!((offer.code.as_str(), offer.redemptions_max), ("AUTUMN", 100));
        assert_eq!(offer.valid_until.unwrap().seconds, 1_000 + 30 * DAY_SECONDS);
        let access = read_offer("VIP access 7 1 0 блогер", 0).unwrap().effect.unwrap();
        let Some(Effect::FreeAccess(access)) = access.effect else { panic!("{access:?}") };
        assert_eq!(access.until.unwrap().seconds, 7 * DAY_SECONDS);
        for wrong in [
            "A discount 20 30 100",
            "A miracle 20 30 100 причина",
            "A discount много 30 100 причина",
            "A discount 20 0 100 причина",
            "A discount 20 99999 100 причина",
            "A discount 20 30 -1 причина",
        ] {
            assert_eq!(read_offer(wrong, 0), None, "{wrong:?}");
        }
    }
}
