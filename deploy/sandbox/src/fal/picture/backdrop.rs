//! An abstract picture out of a prompt: the same prompt and seed give the same picture.

use image::imageops::FilterType;
use image::{DynamicImage, Rgb, RgbImage};
use sha2::{Digest as _, Sha256};

/// The picture is drawn this small, and grows soft when it is enlarged.
const SMALL: u32 = 96;

/// Five colours that go together; the first is the ground.
const PALETTES: [[[u8; 3]; 5]; 8] = [
    [[18, 32, 84], [66, 84, 191], [236, 112, 99], [247, 201, 122], [96, 195, 193]],
    [[12, 61, 64], [28, 124, 125], [122, 199, 160], [245, 225, 164], [233, 128, 86]],
    [[56, 20, 72], [132, 52, 141], [229, 95, 140], [249, 178, 121], [112, 136, 214]],
    [[22, 45, 32], [64, 114, 74], [157, 190, 101], [240, 222, 138], [86, 158, 172]],
    [[70, 24, 24], [164, 63, 48], [232, 132, 70], [248, 207, 124], [96, 108, 148]],
    [[20, 36, 56], [48, 98, 140], [123, 178, 213], [226, 236, 240], [242, 158, 132]],
    [[44, 28, 66], [92, 70, 156], [162, 142, 224], [242, 190, 214], [110, 200, 182]],
    [[40, 40, 46], [92, 98, 110], [214, 164, 92], [238, 222, 196], [120, 150, 148]],
];

/// Draws the picture.
pub(super) fn draw(prompt: &str, seed: u64, width: u32, height: u32) -> DynamicImage {
    let mut hash = Sha256::new();
    hash.update(prompt);
    hash.update(seed.to_be_bytes());
    let random: [u8; 32] = hash.finalize().into();
    let palette = PALETTES[usize::from(random[0]) % PALETTES.len()];
    let mut small = ground(palette[0], palette[1], random[1].is_multiple_of(2));
    for (index, blob) in random[2..].chunks_exact(3).enumerate() {
        let centre = [blob[0], blob[1]].map(|at| i64::from(at) * i64::from(SMALL) / 256);
        let radius = i64::from(blob[2] % 30) + 16;
        disc(&mut small, centre, radius, palette[1 + index % 4]);
    }
    DynamicImage::from(small).resize_exact(width, height, FilterType::CatmullRom)
}

fn ground(from: [u8; 3], to: [u8; 3], falling: bool) -> RgbImage {
    RgbImage::from_fn(SMALL, SMALL, |x, y| {
        let along = if falling { x + y } else { SMALL - 1 - x + y };
        let part = u8::try_from(along * 255 / (2 * SMALL - 2)).unwrap_or(255);
        mix(from, to, part)
    })
}

fn disc(small: &mut RgbImage, [x, y]: [i64; 2], radius: i64, colour: [u8; 3]) {
    for (column, row, pixel) in small.enumerate_pixels_mut() {
        let (dx, dy) = (i64::from(column) - x, i64::from(row) - y);
        let distance = dx * dx + dy * dy;
        if distance < radius * radius {
            // Nothing is left at the rim: an edge would show the small picture's pixels.
            let part = 225 - distance * 225 / (radius * radius);
            *pixel = mix(pixel.0, colour, u8::try_from(part).unwrap_or(0));
        }
    }
}

fn mix(under: [u8; 3], over: [u8; 3], part: u8) -> Rgb<u8> {
    Rgb([0, 1, 2].map(|channel| super::files::blend(under[channel], over[channel], part)))
}
