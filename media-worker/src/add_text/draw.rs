//! Glyphs onto the canvas: all outlines first, so that none lies over its neighbour, then the
//! letters in white and the emoji in their own colours.

use std::collections::HashMap;

use cosmic_text::{CacheKey, FontSystem, PhysicalGlyph, SwashCache, SwashContent, SwashImage};

use super::canvas::Canvas;
use super::layout::Typeset;
use super::mask::Mask;
use super::outline;

const FILL: [u8; 3] = [255, 255, 255];
const OUTLINE: [u8; 3] = [0, 0, 0];

/// Draws the text.
pub(super) fn draw(canvas: &mut Canvas, system: &mut FontSystem, text: &Typeset) {
    let glyphs = rasterize(system, text);
    let placed =
        || text.glyphs.iter().filter_map(|glyph| Some((glyph, glyphs.get(&glyph.cache_key)?)));

    let outlines = placed().map(|(place, glyph)| (place, &glyph.outline));
    lay(canvas, OUTLINE, &flatten(canvas, outlines));
    let letters = placed().filter(|(_, glyph)| glyph.colors.is_none());
    lay(canvas, FILL, &flatten(canvas, letters.map(|(place, glyph)| (place, &glyph.ink))));
    for (place, glyph) in placed() {
        if let Some(colors) = &glyph.colors {
            draw_emoji(canvas, place, &glyph.ink, colors);
        }
    }
}

/// One glyph's pixels.
struct Glyph {
    ink: Mask,
    outline: Mask,
    /// Of emoji: a colour for each pixel of the ink.
    colors: Option<Vec<[u8; 3]>>,
}

/// Each glyph once, however often it stands in the text.
fn rasterize(system: &mut FontSystem, text: &Typeset) -> HashMap<CacheKey, Glyph> {
    let mut cache = SwashCache::new();
    let mut glyphs = HashMap::new();
    for key in text.glyphs.iter().map(|glyph| glyph.cache_key) {
        if !glyphs.contains_key(&key)
            && let Some(image) = cache.get_image_uncached(system, key)
            && let Some(glyph) = glyph(image, text)
        {
            glyphs.insert(key, glyph);
        }
    }
    glyphs
}

fn glyph(image: SwashImage, text: &Typeset) -> Option<Glyph> {
    let corner = (image.placement.left, image.placement.top.checked_neg()?);
    let sides = (image.placement.width, image.placement.height);
    match image.content {
        SwashContent::Mask => {
            let ink = Mask::new(corner, sides, image.data)?;
            let outline = outline::grow(&ink, text.outline_thickness());
            Some(Glyph { ink, outline, colors: None })
        }
        SwashContent::Color | SwashContent::SubpixelMask => {
            let (pixels, _) = image.data.as_chunks::<4>();
            let coverage = pixels.iter().map(|&[.., alpha]| alpha).collect();
            let ink = Mask::new(corner, sides, coverage)?;
            let outline = outline::grow(&ink.solid(), text.emoji_outline_thickness());
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
