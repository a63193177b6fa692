//! The models as people write them: the TOML file that `MODELS_FILE` names, read once at start.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::domain::{Format, MicroUsd, Mode, PROMPT_MAX};

use super::models::{Model, Models, Pictures, Unit};

const BUILT_IN: &str = include_str!("../../assets/models.toml");
/// Decimal places of a price: millionths of a dollar.
const PRICE_PLACES: usize = 6;
/// Longest name, in bytes: what a button in a chat can carry.
const NAME_MAX: usize = 48;
/// Longest title, in characters: what a button in a chat can show.
const TITLE_MAX: usize = 24;
/// No endpoint makes a picture larger.
const FACTOR_MAX: i64 = 10;
/// How much larger an upscale is where the file does not say.
const FACTOR: i64 = 2;

/// Why the models cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ModelFileError {
    /// The file.
    #[error("{} cannot be read: name a file that this process may read, or unset it", .0.display())]
    Unreadable(PathBuf, #[source] std::io::Error),
    /// Its form.
    #[error("it cannot be understood: {0}")]
    Syntax(String),
    /// Its order of things.
    #[error("no model does the mode {mode}: add a [[{mode}]]")]
    NoModel {
        /// The mode without one.
        mode: Mode,
    },
    /// A default that nobody may ask for.
    #[error("the first model of the mode {mode} is its default: offer it, or put another first")]
    FirstNotOffered {
        /// The mode.
        mode: Mode,
    },
    /// One model.
    #[error("the model {name:?} of the mode {mode}: {problem}")]
    Model {
        /// The mode.
        mode: Mode,
        /// The model.
        name: String,
        /// What to write instead.
        problem: &'static str,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    generate: Vec<Entry>,
    #[serde(default)]
    edit: Vec<Entry>,
    #[serde(default)]
    merge: Vec<Entry>,
    #[serde(default)]
    face_swap: Vec<Entry>,
    #[serde(default)]
    retouch: Vec<Entry>,
    #[serde(default)]
    upscale: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    title: Option<String>,
    #[serde(default = "yes")]
    offered: bool,
    #[serde(default)]
    languages: Vec<String>,
    endpoint: String,
    prompt: Option<String>,
    image: Option<String>,
    images: Option<String>,
    target: Option<String>,
    face: Option<String>,
    factor: Option<String>,
    seed: Option<String>,
    #[serde(default)]
    fixed: Map<String, Value>,
    #[serde(default)]
    formats: BTreeMap<Format, Map<String, Value>>,
    #[serde(default)]
    factors: Vec<i64>,
    prompt_max: Option<usize>,
    unit: Unit,
    unit_price_usd: String,
}

fn yes() -> bool {
    true
}

impl Models {
    /// The models of the file, or those that are built in where none is named.
    ///
    /// # Errors
    /// Says what cannot be used, and what to write instead.
    pub fn load(path: Option<&Path>) -> Result<Self, ModelFileError> {
        let Some(path) = path else { return Self::parse(BUILT_IN) };
        let text = std::fs::read_to_string(path)
            .map_err(|error| ModelFileError::Unreadable(path.to_owned(), error))?;
        Self::parse(&text)
    }

    /// The models of such a text.
    ///
    /// # Errors
    /// Says what cannot be used, and what to write instead.
    pub fn parse(text: &str) -> Result<Self, ModelFileError> {
        let file: File = toml::from_str(text)
            .map_err(|error| ModelFileError::Syntax(error.to_string().trim_end().to_owned()))?;
        let mut models: Vec<Model> = Vec::new();
        let modes = [
            (Mode::Generate, file.generate),
            (Mode::Edit, file.edit),
            (Mode::Merge, file.merge),
            (Mode::FaceSwap, file.face_swap),
            (Mode::Retouch, file.retouch),
            (Mode::Upscale, file.upscale),
        ];
        for (mode, entries) in modes {
            if entries.is_empty() {
                return Err(ModelFileError::NoModel { mode });
            }
            if entries.first().is_some_and(|first| !first.offered) {
                return Err(ModelFileError::FirstNotOffered { mode });
            }
            for entry in entries {
                let name = entry.name.clone();
                let model = read(mode, entry).map_err(|problem| ModelFileError::Model {
                    mode,
                    name: name.clone(),
                    problem,
                })?;
                let same = |other: &&Model| {
                    other.mode == mode && (other.name == name || other.endpoint == model.endpoint)
                };
                if models.iter().find(same).is_some() {
                    let problem = "its name or its endpoint stands there twice: take one out";
                    return Err(ModelFileError::Model { mode, name, problem });
                }
                models.push(model);
            }
        }
        Ok(Self::new(models))
    }
}

fn read(mode: Mode, entry: Entry) -> Result<Model, &'static str> {
    if !is_name(&entry.name) {
        return Err("name must have 1 to 48 Latin letters, digits, dots or dashes");
    }
    let title = title(&entry)?;
    if !is_endpoint(&entry.endpoint) {
        return Err("endpoint must be as fal.ai writes it, such as \"fal-ai/nano-banana-2\"");
    }
    let pictures = match (entry.image, entry.images, entry.target, entry.face) {
        (None, None, None, None) => Pictures::None,
        (Some(field), None, None, None) => Pictures::One(field),
        (None, Some(field), None, None) => Pictures::All(field),
        (None, None, Some(target), Some(face)) => Pictures::Swap { target, face },
        _ => return Err("name its pictures by image, or by images, or by target and face"),
    };
    let fits = match mode {
        Mode::Generate => pictures == Pictures::None,
        Mode::Edit | Mode::Retouch => {
            matches!(pictures, Pictures::One(_) | Pictures::All(_))
        }
        Mode::Merge => matches!(pictures, Pictures::All(_)),
        Mode::FaceSwap => matches!(pictures, Pictures::Swap { .. }),
        Mode::Upscale => matches!(pictures, Pictures::One(_)),
    };
    if !fits {
        return Err(
            "this mode needs other pictures: none for generate, image or images for edit and \
                    retouch, images for merge, target and face for face_swap, image for upscale",
        );
    }
    let wants_prompt = matches!(mode, Mode::Generate | Mode::Edit | Mode::Merge);
    if wants_prompt != entry.prompt.is_some() {
        return Err("prompt is needed for generate, edit and merge, and for no other mode");
    }
    if (mode == Mode::Upscale) != entry.factor.is_some() {
        return Err("factor is needed for upscale, and for no other mode");
    }
    if !wants_prompt && !entry.formats.is_empty() {
        return Err("formats are for generate, edit and merge, and for no other mode");
    }
    let upscale_factors = upscale_factors(mode, entry.factors)?;
    let unit_price = price(&entry.unit_price_usd).ok_or(
        "unit_price_usd must be text in US dollars, such as \"0.08\", with 6 places at most",
    )?;
    Ok(Model {
        mode,
        name: entry.name,
        title,
        is_offered: entry.offered,
        languages: entry.languages,
        prompt_max: entry.prompt_max.unwrap_or(PROMPT_MAX),
        upscale_factors,
        endpoint: entry.endpoint,
        prompt: entry.prompt,
        pictures,
        factor: entry.factor,
        seed: entry.seed,
        fixed: entry.fixed,
        formats: entry.formats,
        unit: entry.unit,
        unit_price,
    })
}

/// Its name for users, with the checks of what else they are told.
fn title(entry: &Entry) -> Result<String, &'static str> {
    let is_language =
        |code: &String| code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_lowercase());
    if !entry.languages.iter().all(is_language) {
        return Err("languages must be codes of two letters, such as \"en\"");
    }
    if entry.prompt_max.is_some_and(|max| max == 0 || max > PROMPT_MAX) {
        return Err("prompt_max must be 1 to 4000 characters");
    }
    let title = entry.title.as_deref().unwrap_or(&entry.name);
    if title.trim().is_empty() || entry.title.is_some() && title.chars().count() > TITLE_MAX {
        return Err("title must have 1 to 24 characters");
    }
    Ok(title.to_owned())
}

fn upscale_factors(mode: Mode, mut factors: Vec<i64>) -> Result<Vec<i64>, &'static str> {
    if mode == Mode::Upscale && factors.is_empty() {
        factors.push(FACTOR);
    }
    if mode != Mode::Upscale && !factors.is_empty() {
        return Err("factors are for upscale, and for no other mode");
    }
    if !factors.iter().all(|factor| (2..=FACTOR_MAX).contains(factor)) {
        return Err("factors must be whole numbers from 2 to 10");
    }
    Ok(factors)
}

fn is_name(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
    (1..=NAME_MAX).contains(&text.len()) && text.bytes().all(is_plain)
}

/// Two parts at least, of what can stand in an address as it is.
fn is_endpoint(text: &str) -> bool {
    let is_part = |part: &str| {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        !part.is_empty() && part.bytes().all(is_plain) && part.bytes().any(|byte| byte != b'.')
    };
    text.split('/').count() >= 2 && text.split('/').all(is_part)
}

/// Reads `0.08` exactly.
fn price(text: &str) -> Option<MicroUsd> {
    let (dollars, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if dollars.is_empty() || dollars.len() > 4 || fraction.len() > PRICE_PLACES {
        return None;
    }
    if !digits(dollars) || !digits(fraction) || text.ends_with('.') {
        return None;
    }
    format!("{dollars}{fraction:0<PRICE_PLACES$}").parse().ok().map(MicroUsd::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_is_read_exactly() {
        let check = |text: &str, micro: Option<i64>| {
            assert_eq!(price(text).map(MicroUsd::get), micro, "{text:?}");
        };
        check("0.08", Some(80_000));
        check("0.000001", Some(1));
        check("12", Some(12_000_000));
        for wrong in ["", ".5", "1.", "-1", "0.0000001", "1e3", "0,08", "12345"] {
            check(wrong, None);
        }
    }

    #[track_caller]
    fn refused(change: (&str, &str), said: &str) {
        assert!(BUILT_IN.contains(change.0), "{}", change.0);
        let text = BUILT_IN.replacen(change.0, change.1, 1);
        let error = Models::parse(&text).unwrap_err().to_string();
        assert!(error.contains(said), "{change:?}: {error}");
    }

    #[test]
    fn what_cannot_be_used_is_refused_with_what_to_write() {
        refused(("[[retouch]]", "[[repaint]]"), "unknown field `repaint`");
        refused(("unit = \"picture\"", "unit = \"hour\""), "unknown variant `hour`");
        refused(("name = \"nano-banana-2\"\n", ""), "missing field `name`");
        refused(("name = \"flux-2-pro\"", "name = \"nano-banana-2\""), "stands there twice");
        refused(("\"fal-ai/flux-2-pro\"", "\"fal-ai/nano-banana-2\""), "stands there twice");
        refused(("\"fal-ai/nano-banana-2\"", "\"https://fal.run/x\""), "as fal.ai writes it");
        refused(("\"fal-ai/nano-banana-2\"", "\"fal-ai/../x\""), "as fal.ai writes it");
        refused(("images = \"image_urls\"", "face = \"x\""), "target and face");
        refused(("images = \"image_urls\"", ""), "this mode needs other pictures");
        refused(("prompt = \"prompt\"\n", ""), "prompt is needed");
        refused(("factor = \"upscale_factor\"\n", ""), "factor is needed");
        refused(("name = \"flux-2-pro\"", "name = \"flux 2\""), "Latin letters, digits");
        refused(("title = \"FLUX.2 Pro\"", "title = \"\""), "title must have");
        refused(("formats.square", "formats.round"), "unknown variant `round`");
        refused(("factors = [2, 4]", "factors = [1]"), "from 2 to 10");
        refused(("factor = \"upscale_factor\"", "languages = [\"English\"]"), "two letters");
        refused(("fixed = {", "factors = [2]\nfixed = {"), "factors are for upscale");
        refused(("fixed = {", "prompt_max = 5000\nfixed = {"), "prompt_max must be");
        refused(("fixed = {", "offered = false\nfixed = {"), "is its default");
        refused(("image = \"image_url\"", "image = \"x\"\nformats.square = {}"), "formats are for");
        refused(("\"0.08\"", "\"8 cents\""), "unit_price_usd");
        let none = BUILT_IN.replace("[[merge]]", "[[edit]]").replace("nano-banana-2/edit\"", "x\"");
        assert!(Models::parse(&none).is_err());
        let error = Models::parse("").unwrap_err().to_string();
        assert_eq!(error, "no model does the mode generate: add a [[generate]]");
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = Models::load(Some(Path::new("/nowhere/models.toml"))).unwrap_err();
        assert!(error.to_string().starts_with("/nowhere/models.toml cannot be read"), "{error}");
    }
}
