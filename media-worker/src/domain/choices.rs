//! What a user may choose of a job besides its model.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

use super::BadId;

/// The choices of one job; what is `None` is left to the model.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Choices {
    /// The shape of the picture.
    pub format: Option<Format>,
    /// How many times larger a side becomes.
    pub upscale_factor: Option<i64>,
}

/// The shape of a picture.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Higher than wide.
    Vertical,
    /// As high as wide.
    Square,
    /// Wider than high.
    Horizontal,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Vertical, Self::Square, Self::Horizontal];

    /// How it is stored and written in the models file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Vertical => "vertical",
            Self::Square => "square",
            Self::Horizontal => "horizontal",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Format {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        Self::ALL.into_iter().find(|format| format.name() == text).ok_or(BadId)
    }
}
