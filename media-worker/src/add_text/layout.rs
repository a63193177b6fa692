//! How large the text is, and where it stands.
//!
//! The largest size wins at which the text keeps to its part of the picture, and the style makes
//! that larger or smaller. Words stay whole unless that costs most of the size.

#![expect(
    clippy::float_arithmetic,
    clippy::cast_precision_loss,
    reason = "type is set in fractions of a pixel"
)]

use std::collections::BTreeSet;

use cosmic_text::{Align, Buffer, FontSystem, Metrics, PhysicalGlyph, Shaping, Wrap};

use super::AddTextError;
use super::fonts::{EmojiFace, Fonts};
use super::sizes::{READABLE_PX, Sizes};
use super::style::{Horizontal, TextStyle, Vertical};
use super::text::{Script, is_invisible, spans};

/// The part of the picture's width that lines may take.
pub(super) const WIDTH_SHARE: f32 = 0.9;
/// The part of the picture's height that the text may take.
pub(super) const HEIGHT_SHARE: f32 = 0.4;
/// What a long text may take, before it is refused.
const HEIGHT_SHARE_AT_MOST: f32 = 0.9;
/// From the text to the picture's upper or lower edge, as a part of the shorter side.
const MARGIN_SHARE: f32 = 0.04;
/// From line to line, in font sizes: the letters' own height and some air for the outline.
pub(super) const LINE_HEIGHT: f32 = 1.2;

/// Words are broken if they fit whole only below this part of the size they have broken.
const WHOLE_WORDS_WORTH: f32 = 0.4;

/// The text, each glyph in its place.
#[derive(Debug)]
pub(super) struct Typeset {
    pub(super) glyphs: Vec<PhysicalGlyph>,
    /// In pixels of the picture.
    pub(super) font_size: f32,
    /// How much smaller all of it is drawn: 1 but for a preview.
    pub(super) scale: f32,
    /// What the lines take up, as drawn: left, top, right and lower edge.
    pub(super) block: [f32; 4],
}

/// The sides of the picture, in pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sides {
    pub(super) width: u32,
    pub(super) height: u32,
}

impl Sides {
    /// The same picture with no side longer than so many pixels; `None` where it is so already.
    pub(super) fn within(self, side_max: u32) -> Option<Self> {
        let longer = self.width.max(self.height);
        if longer <= side_max {
            return None;
        }
        let smaller = |side: u32| {
            let scaled = u64::from(side) * u64::from(side_max) / u64::from(longer);
            u32::try_from(scaled).unwrap_or(side_max).max(1)
        };
        Some(Self { width: smaller(self.width), height: smaller(self.height) })
    }

    /// How much smaller this picture is than that one.
    pub(super) fn scale_of(self, whole: Self) -> f32 {
        self.width.max(self.height) as f32 / whole.width.max(whole.height) as f32
    }
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
    style: &TextStyle,
    (sides, scale): (Sides, f32),
) -> Result<Typeset, AddTextError> {
    let (width, height) = (sides.width as f32, sides.height as f32);
    let mut page = Page::new(fonts, system, (text, style.horizontal), width * WIDTH_SHARE);
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

    let fit = page.resized(fit, style.size.get(), height * HEIGHT_SHARE_AT_MOST);
    page.set(fit);
    let left = width * (1.0 - WIDTH_SHARE) / 2.0;
    let margin = width.min(height) * MARGIN_SHARE;
    let top = match style.vertical {
        Vertical::Top => margin,
        Vertical::Middle => (height - page.height()) / 2.0,
        Vertical::Bottom => height - margin - page.height(),
    };
    Ok(Typeset {
        glyphs: page.glyphs(left, top, scale),
        font_size: fit.size,
        scale,
        block: page.block(left, top).map(|edge| edge * scale),
    })
}

/// The text, shaped once and set at many sizes.
struct Page<'a> {
    system: &'a mut FontSystem,
    buffer: Buffer,
    width: f32,
}

impl<'a> Page<'a> {
    fn new(
        fonts: &Fonts,
        system: &'a mut FontSystem,
        (text, horizontal): (&str, Horizontal),
        width: f32,
    ) -> Self {
        let mut buffer = Buffer::new_empty(Metrics::new(1.0, LINE_HEIGHT));
        buffer.set_size(Some(width), None);

        let letters = fonts.letters.attrs();
        let emoji = fonts.emoji.as_ref();
        let attrs = |script| match (script, emoji) {
            (Script::Emoji, Some(emoji)) => emoji.face.attrs(),
            (Script::Letters | Script::Emoji, _) => letters.clone(),
        };
        let spans =
            spans(text, |character| emoji.is_some_and(|emoji: &EmojiFace| emoji.has(character)));
        buffer.set_rich_text(
            spans.into_iter().map(|(range, script)| (&text[range], attrs(script))),
            &letters,
            Shaping::Advanced,
            Some(align(horizontal)),
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

    /// Larger or smaller by so many percent, as far as there is room.
    fn resized(&mut self, fit: Fit, percent: u8, height: f32) -> Fit {
        let size = fit.size * f32::from(percent) / 100.0;
        if percent <= 100 {
            return Fit { size: size.max(READABLE_PX.min(fit.size)), ..fit };
        }
        let sizes = Sizes { largest: size, smallest: fit.size };
        self.largest_with(fit.wrap, &sizes, height).unwrap_or(fit)
    }

    fn height(&self) -> f32 {
        self.buffer.layout_runs().map(|run| run.line_height).sum()
    }

    fn widest_line(&self) -> f32 {
        self.buffer.layout_runs().map(|run| run.line_w).fold(0.0, f32::max)
    }

    /// What the lines take up, without the room at their sides.
    fn block(&self, left: f32, top: f32) -> [f32; 4] {
        let glyphs = || self.buffer.layout_runs().flat_map(|run| run.glyphs.iter());
        let start = glyphs().map(|glyph| glyph.x).fold(f32::INFINITY, f32::min);
        let end = glyphs().map(|glyph| glyph.x + glyph.w).fold(f32::NEG_INFINITY, f32::max);
        [left + start, top, left + end, top + self.height()]
    }

    fn glyphs(&self, left: f32, top: f32, scale: f32) -> Vec<PhysicalGlyph> {
        self.buffer
            .layout_runs()
            .flat_map(|run| {
                let drawn = run.glyphs.iter().filter(|glyph| glyph.glyph_id != 0);
                let origin = (left * scale, (top + run.line_y) * scale);
                drawn.map(move |glyph| glyph.physical(origin, scale))
            })
            .collect()
    }
}

fn align(horizontal: Horizontal) -> Align {
    match horizontal {
        Horizontal::Left => Align::Left,
        Horizontal::Center => Align::Center,
        Horizontal::Right => Align::Right,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;

    static FONTS: LazyLock<Fonts> = LazyLock::new(|| Fonts::built_in().unwrap());

    fn with_page<T>(text: &str, width: f32, work: impl FnOnce(&mut Page<'_>) -> T) -> T {
        FONTS.with_system(|system| {
            work(&mut Page::new(&FONTS, system, (text, Horizontal::Center), width))
        })
    }

    /// The lines that the text is wrapped into.
    fn lines(text: &str, fit: Fit, width: f32) -> Vec<String> {
        with_page(text, width, |page| {
            page.set(fit);
            let line = |run: cosmic_text::LayoutRun<'_>| {
                let start = run.glyphs.iter().map(|glyph| glyph.start).min()?;
                let end = run.glyphs.iter().map(|glyph| glyph.end).max()?;
                Some(run.text[start..end].trim().to_owned())
            };
            page.buffer.layout_runs().map(|run| line(run).unwrap_or_default()).collect()
        })
    }

    #[track_caller]
    fn check_lines(text: &str, (width, height): (u32, u32), expected: &[&str]) {
        let fit = fit(text, (width, height)).expect("fits");
        assert_eq!(lines(text, fit, width as f32 * WIDTH_SHARE), expected);
    }

    fn fit(text: &str, (width, height): (u32, u32)) -> Option<Fit> {
        let (width, height) = (width as f32, height as f32);
        with_page(text, width * WIDTH_SHARE, |page| {
            page.largest(&Sizes::of(width, height), height * HEIGHT_SHARE)
        })
    }

    #[test]
    fn lines_are_wrapped_between_words() {
        check_lines("Привет", (1024, 768), &["Привет"]);
        check_lines("С днём\nрождения!", (1024, 768), &["С днём", "рождения!"]);
        check_lines("раз\n\nдва", (1024, 768), &["раз", "", "два"]);
        check_lines(
            "Белое на белом: хорошо читается? Конечно",
            (1024, 768),
            &["Белое на белом:", "хорошо читается?", "Конечно"],
        );
        check_lines("кто-то 👩‍👩‍👧 никогда", (400, 400), &["кто-то 👩‍👩‍👧", "никогда"]);
    }

    #[test]
    fn a_long_word_gets_smaller_before_it_is_broken() {
        let short = fit("слово", (400, 400)).unwrap();
        let long = fit("водогрязеторфопарафинолечение", (400, 400)).unwrap();
        let endless = fit(&"слово".repeat(30), (400, 400)).unwrap();

        assert!(long.size < short.size && long.wrap == Wrap::Word, "{long:?} {short:?}");
        assert_eq!(endless.wrap, Wrap::WordOrGlyph);
        let lines = lines(&"слово".repeat(30), endless, 360.0);
        assert!(lines.len() > 2 && lines.concat() == "слово".repeat(30), "{lines:?}");
    }

    #[test]
    fn whatever_is_set_keeps_to_its_share_of_the_picture() {
        let texts = ["Ж", "Привет 🎨", "слово слово слово слово", &"долго ".repeat(80)];
        for sides in [(1024, 768), (720, 1280), (4000, 3000), (8000, 100), (200, 4000), (90, 90)] {
            for text in texts {
                let Some(fit) = fit(text, sides) else { continue };
                let (width, height) = (sides.0 as f32, sides.1 as f32);
                with_page(text, width * WIDTH_SHARE, |page| {
                    page.set(fit);
                    assert!(page.height() <= height * HEIGHT_SHARE, "{sides:?} {fit:?}");
                    assert!(page.widest_line() <= width * WIDTH_SHARE, "{sides:?} {fit:?}");
                });
            }
        }
    }

    #[test]
    fn a_text_that_could_not_be_read_is_refused() {
        let typeset = |text: &str, (width, height)| {
            let place = (Sides { width, height }, 1.0);
            FONTS.with_system(|system| typeset(&FONTS, system, text, &TextStyle::default(), place))
        };
        let long = "долго ".repeat(83);
        let tall = "a\n".repeat(250);

        assert!(typeset(&long, (400, 300)).is_ok());
        assert_eq!(typeset(&long, (100, 100)).unwrap_err(), AddTextError::TextDoesNotFit);
        assert_eq!(typeset(tall.trim(), (1024, 768)).unwrap_err(), AddTextError::TextDoesNotFit);
        assert!(typeset(&long, (16, 16)).is_ok(), "an icon gets what fits");
    }

    /// The fonts that a text is drawn with, by the family's first word.
    fn fonts_of(text: &str) -> BTreeSet<String> {
        with_page(text, 1_000_000.0, |page| {
            let ids: BTreeSet<_> = page
                .buffer
                .layout_runs()
                .flat_map(|run| run.glyphs.iter().map(|glyph| glyph.font_id))
                .collect();
            let family = |id| page.system.db().face(id).unwrap().families[0].0.clone();
            ids.into_iter().map(family).collect()
        })
    }

    /// The emoji font has digits and a space, and takes them where it can.
    #[test]
    fn letters_digits_and_spaces_come_from_the_font_of_letters() {
        let ascii: String = (' '..='~').collect();
        let cyrillic: String = ('Ѐ'..='џ').chain("ҐґҒғҚқҢңӘәӨөҮү₽№«»—…−".chars()).collect();
        let apart = |text: &str| text.chars().map(|character| format!("{character} ")).collect();
        let (ascii_apart, cyrillic_apart): (String, String) = (apart(&ascii), apart(&cyrillic));

        for text in [&ascii, &cyrillic, &ascii_apart, &cyrillic_apart] {
            assert_eq!(fonts_of(text), ["DejaVu Sans".to_owned()].into(), "{text}");
        }
        for character in ascii.chars().chain(cyrillic.chars()) {
            let text = format!("x{character}x");
            assert_eq!(fonts_of(&text), ["DejaVu Sans".to_owned()].into(), "{text}");
        }
    }

    /// The font of letters has a hundred of them, in black and white.
    #[test]
    fn emoji_come_from_the_font_of_emoji() {
        for text in ["😀", "❤", "❤️", "☀️", "1️⃣", "👩‍👩‍👧", "🇷🇺", "👍🏽", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "✔🎨⭐", "©️"]
        {
            assert_eq!(fonts_of(text), ["Noto Color Emoji".to_owned()].into(), "{text}");
        }
    }

    #[test]
    fn a_sequence_of_emoji_is_one_glyph() {
        for text in ["👩‍👩‍👧", "🇷🇺", "👍🏽", "1️⃣", "❤️", "🏳️‍🌈"]
        {
            let glyphs = with_page(text, 1_000.0, |page| page.glyphs(0.0, 0.0, 1.0).len());
            assert_eq!(glyphs, 1, "{text}");
        }
    }

    #[test]
    fn characters_that_no_font_has_are_named() {
        let check = |text: &str| with_page(text, 1_000.0, |page| page.refuse_missing_characters());

        assert_eq!(check("Привет, shalom שלום, مرحبا, 🎨\u{200B}\u{2060}!"), Ok(()));
        assert_eq!(
            check("Токио 東京 東"),
            Err(AddTextError::CharactersMissing { characters: "京東".to_owned() })
        );
    }
}
