//! Pictures for tests.

use std::io::Cursor;

use image::{ImageFormat, Rgb, RgbImage};

/// A picture of one colour.
pub(crate) fn png(width: u32, height: u32, shade: u8) -> Vec<u8> {
    encode(width, height, shade, ImageFormat::Png)
}

/// The same in this colour.
pub(crate) fn png_of(width: u32, height: u32, color: [u8; 3]) -> Vec<u8> {
    write(&RgbImage::from_pixel(width, height, Rgb(color)), ImageFormat::Png)
}

/// One that no format makes small: over a megabyte.
pub(crate) fn large_png() -> Vec<u8> {
    let mut noise = 1_u32;
    let mut next = || {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        noise.to_be_bytes()[0]
    };
    let pixels = RgbImage::from_fn(800, 600, |_, _| Rgb([next(), next(), next()]));
    write(&pixels, ImageFormat::Png)
}

/// The same as a photo.
pub(crate) fn jpeg(width: u32, height: u32, shade: u8) -> Vec<u8> {
    encode(width, height, shade, ImageFormat::Jpeg)
}

fn encode(width: u32, height: u32, shade: u8, format: ImageFormat) -> Vec<u8> {
    write(&RgbImage::from_pixel(width, height, Rgb([shade, 120, 200])), format)
}

fn write(pixels: &RgbImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    pixels.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}
