//! What Telegram makes of a photo: JPEGs of several sizes, the largest 1280 pixels long.

use std::io::Cursor;

use anyhow::Context as _;
use image::codecs::jpeg::JpegEncoder;
use image::imageops::FilterType;
use image::{DynamicImage, ImageDecoder as _, ImageReader, Limits, Rgb, RgbImage};

const LONG_SIDES: [u32; 4] = [90, 320, 800, 1280];
const QUALITY: u8 = 87;
/// A picture that would need more memory is refused before it is decoded.
const DECODED_BYTES_MAX: u64 = 512 * 1024 * 1024;

/// One size of a photo.
#[derive(Debug)]
pub(super) struct Size {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) jpeg: Vec<u8>,
}

/// Decodes a picture and turns it the way its EXIF says.
pub(super) fn decode(bytes: &[u8]) -> anyhow::Result<DynamicImage> {
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(DECODED_BYTES_MAX);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().context("not a picture")?;
    let orientation = decoder.orientation().context("orientation of the picture")?;
    let mut picture = DynamicImage::from_decoder(decoder).context("a damaged picture")?;
    picture.apply_orientation(orientation);
    Ok(picture)
}

/// Makes the sizes of a photo, smallest first; the last is the photo itself.
pub(super) fn sizes(picture: &DynamicImage) -> anyhow::Result<Vec<Size>> {
    let flat = flattened(picture);
    let long = flat.width().max(flat.height());
    let mut sides: Vec<u32> = LONG_SIDES.into_iter().filter(|&side| side < long).collect();
    if sides.len() < LONG_SIDES.len() {
        sides.push(long);
    }
    sides.into_iter().map(|side| size(&flat, side)).collect()
}

fn size(picture: &RgbImage, side: u32) -> anyhow::Result<Size> {
    let long = u64::from(picture.width().max(picture.height()));
    let scaled = |length: u32| {
        let length = u64::from(length) * u64::from(side) / long;
        u32::try_from(length.max(1)).unwrap_or(1)
    };
    let (width, height) = (scaled(picture.width()), scaled(picture.height()));
    let resized = if (width, height) == picture.dimensions() {
        picture.clone()
    } else {
        image::imageops::resize(picture, width, height, FilterType::Triangle)
    };
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, QUALITY)
        .encode_image(&resized)
        .context("encode a size of the photo")?;
    Ok(Size { width, height, jpeg })
}

/// JPEG has no transparency: what was transparent becomes white.
fn flattened(picture: &DynamicImage) -> RgbImage {
    if !picture.color().has_alpha() {
        return picture.to_rgb8();
    }
    let source = picture.to_rgba8();
    RgbImage::from_fn(source.width(), source.height(), |x, y| {
        let [red, green, blue, alpha] = source.get_pixel(x, y).0;
        let blend = |channel: u8| {
            let (channel, alpha) = (u16::from(channel), u16::from(alpha));
            u8::try_from((channel * alpha + 255 * (255 - alpha)) / 255).unwrap_or(u8::MAX)
        };
        Rgb([blend(red), blend(green), blend(blue)])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(width: u32, height: u32, expected: &[(u32, u32)]) {
        let picture = DynamicImage::new_rgba8(width, height);
        let sizes = sizes(&picture).unwrap();
        let found: Vec<_> = sizes.iter().map(|size| (size.width, size.height)).collect();
        assert_eq!(found, expected, "{width}x{height}");
        let last = decode(&sizes.last().unwrap().jpeg).unwrap();
        assert_eq!((last.width(), last.height()), *expected.last().unwrap());
    }

    #[test]
    fn a_photo_has_the_sizes_that_are_smaller_than_it_is() {
        check(50, 40, &[(50, 40)]);
        check(320, 320, &[(90, 90), (320, 320)]);
        check(1280, 640, &[(90, 45), (320, 160), (800, 400), (1280, 640)]);
        check(1000, 2000, &[(45, 90), (160, 320), (400, 800), (640, 1280)]);
    }

    #[test]
    fn what_was_transparent_is_white() {
        let picture = DynamicImage::new_rgba8(8, 8);
        let jpeg = &sizes(&picture).unwrap()[0].jpeg;
        assert!(decode(jpeg).unwrap().to_rgb8().get_pixel(4, 4).0.iter().all(|&c| c > 250));
    }
}
