//! Plate, shadow and glyphs onto the canvas: all outlines before the letters, so that none lies over
//! its neighbour, and the emoji in their own colours.

#![expect(clippy::float_arithmetic, reason = "lines are fractions of a pixel thick")]

use std::collections::HashMap;

use cosmic_text::{CacheKey, FontSystem, PhysicalGlyph, SwashCache, SwashContent, SwashImage};

use super::canvas::Canvas;
use super::layout::Typeset;
use super::mask::Mask;
use super::style::{Outline, TextStyle};
use super::{outline, plate, shadow};

/// Draws the text.
pub(super) fn draw(
    canvas: &mut Canvas,
    system: &mut FontSystem,
    text: &Typeset,
    style: &TextStyle,
) {
    if let Some(plate) = &style.plate {
        lay(canvas, plate.color.0, &plate::mask(plate, text, (canvas.width(), canvas.height())));
    }
    let outline = style.drawn_outline();
    let glyphs = rasterize(system, text, outline.map(|outline| thickness(outline, text)));
    let placed =
        || text.glyphs.iter().filter_map(|glyph| Some((glyph, glyphs.get(&glyph.cache_key)?)));

    if let Some(shadow) = style.shadow {
        let ink = flatten(canvas, placed().map(|(place, glyph)| (place, &glyph.ink)));
        let size = text.font_size * text.scale;
        lay(canvas, shadow.color.0, &shadow::of(&ink, size, shadow.opacity.get()));
    }
    if let Some(outline) = outline {
        let outlines = placed().map(|(place, glyph)| (place, &glyph.outline));
        lay(canvas, outline.color_around(style.color).0, &flatten(canvas, outlines));
    }
    let letters = placed().filter(|(_, glyph)| glyph.colors.is_none());
    lay(canvas, style.color.0, &flatten(canvas, letters.map(|(place, glyph)| (place, &glyph.ink))));
    for (place, glyph) in placed() {
        if let Some(colors) = &glyph.colors {
            draw_emoji(canvas, place, &glyph.ink, colors);
        }
    }
}

/// How thick the outline of letters is, and that of emoji, in pixels as drawn. Emoji have colours of
/// their own and need less.
fn thickness(outline: Outline, text: &Typeset) -> (f32, f32) {
    let letters = (text.font_size * f32::from(outline.width.get()) / 100.0).max(1.0);
    (letters * text.scale, (letters / 2.0).max(1.0) * text.scale)
}

/// One glyph's pixels.
struct Glyph {
    ink: Mask,
    outline: Mask,
    /// Of emoji: a colour for each pixel of the ink.
    colors: Option<Vec<[u8; 3]>>,
}

/// Each glyph once, however often it stands in the text.
fn rasterize(
    system: &mut FontSystem,
    text: &Typeset,
    outline: Option<(f32, f32)>,
) -> HashMap<CacheKey, Glyph> {
    let mut cache = SwashCache::new();
    let mut glyphs = HashMap::new();
    for key in text.glyphs.iter().map(|glyph| glyph.cache_key) {
        if !glyphs.contains_key(&key)
            && let Some(image) = cache.get_image_uncached(system, key)
            && let Some(glyph) = glyph(image, outline)
        {
            glyphs.insert(key, glyph);
        }
    }
    glyphs
}

fn glyph(image: SwashImage, outline: Option<(f32, f32)>) -> Option<Glyph> {
    let grown = |ink: &Mask, thickness: Option<f32>| {
        thickness.map_or_else(Mask::default, |thickness| outline::grow(ink, thickness))
    };
    let corner = (image.placement.left, image.placement.top.checked_neg()?);
    let sides = (image.placement.width, image.placement.height);
    match image.content {
        SwashContent::Mask => {
            let ink = Mask::new(corner, sides, image.data)?;
            let outline = grown(&ink, outline.map(|(letters, _)| letters));
            Some(Glyph { ink, outline, colors: None })
        }
        SwashContent::Color | SwashContent::SubpixelMask => {
            let (pixels, _) = image.data.as_chunks::<4>();
            let coverage = pixels.iter().map(|&[.., alpha]| alpha).collect();
            let ink = Mask::new(corner, sides, coverage)?;
            let outline = grown(&ink.solid(), outline.map(|(_, emoji)| emoji));
            let colors = pixels.iter().map(|&[red, green, blue, _]| [red, green, blue]).collect();
            Some(Glyph { ink, outline, colors: Some(colors) })
        }
    }
}

/// One mask of many, so that where two overlap the colour is laid on once.
fn flatten<'a>(
    canvas: &Canvas,
    masks: impl Iterator<Item = (&'a PhysicalGlyph, &'a Mask)> + Clone,
) -> Mask {
    let corners = masks.clone().map(|(place, mask)| mask.corners_at(place.x, place.y));
    let mut layer = Mask::covering(corners, canvas.width(), canvas.height());
    for (place, mask) in masks {
        layer.add(mask, place.x, place.y);
    }
    layer
}

fn lay(canvas: &mut Canvas, color: [u8; 3], layer: &Mask) {
    for (x, y, coverage) in layer.pixels_at(0, 0) {
        canvas.blend(x, y, color, coverage);
    }
}

fn draw_emoji(canvas: &mut Canvas, place: &PhysicalGlyph, ink: &Mask, colors: &[[u8; 3]]) {
    for ((x, y, coverage), &color) in ink.pixels_at(place.x, place.y).zip(colors) {
        canvas.blend(x, y, color, coverage);
    }
}
