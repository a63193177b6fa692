//! Promo codes.

use time::OffsetDateTime;

use crate::moscow;
use crate::promo::Gift;

use super::plural;

// Under the balance: "Promo code".
pub const BUTTON: &str = "🎟 Промокод";
pub const COMMAND: &str = "Ввести промокод";

/// "Write the promo code."
pub const ASK: &str = "🎟 Напишите промокод.";
/// "I wait for a promo code."
pub const AWAITED: &str = "Жду промокод. /cancel – отменить.";
/// "There is no such code. Look at it and write it again."
pub const UNKNOWN: &str =
    "Такого промокода нет. Проверьте его и напишите ещё раз. /cancel – отменить.";
/// "The code is not valid now. Write another one."
pub const NOT_VALID: &str =
    "Этот промокод сейчас не действует: его срок прошёл или ещё не начался.";
/// "The code was used as often as it may be."
pub const USED_UP: &str = "Этот промокод уже использован столько раз, сколько можно.";
/// "You have used this code already."
pub const ALREADY: &str = "Вы уже использовали этот промокод.";

/// "The code is accepted: …"
pub fn redeemed(gift: Option<Gift>) -> String {
    match gift {
        Some(gift) => format!("🎟 Промокод принят: {}.", described(gift)),
        None => "🎟 Промокод принят.".to_owned(),
    }
}

/// What still has effect, below the balance; free operations are in their number already.
pub fn active(gift: Gift) -> Option<String> {
    match gift {
        Gift::FreeOperations(_) => None,
        gift => Some(format!("🎟 По промокоду: {}", described(gift))),
    }
}

/// "20 % off operations until 1 December" and the like.
pub fn described(gift: Gift) -> String {
    match gift {
        Gift::Discount { percent, until } => {
            format!("скидка {percent} % на работы{}", up_to(until))
        }
        Gift::Bonus { percent, at_most, until } => {
            let at_most = at_most.map(|max| format!(", не больше {max}")).unwrap_or_default();
            format!("бонус {percent} % к следующему пополнению{at_most}{}", up_to(until))
        }
        Gift::FreeOperations(count) => plural::free_operations(count),
        Gift::FreeAccess { until } => format!("все работы бесплатно{}", up_to(until)),
    }
}

fn up_to(until: Option<OffsetDateTime>) -> String {
    until.map(|until| format!(", до {} (МСК)", moscow::minute(until))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::money::Kopecks;

    #[test]
    fn what_a_code_gives_is_told_with_its_bounds() {
        let until = Some(datetime!(2026-12-01 12:00 +3));
        let bonus = Gift::Bonus { percent: 20, at_most: Some(Kopecks::new(50_000)), until };

        assert_eq!(
            redeemed(Some(bonus)),
            "🎟 Промокод принят: бонус 20 % к следующему пополнению, не больше 500 ₽, до \
             01.12.2026 12:00 (МСК)."
        );
        assert_eq!(
            active(Gift::Discount { percent: 15, until: None }).unwrap(),
            "🎟 По промокоду: скидка 15 % на работы"
        );
        assert!(redeemed(Some(Gift::FreeOperations(5))).contains("5 бесплатных операций"));
        assert!(redeemed(Some(Gift::FreeAccess { until })).contains("бесплатно, до 01.12.2026"));
        assert_eq!(active(Gift::FreeOperations(5)), None);
    }
}
