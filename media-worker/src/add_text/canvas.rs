//! The pixels that are drawn on.

use image::{DynamicImage, RgbImage, RgbaImage};

use crate::picture::PictureFormat;

/// A picture that is drawn on, with transparency only if it had any.
#[derive(Debug)]
pub(super) enum Canvas {
    Opaque(RgbImage),
    Transparent(RgbaImage),
}

impl Canvas {
    pub(super) fn new(format: PictureFormat, pixels: DynamicImage) -> Self {
        if format != PictureFormat::Jpeg && pixels.color().has_alpha() {
            Self::Transparent(pixels.into_rgba8())
        } else {
            Self::Opaque(pixels.into_rgb8())
        }
    }

    pub(super) fn width(&self) -> u32 {
        match self {
            Self::Opaque(pixels) => pixels.width(),
            Self::Transparent(pixels) => pixels.width(),
        }
    }

    pub(super) fn height(&self) -> u32 {
        match self {
            Self::Opaque(pixels) => pixels.height(),
            Self::Transparent(pixels) => pixels.height(),
        }
    }

    /// Lays a colour over a pixel, as strongly as `alpha` says. Outside of the picture: nothing.
    pub(super) fn blend(&mut self, x: i32, y: i32, color: [u8; 3], alpha: u8) {
        let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y)) else { return };
        if alpha == 0 {
            return;
        }
        match self {
            Self::Opaque(pixels) => {
                if let Some(pixel) = pixels.get_pixel_mut_checked(x, y) {
                    for (below, above) in pixel.0.iter_mut().zip(color) {
                        *below = mix(*below, above, u32::from(alpha), 255);
                    }
                }
            }
            Self::Transparent(pixels) => {
                if let Some(pixel) = pixels.get_pixel_mut_checked(x, y) {
                    let [red, green, blue, below_alpha] = &mut pixel.0;
                    // The less there was below, the more the colour is the new one's.
                    let above = u32::from(alpha) * 255;
                    let whole = above + u32::from(*below_alpha) * (255 - u32::from(alpha));
                    if whole > 0 {
                        for (below, above_color) in [red, green, blue].into_iter().zip(color) {
                            *below = mix(*below, above_color, above, whole);
                        }
                    }
                    *below_alpha = rounded(whole, 255);
                }
            }
        }
    }
}

/// `below` and `above` in the proportion `share` of `whole`.
fn mix(below: u8, above: u8, share: u32, whole: u32) -> u8 {
    rounded(u32::from(below) * (whole - share) + u32::from(above) * share, whole)
}

/// The quotient, rounded. For what is at most 255 times the divisor.
fn rounded(dividend: u32, divisor: u32) -> u8 {
    u8::try_from((dividend + divisor / 2) / divisor).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use image::{Rgb, Rgba};

    use super::*;

    #[track_caller]
    fn check_opaque(below: [u8; 3], alpha: u8, expected: [u8; 3]) {
        let mut canvas = Canvas::Opaque(RgbImage::from_pixel(1, 1, Rgb(below)));
        canvas.blend(0, 0, [255, 0, 100], alpha);
        let Canvas::Opaque(pixels) = canvas else { unreachable!("it was opaque") };
        assert_eq!(pixels.get_pixel(0, 0).0, expected, "{below:?} {alpha}");
    }

    #[track_caller]
    fn check_transparent(below: [u8; 4], alpha: u8, expected: [u8; 4]) {
        let mut canvas = Canvas::Transparent(RgbaImage::from_pixel(1, 1, Rgba(below)));
        canvas.blend(0, 0, [255, 0, 100], alpha);
        let Canvas::Transparent(pixels) = canvas else { unreachable!("it was transparent") };
        assert_eq!(pixels.get_pixel(0, 0).0, expected, "{below:?} {alpha}");
    }

    #[test]
    fn colours_mix_by_their_strength() {
        check_opaque([0, 0, 0], 0, [0, 0, 0]);
        check_opaque([9, 9, 9], 255, [255, 0, 100]);
        check_opaque([0, 255, 100], 128, [128, 127, 100]);
        check_transparent([9, 9, 9, 0], 0, [9, 9, 9, 0]);
        check_transparent([9, 9, 9, 0], 128, [255, 0, 100, 128]);
        check_transparent([9, 9, 9, 40], 255, [255, 0, 100, 255]);
        check_transparent([0, 255, 100, 255], 128, [128, 127, 100, 255]);
    }

    #[test]
    fn places_outside_of_the_picture_are_left_alone() {
        let mut canvas = Canvas::Opaque(RgbImage::new(2, 2));
        for (x, y) in [(-1, 0), (0, -1), (2, 0), (0, 2), (i32::MIN, i32::MAX)] {
            canvas.blend(x, y, [255; 3], 255);
        }

        assert!(matches!(canvas, Canvas::Opaque(pixels) if pixels.iter().all(|&value| value == 0)));
    }

    #[test]
    fn only_a_picture_with_transparency_keeps_it() {
        let canvas = |format, pixels| Canvas::new(format, pixels);
        let clear = || DynamicImage::new_rgba8(1, 1);
        let solid = || DynamicImage::new_luma8(1, 1);

        assert!(matches!(canvas(PictureFormat::Png, clear()), Canvas::Transparent(_)));
        assert!(matches!(canvas(PictureFormat::Webp, clear()), Canvas::Transparent(_)));
        assert!(matches!(canvas(PictureFormat::Png, solid()), Canvas::Opaque(_)));
        assert!(matches!(canvas(PictureFormat::Jpeg, solid()), Canvas::Opaque(_)));
    }
}
