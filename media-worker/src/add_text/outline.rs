//! The outline of a glyph: everything within a distance of its ink.
//!
//! By the exact Euclidean distance to the ink, which costs the same for any thickness.

#![expect(
    clippy::float_arithmetic,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "distances are fractions of a pixel, and are cut to 0 … 255 before they are cast"
)]

use super::mask::Mask;

/// By how many pixels an outline is wider than its glyph, on each side.
fn reach(thickness: f32) -> usize {
    thickness.ceil() as usize + 1
}

/// The mask grown by `thickness` to all sides; it is wider by [`reach`] on each.
pub(super) fn grow(ink: &Mask, thickness: f32) -> Mask {
    let reach = reach(thickness);
    let (width, height) = (ink.width + 2 * reach, ink.height + 2 * reach);

    let mut squares = vec![f32::INFINITY; width * height];
    for y in 0..ink.height {
        let row = &ink.coverage[y * ink.width..][..ink.width];
        let target = &mut squares[(y + reach) * width + reach..][..ink.width];
        for (square, &coverage) in target.iter_mut().zip(row) {
            if coverage > 0 {
                // The ink ends inside a pixel that is covered in part.
                let distance = (0.5 - f32::from(coverage) / 255.0).max(0.0);
                *square = distance * distance;
            }
        }
    }
    let mut envelope = Envelope::default();
    for row in squares.chunks_exact_mut(width) {
        envelope.spread(row);
    }
    let mut column = vec![0.0; height];
    for x in 0..width {
        for (y, square) in column.iter_mut().enumerate() {
            *square = squares[y * width + x];
        }
        envelope.spread(&mut column);
        for (y, square) in column.iter().enumerate() {
            squares[y * width + x] = *square;
        }
    }

    let margin = i32::try_from(reach).unwrap_or(i32::MAX);
    let coverage = squares
        .into_iter()
        .map(|square| ((thickness + 0.5 - square.sqrt()).clamp(0.0, 1.0) * 255.0) as u8)
        .collect();
    Mask { left: ink.left - margin, top: ink.top - margin, width, height, coverage }
}

/// The lower envelope of parabolas, one standing on each sample: the squared distance along a line.
/// After Felzenszwalb and Huttenlocher, "Distance Transforms of Sampled Functions".
#[derive(Debug, Default)]
struct Envelope {
    /// Where each parabola stands, how high, and from where on it is the lowest.
    parabolas: Vec<(f32, f32, f32)>,
}

impl Envelope {
    /// Replaces each square by the least of all squares plus their squared distance to it.
    fn spread(&mut self, squares: &mut [f32]) {
        self.parabolas.clear();
        for (at, &square) in squares.iter().enumerate().filter(|(_, square)| square.is_finite()) {
            let at = at as f32;
            let mut from = f32::NEG_INFINITY;
            while let Some(&(other_at, other_square, other_from)) = self.parabolas.last() {
                from = ((square + at * at) - (other_square + other_at * other_at))
                    / (2.0 * (at - other_at));
                if from > other_from {
                    break;
                }
                self.parabolas.pop();
                from = f32::NEG_INFINITY;
            }
            self.parabolas.push((at, square, from));
        }

        let mut lowest = 0;
        for (x, square) in squares.iter_mut().enumerate() {
            let x = x as f32;
            while self.parabolas.get(lowest + 1).is_some_and(|&(_, _, from)| from < x) {
                lowest += 1;
            }
            if let Some(&(at, height, _)) = self.parabolas.get(lowest) {
                *square = (x - at) * (x - at) + height;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same by asking every pixel of the ink.
    fn grown_slowly(ink: &Mask, thickness: f32) -> Vec<u8> {
        let reach = reach(thickness);
        let (width, height) = (ink.width + 2 * reach, ink.height + 2 * reach);
        let mut coverage = Vec::new();
        for y in 0..height {
            for x in 0..width {
                let mut least = f32::INFINITY;
                for (at, &value) in ink.coverage.iter().enumerate().filter(|(_, value)| **value > 0)
                {
                    let dx = x as f32 - (at % ink.width + reach) as f32;
                    let dy = y as f32 - (at / ink.width + reach) as f32;
                    let within = (0.5 - f32::from(value) / 255.0).max(0.0);
                    least = least.min(dx * dx + dy * dy + within * within);
                }
                let alpha = (thickness + 0.5 - least.sqrt()).clamp(0.0, 1.0) * 255.0;
                coverage.push(alpha as u8);
            }
        }
        coverage
    }

    /// Pixels that look random and are the same each time.
    fn speckles(width: u32, height: u32, one_in: u32) -> Mask {
        let mut state = 12_345_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state >> 8
        };
        let coverage =
            (0..width * height).map(|_| if next() % one_in == 0 { next() as u8 } else { 0 });
        Mask::new((3, -4), (width, height), coverage.collect()).unwrap()
    }

    #[test]
    fn the_outline_is_all_within_a_distance() {
        for (width, height, one_in) in [(1, 1, 1), (7, 5, 3), (20, 13, 11), (31, 40, 90), (9, 9, 1)]
        {
            for thickness in [1.0, 1.7, 4.0, 9.3] {
                let ink = speckles(width, height, one_in);
                let grown = grow(&ink, thickness);

                let slow = grown_slowly(&ink, thickness);
                let farthest = grown.coverage.iter().zip(&slow).map(|(a, b)| a.abs_diff(*b)).max();
                assert!(farthest <= Some(1), "{width}x{height}, {thickness}: {farthest:?}");
            }
        }
    }

    #[test]
    fn the_outline_lies_around_its_ink() {
        let ink = Mask::new((10, -20), (1, 1), vec![255]).unwrap();
        let grown = grow(&ink, 2.0);

        assert_eq!((grown.left, grown.top, grown.width, grown.height), (7, -23, 7, 7));
        assert_eq!(grown.coverage[3 * 7 + 3], 255, "under the ink");
        assert_eq!(grown.coverage[3 * 7 + 1], 127, "at the distance itself");
        assert_eq!(grown.coverage[0], 0, "in the corner");
    }

    #[test]
    fn no_ink_has_no_outline() {
        let grown = grow(&Mask::new((0, 0), (3, 2), vec![0; 6]).unwrap(), 2.0);

        assert!(grown.coverage.iter().all(|&coverage| coverage == 0));
        grow(&Mask::default(), 2.0);
    }
}
