//! Which endpoint does each mode, what it is sent, and what it costs us.
//!
//! Invariant: which photo is the face is said here and nowhere else.

use serde_json::{Map, Number, Value, json};

use crate::domain::{MicroUsd, Mode, Units};

/// Pixels of the largest result of an upscale: at the usual JPEG density it stays below 20 MB.
const UPSCALE_PIXELS_MAX: u64 = 24_000_000;
/// The longest side that a result may have.
const UPSCALE_SIDE_MAX: u64 = 16_000;
/// Twice the size, in hundredths.
const UPSCALE_MAX: u64 = 200;
const UPSCALE_MIN: u64 = 100;

/// What a unit of an endpoint is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Unit {
    Picture,
    OutputMegapixel,
}

/// One endpoint.
#[derive(Debug)]
pub struct Model {
    /// The mode that it does.
    pub mode: Mode,
    /// Endpoint id.
    pub endpoint: &'static str,
    unit: Unit,
    unit_price: MicroUsd,
    /// Whether it takes a `seed`.
    seed: bool,
}

/// The table: the default endpoint of each mode. Prices that are not published are set above what
/// was seen, so that what we report is never too little.
static MODELS: [Model; 6] = [
    Model {
        mode: Mode::Generate,
        endpoint: "fal-ai/nano-banana-2",
        unit: Unit::Picture,
        unit_price: MicroUsd::new(80_000),
        seed: true,
    },
    Model {
        mode: Mode::Edit,
        endpoint: "fal-ai/nano-banana-2/edit",
        unit: Unit::Picture,
        unit_price: MicroUsd::new(80_000),
        seed: true,
    },
    Model {
        mode: Mode::Merge,
        endpoint: "fal-ai/nano-banana-2/edit",
        unit: Unit::Picture,
        unit_price: MicroUsd::new(80_000),
        seed: true,
    },
    Model {
        mode: Mode::FaceSwap,
        endpoint: "fal-ai/face-swap",
        unit: Unit::Picture,
        unit_price: MicroUsd::new(1_000),
        seed: false,
    },
    Model {
        mode: Mode::Retouch,
        endpoint: "fal-ai/retoucher",
        unit: Unit::Picture,
        unit_price: MicroUsd::new(40_000),
        seed: true,
    },
    Model {
        mode: Mode::Upscale,
        endpoint: "fal-ai/seedvr/upscale/image",
        unit: Unit::OutputMegapixel,
        unit_price: MicroUsd::new(1_000),
        seed: true,
    },
];

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
    /// The mode's endpoint; `name` is empty or the endpoint's id.
    pub fn find(mode: Mode, name: &str) -> Option<&'static Self> {
        MODELS
            .iter()
            .find(|model| model.mode == mode && (name.is_empty() || name == model.endpoint))
    }

    /// The body of a submit. `seed` makes the picture unlike others, and the request one that can
    /// be told from all others in fal's history.
    pub fn body(&self, prompt: &str, inputs: &[ModelInput], seed: u32) -> Value {
        let url = |nth: usize| inputs.get(nth).map_or("", |input| input.url.as_str());
        let urls = || inputs.iter().map(|input| input.url.as_str()).collect::<Vec<_>>();
        let mut body = Map::new();
        let mut set = |key: &str, value: Value| body.insert(key.to_owned(), value);
        match self.mode {
            Mode::Generate => {
                set("prompt", json!(prompt));
                set("num_images", json!(1));
            }
            Mode::Edit | Mode::Merge => {
                set("prompt", json!(prompt));
                set("image_urls", json!(urls()));
                set("num_images", json!(1));
            }
            Mode::FaceSwap => {
                set("base_image_url", json!(url(0)));
                set("swap_image_url", json!(url(1)));
            }
            Mode::Retouch => {
                set("image_url", json!(url(0)));
            }
            Mode::Upscale => {
                let (width, height) =
                    inputs.first().map_or((1, 1), |input| (input.width, input.height));
                set("image_url", json!(url(0)));
                set("upscale_mode", json!("factor"));
                set("upscale_factor", Value::Number(upscale_factor(width, height)));
                set("output_format", json!("jpg"));
            }
        }
        if self.seed {
            set("seed", json!(seed));
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

    #[track_caller]
    fn check(mode: Mode, endpoint: &str, count: usize, expected: Value) {
        let model = Model::find(mode, "").unwrap();
        assert_eq!(model.endpoint, endpoint);
        assert_eq!(model.body("words", &inputs(count), 7), expected, "{mode}");
    }

    #[test]
    fn each_mode_sends_what_its_endpoint_reads() {
        check(
            Mode::Generate,
            "fal-ai/nano-banana-2",
            0,
            json!({"prompt": "words", "num_images": 1, "seed": 7}),
        );
        check(
            Mode::Edit,
            "fal-ai/nano-banana-2/edit",
            1,
            json!({"prompt": "words", "num_images": 1, "image_urls": ["https://x/1.png"], "seed": 7}),
        );
        check(
            Mode::Merge,
            "fal-ai/nano-banana-2/edit",
            2,
            json!({"prompt": "words", "num_images": 1,
                "image_urls": ["https://x/1.png", "https://x/2.png"], "seed": 7}),
        );
        check(
            Mode::FaceSwap,
            "fal-ai/face-swap",
            2,
            json!({"base_image_url": "https://x/1.png", "swap_image_url": "https://x/2.png"}),
        );
        check(
            Mode::Retouch,
            "fal-ai/retoucher",
            1,
            json!({"image_url": "https://x/1.png", "seed": 7}),
        );
        check(
            Mode::Upscale,
            "fal-ai/seedvr/upscale/image",
            1,
            json!({"image_url": "https://x/1.png", "upscale_mode": "factor", "upscale_factor": 2,
                "output_format": "jpg", "seed": 7}),
        );
    }

    #[test]
    fn every_mode_has_one_default_and_no_model_of_another() {
        for mode in Mode::ALL {
            let model = Model::find(mode, "").unwrap();
            assert!(Model::find(mode, model.endpoint).is_some());
            assert!(Model::find(mode, "fal-ai/unheard-of").is_none());
        }
        assert!(Model::find(Mode::Generate, "fal-ai/retoucher").is_none());
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
            Model::find(mode, "").unwrap().cost(reported, 2000, 1500).get()
        };
        assert_eq!(cost(Mode::Generate, Some("1")), 80_000);
        assert_eq!(cost(Mode::Generate, None), 80_000);
        assert_eq!(cost(Mode::Upscale, Some("3.2")), 3_200);
        assert_eq!(cost(Mode::Upscale, None), 3_000);
        assert_eq!(cost(Mode::FaceSwap, Some("nonsense")), 1_000);
    }
}
