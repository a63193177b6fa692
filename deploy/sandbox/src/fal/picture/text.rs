//! A prompt written on a picture: wrapped, as large as fits, with a dark plate under it.

use cosmic_text::{
    Align, Attrs, Buffer, Color, Family, FontSystem, Metrics, Shaping, SwashCache, Weight, fontdb,
};
use image::RgbImage;

use super::files::blend;

/// Has Cyrillic and the rouble sign; shared with the service that writes on users' pictures.
const FONT: &[u8] = include_bytes!("../../../../../media-worker/assets/DejaVuSans-Bold.ttf");
/// More of a prompt is not readable on a picture.
const SHOWN: usize = 420;
/// Smallest letters, in pixels.
const SMALLEST: u32 = 12;

/// The font with its cache of glyphs.
pub(super) struct Letters {
    fonts: FontSystem,
    glyphs: SwashCache,
}

/// A rectangle of a picture.
#[derive(Clone, Copy, Debug)]
pub(super) struct Area {
    pub(super) x: u32,
    pub(super) y: u32,
    pub(super) width: u32,
    pub(super) height: u32,
}

impl Letters {
    pub(super) fn new() -> Self {
        let mut fonts = fontdb::Database::new();
        fonts.load_font_data(FONT.to_vec());
        Self {
            fonts: FontSystem::new_with_locale_and_db("ru-RU".to_owned(), fonts),
            glyphs: SwashCache::new(),
        }
    }

    /// Writes a text into the middle of an area, on a dark plate.
    pub(super) fn write(&mut self, picture: &mut RgbImage, area: Area, text: &str) {
        let text = shown(text);
        let padding = area.height.min(area.width) / 14 + 2;
        let inner = area.shrunk(padding);
        let (mut buffer, height) = self.fit(&text, inner);
        let top = inner.y + inner.height.saturating_sub(height) / 2;
        let plate = Area {
            y: top.saturating_sub(padding).max(area.y),
            height: (height + 2 * padding).min(area.height),
            ..area
        };
        darken(picture, plate);
        let bottom = inner.y + inner.height;
        let white = Color::rgb(255, 255, 255);
        buffer.draw(&mut self.fonts, &mut self.glyphs, white, |x, y, width, height, colour| {
            for dy in 0..height {
                for dx in 0..width {
                    let x = i64::from(inner.x) + i64::from(x) + i64::from(dx);
                    let y = i64::from(top) + i64::from(y) + i64::from(dy);
                    if y < i64::from(bottom) {
                        dot(picture, (x, y), colour.a());
                    }
                }
            }
        });
    }

    /// The largest letters with which the text fits, and how high it then is.
    fn fit(&mut self, text: &str, inner: Area) -> (Buffer, u32) {
        let mut size = (inner.height / 3).min(inner.width / 9).max(SMALLEST);
        loop {
            let line = size * 5 / 4;
            let mut buffer = Buffer::new(&mut self.fonts, Metrics::new(float(size), float(line)));
            buffer.set_size(Some(float(inner.width)), None);
            let attrs = Attrs::new().family(Family::Name("DejaVu Sans")).weight(Weight::BOLD);
            buffer.set_text(text, &attrs, Shaping::Advanced, Some(Align::Center));
            buffer.shape_until_scroll(&mut self.fonts, false);
            let lines = u32::try_from(buffer.layout_runs().count()).unwrap_or(u32::MAX);
            let height = lines.saturating_mul(line);
            if height <= inner.height || size <= SMALLEST {
                return (buffer, height.min(inner.height));
            }
            size = (size * 6 / 7).max(SMALLEST);
        }
    }
}

impl Area {
    fn shrunk(self, by: u32) -> Self {
        Self {
            x: self.x + by,
            y: self.y + by,
            width: self.width.saturating_sub(2 * by).max(1),
            height: self.height.saturating_sub(2 * by).max(1),
        }
    }
}

fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

fn float(pixels: u32) -> f32 {
    f32::from(u16::try_from(pixels).unwrap_or(u16::MAX))
}

fn darken(picture: &mut RgbImage, plate: Area) {
    let right = (plate.x + plate.width).min(picture.width());
    let bottom = (plate.y + plate.height).min(picture.height());
    for y in plate.y..bottom {
        for x in plate.x..right {
            let pixel = picture.get_pixel_mut(x, y);
            pixel.0 = pixel.0.map(|channel| blend(channel, 12, 150));
        }
    }
}

fn dot(picture: &mut RgbImage, (x, y): (i64, i64), alpha: u8) {
    let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y)) else { return };
    if let Some(pixel) = picture.get_pixel_mut_checked(x, y) {
        pixel.0 = pixel.0.map(|channel| blend(channel, 255, alpha));
    }
}
