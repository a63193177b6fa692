//! Which endpoint does each mode, what it is sent, and what it costs us.
//!
//! Invariant: the second picture of a face swap has the face; which field that is, the file says.

use serde::Deserialize;
use serde_json::{Map, Number, Value, json};

use crate::domain::{MicroUsd, Mode, Units};

/// Pixels of the largest result of an upscale: at the usual JPEG density it stays below 20 MB.
const UPSCALE_PIXELS_MAX: u64 = 24_000_000;
/// The longest side that a result may have.
const UPSCALE_SIDE_MAX: u64 = 16_000;
/// Twice the size, in hundredths.
const UPSCALE_MAX: u64 = 200;
const UPSCALE_MIN: u64 = 100;

/// What fal charges for.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(super) enum Unit {
    Picture,
    OutputMegapixel,
}

/// How an endpoint is told its pictures.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Pictures {
    None,
    /// The first, by this name.
    One(String),
    /// A list of all, by this name.
    All(String),
    /// The first and the second, by these names: the second has the face.
    Swap {
        target: String,
        face: String,
    },
}

/// One endpoint, as one mode uses it.
#[derive(Clone, Debug)]
pub struct Model {
    /// The mode that it does.
    pub mode: Mode,
    /// Its name in billing's price list.
    pub name: String,
    /// Endpoint id.
    pub endpoint: String,
    pub(super) prompt: Option<String>,
    pub(super) pictures: Pictures,
    pub(super) factor: Option<String>,
    pub(super) seed: Option<String>,
    pub(super) fixed: Map<String, Value>,
    pub(super) unit: Unit,
    pub(super) unit_price: MicroUsd,
}

/// All models, by mode and in order: the first of a mode is its default.
#[derive(Debug)]
pub struct Models(Vec<Model>);

impl Models {
    pub(super) fn new(models: Vec<Model>) -> Self {
        Self(models)
    }

    /// All of them.
    pub fn all(&self) -> &[Model] {
        &self.0
    }

    /// Whether jobs of a mode may ask for this model; the empty name is the default.
    pub fn has(&self, mode: Mode, name: &str) -> bool {
        self.0.iter().any(|model| model.mode == mode && (name.is_empty() || model.name == name))
    }

    /// The endpoint that does a job now: the model that was asked for, or else the next one in
    /// order that has not failed it.
    pub fn next(&self, mode: Mode, name: &str, failed: &[String]) -> Option<&Model> {
        let is_left = |model: &&Model| model.mode == mode && !failed.contains(&model.endpoint);
        let asked = self.0.iter().filter(is_left).find(|model| model.name == name);
        asked.or_else(|| self.0.iter().find(is_left))
    }

    /// The model of a mode that uses this endpoint.
    pub fn of_endpoint(&self, mode: Mode, endpoint: &str) -> Option<&Model> {
        self.0.iter().find(|model| model.mode == mode && model.endpoint == endpoint)
    }
}

/// An input as an endpoint is told of it.
#[derive(Clone, Debug)]
pub struct ModelInput {
    /// Where fal.ai reads it.
    pub url: String,
    /// Pixels.
    pub width: i64,
    /// Pixels.
    pub height: i64,
}

impl Model {
    /// The body of a submit. `seed` makes the picture unlike others, and the request one that can
    /// be told from all others in fal's history.
    pub fn body(&self, prompt: &str, inputs: &[ModelInput], seed: u32) -> Value {
        let url = |nth: usize| json!(inputs.get(nth).map_or("", |input| input.url.as_str()));
        let mut body = self.fixed.clone();
        if let Some(field) = &self.prompt {
            body.insert(field.clone(), json!(prompt));
        }
        match &self.pictures {
            Pictures::None => {}
            Pictures::One(field) => {
                body.insert(field.clone(), url(0));
            }
            Pictures::All(field) => {
                let urls: Vec<_> = inputs.iter().map(|input| input.url.as_str()).collect();
                body.insert(field.clone(), json!(urls));
            }
            Pictures::Swap { target, face } => {
                body.insert(target.clone(), url(0));
                body.insert(face.clone(), url(1));
            }
        }
        if let Some(field) = &self.factor {
            let (width, height) =
                inputs.first().map_or((1, 1), |input| (input.width, input.height));
            body.insert(field.clone(), Value::Number(upscale_factor(width, height)));
        }
        if let Some(field) = &self.seed {
            body.insert(field.clone(), json!(seed));
        }
        Value::Object(body)
    }

    /// What a picture of this size cost us: by the units that fal reported, or, where it reported
    /// none, by what the table says one takes.
    pub fn cost(&self, reported: Option<Units>, width: u32, height: u32) -> MicroUsd {
        let expected = match self.unit {
            Unit::Picture => Units::whole(1),
            Unit::OutputMegapixel => {
                let pixels = u64::from(width) * u64::from(height);
                Units::whole(u32::try_from(pixels.div_ceil(1_000_000)).unwrap_or(u32::MAX))
            }
        };
        reported.unwrap_or(expected).cost_rounded_up(self.unit_price)
    }
}

/// Twice the size, or less where the result would be too large; exact in hundredths.
fn upscale_factor(width: i64, height: i64) -> Number {
    let width = u64::try_from(width).unwrap_or(0).max(1);
    let height = u64::try_from(height).unwrap_or(0).max(1);
    let by_pixels = (UPSCALE_PIXELS_MAX * 10_000 / (width * height).max(1)).isqrt();
    let by_side = UPSCALE_SIDE_MAX * 100 / width.max(height);
    let hundredths = by_pixels.min(by_side).clamp(UPSCALE_MIN, UPSCALE_MAX);
    if hundredths.is_multiple_of(100) {
        return Number::from(hundredths / 100);
    }
    let text = format!("{}.{:02}", hundredths / 100, hundredths % 100);
    text.parse().unwrap_or_else(|_| Number::from(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(count: usize) -> Vec<ModelInput> {
        (1..=count)
            .map(|nth| ModelInput { url: format!("https://x/{nth}.png"), width: 800, height: 600 })
            .collect()
    }

    fn built_in() -> Models {
        Models::load(None).unwrap()
    }

    #[track_caller]
    fn check(mode: Mode, endpoint: &str, count: usize, expected: Value) {
        let models = built_in();
        let model = models.of_endpoint(mode, endpoint).expect("a model");
        assert_eq!(model.body("words", &inputs(count), 7), expected, "{mode} {endpoint}");
    }

    /// As the endpoints' published schemas have them.
    #[test]
    fn each_endpoint_is_sent_what_it_reads() {
        let (one, two) = ("https://x/1.png", "https://x/2.png");
        let nano = json!({"prompt": "words", "num_images": 1, "seed": 7});
        check(Mode::Generate, "fal-ai/nano-banana-2", 0, nano);
        let flux = json!({"prompt": "words", "seed": 7});
        check(Mode::Generate, "fal-ai/flux-2-pro", 0, flux);
        let nano = json!({"prompt": "words", "num_images": 1, "image_urls": [one], "seed": 7});
        check(Mode::Edit, "fal-ai/nano-banana-2/edit", 1, nano);
        let flux = json!({"prompt": "words", "image_urls": [one], "seed": 7});
        check(Mode::Edit, "fal-ai/flux-2-pro/edit", 1, flux);
        let both = json!({"prompt": "words", "num_images": 1, "image_urls": [one, two], "seed": 7});
        check(Mode::Merge, "fal-ai/nano-banana-2/edit", 2, both.clone());
        check(Mode::Merge, "fal-ai/bytedance/seedream/v4.5/edit", 2, both);
        let swap = json!({"base_image_url": one, "swap_image_url": two});
        check(Mode::FaceSwap, "fal-ai/face-swap", 2, swap);
        let swap = json!({"target_image_url": one, "source_face_url": two});
        check(Mode::FaceSwap, "half-moon-ai/ai-face-swap/faceswapimage", 2, swap);
        let retouch = json!({"image_url": one, "seed": 7});
        check(Mode::Retouch, "fal-ai/retoucher", 1, retouch.clone());
        check(Mode::Retouch, "fal-ai/image-editing/retouch", 1, retouch);
        let seedvr = json!({"image_url": one, "upscale_mode": "factor", "upscale_factor": 2,
            "output_format": "jpg", "seed": 7});
        check(Mode::Upscale, "fal-ai/seedvr/upscale/image", 1, seedvr);
        let clarity = json!({"image_url": one, "upscale_factor": 2, "seed": 7});
        check(Mode::Upscale, "fal-ai/clarity-upscaler", 1, clarity);
    }

    #[test]
    fn what_was_asked_for_comes_first_and_then_the_others_in_order() {
        let models = built_in();
        let next = |name: &str, failed: &[&str]| {
            let failed: Vec<String> = failed.iter().map(ToString::to_string).collect();
            models.next(Mode::Generate, name, &failed).map(|model| model.endpoint.as_str())
        };
        let (nano, flux) = ("fal-ai/nano-banana-2", "fal-ai/flux-2-pro");
        assert_eq!(next("", &[]), Some(nano));
        assert_eq!(next("", &[nano]), Some(flux));
        assert_eq!(next("flux-2-pro", &[]), Some(flux));
        assert_eq!(next("flux-2-pro", &[flux]), Some(nano));
        assert_eq!(next("", &[nano, flux]), None);
        assert!(models.has(Mode::Generate, "") && models.has(Mode::Generate, "flux-2-pro"));
        assert!(!models.has(Mode::Generate, "retoucher"));
    }

    #[test]
    fn an_upscale_is_twice_as_large_or_as_large_as_allowed() {
        let check = |width, height, factor: &str| {
            assert_eq!(upscale_factor(width, height).to_string(), factor, "{width}x{height}");
        };
        check(800, 600, "2");
        check(3000, 2000, "2");
        check(4000, 3000, "1.41");
        check(6000, 4000, "1");
        check(8000, 6000, "1");
        check(10_000, 100, "1.6");
        check(0, 0, "2");
    }

    #[test]
    fn cost_follows_what_fal_reports_and_else_the_table() {
        let cost = |mode, units: Option<&str>| {
            let reported = units.and_then(Units::parse);
            built_in().next(mode, "", &[]).unwrap().cost(reported, 2000, 1500).get()
        };
        assert_eq!(cost(Mode::Generate, Some("1")), 80_000);
        assert_eq!(cost(Mode::Generate, None), 80_000);
        assert_eq!(cost(Mode::Upscale, Some("3.2")), 3_200);
        assert_eq!(cost(Mode::Upscale, None), 3_000);
        assert_eq!(cost(Mode::FaceSwap, Some("nonsense")), 1_000);
    }
}
