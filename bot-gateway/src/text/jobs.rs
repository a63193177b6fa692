//! How a job goes on, and how it ended.

use proto::media::v1::FailureReason;

use crate::mode::Mode;
use crate::money::Kopecks;
use crate::store::Source;

use super::plural;

pub const ACCEPTED: &str = "⏳ Принято, ставлю в очередь…";
pub const QUEUED: &str = "⏳ В очереди…";

/// The job waits behind others; so many seconds it will probably take.
pub fn queued(before: i64, estimate: Option<i64>) -> String {
    let place = match before {
        ..=0 => QUEUED.to_owned(),
        number => format!("⏳ В очереди. Перед вами: {}.", plural::jobs(number)),
    };
    with_estimate(&place, estimate)
}

/// What is shown, with how long it will probably still take.
pub fn with_estimate(shown: &str, estimate: Option<i64>) -> String {
    match estimate {
        Some(seconds) => format!("{shown}\nОсталось примерно: {}.", plural::about(seconds)),
        None => shown.to_owned(),
    }
}

pub const CANCEL_BUTTON: &str = "✖️ Отменить работу";
pub const TOO_LATE_TO_CANCEL: &str =
    "Работа уже выполняется, отменить её нельзя. Результат придёт сюда.";

/// What became of a refusal of content.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RefusalTerms {
    /// It was charged: the day's number of refusals that come back is used up.
    pub is_charged: bool,
    /// How many will still come back today, if media-worker said.
    pub left: Option<i64>,
}

/// The job is being worked on.
pub fn running(mode: Mode) -> &'static str {
    match mode {
        Mode::Generate => "🎨 Рисую…",
        Mode::Edit => "✏️ Редактирую…",
        Mode::Merge => "🔗 Объединяю…",
        Mode::FaceSwap => "🔄 Заменяю лицо…",
        Mode::Retouch => "✨ Ретуширую…",
        Mode::Upscale => "⬆️ Улучшаю…",
        Mode::AddText => "📝 Добавляю текст…",
    }
}

/// What paid, and what is left.
#[derive(Clone, Copy, Debug)]
pub struct Paid {
    /// What paid; `None` where billing did not say.
    pub source: Option<(Source, Kopecks)>,
    /// Free operations and balance now; `None` where billing did not say.
    pub left: Option<(i64, Kopecks)>,
}

/// The caption of a result.
pub fn result(mode: Mode, paid: Paid) -> String {
    let done = match mode {
        Mode::Generate => "🎨 Готово!",
        Mode::Edit => "✏️ Готово, фото изменено!",
        Mode::Merge => "🔗 Готово, фото объединены!",
        Mode::FaceSwap => "🔄 Готово, лицо заменено!",
        Mode::Retouch => "✨ Готово, ретушь сделана!",
        Mode::Upscale => "⬆️ Готово, качество улучшено!",
        Mode::AddText => super::modes::DRAWING_TEXT_DONE,
    };
    let cost = match paid.source {
        Some((Source::FreeOperation, _)) => "\nИспользована бесплатная операция.".to_owned(),
        Some((Source::Balance, price)) => format!("\nСписано: {price}."),
        Some((Source::FreeAccess, _)) => "\nБесплатно по промокоду.".to_owned(),
        None => String::new(),
    };
    format!("{done}{cost}{}", left(paid.left))
}

fn left(left: Option<(i64, Kopecks)>) -> String {
    match left {
        Some((free, balance)) if free > 0 => {
            format!(" Осталось: {}, баланс {balance}.", plural::free_operations(free))
        }
        Some((_, balance)) => format!(" Баланс: {balance}."),
        None => String::new(),
    }
}

// Under a result: another description; edit this; upscale this; the file without compression.
pub const ANOTHER_PROMPT_BUTTON: &str = "✏️ Другое описание";
pub const EDIT_BUTTON: &str = "✏️ Изменить это";
pub const UPSCALE_BUTTON: &str = "⬆️ Увеличить это";
pub const ORIGINAL_BUTTON: &str = "⬇️ Оригинал файлом";
/// Under the file.
pub const ORIGINAL: &str = "⬇️ Оригинал, без сжатия.";
/// "The file is no longer kept. Send me the picture from the chat."
pub const NOT_KEPT: &str =
    "Файл уже не хранится. Перешлите мне картинку из чата, когда выберете режим.";
/// "I no longer remember how it was made. Choose a mode."
pub const FORGOTTEN: &str =
    "Эта работа сделана давно, и её настройки уже не хранятся. Выберите, что сделать:";
/// "This was repeated already: the new result has a button of its own."
pub const AGAIN_BEFORE: &str =
    "Эта работа уже повторена. Чтобы повторить ещё раз, нажмите кнопку под новым результатом.";

/// Buys the work once more: "Again – 10 ₽".
pub fn again_button(paid: Paid) -> String {
    match (paid.source, paid.left) {
        (Some((Source::FreeOperation, _)), Some((1.., _))) | (Some((Source::FreeAccess, _)), _) => {
            "🔁 Ещё раз – бесплатно".to_owned()
        }
        (Some((_, price)), _) => format!("🔁 Ещё раз – {price}"),
        (None, _) => "🔁 Ещё раз".to_owned(),
    }
}

/// Why a job failed and what came back.
pub fn failed(reason: FailureReason, terms: RefusalTerms, paid: Paid) -> String {
    let money = if terms.is_charged { charged(paid) } else { came_back(paid) };
    let why = match reason {
        FailureReason::ContentRefused => {
            "Сервис отказался от этой работы: описание или фото нарушает его правила. Попробуйте \
             описать иначе."
        }
        FailureReason::BadInput => {
            "С этими фото или описанием ничего не вышло. Возможно, не видно лица, фото слишком \
             мелкое или описание слишком длинное. Попробуйте другие."
        }
        FailureReason::NoFace => {
            "На фото не нашлось лица. Попробуйте другое фото: лицо целиком, анфас, без сильных теней."
        }
        FailureReason::Overloaded => "Сервис сейчас перегружен. Попробуйте через несколько минут.",
        FailureReason::ProviderLocked => {
            "Сервис временно не работает, мы уже разбираемся. Попробуйте позже."
        }
        FailureReason::Cancelled => return format!("✖️ Отменено. {money}"),
        FailureReason::ProviderFailed => "Сервис не справился. Попробуйте ещё раз.",
        FailureReason::TimedOut => "Работа заняла слишком много времени. Попробуйте ещё раз.",
        FailureReason::OutcomeUnknown => "Связь с сервисом прервалась. Попробуйте ещё раз.",
        FailureReason::HoldExpired => {
            "Работа заняла слишком много времени, и её пришлось отменить. Попробуйте ещё раз."
        }
        FailureReason::Unspecified => "Что-то пошло не так. Попробуйте ещё раз.",
    };
    let warning = match terms.left {
        Some(0) if !terms.is_charged => {
            "\n\n⚠️ Следующий отказ из-за содержания сегодня будет платным.".to_owned()
        }
        Some(left @ 1..=2) if !terms.is_charged => format!(
            "\n\nСегодня без оплаты останется ещё {} из-за содержания.",
            plural::refusals(left)
        ),
        _ => String::new(),
    };
    format!("😔 Не получилось. {why}\n\n{money}{warning}")
}

/// A refusal that was charged, and why.
fn charged(paid: Paid) -> String {
    let taken = match paid.source {
        Some((Source::FreeOperation, _)) => "бесплатная операция использована".to_owned(),
        Some((Source::Balance, price)) => format!("{price} списаны"),
        Some((Source::FreeAccess, _)) => "ничего не списано".to_owned(),
        None => "стоимость списана".to_owned(),
    };
    format!(
        "Бесплатных отказов из-за содержания на сегодня больше нет, этот платный: {taken}.{}",
        left(paid.left)
    )
}

/// What was given back.
pub fn came_back(paid: Paid) -> String {
    let back = match paid.source {
        Some((Source::FreeOperation, _)) => "Бесплатная операция возвращена.".to_owned(),
        Some((Source::Balance, price)) => format!("{price} возвращены на баланс."),
        Some((Source::FreeAccess, _)) => "Ничего не списано.".to_owned(),
        None => "Всё, что было списано, возвращено.".to_owned(),
    };
    format!("{back}{}", left(paid.left))
}

/// media-worker did not take the work.
pub fn refused(why: Refusal, paid: Paid) -> String {
    let why = match why {
        Refusal::InputsLost => "Фото хранились слишком долго и удалены. Отправьте их ещё раз.",
        Refusal::PromptTooLong => "Описание слишком длинное. Сократите его и попробуйте ещё раз.",
        Refusal::HoldOver => "Очередь не дошла вовремя. Попробуйте ещё раз.",
        Refusal::Other => "Сервис не принял эту работу. Попробуйте ещё раз.",
    };
    format!("😔 Не получилось. {why}\n\n{}", came_back(paid))
}

/// Why media-worker did not take the work, as far as the user can do something about it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// The pictures are no longer kept.
    InputsLost,
    /// The prompt is longer than it takes.
    PromptTooLong,
    /// The operation had ended before.
    HoldOver,
    /// Anything else.
    Other,
}

/// A hold ran out of time.
pub fn expired(paid: Paid) -> String {
    format!("⌛ Работа не завершилась вовремя. {}", came_back(paid))
}

/// A hold that ran out of time was taken again, because the work was done after all.
pub fn committed_late(paid: Paid) -> String {
    let taken = match paid.source {
        Some((Source::FreeOperation, _)) => "бесплатная операция использована".to_owned(),
        Some((Source::Balance, price)) => format!("{price} списаны"),
        Some((Source::FreeAccess, _)) => "ничего не списано".to_owned(),
        None => "стоимость списана".to_owned(),
    };
    format!("ℹ️ Работа, которая задержалась, всё же выполнена: {taken}.{}", left(paid.left))
}

/// A person refunded an operation.
pub fn refunded(paid: Paid) -> String {
    format!("↩️ Возврат. {}", came_back(paid))
}

/// A person refunded a part of an operation.
pub fn refunded_in_part(amount: Kopecks, now: Option<(i64, Kopecks)>) -> String {
    format!("↩️ Частичный возврат: {amount}.{}", left(now))
}

pub const RESULT_LOST: &str = "😔 Работа была выполнена, но файл не сохранился. Возвращаю то, что \
     было списано. Закажите её ещё раз.";
pub const RESULT_UNSENT: &str = "😔 Работа была выполнена, но Telegram не принял файл. Возвращаю \
     то, что было списано. Попробуйте другое фото или описание.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_whether_it_was_charged_and_whether_the_next_will_be() {
        let paid = Paid { source: Some((Source::Balance, Kopecks::new(1_000))), left: None };
        let told = |is_charged, left| {
            failed(FailureReason::ContentRefused, RefusalTerms { is_charged, left }, paid)
        };
        assert!(told(false, Some(4)).ends_with("10 ₽ возвращены на баланс."));
        assert!(told(false, Some(2)).contains("ещё 2 отказа"));
        assert!(told(false, Some(1)).contains("ещё 1 отказ "));
        assert!(told(false, Some(0)).contains("Следующий отказ"));
        let charged = told(true, Some(0));
        assert!(charged.contains("этот платный: 10 ₽ списаны"), "{charged}");
        assert!(!charged.contains("возвращены"), "{charged}");
    }

    #[test]
    fn every_ending_says_what_happened_to_the_money() {
        let free = Paid {
            source: Some((Source::FreeOperation, Kopecks::new(1_000))),
            left: Some((3, Kopecks::new(0))),
        };
        let balance = Paid {
            source: Some((Source::Balance, Kopecks::new(1_000))),
            left: Some((0, Kopecks::new(9_000))),
        };

        let none = RefusalTerms::default();
        assert_eq!(
            result(Mode::Generate, free),
            "🎨 Готово!\nИспользована бесплатная операция. Осталось: 3 бесплатные операции, \
             баланс 0 ₽."
        );
        assert_eq!(
            result(Mode::Edit, balance),
            "✏️ Готово, фото изменено!\nСписано: 10 ₽. Баланс: 90 ₽."
        );
        assert!(
            failed(FailureReason::ProviderFailed, none, free)
                .contains("Бесплатная операция возвращена.")
        );
        assert!(
            failed(FailureReason::TimedOut, none, balance).contains("10 ₽ возвращены на баланс.")
        );
        assert!(refused(Refusal::Other, Paid { source: None, left: None }).contains("возвращено"));
        assert!(expired(balance).contains("10 ₽ возвращены на баланс."));
        let access = Paid { source: Some((Source::FreeAccess, Kopecks::new(1_000))), ..free };
        assert!(result(Mode::Generate, access).contains("Бесплатно по промокоду."));
        assert!(expired(access).contains("Ничего не списано."));
        assert_eq!(
            refunded_in_part(Kopecks::new(350), balance.left),
            "↩️ Частичный возврат: 3,50 ₽. Баланс: 90 ₽."
        );
    }
}
