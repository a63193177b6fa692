//! Reads a job's input as its endpoint would: every wrong field is named at once.

use serde_json::{Value, json};

use super::endpoints::{Canvas, Endpoint, Factor, Format, Shape, Work};
use super::error::{FieldError, Kind};

/// Longest prompt, in characters.
const PROMPT_MAX: usize = 50_000;
/// Most pictures in `image_urls` that are accepted; some endpoints silently use fewer.
const IMAGES_MAX: usize = 14;
/// Longest side of a picture that is asked for.
const SIDE_MAX: u64 = 4096;

/// A job that can be done.
#[derive(Clone, Debug)]
pub(super) struct Task {
    pub(super) prompt: String,
    /// Where the pictures are, with the field that names each.
    pub(super) sources: Vec<Source>,
    pub(super) count: u64,
    pub(super) format: Format,
    pub(super) size: Size,
    pub(super) seed: u64,
    /// The picture comes back inside the answer.
    pub(super) inline: bool,
}

/// One picture of the input.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) url: String,
    field: &'static str,
    index: Option<usize>,
}

/// How large the output is to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Size {
    Exact {
        width: u32,
        height: u32,
    },
    /// This shape, with so many pixels.
    Ratio {
        width: u32,
        height: u32,
        pixels: u64,
    },
    /// The shape of the first input, with so many pixels.
    Auto {
        pixels: u64,
    },
    /// The input, so many thousandths larger.
    Scaled {
        thousandths: u64,
    },
    /// The input, so that its shorter side has so many pixels.
    ShortSide {
        pixels: u32,
    },
}

impl Source {
    /// What is wrong with the picture itself.
    pub(super) fn wrong(&self, kind: Kind) -> FieldError {
        match self.index {
            Some(index) => FieldError::item(self.field, index, kind),
            None => FieldError::of(self.field, kind),
        }
    }
}

/// Reads the input, or says everything that is wrong with it.
pub(super) fn read(
    endpoint: &Endpoint,
    input: &Value,
    default_seed: u64,
) -> Result<Task, Vec<FieldError>> {
    let mut reader = Reader { input, wrong: Vec::new() };
    let task = Task {
        prompt: reader.prompt(endpoint.work),
        sources: reader.sources(endpoint.work),
        count: reader.count(endpoint.shape),
        format: reader.format(endpoint.formats),
        size: reader.size(endpoint),
        seed: input.get("seed").and_then(Value::as_u64).unwrap_or(default_seed),
        inline: input.get("sync_mode").and_then(Value::as_bool).unwrap_or(false),
    };
    if reader.wrong.is_empty() { Ok(task) } else { Err(reader.wrong) }
}

struct Reader<'a> {
    input: &'a Value,
    wrong: Vec<FieldError>,
}

impl<'a> Reader<'a> {
    /// A field that is there and not `null`.
    fn get(&self, field: &str) -> Option<&'a Value> {
        self.input.get(field).filter(|value| !value.is_null())
    }

    fn refuse(&mut self, field: &str, kind: Kind) {
        self.wrong.push(FieldError::of(field, kind));
    }

    fn prompt(&mut self, work: Work) -> String {
        let needed = matches!(work, Work::Generate | Work::Edit);
        match self.get("prompt") {
            Some(Value::String(prompt)) if needed && prompt.trim().is_empty() => {
                self.refuse("prompt", Kind::StringTooShort);
            }
            Some(Value::String(prompt)) if prompt.chars().count() > PROMPT_MAX => {
                let wrong = FieldError::of("prompt", Kind::StringTooLong);
                self.wrong.push(wrong.with(json!({ "max_length": PROMPT_MAX })));
            }
            Some(Value::String(prompt)) => return prompt.clone(),
            Some(_) => self.refuse("prompt", Kind::StringType),
            None if needed => self.refuse("prompt", Kind::Missing),
            None => {}
        }
        String::new()
    }

    fn sources(&mut self, work: Work) -> Vec<Source> {
        match work {
            Work::Generate => Vec::new(),
            Work::Edit => self.list(),
            Work::FaceSwap { target, face } => {
                [target, face].into_iter().filter_map(|field| self.one(field)).collect()
            }
            Work::Retouch { .. } | Work::Upscale { .. } => {
                self.one("image_url").into_iter().collect()
            }
        }
    }

    fn one(&mut self, field: &'static str) -> Option<Source> {
        match self.get(field) {
            Some(Value::String(url)) => {
                return Some(Source { url: url.clone(), field, index: None });
            }
            Some(_) => self.refuse(field, Kind::StringType),
            None => self.refuse(field, Kind::Missing),
        }
        None
    }

    fn list(&mut self) -> Vec<Source> {
        let field = "image_urls";
        let urls = match self.get(field) {
            Some(Value::Array(urls)) if urls.is_empty() => {
                self.refuse(field, Kind::SequenceTooShort);
                return Vec::new();
            }
            Some(Value::Array(urls)) if urls.len() > IMAGES_MAX => {
                self.refuse(field, Kind::SequenceTooLong);
                return Vec::new();
            }
            Some(Value::Array(urls)) => urls,
            Some(_) => {
                self.refuse(field, Kind::ListType);
                return Vec::new();
            }
            None => {
                self.refuse(field, Kind::Missing);
                return Vec::new();
            }
        };
        let mut sources = Vec::new();
        for (index, url) in urls.iter().enumerate() {
            match url.as_str() {
                Some(url) => {
                    sources.push(Source { url: url.to_owned(), field, index: Some(index) });
                }
                None => self.wrong.push(FieldError::item(field, index, Kind::StringType)),
            }
        }
        sources
    }

    fn count(&mut self, shape: Shape) -> u64 {
        let Shape::Images { most } = shape else { return 1 };
        match self.get("num_images") {
            // An endpoint without the field ignores it, as every unknown field.
            Some(_) if most == 1 => 1,
            None => 1,
            Some(count) => match count.as_u64() {
                Some(count) if (1..=most).contains(&count) => count,
                Some(_) => {
                    self.refuse("num_images", Kind::OutOfRange);
                    1
                }
                None => {
                    self.refuse("num_images", Kind::NumberType);
                    1
                }
            },
        }
    }

    fn format(&mut self, formats: &'static [Format]) -> Format {
        let default = formats.first().copied().unwrap_or(Format::Png);
        let Some(wanted) = self.get("output_format").filter(|_| formats.len() > 1) else {
            return default;
        };
        match wanted.as_str().and_then(Format::parse).filter(|format| formats.contains(format)) {
            Some(format) => format,
            None => {
                self.refuse("output_format", Kind::Literal);
                default
            }
        }
    }

    fn size(&mut self, endpoint: &Endpoint) -> Size {
        match (endpoint.work, endpoint.canvas) {
            (Work::Upscale { factor, target_resolution }, _) => {
                if target_resolution && self.text("upscale_mode") == Some("target") {
                    return self.target_resolution();
                }
                self.factor(factor)
            }
            (Work::Retouch { factor: Some(factor) }, _) => self.factor(factor),
            (_, Canvas::Aspect { default }) => self.aspect(default),
            (_, Canvas::Size { default, side }) => self.image_size(default, side),
            (_, Canvas::AsInput) => Size::Scaled { thousandths: 1000 },
        }
    }

    fn text(&self, field: &str) -> Option<&'a str> {
        self.get(field).and_then(Value::as_str)
    }

    fn factor(&mut self, factor: Factor) -> Size {
        let thousandths = match self.get(factor.field) {
            None => factor.default,
            Some(value) => match thousandths(value) {
                Some(wanted) if (factor.min..=factor.max).contains(&wanted) => wanted,
                Some(_) => {
                    self.refuse(factor.field, Kind::OutOfRange);
                    factor.default
                }
                None => {
                    self.refuse(factor.field, Kind::NumberType);
                    factor.default
                }
            },
        };
        Size::Scaled { thousandths }
    }

    fn target_resolution(&mut self) -> Size {
        let pixels = match self.text("target_resolution").unwrap_or("1080p") {
            "720p" => 720,
            "1080p" => 1080,
            "1440p" => 1440,
            "2160p" => 2160,
            _ => {
                self.refuse("target_resolution", Kind::Literal);
                1080
            }
        };
        Size::ShortSide { pixels }
    }

    fn aspect(&mut self, default: &str) -> Size {
        let pixels = match self.text("resolution").unwrap_or("1K") {
            "0.5K" => 512 * 512,
            "1K" => 1024 * 1024,
            "2K" => 2048 * 2048,
            "4K" => 4096 * 4096,
            _ => {
                self.refuse("resolution", Kind::Literal);
                1024 * 1024
            }
        };
        let ratio = self.text("aspect_ratio").unwrap_or(default);
        if ratio == "auto" {
            return Size::Auto { pixels };
        }
        const RATIOS: [&str; 14] = [
            "21:9", "16:9", "3:2", "4:3", "5:4", "1:1", "4:5", "3:4", "2:3", "9:16", "4:1", "1:4",
            "8:1", "1:8",
        ];
        let sides = ratio.split_once(':').filter(|_| RATIOS.contains(&ratio));
        match sides.map(|(width, height)| (width.parse(), height.parse())) {
            Some((Ok(width), Ok(height))) => Size::Ratio { width, height, pixels },
            _ => {
                self.refuse("aspect_ratio", Kind::Literal);
                Size::Auto { pixels }
            }
        }
    }

    fn image_size(&mut self, default: &str, side: u32) -> Size {
        let pixels = u64::from(side) * u64::from(side);
        if let Some(exact) = self.get("image_size").filter(|size| size.is_object()) {
            let side = |name| exact.get(name).and_then(Value::as_u64);
            let allowed = |side: &u64| (64..=SIDE_MAX).contains(side);
            let sides = (side("width").filter(allowed), side("height").filter(allowed));
            if let (Some(width), Some(height)) = sides
                && let (Ok(width), Ok(height)) = (u32::try_from(width), u32::try_from(height))
            {
                return Size::Exact { width, height };
            }
            self.refuse("image_size", Kind::OutOfRange);
            return Size::Auto { pixels };
        }
        let (width, height) = match self.text("image_size").unwrap_or(default) {
            "auto" => return Size::Auto { pixels },
            "auto_1K" => return Size::Auto { pixels: 1024 * 1024 },
            "auto_2K" => return Size::Auto { pixels: 2048 * 2048 },
            "auto_4K" => return Size::Auto { pixels: 4096 * 4096 },
            "square_hd" => (side, side),
            "square" => (side / 2, side / 2),
            "portrait_4_3" => (side / 4 * 3, side),
            "portrait_16_9" => (side / 16 * 9, side),
            "landscape_4_3" => (side, side / 4 * 3),
            "landscape_16_9" => (side, side / 16 * 9),
            _ => {
                self.refuse("image_size", Kind::Literal);
                (side, side)
            }
        };
        Size::Exact { width, height }
    }
}

/// A number of at most three decimals, in thousandths.
fn thousandths(value: &Value) -> Option<u64> {
    let text = value.as_number()?.to_string();
    let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
    if part.len() > 3 {
        return None;
    }
    let whole: u64 = whole.parse().ok()?;
    let part: u64 = format!("{part:0<3}").parse().ok()?;
    whole.checked_mul(1000)?.checked_add(part)
}

#[cfg(test)]
mod tests {
    use super::super::endpoints::find;
    use super::*;

    #[track_caller]
    fn check(endpoint: &str, input: &Value, wrong: usize) {
        let errors = read(find(endpoint).unwrap(), input, 1).err().map_or(0, |all| all.len());
        assert_eq!(errors, wrong, "{endpoint} {input}");
    }

    #[test]
    fn every_wrong_field_is_named() {
        check("fal-ai/nano-banana-2", &json!({ "prompt": "кот" }), 0);
        check("fal-ai/nano-banana-2", &json!({}), 1);
        check("fal-ai/nano-banana-2", &json!({ "prompt": " " }), 1);
        check("fal-ai/nano-banana-2", &json!({ "input": { "prompt": "cat" } }), 1);
        check("fal-ai/nano-banana-2", &json!({ "prompt": "x".repeat(PROMPT_MAX + 1) }), 1);
        check("fal-ai/nano-banana-2", &json!({ "prompt": 1, "output_format": "gif" }), 2);
        check("fal-ai/nano-banana-2/edit", &json!({ "prompt": "x", "image_urls": [] }), 1);
        check("fal-ai/nano-banana-2/edit", &json!({ "prompt": "x", "image_url": "y" }), 1);
        check("fal-ai/face-swap", &json!({ "source_face_url": "a", "target_image_url": "b" }), 2);
        check("fal-ai/face-swap", &json!({ "base_image_url": "a", "swap_image_url": "b" }), 0);
        check("fal-ai/esrgan", &json!({ "image_url": "a", "scale": 9 }), 1);
        check("fal-ai/esrgan", &json!({ "image_url": "a", "scale": "2" }), 1);
        check("fal-ai/flux-2-pro", &json!({ "prompt": "x", "image_size": "huge" }), 1);
    }

    #[test]
    fn sizes_are_what_the_caller_asks_for() {
        let size = |endpoint, input: Value| read(find(endpoint).unwrap(), &input, 1).unwrap().size;

        assert_eq!(
            size("fal-ai/flux-2-pro", json!({ "prompt": "x" })),
            Size::Exact { width: 1024, height: 768 }
        );
        assert_eq!(
            size("fal-ai/nano-banana-2", json!({ "prompt": "x", "aspect_ratio": "16:9" })),
            Size::Ratio { width: 16, height: 9, pixels: 1024 * 1024 }
        );
        assert_eq!(
            size("fal-ai/seedvr/upscale/image", json!({ "image_url": "x", "upscale_factor": 2.5 })),
            Size::Scaled { thousandths: 2500 }
        );
        assert_eq!(
            size(
                "fal-ai/seedvr/upscale/image",
                json!({ "image_url": "x", "upscale_mode": "target" })
            ),
            Size::ShortSide { pixels: 1080 }
        );
    }
}
