//! How large the text is, and where it stands.
//!
//! The largest size wins at which the text keeps to the lower part of the picture. Words stay whole
//! unless that costs more than half of the size.

#![expect(
    clippy::float_arithmetic,
    clippy::cast_precision_loss,
    reason = "type is set in fractions of a pixel"
)]

use std::collections::BTreeSet;

use cosmic_text::{Align, Buffer, FontSystem, Metrics, PhysicalGlyph, Shaping, Wrap};

use super::AddTextError;
use super::fonts::{EmojiFace, Fonts};
use super::text::{Style, is_invisible, spans};

/// The part of the picture's width that lines may take.
const WIDTH_SHARE: f32 = 0.9;
/// The part of the picture's height that the text may take.
const HEIGHT_SHARE: f32 = 0.4;
/// What a long text may take, before it is refused.
const HEIGHT_SHARE_AT_MOST: f32 = 0.9;
/// From the text to the picture's lower edge, as a part of the shorter side.
const MARGIN_SHARE: f32 = 0.04;
/// From line to line, in font sizes: the letters' own height and some air for the outline.
const LINE_HEIGHT: f32 = 1.2;

/// The thickness of the outline, in font sizes.
const OUTLINE_SHARE: f32 = 0.06;

/// What a short text gets, as a part of the geometric mean of the sides.
const SIZE_SHARE: f32 = 0.09;
/// Smaller type cannot be read on a picture that is looked at as a whole.
const SIZE_SHARE_AT_LEAST: f32 = 0.015;
/// Smaller type cannot be read at all.
const READABLE_PX: f32 = 8.0;
/// From one size tried to the next.
const SIZE_STEP: f32 = 0.95;
/// Words are broken if they fit whole only below this part of the size they have broken.
const WHOLE_WORDS_WORTH: f32 = 0.5;

/// The text, each glyph in its place.
#[derive(Debug)]
pub(super) struct Typeset {
    pub(super) glyphs: Vec<PhysicalGlyph>,
    font_size: f32,
}

impl Typeset {
    /// In pixels: enough for white letters on white, and not so much that it fills their insides.
    pub(super) fn outline_thickness(&self) -> f32 {
        (self.font_size * OUTLINE_SHARE).max(1.0)
    }

    /// In pixels. Emoji have colours of their own and need less.
    pub(super) fn emoji_outline_thickness(&self) -> f32 {
        (self.outline_thickness() / 2.0).max(1.0)
    }
}

/// The sides of the picture, in pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sides {
    pub(super) width: u32,
    pub(super) height: u32,
}

/// A size that fits, and the wrapping it fits with.
#[derive(Clone, Copy, Debug)]
struct Fit {
    size: f32,
    wrap: Wrap,
}

/// Sets the text for a picture of these sides.
pub(super) fn typeset(
    fonts: &Fonts,
    system: &mut FontSystem,
    text: &str,
    sides: Sides,
) -> Result<Typeset, AddTextError> {
    let (width, height) = (sides.width as f32, sides.height as f32);
    let mut page = Page::new(fonts, system, text, width * WIDTH_SHARE);
    page.refuse_missing_characters()?;

    let sizes = Sizes::of(width, height);
    let fit = page
        .largest(&sizes, height * HEIGHT_SHARE)
        .or_else(|| page.largest(&sizes, height * HEIGHT_SHARE_AT_MOST));
    let fit = match fit {
        Some(fit) => fit,
        // An icon has no room for words. What reaches over its edge is cut off.
        None if sizes.smallest < READABLE_PX => {
            Fit { size: sizes.smallest, wrap: Wrap::WordOrGlyph }
        }
        None => return Err(AddTextError::TextDoesNotFit),
    };

    page.set(fit);
    let left = width * (1.0 - WIDTH_SHARE) / 2.0;
    let top = height - width.min(height) * MARGIN_SHARE - page.height();
    Ok(Typeset { glyphs: page.glyphs(left, top), font_size: fit.size })
}

/// The sizes that are tried.
#[derive(Debug)]
struct Sizes {
    largest: f32,
    smallest: f32,
}

impl Sizes {
    fn of(width: f32, height: f32) -> Self {
        let mean = (width * height).sqrt();
        let one_line = height * HEIGHT_SHARE / LINE_HEIGHT;
        let one_letter = width * WIDTH_SHARE;
        // Below one pixel there is nothing to draw.
        let largest = (mean * SIZE_SHARE).min(one_line).min(one_letter).max(1.0);
        let smallest = (mean * SIZE_SHARE_AT_LEAST).max(READABLE_PX).min(largest);
        Self { largest, smallest }
    }

    fn descending(&self) -> impl Iterator<Item = f32> {
        let smallest = self.smallest;
        std::iter::successors(Some(self.largest), move |&size| {
            (size > smallest).then(|| (size * SIZE_STEP).max(smallest))
        })
    }
}

/// The text, shaped once and set at many sizes.
struct Page<'a> {
    system: &'a mut FontSystem,
    buffer: Buffer,
    width: f32,
}

impl<'a> Page<'a> {
    fn new(fonts: &Fonts, system: &'a mut FontSystem, text: &str, width: f32) -> Self {
        let mut buffer = Buffer::new_empty(Metrics::new(1.0, LINE_HEIGHT));
        buffer.set_size(Some(width), None);

        let letters = fonts.letters.attrs();
        let emoji = fonts.emoji.as_ref();
        let attrs = |style| match (style, emoji) {
            (Style::Emoji, Some(emoji)) => emoji.face.attrs(),
            (Style::Letters | Style::Emoji, _) => letters.clone(),
        };
        let spans =
            spans(text, |character| emoji.is_some_and(|emoji: &EmojiFace| emoji.has(character)));
        buffer.set_rich_text(
            spans.into_iter().map(|(range, style)| (&text[range], attrs(style))),
            &letters,
            Shaping::Advanced,
            Some(Align::Center),
        );

        let mut page = Self { system, buffer, width };
        page.set(Fit { size: 1.0, wrap: Wrap::None });
        page
    }

    fn set(&mut self, fit: Fit) {
        self.buffer.set_wrap(fit.wrap);
        self.buffer.set_metrics(Metrics::relative(fit.size, LINE_HEIGHT));
        self.buffer.shape_until_scroll(self.system, false);
    }

    fn refuse_missing_characters(&self) -> Result<(), AddTextError> {
        let missing: BTreeSet<char> = self
            .buffer
            .layout_runs()
            .flat_map(|run| {
                let missing = run.glyphs.iter().filter(|glyph| glyph.glyph_id == 0);
                missing.flat_map(move |glyph| run.text[glyph.start..glyph.end].chars())
            })
            .filter(|&character| !is_invisible(character))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(AddTextError::CharactersMissing { characters: missing.into_iter().collect() })
    }

    /// The largest size at which the text takes no more than this height.
    fn largest(&mut self, sizes: &Sizes, height: f32) -> Option<Fit> {
        let broken = self.largest_with(Wrap::WordOrGlyph, sizes, height)?;
        let whole = self.largest_with(Wrap::Word, sizes, height);
        whole.filter(|whole| whole.size >= broken.size * WHOLE_WORDS_WORTH).or(Some(broken))
    }

    fn largest_with(&mut self, wrap: Wrap, sizes: &Sizes, height: f32) -> Option<Fit> {
        sizes.descending().map(|size| Fit { size, wrap }).find(|&fit| {
            self.set(fit);
            self.height() <= height && self.widest_line() <= self.width
        })
    }

    fn height(&self) -> f32 {
        self.buffer.layout_runs().map(|run| run.line_height).sum()
    }

    fn widest_line(&self) -> f32 {
        self.buffer.layout_runs().map(|run| run.line_w).fold(0.0, f32::max)
    }

    fn glyphs(&self, left: f32, top: f32) -> Vec<PhysicalGlyph> {
        self.buffer
            .layout_runs()
            .flat_map(|run| {
                let drawn = run.glyphs.iter().filter(|glyph| glyph.glyph_id != 0);
                drawn.map(move |glyph| glyph.physical((left, top + run.line_y), 1.0))
            })
            .collect()
    }
}
