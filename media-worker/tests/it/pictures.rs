//! Pictures for tests.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, Rgb, RgbImage};

/// A picture of one colour.
pub(crate) fn png(width: u32, height: u32, shade: u8) -> Vec<u8> {
    encode(width, height, shade, ImageFormat::Png)
}

/// The same as a photo.
pub(crate) fn jpeg(width: u32, height: u32, shade: u8) -> Vec<u8> {
    encode(width, height, shade, ImageFormat::Jpeg)
}

fn encode(width: u32, height: u32, shade: u8, format: ImageFormat) -> Vec<u8> {
    let pixels = RgbImage::from_pixel(width, height, Rgb([shade, 120, 200]));
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(pixels).write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}
