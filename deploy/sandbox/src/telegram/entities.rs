//! Text with entities, as Telegram counts them: in UTF-16 code units.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::Refusal;

/// A stretch of text that means or looks like something.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Entity {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) offset: usize,
    pub(super) length: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) language: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) custom_emoji_id: Option<String>,
}

impl Entity {
    /// An entity that is nothing but its kind.
    pub(super) fn new(kind: &str, offset: usize, length: usize) -> Self {
        Self {
            kind: kind.to_owned(),
            offset,
            length,
            url: None,
            language: None,
            custom_emoji_id: None,
        }
    }

    fn end(&self) -> usize {
        self.offset + self.length
    }
}

/// Plain text and what its stretches are.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Formatted {
    pub(super) text: String,
    pub(super) entities: Vec<Entity>,
}

/// How long a text is for Telegram.
pub(super) fn length(text: &str) -> usize {
    text.encode_utf16().count()
}

impl Formatted {
    /// A text as it is typed: nothing is marked but what is recognised by itself.
    pub(super) fn plain(text: &str) -> Self {
        Self { text: text.to_owned(), entities: Vec::new() }.finished()
    }

    /// A text with entities that the caller lists.
    pub(super) fn listed(text: &str, entities: Value) -> Result<Self, Refusal> {
        let entities: Vec<Entity> = serde_json::from_value(entities)
            .map_err(|_| Refusal::bad("can't parse MessageEntity: expected an Array of Object"))?;
        let size = length(text);
        let inside =
            |entity: &Entity| entity.offset.checked_add(entity.length).is_some_and(|e| e <= size);
        if !entities.iter().all(inside) {
            return Err(Refusal::bad("entity beyond the text's end specified"));
        }
        Ok(Self { text: text.to_owned(), entities }.finished())
    }

    /// Whether there is anything to read.
    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// What every text goes through: trimmed, links and commands recognised, entities in order.
    pub(super) fn finished(mut self) -> Self {
        self.trim();
        for found in recognised(&self.text) {
            let overlaps = |old: &Entity| {
                old.offset < found.end()
                    && found.offset < old.end()
                    && ["text_link", "code", "pre", "url", "bot_command"].contains(&&*old.kind)
            };
            if !self.entities.iter().any(overlaps) {
                self.entities.push(found);
            }
        }
        self.entities.retain(|entity| entity.length > 0);
        self.entities.sort_by(|one, other| {
            (one.offset, other.length, &one.kind).cmp(&(other.offset, one.length, &other.kind))
        });
        self
    }

    fn trim(&mut self) {
        let without_end = self.text.trim_end();
        let trimmed = without_end.trim_start();
        let cut = length(without_end) - length(trimmed);
        let size = length(trimmed);
        self.text = trimmed.to_owned();
        for entity in &mut self.entities {
            let start = entity.offset.saturating_sub(cut).min(size);
            let end = entity.end().saturating_sub(cut).min(size);
            entity.offset = start;
            entity.length = end - start;
        }
    }

    /// As HTML that shows it, everything escaped.
    pub(super) fn html(&self) -> String {
        let mut html = String::with_capacity(self.text.len());
        let mut open: Vec<&Entity> = Vec::new();
        let mut waiting = self.entities.iter().peekable();
        let mut offset = 0;
        for letter in self.text.chars() {
            close_until(&mut html, &mut open, offset);
            while let Some(entity) = waiting.next_if(|entity| entity.offset <= offset) {
                // Entities that cross each other are cut where the outer one ends.
                if open.last().is_none_or(|outer| entity.end() <= outer.end()) {
                    html.push_str(&tags(entity).0);
                    open.push(entity);
                }
            }
            escape(letter, &mut html);
            offset += letter.len_utf16();
        }
        close_until(&mut html, &mut open, usize::MAX);
        html
    }
}

fn close_until(html: &mut String, open: &mut Vec<&Entity>, offset: usize) {
    while let Some(entity) = open.pop_if(|entity| entity.end() <= offset) {
        html.push_str(tags(entity).1);
    }
}

/// How an entity begins and ends in HTML.
fn tags(entity: &Entity) -> (String, &'static str) {
    let pair = |open: &str, close| (open.to_owned(), close);
    match entity.kind.as_str() {
        "bold" => pair("<b>", "</b>"),
        "italic" => pair("<i>", "</i>"),
        "underline" => pair("<u>", "</u>"),
        "strikethrough" => pair("<s>", "</s>"),
        "spoiler" => pair("<tg-spoiler>", "</tg-spoiler>"),
        "code" => pair("<code>", "</code>"),
        "pre" => pair("<pre>", "</pre>"),
        "blockquote" | "expandable_blockquote" => pair("<blockquote>", "</blockquote>"),
        "text_link" => {
            let mut open = "<a href=\"".to_owned();
            entity.url.iter().flat_map(|url| url.chars()).for_each(|c| escape(c, &mut open));
            open.push_str("\">");
            (open, "</a>")
        }
        _ => pair("", ""),
    }
}

fn escape(letter: char, html: &mut String) {
    match letter {
        '&' => html.push_str("&amp;"),
        '<' => html.push_str("&lt;"),
        '>' => html.push_str("&gt;"),
        '"' => html.push_str("&quot;"),
        other => html.push(other),
    }
}

/// Commands and links, which nobody has to mark.
fn recognised(text: &str) -> Vec<Entity> {
    let mut found = Vec::new();
    let mut offset = 0;
    for word in text.split_inclusive(char::is_whitespace) {
        let bare = word.trim_end();
        if let Some(size) = command_length(bare) {
            found.push(Entity::new("bot_command", offset, size));
        } else if let Some(start) = bare.find("http://").or_else(|| bare.find("https://")) {
            let link =
                bare[start..].trim_end_matches(['.', ',', ')', '!', '?', ':', ';', '»', '"']);
            if link.len() > "https://".len() {
                found.push(Entity::new("url", offset + length(&bare[..start]), length(link)));
            }
        }
        offset += length(word);
    }
    found
}

/// `/start` or `/start@name` at the beginning of a word.
fn command_length(word: &str) -> Option<usize> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let name = word.strip_prefix('/')?;
    let size = name.find(|c| !is_name(c)).unwrap_or(name.len());
    if !(1..=32).contains(&size) {
        return None;
    }
    let rest = &name[size..];
    let at = rest.strip_prefix('@').map_or(0, |bot| {
        let size = bot.find(|c| !is_name(c)).unwrap_or(bot.len());
        if size >= 3 { size + 1 } else { 0 }
    });
    // `/usr/bin` is a path and not a command.
    (!rest[at..].starts_with('/')).then_some(1 + size + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(&str, usize, usize)]) {
        let formatted = Formatted::plain(text);
        let found: Vec<_> = formatted
            .entities
            .iter()
            .map(|entity| (entity.kind.as_str(), entity.offset, entity.length))
            .collect();
        assert_eq!(found, expected, "{text:?}");
    }

    #[test]
    fn recognises_commands_and_links() {
        check("/start", &[("bot_command", 0, 6)]);
        check("/start ref_1", &[("bot_command", 0, 6)]);
        check("/start@media_lab_bot", &[("bot_command", 0, 20)]);
        check("🎨 /help", &[("bot_command", 3, 5)]);
        check("/usr/bin", &[]);
        check("a/b", &[]);
        check("смотри https://example.com/a, да", &[("url", 7, 21)]);
    }

    #[test]
    fn html_shows_the_text_and_nothing_that_it_holds() {
        let mut text = Formatted::plain("a <b> & \"c\"");
        text.entities = vec![Entity::new("bold", 2, 3)];
        assert_eq!(text.html(), "a <b>&lt;b&gt;</b> &amp; &quot;c&quot;");
    }
}
