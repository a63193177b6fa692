//! What is drawn: the text cleaned, and told apart into letters and emoji.

use std::ops::Range;

use super::AddTextError;

/// The most characters a text may have.
pub const TEXT_CHARACTERS_MAX: usize = 500;

/// Asks for the plain form of the character before it.
const VARIATION_TEXT: char = '\u{FE0E}';
/// Asks for the emoji form of the character before it.
const VARIATION_EMOJI: char = '\u{FE0F}';
const ZERO_WIDTH_JOINER: char = '\u{200D}';
/// Puts the digit before it on a key.
const KEYCAP: char = '\u{20E3}';

/// Which font a stretch of text is drawn with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Script {
    Letters,
    Emoji,
}

/// Leaves only what can be drawn: one kind of line break, no other control characters, no space at
/// the ends.
pub(super) fn clean(text: &str) -> Result<String, AddTextError> {
    let text: String = text
        .replace("\r\n", "\n")
        .chars()
        .filter_map(|character| match character {
            '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}' => Some('\n'),
            '\t' => Some(' '),
            character if character.is_control() => None,
            character => Some(character),
        })
        .collect();
    let text = text.trim();

    if text.chars().all(is_invisible) {
        return Err(AddTextError::TextMissing);
    }
    if text.chars().count() > TEXT_CHARACTERS_MAX {
        return Err(AddTextError::TextTooLong { max: TEXT_CHARACTERS_MAX });
    }
    Ok(text.to_owned())
}

/// Whether a character leaves no ink of its own, so that a font may well lack it.
pub(super) fn is_invisible(character: char) -> bool {
    character.is_whitespace()
        || character.is_control()
        || matches!(
            character,
            '\u{AD}'
                | '\u{34F}'
                | '\u{61C}'
                | '\u{180B}'..='\u{180F}'
                | '\u{200B}'..='\u{200F}'
                | '\u{202A}'..='\u{202E}'
                | '\u{2060}'..='\u{206F}'
                | '\u{FE00}'..='\u{FE0F}'
                | '\u{FEFF}'
                | '\u{E0000}'..='\u{E0FFF}'
        )
}

/// Cuts the text where letters turn into emoji and back. `in_emoji_font` answers whether the emoji
/// font has a character.
///
/// Fonts of letters have black-and-white emoji too, and fonts of emoji have digits: left to
/// themselves, each would be drawn from the wrong one.
pub(super) fn spans(
    text: &str,
    in_emoji_font: impl Fn(char) -> bool,
) -> Vec<(Range<usize>, Script)> {
    let mut spans: Vec<(Range<usize>, Script)> = Vec::new();
    for (start, character) in text.char_indices() {
        let end = start + character.len_utf8();
        let after = &text[end..];
        let before = spans.last().map_or(Script::Letters, |(_, script)| *script);
        let script = script(character, after, before, &in_emoji_font);
        match spans.last_mut() {
            Some((range, last)) if *last == script => range.end = end,
            _ => spans.push((start..end, script)),
        }
    }
    spans
}

fn script(
    character: char,
    after: &str,
    before: Script,
    in_emoji_font: impl Fn(char) -> bool,
) -> Script {
    let continues = matches!(
        character,
        VARIATION_EMOJI | ZERO_WIDTH_JOINER | KEYCAP | '\u{E0020}'..='\u{E007F}'
    );
    let is_emoji = match character {
        _ if continues => before == Script::Emoji,
        '0'..='9' | '#' | '*' => {
            after.strip_prefix(VARIATION_EMOJI).unwrap_or(after).starts_with(KEYCAP)
        }
        _ if after.starts_with(VARIATION_TEXT) => false,
        // Signs that are at home in running text, such as © and ™, only when asked for.
        '\0'..='\u{218F}' => after.starts_with(VARIATION_EMOJI) && in_emoji_font(character),
        // The rest as Telegram shows it: in colour, asked for or not.
        _ => in_emoji_font(character),
    };
    if is_emoji { Script::Emoji } else { Script::Letters }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_clean(text: &str, expected: Result<&str, AddTextError>) {
        assert_eq!(clean(text), expected.map(str::to_owned), "{text:?}");
    }

    #[test]
    fn only_what_can_be_drawn_is_left() {
        check_clean("Привет", Ok("Привет"));
        check_clean("  Привет,\tмир \n", Ok("Привет, мир"));
        check_clean("раз\r\nдва\rтри\u{2028}четыре", Ok("раз\nдва\nтри\nчетыре"));
        check_clean("a\0b\u{1B}[31mc\u{7F}\u{9B}", Ok("ab[31mc"));
        check_clean("👩‍👩‍👧 ❤️", Ok("👩‍👩‍👧 ❤️"));
    }

    #[test]
    fn a_text_without_ink_is_missing() {
        for text in ["", "   ", "\n\n", "\0\u{7}", "\u{200B}\u{FEFF}", "\u{AD} \u{2060}"] {
            check_clean(text, Err(AddTextError::TextMissing));
        }
    }

    #[test]
    fn characters_are_counted_and_not_bytes() {
        check_clean(&"Ж".repeat(500), Ok(&"Ж".repeat(500)));
        check_clean(&"Ж".repeat(501), Err(AddTextError::TextTooLong { max: 500 }));
        check_clean(&format!("  {}  ", "Ж".repeat(500)), Ok(&"Ж".repeat(500)));
        check_clean(&"x".repeat(10_000), Err(AddTextError::TextTooLong { max: 500 }));
    }

    /// Shows emoji spans in brackets.
    #[track_caller]
    fn check_spans(text: &str, expected: &str) {
        let in_emoji_font = |character: char| {
            character.is_ascii_digit()
                || "#*©™↔☀❤✔🎨😀👩👧👍🏽🇷🇺🏴\u{200D}\u{20E3}".contains(character)
        };
        let shown: String = spans(text, in_emoji_font)
            .into_iter()
            .map(|(range, script)| match script {
                Script::Letters => text[range].to_owned(),
                Script::Emoji => format!("[{}]", &text[range]),
            })
            .collect();
        assert_eq!(shown, expected);
    }

    #[test]
    fn emoji_are_told_from_letters() {
        check_spans("", "");
        check_spans("Привет 🎨 мир", "Привет [🎨] мир");
        check_spans("😀", "[😀]");
        check_spans("👩‍👩‍👧👍🏽🇷🇺!", "[👩‍👩‍👧👍🏽🇷🇺]!");
        check_spans("☀ ☀\u{FE0F} ☀\u{FE0E}", "[☀] [☀\u{FE0F}] ☀\u{FE0E}");
        check_spans(
            "🏴\u{E0067}\u{E0062}\u{E0065}\u{E007F}a",
            "[🏴\u{E0067}\u{E0062}\u{E0065}\u{E007F}]a",
        );
    }

    #[test]
    fn digits_and_signs_stay_letters_unless_asked_for() {
        check_spans("№ 5 # * 10%", "№ 5 # * 10%");
        check_spans("1\u{FE0F}\u{20E3} 2\u{20E3} 3", "[1\u{FE0F}\u{20E3}] [2\u{20E3}] 3");
        check_spans("1\u{FE0F}", "1\u{FE0F}");
        check_spans("© ©\u{FE0F} ™", "© [©\u{FE0F}] ™");
        check_spans("a\u{200D}b\u{FE0F}", "a\u{200D}b\u{FE0F}");
    }
}
