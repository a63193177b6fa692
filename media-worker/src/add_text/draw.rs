//! Glyphs onto the canvas: all outlines first, so that none lies over a neighbour's letter, then
//! the letters in white and the emoji in their own colours.

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
    let mut images = SwashCache::new();
    let mut inks: HashMap<CacheKey, (Mask, Mask)> = HashMap::new();
    for glyph in &text.glyphs {
        if let Some(image) = images.get_image(system, glyph.cache_key)
            && image.content == SwashContent::Mask
            && let Some(ink) = ink(image)
        {
            inks.entry(glyph.cache_key).or_insert_with(|| {
                let outline = outline::grow(&ink, text.outline_thickness());
                (ink, outline)
            });
        }
    }

    let placed =
        || text.glyphs.iter().filter_map(|glyph| Some((glyph, inks.get(&glyph.cache_key)?)));
    for (color, layer) in [
        (OUTLINE, flatten(canvas, placed().map(|(glyph, (_, outline))| (glyph, outline)))),
        (FILL, flatten(canvas, placed().map(|(glyph, (ink, _))| (glyph, ink)))),
    ] {
        layer.for_each(|x, y, coverage| blend(canvas, (x, y), color, coverage));
    }

    for glyph in &text.glyphs {
        if let Some(image) = images.get_image(system, glyph.cache_key)
            && image.content == SwashContent::Color
        {
            draw_emoji(canvas, glyph, image);
        }
    }
}

fn ink(image: &SwashImage) -> Option<Mask> {
    let placement = image.placement;
    Mask::new(
        (placement.left, -placement.top),
        (usize::try_from(placement.width).ok()?, usize::try_from(placement.height).ok()?),
        image.data.clone(),
    )
}

/// One mask of many, so that where two overlap the colour is laid on once.
fn flatten<'a>(
    canvas: &Canvas,
    placed: impl Iterator<Item = (&'a PhysicalGlyph, &'a Mask)> + Clone,
) -> Mask {
    let corners = placed.clone().map(|(glyph, mask)| mask.corners_at(glyph.x, glyph.y));
    let mut layer = Mask::covering(corners, canvas.width(), canvas.height());
    for (glyph, mask) in placed {
        layer.add(mask, glyph.x, glyph.y);
    }
    layer
}

fn draw_emoji(canvas: &mut Canvas, glyph: &PhysicalGlyph, image: &SwashImage) {
    let left = glyph.x.saturating_add(image.placement.left);
    let top = glyph.y.saturating_sub(image.placement.top);
    let (pixels, _) = image.data.as_chunks::<4>();
    let places = (top..)
        .take(image.placement.height as usize)
        .flat_map(|y| (left..).take(image.placement.width as usize).map(move |x| (x, y)));
    for (place, &[red, green, blue, alpha]) in places.zip(pixels) {
        blend(canvas, place, [red, green, blue], alpha);
    }
}

fn blend(canvas: &mut Canvas, (x, y): (i32, i32), color: [u8; 3], alpha: u8) {
    if let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y)) {
        canvas.blend(x, y, color, alpha);
    }
}
