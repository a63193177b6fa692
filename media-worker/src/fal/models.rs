//! Which endpoint does each mode, what it is sent, and what it costs us.
//!
//! Invariant: the second picture of a face swap has the face; which field that is, the file says.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Number, Value, json};

use crate::domain::{Format, MicroUsd, Mode, RequestError, Units, Work};

/// Pixels of the largest result of an upscale: at the usual JPEG density it stays below 20 MB.
const UPSCALE_PIXELS_MAX: u64 = 24_000_000;
/// The longest side that a result may have.
const UPSCALE_SIDE_MAX: u64 = 16_000;
/// In hundredths: as large as it is.
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
    /// Its name for users.
    pub title: String,
    /// Whether users may ask for it, or it only takes over from others.
    pub is_offered: bool,
    /// The languages of prompts that it understands, as ISO 639-1 codes; empty where it is not
    /// known to be limited.
    pub languages: Vec<String>,
    /// The longest prompt, in characters.
    pub prompt_max: usize,
    /// The first is its default; empty for all modes but upscale.
    pub upscale_factors: Vec<i64>,
    /// Endpoint id.
    pub endpoint: String,
    pub(super) prompt: Option<String>,
    pub(super) pictures: Pictures,
    pub(super) factor: Option<String>,
    pub(super) seed: Option<String>,
    pub(super) fixed: Map<String, Value>,
    pub(super) formats: BTreeMap<Format, Map<String, Value>>,
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

    /// Checks that what a job is asked for is offered.
    ///
    /// # Errors
    /// The first thing that is not.
    pub fn check(&self, work: &Work) -> Result<(), NotOffered> {
        let is_asked = |model: &&Model| {
            model.mode == work.mode
                && model.is_offered
                && (work.model.is_empty() || model.name == work.model)
        };
        let model = self.0.iter().find(is_asked).ok_or(NotOffered::Model)?;
        if !model.takes_format(work) {
            return Err(NotOffered::Format);
        }
        if !model.takes_factor(work) {
            return Err(NotOffered::UpscaleFactor);
        }
        if !model.takes_prompt(work) {
            return Err(RequestError::PromptTooLong { max: model.prompt_max }.into());
        }
        Ok(())
    }

    /// The endpoint that does a job now: the model that was asked for, or else the next one in
    /// order that can do the same and has not failed it.
    pub fn next(&self, work: &Work, failed: &[String]) -> Option<&Model> {
        let is_left = |model: &&Model| {
            model.mode == work.mode && !failed.contains(&model.endpoint) && model.can_do(work)
        };
        let asked = self.0.iter().filter(is_left).find(|model| model.name == work.model);
        asked.or_else(|| self.0.iter().find(is_left))
    }

    /// The model of a mode that uses this endpoint.
    pub fn of_endpoint(&self, mode: Mode, endpoint: &str) -> Option<&Model> {
        self.0.iter().find(|model| model.mode == mode && model.endpoint == endpoint)
    }
}

/// What a job asks for, and no model of its mode offers.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NotOffered {
    /// The model.
    #[error("no such model is offered for this mode")]
    Model,
    /// The format.
    #[error("the model has no such format")]
    Format,
    /// The upscale factor.
    #[error("the model has no such factor")]
    UpscaleFactor,
    /// The prompt.
    #[error(transparent)]
    Request(#[from] RequestError),
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
    /// The formats that may be asked of it.
    pub fn formats(&self) -> impl Iterator<Item = Format> {
        self.formats.keys().copied()
    }

    fn can_do(&self, work: &Work) -> bool {
        self.takes_format(work) && self.takes_factor(work) && self.takes_prompt(work)
    }

    fn takes_format(&self, work: &Work) -> bool {
        work.choices.format.is_none_or(|format| self.formats.contains_key(&format))
    }

    fn takes_factor(&self, work: &Work) -> bool {
        work.choices.upscale_factor.is_none_or(|factor| self.upscale_factors.contains(&factor))
    }

    fn takes_prompt(&self, work: &Work) -> bool {
        work.prompt.chars().count() <= self.prompt_max
    }

    /// The body of a submit. `seed` makes the picture unlike others, and the request one that can
    /// be told from all others in fal's history.
    pub fn body(&self, work: &Work, inputs: &[ModelInput], seed: u32) -> Value {
        let url = |nth: usize| json!(inputs.get(nth).map_or("", |input| input.url.as_str()));
        let mut body = self.fixed.clone();
        if let Some(field) = &self.prompt {
            body.insert(field.clone(), json!(work.prompt));
        }
        if let Some(fields) = work.choices.format.and_then(|format| self.formats.get(&format)) {
            body.extend(fields.clone());
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
            let wanted = work.choices.upscale_factor.or(self.upscale_factors.first().copied());
            let factor = upscale_factor(width, height, wanted.unwrap_or(1));
            body.insert(field.clone(), Value::Number(factor));
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

/// So many times the size, or less where the result would be too large; exact in hundredths.
fn upscale_factor(width: i64, height: i64, wanted: i64) -> Number {
    let wanted = u64::try_from(wanted).unwrap_or(1).max(1).saturating_mul(100);
    let width = u64::try_from(width).unwrap_or(0).max(1);
    let height = u64::try_from(height).unwrap_or(0).max(1);
    let by_pixels = (UPSCALE_PIXELS_MAX * 10_000 / (width * height).max(1)).isqrt();
    let by_side = UPSCALE_SIDE_MAX * 100 / width.max(height);
    let hundredths = by_pixels.min(by_side).clamp(UPSCALE_MIN, wanted);
    if hundredths.is_multiple_of(100) {
        return Number::from(hundredths / 100);
    }
    let text = format!("{}.{:02}", hundredths / 100, hundredths % 100);
    text.parse().unwrap_or_else(|_| Number::from(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Choices;

    fn inputs(count: usize) -> Vec<ModelInput> {
        (1..=count)
            .map(|nth| ModelInput { url: format!("https://x/{nth}.png"), width: 800, height: 600 })
            .collect()
    }

    fn built_in() -> Models {
        Models::load(None).unwrap()
    }

    fn work(mode: Mode, model: &str) -> Work {
        let (model, prompt) = (model.to_owned(), "words".to_owned());
        Work { mode, model, prompt, inputs: Vec::new(), choices: Choices::default() }
    }

    #[track_caller]
    fn check(mode: Mode, endpoint: &str, count: usize, expected: Value) {
        let models = built_in();
        let model = models.of_endpoint(mode, endpoint).expect("a model");
        let body = model.body(&work(mode, ""), &inputs(count), 7);
        assert_eq!(body, expected, "{mode} {endpoint}");
    }

    #[track_caller]
    fn check_chosen(mode: Mode, endpoint: &str, choices: Choices, expected: &Value) {
        let models = built_in();
        let model = models.of_endpoint(mode, endpoint).expect("a model");
        let body = model.body(&Work { choices, ..work(mode, "") }, &inputs(1), 7);
        for (field, value) in expected.as_object().unwrap() {
            assert_eq!(&body[field], value, "{mode} {endpoint} {field}");
        }
    }

    #[test]
    fn each_endpoint_is_told_the_format_in_its_own_words() {
        let check = |mode, endpoint, format, expected: Value| {
            let choices = Choices { format: Some(format), upscale_factor: None };
            check_chosen(mode, endpoint, choices, &expected);
        };
        let nano = "fal-ai/nano-banana-2";
        check(Mode::Generate, nano, Format::Vertical, json!({"aspect_ratio": "3:4"}));
        check(Mode::Generate, nano, Format::Square, json!({"aspect_ratio": "1:1"}));
        check(Mode::Generate, nano, Format::Horizontal, json!({"aspect_ratio": "4:3"}));
        let flux = "fal-ai/flux-2-pro";
        check(Mode::Generate, flux, Format::Vertical, json!({"image_size": "portrait_4_3"}));
        check(Mode::Generate, flux, Format::Square, json!({"image_size": "square_hd"}));
        check(Mode::Generate, flux, Format::Horizontal, json!({"image_size": "landscape_4_3"}));
        let merge = "fal-ai/nano-banana-2/edit";
        check(Mode::Merge, merge, Format::Square, json!({"aspect_ratio": "1:1", "num_images": 1}));
        let sizes = json!({"image_size": {"width": 1920, "height": 2560}});
        check(Mode::Merge, "fal-ai/bytedance/seedream/v4.5/edit", Format::Vertical, sizes);
    }

    #[test]
    fn an_upscale_is_told_the_factor_that_was_chosen_or_its_default() {
        let check = |upscale_factor, expected: Value| {
            let choices = Choices { format: None, upscale_factor };
            check_chosen(Mode::Upscale, "fal-ai/seedvr/upscale/image", choices, &expected);
        };
        check(None, json!({"upscale_factor": 2}));
        check(Some(2), json!({"upscale_factor": 2}));
        check(Some(4), json!({"upscale_factor": 4}));
    }

    #[test]
    fn only_what_is_offered_is_taken() {
        let models = built_in();
        let choose = |mode, model, format, upscale_factor| {
            models.check(&Work { choices: Choices { format, upscale_factor }, ..work(mode, model) })
        };
        let square = Some(Format::Square);
        assert_eq!(choose(Mode::Generate, "", None, None), Ok(()));
        assert_eq!(choose(Mode::Generate, "flux-2-pro", square, None), Ok(()));
        assert_eq!(choose(Mode::Upscale, "", None, Some(4)), Ok(()));
        assert_eq!(choose(Mode::Generate, "retoucher", None, None), Err(NotOffered::Model));
        assert_eq!(choose(Mode::Upscale, "clarity-upscaler", None, None), Err(NotOffered::Model));
        assert_eq!(choose(Mode::Edit, "", square, None), Err(NotOffered::Format));
        assert_eq!(choose(Mode::Upscale, "", None, Some(3)), Err(NotOffered::UpscaleFactor));
        assert_eq!(choose(Mode::Edit, "", None, Some(2)), Err(NotOffered::UpscaleFactor));
    }

    #[test]
    fn only_a_model_that_can_do_the_same_takes_over() {
        let text = include_str!("../../assets/models.toml");
        let vertical = "formats.vertical = { image_size = \"portrait_4_3\" }";
        assert!(text.contains(vertical));
        let text = text.replacen(vertical, "prompt_max = 10", 1);
        let models = Models::parse(&text).unwrap();
        let next = |format, prompt: &str| {
            let choices = Choices { format, upscale_factor: None };
            let work = Work { choices, prompt: prompt.to_owned(), ..work(Mode::Generate, "") };
            models.next(&work, &["fal-ai/nano-banana-2".to_owned()]).is_some()
        };
        assert!(next(None, "words"));
        assert!(next(Some(Format::Square), "words"));
        assert!(!next(Some(Format::Vertical), "words"));
        assert!(!next(None, "words and more"));
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
            let next = models.next(&work(Mode::Generate, name), &failed);
            next.map(|model| model.endpoint.as_str())
        };
        let (nano, flux) = ("fal-ai/nano-banana-2", "fal-ai/flux-2-pro");
        assert_eq!(next("", &[]), Some(nano));
        assert_eq!(next("", &[nano]), Some(flux));
        assert_eq!(next("flux-2-pro", &[]), Some(flux));
        assert_eq!(next("flux-2-pro", &[flux]), Some(nano));
        assert_eq!(next("", &[nano, flux]), None);
    }

    #[test]
    fn an_upscale_is_as_large_as_wanted_or_as_allowed() {
        let check = |width, height, wanted, factor: &str| {
            let found = upscale_factor(width, height, wanted).to_string();
            assert_eq!(found, factor, "{width}x{height} {wanted} times");
        };
        check(800, 600, 2, "2");
        check(800, 600, 4, "4");
        check(3000, 2000, 2, "2");
        check(3000, 2000, 4, "2");
        check(4000, 3000, 2, "1.41");
        check(6000, 4000, 2, "1");
        check(8000, 6000, 4, "1");
        check(10_000, 100, 2, "1.6");
        check(0, 0, 2, "2");
    }

    #[test]
    fn cost_follows_what_fal_reports_and_else_the_table() {
        let cost = |mode, units: Option<&str>| {
            let reported = units.and_then(Units::parse);
            built_in().next(&work(mode, ""), &[]).unwrap().cost(reported, 2000, 1500).get()
        };
        assert_eq!(cost(Mode::Generate, Some("1")), 80_000);
        assert_eq!(cost(Mode::Generate, None), 80_000);
        assert_eq!(cost(Mode::Upscale, Some("3.2")), 3_200);
        assert_eq!(cost(Mode::Upscale, None), 3_000);
        assert_eq!(cost(Mode::FaceSwap, Some("nonsense")), 1_000);
    }
}
