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
pub(super) enum Style {
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
) -> Vec<(Range<usize>, Style)> {
    let mut spans: Vec<(Range<usize>, Style)> = Vec::new();
    for (start, character) in text.char_indices() {
        let end = start + character.len_utf8();
        let after = &text[end..];
        let before = spans.last().map_or(Style::Letters, |(_, style)| *style);
        let style = style(character, after, before, &in_emoji_font);
        match spans.last_mut() {
            Some((range, last)) if *last == style => range.end = end,
            _ => spans.push((start..end, style)),
        }
    }
    spans
}

fn style(
    character: char,
    after: &str,
    before: Style,
    in_emoji_font: impl Fn(char) -> bool,
) -> Style {
    let continues = matches!(
        character,
        VARIATION_EMOJI | ZERO_WIDTH_JOINER | KEYCAP | '\u{E0020}'..='\u{E007F}'
    );
    let is_emoji = match character {
        _ if continues => before == Style::Emoji,
        '0'..='9' | '#' | '*' => {
            after.strip_prefix(VARIATION_EMOJI).unwrap_or(after).starts_with(KEYCAP)
        }
        _ if after.starts_with(VARIATION_TEXT) => false,
        // Signs that are at home in running text, such as © and ™, only when asked for.
        '\0'..='\u{218F}' => after.starts_with(VARIATION_EMOJI) && in_emoji_font(character),
        // The rest as Telegram shows it: in colour, asked for or not.
        _ => in_emoji_font(character),
    };
    if is_emoji { Style::Emoji } else { Style::Letters }
}
