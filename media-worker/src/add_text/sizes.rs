//! Which sizes of letters are tried on a picture.

#![expect(clippy::float_arithmetic, reason = "type is set in fractions of a pixel")]

use super::layout::{HEIGHT_SHARE, LINE_HEIGHT, WIDTH_SHARE};

/// What a short text gets, as a part of the geometric mean of the sides.
const SIZE_SHARE: f32 = 0.09;
/// Smaller type cannot be read on a picture that is looked at as a whole.
const SIZE_SHARE_AT_LEAST: f32 = 0.015;
/// Smaller type cannot be read at all.
pub(super) const READABLE_PX: f32 = 8.0;
/// From one size tried to the next.
const SIZE_STEP: f32 = 0.95;

/// The sizes that are tried, in pixels.
#[derive(Debug)]
pub(super) struct Sizes {
    pub(super) largest: f32,
    pub(super) smallest: f32,
}

impl Sizes {
    /// What looks good on a picture of these sides.
    pub(super) fn of(width: f32, height: f32) -> Self {
        let mean = (width * height).sqrt();
        let one_line = height * HEIGHT_SHARE / LINE_HEIGHT;
        let one_letter = width * WIDTH_SHARE;
        // Below one pixel there is nothing to draw.
        let largest = (mean * SIZE_SHARE).min(one_line).min(one_letter).max(1.0);
        let smallest = (mean * SIZE_SHARE_AT_LEAST).max(READABLE_PX).min(largest);
        Self { largest, smallest }
    }

    pub(super) fn descending(&self) -> impl Iterator<Item = f32> {
        let smallest = self.smallest;
        std::iter::successors(Some(self.largest), move |&size| {
            (size > smallest).then(|| (size * SIZE_STEP).max(smallest))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_go_down_to_the_smallest_and_end() {
        for (width, height) in [(1.0, 1.0), (1024.0, 768.0), (16_000.0, 1.0), (7_000.0, 7_000.0)] {
            let sizes = Sizes::of(width, height);
            let tried: Vec<f32> = sizes.descending().collect();

            assert!(tried.is_sorted_by(|a, b| a > b), "{tried:?}");
            assert!(tried.len() < 50 && tried.iter().all(|&size| size >= 1.0), "{tried:?}");
            assert!(tried.last().is_some_and(|&last| (last - sizes.smallest).abs() < 0.001));
        }
    }
}
