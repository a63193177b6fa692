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
