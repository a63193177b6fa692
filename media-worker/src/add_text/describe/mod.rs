//! A style described in a sentence: «крупный белый текст снизу на чёрной плашке».
//!
//! The sentence is cut into phrases at commas and prepositions. What is said in a phrase is said of
//! its noun: of the next one, or else of the last one. Without a noun it is said of the text, but for
//! a colour after «на», which is that of the plate, and for what only a plate can be.

mod words;

use super::style::{
    Color, Horizontal, Opacity, Outline, Outlining, Plate, Radius, Size, TextStyle, Vertical, Width,
};
use words::{Noun, Word, darker, lighter, read};

/// The longest description, in characters.
pub const DESCRIPTION_CHARACTERS_MAX: usize = 200;

/// Why a description cannot be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DescriptionError {
    /// Nothing is in it.
    #[error("the description is empty")]
    Missing,
    /// More than [`DESCRIPTION_CHARACTERS_MAX`] characters.
    #[error("the description has more than {DESCRIPTION_CHARACTERS_MAX} characters")]
    TooLong,
}

/// A style, and what of its description means nothing here.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Described {
    /// The style.
    pub style: TextStyle,
    /// Words as they were written.
    pub words_not_understood: Vec<String>,
    /// How many other words there are.
    pub words_understood: usize,
}

/// Changes a style as a description says.
///
/// # Errors
/// When there is nothing to read, or too much.
pub fn describe(description: &str, style: TextStyle) -> Result<Described, DescriptionError> {
    if description.chars().count() > DESCRIPTION_CHARACTERS_MAX {
        return Err(DescriptionError::TooLong);
    }
    let mut reading = Reading { style, is_centered: false, said: Said::default() };
    let mut not_understood = Vec::new();
    let mut understood = 0_usize;
    for phrase in phrases(description) {
        let mut said = Vec::new();
        for written in phrase.words {
            match read(&written.to_lowercase().replace('ё', "е")) {
                Some(word) => said.push((word, written)),
                None => not_understood.push(written.to_owned()),
            }
        }
        let in_vain = reading.take(phrase.opening, &said);
        understood += said.len() - in_vain.len();
        not_understood.extend(in_vain.into_iter().map(ToOwned::to_owned));
    }
    if understood == 0 && not_understood.is_empty() {
        return Err(DescriptionError::Missing);
    }
    let style = reading.finish();
    Ok(Described { style, words_not_understood: not_understood, words_understood: understood })
}

/// The word that opens a phrase.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Opening {
    #[default]
    None,
    On,
    With,
    Without,
}

#[derive(Debug, Default)]
struct Phrase<'t> {
    opening: Opening,
    words: Vec<&'t str>,
}

fn phrases(description: &str) -> Vec<Phrase<'_>> {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '-' | '#' | '%');
    let mut phrases = vec![Phrase::default()];
    for clause in description.split([',', ';', '.', ':', '!', '\n', '(', ')']) {
        phrases.push(Phrase::default());
        for word in clause.split(|c: char| !is_part(c)).filter(|word| !word.is_empty()) {
            let opening = match word.to_lowercase().as_str() {
                "на" | "по" | "on" | "over" => Opening::On,
                "с" | "со" | "with" => Opening::With,
                "без" | "without" | "no" => Opening::Without,
                "и" | "а" | "в" | "во" | "and" | "но" => Opening::None,
                _ => {
                    if let Some(phrase) = phrases.last_mut() {
                        phrase.words.push(word);
                    }
                    continue;
                }
            };
            phrases.push(Phrase { opening, words: Vec::new() });
        }
    }
    phrases.retain(|phrase| !phrase.words.is_empty());
    phrases
}

/// What was spoken of so far.
#[derive(Debug, Default)]
struct Said {
    vertical: bool,
    horizontal: bool,
    last: Option<Noun>,
}

struct Reading {
    style: TextStyle,
    is_centered: bool,
    said: Said,
}

impl Reading {
    /// Takes what a phrase says; answers with the words that mean nothing where they stand.
    fn take<'t>(&mut self, opening: Opening, words: &[(Word, &'t str)]) -> Vec<&'t str> {
        let nouns: Vec<(usize, Noun)> = words
            .iter()
            .enumerate()
            .filter_map(|(at, (word, _))| match word {
                Word::Noun(noun) => Some((at, *noun)),
                _ => None,
            })
            .collect();
        for (_, noun) in &nouns {
            match opening {
                Opening::Without => self.take_off(*noun),
                Opening::None | Opening::On | Opening::With => self.put_on(*noun),
            }
            self.said.last = Some(*noun);
        }
        if opening == Opening::Without {
            // Only things can be taken off.
            let others = words.iter().filter(|(word, _)| !matches!(word, Word::Noun(_)));
            return others.map(|(_, written)| *written).collect();
        }
        let noun_of = |at: usize| {
            let next = nouns.iter().find(|(other, _)| *other > at);
            next.or(nouns.last()).map(|(_, noun)| *noun)
        };
        let mut modifiers = Modifiers::default();
        let mut in_vain = Vec::new();
        for (at, (word, written)) in words.iter().enumerate() {
            if !self.apply(*word, (noun_of(at), opening), &mut modifiers) {
                in_vain.push(*written);
            }
        }
        in_vain
    }

    /// Says whether the word means something here.
    fn apply(
        &mut self,
        word: Word,
        (noun, opening): (Option<Noun>, Opening),
        more: &mut Modifiers,
    ) -> bool {
        match word {
            Word::Noun(_) | Word::Filler => {}
            Word::Light => more.shade = Some(lighter),
            Word::Dark => more.shade = Some(darker),
            Word::Very => more.is_very = true,
            Word::Transparency => more.is_transparency = true,
            Word::Color(color) => {
                let color = more.shade.take().map_or(color, |shade| shade(color));
                let fallback = if opening == Opening::On { Noun::Plate } else { Noun::Text };
                self.color(noun.unwrap_or(fallback), color);
            }
            Word::Size(percent) => {
                let very = match percent {
                    _ if !std::mem::take(&mut more.is_very) => percent,
                    ..100 => percent / 2 + 5,
                    100 => 100,
                    _ => 200.max(percent),
                };
                match noun {
                    Some(Noun::Outline) => self.thickness(if percent > 100 { 10 } else { 3 }),
                    _ => self.style.size = Size::nearest(very),
                }
            }
            Word::Resize(percent) => {
                let size = u16::from(self.style.size.get()) * u16::from(percent) / 100;
                self.style.size = Size::nearest(u8::try_from(size).unwrap_or(u8::MAX));
            }
            Word::Thickness(percent) => match noun {
                Some(Noun::Outline) => self.thickness(percent),
                // The font has one weight.
                Some(Noun::Text | Noun::Plate | Noun::Shadow) | None => return false,
            },
            Word::Vertical(vertical) => {
                self.style.vertical = vertical;
                self.said.vertical = true;
            }
            Word::Horizontal(horizontal) => {
                self.style.horizontal = horizontal;
                self.said.horizontal = true;
            }
            Word::Center => self.is_centered = true,
            Word::Opacity(percent) => self.opacity(noun, percent),
            Word::Percent(percent) => {
                let is_transparency = std::mem::take(&mut more.is_transparency);
                let opacity = if is_transparency { 100 - percent } else { percent };
                self.opacity(noun, opacity);
            }
            Word::Roundness(percent) => {
                let is_very = std::mem::take(&mut more.is_very);
                let percent = if is_very && percent > 0 { 100 } else { percent };
                self.plate().radius = Radius::nearest(percent);
            }
        }
        true
    }

    fn color(&mut self, noun: Noun, color: Color) {
        match noun {
            Noun::Text => self.style.color = color,
            Noun::Plate => self.plate().color = color,
            Noun::Outline => {
                let outline = Outline { color: Some(color), ..self.outline() };
                self.style.outline = Outlining::With(outline);
            }
            Noun::Shadow => self.style.shadow.get_or_insert_default().color = color,
        }
    }

    /// Of the shadow if it is spoken of, else of the plate.
    fn opacity(&mut self, noun: Option<Noun>, percent: u8) {
        let opacity = Opacity::nearest(percent);
        match noun.or(self.said.last) {
            Some(Noun::Shadow) => self.style.shadow.get_or_insert_default().opacity = opacity,
            _ => self.plate().opacity = opacity,
        }
    }

    fn thickness(&mut self, percent: u8) {
        let outline = Outline { width: Width::nearest(percent), ..self.outline() };
        self.style.outline = Outlining::With(outline);
    }

    fn plate(&mut self) -> &mut Plate {
        self.style.plate.get_or_insert_default()
    }

    fn outline(&self) -> Outline {
        match self.style.outline {
            Outlining::With(outline) => outline,
            Outlining::Automatic | Outlining::Without => Outline::default(),
        }
    }

    fn put_on(&mut self, noun: Noun) {
        match noun {
            Noun::Text => {}
            Noun::Plate => {
                self.plate();
            }
            Noun::Outline => self.style.outline = Outlining::With(self.outline()),
            Noun::Shadow => {
                self.style.shadow.get_or_insert_default();
            }
        }
    }

    fn take_off(&mut self, noun: Noun) {
        match noun {
            Noun::Text => {}
            Noun::Plate => self.style.plate = None,
            Noun::Outline => self.style.outline = Outlining::Without,
            Noun::Shadow => self.style.shadow = None,
        }
    }

    fn finish(mut self) -> TextStyle {
        if self.is_centered {
            if !self.said.horizontal {
                self.style.horizontal = Horizontal::Center;
            }
            if !self.said.vertical {
                self.style.vertical = Vertical::Middle;
            }
        }
        self.style
    }
}

/// Words that change the one after them.
#[derive(Default)]
struct Modifiers {
    shade: Option<fn(Color) -> Color>,
    is_very: bool,
    is_transparency: bool,
}

#[cfg(test)]
mod tests;
