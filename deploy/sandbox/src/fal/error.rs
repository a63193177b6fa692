//! Failures in fal.ai's words: a list of fields from the model, a flat text from the platform.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// How a job ended, as its result answers.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Outcome {
    pub(super) status: u16,
    pub(super) body: Value,
    /// Of the platform's own failures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) error_type: Option<String>,
    /// `x-fal-billable-units`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) units: Option<String>,
    /// The caller's own start deadline ended it.
    #[serde(default)]
    pub(super) deadline: bool,
    /// How long the model worked.
    #[serde(default)]
    pub(super) took_ms: i64,
}

impl Outcome {
    /// The model's output.
    pub(super) fn output(body: Value, units: u64) -> Self {
        Self { units: Some(units.to_string()), ..Self::new(200, body) }
    }

    /// The model refuses.
    pub(super) fn refused(fields: &[FieldError]) -> Self {
        let detail: Vec<_> = fields.iter().map(FieldError::body).collect();
        let status = fields.first().map_or(500, |field| field.kind.status());
        let units = fields.iter().all(|field| field.kind.is_schema()).then(|| "0".to_owned());
        Self { units, ..Self::new(status, json!({ "detail": detail })) }
    }

    /// The platform fails.
    pub(super) fn platform(status: u16, error_type: &str, detail: &str) -> Self {
        let body = json!({ "detail": detail, "error_type": error_type });
        Self { error_type: Some(error_type.to_owned()), ..Self::new(status, body) }
    }

    /// It did not start in the time that the caller gave it.
    pub(super) fn too_late() -> Self {
        Self { deadline: true, ..Self::platform(504, "request_timeout", "Request timed out") }
    }

    /// The caller canceled it.
    pub(super) fn canceled() -> Self {
        Self::platform(499, "client_cancelled", "Request was cancelled by the client")
    }

    /// The app has no such path.
    pub(super) fn no_path(path: &str) -> Self {
        let body = json!({ "detail": format!("Path /{path} not found") });
        Self { units: Some("0".to_owned()), ..Self::new(404, body) }
    }

    fn new(status: u16, body: Value) -> Self {
        Self { status, body, error_type: None, units: None, deadline: false, took_ms: 0 }
    }
}

/// What is wrong with one field.
#[derive(Clone, Debug)]
pub(super) struct FieldError {
    loc: Vec<Value>,
    kind: Kind,
    ctx: Option<Value>,
}

/// Kinds of wrong that callers branch on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Missing,
    StringType,
    StringTooShort,
    StringTooLong,
    ListType,
    SequenceTooShort,
    SequenceTooLong,
    NumberType,
    OutOfRange,
    Literal,
    FileDownload,
    FileTooLarge,
    UnsupportedFormat,
    ImageLoad,
    ImageTooLarge,
    ContentPolicy,
    FaceDetection,
    Internal,
}

impl Kind {
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Missing => ("missing", "Field required"),
            Self::StringType => ("string_type", "Input should be a valid string"),
            Self::StringTooShort => ("string_too_short", "String is too short"),
            Self::StringTooLong => ("string_too_long", "String is too long"),
            Self::ListType => ("list_type", "Input should be a valid list"),
            Self::SequenceTooShort => ("sequence_too_short", "The list has too few items"),
            Self::SequenceTooLong => ("sequence_too_long", "The list has too many items"),
            Self::NumberType => ("number_type", "Input should be a valid number"),
            Self::OutOfRange => ("less_than_equal", "Input is outside the allowed range"),
            Self::Literal => ("literal_error", "Input is not one of the allowed values"),
            Self::FileDownload => ("file_download_error", "Failed to download the file."),
            Self::FileTooLarge => ("file_too_large", "The file is too large."),
            Self::UnsupportedFormat => {
                ("unsupported_image_format", "The image format is not supported.")
            }
            Self::ImageLoad => ("image_load_error", "Failed to load the image."),
            Self::ImageTooLarge => ("image_too_large", "The image is too large."),
            Self::ContentPolicy => (
                "content_policy_violation",
                "The content could not be processed because it was flagged by a content checker.",
            ),
            Self::FaceDetection => ("face_detection_error", "Could not detect a face."),
            Self::Internal => ("internal_server_error", "Internal server error"),
        }
    }

    fn status(self) -> u16 {
        if self == Self::Internal { 500 } else { 422 }
    }

    /// Found before any work was done, so nothing is billed.
    fn is_schema(self) -> bool {
        matches!(
            self,
            Self::Missing
                | Self::StringType
                | Self::StringTooShort
                | Self::StringTooLong
                | Self::ListType
                | Self::SequenceTooShort
                | Self::SequenceTooLong
                | Self::NumberType
                | Self::OutOfRange
                | Self::Literal
        )
    }
}

impl FieldError {
    /// A field of the body.
    pub(super) fn of(field: &str, kind: Kind) -> Self {
        Self { loc: vec!["body".into(), field.into()], kind, ctx: None }
    }

    /// An item of a list.
    pub(super) fn item(field: &str, index: usize, kind: Kind) -> Self {
        Self { loc: vec!["body".into(), field.into(), index.into()], kind, ctx: None }
    }

    /// The body as a whole.
    pub(super) fn body_wide(kind: Kind) -> Self {
        Self { loc: vec!["body".into()], kind, ctx: None }
    }

    /// With the limits that were passed.
    pub(super) fn with(mut self, ctx: Value) -> Self {
        self.ctx = Some(ctx);
        self
    }

    fn body(&self) -> Value {
        let (kind, message) = self.kind.words();
        let mut body = json!({
            "loc": self.loc,
            "msg": message,
            "type": kind,
            "url": format!("https://docs.fal.ai/errors#{kind}"),
        });
        if let Some(ctx) = &self.ctx {
            body["ctx"] = ctx.clone();
        }
        body
    }
}
