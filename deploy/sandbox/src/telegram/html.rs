//! `parse_mode=HTML`: tags into entities, with the refusals of the real parser.

use super::entities::{Entity, Formatted, length};
use super::error::Refusal;

/// A tag that is open: its name, where it stands in the source and in the text, and its attribute.
struct Open {
    name: String,
    offset: usize,
    argument: String,
}

struct Parser<'a> {
    source: &'a str,
    at: usize,
    text: String,
    entities: Vec<Entity>,
    open: Vec<Open>,
}

/// Reads a text with tags.
pub(super) fn parse(source: &str) -> Result<Formatted, Refusal> {
    let mut parser =
        Parser { source, at: 0, text: String::new(), entities: Vec::new(), open: Vec::new() };
    parser
        .run()
        .map_err(|problem| Refusal::bad(format_args!("can't parse entities: {problem}")))?;
    Ok(Formatted { text: parser.text, entities: merged(parser.entities) }.finished())
}

/// `<pre><code class="language-x">` is one stretch of code in a language.
fn merged(entities: Vec<Entity>) -> Vec<Entity> {
    let mut result: Vec<Entity> = Vec::new();
    for entity in entities {
        let twin = result.iter_mut().find(|old| {
            old.offset == entity.offset
                && old.length == entity.length
                && matches!(
                    (old.kind.as_str(), entity.kind.as_str()),
                    ("pre", "code") | ("code", "pre")
                )
        });
        match twin {
            Some(old) => {
                "pre".clone_into(&mut old.kind);
                old.language = old.language.take().or(entity.language);
            }
            None => result.push(entity),
        }
    }
    for entity in &mut result {
        if entity.kind == "code" {
            entity.language = None;
        }
    }
    result
}

impl Parser<'_> {
    fn run(&mut self) -> Result<(), String> {
        while let Some(letter) = self.peek() {
            match letter {
                '<' if self.source[self.at..].starts_with("</") => self.end_tag()?,
                '<' => self.start_tag()?,
                '&' => self.reference(),
                _ => {
                    self.text.push(letter);
                    self.at += letter.len_utf8();
                }
            }
        }
        match self.open.last() {
            Some(open) => {
                Err(format!("Can't find end tag corresponding to start tag \"{}\"", open.name))
            }
            None => Ok(()),
        }
    }

    fn peek(&self) -> Option<char> {
        self.source[self.at..].chars().next()
    }

    fn take_while(&mut self, accept: impl Fn(char) -> bool) -> &str {
        let rest = &self.source[self.at..];
        let size = rest.find(|letter| !accept(letter)).unwrap_or(rest.len());
        self.at += size;
        &rest[..size]
    }

    fn reference(&mut self) {
        let rest = &self.source[self.at..];
        if let Some((letter, size)) = decode_reference(rest) {
            self.text.push(letter);
            self.at += size;
        } else {
            self.text.push('&');
            self.at += 1;
        }
    }

    fn start_tag(&mut self) -> Result<(), String> {
        let begin = self.at;
        self.at += 1;
        let name = self.take_while(|c| !c.is_whitespace() && c != '>').to_ascii_lowercase();
        if self.peek().is_none() {
            return Err(format!("Unclosed start tag at byte offset {begin}"));
        }
        if !is_supported(&name) {
            return Err(format!("Unsupported start tag \"{name}\" at byte offset {begin}"));
        }
        let mut argument = String::new();
        loop {
            self.take_while(char::is_whitespace);
            match self.peek() {
                None => {
                    return Err(format!("Unclosed start tag \"{name}\" at byte offset {begin}"));
                }
                Some('>') => break,
                Some(_) => {
                    let (attribute, value) = self.attribute(&name, begin)?;
                    if let Some(found) = wanted(&name, &attribute, value) {
                        argument = found;
                    }
                }
            }
        }
        self.at += 1;
        if name == "span" && argument != "tg-spoiler" {
            return Err(format!(
                "Tag \"span\" must have class \"tg-spoiler\" at byte offset {begin}"
            ));
        }
        self.open.push(Open { name, offset: length(&self.text), argument });
        Ok(())
    }

    fn attribute(&mut self, tag: &str, begin: usize) -> Result<(String, String), String> {
        let at = |what: &str| format!("{what} of the tag \"{tag}\" at byte offset {begin}");
        let attribute =
            self.take_while(|c| !c.is_whitespace() && c != '=' && c != '>').to_ascii_lowercase();
        if attribute.is_empty() {
            return Err(format!(
                "Empty attribute name in the tag \"{tag}\" at byte offset {begin}"
            ));
        }
        self.take_while(char::is_whitespace);
        if self.peek() != Some('=') {
            if attribute == "expandable" {
                return Ok((attribute, String::new()));
            }
            return Err(at("Expected equal sign in declaration of an attribute"));
        }
        self.at += 1;
        self.take_while(char::is_whitespace);
        let value = match self.peek() {
            None => return Err(format!("Unclosed start tag \"{tag}\" at byte offset {begin}")),
            Some(quote @ ('"' | '\'')) => {
                self.at += 1;
                let value = self.take_while(|c| c != quote).to_owned();
                if self.peek().is_none() {
                    return Err(format!("Unclosed start tag at byte offset {begin}"));
                }
                self.at += 1;
                value
            }
            Some(_) => {
                let token = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
                let value = self.take_while(token).to_ascii_lowercase();
                if self.peek().is_some_and(|c| !c.is_whitespace() && c != '>') {
                    return Err(at("Unexpected end of name token in an attribute"));
                }
                value
            }
        };
        Ok((attribute, decode(&value)))
    }

    fn end_tag(&mut self) -> Result<(), String> {
        let begin = self.at;
        self.at += 2;
        let name = self.take_while(|c| !c.is_whitespace() && c != '>').to_ascii_lowercase();
        self.take_while(char::is_whitespace);
        if self.peek() != Some('>') {
            return Err(format!("Unclosed end tag at byte offset {begin}"));
        }
        self.at += 1;
        let Some(open) = self.open.pop() else {
            return Err(format!("Unexpected end tag at byte offset {begin}"));
        };
        if !name.is_empty() && name != open.name {
            return Err(format!(
                "Unmatched end tag at byte offset {begin}, expected \"</{}>\", found \"</{name}>\"",
                open.name
            ));
        }
        let size = length(&self.text) - open.offset;
        if size > 0 {
            self.entities.extend(entity(&open, size, &self.text));
        }
        Ok(())
    }
}

fn is_supported(name: &str) -> bool {
    matches!(
        name,
        "a" | "b"
            | "strong"
            | "i"
            | "em"
            | "s"
            | "strike"
            | "del"
            | "u"
            | "ins"
            | "tg-spoiler"
            | "tg-emoji"
            | "span"
            | "pre"
            | "code"
            | "blockquote"
    )
}

/// The part of an attribute that matters for its tag.
fn wanted(tag: &str, attribute: &str, value: String) -> Option<String> {
    match (tag, attribute) {
        ("a", "href") | ("tg-emoji", "emoji-id") => Some(value),
        ("span", "class") if value.starts_with("tg-") => Some(value),
        ("code", "class") => value.strip_prefix("language-").map(str::to_owned),
        ("blockquote", "expandable") => Some("1".to_owned()),
        _ => None,
    }
}

fn entity(open: &Open, size: usize, text: &str) -> Option<Entity> {
    let plain = |kind| Some(Entity::new(kind, open.offset, size));
    match open.name.as_str() {
        "b" | "strong" => plain("bold"),
        "i" | "em" => plain("italic"),
        "s" | "strike" | "del" => plain("strikethrough"),
        "u" | "ins" => plain("underline"),
        "tg-spoiler" | "span" => plain("spoiler"),
        "pre" => plain("pre"),
        "blockquote" if open.argument.is_empty() => plain("blockquote"),
        "blockquote" => plain("expandable_blockquote"),
        "code" => {
            let language = Some(open.argument.clone()).filter(|language| !language.is_empty());
            Some(Entity { language, ..Entity::new("code", open.offset, size) })
        }
        "tg-emoji" => {
            let id = Some(open.argument.clone());
            Some(Entity { custom_emoji_id: id, ..Entity::new("custom_emoji", open.offset, size) })
        }
        _ => {
            let units: Vec<u16> = text.encode_utf16().skip(open.offset).collect();
            let inner = String::from_utf16_lossy(&units);
            let target = if open.argument.is_empty() { inner } else { open.argument.clone() };
            let url = link(&target)?;
            Some(Entity { url: Some(url), ..Entity::new("text_link", open.offset, size) })
        }
    }
}

/// A link that Telegram takes; what is not one is left as plain text.
pub(super) fn link(target: &str) -> Option<String> {
    let whole = if target.contains("://") || target.starts_with("tg:") {
        target.to_owned()
    } else {
        format!("http://{target}")
    };
    let url = url::Url::parse(&whole).ok()?;
    let known = matches!(url.scheme(), "http" | "https" | "tg" | "ton" | "tonsite");
    let named = url.scheme() == "tg"
        || url.host_str().is_some_and(|host| host.contains(['.', ':']))
        || url.host_str() == Some("localhost");
    (known && named).then(|| url.to_string())
}

fn decode(text: &str) -> String {
    let mut result = String::new();
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let (letter, size) = decode_reference(rest).unwrap_or((letter, letter.len_utf8()));
        result.push(letter);
        rest = &rest[size..];
    }
    result
}

/// `&lt;`, `&gt;`, `&amp;`, `&quot;` and numbers; nothing else means anything.
fn decode_reference(text: &str) -> Option<(char, usize)> {
    let body = text.strip_prefix('&')?;
    for (name, letter) in [("lt", '<'), ("gt", '>'), ("amp", '&'), ("quot", '"')] {
        if let Some(rest) = body.strip_prefix(name) {
            return Some((letter, 1 + name.len() + usize::from(rest.starts_with(';'))));
        }
    }
    let digits = body.strip_prefix('#')?;
    let (digits, radix) = match digits.strip_prefix('x') {
        Some(hex) => (hex, 16),
        None => (digits, 10),
    };
    let size = digits.find(|c: char| !c.is_digit(radix)).unwrap_or(digits.len());
    let letter = u32::from_str_radix(&digits[..size], radix).ok().and_then(char::from_u32);
    let letter = letter.filter(|&letter| letter != '\0')?;
    let before = text.len() - digits.len();
    Some((letter, before + size + usize::from(digits[size..].starts_with(';'))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(source: &str, text: &str, entities: &[(&str, usize, usize)]) {
        let parsed = parse(source).unwrap();
        let found: Vec<_> = parsed
            .entities
            .iter()
            .map(|entity| (entity.kind.as_str(), entity.offset, entity.length))
            .collect();
        assert_eq!((parsed.text.as_str(), &*found), (text, entities), "{source:?}");
    }

    #[track_caller]
    fn refused(source: &str, problem: &str) {
        let expected = Refusal::bad(format_args!("can't parse entities: {problem}"));
        assert_eq!(parse(source), Err(expected), "{source:?}");
    }

    #[test]
    fn tags_become_entities() {
        check("<b>да</b> и <i>нет</i>", "да и нет", &[("bold", 0, 2), ("italic", 5, 3)]);
        check("🎨<strong>a</strong>", "🎨a", &[("bold", 2, 1)]);
        check("<b><i>x</i></b>", "x", &[("bold", 0, 1), ("italic", 0, 1)]);
        check("1 &lt; 2 &amp; &#1071; &#x41; &nbsp;", "1 < 2 & Я A &nbsp;", &[]);
        check("<a href='https://a.ru/?x=1&amp;y=2'>тут</a>", "тут", &[("text_link", 0, 3)]);
        check("<a href=\"\">слово</a>", "слово", &[]);
        check("<pre><code class=\"language-rust\">x</code></pre>", "x", &[("pre", 0, 1)]);
        check("<span class=\"tg-spoiler\">x</span>", "x", &[("spoiler", 0, 1)]);
        check("<blockquote expandable>x</blockquote>", "x", &[("expandable_blockquote", 0, 1)]);
        check(" \n<b> a </b>\n", "a", &[("bold", 0, 1)]);
        check("<b></b>x", "x", &[]);
        check("<B>x</b>", "x", &[("bold", 0, 1)]);
    }

    #[test]
    fn what_is_not_html_is_refused_with_the_real_words() {
        refused("<b>x", "Can't find end tag corresponding to start tag \"b\"");
        refused("x</b>", "Unexpected end tag at byte offset 1");
        refused(
            "<b>x</i>",
            "Unmatched end tag at byte offset 4, expected \"</b>\", found \"</i>\"",
        );
        refused("я<br>", "Unsupported start tag \"br\" at byte offset 2");
        refused("2 < 3", "Unsupported start tag \"\" at byte offset 2");
        refused("2 <b", "Unclosed start tag at byte offset 2");
        refused(
            "<a href>x</a>",
            "Expected equal sign in declaration of an attribute of the tag \"a\" at byte offset 0",
        );
        refused("<span>x</span>", "Tag \"span\" must have class \"tg-spoiler\" at byte offset 0");
        refused("<b>x</b", "Unclosed end tag at byte offset 4");
    }
}
