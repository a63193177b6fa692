//! Bytes to pictures and back.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ImageDecoder as _, ImageFormat, ImageReader, Limits, RgbImage};

use crate::fal::endpoints::Format;

/// Longest side that is read.
const SIDE_MAX: u32 = 12_000;
/// Most memory that one decoded picture may take.
const MEMORY_MAX: u64 = 512 << 20;

/// Why bytes are not a picture that a model takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::fal) enum Unreadable {
    /// A picture, but of a format that is not taken.
    Format,
    /// More pixels than are taken.
    Size,
    /// Not a picture, or a broken one.
    Content,
}

/// Reads a JPEG, PNG or WebP the right way up, on white where it was transparent.
pub(in crate::fal) fn decode(bytes: &[u8]) -> Result<DynamicImage, Unreadable> {
    if bytes.get(4..8) == Some(b"ftyp") {
        return Err(Unreadable::Format);
    }
    let format = image::guess_format(bytes).map_err(|_| Unreadable::Content)?;
    if !matches!(format, ImageFormat::Jpeg | ImageFormat::Png | ImageFormat::WebP) {
        return Err(Unreadable::Format);
    }
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::default();
    limits.max_image_width = Some(SIDE_MAX);
    limits.max_image_height = Some(SIDE_MAX);
    limits.max_alloc = Some(MEMORY_MAX);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|error| unreadable(&error))?;
    let orientation = decoder.orientation().map_err(|error| unreadable(&error))?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(|error| unreadable(&error))?;
    picture.apply_orientation(orientation);
    Ok(opaque(&picture))
}

fn unreadable(error: &image::ImageError) -> Unreadable {
    match error {
        image::ImageError::Limits(_) => Unreadable::Size,
        _ => Unreadable::Content,
    }
}

fn opaque(picture: &DynamicImage) -> DynamicImage {
    if !picture.color().has_alpha() {
        return picture.to_rgb8().into();
    }
    let source = picture.to_rgba8();
    let mut flat = RgbImage::new(source.width(), source.height());
    for (to, from) in flat.pixels_mut().zip(source.pixels()) {
        let [red, green, blue, alpha] = from.0;
        to.0 = [red, green, blue].map(|channel| blend(255, channel, alpha));
    }
    flat.into()
}

/// One channel of `over` on `under`.
pub(super) fn blend(under: u8, over: u8, alpha: u8) -> u8 {
    let (under, over, alpha) = (u32::from(under), u32::from(over), u32::from(alpha));
    u8::try_from((under * (255 - alpha) + over * alpha) / 255).unwrap_or(255)
}

/// Writes a picture as a file.
pub(in crate::fal) fn encode(
    picture: &DynamicImage,
    format: Format,
) -> image::ImageResult<Vec<u8>> {
    let mut bytes = Cursor::new(Vec::new());
    match format {
        Format::Png => picture.write_to(&mut bytes, ImageFormat::Png)?,
        Format::Webp => picture.write_to(&mut bytes, ImageFormat::WebP)?,
        Format::Jpeg => {
            picture.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, 90))?;
        }
    }
    Ok(bytes.into_inner())
}
