//! The drawn picture as bytes: in the format it came in, and never more than a picture may have.
//!
//! WebP comes out as PNG, without loss and with its transparency: what Telegram gets as WebP, it
//! shows as a sticker. A PNG that gets too large becomes a JPEG, unless it is transparent.

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder, ImageResult, RgbImage};

use super::AddTextError;
use super::canvas::Canvas;
use crate::picture::{BYTES_MAX, PictureFormat};

/// Tried in this order until the result is small enough. The first shows no difference; a photo
/// near the limit, which its camera wrote more tightly, needs the next.
const JPEG_QUALITIES: [u8; 4] = [92, 85, 75, 60];
/// Ours to carry on: the profiles of cameras and screens have a few kilobytes.
const PROFILE_BYTES_MAX: usize = 1024 * 1024;

/// Writes the picture. `format` is the one it came in, `profile` the ICC profile of its colours.
pub(super) fn encode(
    canvas: &Canvas,
    format: PictureFormat,
    profile: Option<&[u8]>,
) -> Result<(Vec<u8>, PictureFormat), AddTextError> {
    let profile = profile.filter(|profile| is_for_rgb(profile));
    match canvas {
        Canvas::Opaque(pixels) => {
            if format != PictureFormat::Jpeg {
                let bytes = png(pixels, ExtendedColorType::Rgb8, pixels.dimensions(), profile)?;
                if bytes.len() <= BYTES_MAX {
                    return Ok((bytes, PictureFormat::Png));
                }
            }
            Ok((small_jpeg(pixels, profile)?, PictureFormat::Jpeg))
        }
        Canvas::Transparent(pixels) => {
            let bytes = png(pixels, ExtendedColorType::Rgba8, pixels.dimensions(), profile)?;
            if bytes.len() > BYTES_MAX {
                return Err(AddTextError::ResultTooLarge);
            }
            Ok((bytes, PictureFormat::Png))
        }
    }
}

/// Whether the profile describes what we write. A grey or a CMYK picture is RGB by now.
fn is_for_rgb(profile: &[u8]) -> bool {
    profile.get(16..20) == Some(b"RGB ") && profile.len() <= PROFILE_BYTES_MAX
}

fn png(
    pixels: &[u8],
    color: ExtendedColorType,
    (width, height): (u32, u32),
    profile: Option<&[u8]>,
) -> Result<Vec<u8>, AddTextError> {
    let mut bytes = Vec::new();
    let encoder = with_profile(PngEncoder::new(&mut bytes), profile);
    written("PNG", encoder.write_image(pixels, width, height, color))?;
    Ok(bytes)
}

fn small_jpeg(pixels: &RgbImage, profile: Option<&[u8]>) -> Result<Vec<u8>, AddTextError> {
    for quality in JPEG_QUALITIES {
        let mut bytes = Vec::new();
        let encoder = with_profile(JpegEncoder::new_with_quality(&mut bytes, quality), profile);
        let (width, height) = pixels.dimensions();
        written("JPEG", encoder.write_image(pixels, width, height, ExtendedColorType::Rgb8))?;
        if bytes.len() <= BYTES_MAX {
            return Ok(bytes);
        }
    }
    Err(AddTextError::ResultTooLarge)
}

fn with_profile<E: ImageEncoder>(mut encoder: E, profile: Option<&[u8]>) -> E {
    if let Some(profile) = profile {
        // A format that has no place for a profile is written without it.
        encoder.set_icc_profile(profile.to_vec()).ok();
    }
    encoder
}

fn written(format: &'static str, result: ImageResult<()>) -> Result<(), AddTextError> {
    result.map_err(|_| AddTextError::Encode(format))
}

#[cfg(test)]
mod tests {
    use image::{ImageDecoder, ImageReader, Rgb, Rgba, RgbaImage};

    use super::*;

    fn profile(space: &[u8; 4]) -> Vec<u8> {
        [[0; 16].as_slice(), space, &[7; 108]].concat()
    }

    fn kept_profile(canvas: &Canvas, format: PictureFormat, profile: &[u8]) -> Option<Vec<u8>> {
        let (bytes, _) = encode(canvas, format, Some(profile)).unwrap();
        let reader = ImageReader::new(std::io::Cursor::new(bytes)).with_guessed_format().unwrap();
        reader.into_decoder().unwrap().icc_profile().unwrap()
    }

    /// Without its profile a photo of a phone comes back with paler colours.
    #[test]
    fn the_profile_of_the_colours_is_kept() {
        let opaque = Canvas::Opaque(RgbImage::new(2, 2));
        let transparent = Canvas::Transparent(RgbaImage::new(2, 2));

        for (canvas, format) in [
            (&opaque, PictureFormat::Jpeg),
            (&opaque, PictureFormat::Png),
            (&transparent, PictureFormat::Webp),
        ] {
            let rgb = profile(b"RGB ");
            assert_eq!(kept_profile(canvas, format, &rgb), Some(rgb), "{format:?}");
            assert_eq!(kept_profile(canvas, format, &profile(b"CMYK")), None, "{format:?}");
            assert_eq!(kept_profile(canvas, format, b"short"), None, "{format:?}");
        }
    }

    /// What no encoder can make small.
    fn noise(at: usize) -> u8 {
        let mixed = u64::try_from(at).unwrap().wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9).to_be_bytes()[0]
    }

    #[test]
    fn a_png_that_gets_too_large_becomes_a_jpeg() {
        let mut pixels = RgbImage::from_pixel(2_700, 2_700, Rgb([0; 3]));
        pixels.iter_mut().enumerate().for_each(|(at, value)| *value = noise(at));
        let (bytes, format) = encode(&Canvas::Opaque(pixels), PictureFormat::Webp, None).unwrap();

        assert_eq!(format, PictureFormat::Jpeg);
        assert!(bytes.len() <= BYTES_MAX && bytes.starts_with(&[0xFF, 0xD8]));
    }

    #[test]
    fn a_transparent_picture_that_gets_too_large_is_refused() {
        let mut pixels = RgbaImage::from_pixel(2_400, 2_400, Rgba([0; 4]));
        pixels.iter_mut().enumerate().for_each(|(at, value)| *value = noise(at));

        assert_eq!(
            encode(&Canvas::Transparent(pixels), PictureFormat::Png, None),
            Err(AddTextError::ResultTooLarge)
        );
    }
}
