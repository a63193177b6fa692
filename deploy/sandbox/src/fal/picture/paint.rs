//! One function for each kind of work.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use image::imageops::{self, FilterType};
use image::{DynamicImage, Rgb, RgbImage};

use super::backdrop;
use super::text::{Area, Letters};
use crate::fal::endpoints::Work;
use crate::fal::input::{Size, Task};

/// Most pixels of an output.
const PIXELS_MAX: u64 = 64_000_000;

/// Makes pictures; one font for all.
pub(in crate::fal) struct Painter {
    letters: Mutex<Letters>,
}

impl fmt::Debug for Painter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Painter").finish_non_exhaustive()
    }
}

impl Painter {
    pub(in crate::fal) fn new() -> Self {
        Self { letters: Mutex::new(Letters::new()) }
    }

    /// Does the work; `None` when the output would be too large.
    pub(in crate::fal) fn make(
        &self,
        work: Work,
        task: &Task,
        inputs: &[DynamicImage],
        number: u64,
    ) -> Option<DynamicImage> {
        let (width, height) = sides(task.size, inputs)?;
        let seed = task.seed.wrapping_add(number);
        Some(match (work, inputs) {
            (Work::FaceSwap { .. }, [target, face, ..]) => face_swap(target, face),
            (Work::Retouch { .. }, [picture, ..]) => retouch(picture, width, height),
            (Work::Upscale { .. }, [picture, ..]) => {
                picture.resize_exact(width, height, FilterType::CatmullRom)
            }
            (Work::Edit, [picture]) => self.edit(picture, task, (width, height)),
            (Work::Edit, pictures @ [_, _, ..]) => {
                let ground = backdrop::draw(&task.prompt, seed, width, height);
                self.merge(&ground, pictures, &task.prompt)
            }
            _ => self.generate(&task.prompt, seed, (width, height)),
        })
    }

    fn generate(&self, prompt: &str, seed: u64, (width, height): (u32, u32)) -> DynamicImage {
        let mut picture = backdrop::draw(prompt, seed, width, height).to_rgb8();
        let (x, y) = (width / 16, height / 8);
        let area = Area { x, y, width: width - 2 * x, height: height - 2 * y };
        self.write(&mut picture, area, prompt);
        picture.into()
    }

    /// The colours turn, and the prompt stands below.
    fn edit(
        &self,
        picture: &DynamicImage,
        task: &Task,
        (width, height): (u32, u32),
    ) -> DynamicImage {
        let turn = 60 + i32::from(u8::try_from(task.seed % 180).unwrap_or(0));
        let mut edited =
            picture.resize_to_fill(width, height, FilterType::CatmullRom).huerotate(turn).to_rgb8();
        self.caption(&mut edited, &task.prompt);
        edited.into()
    }

    /// All pictures beside each other, the prompt below.
    fn merge(
        &self,
        ground: &DynamicImage,
        pictures: &[DynamicImage],
        prompt: &str,
    ) -> DynamicImage {
        let mut merged = ground.to_rgb8();
        let count = u32::try_from(pictures.len()).unwrap_or(u32::MAX);
        let columns = if count <= 3 { count } else { count.isqrt() + 1 };
        let rows = count.div_ceil(columns);
        let shown = merged.height() - caption_height(&merged);
        let cell = (merged.width() / columns, shown / rows);
        let gap = cell.0.min(cell.1) / 24;
        for (index, picture) in (0_u32..).zip(pictures) {
            let fitted = picture.resize(
                cell.0.saturating_sub(2 * gap).max(1),
                cell.1.saturating_sub(2 * gap).max(1),
                FilterType::CatmullRom,
            );
            let x = cell.0 * (index % columns) + (cell.0 - fitted.width().min(cell.0)) / 2;
            let y = cell.1 * (index / columns) + (cell.1 - fitted.height().min(cell.1)) / 2;
            imageops::replace(&mut merged, &fitted.to_rgb8(), x.into(), y.into());
        }
        self.caption(&mut merged, prompt);
        merged.into()
    }

    fn caption(&self, picture: &mut RgbImage, text: &str) {
        let height = caption_height(picture);
        let area = Area { x: 0, y: picture.height() - height, width: picture.width(), height };
        self.write(picture, area, text);
    }

    fn write(&self, picture: &mut RgbImage, area: Area, text: &str) {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner).write(picture, area, text);
    }
}

fn caption_height(picture: &RgbImage) -> u32 {
    picture.height() / 5
}

/// The face in an oval, where a face would be.
fn face_swap(target: &DynamicImage, face: &DynamicImage) -> DynamicImage {
    let mut swapped = target.to_rgb8();
    let (width, height) = swapped.dimensions();
    let side = width.min(height);
    let (oval_width, oval_height) = ((side * 2 / 5).max(4), (side / 2).max(4));
    let face = face.resize_to_fill(oval_width, oval_height, FilterType::CatmullRom).to_rgb8();
    let left = (width - oval_width) / 2;
    let top = (height - oval_height) / 4;
    let (half_width, half_height) = (i64::from(oval_width), i64::from(oval_height));
    for (x, y, pixel) in face.enumerate_pixels() {
        // Twice the distance from the centre, in thousandths of the oval's own radius, squared.
        let dx = (2 * i64::from(x) + 1 - half_width) * 1000 / half_width;
        let dy = (2 * i64::from(y) + 1 - half_height) * 1000 / half_height;
        let distance = dx * dx + dy * dy;
        if distance <= 920_000 {
            swapped.put_pixel(left + x, top + y, *pixel);
        } else if distance <= 1_000_000 {
            swapped.put_pixel(left + x, top + y, Rgb([255, 255, 255]));
        }
    }
    swapped.into()
}

/// Smoother and brighter.
fn retouch(picture: &DynamicImage, width: u32, height: u32) -> DynamicImage {
    let softness = match picture.width().max(picture.height()) {
        0..=400 => 1.0,
        401..=1200 => 2.0,
        _ => 3.5,
    };
    let smooth = picture.fast_blur(softness).brighten(22);
    if (smooth.width(), smooth.height()) == (width, height) {
        return smooth;
    }
    smooth.resize_exact(width, height, FilterType::CatmullRom)
}

/// The sides of the output; `None` when there would be too many pixels.
fn sides(size: Size, inputs: &[DynamicImage]) -> Option<(u32, u32)> {
    let first = inputs.first().map_or((1, 1), |first| (first.width(), first.height()));
    let (width, height) = match size {
        Size::Exact { width, height } => (u64::from(width), u64::from(height)),
        Size::Ratio { width, height, pixels } => shaped(width, height, pixels),
        // Several pictures beside each other need a wide one.
        Size::Auto { pixels } if inputs.len() > 1 => shaped(4, 3, pixels),
        Size::Auto { pixels } => shaped(first.0, first.1, pixels),
        Size::Scaled { thousandths } => {
            let scaled = |side: u32| (u64::from(side) * thousandths / 1000).max(1);
            (scaled(first.0), scaled(first.1))
        }
        Size::ShortSide { pixels } => {
            let short = u64::from(first.0.min(first.1)).max(1);
            let scaled = |side: u32| (u64::from(side) * u64::from(pixels) / short).max(1);
            (scaled(first.0), scaled(first.1))
        }
    };
    if width.checked_mul(height)? > PIXELS_MAX {
        return None;
    }
    Some((u32::try_from(width).ok()?, u32::try_from(height).ok()?))
}

/// So many pixels in this shape, the sides in steps of 8 as models have them.
fn shaped(width: u32, height: u32, pixels: u64) -> (u64, u64) {
    let (width, height) = (u64::from(width.max(1)), u64::from(height.max(1)));
    let wide = (pixels * width / height).isqrt().max(8);
    let high = (pixels * height / width).isqrt().max(8);
    (wide / 8 * 8, high / 8 * 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_follows_the_wish_and_the_input() {
        let input = [DynamicImage::new_rgb8(300, 200)];

        assert_eq!(sides(Size::Scaled { thousandths: 2000 }, &input), Some((600, 400)));
        assert_eq!(sides(Size::Scaled { thousandths: 1500 }, &input), Some((450, 300)));
        assert_eq!(sides(Size::ShortSide { pixels: 720 }, &input), Some((1080, 720)));
        assert_eq!(sides(Size::Auto { pixels: 1024 * 1024 }, &[]), Some((1024, 1024)));
        let wide = Size::Ratio { width: 16, height: 9, pixels: 1024 * 1024 };
        assert_eq!(sides(wide, &[]), Some((1360, 768)));
        assert_eq!(sides(Size::Scaled { thousandths: 10_000_000 }, &input), None);
    }
}
