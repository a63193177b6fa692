//! The plate behind the text: a rectangle whose corners may be round.

#![expect(
    clippy::float_arithmetic,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "edges are fractions of a pixel, and are cut to the picture before they are cast"
)]

use super::layout::{LINE_HEIGHT, Typeset};
use super::mask::Mask;
use super::style::Plate;

/// From the lines to the plate's sides, in font sizes: at the ends of lines, above and below.
const PADDING: (f32, f32) = (0.4, 0.15);

/// The pixels of a plate behind this text, as far as they lie in the picture.
pub(super) fn mask(plate: &Plate, text: &Typeset, (width, height): (u32, u32)) -> Mask {
    let size = text.font_size * text.scale;
    let [left, top, right, bottom] = text.block;
    let edges = [
        left - size * PADDING.0,
        top - size * PADDING.1,
        right + size * PADDING.0,
        bottom + size * PADDING.1,
    ];
    let one_line = size * (LINE_HEIGHT / 2.0 + PADDING.1);
    let narrow = ((edges[2] - edges[0]) / 2.0).min((edges[3] - edges[1]) / 2.0);
    let radius = (one_line * f32::from(plate.radius.get()) / 100.0).min(narrow).max(0.0);
    let strength = f32::from(plate.opacity.get()) / 100.0 * 255.0;

    let [left, top, right, bottom] = edges;
    let corner = |edge: f32, side: u32| edge.clamp(0.0, side as f32) as i32;
    let corners = [
        corner(left.floor(), width),
        corner(top.floor(), height),
        corner(right.ceil(), width),
        corner(bottom.ceil(), height),
    ];
    let mut mask = Mask::covering(std::iter::once(corners), width, height);
    let (from_x, from_y) = (mask.left as f32 + 0.5, mask.top as f32 + 0.5);
    for (row, line) in mask.coverage.chunks_exact_mut(mask.width.max(1)).enumerate() {
        let y = from_y + row as f32;
        // How far beyond the straight part; below zero inside of it.
        let beyond_y = (top + radius - y).max(y - (bottom - radius));
        for (column, pixel) in line.iter_mut().enumerate() {
            let x = from_x + column as f32;
            let beyond_x = (left + radius - x).max(x - (right - radius));
            let distance = if beyond_x > 0.0 && beyond_y > 0.0 {
                beyond_x.hypot(beyond_y)
            } else {
                beyond_x.max(beyond_y)
            };
            *pixel = ((radius - distance + 0.5).clamp(0.0, 1.0) * strength).round() as u8;
        }
    }
    mask
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::add_text::style::{Opacity, Radius};

    fn plate(opacity: u8, radius: u8, block: [f32; 4]) -> Mask {
        let plate = Plate {
            opacity: Opacity::nearest(opacity),
            radius: Radius::nearest(radius),
            ..Plate::default()
        };
        let text = Typeset { glyphs: Vec::new(), font_size: 20.0, scale: 1.0, block };
        mask(&plate, &text, (200, 100))
    }

    fn at(mask: &Mask, x: usize, y: usize) -> u8 {
        mask.coverage[y * mask.width + x]
    }

    #[test]
    fn it_is_wider_than_the_text_on_all_sides_and_as_solid_as_said() {
        let mask = plate(50, 0, [50.0, 40.0, 150.0, 64.0]);

        assert_eq!((mask.left, mask.top, mask.width, mask.height), (42, 37, 116, 30));
        assert!(mask.coverage.iter().all(|&coverage| coverage == 128));
    }

    #[test]
    fn its_corners_are_round_and_its_ends_half_circles_at_the_most() {
        let mask = plate(100, 100, [50.0, 40.0, 150.0, 64.0]);

        assert_eq!(at(&mask, 0, 0), 0);
        assert_eq!(at(&mask, 3, 3), 0);
        assert_eq!(at(&mask, 58, 0), 255);
        assert_eq!(at(&mask, 15, 15), 255);
        assert!(at(&mask, 0, 15) > 100);
        let square = plate(100, 30, [50.0, 40.0, 150.0, 64.0]);
        assert_eq!((at(&square, 0, 0), at(&square, 3, 3)), (0, 255));
    }

    #[test]
    fn what_lies_outside_of_the_picture_is_cut_off() {
        let mask = plate(100, 0, [-30.0, 90.0, 300.0, 140.0]);

        assert_eq!((mask.left, mask.top, mask.width, mask.height), (0, 87, 200, 13));
        let nowhere = plate(100, 50, [f32::INFINITY, 10.0, f32::NEG_INFINITY, 20.0]);
        assert!(nowhere.coverage.iter().all(|&coverage| coverage == 0));
    }
}
