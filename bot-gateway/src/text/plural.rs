//! Numbers with their nouns, as Russian wants them.

/// The forms for 1, 2 and 5 things.
type Forms = [&'static str; 3];

const FREE_OPERATIONS: Forms =
    ["бесплатная операция", "бесплатные операции", "бесплатных операций"];
const PHOTOS: Forms = ["фото", "фото", "фото"];
const JOBS: Forms = ["работа", "работы", "работ"];
const SECONDS: Forms = ["секунда", "секунды", "секунд"];
const MINUTES: Forms = ["минута", "минуты", "минут"];
const REFUSALS: Forms = ["отказ", "отказа", "отказов"];
const CHARACTERS: Forms = ["символ", "символа", "символов"];

/// `1 бесплатная операция`.
pub fn free_operations(number: i64) -> String {
    format!("{number} {}", form(number, FREE_OPERATIONS))
}

/// `3 фото`.
pub fn photos(number: usize) -> String {
    let number = i64::try_from(number).unwrap_or(i64::MAX);
    format!("{number} {}", form(number, PHOTOS))
}

/// `2 работы`.
pub fn jobs(number: i64) -> String {
    format!("{number} {}", form(number, JOBS))
}

/// `40 секунд`, `2 минуты`: no more exact than a guess can be.
pub fn about(seconds: i64) -> String {
    match seconds {
        ..60 => {
            let tens = (seconds.max(1) + 9).div_euclid(10) * 10;
            format!("{tens} {}", form(tens, SECONDS))
        }
        _ => {
            let minutes = seconds.div_euclid(60) + i64::from(seconds % 60 > 0);
            format!("{minutes} {}", form(minutes, MINUTES))
        }
    }
}

/// `2 отказа`.
pub fn refusals(number: i64) -> String {
    format!("{number} {}", form(number, REFUSALS))
}

/// `4000 символов`.
pub fn characters(number: usize) -> String {
    let number = i64::try_from(number).unwrap_or(i64::MAX);
    format!("{number} {}", form(number, CHARACTERS))
}

fn form(number: i64, [one, few, many]: Forms) -> &'static str {
    let number = number.unsigned_abs();
    match (number % 10, number % 100) {
        (_, 11..=14) => many,
        (1, _) => one,
        (2..=4, _) => few,
        _ => many,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guess_of_time_is_rounded_up() {
        for (seconds, shown) in [
            (0, "10 секунд"),
            (4, "10 секунд"),
            (40, "40 секунд"),
            (41, "50 секунд"),
            (60, "1 минута"),
            (61, "2 минуты"),
            (300, "5 минут"),
        ] {
            assert_eq!(about(seconds), shown, "{seconds}");
        }
    }

    #[test]
    fn the_noun_follows_the_number() {
        for (number, shown) in [
            (0, "0 бесплатных операций"),
            (1, "1 бесплатная операция"),
            (2, "2 бесплатные операции"),
            (4, "4 бесплатные операции"),
            (5, "5 бесплатных операций"),
            (11, "11 бесплатных операций"),
            (12, "12 бесплатных операций"),
            (21, "21 бесплатная операция"),
            (111, "111 бесплатных операций"),
            (122, "122 бесплатные операции"),
        ] {
            assert_eq!(free_operations(number), shown);
        }
        assert_eq!(jobs(1), "1 работа");
        assert_eq!(characters(4_000), "4000 символов");
    }
}
