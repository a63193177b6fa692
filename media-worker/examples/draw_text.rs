//! What text on a 12-megapixel photo costs: CPU time of one thread, the median of some rounds.
//!
//! `cargo run --release -p media-worker --example draw_text`; with a path, the last picture is
//! written there.

#![expect(clippy::print_stdout, reason = "it prints one table")]

use std::io::Cursor;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use image::{ImageFormat, Rgb, RgbImage};
use media_worker::add_text::{TextRenderer, TextStyle, describe};
use media_worker::picture;

const SIDES: (u32, u32) = (4000, 3000);
const ROUNDS: usize = 9;
const TEXT: &str = "С днём рождения, Ёжик! 🎂\nПусть всё сбудется";
const STYLED: &str = "крупный жёлтый текст с чёрной обводкой и тенью на полупрозрачной синей плашке с \
                      круглыми углами";
const PREVIEW: u32 = 1280;

fn main() -> anyhow::Result<()> {
    let photo = photo()?;
    let renderer = TextRenderer::new(None)?;
    let usual = TextStyle::default();
    let styled = describe(STYLED, usual)?.style;
    let megapixels = u64::from(SIDES.0) * u64::from(SIDES.1) / 1_000_000;
    println!("a JPEG of {megapixels} megapixels and {} KB, CPU time in ms", photo.len() / 1000);

    let decode = median(|| picture::decode(&photo).map(|_| ()).map_err(Into::into))?;
    println!("{:>30} {decode:>6}", "reading it alone");
    for (name, style) in [("usual style", usual), ("plate, outline and shadow", styled)] {
        for (what, preview) in [("preview", Some(PREVIEW)), ("whole", None)] {
            let drawn = median(|| {
                renderer.render(&photo, TEXT, &style, preview).map(|_| ()).map_err(Into::into)
            })?;
            println!("{:>30} {drawn:>6}", format!("{name}, {what}"));
        }
    }
    if let Some(path) = std::env::args_os().nth(1) {
        let drawn = renderer.render(&photo, TEXT, &styled, Some(PREVIEW))?;
        std::fs::write(Path::new(&path), drawn.bytes)?;
    }
    Ok(())
}

/// Milliseconds.
fn median(mut work: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<u128> {
    let mut taken = Vec::new();
    for _ in 0..ROUNDS {
        let before = cpu()?;
        work()?;
        taken.push(cpu()?.saturating_sub(before).as_millis());
    }
    taken.sort_unstable();
    taken.get(ROUNDS / 2).copied().context("there were rounds")
}

/// CPU time of this process, user's and system's, from `/proc/self/stat` (proc(5)).
fn cpu() -> anyhow::Result<Duration> {
    const TICK: Duration = Duration::from_millis(10);
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // The name, in brackets, may hold anything.
    let (_, fields) = stat.rsplit_once(')').context("a process has a name")?;
    let ticks = |nth: usize| -> anyhow::Result<u32> {
        Ok(fields.split_whitespace().nth(nth).context("a field")?.parse()?)
    };
    Ok(TICK * (ticks(11)? + ticks(12)?))
}

/// Soft shapes with grain, as a camera's pictures have.
fn photo() -> anyhow::Result<Vec<u8>> {
    let mut noise = 1_u32;
    let pixels = RgbImage::from_fn(SIDES.0, SIDES.1, |x, y| {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let [grain, ..] = noise.to_be_bytes();
        let wave = |at: u32, step: u32| {
            let place = at / step % 256;
            u8::try_from(place.min(255 - place)).unwrap_or(0)
        };
        let soft = |base: u8| base.saturating_add(grain / 16);
        Rgb([
            soft(wave(x, 9).saturating_add(60)),
            soft(wave(y, 7).saturating_add(70)),
            soft(wave(x + y, 13).saturating_add(80)),
        ])
    });
    let mut bytes = Cursor::new(Vec::new());
    pixels.write_to(&mut bytes, ImageFormat::Jpeg)?;
    Ok(bytes.into_inner())
}
