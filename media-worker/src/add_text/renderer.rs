//! One picture's whole way: checked, decoded, drawn on, encoded.

use std::path::Path;

use super::AddTextError;
use super::canvas::Canvas;
use super::draw::draw;
use super::encode::encode;
use super::fonts::Fonts;
use super::layout::{Sides, typeset};
use super::style::TextStyle;
use super::text::clean;
use crate::picture::{self, PictureFormat};

/// Draws texts onto pictures. Made once; several threads may use it at a time.
#[derive(Debug)]
pub struct TextRenderer {
    fonts: Fonts,
}

/// A picture with its text.
#[derive(Clone, Debug)]
pub struct Rendered {
    pub bytes: Vec<u8>,
    pub content_type: &'static str,
    /// In pixels, as it is looked at.
    pub width: u32,
    /// In pixels, as it is looked at.
    pub height: u32,
}

impl TextRenderer {
    /// Loads the fonts of a folder, or those that are built in.
    pub fn new(fonts_dir: Option<&Path>) -> anyhow::Result<Self> {
        let fonts = match fonts_dir {
            Some(folder) => Fonts::from_folder(folder)?,
            None => Fonts::built_in()?,
        };
        Ok(Self { fonts })
    }

    /// Draws the text. With `preview_side_max` the picture is made smaller, to that many pixels of its
    /// longer side, and the text with it: it shows what the whole will look like.
    ///
    /// Blocks, for seconds with the largest pictures, and may take half a gigabyte for one of them:
    /// the caller bounds how many are drawn at a time.
    pub fn render(
        &self,
        picture: &[u8],
        text: &str,
        style: &TextStyle,
        preview_side_max: Option<u32>,
    ) -> Result<Rendered, AddTextError> {
        let text = clean(text)?;
        let mut picture = picture::decode(picture)?;
        let sides = Sides { width: picture.pixels.width(), height: picture.pixels.height() };
        let mut format = picture.format;
        let mut scale = 1.0;
        if let Some(preview) = preview_side_max.and_then(|side_max| sides.within(side_max)) {
            let Sides { width, height } = preview;
            picture.pixels = picture.pixels.thumbnail_exact(width, height);
            scale = preview.scale_of(sides);
            format = PictureFormat::Jpeg;
        }

        let mut canvas = Canvas::new(picture.format, picture.pixels);
        self.fonts.with_system(|system| {
            let typeset = typeset(&self.fonts, system, &text, style, (sides, scale))?;
            draw(&mut canvas, system, &typeset, style);
            Ok::<_, AddTextError>(())
        })?;

        let profile = picture.color_profile.as_deref();
        let (bytes, format) = encode(&canvas, format, profile)?;
        let content_type = format.content_type();
        Ok(Rendered { bytes, content_type, width: canvas.width(), height: canvas.height() })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use image::{DynamicImage, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};

    use super::*;
    use crate::picture::PictureError;
    use crate::picture::samples::{file, with_orientation};

    static RENDERER: LazyLock<TextRenderer> = LazyLock::new(|| TextRenderer::new(None).unwrap());

    fn plain(width: u32, height: u32, color: [u8; 3]) -> RgbImage {
        RgbImage::from_pixel(width, height, Rgb(color))
    }

    /// Draws onto a picture of one colour, and reads the result.
    fn drawn(pixels: &RgbImage, text: &str) -> RgbImage {
        let png = file(pixels.clone(), ImageFormat::Png);
        let rendered = RENDERER.render(&png, text, &TextStyle::default(), None).unwrap();
        picture::decode(&rendered.bytes).unwrap().pixels.into_rgb8()
    }

    fn is_grey(&Rgb([red, green, blue]): &Rgb<u8>) -> bool {
        red.abs_diff(green) < 3 && green.abs_diff(blue) < 3
    }

    #[track_caller]
    fn check_format(picture: &[u8], content_type: &str) {
        let rendered = RENDERER.render(picture, "Привет 🎨", &TextStyle::default(), None).unwrap();
        let found = picture::inspect(&rendered.bytes).unwrap();
        assert_eq!(rendered.content_type, content_type);
        assert_eq!(found.format.content_type(), content_type);
        assert_eq!((found.width, found.height), (rendered.width, rendered.height));
        assert_eq!((found.width, found.height), (320, 240));
    }

    #[test]
    fn a_picture_keeps_its_format_and_its_sides() {
        let pixels = plain(320, 240, [40, 90, 160]);
        check_format(&file(pixels.clone(), ImageFormat::Jpeg), "image/jpeg");
        check_format(&file(pixels.clone(), ImageFormat::Png), "image/png");
        check_format(&file(pixels, ImageFormat::WebP), "image/png");
        let grey = DynamicImage::new_luma8(320, 240);
        check_format(&file(grey.clone(), ImageFormat::Jpeg), "image/jpeg");
        check_format(&file(grey, ImageFormat::Png), "image/png");
        check_format(&file(DynamicImage::new_luma_a16(320, 240), ImageFormat::Png), "image/png");
    }

    #[test]
    fn the_text_stands_in_the_lower_part_and_the_rest_is_unchanged() {
        let before = RgbImage::from_fn(800, 600, |x, y| {
            Rgb([u8::try_from(x % 256).unwrap(), u8::try_from(y % 256).unwrap(), 77])
        });
        for text in ["Привет 🎨", &"Съешь же ещё этих мягких булок. ".repeat(15)]
        {
            let after = drawn(&before, text);

            let changed: Vec<(u32, u32)> = after
                .enumerate_pixels()
                .filter(|(x, y, pixel)| *pixel != before.get_pixel(*x, *y))
                .map(|(x, y, _)| (x, y))
                .collect();
            assert!(changed.len() > 5_000, "{}", changed.len());
            for (x, y) in changed {
                assert!((38..762).contains(&x) && (330..597).contains(&y), "{x}, {y}: {text}");
            }
        }
    }

    #[test]
    fn the_text_is_centred() {
        let before = plain(800, 600, [0, 0, 255]);
        let after = drawn(&before, "Дом");

        let inked = |x: u32| (0..600).any(|y| after.get_pixel(x, y) != before.get_pixel(x, y));
        let left = (0..800).position(inked).unwrap();
        let right = (0..800).rev().position(inked).unwrap();
        assert!(left.abs_diff(right) <= 8, "{left} and {right}");
    }

    #[track_caller]
    fn check_readable(background: [u8; 3]) {
        let after = drawn(&plain(600, 400, background), "Ш");
        let has = |color: u8, x: u32, y| after.get_pixel(x, y).0 == [color; 3];
        let dark = |mut places: std::ops::Range<u32>, y| places.any(|x| has(0, x, y));

        // The letter has three stems. Each is white, and dark within three pixels on both sides.
        let stems = |y| {
            let starts = (4..590).filter(move |&x| has(255, x, y) && !has(255, x - 1, y));
            let ends = move |start: u32| (start..597).find(|&x| !has(255, x, y)).unwrap_or(597);
            starts.filter(move |&x| dark(x - 3..x, y) && dark(ends(x)..ends(x) + 3, y)).count()
        };
        assert!((240..400).any(|y| stems(y) == 3), "{background:?}");
    }

    #[test]
    fn the_text_can_be_read_on_any_colour() {
        for background in [[255; 3], [0; 3], [128; 3], [250, 250, 120], [20, 0, 60]] {
            check_readable(background);
        }
    }

    #[test]
    fn every_letter_has_a_dark_edge() {
        let after = drawn(&plain(600, 400, [255; 3]), "Ш");

        // From the corner, where it is white, one cannot get into the letter over white alone.
        let mut outside = vec![(0_u32, 0_u32)];
        let mut seen = RgbImage::new(600, 400);
        while let Some((x, y)) = outside.pop() {
            if x >= 600 || y >= 400 || seen.get_pixel(x, y).0[0] == 1 {
                continue;
            }
            if after.get_pixel(x, y).0[0] < 128 {
                continue;
            }
            seen.put_pixel(x, y, Rgb([1, 0, 0]));
            outside.extend([
                (x + 1, y),
                (x.wrapping_sub(1), y),
                (x, y + 1),
                (x, y.wrapping_sub(1)),
            ]);
        }
        let inside = after
            .enumerate_pixels()
            .filter(|(x, y, pixel)| pixel.0 == [255; 3] && seen.get_pixel(*x, *y).0[0] == 0)
            .count();
        assert!(inside > 200, "{inside}");
    }

    #[test]
    fn letters_are_grey_and_emoji_are_in_colour() {
        let coloured = |text: &str| {
            let after = drawn(&plain(600, 400, [128; 3]), text);
            after.pixels().filter(|pixel| !is_grey(pixel)).count()
        };

        assert_eq!(coloured("Привет, 100 ₽ — №5"), 0);
        for text in ["🎨", "❤", "😀", "👩🏽‍🚀", "🇷🇺", "Ж 1️⃣", "🏳️‍🌈"]
        {
            assert!(coloured(text) > 200, "{text}: {}", coloured(text));
        }
    }

    #[test]
    fn the_picture_is_turned_as_its_exif_says() {
        // Red at the left, blue at the right; turned by 90 degrees, red is at the top.
        let pixels =
            RgbImage::from_fn(
                400,
                200,
                |x, _| {
                    if x < 200 { Rgb([200, 0, 0]) } else { Rgb([0, 0, 200]) }
                },
            );
        let jpeg = with_orientation(&file(pixels, ImageFormat::Jpeg), 6);
        let rendered = RENDERER.render(&jpeg, "Привет", &TextStyle::default(), None).unwrap();

        assert_eq!((rendered.width, rendered.height), (200, 400));
        let after = picture::decode(&rendered.bytes).unwrap();
        assert_eq!((after.pixels.width(), after.pixels.height()), (200, 400), "turned only once");
        let after = after.pixels.into_rgb8();
        assert!(after.get_pixel(100, 20).0[0] > 150, "red at the top");
        assert!(after.get_pixel(5, 395).0[2] > 150, "blue at the bottom");
        assert!((0..200).all(|y| (0..200).all(|x| after.get_pixel(x, y).0[1] < 60)), "no text");
        assert!((260..400).any(|y| (0..200).any(|x| after.get_pixel(x, y).0[1] > 220)), "text");
    }

    #[test]
    fn transparency_is_kept_and_the_text_is_solid() {
        for format in [ImageFormat::Png, ImageFormat::WebP] {
            let clear = RgbaImage::from_pixel(400, 300, Rgba([10, 20, 30, 0]));
            let rendered =
                RENDERER.render(&file(clear, format), "Ш", &TextStyle::default(), None).unwrap();
            let after = picture::decode(&rendered.bytes).unwrap();

            assert_eq!(after.format, PictureFormat::Png);
            let after = after.pixels.into_rgba8();
            assert_eq!(after.get_pixel(200, 50).0[3], 0);
            assert!(after.pixels().any(|pixel| pixel.0 == [255; 4]));
            assert!(after.pixels().any(|pixel| pixel.0 == [0, 0, 0, 255]));
        }
    }

    #[test]
    fn pictures_of_odd_shapes_get_their_text() {
        for (width, height) in
            [(1, 1), (2, 1), (1, 50), (17, 3), (64, 64), (8_000, 100), (100, 8_000), (16_000, 1)]
        {
            let before = plain(width, height, [0, 128, 0]);
            let after = drawn(&before, "Привет 🎨");

            assert_eq!(after.dimensions(), (width, height));
            if width >= 64 && height >= 64 {
                assert_ne!(after, before, "{width}x{height}");
            }
        }
    }

    #[track_caller]
    fn refused(picture: &[u8], text: &str, expected: AddTextError) {
        assert_eq!(
            RENDERER.render(picture, text, &TextStyle::default(), None).unwrap_err(),
            expected
        );
    }

    #[test]
    fn each_refusal_says_why() {
        let picture = file(plain(100, 100, [9; 3]), ImageFormat::Jpeg);
        refused(&picture, " \n ", AddTextError::TextMissing);
        refused(&picture, &"x".repeat(501), AddTextError::TextTooLong { max: 500 });
        refused(&picture, &"слово ".repeat(80), AddTextError::TextDoesNotFit);
        refused(
            &picture,
            "漢字",
            AddTextError::CharactersMissing { characters: "字漢".to_owned() },
        );
        refused(b"a text", "Привет", AddTextError::Picture(PictureError::NotAPicture));
        let wide = file(plain(16_001, 1, [9; 3]), ImageFormat::Png);
        refused(&wide, "Привет", AddTextError::Picture(PictureError::Dimensions));
    }

    #[test]
    fn strange_texts_never_panic() {
        let picture = file(plain(200, 150, [9; 3]), ImageFormat::Png);
        let texts = [
            "e\u{301}\u{302}\u{303}".repeat(100),
            format!("e{}", "\u{301}".repeat(499)),
            "\u{200D}\u{FE0F}\u{20E3}a".to_owned(),
            "\u{202E}привет\u{202C} \u{2066}x\u{2069}".to_owned(),
            "🇷🇺🇷".to_owned(),
            "👩\u{200D}".to_owned(),
            "\u{1F3FD}".to_owned(),
            "a\u{AD}b\u{A0}c\u{3000}d".to_owned(),
            "\u{E0067}x".to_owned(),
            "\u{10FFFF}\u{E000}".to_owned(),
            "שלום\nпривет\nمرحبا 123 abc".to_owned(),
            "\n\n\nx".to_owned(),
            "x\n\n\n\ny".to_owned(),
        ];
        for text in &texts {
            match RENDERER.render(&picture, text, &TextStyle::default(), None) {
                Ok(rendered) => assert_eq!(rendered.width, 200),
                Err(AddTextError::CharactersMissing { .. } | AddTextError::TextDoesNotFit) => {}
                Err(error) => panic!("{text:?}: {error}"),
            }
        }
    }

    #[test]
    fn several_threads_draw_at_a_time() {
        let picture = file(plain(300, 200, [9; 3]), ImageFormat::Png);
        let alone =
            RENDERER.render(&picture, "Привет 🎨", &TextStyle::default(), None).unwrap().bytes;

        std::thread::scope(|scope| {
            let draw = || {
                RENDERER.render(&picture, "Привет 🎨", &TextStyle::default(), None).unwrap().bytes
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(draw)).collect();
            for thread in threads {
                assert!(thread.join().unwrap() == alone);
            }
        });
    }
}
