//! The soft shadow under the letters: their ink, moved and blurred.

#![expect(
    clippy::float_arithmetic,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "lengths are parts of the font's size, and small"
)]

use super::mask::Mask;

/// To the right and down, in font sizes.
const MOVED: f32 = 0.07;
/// How far the edge is drawn out, in font sizes.
const BLURRED: f32 = 0.06;
/// Averages of averages come near to how light falls off.
const PASSES: usize = 2;

/// The shadow of this ink, for letters of this size in pixels.
pub(super) fn of(ink: &Mask, font_size: f32, opacity_percent: u8) -> Mask {
    let radius = (font_size * BLURRED).round().max(1.0) as usize;
    let moved = (font_size * MOVED).round().max(1.0) as i32;
    let mut shadow = ink.with_margin(radius * PASSES);
    shadow.left = shadow.left.saturating_add(moved);
    shadow.top = shadow.top.saturating_add(moved);
    let (width, height) = (shadow.width, shadow.height);
    let mut column = vec![0; height];
    for _ in 0..PASSES {
        for row in shadow.coverage.chunks_exact_mut(width.max(1)) {
            blur(row, radius);
        }
        for x in 0..width {
            for (y, value) in column.iter_mut().enumerate() {
                *value = shadow.coverage[y * width + x];
            }
            blur(&mut column, radius);
            for (y, value) in column.iter().enumerate() {
                shadow.coverage[y * width + x] = *value;
            }
        }
    }
    for value in &mut shadow.coverage {
        *value = u8::try_from(u32::from(*value) * u32::from(opacity_percent) / 100).unwrap_or(255);
    }
    shadow
}

/// Each value becomes the average of those within `radius`; beyond the ends there is nothing.
fn blur(line: &mut [u8], radius: usize) {
    let before = line.to_vec();
    let window = u32::try_from(2 * radius + 1).unwrap_or(u32::MAX);
    let mut sum: u32 = before.iter().take(radius).map(|&value| u32::from(value)).sum();
    for (at, value) in line.iter_mut().enumerate() {
        sum += before.get(at + radius).map_or(0, |&value| u32::from(value));
        *value = u8::try_from(sum / window).unwrap_or(u8::MAX);
        sum -= at.checked_sub(radius).map_or(0, |gone| u32::from(before[gone]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_averaged_and_nothing_is_lost_inside() {
        let mut line = [0, 0, 0, 90, 0, 0, 0];
        blur(&mut line, 1);
        assert_eq!(line, [0, 0, 30, 30, 30, 0, 0]);

        let mut full = [255; 9];
        blur(&mut full, 2);
        assert_eq!(full[2..7], [255; 5]);
    }

    #[test]
    fn a_shadow_lies_to_the_right_and_below_and_is_soft() {
        let ink = Mask::new((100, 100), (40, 40), vec![255; 1600]).unwrap();
        let shadow = of(&ink, 50.0, 60);

        let at = |x: i32, y: i32| {
            let column = usize::try_from(x - shadow.left).unwrap();
            let row = usize::try_from(y - shadow.top).unwrap();
            shadow.coverage[row * shadow.width + column]
        };
        assert_eq!(at(124, 124), 153);
        assert!(at(144, 124) < 153 && at(144, 124) > 0, "{}", at(144, 124));
        assert!(at(99, 124) < at(144, 124), "{}", at(99, 124));
    }

    #[test]
    fn nothing_has_no_shadow() {
        let shadow = of(&Mask::default(), 50.0, 100);
        assert!(shadow.coverage.iter().all(|&value| value == 0));
    }
}
