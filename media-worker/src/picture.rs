//! What counts as a picture: found out from the bytes alone, within limits.
//!
//! Invariant: no buffer is sized by what a file claims before the claim has been checked, so a
//! small file that says it is enormous costs nothing.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};

/// The most bytes a picture may have, in and out: 20 MiB, what Telegram lets a bot download.
pub const BYTES_MAX: usize = 20 * 1024 * 1024;
/// The longest side in pixels: under the 16,383 that WebP can hold, and over any camera's.
pub const SIDE_MAX: u32 = 16_000;
/// The most pixels: what phones with 48-megapixel cameras make, with a margin.
pub const PIXELS_MAX: u64 = 50_000_000;

/// The most memory one decoded picture may take: `PIXELS_MAX` in four bytes each, and a margin.
/// Pictures of 16 bits a channel take twice that and are refused earlier.
const DECODED_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// More scans than any encoder writes. Each one walks over all pixels, however few bytes it has.
const JPEG_SCANS_MAX: u32 = 100;

/// How a picture is written down.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PictureFormat {
    Jpeg,
    Png,
    Webp,
}

impl PictureFormat {
    /// The media type, as HTTP and gRPC headers have it.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Webp => "image/webp",
        }
    }

    /// The ending of a file name, without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
            Self::Webp => "webp",
        }
    }

    fn sniff(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0xFF, 0xD8, 0xFF, ..] => Some(Self::Jpeg),
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1A, b'\n', ..] => Some(Self::Png),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Self::Webp),
            _ => None,
        }
    }

    fn decoder(self) -> ImageFormat {
        match self {
            Self::Jpeg => ImageFormat::Jpeg,
            Self::Png => ImageFormat::Png,
            Self::Webp => ImageFormat::WebP,
        }
    }
}

/// What a picture's bytes turned out to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Picture {
    pub format: PictureFormat,
    /// In pixels, as it is looked at: after the EXIF orientation.
    pub width: u32,
    /// In pixels, as it is looked at: after the EXIF orientation.
    pub height: u32,
}

/// A picture in memory, turned as it is looked at.
#[derive(Debug)]
pub struct DecodedPicture {
    /// How it was written.
    pub format: PictureFormat,
    pub pixels: DynamicImage,
    /// The ICC profile that its colours are meant in.
    pub color_profile: Option<Vec<u8>>,
}

/// Why bytes are not taken as a picture.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PictureError {
    #[error("not a JPEG, PNG or WebP picture, or a damaged one")]
    NotAPicture,
    #[error("the picture is larger than {} MiB", BYTES_MAX / (1024 * 1024))]
    TooLarge,
    #[error(
        "the picture has more than {} megapixels or a side over {SIDE_MAX} pixels",
        PIXELS_MAX / 1_000_000
    )]
    Dimensions,
}

impl From<ImageError> for PictureError {
    fn from(error: ImageError) -> Self {
        match error {
            ImageError::Limits(_) => Self::Dimensions,
            ImageError::Decoding(_)
            | ImageError::Encoding(_)
            | ImageError::Parameter(_)
            | ImageError::Unsupported(_)
            | ImageError::IoError(_) => Self::NotAPicture,
        }
    }
}

/// Checks that the bytes are a whole picture within the limits, by decoding it. Blocks.
pub fn inspect(bytes: &[u8]) -> Result<Picture, PictureError> {
    let (decoded, orientation) = read(bytes)?;

    let (width, height) = (decoded.pixels.width(), decoded.pixels.height());
    let (width, height) = if swaps_sides(orientation) { (height, width) } else { (width, height) };
    Ok(Picture { format: decoded.format, width, height })
}

/// Decodes a picture and turns it as its EXIF orientation says. Blocks.
pub fn decode(bytes: &[u8]) -> Result<DecodedPicture, PictureError> {
    let (mut decoded, orientation) = read(bytes)?;

    decoded.pixels.apply_orientation(orientation);
    Ok(decoded)
}

fn read(bytes: &[u8]) -> Result<(DecodedPicture, Orientation), PictureError> {
    if bytes.len() > BYTES_MAX {
        return Err(PictureError::TooLarge);
    }
    let format = PictureFormat::sniff(bytes).ok_or(PictureError::NotAPicture)?;
    if !is_whole(format, bytes) {
        return Err(PictureError::NotAPicture);
    }

    // The decoders are other people's, the bytes a stranger's: a panic in one of them is a picture
    // that cannot be read, and must not take the caller's thread with it.
    catch_unwind(AssertUnwindSafe(|| decode_within_limits(format, bytes)))
        .unwrap_or(Err(PictureError::NotAPicture))
}

fn decode_within_limits(
    format: PictureFormat,
    bytes: &[u8],
) -> Result<(DecodedPicture, Orientation), PictureError> {
    let mut limits = Limits::default();
    limits.max_image_width = Some(SIDE_MAX);
    limits.max_image_height = Some(SIDE_MAX);
    limits.max_alloc = Some(DECODED_BYTES_MAX);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format.decoder());
    reader.limits(limits);

    let mut decoder = reader.into_decoder()?;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    if pixels > PIXELS_MAX || decoder.total_bytes() > DECODED_BYTES_MAX {
        return Err(PictureError::Dimensions);
    }
    if pixels == 0 {
        return Err(PictureError::NotAPicture);
    }

    // A picture is shown in spite of metadata that cannot be read.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let color_profile = decoder.icc_profile().ok().flatten();
    let pixels = DynamicImage::from_decoder(decoder)?;
    Ok((DecodedPicture { format, pixels, color_profile }, orientation))
}

fn swaps_sides(orientation: Orientation) -> bool {
    match orientation {
        Orientation::Rotate90
        | Orientation::Rotate270
        | Orientation::Rotate90FlipH
        | Orientation::Rotate270FlipH => true,
        Orientation::NoTransforms
        | Orientation::Rotate180
        | Orientation::FlipHorizontal
        | Orientation::FlipVertical => false,
    }
}

/// Whether the file goes on to its own end. Decoders are lenient and fill what is missing with
/// grey, but half a picture is not what its owner meant to send.
fn is_whole(format: PictureFormat, bytes: &[u8]) -> bool {
    match format {
        PictureFormat::Jpeg => jpeg_reaches_its_end(bytes),
        PictureFormat::Png => png_reaches_its_end(bytes),
        PictureFormat::Webp => webp_reaches_its_end(bytes),
    }
}

/// Steps from marker to marker, over segments by their length and over coded data byte by byte.
fn jpeg_reaches_its_end(bytes: &[u8]) -> bool {
    let mut rest = bytes.get(2..).unwrap_or_default();
    let mut scans = 0;
    while let Some(at) = rest.iter().position(|&byte| byte == 0xFF) {
        rest = &rest[at + 1..];
        match rest.first() {
            // A stuffed 0xFF of coded data, fill, restart marks: none has a length.
            Some(0x00 | 0x01 | 0xFF | 0xD0..=0xD8) => {}
            Some(0xD9) => return scans > 0,
            Some(&marker) => {
                if marker == 0xDA {
                    scans += 1;
                }
                let Some(&[high, low]) = rest.get(1..3) else { return false };
                let length = usize::from(u16::from_be_bytes([high, low]));
                let Some(after) = rest.get(1 + length..) else { return false };
                rest = after;
            }
            None => return false,
        }
        if scans > JPEG_SCANS_MAX {
            return false;
        }
    }
    false
}

/// Steps from chunk to chunk: length, name, data, checksum.
fn png_reaches_its_end(bytes: &[u8]) -> bool {
    let mut rest = bytes.get(8..).unwrap_or_default();
    while let [a, b, c, d, name @ ..] = rest {
        if name.starts_with(b"IEND") {
            return name.len() >= 8;
        }
        let after = usize::try_from(u32::from_be_bytes([*a, *b, *c, *d]))
            .ok()
            .and_then(|length| length.checked_add(8))
            .and_then(|length| name.get(length..));
        let Some(after) = after else { return false };
        rest = after;
    }
    false
}

/// Compares the length that the container states with the file's.
fn webp_reaches_its_end(bytes: &[u8]) -> bool {
    let Some(&[a, b, c, d]) = bytes.get(4..8) else { return false };
    // One byte of padding at the end is often left out.
    u64::from(u32::from_le_bytes([a, b, c, d])) + 8 <= bytes.len() as u64 + 1
}

/// Pictures for tests.
#[cfg(test)]
pub(crate) mod samples {
    use super::{Cursor, DynamicImage, ImageFormat};

    /// A whole file of that picture.
    pub(crate) fn file(pixels: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Vec::new();
        pixels.into().write_to(&mut Cursor::new(&mut bytes), format).unwrap();
        bytes
    }

    /// The JPEG with an EXIF segment that says how it is looked at, 1 … 8.
    pub(crate) fn with_orientation(jpeg: &[u8], orientation: u8) -> Vec<u8> {
        let exif = [
            b"Exif\0\0II*\0\x08\0\0\0\x01\0".as_slice(),
            &[0x12, 0x01, 0x03, 0x00, 1, 0, 0, 0, orientation, 0, 0, 0],
            &[0; 4],
        ]
        .concat();
        let length = u16::try_from(exif.len() + 2).unwrap().to_be_bytes();
        [&jpeg[..2], &[0xFF, 0xE1], &length, &exif, &jpeg[2..]].concat()
    }

    /// A PNG of two hundred bytes that claims these sides.
    pub(crate) fn png_claiming(width: u32, height: u32) -> Vec<u8> {
        let mut png = file(image::RgbImage::new(2, 2), ImageFormat::Png);
        png[16..20].copy_from_slice(&width.to_be_bytes());
        png[20..24].copy_from_slice(&height.to_be_bytes());
        let checksum = crc32(&png[12..29]);
        png[29..33].copy_from_slice(&checksum.to_be_bytes());
        png
    }

    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(u32::MAX, |sum, &byte| {
            (0..8).fold(sum ^ u32::from(byte), |sum, _| (sum >> 1) ^ (0xEDB8_8320 * (sum & 1)))
        })
    }
}

#[cfg(test)]
mod tests {
    use image::{GrayImage, Luma, Rgb, RgbImage, RgbaImage};

    use super::samples::{file, png_claiming, with_orientation};
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], expected: Result<(PictureFormat, u32, u32), PictureError>) {
        let found = inspect(bytes).map(|found| (found.format, found.width, found.height));
        assert_eq!(found, expected);
        let decoded = decode(bytes);
        let decoded = decoded.map(|it| (it.format, it.pixels.width(), it.pixels.height()));
        assert_eq!(decoded, expected, "inspect and decode agree");
    }

    #[track_caller]
    fn refused(bytes: &[u8], why: PictureError) {
        check(bytes, Err(why));
    }

    /// Not of one colour, so that its file is longer than its headers.
    fn pattern(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| {
            let value = |step| u8::try_from((x * step + y * 7) % 256).unwrap();
            Rgb([value(3), value(11), value(29)])
        })
    }

    #[test]
    fn pictures_are_known_by_their_bytes() {
        check(&file(pattern(30, 20), ImageFormat::Jpeg), Ok((PictureFormat::Jpeg, 30, 20)));
        check(&file(pattern(30, 20), ImageFormat::Png), Ok((PictureFormat::Png, 30, 20)));
        check(&file(pattern(30, 20), ImageFormat::WebP), Ok((PictureFormat::Webp, 30, 20)));
        check(&file(RgbaImage::new(1, 1), ImageFormat::WebP), Ok((PictureFormat::Webp, 1, 1)));
        check(&file(GrayImage::new(5, 9), ImageFormat::Jpeg), Ok((PictureFormat::Jpeg, 5, 9)));
        let deep = image::ImageBuffer::from_pixel(4, 4, Luma([40_000_u16]));
        check(
            &file(DynamicImage::ImageLuma16(deep), ImageFormat::Png),
            Ok((PictureFormat::Png, 4, 4)),
        );
    }

    #[test]
    fn bytes_after_the_end_do_no_harm() {
        for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP] {
            let mut bytes = file(pattern(30, 20), format);
            bytes.extend_from_slice(&[0; 100]);

            assert!(inspect(&bytes).is_ok(), "{format:?}");
        }
    }

    #[test]
    fn the_sides_are_those_one_looks_at() {
        let jpeg = file(pattern(30, 20), ImageFormat::Jpeg);
        for orientation in 1..=8 {
            let sides = if orientation <= 4 { (30, 20) } else { (20, 30) };
            check(
                &with_orientation(&jpeg, orientation),
                Ok((PictureFormat::Jpeg, sides.0, sides.1)),
            );
        }
        check(&with_orientation(&jpeg, 77), Ok((PictureFormat::Jpeg, 30, 20)));
    }

    #[test]
    fn other_files_are_refused() {
        refused(b"", PictureError::NotAPicture);
        refused(b"This is a note that somebody named photo.jpg.", PictureError::NotAPicture);
        refused(b"GIF89a\x01\0\x01\0\0\0\0;", PictureError::NotAPicture);
        refused(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", PictureError::NotAPicture);
        refused(b"%PDF-1.7\n", PictureError::NotAPicture);
        refused(b"BM\x3a\0\0\0\0\0\0\0", PictureError::NotAPicture);
        refused(b"\xFF\xD8\xFF and then a text", PictureError::NotAPicture);
        refused(b"\xFF\xD8\xFF\xD9", PictureError::NotAPicture);
        refused(b"\x89PNG\r\n\x1A\n and then a text", PictureError::NotAPicture);
        refused(b"RIFF\x04\0\0\0WEBP", PictureError::NotAPicture);
    }

    #[test]
    fn a_file_that_ends_early_is_refused_wherever_it_ends() {
        for format in [ImageFormat::Jpeg, ImageFormat::Png] {
            let bytes = file(pattern(30, 20), format);
            for length in 0..bytes.len() {
                assert_eq!(
                    inspect(&bytes[..length]),
                    Err(PictureError::NotAPicture),
                    "{format:?}: {length} of {} bytes",
                    bytes.len()
                );
            }
        }
        let webp = file(pattern(30, 20), ImageFormat::WebP);
        for length in 0..webp.len() - 1 {
            assert_eq!(inspect(&webp[..length]), Err(PictureError::NotAPicture), "{length}");
        }
    }

    #[test]
    fn a_damaged_byte_never_panics() {
        for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP] {
            let whole = file(pattern(9, 7), format);
            for at in 0..whole.len() {
                let mut bytes = whole.clone();
                bytes[at] ^= 0xFF;

                if let Ok(picture) = inspect(&bytes) {
                    assert!(picture.width <= SIDE_MAX && picture.height <= SIDE_MAX);
                }
            }
        }
    }

    #[test]
    fn a_file_of_too_many_bytes_is_refused() {
        let mut bytes = file(pattern(3, 2), ImageFormat::Png);
        bytes.resize(BYTES_MAX, 0);
        check(&bytes, Ok((PictureFormat::Png, 3, 2)));

        bytes.push(0);
        refused(&bytes, PictureError::TooLarge);
    }

    #[test]
    fn a_picture_of_too_many_pixels_is_refused() {
        check(
            &file(GrayImage::new(SIDE_MAX, 1), ImageFormat::Png),
            Ok((PictureFormat::Png, SIDE_MAX, 1)),
        );
        refused(&file(GrayImage::new(SIDE_MAX + 1, 1), ImageFormat::Png), PictureError::Dimensions);
        refused(
            &file(GrayImage::new(1, SIDE_MAX + 1), ImageFormat::Jpeg),
            PictureError::Dimensions,
        );
        refused(&png_claiming(8_000, 8_000), PictureError::Dimensions);
        refused(&png_claiming(7_000, 7_000), PictureError::NotAPicture);
    }

    #[test]
    fn a_small_file_that_claims_to_be_enormous_is_refused() {
        refused(&png_claiming(100_000, 100_000), PictureError::Dimensions);
        refused(&png_claiming(0x7FFF_FFFF, 0x7FFF_FFFF), PictureError::Dimensions);
        refused(&png_claiming(0, 100), PictureError::NotAPicture);

        let mut jpeg = file(pattern(30, 20), ImageFormat::Jpeg);
        let frame = jpeg.windows(2).position(|pair| pair == [0xFF, 0xC0]).unwrap();
        jpeg[frame + 5..frame + 9].fill(0xFF);
        refused(&jpeg, PictureError::Dimensions);

        let mut webp = file(pattern(30, 20), ImageFormat::WebP);
        let frame = webp.windows(4).position(|name| name == b"VP8L").unwrap();
        let sides: u32 = 0x3FFE | (0x3FFE << 14);
        webp[frame + 9..frame + 13].copy_from_slice(&sides.to_le_bytes());
        refused(&webp, PictureError::Dimensions);
    }

    /// Each scan makes the decoder walk over the whole picture.
    #[test]
    fn a_jpeg_of_endless_scans_is_refused() {
        let jpeg = file(pattern(30, 20), ImageFormat::Jpeg);
        let scan = jpeg.windows(2).position(|pair| pair == [0xFF, 0xDA]).unwrap();
        let (head, data) = jpeg.split_at(scan);
        let data = &data[..data.len() - 2];
        let repeated = |times| [head, &data.repeat(times), &[0xFF, 0xD9]].concat();

        assert!(jpeg_reaches_its_end(&repeated(100)));
        refused(&repeated(101), PictureError::NotAPicture);
    }

    #[test]
    fn messages_say_what_the_limit_is() {
        assert_eq!(PictureError::TooLarge.to_string(), "the picture is larger than 20 MiB");
        assert_eq!(
            PictureError::Dimensions.to_string(),
            "the picture has more than 50 megapixels or a side over 16000 pixels"
        );
    }
}
